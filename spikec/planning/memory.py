"""What a step brings from beyond a core's own cache, where the arrays of its neurons do not stay there.

Processors foresee addresses that follow each other, and fetch them while a kernel computes: of 1-D neurons
24 MB cost next to nothing.  Encoders of several dimensions are read in rows of one atom side by side, too
many and too short to be foreseen; of decoders that are gathered any row may be next.  So bytes have a cost,
and those of rows side by side another one beside it, both measured at several sizes of arrays.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spikec.planning.activity import atom_spikes, atom_table
from spikec.planning.profile import Kernels
from spikec.program import layout as la
from spikec.records import dataclass

# Part of a cache that holds what is walked through: pages share its sets unevenly.
HELD = 0.9
# Bytes that come at a time.
LINE = 64


@dataclass(frozen=True)
class Walk:
    """Bytes of neurons' arrays and learned weights.

    `size`: of all that a step may read; `bytes`: what it walks through; `rows`: those of it in rows side by
    side.
    """

    size: float
    bytes: float
    rows: float

    def far(self, kernels: Kernels, cache: float) -> float:
        """ns of what is not in a cache of so many bytes when it is needed again."""
        byte, row = kernels.outside(self.size)
        return missing(self.size, cache) * (byte * self.bytes + row * self.rows)

    def part(self, k: int) -> Walk:
        """One of k equal parts."""
        return Walk(self.size / k, self.bytes / k, self.rows / k)


def missing(size: float, cache: float) -> float:
    """Part of `size` bytes, walked through once per step, that is not in the cache when it is needed
    again.  Steps take turns in their direction, so that what was used last is needed first.
    """
    return 1.0 - min(1.0, HELD * cache / max(size, 1.0))


def walk(layouts: Iterable[la.Layout]) -> Walk:
    """What a step of these partitions walks through."""
    size = walked = rows = 0.0
    for stage in (stage for layout in layouts for stage in layout.stages):
        if isinstance(stage, la.NeuronGroup):
            decoders = stage.joined["decoders"]
            read, beside = _decoders_and_rows(stage, decoders.dtype.itemsize)
            size += stage.nbytes
            walked += stage.nbytes - decoders.nbytes + read
            rows += beside
        elif isinstance(stage, (la.Learning, la.Traces)):
            weights = sum(v.nbytes for v in stage.state.values())
            size += weights + sum(v.nbytes for v in stage.arrays.values())
            walked += weights
    return Walk(size, walked, rows)


def _decoders_and_rows(stage: la.NeuronGroup, itemsize: int) -> tuple[float, float]:
    """Bytes of decoders that are read: all, or the lines with the rows of neurons that spike.  And bytes of
    rows side by side: all but the first of encoders and of decoders.
    """
    count, dims, rows, gather, _ = atom_table(stage).T
    dense = count * rows * itemsize * (1 - gather)
    gathered = atom_spikes(stage) * -(-rows * itemsize // LINE) * LINE
    beside = np.maximum(dims - 1, 0) + np.maximum(rows - 1, 0) * (1 - gather)
    return float((dense + gathered).sum()), float((count * beside * itemsize + gathered).sum())
