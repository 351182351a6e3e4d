"""What a partition hands to the recorder: numbers that it recorded over a span of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Block:
    """What one part of one probe recorded since the last block of that part.

    probe: number of the probe in `Manifest.probes`; part: number in `Probe.parts`.
    data, by the probe's kind: "value": samples x columns, float; "sum": samples x columns, int64;
    "events": k, int64, a number step * size + neuron for every spike, steps ascending.
    first_sample: number of the first row among all samples of the probe, from 0 (see
    `sampling`); 0 for events.

    Blocks may be left out where nothing was recorded: that a part is complete up to a step is told apart from
    them.
    """

    probe: int
    part: int
    first_sample: int
    data: NDArray[Any]
