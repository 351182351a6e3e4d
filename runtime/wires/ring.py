"""Rings in shared memory: lock-free queues of one writer and one reader, called from compiled code.

A message holds the number of its step and the wire's words.  The writer fills the slot at `tail`, then stores
tail + 1 (release); the reader sees tail (acquire), adds the words to its totals, then stores head + 1.

Who has nothing to do spins for a moment, gives way for another, then sleeps until its BELL rings.
A reader asks to be woken when as many messages have arrived (ARRIVALS) as it still lacks (TARGET), not at
each: with many partitions on few cores this is one change of process for each partition and step instead
of one for each wire.  It cannot miss its bell: it stores TARGET, then reads ARRIVALS; a writer adds to
ARRIVALS, then reads TARGET; all four in one total order.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray
from spike_runtime.wires.atomics import (
    fetch_add,
    give_way,
    load_acquire,
    load_ordered,
    now,
    pause,
    sleep_while,
    store_ordered,
    store_release,
    wake,
)
from spike_runtime.wires.layout import (
    ARRIVALS,
    BELL,
    CLOCK,
    EXCHANGE_NS,
    FIRST,
    HEAD,
    OWN,
    PAYLOAD,
    PEER,
    PROGRESS,
    SLOTS,
    SPACE,
    SPIN,
    STOP,
    TAIL,
    TARGET,
    TIMEOUT,
    WAIT_STEP,
    WAIT_WIRE,
    WAITING_NS,
    WIRE,
    WORDS,
    YIELD,
    Ring,
    SegmentLayout,
    in_wire_table,
    out_wire_table,
    prepare,
    segment_layout,
)

__all__ = [
    "STOPPED",
    "Ring",
    "SegmentLayout",
    "collect",
    "in_wire_table",
    "out_wire_table",
    "prepare",
    "publish",
    "segment_layout",
    "take",
    "wrong_wire",
]

STOPPED = -1
_WRONG = -2
# The exchange's own time is measured in one step of this many: reading the clock would be most of it.
_SAMPLE = 1

Words = NDArray[np.int64]
_jit: Any = nb.njit(cache=True, nogil=True)


def wrong_wire(status: int) -> int | None:
    """Number of the wire whose message bore another step's number, where `status` says so."""
    return _WRONG - status if status <= _WRONG else None


@_jit
def publish(segment: Words, wires: Words, rows: Words, sums: Words, step: int) -> int:
    """Send sums[rows[FIRST : FIRST + WORDS]] on every wire (row of the table) as the message of `step`.

    Waits where a ring is full.  Gives 0, or `STOPPED`.
    """
    if wires.shape[0] == 0:
        return 0
    own = wires[0, OWN]
    sampled = step % _SAMPLE == 0
    if sampled:
        start, waited = now(segment, own + CLOCK), segment[own + WAITING_NS]
    for w in range(wires.shape[0]):
        wire = wires[w]
        tail = segment[wire[TAIL]]
        if tail - load_acquire(segment, wire[HEAD]) >= wire[SLOTS] and _wait_for_space(
            segment, wire, tail, step
        ):
            return STOPPED
        place = wire[PAYLOAD] + (tail & (wire[SLOTS] - 1)) * (1 + wire[WORDS])
        segment[place] = step
        for i in range(wire[WORDS]):
            segment[place + 1 + i] = sums[rows[wire[FIRST] + i]]
        store_release(segment, wire[TAIL], tail + 1)
        _announce(segment, wire[PEER])
    if sampled:
        spent = now(segment, own + CLOCK) - start - (segment[own + WAITING_NS] - waited)
        segment[own + EXCHANGE_NS] += spent * _SAMPLE
    return 0


@_jit
def collect(segment: Words, wires: Words, rows: Words, totals: Words, step: int) -> int:
    """totals[rows[FIRST : FIRST + WORDS]] += the message of `step`, for every wire (row of the table).

    Waits until all have arrived.  Gives 0, or `STOPPED`, or a status that `wrong_wire` explains.
    """
    if load_acquire(segment, STOP) != 0:
        return STOPPED
    if wires.shape[0] == 0:
        return 0
    own = wires[0, OWN]
    sampled = step % _SAMPLE == 0
    if _missing(segment, wires) > 0 and _wait_for_messages(segment, wires, step):
        return STOPPED
    if sampled:
        start = now(segment, own + CLOCK)
    for w in range(wires.shape[0]):
        wire = wires[w]
        head = segment[wire[HEAD]]
        place = wire[PAYLOAD] + (head & (wire[SLOTS] - 1)) * (1 + wire[WORDS])
        if segment[place] != step:
            return _WRONG - wire[WIRE]
        for i in range(wire[WORDS]):
            totals[rows[wire[FIRST] + i]] += segment[place + 1 + i]
        _release(segment, wire, head)
    if sampled:
        segment[own + EXCHANGE_NS] += (now(segment, own + CLOCK) - start) * _SAMPLE
    store_release(segment, own + PROGRESS, step)
    return 0


