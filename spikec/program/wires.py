"""What crosses the cut: exact sums that one partition makes a part of and another needs, and how often they
are exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from spikec import graph as g
from spikec import projections as pj
from spikec.nef.neurons import DeltaLIF
from spikec.program.stages import Ints
from spikec.records import dataclass

# In steps, and in numbers of 64 bits: beyond, an exchange costs little, and messages leave the cache.
LONGEST_WINDOW, LONGEST_MESSAGE = 64, 1 << 14

# An exact sum, and its components that cross.
Crossing = tuple[str, Ints]


class Member(Protocol):
    """A partition; `produced` are the sums that its atoms add to."""

    index: int
    needed_sums: list[str]
    produced: dict[str, None]

    def rows(self, name: str) -> Ints:
        """Components of a signal that it needs."""

    def least_delay(self, name: str) -> int:
        """The least delay, in steps, with which it reads a signal."""


@dataclass(frozen=True, eq=False)
class Wires:
    """What crosses, by (source, target).  One message holds the sums of `window` steps."""

    crossing: Mapping[tuple[int, int], Sequence[Crossing]]
    window: int

    def sent(self, partition: int) -> dict[int, Sequence[Crossing]]:
        """By target, what a partition sends."""
        return {t: sums for (s, t), sums in sorted(self.crossing.items()) if s == partition}

    def received(self, partition: int) -> dict[int, Sequence[Crossing]]:
        """By source, what a partition receives."""
        return {s: sums for (s, t), sums in sorted(self.crossing.items()) if t == partition}


def wires(members: Sequence[Member]) -> Wires:
    """The wires between partitions.

    The window is the least delay with which anything that crosses is read: what another partition made in
    step n is then needed in step n + window at the earliest.
    """
    crossing: dict[tuple[int, int], list[Crossing]] = {}
    delays = [LONGEST_WINDOW]
    for target in members:
        for name in target.needed_sums:
            for source in members:
                if source is not target and name in source.produced:
                    crossing.setdefault((source.index, target.index), []).append((name, target.rows(name)))
                    delays.append(target.least_delay(name))
    words = max((sum(len(rows) for _, rows in sums) for sums in crossing.values()), default=LONGEST_MESSAGE)
    return Wires(crossing, max(1, min(*delays, LONGEST_MESSAGE // words)))


@dataclass(frozen=True, eq=False)
class SpikeWires:
    """Who sends its spikes to whom, by (source, target): 64-bit numbers of a message at the most.

    One message lists the spikes of `window` steps, the least delay of a projection across the cut.
    """

    words: Mapping[tuple[int, int], int]
    window: int

    def sent(self, partition: int) -> dict[int, int]:
        """By target, the words of a message."""
        return {t: words for (s, t), words in sorted(self.words.items()) if s == partition}

    def receives(self, partition: int) -> bool:
        return any(t == partition for _, t in self.words)


def spike_wires(graph: g.Graph, partition: Mapping[str, int]) -> SpikeWires:
    """The wires for lists of spikes; `partition` of every atom."""
    crossing: dict[tuple[int, int], None] = {}
    delays = [LONGEST_WINDOW]
    made: dict[int, list[g.Atom]] = {}
    for name, _ in graph.nodes(pj.Spikes):
        atoms = graph.inputs(name, "activity")
        for atom in atoms:
            made.setdefault(partition[atom], []).append(graph.op(atom))
        for projection in (r for r, _ in graph.readers(name) if isinstance(graph.op(r), pj.Projection)):
            targets = {partition[atom] for atom, _ in graph.readers(projection)}
            pairs = [(s, t) for s in sorted({partition[a] for a in atoms}) for t in sorted(targets) if s != t]
            crossing.update(dict.fromkeys(pairs))
            delays += [graph.op(projection).steps] * bool(pairs)
    window = min(delays)
    most = {p: sum(a.size * _most_spikes(a, window, graph.dt) for a in atoms) for p, atoms in made.items()}
    return SpikeWires({(s, t): 1 + most[s] for s, t in sorted(crossing)}, window)


def _most_spikes(atom: g.Atom, steps: int, dt: float) -> int:
    """How often a neuron can spike in so many steps: its refractory time lies between any two."""
    neuron = atom.neurons.neuron
    assert isinstance(neuron, DeltaLIF)
    return -(-steps // (1 + round(neuron.tau_ref / dt)))
