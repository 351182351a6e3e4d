"""Numbers, times, parts, neuron types and synapses as the language writes them, each to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from spikec.expressions import Expression, row_of, to_text
from spikec.graph import Distribution
from spikec.language.signatures import Parameter
from spikec.language.values import TIME, UNITS
from spikec.language.vocabulary import DEFAULT_SYNAPSE, NEURONS
from spikec.nef.neurons import NeuronType
from spikec.nengo.processes import Synapse

_LISTED = 4  # expressions of a list, beyond which those that differ in the index alone are a range


def number(value: float) -> str:
    """A number, with as few digits as give it back."""
    text = f"{value:g}"
    return text if float(text) == value else repr(float(value))


def time(value: float) -> str:
    """A time in the unit in which it is shortest."""
    written = [(f"{value / UNITS[unit][0]:.9g}", unit) for unit in ("s", "ms", "us")]
    exact = [digits + unit for digits, unit in written if float(digits) * UNITS[unit][0] == value]
    return min(exact, key=len) if exact else f"{float(value)!r}s"


def vector(values: Sequence[float]) -> str:
    """A list of numbers."""
    return "[" + ", ".join(number(float(v)) for v in values) + "]"


def matrix(values: Any) -> str:
    """A vector, or a list of rows."""
    array = np.asarray(values, np.float64)
    return vector(array.tolist()) if array.ndim == 1 else "[" + ", ".join(map(vector, array.tolist())) + "]"


def listed(expressions: Sequence[Expression]) -> str:
    """Expressions of x and t: one by itself, several as a list, a row of a table, many that differ in the
    index as a range.
    """
    if row := row_of(expressions):
        return f"{row[0].text}[{to_text(row[1])}]"
    texts = [to_text(e) for e in expressions]
    if len(texts) == 1:
        return texts[0]
    last = len(texts) - 1
    pattern = texts[last].replace(f"x[{last}]", "x[i]")
    if last >= _LISTED and all(pattern.replace("x[i]", f"x[{k}]") == text for k, text in enumerate(texts)):
        return f"[{pattern} for i in 0..{len(texts)}]"
    return "[" + ", ".join(texts) + "]"


def part(chosen: Any, size: int) -> str:
    """Brackets with the components that a slice or list takes of `size`; nothing where these are all."""
    places = np.arange(size)[chosen].ravel().tolist()
    if places == list(range(size)):
        return ""
    if len(places) == 1:
        return f"[{places[0]}]"
    step = places[1] - places[0]
    if step > 0 and places == list(range(places[0], places[-1] + 1, step)):
        return f"[{places[0]}:{places[-1] + 1}" + (f":{step}]" if step > 1 else "]")
    return "[[" + ", ".join(map(str, places)) + "]]"


def _neuron(kind: NeuronType) -> str:
    return next(n for n, (cls, _) in NEURONS.items() if cls is type(kind))


def infinite(kind: NeuronType) -> str:
    """A parameter of neurons that is infinite without a word for that, "" where there is none."""
    parameters = NEURONS[_neuron(kind)][1]
    known = {p.name: getattr(kind, p.name) for p in parameters if p.none != getattr(kind, p.name)}
    return next((name for name, v in known.items() if isinstance(v, float) and not np.isfinite(v)), "")


def neuron(kind: NeuronType) -> str:
    """A neuron type with those parameters that are not the language's own."""
    name = _neuron(kind)
    plain = {f.name: f.default for f in fields(kind)}
    given = []
    for parameter in NEURONS[name][1]:
        value = getattr(kind, parameter.name)
        if parameter.required or value != plain[parameter.name]:
            given.append(_argument(parameter, value))
    return f"{name}({', '.join(given)})" if given else name


def _argument(parameter: Parameter, value: Any) -> str:
    """A parameter of a neuron type, of which one may be another type, or a seed of random numbers."""
    if isinstance(value, NeuronType):
        return neuron(value)
    if parameter.name == "stream":
        return f"stream={stream(value)}"
    written = time(value) if parameter.power == TIME else number(value)
    return f"{parameter.name}={'none' if value == parameter.none else written}"


def stream(seed: int) -> str:
    """The random numbers of NumPy's RandomState with this seed."""
    return f"numpy({seed})"


# The arguments of distributions in the order of their parameters, where the two are the same.
_ARGUMENTS = {
    "gaussian": ("mean", "std"), "exponential": ("scale", "shift", "high"), "choice": ("options", "weights"),
    "pdf": ("x", "p"), "sqrt_beta": ("n", "m"), "cosine_similarity": ("dims",),
    "uniform": ("low", "high", "integer"), "hypersphere": ("surface", "min_magnitude"), "quasirandom": (),
}  # fmt: skip
_FLAGS = ("integer", "surface")


def distribution(found: Distribution, array: Callable[[str, Any], str]) -> str:
    """A distribution; `array(name, values)` writes numbers of which there may be many."""
    given = []
    for name, value in zip(_ARGUMENTS[found.kind], found.parameters, strict=False):
        if name in _FLAGS:
            given += [f"{name}=true"] * bool(value)
        elif isinstance(value, tuple):
            given.append(f"{name}={array(name, value)}")
        elif np.isfinite(value):
            given.append(f"{name}={number(value)}")
    return f"{found.kind}({', '.join(given)})" if given else found.kind


def synapse(filtered: Synapse | None) -> str:
    """A synapse that is a filter of the graph; `none` where there is none."""
    if filtered is None:
        return "none"
    num, den = filtered.num, filtered.den
    usual = filtered.analog and filtered.method == "zoh" and num == (1.0,)
    if usual and len(den) == 2 and den[1] == 1.0 and den[0] > 0:
        return time(den[0])
    if usual and len(den) == 3 and den[2] == 1.0:
        tau = den[1] / 2
        if den == (tau * tau, 2 * tau, 1.0):
            return f"alpha({time(tau)})"
    digital = "" if filtered.analog else ", analog=false"
    method = "" if filtered.method == "zoh" else f', method="{filtered.method}"'
    return f"linear_filter(num={vector(num)}, den={vector(den)}{digital}{method})"


def synapse_clause(filtered: Synapse | None, default: bool = True) -> str:
    """` synapse ...`; nothing where it is what is taken without the clause: 5 ms, or none in a probe."""
    if not default:
        return "" if filtered is None else f" synapse {synapse(filtered)}"
    plain = filtered is not None and (filtered.num, filtered.den, filtered.analog, filtered.method) == (
        DEFAULT_SYNAPSE.num,
        DEFAULT_SYNAPSE.den,
        DEFAULT_SYNAPSE.analog,
        DEFAULT_SYNAPSE.method,
    )
    return "" if plain else f" synapse {synapse(filtered)}"
