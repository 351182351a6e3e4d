"""Records to what they stand for: neuron types, distributions, synapses."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from spikec.errors import Span
from spikec.graph import Distribution
from spikec.language.scope import suggestion
from spikec.language.signatures import Parameter, bind, check_unit, text_of
from spikec.language.values import PLAIN, TIME, Entry, Mistake, Record, Value
from spikec.nef.converted import PoissonSpiking, RegularSpiking, StochasticSpiking
from spikec.nef.izhikevich import Izhikevich
from spikec.nef.neurons import (
    LIF,
    AdaptiveLIF,
    AdaptiveLIFRate,
    LIFRate,
    NeuronType,
    RectifiedLinear,
    Sigmoid,
    SpikingRectifiedLinear,
    Tanh,
)
from spikec.records import dataclass

P = Parameter

_LIF = (
    P("tau_rc", TIME, positive=True, none=inf),
    P("tau_ref", TIME, least=0.0),
    P("min_voltage", none=-inf),
    P("amplitude", positive=True),
)
_RATE = (_LIF[0], P("tau_ref", TIME, least=0.0, none=inf), _LIF[3])
_SATURATING = (P("tau_ref", TIME, positive=True, none=inf),)
_ADAPTATION = (P("tau_n", TIME, positive=True, none=inf), P("inc_n", least=0.0))
_IZHIKEVICH = (
    P("tau_recovery", positive=True), P("coupling", least=0.0), P("reset_voltage"), P("reset_recovery")
)  # fmt: skip
_CONVERTED = (P("base", kind="any", required=True), P("amplitude", positive=True))
_RANDOM = (*_CONVERTED, P("stream", kind="any"))

NEURONS: dict[str, tuple[type[NeuronType] | None, tuple[Parameter, ...]]] = {
    "lif": (LIF, _LIF),
    "lif_rate": (LIFRate, _RATE),
    "adaptive_lif": (AdaptiveLIF, (*_ADAPTATION, *_LIF)),
    "adaptive_lif_rate": (AdaptiveLIFRate, (*_ADAPTATION, *_RATE)),
    "izhikevich": (Izhikevich, _IZHIKEVICH),
    "regular_spiking": (RegularSpiking, _CONVERTED),
    "stochastic_spiking": (StochasticSpiking, _RANDOM),
    "poisson_spiking": (PoissonSpiking, _RANDOM),
    "rectified_linear": (RectifiedLinear, _LIF[3:]),
    "spiking_rectified_linear": (SpikingRectifiedLinear, _LIF[3:]),
    "sigmoid": (Sigmoid, _SATURATING),
    "tanh": (Tanh, _SATURATING),
    "direct": (None, ()),
}


@dataclass(frozen=True)
class Synapse:
    """H(s) = num(s) / den(s), highest power first (in z where `analog` is False); `method` as `graph.Filter`
    has it.
    """

    num: tuple[float, ...]
    den: tuple[float, ...]
    analog: bool = True
    method: str = "zoh"


# As in Nengo: what no one says otherwise is filtered by 5 ms.
DEFAULT_SYNAPSE = Synapse((1.0,), (0.005, 1.0))


def _record(value: Any, table: Any, what: str, span: Span) -> Record:
    if isinstance(value, Record) and value.name in table:
        return value
    if isinstance(value, Record):
        raise Mistake(f"{value.name!r} is not {what}", span, suggestion(value.name, list(table)))
    raise Mistake(f"{what} is expected here", span, "write one of " + ", ".join(table))


def neuron_type(value: Any, span: Span) -> NeuronType | None:
    """A neuron type, None for direct mode.  Raises `Mistake`."""
    if isinstance(value, Record) and value.name == "lif_delta":
        hint = "write population a(100, neuron=lif_delta(...)) instead of an ensemble, or take lif"
        raise Mistake("'lif_delta' is a neuron type of populations", span, hint)
    record = _record(value, NEURONS, "a neuron type", span)
    kind, parameters = NEURONS[record.name]
    arguments = bind(record, parameters)
    if "base" in arguments:
        arguments["base"] = _rate_type(arguments["base"], record.name)
    if "stream" in arguments:
        arguments["stream"] = stream(arguments["stream"].value, arguments["stream"].span)
    return None if kind is None else kind(**arguments)


def _rate_type(entry: Entry, what: str) -> NeuronType:
    """The type whose rates are turned into spikes.  Raises `Mistake`."""
    base = neuron_type(entry.value, entry.span)
    if base is None or base.spiking:
        rates = [n for n, (kind, _) in NEURONS.items() if kind and not kind.spiking]
        raise Mistake(f"{what} needs a type of rate neurons", entry.span, "write one of " + ", ".join(rates))
    return base


def stream(value: Any, span: Span) -> int:
    """The seed of a stream of random numbers: `numpy(seed)`.  Raises `Mistake`."""
    record = _record(value, ("numpy",), "a stream of random numbers", span)
    seed = bind(record, (P("seed", required=True, least=0.0),))["seed"]
    if seed != int(seed) or seed >= 2**32:
        raise Mistake("the seed of numpy is a whole number below 2^32", span, "write numpy(7)")
    return int(seed)


SYNAPSES = ("lowpass", "alpha", "double_exp", "triangle", "linear_filter", "none")


def synapse(value: Any, span: Span) -> Synapse | None:
    """A synapse; a time alone is a lowpass filter; `none` is None.  Raises `Mistake`."""
    if isinstance(value, Value):
        tau = _tau(value, span)
        return Synapse((1.0,), (tau, 1.0))
    record = _record(value, SYNAPSES, "a synapse", span)
    match record.name:
        case "lowpass":
            tau = bind(record, (P("tau", TIME, required=True, positive=True),))["tau"]
            return Synapse((1.0,), (tau, 1.0))
        case "alpha":
            tau = bind(record, (P("tau", TIME, required=True, positive=True),))["tau"]
            return Synapse((1.0,), (tau * tau, 2 * tau, 1.0))
        case "double_exp":
            taus = bind(record, tuple(P(n, TIME, required=True, positive=True) for n in ("tau1", "tau2")))
            return Synapse((1.0,), (taus["tau1"] * taus["tau2"], taus["tau1"] + taus["tau2"], 1.0))
        case "triangle":
            length = bind(record, (P("length", TIME, required=True, positive=True),))["length"]
            return Synapse((length,), (1.0,), False, "triangle")
        case "linear_filter":
            return _linear_filter(record)
    bind(record, ())
    return None


def _tau(value: Value, span: Span) -> float:
    if value.symbolic or value.shape:
        raise Mistake("a synapse is expected here", span, "write one of " + ", ".join(SYNAPSES))
    check_unit(value, TIME, "the time constant of a synapse", span)
    if value.data <= 0:
        raise Mistake(
            f"the time constant of a synapse must be above 0, not {value.data:g} s",
            span,
            "write a time such as 5ms; a connection without a filter is `synapse none`",
        )
    return float(value.data)


def _linear_filter(record: Record) -> Synapse:
    given = bind(
        record,
        (
            P("num", kind="vector", required=True),
            P("den", kind="vector", required=True),
            P("analog"),
            P("method", kind="any"),
        ),
    )
    method = _method(given["method"]) if "method" in given else "zoh"
    num, den = (np.trim_zeros(given[name], "f") for name in ("num", "den"))
    if not len(den):
        raise Mistake(
            "the denominator of a filter is 0", record.span, "write den=[0.005, 1] for a lowpass of 5ms"
        )
    if len(num) > len(den):
        raise Mistake(
            "the numerator of a filter has a higher order than its denominator",
            record.span,
            "a filter that can be computed has num no longer than den",
        )
    analog = bool(given.get("analog", 1.0))
    return Synapse(tuple(map(float, num)) or (0.0,), tuple(map(float, den)), analog, method)


METHODS = ("zoh", "euler", "bilinear", "backward_diff")


def _method(entry: Entry) -> str:
    """How a filter is discretised, a text.  Raises `Mistake`."""
    name = text_of(entry.value)
    if name not in METHODS:
        listed = ", ".join(f'"{method}"' for method in METHODS)
        raise Mistake("the method of a filter is a word in quotes", entry.span, f"write one of {listed}")
    return name


# ----------------------------------------------------------------------------------------- distributions


def _distributions(power: int) -> dict[str, tuple[Parameter, ...]]:
    return {
        "uniform": (P("low", power, required=True), P("high", power, required=True), P("integer")),
        "pdf": (P("x", power, kind="vector", required=True), P("p", kind="vector", required=True)),
        "quasirandom": (),
        "subvector_length": (P("dims", required=True, least=1.0), P("subdims", least=1.0)),
        "gaussian": (P("mean", power, required=True), P("std", power, required=True, least=0.0)),
        "exponential": (
            P("scale", power, required=True, positive=True),
            P("shift", power),
            P("high", power),
        ),
        "choice": (P("options", power, kind="matrix", required=True), P("weights", kind="vector")),
        "hypersphere": (P("surface"), P("min_magnitude", least=0.0)),
        "sphere": (),
        "ball": (P("min_magnitude", least=0.0),),
        "scattered_sphere": (),
        "scattered_ball": (P("min_magnitude", least=0.0),),
        "cosine_similarity": (P("dims", required=True, least=1.0),),
        "sqrt_beta": (P("n", required=True, least=1.0), P("m", least=1.0)),
    }


def distribution(value: Any, span: Span, label: str, power: int = PLAIN) -> Distribution:
    """A distribution, or explicit samples from numbers, vectors or matrices.  Raises `Mistake`."""
    if isinstance(value, Value) and not value.symbolic:
        check_unit(value, power, label, span)
        return samples(value.array)
    table = _distributions(power)
    record = _record(value, table, "a distribution", span)
    given = bind(record, table[record.name])
    if record.name == "uniform" and given["low"] > given["high"]:
        raise Mistake(
            "uniform has low above high", span, f"write uniform({given['high']:g}, {given['low']:g})"
        )
    return _SHAPES.get(record.name, _as_written)(record.name, given)


def samples(array: Any) -> Distribution:
    """Explicit samples, a row for each."""
    return Distribution("samples", (_nested(array),))


def _nested(array: Any) -> Any:
    """An array of samples as nested tuples if small (compared by value), as an array if large."""
    if array.size > 4096:
        array = array.copy()
        array.flags.writeable = False
        return array
    return _tuples(array.tolist())


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _as_written(name: str, given: dict[str, Any]) -> Distribution:
    return Distribution(name, tuple(given.values()))


def _choice(_: str, given: dict[str, Any]) -> Distribution:
    options = np.atleast_1d(given["options"])
    weights = (tuple(given["weights"].tolist()),) if "weights" in given else ()
    return Distribution("choice", (_tuples(options.tolist()), *weights))


def _exponential(_: str, given: dict[str, Any]) -> Distribution:
    return Distribution("exponential", (given["scale"], given.get("shift", 0.0), given.get("high", np.inf)))


def _sphere(name: str, given: dict[str, Any]) -> Distribution:
    kind = "sobol" if name.startswith("scattered") else "hypersphere"
    surface = int(given.get("surface", 0.0)) if name == "hypersphere" else int(name.endswith("sphere"))
    return Distribution(kind, (surface, given.get("min_magnitude", 0.0)))


def _pdf(_: str, given: dict[str, Any]) -> Distribution:
    return Distribution("pdf", (tuple(given["x"].tolist()), tuple(given["p"].tolist())))


def _subvector(_: str, given: dict[str, Any]) -> Distribution:
    rest = given["dims"] - given.get("subdims", 1.0)
    return Distribution("sqrt_beta", (max(rest, 0.0), given.get("subdims", 1.0)))


def _sqrt_beta(_: str, given: dict[str, Any]) -> Distribution:
    return Distribution("sqrt_beta", (given["n"], given.get("m", 1.0)))


_SHAPES = {
    "choice": _choice,
    "exponential": _exponential,
    "sqrt_beta": _sqrt_beta,
    "pdf": _pdf,
    "subvector_length": _subvector,
    **dict.fromkeys(("hypersphere", "sphere", "ball", "scattered_sphere", "scattered_ball"), _sphere),
}
