"""What a partition records: its slots, and the buffers in which those that are alike lie together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count, pairwise, takewhile
from typing import Any

from numpy.typing import NDArray
from spike_runtime.manifest import Manifest


@dataclass(frozen=True)
class Alike:
    """The recordings of one buffer: their slots, and where the columns of each begin."""

    buffer: str
    slots: tuple[int, ...]
    starts: tuple[int, ...]


@dataclass(frozen=True)
class Slot:
    """A recording of this partition: the probe and part it belongs to, and its columns."""

    probe: int
    part: int
    kind: str
    columns: int
    every: float


def slots_of(manifest: Manifest, partition: int) -> list[Slot]:
    found = {
        part.slot: Slot(p, q, probe.kind, sum(b - a for a, b in part.ranges), probe.every)
        for p, probe in enumerate(manifest.probes)
        for q, part in enumerate(probe.parts)
        if part.partition == partition
    }
    return [found[k] for k in sorted(found)]


def alike(constants: Mapping[str, NDArray[Any]]) -> tuple[Alike, ...]:
    """The buffers of a partition."""
    names = (f"record_{k}" for k in count())
    return tuple(
        Alike(
            f"{name}_buffer", *(tuple(constants[f"{name}_{what}"].tolist()) for what in ("slots", "starts"))
        )
        for name in takewhile(lambda name: f"{name}_slots" in constants, names)
    )


def samples(state: Mapping[str, NDArray[Any]], buffers: Iterable[Alike]) -> dict[int, NDArray[Any]]:
    """The samples of every slot, as `spike_runtime.ops.record.Record` has them in its buffer."""
    found = {}
    for ones in buffers:
        buffer = state[ones.buffer]
        rows, flat = len(buffer), buffer.reshape(-1)
        for slot, (start, stop) in zip(ones.slots, pairwise(ones.starts), strict=True):
            found[slot] = flat[start * rows : stop * rows].reshape(rows, stop - start)
    return found


def ring_rows(ring: NDArray[Any], first: int, last: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows first .. last - 1 of a ring, no more than it has, in two pieces, the second where it begins again
    (to choose them row by row takes three times as long).
    """
    start = first % len(ring)
    rows = ring[start : start + last - first]
    return rows, ring[: last - first - len(rows)]
