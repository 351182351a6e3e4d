"""The compiled loops of `turns`: round the partitions of a process, or the steps of the only one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from spike_runtime.addresses import call, word_at
from spike_runtime.wires.atomics import (
    compiled,
    fence,
    load_acquire,
    load_ordered,
    now,
    sleep_while,
    store_ordered,
    store_release,
)
from spike_runtime.wires.layout import (
    ANY,
    ARRIVALS,
    BELL,
    CLOCK,
    HEAD,
    LISTED,
    SLOTS,
    SPACE,
    STOP,
    TAIL,
    TARGET,
    TIMEOUT,
    WAIT_STEP,
    WAIT_WIRE,
    WINDOW,
    WIRE,
)
from spike_runtime.wires.turns import (
    BUSY_NS,
    IN,
    IN_END,
    LAST,
    LONGEST,
    LOOP,
    NEXT,
    OUT,
    OUT_END,
    PROGRESS,
    STATUS,
    STOPPED,
    TABLE,
)
from spike_runtime.wires.waiting import linger, patience_of

Words = NDArray[np.int64]


@compiled
def take_turns(segment: Words, state: Words, into: Words, out: Words, seat: int, turn: Words) -> int:
    """See `Turns.run`; `turn` holds the place of the partition whose turn it was last."""
    while load_acquire(segment, STOP) == 0:
        able, may = False, False
        for _ in range(state.shape[0]):
            turn[0] = (turn[0] + 1) % state.shape[0]
            one = state[turn[0]]
            if one[NEXT] > one[LAST]:
                continue
            may = True
            if _ready(segment, one, into, out):
                able = True
                if _run(segment, one, into, out, seat):
                    return int(turn[0]) if load_acquire(segment, STOP) == 0 else STOPPED
        if not may:
            return STOPPED
        if not able:
            _wait(segment, state, into, out, seat)
    return STOPPED


@compiled
def run_alone(segment: Words, one: Words, seat: int) -> int:
    """Run the only partition, which waits inside its steps.  Far less to compile than turns."""
    if one[NEXT] > one[LAST] or load_acquire(segment, STOP) != 0:
        return STOPPED
    start = now(segment, seat + CLOCK)
    one[NEXT] += call(one[LOOP], one[NEXT], one[LAST] + 1 - one[NEXT], one[PROGRESS], one[TABLE])
    one[BUSY_NS] += now(segment, seat + CLOCK) - start
    return 0


@compiled
def _run(segment: Words, one: Words, into: Words, out: Words, seat: int) -> bool:
    """Run a partition while it can go on, `LONGEST` steps at most; True where it must be looked at."""
    start = now(segment, seat + CLOCK)
    stop, news = one[NEXT] + LONGEST, False
    while one[NEXT] < stop:
        done = call(one[LOOP], one[NEXT], 1, one[PROGRESS], one[TABLE])
        one[NEXT] += done
        news = done == 0 or word_at(one[STATUS]) != 0 or one[NEXT] > one[LAST]
        if news or not _ready(segment, one, into, out):
            break
    one[BUSY_NS] += now(segment, seat + CLOCK) - start
    return news


@compiled
def _ready(segment: Words, one: Words, into: Words, out: Words) -> bool:
    """Whether a partition can do its next step without waiting."""
    return _lacking(segment, one, into) == 0 and _has_room(segment, one, out)


@compiled
def _lacking(segment: Words, one: Words, into: Words) -> int:
    """How many messages a partition lacks for its next step."""
    count, before = 0, one[NEXT] - 1
    for w in range(one[IN], one[IN_END]):
        wire = into[w]
        # Lists bring nothing of the time before the first step.
        if before % wire[WINDOW] == 0 and not (before == 0 and wire[LISTED]):
            count += load_acquire(segment, wire[TAIL]) <= segment[wire[HEAD]]
    return count


@compiled
def _has_room(segment: Words, one: Words, out: Words) -> bool:
    """Whether every ring that a partition writes to has a free slot."""
    for w in range(one[OUT], one[OUT_END]):
        wire = out[w]
        if segment[wire[TAIL]] - load_acquire(segment, wire[HEAD]) >= wire[SLOTS]:
            return False
    return True


@compiled
def _any_ready(segment: Words, state: Words, into: Words, out: Words) -> bool:
    for place in range(state.shape[0]):
        one = state[place]
        if one[NEXT] <= one[LAST] and _ready(segment, one, into, out):
            return True
    return False


@compiled
def _wait(segment: Words, state: Words, into: Words, out: Words, seat: int) -> None:
    """Wait until one of the partitions can go on, or the run was stopped."""
    patience = patience_of(segment, seat) // state.shape[0]
    while load_acquire(segment, STOP) == 0 and not _any_ready(segment, state, into, out):
        if patience > 0:
            patience = linger(segment, seat, patience)
            continue
        _sleep(segment, state, into, out, seat)
    store_release(segment, seat + WAIT_WIRE, 0)


@compiled
def _sleep(segment: Words, state: Words, into: Words, out: Words, seat: int) -> None:
    """Sleep until as many messages have come as one of the partitions lacks, or one has room again."""
    store_ordered(segment, seat + TARGET, ANY)
    store_ordered(segment, seat + SPACE, ANY)
    fence()
    arrivals, bell = load_ordered(segment, seat + ARRIVALS), load_ordered(segment, seat + BELL)
    least, slowest, able = ANY - arrivals, ANY, False
    for place in range(state.shape[0]):
        one = state[place]
        if one[NEXT] > one[LAST]:
            continue
        lacking = _lacking(segment, one, into)
        if lacking == 0:
            able = able or _has_room(segment, one, out)
            continue
        least = min(least, lacking)
        if one[NEXT] < slowest:
            slowest = one[NEXT]
            segment[seat + WAIT_STEP] = slowest - 1
            store_release(segment, seat + WAIT_WIRE, 1 + _first_lacking(segment, one, into))
    if not able:
        store_ordered(segment, seat + TARGET, arrivals + least)
        if load_ordered(segment, seat + ARRIVALS) < arrivals + least:
            sleep_while(segment, seat + BELL, bell, TIMEOUT)
    store_ordered(segment, seat + TARGET, 0)
    store_ordered(segment, seat + SPACE, 0)


@compiled
def _first_lacking(segment: Words, one: Words, into: Words) -> int:
    for w in range(one[IN], one[IN_END]):
        wire = into[w]
        if (one[NEXT] - 1) % wire[WINDOW] == 0 and load_acquire(segment, wire[TAIL]) <= segment[wire[HEAD]]:
            return int(wire[WIRE])
    return -1
