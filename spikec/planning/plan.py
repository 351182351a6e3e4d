"""The plan of a compilation, frozen: what is where, what it will cost, how other plans compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spike_runtime import manifest as mf

from spikec import graph as g
from spikec.planning import hypergraph as hg
from spikec.planning import partition as pt
from spikec.planning.cost import layout_cost, step_time
from spikec.planning.picture import picture
from spikec.planning.predict import Prediction, candidates, estimate
from spikec.planning.profile import HostProfile
from spikec.planning.refine import refine
from spikec.program import layout as la
from spikec.program.schedule import Assignment, Recorded, schedule

# Up to this many atoms, every number of partitions in the table is planned in full; beyond, estimated.
EXACT_ATOMS = 1500
# Fewer partitions are advised, or chosen, where they are at most this much slower than the best.
INDIFFERENT = 0.02


@dataclass(frozen=True, eq=False)
class Plan:
    """Where everything is and what it costs.

    `costs`: predicted ns per step of each partition; `step`: predicted ns of a step of the whole;
    `predictions`: the same for other numbers of partitions; `advice`: what to do differently, "" if nothing.
    """

    graph: g.Graph
    assignment: Assignment
    layouts: tuple[la.Layout, ...]
    recorded: tuple[Recorded, ...]
    costs: tuple[mf.Cost, ...]
    step: float
    predictions: tuple[Prediction, ...]
    advice: str
    profile: HostProfile
    transport: str

    def summary(self) -> dict[str, Any]:
        """What the manifest keeps of the plan: plain values only, the same for the same model and profile."""
        compute = [sum(c.compute.values()) for c in self.costs]
        mean = sum(compute) / len(compute)
        return {
            "profile": {
                "name": self.profile.name,
                "digest": self.profile.digest,
                "cores": self.profile.cores,
            },
            "transport": self.transport,
            "step_us": round(self.step / 1e3, 3),
            "balance": round(max(compute) / mean, 4) if mean else 1.0,
            "cut_bytes": 8 * sum(len(rows) for layout in self.layouts for rows in layout.send.values()),
            "predictions": [p.entry() for p in self.predictions],
            "advice": self.advice,
            "atoms": {str(p): _runs(self.graph, self.assignment, p) for p in range(len(self.layouts))},
            "sums": {str(layout.partition): _sums(self.graph, layout) for layout in self.layouts},
            "graph": picture(self.graph, self.assignment),
        }


def make_plan(
    graph: g.Graph, n: int | str, profile: HostProfile, dtype: str, transport: str = "ring"
) -> Plan:
    """The plan of a split graph for `n` partitions, or for the number that is predicted to be fastest
    ("auto").

    Raises `ModelError` where the model cannot be cut into n.
    """
    planner = _Planner(graph, profile, dtype, transport)
    if n == "auto":
        return planner.best()
    return planner.plan(int(n))


@dataclass(frozen=True, eq=False)
class _Placed:
    assignment: Assignment
    layouts: tuple[la.Layout, ...]
    recorded: tuple[Recorded, ...]
    costs: tuple[mf.Cost, ...]
    step: float


class _Planner:
    """Plans one graph for several numbers of partitions."""

    def __init__(self, graph: g.Graph, profile: HostProfile, dtype: str, transport: str) -> None:
        self.graph, self.profile, self.dtype, self.transport = graph, profile, dtype, transport
        self.reads = hg.reads(graph)
        self.hypergraph = hg.hypergraph(graph, self.reads, pt.vertex_costs(graph, profile, dtype))
        self.atoms = sum(len(names) for names in self.hypergraph.groups)
        self.placed: dict[int, _Placed] = {}

    def plan(self, n: int) -> Plan:
        placed = refine(self._place(n), self._schedule, self.graph, self.hypergraph, self.reads)
        self.placed[n] = placed
        wanted = candidates(n, self.profile.cores, len(self.hypergraph.groups))
        predictions = tuple(self._prediction(k, n) for k in wanted)
        return Plan(
            self.graph,
            placed.assignment,
            placed.layouts,
            placed.recorded,
            placed.costs,
            placed.step,
            predictions,
            _advice(n, predictions),
            self.profile,
            self.transport,
        )

    def best(self) -> Plan:
        """The plan for the number predicted to be fastest, up to the number of cores."""
        limit = min(self.profile.cores, max(1, len(self.hypergraph.groups)))
        numbers = [k for k in candidates(limit, self.profile.cores, limit) if k <= limit]
        predictions = [self._prediction(k, limit) for k in numbers]
        return self.plan(_fastest(predictions).partitions)

    def _place(self, n: int) -> _Placed:
        if n not in self.placed:
            word = self.profile.wires[self.transport]["word"]
            self.placed[n] = self._schedule(pt.place(self.graph, n, self.reads, self.hypergraph, word))
        return self.placed[n]

    def _schedule(self, assignment: Assignment) -> _Placed:
        layouts, recorded = schedule(self.graph, assignment, self.dtype)
        costs = tuple(layout_cost(layout, self.profile, self.transport) for layout in layouts)
        step = step_time(costs, self.profile, self.transport)
        return _Placed(assignment, tuple(layouts), tuple(recorded), costs, step)

    def _prediction(self, k: int, planned: int) -> Prediction:
        if k == planned or self.atoms <= EXACT_ATOMS:
            return Prediction(k, self._place(k).step, exact=True)
        return Prediction(k, estimate(self._place(planned), k, self.profile, self.transport), exact=False)


def _fastest(predictions: list[Prediction] | tuple[Prediction, ...]) -> Prediction:
    """The least number of partitions that is about as fast as the fastest."""
    bound = min(p.step for p in predictions) * (1 + INDIFFERENT)
    return next(p for p in sorted(predictions, key=lambda p: p.partitions) if p.step <= bound)


def _advice(n: int, predictions: tuple[Prediction, ...]) -> str:
    asked = next(p for p in predictions if p.partitions == n)
    fewer = [p for p in predictions if p.partitions <= n]
    best = _fastest(fewer)
    if best.partitions == n or best.step >= asked.step * (1 - INDIFFERENT):
        return ""
    return (
        f"{best.partitions} partition{'s' * (best.partitions != 1)} would be faster than {n}: "
        f"{best.step / 1e3:.3g} us per step instead of {asked.step / 1e3:.3g}; "
        f"use -n {best.partitions}, or -n auto"
    )


def _runs(graph: g.Graph, assignment: Assignment, partition: int) -> list[list[Any]]:
    """[path, first neuron, last neuron] of every run of neurons in a partition."""
    runs: list[list[Any]] = []
    for name, op in graph.nodes(g.Atom):
        if assignment.atoms[name] != partition:
            continue
        path, last = op.neurons.path, op.start + op.size - 1
        if runs and runs[-1][0] == path and runs[-1][2] == op.start - 1:
            runs[-1][2] = last
        else:
            runs.append([path, op.start, last])
    return runs


def _sums(graph: g.Graph, layout: la.Layout) -> list[list[Any]]:
    """[name, first row, size] of every exact sum in a partition's vector of partial sums."""
    return [[name, int(row), graph.op(name).size] for name, row in layout.sum_rows.items()]
