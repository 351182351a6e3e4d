"""The stages of learned weights: one for all rules of a partition, one for each level of products that are
read in the same step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from spikec import graph as g
from spikec import plasticity as pl
from spikec.errors import InvalidGraph
from spikec.program import layout as la
from spikec.program.places import Places
from spikec.program.stages import Ints, ints, joined

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
    tables = [np.zeros((0, 3), np.int64)]
    for member, chosen in rows.items():
        matrix, x = graph.inputs(member, "weights")[0], graph.inputs(member, "x")[0]
        first, there = weights[matrix]
        columns, place = graph.op(matrix).columns, _first(signals[x])
        if isinstance(graph.op(member), pl.Entries):  # products of one number
            rows_of, column = np.divmod(chosen, columns)
            starts, columns = first + np.searchsorted(there, rows_of) * columns + column, 1
        else:
            starts = first + np.searchsorted(there, chosen) * columns
        tables.append(np.stack(np.broadcast_arrays(starts, columns, place), axis=1))
    return la.LearnedProducts(name, {"table": np.concatenate(tables)}, {}, len(rows), dtype)


def learning(graph: g.Graph, weights: Held, before: Places, now: Places, dtype: str) -> la.Learning:
    """The weights with their rules, which read signals of the step before followed by those of `now`."""
    made = _Rules(graph, before, now)
    first: list[tuple[int, ...]] = []
    for name, (place, rows) in weights.items():
        op: pl.Weights = graph.op(name)
        first.append((place, len(rows), op.columns, len(made.table), len(op.rules)))
        for k, rule in enumerate(op.rules):
            made.add(name, k, rule, rows)
    arrays = {
        "matrices": ints(first).reshape(-1, 5),
        "rules": ints(made.table).reshape(-1, 6),
        "constants": np.array(made.constants, dtype).reshape(-1, 2),
        "places": joined(made.places, np.int64),
        "scales": joined(made.scales, dtype),
    }
    initial = [graph.op(name).initial[rows] for name, (_, rows) in weights.items()]
    state = {"weights": joined(initial, dtype), "inverse": joined(made.inverse, dtype)}
    return la.Learning("learned", arrays, state, len(weights))


class _Rules:
    """The ragged arrays of all rules, under construction."""

    def __init__(self, graph: g.Graph, before: Places, now: Places) -> None:
        self.graph, self.before, self.now = graph, before, now
        self.table: list[tuple[int, ...]] = []
        self.constants: list[tuple[float, float]] = []
        self.places: list[Ints] = []
        self.scales: list[g.Array] = []
        self.inverse: list[g.Array] = []

    def add(self, name: str, k: int, rule: pl.Rule, rows: Ints) -> None:
        """Rule k of weights `name`."""
        columns, rate = self.graph.op(name).columns, rule.rate * self.graph.dt
        at = {port: found for port in (*rule.reads, *rule.may_read)
              if (found := self._places(name, port, k, rule)) is not None}  # fmt: skip
        first = sum(map(len, self.places))
        self.places.append(at["error" if "error" in at else "post"][rows])
        if "theta" in at:
            self.places.append(at["theta"][rows])
        extra = 0
        match rule:
            case pl.PES():
                rate = -rate / columns
            case pl.RLS():
                extra = sum(map(np.size, self.inverse))
                self.inverse.append(np.eye(columns) * (rate / columns))
            case pl.Voja(scale=scale) if scale is not None:
                extra = sum(map(len, self.scales))
                self.scales.append(scale[rows])
        learning = int(at["learning"][0]) if "learning" in at else -1
        self.table.append(
            (KINDS.index(rule.kind), _first(at["pre"]), first, first + len(rows), learning, extra)
        )
        self.constants.append((rate, getattr(rule, "beta", 0.0)))

    def _places(self, name: str, port: str, k: int, rule: pl.Rule) -> Ints | None:
        """Where a rule finds what is on a port, None where nothing is."""
        for source in self.graph.inputs(name, f"{port}.{k}"):
            return self.before.length + self.now[source] if port in rule.filtered else self.before[source]
        return None


def _first(places: Ints) -> int:
    """The place of the first component of a signal that stands in one piece."""
    if (np.diff(places) != 1).any():
        raise InvalidGraph("what learned weights multiply must stand in one piece")
    return int(places[0])
