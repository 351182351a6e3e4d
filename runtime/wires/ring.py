"""Rings in shared memory: lock-free queues of one writer and one reader, called from compiled code.

A message holds the number of its step and the wire's words.  The writer fills the slot at `tail`, then stores
tail + 1 (release); the reader sees tail (acquire), adds the words to its totals, then stores head + 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from spike_runtime.wires.atomics import (
    compiled,
    load_acquire,
    load_ordered,
    now,
    store_ordered,
    store_release,
)
from spike_runtime.wires.layout import (
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
    STOP,
    TAIL,
    WAITING_NS,
    WIRE,
    WORDS,
    Ring,
    SegmentLayout,
    in_wire_table,
    out_wire_table,
    prepare,
    segment_layout,
)
from spike_runtime.wires.waiting import (
    announce,
    missing,
    ring_bell,
    sleep_for_messages,
    wait_for_messages,
    wait_for_space,
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
Words = NDArray[np.int64]


def wrong_wire(status: int) -> int | None:
    """Number of the wire whose message bore another step's number, where `status` says so."""
    return _WRONG - status if status <= _WRONG else None


@compiled
def publish(segment: Words, wires: Words, rows: Words, sums: Words, step: int) -> int:
    """Send sums[rows[FIRST : FIRST + WORDS]] on every wire (row of the table) as the message of `step`.

    Waits where a ring is full.  Gives 0, or `STOPPED`.
    """
    if wires.shape[0] == 0:
        return 0
    own = wires[0, OWN]
    start, waited = now(segment, own + CLOCK), segment[own + WAITING_NS]
    for w in range(wires.shape[0]):
        wire = wires[w]
        tail = segment[wire[TAIL]]
        if tail - load_acquire(segment, wire[HEAD]) >= wire[SLOTS] and wait_for_space(
            segment, wire, tail, step
        ):
            return STOPPED
        place = wire[PAYLOAD] + (tail & (wire[SLOTS] - 1)) * (1 + wire[WORDS])
        segment[place] = step
        for i in range(wire[WORDS]):
            segment[place + 1 + i] = sums[rows[wire[FIRST] + i]]
        store_release(segment, wire[TAIL], tail + 1)
        announce(segment, wire[PEER])
    spent = now(segment, own + CLOCK) - start
    segment[own + EXCHANGE_NS] += spent - (segment[own + WAITING_NS] - waited)
    return 0


@compiled
def collect(segment: Words, wires: Words, rows: Words, totals: Words, step: int) -> int:
    """totals[rows[FIRST : FIRST + WORDS]] += the message of `step`, for every wire (row of the table).

    Waits until all have arrived.  Gives 0, or `STOPPED`, or a status that `wrong_wire` explains.
    """
    if load_acquire(segment, STOP) != 0:
        return STOPPED
    if wires.shape[0] == 0:
        return 0
    own = wires[0, OWN]
    if missing(segment, wires) > 0 and wait_for_messages(segment, wires, step):
        return STOPPED
    start = now(segment, own + CLOCK)
    for w in range(wires.shape[0]):
        wire = wires[w]
        head = segment[wire[HEAD]]
        place = wire[PAYLOAD] + (head & (wire[SLOTS] - 1)) * (1 + wire[WORDS])
        if segment[place] != step:
            return int(_WRONG - wire[WIRE])
        for i in range(wire[WORDS]):
            totals[rows[wire[FIRST] + i]] += segment[place + 1 + i]
        _release(segment, wire, head)
    segment[own + EXCHANGE_NS] += now(segment, own + CLOCK) - start
    store_release(segment, own + PROGRESS, step)
    return 0


@compiled
def take(segment: Words, wires: Words, message: Words) -> int:
    """Move the next message of any of `wires` into `message` (step, words ...), waiting for it.

    Gives the row of the table that it came from, or `STOPPED`, also where there are no wires.
    """
    if wires.shape[0] == 0:
        return STOPPED
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
        sleep_for_messages(segment, wires, 1)
    return STOPPED


@compiled
def _release(segment: Words, wire: Words, head: int) -> None:
    """Free the slot at `head`, and wake its writer where it sleeps and half of the ring is free."""
    store_ordered(segment, wire[HEAD], head + 1)
    used = load_acquire(segment, wire[TAIL]) - (head + 1)
    if load_ordered(segment, wire[PEER] + SPACE) == 1 + wire[WIRE] and used <= wire[SLOTS] // 2:
        ring_bell(segment, wire[PEER])
