"""Where things are: atoms and probes in partitions, signals in the vectors of a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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


class Places(Mapping[str, Ints]):
    """Places of signals in one vector: a place for every component, -1 where it is not there.

    Nearly all signals stand there whole and in order.  Of these only the first place is kept.
    """

    def __init__(self) -> None:
        self.length = 0
        self._of: dict[str, Ints | range] = {}

    def __getitem__(self, name: str) -> Ints:
        places = self._of[name]
        return np.arange(places.start, places.stop) if isinstance(places, range) else places

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)

    def __contains__(self, name: object) -> bool:
        return name in self._of

    def append(self, name: str, rows: Ints, size: int, places: Ints | None = None) -> None:
        """Put the components `rows` of a signal at the end, or at `places` counted from the end."""
        if places is None and len(rows) == size:
            self._of[name] = range(self.length, self.length + size)
        else:
            where = np.full(size, -1, np.int64)
            where[rows] = self.length + (np.arange(len(rows)) if places is None else places)
            self._of[name] = where
        self.length += len(rows) if places is None else 0
