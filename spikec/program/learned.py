"""The stages of learned weights: one for all rules of a partition, one for each level of products, and of
what rules add, that are read in the same step.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikec import changes as ch
from spikec import graph as g
from spikec import plasticity as pl
from spikec.errors import InvalidGraph
from spikec.program import layout as la
from spikec.program.places import Places
from spikec.program.stages import Ints, ints, joined, whole
from spikec.program.synapses import of

# Numbers of the rules, as `spike_runtime.ops.learning` has them.
KINDS = ("pes", "rls", "bcm", "oja", "voja")


# By name of weights: the place of the first of them in the partition's vector, and the rows that are there.
Held = Mapping[str, tuple[int, Ints]]


def held(graph: g.Graph, rows: Mapping[str, Ints]) -> Held:
    """Places of weights of which these rows are needed."""
    made, first = {}, 0
    for name, chosen in rows.items():
        made[name] = (first, chosen)
        first += len(chosen) * graph.op(name).columns
    return made


def carried(graph: g.Graph, names: Sequence[str]) -> list[str]:
    """Signals that some of `names` read in the step after, but exact sums, and what is late already."""
    read: dict[str, None] = {}
    for name in names:
        if pl.reads_after(graph, name):
            now = _read_now(graph.op(name))
            read.update(dict.fromkeys(s for s, port in graph.input_ports(name) if port not in now))
    return [name for name in read if not isinstance(graph.op(name), g.ExactSum) and not pl.late(graph, name)]


def _read_now(op: g.Operator) -> set[str]:
    """Ports of what is read in the step after whose signals are those of that step."""
    if isinstance(op, pl.Weights):
        return {f"{port}.{k}" for k, rule in enumerate(op.rules) for port in rule.filtered}
    return {"weights"}


def products(
    name: str, graph: g.Graph, rows: Mapping[str, Ints], signals: Places, weights: Held, dtype: str
) -> la.LearnedProducts:
    """Products y = W x, the `rows` of each one after the other; `signals` has the places of x."""
    tables = [np.zeros((0, 4), np.int64)]
    for member, chosen in rows.items():
        matrix, x = graph.inputs(member, "weights")[0], graph.inputs(member, "x")[0]
        first, there = weights[matrix]
        columns, place = graph.op(matrix).columns, _first(signals[x])
        if isinstance(graph.op(member), pl.Entries):  # products of one number
            rows_of, column = np.divmod(chosen, columns)
            starts, columns = first + np.searchsorted(there, rows_of) * columns + column, 1
        else:
            starts = first + np.searchsorted(there, chosen) * columns
        tables.append(_pieces(starts, columns, place))
    return la.LearnedProducts(name, {"table": np.concatenate(tables)}, {}, len(rows), dtype)


def _pieces(starts: Ints, columns: int, place: int) -> Ints:
    """(first weight, columns, place, rows) of rows that follow each other."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(starts) != columns) + 1, [len(starts)]])
    pieces = np.broadcast_arrays(starts[edges[:-1]], columns, place, np.diff(edges))
    return np.stack(pieces, axis=1)


def read_late(graph: g.Graph, names: Sequence[str], traced: Collection[str]) -> list[str]:
    """Those products that are computed one step late, but for what only `traced` synapses read."""
    late = (name for name in names if pl.late(graph, name))
    return [name for name in late if not all(reader in traced for reader, _ in graph.readers(name))]


def traced(graph: g.Graph, names: Sequence[str]) -> dict[str, None]:
    """Those synapses of the first order, of weights as a signal, that nothing but probes reads."""
    return {
        name: None
        for name in names
        if isinstance(graph.op(graph.inputs(name)[0]), pl.Entries)
        and all(isinstance(graph.op(reader), g.Probe) for reader, _ in graph.readers(name))
        and (synapse := of(graph.op(name), graph.dt)).order == 1
        and not synapse.direct
    }


def traces(graph: g.Graph, names: Collection[str], signals: Places, weights: Held, dtype: str) -> la.Traces:
    """Synapses of whole matrices of weights, which a partition that records them has."""
    runs, coefficients = [], []
    for name in names:
        op, (entries,) = graph.op(name), graph.inputs(name)
        synapse, (matrix,) = of(op, graph.dt), graph.inputs(entries, "weights")
        runs.append((weights[matrix][0], op.size, _first(signals[graph.inputs(entries, "x")[0]])))
        coefficients.append((synapse.A[0], synapse.B[0] * synapse.C[0]))
    arrays = {"runs": ints(runs), "coefficients": np.array(coefficients, dtype)}
    size = sum(count for _, count, _ in runs)
    return la.Traces("trace", arrays, {"value": la.zeros(size, dtype)}, len(names))


