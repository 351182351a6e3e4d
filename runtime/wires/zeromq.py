"""Wires over ZeroMQ: from a worker's rings into frames, from frames into the rings of another.

The program does not know: it uses the rings of a segment of its own.  One thread sends (PUSH, one socket for
each partition that this one sends to), one receives (PULL, one socket, bound before any program starts).
Queues are bounded by the rings and by high-water marks.

    frame:  magic (4 bytes), run (16), wire (int32), step (int64), CRC-32 of the words (uint32), the words
    (int64 each)

A frame that was lost, repeated, damaged or sent by another run ends the run: it would change the answer.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray
from spike_runtime.manifest import Manifest, Wire
from spike_runtime.wires import ring
from spike_runtime.wires.layout import FIRST, OWN, PEER, STOP, WIRE, SegmentLayout

MAGIC = b"SPK1"
HEADER = struct.Struct("<4s16siqI")
HELLO = -1

_HIGH_WATER = 4
_POLL_MS = 50


class WireError(Exception):
    """A wire did not deliver what was sent; the message names the wire."""


def wire_name(wire: Wire, number: int) -> str:
    """How messages call a wire."""
    return f"wire {number} (partition {wire.source} to partition {wire.target})"


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
        if run != self.run or number not in self._last:
            raise WireError(
                f"partition {self.partition} received a foreign frame: it claims to be of wire {number}, "
                f"step {step}, of another run; {_ADVICE}"
            )
        words = frame[HEADER.size :]
        name = wire_name(self.wires[number], number)
        size = 0 if step == HELLO else 8 * self.wires[number].words
        if len(words) != size or zlib.crc32(words) != checksum:
            raise WireError(f"{name}: the frame of step {step} is damaged; {_ADVICE}")
        self._in_order(number, step, name)
        return number, step, np.frombuffer(words, np.int64).copy()

    def _in_order(self, number: int, step: int, name: str) -> None:
        last = self._last[number]
        if step == HELLO:
            return
        if last is not None and step <= last:
            raise WireError(
                f"{name}: the frame of step {step} came again, after that of step {last}; {_ADVICE}"
            )
        if last is not None and step > last + 1:
            raise WireError(
                f"{name}: the frame of step {last + 1} was lost, that of step {step} came; {_ADVICE}"
            )
        self._last[number] = step


_ADVICE = "the run cannot go on; run again, with --transport ring where all partitions are on this host"


class Pump:
    """Moves messages between the rings of one partition's private segment and the sockets.

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
        self._out = _reversed(ring.out_wire_table(layout, manifest, partition))
        self._in = _reversed(ring.in_wire_table(layout, manifest, partition))
        self._checker = Checker(run, partition, manifest.wires)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._pull = self._socket(zmq.PULL)
        self._pull.bind(bind)
        self.endpoint = self._pull.getsockopt_string(zmq.LAST_ENDPOINT)
        self._push: dict[int, zmq.Socket[bytes]] = {}
        self._threads: list[threading.Thread] = []
        self._closing = False

    def connect(self, endpoints: list[str], timeout: float = 20.0) -> None:
        """Connect to the partitions that this one sends to; wait for a greeting on every wire that ends here.

        Raises `WireError`, naming the wire, where none came.
        """
        self._warm_up()
        for row in self._out:
            number = int(row[WIRE])
            socket = self._socket(zmq.PUSH)
            socket.connect(endpoints[self._manifest.wires[number].target])
            self._push[number] = socket
            socket.send(pack(self._run, number, HELLO, b""))
        missing = {int(row[WIRE]) for row in self._in}
        while missing:
            if not self._pull.poll(int(timeout * 1000)):
                number = min(missing)
                raise WireError(
                    f"{wire_name(self._manifest.wires[number], number)}: no connection in {timeout} s"
                )
            missing.discard(self._checker.check(self._pull.recv())[0])

    def start(self) -> None:
        """Begin to move messages."""
        for loop, table in ((self._send, self._out), (self._receive, self._in)):
            if len(table):
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
        ring.take(self._segment, self._out[:0], none)
        ring.publish(self._segment, self._in[:0], none, none, 0)

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.set_hwm(_HIGH_WATER)
        socket.setsockopt(zmq.LINGER, 0)
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

    def _send(self) -> None:
        sizes = [self._manifest.wires[int(row[WIRE])].words for row in self._out]
        message = np.zeros(1 + max(sizes), np.int64)
        while (k := int(ring.take(self._segment, self._out, message))) != ring.STOPPED:
            number = int(self._out[k, WIRE])
            frame = pack(self._run, number, int(message[0]), message[1 : 1 + sizes[k]].tobytes())
            socket = self._push[number]
            while not socket.poll(_POLL_MS, zmq.POLLOUT):
                if self._stopped():
                    return
            socket.send(frame)

    def _receive(self) -> None:
        place = {int(row[WIRE]): k for k, row in enumerate(self._in)}
        rows = np.arange(max(w.words for w in self._manifest.wires), dtype=np.int64)
        while not self._stopped():
            if self._pull.poll(_POLL_MS):
                number, step, words = self._checker.check(self._pull.recv())
                k = place[number]
                ring.publish(self._segment, self._in[k : k + 1], rows, words, step)


def _reversed(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """The table as the other side of its rings sees it."""
    other: NDArray[Any] = table.copy()
    other[:, [OWN, PEER]] = table[:, [PEER, OWN]]
    other[:, FIRST] = 0
    return other
