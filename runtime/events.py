"""Spikes as the kernels record them (see `ops.record`): how many fit a buffer, and those of a probe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# More than the recordings of one partition can be.
SLOTS = 1 << 32


def event_capacity(neurons: int, chunk: int) -> int:
    """Columns of an events buffer: room for 10 % of the neurons to spike at every step, and for all of them
    in the last quarter of it.
    """
    return int(max(min(neurons * chunk // 10, 1 << 22), 4 * neurons))


def events_of(events: NDArray[np.int64], slot: int) -> NDArray[np.int64]:
    """The events (step * size + neuron) of one slot, each as often as the neuron spiked in the step."""
    found, spikes = events[0], np.ones(1, np.int64)
    if (events[1] != SLOTS + slot).any():
        here = events[1] % SLOTS == slot
        found, spikes = events[0, here], events[1, here] // SLOTS
    return np.repeat(found, spikes)
