"""Refinement by exact costs: atoms move from the slowest partition to where the step becomes faster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from spike_runtime import manifest as mf

from spikec import graph as g
from spikec.planning import hypergraph as hg
from spikec.planning.partition import probe_owners, renumbered
from spikec.program.schedule import Assignment

# Every try schedules the whole model again: this bounds the neurons and atoms scheduled for it.
TRIES, ATOM_BUDGET = 16, 1500
# What a move must gain, as a part of the step; and from which difference to the mean on it is worth a try.
LEAST_GAIN, UNBALANCED = 0.005, 0.01


class Placed(Protocol):
    @property
    def assignment(self) -> Assignment: ...

    @property
    def costs(self) -> tuple[mf.Cost, ...]: ...

    @property
    def step(self) -> float: ...


P = TypeVar("P", bound=Placed)


def refine(
    placed: P,
    again: Callable[[Assignment], P],
    graph: g.Graph,
    hyper: hg.Hypergraph,
    who: hg.Reads,
    site_of: Sequence[int] | None = None,
) -> P:
    """`placed`, or a better placement found by moving groups of atoms out of the slowest partition.

    `again` schedules an assignment.  The number of tries depends on the size of the model alone.
    `site_of`: number of the host of every partition, ascending, where there are several.
    """
    tries = min(TRIES, ATOM_BUDGET // max(1, sum(len(names) for names in hyper.groups)))
    n = placed.assignment.partitions
    tried: set[tuple[int, int]] = set()
    while tries > 0 and n > 1:
        move = _move(placed, hyper, tried)
        if move is None:
            break
        tried.add(move)
        tries -= 1
        better = again(_moved(placed.assignment, graph, hyper, who, move, site_of))
        if _is_better(better, placed):
            placed = better
            tried = set()
    return placed


def _is_better(new: Placed, old: Placed) -> bool:
    """Whether the step is faster; or, where several partitions are the slowest, one less of them is."""
    if new.step < old.step * (1 - LEAST_GAIN):
        return True
    bound = max(c.total for c in old.costs) * (1 - LEAST_GAIN)
    slow_now, slow_before = (sum(c.total > bound for c in placed.costs) for placed in (new, old))
    return new.step <= old.step and slow_now < slow_before


def _move(placed: Placed, hyper: hg.Hypergraph, tried: set[tuple[int, int]]) -> tuple[int, int] | None:
    """(group, partition) of the next move to try: from the slowest to the fastest, nearest to half their
    difference.
    """
    totals = [c.total for c in placed.costs]
    slow = max(range(len(totals)), key=lambda p: totals[p])
    fast = min(range(len(totals)), key=lambda p: totals[p])
    if totals[slow] * (1 - UNBALANCED) < sum(totals) / len(totals):
        return None
    half = (totals[slow] - totals[fast]) / 2
    here = [k for k, names in enumerate(hyper.groups) if placed.assignment.atoms[names[0]] == slow]
    options = [(abs(hyper.weights[k] - half), k) for k in here if hyper.weights[k] < 2 * half]
    options = [(distance, k) for distance, k in options if (k, fast) not in tried]
    if len(here) < 2 or not options:
        return None
    return min(options)[1], fast


def _moved(
    assignment: Assignment,
    graph: g.Graph,
    hyper: hg.Hypergraph,
    who: hg.Reads,
    move: tuple[int, int],
    site_of: Sequence[int] | None,
) -> Assignment:
    group, target = move
    atoms = assignment.atoms | dict.fromkeys(hyper.groups[group], target)
    blocks = renumbered([atoms[names[0]] for names in hyper.groups], site_of)
    atoms = {name: block for names, block in zip(hyper.groups, blocks, strict=True) for name in names}
    atoms = {name: atoms[name] for name in assignment.atoms}
    return replace(assignment, atoms=atoms, probes=probe_owners(graph, who, atoms))