@_jit
def take(segment: Words, wires: Words, message: Words) -> int:
    """Move the next message of any of `wires` into `message` (step, words ...), waiting for it.

    Gives the row of the table that it came from, or `STOPPED`.
    """
    while load_acquire(segment, STOP) == 0:
        for w in range(wires.shape[0]):
            wire = wires[w]
            head = segment[wire[HEAD]]
            if load_acquire(segment, wire[TAIL]) > head:
                size = 1 + wire[WORDS]
                place = wire[PAYLOAD] + (head & (wire[SLOTS] - 1)) * size
                message[:size] = segment[place : place + size]
                _release(segment, wire, head)
                return w
        _sleep_for_messages(segment, wires, 1)
    return STOPPED


@_jit
def _linger(segment: Words, patience: int) -> None:
    """Spin while more patience is left than for giving way."""
    if patience >= segment[YIELD]:
        pause()
    else:
        give_way()


@_jit
def _missing(segment: Words, wires: Words) -> int:
    """How many of the wires have no message."""
    missing = 0
    for w in range(wires.shape[0]):
        missing += load_acquire(segment, wires[w, TAIL]) <= segment[wires[w, HEAD]]
    return missing


@_jit
def _first_missing(segment: Words, wires: Words) -> int:
    for w in range(wires.shape[0]):
        if load_acquire(segment, wires[w, TAIL]) <= segment[wires[w, HEAD]]:
            return wires[w, WIRE]
    return -1


@_jit
def _wait_for_messages(segment: Words, wires: Words, step: int) -> bool:
    """Wait until every wire has a message; True where the run was stopped before."""
    own = wires[0, OWN]
    start = now(segment, own + CLOCK)
    patience = segment[SPIN] + segment[YIELD]
    while _missing(segment, wires) > 0 and load_acquire(segment, STOP) == 0:
        if patience > 0:
            patience -= 1
            _linger(segment, patience)
            continue
        segment[own + WAIT_STEP] = step
        store_release(segment, own + WAIT_WIRE, 1 + _first_missing(segment, wires))
        _sleep_for_messages(segment, wires, wires.shape[0])
    store_release(segment, own + WAIT_WIRE, 0)
    segment[own + WAITING_NS] += now(segment, own + CLOCK) - start
    return _missing(segment, wires) > 0


@_jit
def _sleep_for_messages(segment: Words, wires: Words, most: int) -> None:
    """Sleep until as many messages have come as the wires lack, or `most`, where that is less."""
    own = wires[0, OWN]
    arrivals = load_ordered(segment, own + ARRIVALS)
    missing = _missing(segment, wires)
    if missing == 0 or (missing < wires.shape[0] and most == 1):
        return
    target = arrivals + min(missing, most)
    store_ordered(segment, own + TARGET, target)
    bell = load_ordered(segment, own + BELL)
    if load_ordered(segment, own + ARRIVALS) < target:
        sleep_while(segment, own + BELL, bell, TIMEOUT)
    store_ordered(segment, own + TARGET, 0)


@_jit
def _announce(segment: Words, reader: int) -> None:
    """Count a message for its reader, and wake it where it sleeps and lacks nothing more."""
    arrivals = fetch_add(segment, reader + ARRIVALS, 1) + 1
    target = load_ordered(segment, reader + TARGET)
    if 0 < target <= arrivals:
        _ring_bell(segment, reader)


@_jit
def _ring_bell(segment: Words, member: int) -> None:
    fetch_add(segment, member + BELL, 1)
    wake(segment, member + BELL)


@_jit
def _wait_for_space(segment: Words, wire: Words, tail: int, step: int) -> bool:
    """Wait until the ring has a free slot; True where the run was stopped before."""
    own = wire[OWN]
    start = now(segment, own + CLOCK)
    patience = segment[SPIN] + segment[YIELD]
    while tail - load_acquire(segment, wire[HEAD]) >= wire[SLOTS] and load_acquire(segment, STOP) == 0:
        if patience > 0:
            patience -= 1
            _linger(segment, patience)
            continue
        store_ordered(segment, own + SPACE, 1 + wire[WIRE])
        bell = load_ordered(segment, own + BELL)
        if tail - load_ordered(segment, wire[HEAD]) >= wire[SLOTS]:
            segment[own + WAIT_STEP] = step
            sleep_while(segment, own + BELL, bell, TIMEOUT)
        store_ordered(segment, own + SPACE, 0)
    segment[own + WAITING_NS] += now(segment, own + CLOCK) - start
    return tail - load_acquire(segment, wire[HEAD]) >= wire[SLOTS]


@_jit
def _release(segment: Words, wire: Words, head: int) -> None:
    """Free the slot at `head`, and wake its writer where it sleeps and half of the ring is free."""
    store_ordered(segment, wire[HEAD], head + 1)
    used = load_acquire(segment, wire[TAIL]) - (head + 1)
    if load_ordered(segment, wire[PEER] + SPACE) == 1 + wire[WIRE] and used <= wire[SLOTS] // 2:
        _ring_bell(segment, wire[PEER])
