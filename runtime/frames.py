"""Messages between the supervisor and a worker: a JSON head and a body of bytes, over a stream socket.

length of the head (4 bytes, little-endian), the head, the body (its length is the head's "body")
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from spike_runtime.blocks import Block

_LENGTH = struct.Struct("<I")
_PIECE = 1 << 20
# The longest head, of what 10^6 probes recorded, has 10^8 bytes.
_LONGEST_HEAD = 1 << 28


@dataclass(frozen=True, eq=False)
class Frame:
    """One message; `kind` says what it is, `values` are its numbers and texts."""

    kind: str
    values: dict[str, Any]
    body: bytes | bytearray = b""


class Stream(Protocol):
    """What messages are written to: a socket, or something that does as it does."""

    def sendall(self, data: bytes | memoryview, /) -> None: ...


def send(channel: Stream, kind: str, *body: bytes | memoryview, **values: Any) -> None:
    """Write one message, its body in pieces; waits while the other side does not read.

    Raises `OSError` where it is gone.
    """
    head = json.dumps({"kind": kind, "body": sum(map(len, body)), "values": values}).encode()
    channel.sendall(_LENGTH.pack(len(head)) + head)
    for piece in filter(len, body):
        channel.sendall(piece)


def send_recorded(
    channel: Stream,
    blocks: Sequence[Block],
    partition: int,
    step: int,
    memory: NDArray[np.int64] | None = None,
) -> None:
    """Write what a partition recorded up to a step: one message, for each wakes the other side.

    Of what is in the `memory` that both sides share, only its place is written.
    """
    arrays = [np.ascontiguousarray(block.data) for block in blocks]
    places = [_place(data, memory) for data in arrays]
    about = [
        (block.probe, block.part, block.first_sample, data.dtype.str, data.shape, place)
        for block, data, place in zip(blocks, arrays, places, strict=True)
    ]
    body = (d.data.cast("B") for d, place in zip(arrays, places, strict=True) if d.size and place is None)
    send(channel, "recorded", *body, partition=partition, step=step, blocks=about)


def _place(data: NDArray[Any], memory: NDArray[np.int64] | None) -> int | None:
    """The first byte of an array within `memory`, if it is there."""
    if memory is None:
        return None
    place = data.ctypes.data - memory.ctypes.data
    return place if 0 <= place < memory.nbytes else None


def send_array(
    tell: Callable[..., None], partition: int, name: str, array: NDArray[Any], step: int = 0
) -> None:
    """Send an array of a partition after a step in pieces, each by `tell(kind, body, ...)`: see `Arrays`."""
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    for start in range(0, max(1, len(data)), _PIECE):
        about = {"partition": partition, "name": name, "dtype": array.dtype.str, "shape": array.shape}
        tell("array", data[start : start + _PIECE], start=start, step=step, **about)


class Arrays:
    """Arrays that come in messages of kind "array", by partition and name."""

    def __init__(self) -> None:
        self.of: dict[int, dict[str, NDArray[Any]]] = {}

    def take(self, frame: Frame) -> None:
        """Put a piece where it belongs."""
        v = frame.values
        arrays = self.of.setdefault(v["partition"], {})
        if v["start"] == 0:
            arrays[v["name"]] = np.empty(v["shape"], np.dtype(v["dtype"]))
        whole = arrays[v["name"]].reshape(-1).view(np.uint8)
        whole[v["start"] : v["start"] + len(frame.body)] = np.frombuffer(frame.body, np.uint8)


def to_blocks(frame: Frame, memory: NDArray[np.int64] | None = None) -> Iterator[Block]:
    """The blocks in a message of kind "recorded", or in the `memory` shared with who sent it."""
    start = 0
    for probe, part, first_sample, kind, shape, place in frame.values["blocks"]:
        source: Any = frame.body if place is None else memory
        offset = start if place is None else place
        data = np.frombuffer(source, np.dtype(kind), prod(shape), offset).reshape(shape)
        start += data.nbytes if place is None else 0
        yield Block(probe, part, first_sample, data)


def receive(channel: socket.socket) -> Frame:
    """Wait for one message.  Raises `EOFError` where the other side is gone, or sent what is none."""
    frame, size = _head(_exactly(channel, _head_length(_exactly(channel, _LENGTH.size))))
    return replace(frame, body=_exactly(channel, size))


def _head_length(data: bytes | bytearray) -> int:
    """The length of a head.  Raises `EOFError` where none is so long: memory is taken for it at once."""
    length = int(_LENGTH.unpack(data)[0])
    if length > _LONGEST_HEAD:
        raise _foreign(data)
    return length


def _head(data: bytes | bytearray) -> tuple[Frame, int]:
    """A message without its body, and how long that is.  Raises `EOFError` where this is no head."""
    try:
        head = json.loads(data)
        return Frame(head["kind"], head["values"]), int(head["body"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _foreign(data) from None


def _foreign(data: bytes | bytearray) -> EOFError:
    return EOFError(f"what came is no message of Spike: {bytes(data[:40])!r}")


def _exactly(channel: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = channel.recv(min(count - len(data), _PIECE))  # memory only for what comes
        if not piece:
            raise EOFError("the other side closed the connection")
        data += piece
    return bytes(data)


class Splitter:
    """Cuts a stream, given in pieces, into messages.  Every byte of a body is copied once."""

    def __init__(self) -> None:
        # The next part of a message, and how much of it has come; the head, once that is known.
        self._part, self._filled = bytearray(_LENGTH.size), 0
        self._what, self._head = "length", Frame("", {})

    def feed(self, piece: bytes | bytearray) -> list[Frame]:
        """The messages that are complete with this piece.  Raises `EOFError` where it is of no message."""
        frames: list[Frame] = []
        rest = memoryview(piece)
        while True:
            count = min(len(self._part) - self._filled, len(rest))
            self._part[self._filled : self._filled + count] = rest[:count]
            self._filled, rest = self._filled + count, rest[count:]
            if self._filled < len(self._part):
                return frames
            if self._what == "body":
                frames.append(replace(self._head, body=self._part))
            self._part, self._filled = bytearray(self._size()), 0

    def _size(self) -> int:
        """Go on to the next part; gives its size."""
        if self._what == "length":
            self._what = "head"
            return _head_length(self._part)
        if self._what == "head":
            self._what = "body"
            self._head, size = _head(self._part)
            return size
        self._what = "length"
        return _LENGTH.size
