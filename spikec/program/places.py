"""Where things are: atoms and probes in partitions, signals in the vectors of a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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

    def __init__(self, size: Callable[[str], int]) -> None:
        """`size`: how many components a signal has."""
        self.length, self._size = 0, size
        self._of: dict[str, int | Ints] = {}

    def __getitem__(self, name: str) -> Ints:
        places = self._of[name]
        return np.arange(places, places + self._size(name)) if isinstance(places, int) else places

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)

    def __contains__(self, name: object) -> bool:
        return name in self._of

    def first(self, name: str) -> int:
        """The place of the first component."""
        places = self._of[name]
        return places if isinstance(places, int) else int(places[0])

    def append(self, name: str, rows: Ints, places: Ints | None = None) -> None:
        """Put the components `rows` of a signal at the end, or at `places` counted from the end."""
        size = self._size(name)
        if places is None and len(rows) == size:
            self._of[name] = self.length
        else:
            where = np.full(size, -1, np.int64)
            where[rows] = self.length + (np.arange(len(rows)) if places is None else places)
            self._of[name] = where
        self.length += len(rows) if places is None else 0
