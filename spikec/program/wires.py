"""What crosses the cut: exact sums that one partition makes a part of and another needs, and how often they
are exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from spikec.program.stages import Ints

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
