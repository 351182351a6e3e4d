"""Where everything stands in the shared segment of a run: control words first, then one ring for each wire.

The segment is an array of 64-bit words.  What different processes write stands on different cache lines (two
lines apart, as processors fetch lines in pairs).

    line 0        words that the supervisor sets: STOP, SPIN, YIELD, TIMEOUT
    per member    one line that others write (its peers ARRIVALS, TARGET, BELL, SPACE; the supervisor TAKEN:
                  up to which step it has what was recorded), one that it writes itself
    per wire      a line for the head (next message to read), one for the tail (next to write), the slots,
                  each a step's number and `words` numbers for every step of the window that ends there

Members are the partitions; where wires go to other segments (ZeroMQ), two more for each partition of this
one: the threads that send and receive for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from spike_runtime.manifest import Manifest, Wire

LINE = 16

STOP, SPIN, YIELD, TIMEOUT = 0, 1, 2, 3

ARRIVALS, TARGET, BELL, SPACE, TAKEN = 0, 1, 2, 3, 4
PROGRESS, WAITING_NS, EXCHANGE_NS, WAIT_WIRE, WAIT_STEP, GRUDGE, CLOCK = (LINE + i for i in range(7))
MEMBER = 2 * LINE

HEAD, TAIL, PAYLOAD, SLOTS, WORDS, FIRST, WIRE, OWN, PEER, WINDOW, LISTED, COLUMNS = range(12)

SLEEP_NS = 10_000_000
# Where every partition has a core of its own, spinning is the fastest; where not, others need the core, and
# sleeping at once is better than giving way (16 partitions of small_ensembles on 2 cores: 95 us per step,
# 113 with giving way).
SPIN_ALONE, SPIN_SHARED = 5000, 20
GIVE_WAY_ALONE, GIVE_WAY_SHARED = 1000, 0

# More messages than will ever arrive; the wire of who waits for room on any.
ANY = 1 << 62

# A ring holds up to MOST_SLOTS messages, and fewer where they would be more than RING_WORDS words, or than
# all rings together may be; always FEWEST_SLOTS.
RING_WORDS, SEGMENT_WORDS, MOST_SLOTS, FEWEST_SLOTS = 1 << 14, 1 << 18, 512, 4


# What is given where a ring is given up: the run was stopped, or a message bore another step's number (from
# this the wire's number is taken).
STOPPED, WRONG = -1, -2


def wrong_wire(status: int) -> int | None:
    """Number of the wire whose message bore another step's number, where `status` says so."""
    return WRONG - status if status <= WRONG else None


@dataclass(frozen=True)
class Ring:
    """Places (word numbers) of one wire's ring; `wire` is its number in `Manifest.wires`."""

    wire: int
    head: int
    tail: int
    payload: int
    slots: int


@dataclass(frozen=True)
class SegmentLayout:
    """Places in a segment of `words` 64-bit words.

    `local`: the partitions that share the segment; it holds the wires that begin or end there.  None where
    all do.  `shares`: partitions of one process, where that has several; they are woken together.
    """

    members: int
    rings: tuple[Ring, ...]
    words: int
    local: tuple[int, ...] | None = None
    shares: tuple[tuple[int, ...], ...] = ()

    def control(self, member: int) -> int:
        """First control word of a member."""
        return LINE + member * MEMBER

    def seat(self, partition: int) -> int:
        """First control word of the member that is woken for a partition: the first of its process."""
        return self.control(next((share[0] for share in self.shares if partition in share), partition))

    def ring(self, wire: int) -> Ring:
        """The ring of a wire, by its number in the manifest."""
        return next(ring for ring in self.rings if ring.wire == wire)

    def leaves(self, wire: Wire) -> bool:
        """Whether a wire joins this segment to another: a thread stands for the partition over there."""
        return self.local is not None and (wire.source in self.local) != (wire.target in self.local)


def message_words(wire: Wire) -> int:
    """64-bit numbers in one message: those of all steps of a window; for lists the most that there can be."""
    return wire.words if wire.listed else wire.window * wire.words


