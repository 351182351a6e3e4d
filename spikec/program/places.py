"""Where things are: atoms and probes in partitions, signals in the vectors of a program."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spikec.program.stages import Ints


@dataclass(frozen=True)
class Recorded:
    """A probe's part in one partition: its slot there and, by component, the columns it holds."""

    probe: str
    partition: int
    slot: int
    columns: Ints


@dataclass(frozen=True)
class Assignment:
    """Partition of every atom, and of every probe that records a value."""

    partitions: int
    atoms: dict[str, int]
    probes: dict[str, int]


@dataclass
class Places:
    """Places of signals in one vector: a place for every component, -1 where it is not there."""

    length: int = 0
    of: dict[str, Ints] = field(default_factory=dict)

    def append(self, name: str, rows: Ints, size: int, places: Ints | None = None) -> None:
        """Put the components `rows` of a signal at the end, or at `places` counted from the end."""
        where = np.full(size, -1, np.int64)
        where[rows] = self.length + (np.arange(len(rows)) if places is None else places)
        self.of[name] = where
        self.length += len(rows) if places is None else 0
