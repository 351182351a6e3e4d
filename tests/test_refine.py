"""Refinement: groups of atoms leave the slowest partition, several at once, those first that cut least."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from partition_models import assigned, populations
from spike_runtime import manifest as mf

from spikec.planning import hypergraph as hg
from spikec.planning import partition as pt
from spikec.planning import profile
from spikec.planning.refine import refine
from spikec.program.schedule import Assignment

REFERENCE = profile.load("reference")
LINKS = [(k, k + 1) for k in range(39)]


@dataclass(frozen=True)
class _Placed:
    assignment: Assignment
    costs: tuple[mf.Cost, ...]

    @property
    def step(self) -> float:
        return max(c.total for c in self.costs)


def _refined(extra: float) -> tuple[_Placed, _Placed, int, hg.Hypergraph]:
    """A chain of 40 populations in two partitions; partition 1 has `extra` ns of work beside its atoms."""
    graph = populations(count=40, neurons=100, links=LINKS)
    who = hg.reads(graph)
    costs = pt.vertex_costs(graph, REFERENCE, "float32")
    hyper = hg.hypergraph(graph, who, costs)
    calls = 0

    def again(assignment: Assignment) -> _Placed:
        nonlocal calls
        calls += 1
        work = [0.0, extra]
        for name, block in assignment.atoms.items():
            work[block] += costs[name]
        return _Placed(assignment, tuple(mf.Cost({"NeuronGroup": ns}, 0.0) for ns in work))

    before = again(assigned(graph, 2, REFERENCE))
    after = refine(before, again, graph, hyper, who, 1.0)
    return before, after, calls - 1, hyper


def test_several_groups_move_at_once_until_the_partitions_are_balanced() -> None:
    before, after, tries, hyper = _refined(extra=600.0)
    assert before.costs[1].total - before.costs[0].total > 550
    assert abs(after.costs[1].total - after.costs[0].total) < 2.5 * max(hyper.weights)
    moved = [a for a, block in after.assignment.atoms.items() if block != before.assignment.atoms[a]]
    assert len(moved) > 3
    assert tries <= 4


def test_those_at_the_border_move() -> None:
    """A chain that is cut at one place still is."""
    before, after, _, hyper = _refined(extra=600.0)
    for placed in (before, after):
        blocks = [placed.assignment.atoms[names[0]] for names in hyper.groups]
        assert sum(a != b for a, b in itertools.pairwise(blocks)) == 1


def test_what_is_balanced_stays() -> None:
    before, after, tries, _ = _refined(extra=0.0)
    assert after is before
    assert tries == 0
