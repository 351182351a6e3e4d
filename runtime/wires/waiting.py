"""How a partition waits for messages, or for space to put them, and is woken.

Who has nothing to do spins for a moment, gives way for another, then sleeps until its BELL rings.  A reader
asks to be woken when as many messages have arrived (ARRIVALS) as it still lacks (TARGET), not at each: with
many partitions on few cores this is one change of process for each partition and step instead of one for each
wire.

Arrivals are counted only while the reader sleeps or is about to (TARGET is not 0): else a writer would take
the line that holds them from the reader's core at every message.  A reader cannot miss its bell.  It stores
TARGET (first ANY), then looks which messages are missing; a writer stores its message, then reads TARGET;
all in one total order (`fence`).  So what the reader finds missing will be counted.  What is counted besides
wakes it too early, and it looks again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from spike_runtime.wires.atomics import (
    compiled,
    fence,
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
    ANY,
    ARRIVALS,
    BELL,
    CLOCK,
    GRUDGE,
    HEAD,
    OWN,
    PEER,
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
    YIELD,
)

Words = NDArray[np.int64]

# Giving way to another partition takes about as long as its step.  Where it took this long, a process that
# has nothing to do with the run had the core for a whole slice of time.  Where that happens again within so
# many waits (seldom is cheaper than to sleep each time), sleep instead for a number of waits, as who wakes up
# gets the core at once.
_SLICE_NS = 1_000_000
_AGAIN, _GRUDGE = 300, 1000


@compiled
def missing(segment: Words, wires: Words) -> int:
    """How many of the wires have no message."""
    count = 0
    for w in range(wires.shape[0]):
        count += load_acquire(segment, wires[w, TAIL]) <= segment[wires[w, HEAD]]
    return count


@compiled
def wait_for_messages(segment: Words, wires: Words, step: int) -> bool:
    """Wait until every wire has a message; True where the run was stopped before."""
    own = wires[0, OWN]
    start = now(segment, own + CLOCK)
    patience = patience_of(segment, own)
    while missing(segment, wires) > 0 and load_acquire(segment, STOP) == 0:
        if patience > 0:
            patience = linger(segment, own, patience)
            continue
        segment[own + WAIT_STEP] = step
        store_release(segment, own + WAIT_WIRE, 1 + _first_missing(segment, wires))
        sleep_for_messages(segment, wires, wires.shape[0])
    store_release(segment, own + WAIT_WIRE, 0)
    segment[own + WAITING_NS] += now(segment, own + CLOCK) - start
    return missing(segment, wires) > 0


@compiled
def sleep_for_messages(segment: Words, wires: Words, most: int) -> None:
    """Sleep until as many messages have come as the wires lack, or `most`, where that is less."""
    own = wires[0, OWN]
    store_ordered(segment, own + TARGET, ANY)
    fence()
    arrivals = load_ordered(segment, own + ARRIVALS)
    lacking = missing(segment, wires)
    if lacking > 0 and (lacking == wires.shape[0] or most > 1):
        target = arrivals + min(lacking, most)
        store_ordered(segment, own + TARGET, target)
        bell = load_ordered(segment, own + BELL)
        if load_ordered(segment, own + ARRIVALS) < target:
            sleep_while(segment, own + BELL, bell, TIMEOUT)
    store_ordered(segment, own + TARGET, 0)


@compiled
def wait_for_space(segment: Words, wire: Words, tail: int, step: int) -> bool:
    """Wait until the ring has a free slot; True where the run was stopped before."""
    own = wire[OWN]
    start = now(segment, own + CLOCK)
    patience = patience_of(segment, own)
    while tail - load_acquire(segment, wire[HEAD]) >= wire[SLOTS] and load_acquire(segment, STOP) == 0:
        if patience > 0:
            patience = linger(segment, own, patience)
            continue
        store_ordered(segment, own + SPACE, 1 + wire[WIRE])
        fence()
        bell = load_ordered(segment, own + BELL)
        if tail - load_ordered(segment, wire[HEAD]) >= wire[SLOTS]:
            segment[own + WAIT_STEP] = step
            sleep_while(segment, own + BELL, bell, TIMEOUT)
        store_ordered(segment, own + SPACE, 0)
    segment[own + WAITING_NS] += now(segment, own + CLOCK) - start
    return bool(tail - load_acquire(segment, wire[HEAD]) >= wire[SLOTS])


@compiled
def announce(segment: Words, wires: Words) -> None:
    """Count the message just sent on each wire for a reader that sleeps; wake it where it lacks no more."""
    fence()
    for w in range(wires.shape[0]):
        reader = wires[w, PEER]
        if load_ordered(segment, reader + TARGET) != 0:
            arrivals = fetch_add(segment, reader + ARRIVALS, 1) + 1
            if 0 < load_ordered(segment, reader + TARGET) <= arrivals:
                ring_bell(segment, reader)


@compiled
def ring_bell(segment: Words, member: int) -> None:
    fetch_add(segment, member + BELL, 1)
    wake(segment, member + BELL)


@compiled
def _first_missing(segment: Words, wires: Words) -> int:
    for w in range(wires.shape[0]):
        if load_acquire(segment, wires[w, TAIL]) <= segment[wires[w, HEAD]]:
            return int(wires[w, WIRE])
    return -1


@compiled
def patience_of(segment: Words, own: int) -> int:
    """How often to look again before sleeping: the last YIELD times giving way, before that spinning.

    None while there is a grudge (see `_SLICE_NS`), which below 0 counts the waits without one.
    """
    segment[own + GRUDGE] -= 1
    return 0 if segment[own + GRUDGE] >= 0 else int(segment[SPIN] + segment[YIELD])


@compiled
def linger(segment: Words, own: int, patience: int) -> int:
    """Spin, or give way, once; gives the patience that is left."""
    if patience > segment[YIELD]:
        pause()
        return patience - 1
    start = now(segment, own + CLOCK)
    give_way()
    if now(segment, own + CLOCK) - start > _SLICE_NS:
        segment[own + GRUDGE] = _GRUDGE if segment[own + GRUDGE] > -_AGAIN else 0
        return 0
    return patience - 1
