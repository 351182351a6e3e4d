"""Whether two graphs compute the same numbers: the same operators with the same constants, term by term.

Names do not count, nor do sums of one term and identities.  What counts is all that decides how results are
rounded: matrices, exponents, atoms with as many decoded rows, the order of the terms of sums, and which
numbers of functions are written out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikec import changes as ch
from spikec import graph as g
from spikec import plasticity as pl
from spikec.program.demand import absorbed, selects
from spikec.program.forms import Form, forms
from spikec.program.state_names import resolved
from spikec.program.synapses import of as discretised


def difference(first: g.Graph, second: g.Graph, probes: list[tuple[str, str]]) -> str:
    """The first difference of two graphs after all passes, "" where there is none.

    `probes`: names of probes of both that record the same.
    """
    named = [{op.name: name for name, op in graph.nodes(g.Probe)} for graph in (first, second)]
    both = (_Side(first), _Side(second))
    work = []
    for ours, theirs in probes:
        if ours not in named[0] or theirs not in named[1]:
            return f"probe {theirs} records something else"
        work.append((named[0][ours], named[1][theirs]))
    seen = set(work)
    while work:
        a, b = work.pop()
        why = _unlike(both, a, b)
        if why:
            return f"{b} is not {a}: {why}"
        for pair in _pairs(both, a, b):
            if pair is None:
                return f"{b} is not {a}: they read other numbers of signals"
            if pair not in seen:
                seen.add(pair)
                work.append(pair)
    return ""


class _Side:
    """A graph with the forms of its functions."""

    def __init__(self, graph: g.Graph) -> None:
        self.graph = graph
        self.forms: dict[str, Form] = forms(graph)
        self.absorbed = absorbed(graph)

    def inputs(self, name: str) -> dict[str, list[str]]:
        """What an operator reads, by port and in order."""
        found: dict[str, list[str]] = {}
        for source, port in self.graph.input_ports(name):
            found.setdefault(port, []).append(resolved(self.graph, source))
        return found


def _pairs(both: tuple[_Side, _Side], a: str, b: str) -> Iterator[tuple[str, str] | None]:
    """Pairs of what two equal operators read; None where they read different numbers of signals."""
    ours, theirs = both[0].inputs(a), both[1].inputs(b)
    if ours.keys() != theirs.keys():
        yield None
        return
    for port, sources in ours.items():
        if len(sources) != len(theirs[port]):
            yield None
            return
        yield from zip(sources, theirs[port], strict=True)


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
        case g.Sum():
            return _unlike_terms(both, a, b)
        case g.ExactSum():
            return _unlike_sums(both, a, b)
        case g.Atom():
            return _unlike_atoms(one, other)
        case pl.Weights():
            return _unlike_weights(one, other)
        case g.Probe():
            return _unlike_probes(one, other)
        case g.TimeFunction() | g.Function():
            same = both[0].forms[a] == both[1].forms[b]
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
            return _equal(_dense(one.matrix), _dense(other.matrix))
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


def _dense(matrix: g.Matrix) -> g.Array:
    return matrix if isinstance(matrix, np.ndarray) else np.asarray(matrix.toarray())


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


def _unlike_terms(both: tuple[_Side, _Side], a: str, b: str) -> str:
    """Terms after the first are rounded by themselves, or with the sum where it absorbs their products."""
    rounded = [
        [source in side.absorbed and not _exact(side.graph.op(source).matrix) for source in inputs[1:]]
        for side, name in zip(both, (a, b), strict=True)
        for inputs in [side.graph.inputs(name)]
    ]
    return "" if rounded[0] == rounded[1] else "its products are rounded at other places"


def _exact(matrix: g.Matrix) -> bool:
    """Whether a product needs no rounding: a selection."""
    entries = matrix if isinstance(matrix, np.ndarray) else matrix.data
    return selects(matrix) and bool(np.isin(entries, (0.0, 1.0)).all())


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
    if not _equal(one.neurons, other.neurons):
        return "it records other neurons"
    picks = [[(p.columns.tolist(), p.components.tolist()) for p in probe.picks] for probe in (one, other)]
    return "" if picks[0] == picks[1] else "it records other components"
