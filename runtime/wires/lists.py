"""Messages of lists: the spikes of a window of steps, as many as there were, called from compiled code.

A message holds the number of the window's last step, how many spikes follow, and for each one number of 64
bits: how many steps before the last it was, times the number of populations, plus the population, in the
upper half; the neuron in the lower half.  Lists are kept in a history: see `spike_runtime.ops.spikes`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from spike_runtime.wires.atomics import compiled, load_acquire, now, store_release
from spike_runtime.wires.layout import (
    CLOCK,
    EXCHANGE_NS,
    HEAD,
    OWN,
    SLOTS,
    STOP,
    TAIL,
    WAITING_NS,
    WIRE,
)
from spike_runtime.wires.ring import STOPPED, WRONG, slot, wake_writers
from spike_runtime.wires.waiting import announce, missing, wait_for_messages, wait_for_space

Words = NDArray[np.int64]
_HALF = 32


@compiled
def publish(
    segment: Words, wires: Words, history: NDArray[np.int32], firsts: Words, window: int, step: int
) -> int:
    """Send the spikes of the steps up to `step`, where it is the last of a window, on every wire.

    Must come before the spikes of others join those rows of the history.  Gives 0, or `STOPPED`.
    """
    if step % window != 0 or wires.shape[0] == 0:
        return 0
    own = wires[0, OWN]
    start, waited = now(segment, own + CLOCK), segment[own + WAITING_NS]
    for w in range(wires.shape[0]):
        wire = wires[w]
        tail = segment[wire[TAIL]]
        if tail - load_acquire(segment, wire[HEAD]) >= wire[SLOTS]:
            announce(segment, wires[:w])
            if wait_for_space(segment, wire, tail, step):
                return STOPPED
        place = slot(wire, tail)
        segment[place] = step
        segment[place + 1] = _write(segment, place + 2, history, firsts, window, step)
        store_release(segment, wire[TAIL], tail + 1)
    announce(segment, wires)
    spent = now(segment, own + CLOCK) - start
    segment[own + EXCHANGE_NS] += spent - (segment[own + WAITING_NS] - waited)
    return 0


@compiled
def _write(
    segment: Words, place: int, history: NDArray[np.int32], firsts: Words, window: int, step: int
) -> int:
    """Put the spikes of a window into a message; gives how many they are."""
    count, populations = 0, firsts.shape[0]
    for late in range(window):
        row = history[(step - late) % history.shape[0]]
        for p in range(populations):
            upper = (late * populations + p) << _HALF
            for q in range(firsts[p], firsts[p] + row[p]):
                segment[place + count] = upper + row[q]
                count += 1
    return count


@compiled
def collect(
    segment: Words, wires: Words, history: NDArray[np.int32], firsts: Words, window: int, step: int
) -> int:
    """Append to the history what others sent of the window that ends with `step`, where one does.

    Waits until all messages have arrived.  Gives 0, or `STOPPED`, or a status that `wrong_wire` explains.
    """
    if step % window != 0 or step == 0 or wires.shape[0] == 0:
        return 0
    if load_acquire(segment, STOP) != 0:
        return STOPPED
    own = wires[0, OWN]
    if missing(segment, wires) > 0 and wait_for_messages(segment, wires, step):
        return STOPPED
    start = now(segment, own + CLOCK)
    for w in range(wires.shape[0]):
        wire = wires[w]
        head = segment[wire[HEAD]]
        place = slot(wire, head)
        if segment[place] != step:
            return int(WRONG - wire[WIRE])
        for i in range(place + 2, place + 2 + segment[place + 1]):
            late, p = divmod(segment[i] >> _HALF, firsts.shape[0])
            row = history[(step - late) % history.shape[0]]
            row[firsts[p] + row[p]] = segment[i] & 0xFFFFFFFF
            row[p] += 1
        store_release(segment, wire[HEAD], head + 1)
    wake_writers(segment, wires)
    segment[own + EXCHANGE_NS] += now(segment, own + CLOCK) - start
    return 0
