"""Rings in shared memory: lock-free queues of one writer and one reader, called from compiled code.

A message holds the wire's words for every step of a window of W steps (WINDOW), and the number of the last
of them, a multiple of W.  The writer fills a part of the slot at `tail` in every step, and with the last one
stores tail + 1 (release).  The reader waits once in a window, adds a part of the message to its totals in
every step, and with the last one stores head + 1.  So what is read at a step was sent W steps before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from spike_runtime.wires.atomics import (
    compiled,
    fence,
    fetch_ahead,
    load_acquire,
    load_ordered,
    now,
    store_release,
)
from spike_runtime.wires.layout import (
    ANY,
    CLOCK,
    EXCHANGE_NS,
    FIRST,
    HEAD,
    LISTED,
    OWN,
    PAYLOAD,
    PEER,
    PROGRESS,
    SLOTS,
    SPACE,
    STOP,
    STOPPED,
    TAIL,
    WAITING_NS,
    WINDOW,
    WIRE,
    WORDS,
    WRONG,
    Ring,
    SegmentLayout,
    in_wire_table,
    out_wire_table,
    prepare,
    runs,
    segment_layout,
    wrong_wire,
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
    "WRONG",
    "Ring",
    "SegmentLayout",
    "collect",
    "in_wire_table",
    "out_wire_table",
    "prepare",
    "publish",
    "put",
    "runs",
    "segment_layout",
    "take",
    "wrong_wire",
]

Words = NDArray[np.int64]


@compiled
def publish(segment: Words, wires: Words, rows: Words, sums: Words, step: int) -> int:
    """Put sums[rows[FIRST : FIRST + WORDS]] of `step` into the message of every wire (row of the table).

    Sends the messages where `step` is the last of its window.  Waits where a ring is full.  Gives 0, or
    `STOPPED`.
    """
    if wires.shape[0] == 0:
        return 0
    own, window = wires[0, OWN], wires[0, WINDOW]
    part = (step - 1) % window
    start, waited = now(segment, own + CLOCK), segment[own + WAITING_NS]
    for w in range(wires.shape[0]):
        wire = wires[w]
        tail = segment[wire[TAIL]]
        if tail - load_acquire(segment, wire[HEAD]) >= wire[SLOTS]:
            if part == window - 1:
                announce(segment, wires[:w])
            if wait_for_space(segment, wire, tail, step):
                return STOPPED
        place = slot(wire, tail)
        first = place + 1 + part * wire[WORDS]
        _copy(segment, first, wire[WORDS], sums, rows, wire[FIRST])
        if part == window - 1:
            segment[place] = step
            store_release(segment, wire[TAIL], tail + 1)
    if part == window - 1:
        announce(segment, wires)
    spent = now(segment, own + CLOCK) - start
    segment[own + EXCHANGE_NS] += spent - (segment[own + WAITING_NS] - waited)
    return 0


@compiled
def _copy(segment: Words, place: int, count: int, sums: Words, rows: Words, first: int) -> None:
    """segment[place], ... = sums[rows[first]], ...; where `first` is ~r, the sums from r on (see `runs`).

    Numbers without a sign are no places from the end, so that loops become vectors.
    """
    message, places, run = np.uint64(place), np.uint64(first), np.uint64(~first)
    if first < 0:
        for i in range(np.uint64(count)):
            segment[message + i] = sums[run + i]
    else:
        for i in range(np.uint64(count)):
            segment[message + i] = sums[np.uint64(rows[places + i])]


@compiled
def _add(segment: Words, place: int, count: int, totals: Words, rows: Words, first: int) -> None:
    """totals[rows[first]], ... += segment[place], ..., as `_copy`."""
    message, places, run = np.uint64(place), np.uint64(first), np.uint64(~first)
    if first < 0:
        for i in range(np.uint64(count)):
            totals[run + i] += segment[message + i]
    else:
        for i in range(np.uint64(count)):
            totals[np.uint64(rows[places + i])] += segment[message + i]


@compiled
def _fetch_ahead(segment: Words, wire: Words, number: int) -> None:
    """Bring a message here while neurons are computed: its writer is ahead, and has it in its cache."""
    place = slot(wire, number)
    for line in range(place, place + 1 + wire[WINDOW] * wire[WORDS], 8):
        fetch_ahead(segment, line)


@compiled
def collect(segment: Words, wires: Words, rows: Words, totals: Words, step: int) -> int:
    """totals[rows[FIRST : FIRST + WORDS]] += what was sent in step `step` + 1 - W, for every wire (row of the
    table).

    Waits, once in a window, until all messages have arrived.  Gives 0, or `STOPPED`, or a status that
    `wrong_wire` explains.
    """
    if load_acquire(segment, STOP) != 0:
        return STOPPED
    if wires.shape[0] == 0:
        return 0
    own, window = wires[0, OWN], wires[0, WINDOW]
    part = step % window
    if part == 0 and missing(segment, wires) > 0 and wait_for_messages(segment, wires, step):
        return STOPPED
    start = now(segment, own + CLOCK)
    for w in range(wires.shape[0]):
        wire = wires[w]
        head = segment[wire[HEAD]]
        place = slot(wire, head)
        if segment[place] != step - part:
            return int(WRONG - wire[WIRE])
        first = place + 1 + part * wire[WORDS]
        _add(segment, first, wire[WORDS], totals, rows, wire[FIRST])
        if part == window - 1:
            store_release(segment, wire[HEAD], head + 1)
            if load_acquire(segment, wire[TAIL]) > head + 1:
                _fetch_ahead(segment, wire, head + 1)
    if part == window - 1:
        wake_writers(segment, wires)
    segment[own + EXCHANGE_NS] += now(segment, own + CLOCK) - start
    store_release(segment, own + PROGRESS, step)
    return 0


@compiled
def take(segment: Words, wires: Words, message: Words) -> int:
    """Move the next message of any of `wires` into `message` (its last step, words ...), waiting for it.

    Gives the row of the table that it came from, or `STOPPED`, also where there are no wires.
    """
    if wires.shape[0] == 0:
        return STOPPED
    while load_acquire(segment, STOP) == 0:
        for w in range(wires.shape[0]):
            wire = wires[w]
            head = segment[wire[HEAD]]
            if load_acquire(segment, wire[TAIL]) > head:
                place = slot(wire, head)
                size = 1 + (1 + segment[place + 1] if wire[LISTED] else wire[WINDOW] * wire[WORDS])
                message[:size] = segment[place : place + size]
                store_release(segment, wire[HEAD], head + 1)
                wake_writers(segment, wires[w : w + 1])
                return w
        sleep_for_messages(segment, wires, 1)
    return STOPPED


@compiled
def put(segment: Words, wires: Words, message: Words) -> None:
    """Send a whole `message` (its last step, words ...) on wires (rows of the table) with room for it."""
    for w in range(wires.shape[0]):
        wire = wires[w]
        tail = segment[wire[TAIL]]
        place = slot(wire, tail)
        segment[place : place + message.shape[0]] = message
        store_release(segment, wire[TAIL], tail + 1)
    announce(segment, wires)


@compiled
def slot(wire: Words, number: int) -> int:
    """Where the slot of message `number` begins."""
    return int(wire[PAYLOAD] + (number & (wire[SLOTS] - 1)) * (1 + wire[WINDOW] * wire[WORDS]))


@compiled
def wake_writers(segment: Words, wires: Words) -> None:
    """Wake writers that sleep until one of these rings has room, where half of it is free now."""
    fence()
    for w in range(wires.shape[0]):
        wire = wires[w]
        wanted = load_ordered(segment, wire[PEER] + SPACE)
        if wanted in (1 + wire[WIRE], ANY):
            used = load_acquire(segment, wire[TAIL]) - segment[wire[HEAD]]
            if used <= wire[SLOTS] // 2:
                ring_bell(segment, wire[PEER])
