"""The plan of a compilation, frozen: what is where, what it will cost, how other plans compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from spike_runtime import manifest as mf

from spikec import graph as g
from spikec.cache import Cache
from spikec.planning import flow
from spikec.planning import hypergraph as hg
from spikec.planning import partition as pt
from spikec.planning.cost import step_time
from spikec.planning.divider import Divider
from spikec.planning.picture import picture
from spikec.planning.predict import Prediction, candidates, estimate
from spikec.planning.profile import HostProfile
from spikec.planning.recording import beside, recording_cost
from spikec.planning.refine import refine
from spikec.planning.replicas import component_costs
from spikec.planning.sites import BETWEEN_HOSTS, Site, Spread, spread
from spikec.program import layout as la
from spikec.program.schedule import Assignment, Recorded, schedule
from spikec.records import dataclass

# Up to this many atoms, fewer partitions are planned in full where the estimate is not this much slower.
EXACT_ATOMS, CLEARLY_SLOWER = 1500, 1.35
# Fewer partitions are advised, or chosen, where they are at most this much slower than the best: what
# disturbs a machine disturbs several partitions more, for they wait for each other.  With neighbours at work
# medians of one partition were 7 % above what was predicted, and of two 14 % (minima of both as predicted).
INDIFFERENT = 0.05


@dataclass(frozen=True, eq=False)
class Plan:
    """Where everything is and what it costs.

    `costs`: predicted ns per step of each partition; `step`: predicted ns of a step of the whole;
    `recording`: ns of a processor per step that recording takes beside the partitions, part of `step` where
    they leave it no core; `predictions`: the same for other numbers of partitions; `advice`: what to do
    differently, "" if nothing; `spread`: the hosts and which partitions are on each.
    """

    graph: g.Graph
    assignment: Assignment
    layouts: tuple[la.Layout, ...]
    recorded: tuple[Recorded, ...]
    costs: tuple[mf.Cost, ...]
    step: float
    recording: float
    predictions: tuple[Prediction, ...]
    advice: str
    spread: Spread

    def summary(self) -> dict[str, Any]:
        """What the manifest keeps of the plan: plain values only, the same for the same model and profile."""
        compute = [sum(c.compute.values()) for c in self.costs]
        mean = sum(compute) / len(compute)
        return {
            "profile": _profile(self.spread.sites[0]),
            **({"hosts": [_profile(site) for site in self.spread.sites]} if self.spread.hosts else {}),
            "transport": self.spread.transport,
            "step_us": round(self.step / 1e3, 3),
            "recording_us": round(self.recording / 1e3, 3),
            "balance": round(max(compute) / mean, 4) if mean else 1.0,
            "cut_bytes": 8 * sum(len(rows) for layout in self.layouts for rows in layout.send.values()),
            "predictions": [p.entry() for p in self.predictions],
            "advice": self.advice,
            "atoms": {str(p): _runs(self.graph, self.assignment, p) for p in range(len(self.layouts))},
            "sums": {str(layout.partition): _sums(self.graph, layout) for layout in self.layouts},
            "graph": picture(self.graph, self.assignment),
        }


def _profile(site: Site) -> dict[str, Any]:
    about = {"name": site.profile.name, "digest": site.profile.digest, "cores": site.profile.cores}
    return about | ({"host": site.host.name} if site.host else {})


def make_plan(
    graph: g.Graph,
    n: int | str,
    host: HostProfile | Sequence[Site],
    dtype: str,
    transport: str = "ring",
    cache: Cache | None = None,
) -> Plan:
    """The plan of a split graph for `n` partitions, or for the number that is predicted to be fastest
    ("auto"), on one host, given by its profile, or over several.

    n partitions use all hosts, "auto" the first so many as are predicted to be fastest.  `cache` keeps what
    the partitioner gave.  Raises `ModelError` where the model cannot be cut into n.
    """
    sites = (Site(host),) if isinstance(host, HostProfile) else tuple(host)
    with Divider(cache) as divider:
        planner = _Planner(graph, sites, dtype, transport, divider)
        return planner.best() if n == "auto" else planner.plan(int(n), len(sites))


def assignment(graph: g.Graph, n: int, host: HostProfile, dtype: str) -> Assignment:
    """Where a plan for one host has everything; no other number of partitions is looked at."""
    with Divider() as divider:
        return _Planner(graph, (Site(host),), dtype, "ring", divider).refined(n).assignment


@dataclass(frozen=True, eq=False)
class _Cuts:
    """What a plan may cut."""

    reads: hg.Reads
    hypergraph: hg.Hypergraph


@dataclass(frozen=True, eq=False)
class _Placed:
    cuts: _Cuts | None
    assignment: Assignment
    layouts: tuple[la.Layout, ...]
    recorded: tuple[Recorded, ...]
    costs: tuple[mf.Cost, ...]
    step: float
    recording: float


class _Planner:
    """Plans one graph for several numbers of partitions, and of hosts: the first so many of `sites`."""

    def __init__(
        self,
        graph: g.Graph,
        sites: tuple[Site, ...],
        dtype: str,
        transport: str,
        divider: Divider,
    ) -> None:
        self.graph, self.sites, self.dtype, self.transport = graph, sites, dtype, transport
        self.divider = divider
        self.atoms = sum(1 for _ in graph.nodes(g.PLACED))
        self.placed: dict[tuple[int, int], _Placed] = {}
        self.final: dict[tuple[int, int], _Placed] = {}
        self.cuts: dict[int, _Cuts] = {}

    @cached_property
    def weights(self) -> list[dict[str, float]]:
        return [pt.vertex_costs(self.graph, site.profile, self.dtype) for site in self.sites]

    def cuts_of(self, window: int) -> _Cuts:
        """Cuts across which nothing is read less than `window` steps later."""
        if window not in self.cuts:
            reads = hg.reads(self.graph, window)
            replicas = component_costs(self.graph, self.sites[0].profile.kernels[self.dtype].stages)
            self.cuts[window] = _Cuts(reads, hg.hypergraph(self.graph, reads, self.weights[0], replicas))
        return self.cuts[window]

    @cached_property
    def groups(self) -> int:
        """How many groups of atoms there are: no model can be cut into more partitions."""
        return self.atoms if hg.separable(self.graph) else len(self.cuts_of(1).hypergraph.groups)

    def refined(self, n: int, hosts: int = 1) -> _Placed:
        """The best placement that is found, whatever other numbers of partitions would give."""
        if (n, hosts) not in self.final:
            self.final[n, hosts] = self._refined(n, hosts)
        return self.final[n, hosts]

    def _refined(self, n: int, hosts: int) -> _Placed:
        made = spread(n, self.sites[:hosts], self.transport)
        placed = self._place(n, hosts)
        if not (cuts := placed.cuts):
            return placed
        return refine(
            placed,
            lambda assignment: self._schedule(assignment, made, cuts),
            self.graph,
            cuts.hypergraph,
            cuts.reads,
            self._word(hosts),
            made.site_of if hosts > 1 else None,
        )

    def plan(self, n: int, hosts: int) -> Plan:
        hosts = min(hosts, max(1, n))
        made = spread(n, self.sites[:hosts], self.transport)
        self.placed[n, hosts] = placed = self.refined(n, hosts)
        predictions = tuple(self._prediction(k, m, n, hosts) for k, m in self._wanted(n, hosts))
        return Plan(
            self.graph,
            placed.assignment,
            placed.layouts,
            placed.recorded,
            placed.costs,
            placed.step,
            placed.recording,
            predictions,
            _advice(n, hosts, predictions),
            made,
        )

    def best(self) -> Plan:
        """The plan for the number predicted to be fastest, up to the number of cores of the hosts used."""
        limit = min(self.sites[0].profile.cores, max(1, self.groups))
        numbers = [(k, m) for k, m in self._wanted(limit, 1) if m > 1 or k <= limit]
        if self.atoms <= EXACT_ATOMS:
            tried = [self._planned(k, m) for k, m in numbers]
            bound = min(p.step for p in tried) * CLEARLY_SLOWER
            # As it would be: what refining gains may decide.
            refined = [(self.refined(*_size(p)).step, p) for p in tried if p.step < bound]
            best = _fastest([replace(p, step=step) for step, p in refined])
        else:
            best = _fastest([self._prediction(k, m, limit, 1) for k, m in numbers])
        return self.plan(best.partitions, best.hosts)

    def _wanted(self, n: int, hosts: int) -> list[tuple[int, int]]:
        """(partitions, hosts) worth comparing with n on so many hosts: see `candidates`; all cores of more
        hosts.
        """
        groups, cores = self.groups, [site.profile.cores for site in self.sites]
        one = [(k, 1) for k in candidates(n if hosts == 1 else 1, cores[0], groups)]
        more = [(min(sum(cores[:m]), groups), m) for m in range(2, len(cores) + 1) if m <= groups]
        return sorted({*one, *more, (n, hosts)})

    def _place(self, n: int, hosts: int) -> _Placed:
        if (n, hosts) not in self.placed:
            made = spread(n, self.sites[:hosts], self.transport)
            if n == 1:
                return self.placed.setdefault((n, hosts), self._schedule(pt.whole(self.graph), made, None))
            tried = [self.cuts_of(window) for window in (1, *hg.windows(self.graph))]
            possible = [cuts for k, cuts in enumerate(tried) if k == 0 or len(cuts.hypergraph.groups) >= n]
            placed = [self._schedule(self._assignment(n, hosts, made, cuts), made, cuts) for cuts in possible]
            if along := self._along(n, hosts, tried[0]):
                placed.append(self._schedule(along, made, tried[0]))
            self.placed[n, hosts] = min(placed, key=lambda p: p.step)
        return self.placed[n, hosts]

    def _assignment(self, n: int, hosts: int, made: Spread, cuts: _Cuts) -> Assignment:
        totals = [max(sum(w.values()), 1e-9) for w in self.weights]
        shares = [pt.Share(count, totals[0] / totals[k]) for k, count in enumerate(made.counts)]
        return pt.place(self.graph, n, cuts.reads, cuts.hypergraph, self._word(hosts), self.divider, shares)

    def _along(self, n: int, hosts: int, cuts: _Cuts) -> Assignment | None:
        """Cut along the flow of the model, where that is a different cut and the model is not too large."""
        if hosts > 1 or self.atoms > EXACT_ATOMS or not 1 < n <= len(cuts.hypergraph.groups):
            return None
        blocks = flow.blocks(self.graph, cuts.reads, cuts.hypergraph, n, self._word(hosts))
        if blocks is None:
            return None
        return pt.assigned(self.graph, n, cuts.reads, cuts.hypergraph, pt.renumbered(blocks))

    def _word(self, hosts: int) -> float:
        """ns of a number on a wire."""
        return self.sites[0].profile.wires[self.transport if hosts == 1 else BETWEEN_HOSTS]["word"]

    def _schedule(self, assignment: Assignment, made: Spread, cuts: _Cuts | None) -> _Placed:
        layouts, recorded = schedule(self.graph, assignment, self.dtype)
        costs = made.costs(layouts)
        profile = self.sites[0].profile
        recording = recording_cost(self.graph, layouts, profile)
        step = beside(made.step(costs), recording, made.counts[0], profile.cores)
        return _Placed(cuts, assignment, tuple(layouts), tuple(recorded), costs, step, recording)

    def _prediction(self, k: int, m: int, planned: int, hosts: int) -> Prediction:
        """With k partitions on m hosts: planned in full where that may be the advice, else estimated."""
        if m > 1 or (k, m) in self.placed:
            return self._planned(k, m)
        made = self._place(planned, hosts)
        profile = self.sites[0].profile

        def rough(cores: int) -> float:
            step = estimate(made, k, replace(profile, cores=cores), self.transport)
            return beside(step, made.recording, k, cores)

        step = rough(profile.cores)
        if k < planned and self.atoms <= EXACT_ATOMS and step < made.step * CLEARLY_SLOWER:
            return self._planned(k, m)
        return Prediction(k, step, exact=False, cored=rough(max(k, profile.cores)))

    def _planned(self, k: int, m: int) -> Prediction:
        placed, cored = self._place(k, m), None
        if m == 1:
            profile = self.sites[0].profile
            cores = max(k, profile.cores)
            step = step_time(placed.costs, replace(profile, cores=cores), self.transport)
            cored = beside(step, placed.recording, k, cores)
        return Prediction(k, placed.step, exact=True, hosts=m, cored=cored)


def _fastest(predictions: Sequence[Prediction]) -> Prediction:
    """The least number of partitions, on the fewest hosts, that is about as fast as the fastest."""
    bound = min(p.step for p in predictions) * (1 + INDIFFERENT)
    return next(p for p in sorted(predictions, key=_size) if p.step <= bound)


def _size(prediction: Prediction) -> tuple[int, int]:
    return prediction.partitions, prediction.hosts


def _advice(n: int, hosts: int, predictions: tuple[Prediction, ...]) -> str:
    asked = next(p for p in predictions if _size(p) == (n, hosts))
    best = _fastest([p for p in predictions if p.partitions <= n and p.hosts <= hosts])
    if best is asked or best.step >= asked.step * (1 - INDIFFERENT):
        return ""
    on = f" on {best.hosts} host{'s' * (best.hosts != 1)}" if hosts > 1 else ""
    remedy = f"-n {best.partitions}" if hosts == 1 else f"the first {best.hosts} of the hosts file"
    return (
        f"{best.partitions} partition{'s' * (best.partitions != 1)}{on} would be faster than {n}: "
        f"{best.step / 1e3:.3g} us per step instead of {asked.step / 1e3:.3g}; "
        f"use {remedy}, or -n auto"
    )


def _runs(graph: g.Graph, assignment: Assignment, partition: int) -> list[list[Any]]:
    """[path, first neuron, last neuron] of every run of neurons in a partition."""
    runs: list[list[Any]] = []
    for name, op in graph.nodes(g.Atom):
        if assignment.atoms[name] != partition:
            continue
        path, last = op.path, op.start + op.size - 1
        if runs and runs[-1][0] == path and runs[-1][2] == op.start - 1:
            runs[-1][2] = last
        else:
            runs.append([path, op.start, last])
    return runs


def _sums(graph: g.Graph, layout: la.Layout) -> list[list[Any]]:
    """[name, first row, size] of every exact sum in a partition's vector of partial sums."""
    return [[name, int(row), graph.op(name).size] for name, row in layout.sum_rows.items()]
