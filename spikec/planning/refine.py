"""Refinement by exact costs: atoms move from the slowest partition to where the step becomes faster.

The partitioner balances what atoms cost, but a partition also computes what its atoms need (sums, transforms,
synapses), which depends on which atoms it has.  So groups of atoms worth about half the difference move from
the slowest partition to the fastest, those first by which the fewest numbers come on wires and the least
is computed twice; where that is not faster, half as much is tried.
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from spike_runtime import manifest as mf

from spikec import graph as g
from spikec.planning import hypergraph as hg
from spikec.planning.partition import probe_owners, renumbered
from spikec.program.schedule import Assignment

# Every try schedules the whole model again: this bounds the tries, and the atoms scheduled for them.
TRIES, ATOM_BUDGET = 16, 3000
# What a move must gain, as a part of the step; and from which difference to the mean on it is worth a try.
LEAST_GAIN, UNBALANCED = 0.005, 0.01
_FRACTIONS = 1 << 20  # of a ns: whole numbers, so that what is added and taken away again leaves nothing


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
    word: float,
    site_of: Sequence[int] | None = None,
) -> P:
    """`placed`, or a better placement found by moving groups of atoms out of the slowest partition.

    `again` schedules an assignment.  The number of tries depends on the size of the model alone.
    `word`: ns of a number on a wire.
    `site_of`: number of the host of every partition, ascending, where there are several.
    """
    tries = min(TRIES, ATOM_BUDGET // max(1, sum(len(names) for names in hyper.groups)))
    part = 1.0
    tried: set[tuple[int, ...]] = set()
    prices = hyper.prices(word)
    while tries > 0 and placed.assignment.partitions > 1:
        slow, fast, half = _slowest(placed)
        if not half:
            break
        blocks = [placed.assignment.atoms[names[0]] for names in hyper.groups]
        chosen = tuple(_chosen(hyper, prices, blocks, slow, fast, part * half))
        part /= 2
        if not chosen:
            break
        if chosen in tried:
            continue
        tried.add(chosen)
        tries -= 1
        for group in chosen:
            blocks[group] = fast
        better = again(_assignment(placed.assignment, graph, hyper, who, renumbered(blocks, site_of)))
        if _is_better(better, placed):
            placed, part, tried = better, 1.0, set()
    return placed


def _is_better(new: Placed, old: Placed) -> bool:
    """Whether the step is faster; or, where several partitions are the slowest, one less of them is."""
    if new.step < old.step * (1 - LEAST_GAIN):
        return True
    bound = max(c.total for c in old.costs) * (1 - LEAST_GAIN)
    slow_now, slow_before = (sum(c.total > bound for c in placed.costs) for placed in (new, old))
    return new.step <= old.step and slow_now < slow_before


def _slowest(placed: Placed) -> tuple[int, int, float]:
    """The slowest and the fastest partition, and half their difference in ns: 0 where they are balanced."""
    totals = [c.total for c in placed.costs]
    slow = max(range(len(totals)), key=lambda p: totals[p])
    fast = min(range(len(totals)), key=lambda p: totals[p])
    balanced = totals[slow] * (1 - UNBALANCED) < sum(totals) / len(totals)
    return slow, fast, 0.0 if balanced else (totals[slow] - totals[fast]) / 2


def _chosen(
    hyper: hg.Hypergraph, prices: Sequence[float], blocks: Sequence[int], slow: int, fast: int, amount: float
) -> list[int]:
    """Groups of block `slow` worth `amount` ns, or one that is nearest to it; one stays there at least.

    One after the other the group is taken of which the hyperedges cost least for what it is worth.
    """
    here = [k for k, block in enumerate(blocks) if block == slow]
    fitting = [k for k in here if hyper.weights[k] <= amount]
    if not fitting:
        options = [(hyper.weights[k], k) for k in here if hyper.weights[k] < 2 * amount]
        return [min(options)[1]] if options and len(here) > 1 else []
    edges = Edges(hyper, prices, blocks, slow, fast)

    def ranked(k: int) -> tuple[float, int]:
        return edges.added(k) / max(hyper.weights[k], 1.0), k

    queue = [ranked(k) for k in fitting]
    heapq.heapify(queue)
    left, worst = set(fitting), math.inf
    while queue and len(fitting) - len(left) < len(here) - 1:
        entry = heapq.heappop(queue)
        k = entry[1]
        if k not in left or entry != ranked(k):
            continue  # it moved, or what moved since has changed its rank: then it is in the queue again
        if entry[0] > worst:
            break
        if hyper.weights[k] > amount:
            worst = entry[0]  # only what is as good may fill the rest
            continue
        amount -= hyper.weights[k]
        left.discard(k)
        for other in edges.move(k) & left:
            heapq.heappush(queue, ranked(other))
    return [k for k in fitting if k not in left]


class Edges:
    """What moving each group from one block to the other adds by its hyperedges, while groups move."""

    def __init__(
        self, hyper: hg.Hypergraph, prices: Sequence[float], blocks: Sequence[int], slow: int, fast: int
    ) -> None:
        self._pins = hyper.pins
        self._prices = [round(price * _FRACTIONS) for price in prices]
        # Of every group; arrays, for together these are as long as all pins.
        self._of = [array(hg.kind(len(hyper.pins))) for _ in hyper.weights]
        self._slow, self._fast = [0] * len(hyper.pins), [0] * len(hyper.pins)
        self._added = [0] * len(hyper.weights)
        for edge, pins in enumerate(hyper.pins):
            for pin in pins:
                self._slow[edge] += blocks[pin] == slow
                self._fast[edge] += blocks[pin] == fast
                self._of[pin].append(edge)
            self._count(edge, 0)

    def added(self, group: int) -> float:
        """ns that moving a group adds by its hyperedges, or takes away where negative."""
        return self._added[group] / _FRACTIONS

    def move(self, group: int) -> set[int]:
        """Count a group as moved; returns the groups for which `added` has changed."""
        near: set[int] = set()
        for edge in self._of[group]:
            before = self._part(edge)
            self._slow[edge] -= 1
            self._fast[edge] += 1
            if self._count(edge, before):
                near.update(self._pins[edge])
        return near

    def _part(self, edge: int) -> int:
        """What moving any group adds: the price where it is the first, less it where it is the last."""
        return self._prices[edge] * ((self._fast[edge] == 0) - (self._slow[edge] == 1))

    def _count(self, edge: int, before: int) -> bool:
        """Count the change of an edge's part for all its groups; says whether there was one."""
        change = self._part(edge) - before
        if change:
            for pin in self._pins[edge]:
                self._added[pin] += change
        return bool(change)


def _assignment(
    old: Assignment, graph: g.Graph, hyper: hg.Hypergraph, who: hg.Reads, blocks: list[int]
) -> Assignment:
    """The assignment with every group in its block."""
    atoms = {name: block for names, block in zip(hyper.groups, blocks, strict=True) for name in names}
    atoms = {name: atoms[name] for name in old.atoms}
    return replace(old, atoms=atoms, probes=probe_owners(graph, who, atoms))