def learning(graph: g.Graph, weights: Held, before: Places, now: Places, dtype: str) -> la.Learning:
    """The weights with their rules, which read signals of the step before followed by those of `now`."""
    made = _Rules(graph.dt)
    first: list[tuple[int, ...]] = []
    inverse = [np.zeros(0)]
    starts = _inverses(graph, weights)
    for name, (place, rows) in weights.items():
        op: pl.Weights = graph.op(name)
        first.append((place, len(rows), op.columns, len(made.table), len(op.rules)))
        for k, rule in enumerate(op.rules):
            read = {port: graph.inputs(name, f"{port}.{k}") for port in (*rule.reads, *rule.may_read)}
            at = {
                port: before.length + now[source] if port in rule.filtered else before[source]
                for port, sources in read.items()
                for source in sources
            }
            made.add(op, rule, rows, at, starts.get((name, k), 0))
            if isinstance(rule, pl.RLS):
                inverse.append(np.eye(op.columns) * (rule.rate * graph.dt / op.columns))
    arrays = {"matrices": ints(first).reshape(-1, 5), **made.arrays(dtype)}
    initial = [graph.op(name).initial[rows] for name, (_, rows) in weights.items()]
    state = {"weights": joined(initial, dtype), "inverse": joined(inverse, dtype)}
    return la.Learning("learned", arrays, state, len(weights))


# What of a rule is computed, as `spike_runtime.ops.learning.Change` has it.
DELTA, INVERSE, INVERSE_LATE = range(3)


def changes(
    name: str, members: Sequence[str], graph: g.Graph, weights: Held, now: Places, dtype: str
) -> la.Changes:
    """What rules add to weights, one after the other, which joins `now`; all rows of these are here."""
    made, rows, size = _Rules(graph.dt), list[tuple[int, ...]](), 0
    starts = _inverses(graph, weights)
    for member in members:
        change: ch.Change = graph.op(member)
        (matrix,) = graph.inputs(member, "weights")
        op: pl.Weights = graph.op(matrix)
        rule = op.rules[change.rule]
        kind = DELTA if not isinstance(change, ch.Inverse) else INVERSE_LATE if change.late else INVERSE
        rows.append((weights[matrix][0], change.size // op.columns, op.columns, size, kind))
        read = ((port, graph.inputs(member, port)) for port in ch.ports(change, rule))
        at = {port: now[source] for port, sources in read for source in sources}
        made.add(op, rule, whole(op.size), at, starts.get((matrix, change.rule), 0))
        size += change.size
    for member in members:
        now.append(member, whole(graph.op(member).size))
    return la.Changes(name, {"matrices": ints(rows), **made.arrays(dtype)}, {}, len(members))


def _inverses(graph: g.Graph, weights: Held) -> dict[tuple[str, int], int]:
    """Where the inverse correlations of every RLS begin, by weights and number of the rule."""
    found, first = {}, 0
    for name in weights:
        op: pl.Weights = graph.op(name)
        for k, rule in enumerate(op.rules):
            if isinstance(rule, pl.RLS):
                found[name, k] = first
                first += op.columns**2
    return found


class _Rules:
    """The ragged arrays of all rules, under construction."""

    def __init__(self, dt: float) -> None:
        self.dt = dt
        self.table: list[tuple[int, ...]] = []
        self.constants: list[tuple[float, float]] = []
        self.places: list[Ints] = []
        self.scales: list[g.Array] = []

    def add(self, op: pl.Weights, rule: pl.Rule, rows: Ints, at: Mapping[str, Ints], inverse: int) -> None:
        """A rule of these rows of some weights.  at: the places of what is on its ports; inverse: where P
        begins.
        """
        rate, extra = rule.rate * self.dt, inverse
        first = sum(map(len, self.places))
        for port in ("error", "post", "theta"):
            if port in at:
                self.places.append(at[port][rows])
        if isinstance(rule, pl.PES):
            rate = -rate / op.columns
        if isinstance(rule, pl.Voja) and rule.scale is not None:
            extra = sum(map(len, self.scales))
            self.scales.append(rule.scale[rows])
        learning = int(at["learning"][0]) if "learning" in at else -1
        pre = _first(at["pre"]) if "pre" in at else -1
        self.table.append((KINDS.index(rule.kind), pre, first, first + len(rows), learning, extra))
        self.constants.append((rate, getattr(rule, "beta", 0.0)))

    def arrays(self, dtype: str) -> dict[str, NDArray[Any]]:
        """By name, as the kernels take them."""
        return {
            "rules": ints(self.table).reshape(-1, 6),
            "constants": np.array(self.constants, dtype).reshape(-1, 2),
            "places": joined(self.places, np.int64),
            "scales": joined(self.scales, dtype),
        }


def _first(places: Ints) -> int:
    """The place of the first component of a signal that stands in one piece."""
    if (np.diff(places) != 1).any():
        raise InvalidGraph("what learned weights multiply must stand in one piece")
    return int(places[0])
