"""Whether two graphs compute the same numbers: the same operators with the same constants, term by term.

Names do not count, nor do sums of one term and identities.  What counts is all that decides how results are
rounded: matrices, exponents, atoms with as many decoded rows, the order of the terms of sums, and which
numbers of functions are written out.  Where sums and products are others, each component is followed alone:
what counts is what it adds up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spikec import changes as ch
from spikec import graph as g
from spikec import plasticity as pl
from spikec.nengo.writing.terms import LINEAR, Component, Terms, dense
from spikec.program.forms import Form, forms
from spikec.program.state_names import resolved
from spikec.program.synapses import of as discretised

ARGUMENT = re.compile(r"\bx\[(\d+)\]")


def difference(first: g.Graph, second: g.Graph, probes: list[tuple[str, str]]) -> str:
    """The first difference of two graphs after all passes, "" where there is none.

    `probes`: names of probes of both that record the same.
    """
    named = [{op.name: name for name, op in graph.nodes(g.Probe)} for graph in (first, second)]
    both = (_Side(first), _Side(second))
    work: list[_Pair] = []
    for ours, theirs in probes:
        if ours not in named[0] or theirs not in named[1]:
            return f"probe {theirs} records something else"
        work.append((named[0][ours], named[1][theirs]))
    seen = set(work)
    while work:
        a, b = work.pop()
        found = _of_all(both, a, b) if isinstance(a, str) else _of_one(both, a, b)
        if isinstance(found, str):
            a, b = (a, b) if isinstance(a, str) else (a[0], b[0])
            return f"{b} is not {a}: {found}"
        new = [pair for pair in dict.fromkeys(found) if pair not in seen]
        seen.update(new)
        work += new
    return ""


# Two operators, or two components of signals.
_Pair: TypeAlias = tuple[Any, Any]


class _Side:
    """A graph with the forms of its functions, and what its sums and products add up."""

    def __init__(self, graph: g.Graph) -> None:
        self.graph = graph
        self.forms: dict[str, Form] = forms(graph, lambda column: column.table.number + column.index)
        self.terms = Terms(graph)

    def inputs(self, name: str) -> dict[str, list[str]]:
        """What an operator reads, by port and in order."""
        found: dict[str, list[str]] = {}
        for source, port in self.graph.input_ports(name):
            found.setdefault(port, []).append(resolved(self.graph, source))
        return found

    def function(self, name: str) -> tuple[Form, list[Component]]:
        """The form of a function of x[0], x[1], ... in the order of its text, and what these are."""
        places: dict[str, int] = {}
        form = self.forms[name]
        outputs = tuple(
            ARGUMENT.sub(lambda m: f"x[{places.setdefault(m[1], len(places))}]", text)
            for text in form.outputs
        )
        sources = self.graph.inputs(name)
        return replace(form, outputs=outputs), [(source, int(k)) for source in sources for k in places]


def _of_all(both: tuple[_Side, _Side], a: str, b: str) -> str | Sequence[_Pair]:
    """Pairs that must be the same for two operators to be; or why they are not."""
    why = _unlike(both, a, b)
    pairs = None if why else _pairs(both, a, b)
    if pairs is not None:
        return pairs
    one, other = both[0].graph.op(a), both[1].graph.op(b)
    if one.size == other.size and (isinstance(one, LINEAR) or isinstance(other, LINEAR)):
        return [((a, k), (b, k)) for k in range(one.size)]
    return why or "they read other numbers of signals"


def _pairs(both: tuple[_Side, _Side], a: str, b: str) -> list[_Pair] | None:
    """Pairs of what two equal operators read; None where they read different numbers of signals."""
    if isinstance(both[0].graph.op(a), g.Function):
        read = [side.function(name)[1] for side, name in zip(both, (a, b), strict=True)]
        return list(zip(*read, strict=True))
    if isinstance(both[0].graph.op(a), g.Sum):
        return _terms(both, a, b)
    ours, theirs = both[0].inputs(a), both[1].inputs(b)
    if {port: len(sources) for port, sources in ours.items()} != {
        port: len(sources) for port, sources in theirs.items()
    }:
        return None
    return [pair for port, sources in ours.items() for pair in zip(sources, theirs[port], strict=True)]


def _terms(both: tuple[_Side, _Side], a: str, b: str) -> list[_Pair] | None:
    """Pairs of what two sums add up, where products that they compute themselves have equal matrices."""
    pairs: list[_Pair] = []
    inputs = [side.graph.inputs(name) for side, name in zip(both, (a, b), strict=True)]
    if len(inputs[0]) != len(inputs[1]):
        return None
    for names in zip(*inputs, strict=True):
        inside = [side.terms.inside(name) for side, name in zip(both, names, strict=True)]
        sources = [resolved(side.graph, name) for side, name in zip(both, names, strict=True)]
        if all(inside):
            ops = [side.graph.op(name) for side, name in zip(both, names, strict=True)]
            if not _same_constants(ops[0], ops[1], both[0].graph.dt):
                return None
            sources = [side.inputs(name)["x"][0] for side, name in zip(both, names, strict=True)]
        elif any(inside):
            return None
        pairs.append((sources[0], sources[1]))
    return pairs


def _of_one(both: tuple[_Side, _Side], a: Component, b: Component) -> str | Sequence[_Pair]:
    """The same of two components: what they add up, or what one number of an operator is computed of."""
    ours, theirs = both[0].terms.of(a), both[1].terms.of(b)
    if [value for value, _ in ours] != [value for value, _ in theirs]:
        return "other numbers are added up"
    read = [(x, y) for (_, x), (_, y) in zip(ours, theirs, strict=True)]
    if len(ours) != 1 or ours[0][0] != 1.0:
        return read
    ((name, place), (other_name, other_place)) = read[0]
    one, other = both[0].graph.op(name), both[1].graph.op(other_name)
    match one, other:
        case (g.Filter(), g.Filter()) | (g.Delay(), g.Delay()):
            if not _same_constants(one, other, both[0].graph.dt):
                return f"other constants of a {type(one).__name__}"
            sources = zip(both[0].graph.inputs(name), both[1].graph.inputs(other_name), strict=True)
            return [((x, place), (y, other_place)) for x, y in sources]
        case g.Constant(), g.Constant():
            return [] if one.value[place] == other.value[other_place] else "another constant"
    return [(name, other_name)] if place == other_place else "another component is read"


def _unlike(both: tuple[_Side, _Side], a: str, b: str) -> str:
    """Why two operators do not compute the same of equal inputs; "" where they do."""
    one, other = both[0].graph.op(a), both[1].graph.op(b)
    if type(one) is not type(other):
        return f"{type(other).__name__} for {type(one).__name__}"
    if one.size != other.size:
        return f"size {other.size} for {one.size}"
    match one:
        case g.StateValue():
            same = _same_constants(one, other, both[0].graph.dt)
        case g.ExactSum():
            return _unlike_sums(both, a, b)
        case g.Atom():
            return _unlike_atoms(one, other)
        case pl.Weights():
            return _unlike_weights(one, other)
        case g.Probe():
            return _unlike_probes(one, other)
        case g.TimeFunction() | g.Function():
            same = both[0].function(a)[0] == both[1].function(b)[0]
        case _:
            same = _same_constants(one, other, both[0].graph.dt)
    return "" if same else f"other constants of a {type(one).__name__}"


def _same_constants(one: Any, other: Any, dt: float) -> bool:
    match one:
        case g.Constant():
            return bool(one.value == other.value)
        case g.Table():
            return _rows(one) == _rows(other)
        case g.Product():
            return _equal(dense(one.matrix), dense(other.matrix))
        case g.Filter():
            return discretised(one, dt) == discretised(other, dt)
        case g.Delay():
            return bool(one.steps == other.steps)
        case g.Draws() | g.Noise() | g.StateValue() | ch.Change():
            return all(
                getattr(one, f.name) == getattr(other, f.name) for f in fields(one) if f.name != "span"
            )
    return True


def _rows(table: g.Table) -> tuple[int, bytes]:
    """What a table gives at every step, until it repeats or stays."""
    steps = table.period or int(table.starts[-1]) + 1
    rows = np.maximum(np.searchsorted(table.starts, np.arange(steps), side="right") - 1, 0)
    samples = table.samples[rows]
    if not table.period:
        # What stays is one row.
        last = len(samples) - 1
        while last > 0 and np.array_equal(samples[last], samples[last - 1]):
            last -= 1
        samples = samples[: last + 1]
    return table.period, np.ascontiguousarray(samples, np.float64).tobytes()


def _equal(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other))


def _unlike_sums(both: tuple[_Side, _Side], a: str, b: str) -> str:
    one, other = both[0].graph.op(a), both[1].graph.op(b)
    if one.exponent != other.exponent:
        return f"exponent {other.exponent} for {one.exponent}"
    parts = [
        [side.graph.op(atom) for atom in side.graph.inputs(name)]
        for side, name in zip(both, (a, b), strict=True)
    ]
    for ours, theirs in zip(*parts, strict=False):
        matrices = ours.decoders[ours.targets.index(a)], theirs.decoders[theirs.targets.index(b)]
        if not _equal(*matrices):
            return "other decoders"
    return ""


def _unlike_atoms(one: g.Atom, other: g.Atom) -> str:
    ours, theirs = one.neurons, other.neurons
    if (one.start, ours.neuron) != (other.start, theirs.neuron):
        return "other neurons"
    if one.decoded != other.decoded:
        return f"{other.decoded} decoded rows for {one.decoded}"
    if not _equal(one.encoders, other.encoders) or not _equal(one.bias, other.bias):
        return "other encoders or biases"
    for variable in ours.neuron.state:
        zero = np.zeros(ours.size)
        if not _equal(ours.initial_state.get(variable, zero), theirs.initial_state.get(variable, zero)):
            return f"another {variable} before the first step"
    return ""


def _unlike_weights(one: pl.Weights, other: pl.Weights) -> str:
    if one.columns != other.columns or not _equal(one.initial, other.initial):
        return "other weights before the first step"
    if len(one.rules) != len(other.rules):
        return "other rules"
    for ours, theirs in zip(one.rules, other.rules, strict=True):
        if type(ours) is not type(theirs):
            return "other rules, or in another order"
        for field in fields(ours):
            if not _same_field(getattr(ours, field.name), getattr(theirs, field.name)):
                return f"another {field.name} of {ours.kind}"
    return ""


def _same_field(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return _equal(one, other)
    if isinstance(one, tuple):  # ports
        return sorted(one) == sorted(other)
    return bool(one == other)


def _unlike_probes(one: g.Probe, other: g.Probe) -> str:
    kinds = ["value" if p.attribute in ("input", "weights") else p.attribute for p in (one, other)]
    if (kinds[0], one.every) != (kinds[1], other.every):
        return "it records something else, or at other steps"
    if one.attribute != "value" and not _equal(one.neurons, other.neurons):
        return "it records other neurons"
    picks = [[(p.columns.tolist(), p.components.tolist()) for p in probe.picks] for probe in (one, other)]
    return "" if picks[0] == picks[1] else "it records other components"
