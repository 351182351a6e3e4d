"""Wires over ZeroMQ: from a worker's rings into frames, from frames into the rings of another.

The program does not know: it uses the rings of its segment, its own or that of its host.  One thread sends
(PUSH, one socket for each partition that this one sends to), one receives (PULL, one socket, bound before any
program starts).  All wires of a partition share its PULL socket, so what cannot be used yet is taken off it
all the same: else a partition that waits for nobody, and runs ahead, would stand in the way of one that is
waited for.  It may run ahead by a window of steps: the receiver acknowledges, with frames the other way, what
the program has taken.

    frame:  magic (4 bytes), run (16), wire (int32), step (int64), CRC-32 of the words (uint32), the words
    (int64 each)

    step: the last of those whose words the frame holds (see `ring`)
    step -1 is a greeting, later the question what was received; step -2 - n acknowledges step n

A frame that was lost, repeated, damaged or sent by another run ends the run: it would change the answer.
"""

from __future__ import annotations

import struct
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import zmq
from numpy.typing import NDArray
from spike_runtime.manifest import Manifest, Wire
from spike_runtime.wires import called
from spike_runtime.wires.layout import (
    FIRST,
    HEAD,
    OWN,
    PEER,
    SLOTS,
    STOP,
    STOPPED,
    TAIL,
    WIRE,
    SegmentLayout,
    in_wire_table,
    message_words,
    out_wire_table,
)

MAGIC = b"SPK1"
HEADER = struct.Struct("<4s16siqI")
HELLO = -1

_HIGH_WATER = 4
# A sender that waits for an acknowledgement asks after so many seconds, and gives up after so many.
_ASK_AFTER, _ANSWER_WITHIN = 1.0, 5.0
_POLL_MS = 50
# What may be on its way or waiting on one wire, in bytes and in messages.
_CREDIT_BYTES, _LEAST_CREDIT, _LARGEST_CREDIT = 1 << 20, 8, 256


class WireError(Exception):
    """A wire did not deliver what was sent; the message names the wire."""


def wire_name(wire: Wire, number: int) -> str:
    """How messages call a wire."""
    return f"wire {number} (partition {wire.source} to partition {wire.target})"