def segment_layout(
    manifest: Manifest, local: tuple[int, ...] | None = None, shares: tuple[tuple[int, ...], ...] = ()
) -> SegmentLayout:
    """Layout of the segment that all partitions share, or of that of the partitions `local`; `shares`: the
    partitions of each process.
    """
    members = len(manifest.partitions) + (0 if local is None else 2 * len(local))
    place = LINE + members * MEMBER
    rings = []
    for number, wire in enumerate(manifest.wires):
        if local is not None and not {wire.source, wire.target} & set(local):
            continue
        slots = _slots(message_words(wire), len(manifest.wires))
        rings.append(Ring(number, place, place + LINE, place + 2 * LINE, slots))
        place = _align(place + 2 * LINE + slots * (1 + message_words(wire)))
    return SegmentLayout(members, tuple(rings), place, local, shares)


def prepare(segment: NDArray[np.int64], spin: int, give_way: int | None = None) -> None:
    """Set the supervisor's words in a segment of zeros: how who waits spins, then gives way, then sleeps."""
    if give_way is None:
        give_way = GIVE_WAY_ALONE if spin == SPIN_ALONE else GIVE_WAY_SHARED
    segment[SPIN], segment[YIELD] = spin, give_way
    segment[TIMEOUT : TIMEOUT + 2] = SLEEP_NS // 1_000_000_000, SLEEP_NS % 1_000_000_000


def out_wire_table(
    layout: SegmentLayout, manifest: Manifest, partition: int, listed: bool | None = None
) -> NDArray[np.int64]:
    """Wires that begin in `partition`, sorted by target: one row of `COLUMNS` integers each (see `ring`).

    FIRST counts through the rows of all these wires in this order.  `listed`: those of lists, or of sums,
    alone.
    """
    wires = [(w.target, k) for k, w in _chosen(manifest, listed) if w.source == partition]
    return _table(layout, manifest, partition, sorted(wires), thread=0)


def in_wire_table(
    layout: SegmentLayout, manifest: Manifest, partition: int, listed: bool | None = None
) -> NDArray[np.int64]:
    """Wires that end in `partition`, sorted by source: as `out_wire_table`."""
    wires = [(w.source, k) for k, w in _chosen(manifest, listed) if w.target == partition]
    return _table(layout, manifest, partition, sorted(wires), thread=1)


def runs(table: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """A table of wires of sums where FIRST is ~r for wires whose rows are r, r + 1, ...

    These are copied by vectors: with 208 words, to send and receive takes 0.30 us instead of 0.57.
    """
    for wire in table:
        own = rows[wire[FIRST] : wire[FIRST] + wire[WORDS]]
        if not wire[LISTED] and len(own) and (np.diff(own) == 1).all():
            wire[FIRST] = ~own[0]
    return table


def _chosen(manifest: Manifest, listed: bool | None) -> list[tuple[int, Wire]]:
    return [(k, wire) for k, wire in enumerate(manifest.wires) if listed in (None, wire.listed)]


def _table(
    layout: SegmentLayout, manifest: Manifest, partition: int, wires: list[tuple[int, int]], thread: int
) -> NDArray[np.int64]:
    table = np.zeros((len(wires), COLUMNS), np.int64)
    first = 0
    for row, (other, number) in zip(table, wires, strict=True):
        ring = layout.ring(number)
        row[[HEAD, TAIL, PAYLOAD, SLOTS]] = ring.head, ring.tail, ring.payload, ring.slots
        wire = manifest.wires[number]
        row[[WORDS, FIRST, WIRE, LISTED]] = wire.words, first, number, wire.listed
        row[WINDOW] = 1 if wire.listed else wire.window
        peer = layout.seat(other)
        if layout.local is not None and layout.leaves(wire):
            peer = layout.control(len(manifest.partitions) + 2 * layout.local.index(partition) + thread)
        row[[OWN, PEER]] = layout.control(partition), peer
        first += wire.words
    return table


def _align(words: int) -> int:
    return -(-words // LINE) * LINE


def _slots(words: int, rings: int) -> int:
    """Messages of so many words that one of so many rings holds, a power of two.

    Who waits for nobody runs ahead by as many steps, and what holds up one side for a moment, such as some ms
    in which another process has its core, does not hold up the other: circular_convolution in two
    partitions takes 15.0 us per step with 512 slots, 15.5 with 64.
    """
    room = max(RING_WORDS, SEGMENT_WORDS // rings)
    most = max(FEWEST_SLOTS, min(MOST_SLOTS, room // max(1, words)))
    return 1 << (most.bit_length() - 1)