def credit(wire: Wire) -> int:
    """Messages by which the writer of a wire may be ahead of its reader."""
    return max(_LEAST_CREDIT, min(_LARGEST_CREDIT, _CREDIT_BYTES // (8 * message_words(wire))))


def pack(run: bytes, wire: int, step: int, words: bytes) -> bytes:
    """One frame."""
    return HEADER.pack(MAGIC, run, wire, step, zlib.crc32(words)) + words


@dataclass
class Checker:
    """Checks the frames that one partition receives; remembers the last step of each wire."""

    run: bytes
    partition: int
    wires: tuple[Wire, ...]

    def __post_init__(self) -> None:
        self._last: dict[int, int | None] = {
            n: None for n, wire in enumerate(self.wires) if wire.target == self.partition
        }

    def check(self, frame: bytes) -> tuple[int, int, NDArray[np.int64]]:
        """(wire, step, words) of a frame; raises `WireError` where it is not the one expected."""
        if len(frame) < HEADER.size or frame[:4] != MAGIC:
            raise WireError(
                f"partition {self.partition} received a foreign frame: it is not Spike's; {_ADVICE}"
            )
        _, run, number, step, checksum = HEADER.unpack_from(frame)
        if run != self.run or not self._expected(number, step):
            raise WireError(
                f"partition {self.partition} received a foreign frame: it claims to be of wire {number}, "
                f"step {step}, of another run; {_ADVICE}"
            )
        words = frame[HEADER.size :]
        name = wire_name(self.wires[number], number)
        if len(words) != self._size(number, step, words) or zlib.crc32(words) != checksum:
            raise WireError(f"{name}: the frame of step {step} is damaged; {_ADVICE}")
        self._in_order(number, step, name)
        return number, step, np.frombuffer(words, np.int64).copy()

    def _size(self, number: int, step: int, words: bytes) -> int:
        """Bytes that a frame must hold; one with a list says itself how many numbers follow the first."""
        wire = self.wires[number]
        if step <= HELLO:
            return 0
        if not wire.listed:
            return 8 * message_words(wire)
        count = int.from_bytes(words[:8], sys.byteorder)
        return 8 * (1 + count) if count < wire.words else -1

    def _expected(self, number: int, step: int) -> bool:
        """Acknowledgements come for wires that begin here, everything else on those that end here."""
        if step < HELLO:
            return 0 <= number < len(self.wires) and self.wires[number].source == self.partition
        return number in self._last

    def _in_order(self, number: int, step: int, name: str) -> None:
        if step <= HELLO:
            return
        last = self._last[number]
        if last is not None and step <= last:
            raise WireError(
                f"{name}: the frame of step {step} came again, after that of step {last}; {_ADVICE}"
            )
        following = step if last is None else last + self.wires[number].window
        if step > following:
            raise WireError(
                f"{name}: the frame of step {following} was lost, that of step {step} came; {_ADVICE}"
            )
        self._last[number] = step


_ADVICE = "the run cannot go on; run again, with --transport ring where all partitions are on this host"


class Pump:
    """Moves messages between the rings of one partition and the sockets, on wires to other segments.

    `failure` is set, and the segment's stop flag raised, where a wire failed.
    """

    def __init__(
        self,
        manifest: Manifest,
        partition: int,
        run: bytes,
        layout: SegmentLayout,
        segment: NDArray[np.int64],
        bind: str,
    ) -> None:
        self.failure: WireError | None = None
        self._manifest, self._partition, self._run, self._segment = manifest, partition, run, segment
        self._out = _leaving(out_wire_table(layout, manifest, partition), layout, manifest, partition)
        self._in = _leaving(in_wire_table(layout, manifest, partition), layout, manifest, partition)
        self._checker = Checker(run, partition, manifest.wires)
        # ZeroMQ takes memory for as much as a frame says that it holds: those of others are cut off before.
        self._longest = HEADER.size + 8 * max(map(message_words, manifest.wires), default=0)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._pull = self._socket(zmq.PULL)
        try:
            self._pull.bind(bind)
        except zmq.ZMQError as error:
            raise WireError(f"cannot receive at {bind}: {error.strerror}; is that its own address?") from None
        self.endpoint = self._pull.getsockopt_string(zmq.LAST_ENDPOINT)
        # Sockets are not shared between threads: one set for the sender, one for the receiver's answers.
        self._push: dict[int, zmq.Socket[bytes]] = {}
        self._back: dict[int, zmq.Socket[bytes]] = {}
        self._pending: dict[int, deque[tuple[int, NDArray[np.int64]]]] = {
            int(row[WIRE]): deque() for row in self._in
        }
        self._acknowledged: dict[int, int] = {}
        self._answers: dict[int, int] = {}
        self._delivered: dict[int, int] = {}
        self._credit = threading.Event()
        self._threads: list[threading.Thread] = []
        self._closing = False

    def greet(self, endpoints: list[str]) -> None:
        """Connect to the partitions on the other ends of wires, and send a greeting on every wire that begins
        here.
        """
        self._warm_up()
        wires = self._manifest.wires
        for row in self._out:
            number = int(row[WIRE])
            self._push[number] = self._connected(endpoints[wires[number].target])
            self._push[number].send(pack(self._run, number, HELLO, b""))
        for number in self._pending:
            self._back[number] = self._connected(endpoints[wires[number].source])

    def await_greetings(self, timeout: float = 20.0) -> None:
        """Wait for a greeting on every wire that ends here; raises `WireError`, naming the wire, where none
        came.
        """
        wires, missing = self._manifest.wires, set(self._pending)
        while missing:
            if not self._pull.poll(int(timeout * 1000)):
                number = min(missing)
                raise WireError(f"{wire_name(wires[number], number)}: no connection in {timeout} s")
            # A partition that has all its greetings begins, while this one still waits for others.
            missing.discard(self._take_frame())

    def start(self) -> None:
        """Begin to move messages."""
        for loop, needed in ((self._send, self._out), (self._receive, (*self._out, *self._in))):
            if len(needed):
                thread = threading.Thread(target=self._guarded, args=(loop,), name=loop.__name__, daemon=True)
                self._threads.append(thread)
                thread.start()

    def close(self) -> None:
        """End the threads and sockets, when all partitions are done: what is still on its way is dropped."""
        self._closing = True
        self._segment[STOP] = 1
        for thread in self._threads:
            thread.join()
        self._context.destroy(linger=0)

    def _warm_up(self) -> None:
        """Compile what the threads call, or load it from disk: the first message must not wait for that."""
        none = np.zeros(0, np.int64)
        called.take(self._segment, self._out[:0], none)
        called.put(self._segment, self._in[:0], none)

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.set_hwm(_HIGH_WATER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, self._longest)
        return socket

    def _guarded(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except WireError as error:
            self.failure = error
        except zmq.ZMQError as error:
            self.failure = WireError(
                f"partition {self._partition}: ZeroMQ: {error.strerror or error}; {_ADVICE}"
            )
        if self.failure:
            self._segment[STOP] = 1

    def _stopped(self) -> bool:
        return self._closing or bool(self._segment[STOP])

    def _connected(self, endpoint: str) -> zmq.Socket[bytes]:
        socket = self._socket(zmq.PUSH)
        socket.connect(endpoint)
        return socket

    def _send(self) -> None:
        wires = self._manifest.wires
        sizes = [message_words(wires[int(row[WIRE])]) for row in self._out]
        message = np.zeros(1 + max(sizes), np.int64)
        while (k := called.take(self._segment, self._out, message)) != STOPPED:
            number, step = int(self._out[k, WIRE]), int(message[0])
            wire = wires[number]
            self._acknowledged.setdefault(number, step - wire.window)
            # Waiting here holds up all wires of this partition, but only while it is ahead on all of them.
            needed = step - credit(wire) * wire.window
            if self._acknowledged[number] < needed and not self._wait_for_credit(number, needed):
                return
            used = 1 + message[1] if wire.listed else sizes[k]
            words = message[1 : 1 + used].tobytes()
            if not self._pushed(self._push[number], pack(self._run, number, step, words)):
                return

    def _wait_for_credit(self, number: int, step: int) -> bool:
        """Wait until `step` is acknowledged; False where the run was stopped before.

        Who has waited for long asks, and the other side's thread answers however slow its program is.
        Raises `WireError` where it does not.
        """
        answered, asked = time.monotonic(), 0.0
        known = self._answers.get(number, 0)
        while True:
            self._credit.clear()
            if self._acknowledged[number] >= step:
                return True
            self._credit.wait(_POLL_MS / 1000)
            if self._stopped():
                return False
            now = time.monotonic()
            if self._answers.get(number, 0) != known:
                known, answered = self._answers[number], now
            if now - answered > _ANSWER_WITHIN:
                name = wire_name(self._manifest.wires[number], number)
                raise WireError(f"{name}: step {step} was not acknowledged in {_ANSWER_WITHIN} s; {_ADVICE}")
            if now - max(answered, asked) > _ASK_AFTER:
                asked = now
                if not self._pushed(self._push[number], pack(self._run, number, HELLO, b"")):
                    return False

    def _pushed(self, socket: zmq.Socket[bytes], frame: bytes) -> bool:
        """Send when there is room; False where the run was stopped before."""
        while not socket.poll(_POLL_MS, zmq.POLLOUT):
            if self._stopped():
                return False
        socket.send(frame)
        return True

    def _receive(self) -> None:
        while not self._stopped():
            held = any(self._pending.values())
            # What is held waits for room in a ring, which nothing announces here.
            if self._pull.poll(1 if held else _POLL_MS) and (number := self._take_frame()) is not None:
                self._acknowledge(number)
            for k, row in enumerate(self._in):
                self._deliver(k, self._pending[int(row[WIRE])])

    def _take_frame(self) -> int | None:
        """Take one frame off the socket; the wire's number where it is a greeting."""
        number, step, words = self._checker.check(self._pull.recv())
        if step == HELLO:
            return number
        if step < HELLO:
            self._acknowledged[number] = max(self._acknowledged.get(number, -1), -2 - step)
            self._answers[number] = self._answers.get(number, 0) + 1
            self._credit.set()
        else:
            self._pending[number].append((step, words))
        return None

    def _deliver(self, k: int, pending: deque[tuple[int, NDArray[np.int64]]]) -> None:
        """Put what is pending on wire k into its ring, as far as there is room, and acknowledge it."""
        row = self._in[k]
        number = int(row[WIRE])
        while pending and self._segment[row[TAIL]] - self._segment[row[HEAD]] < row[SLOTS]:
            step, words = pending.popleft()
            called.put(self._segment, self._in[k : k + 1], np.concatenate([[step], words]))
            wire = self._manifest.wires[number]
            self._delivered[number] = step
            if step // wire.window % (credit(wire) // 4) == 0:
                self._acknowledge(number)

    def _acknowledge(self, number: int) -> None:
        """Tell the other end of a wire up to which step its messages are in the ring."""
        if number in self._delivered:
            self._pushed(self._back[number], pack(self._run, number, -2 - self._delivered[number], b""))


def _leaving(
    table: NDArray[np.int64], layout: SegmentLayout, manifest: Manifest, partition: int
) -> NDArray[np.int64]:
    """The rows of wires to other segments, as the other side of their rings sees them."""
    leaving = np.array([layout.leaves(manifest.wires[number]) for number in table[:, WIRE]], bool)
    own: NDArray[np.int64] = table[leaving]
    other: NDArray[np.int64] = own.copy()
    other[:, OWN] = own[:, PEER]
    other[:, PEER] = layout.seat(partition)
    other[:, FIRST] = 0
    return other
