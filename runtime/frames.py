"""Messages between the supervisor and a worker: a JSON head and a body of bytes, over a stream socket.

length of the head (4 bytes, little-endian), the head, the body (its length is the head's "body")
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from spike_runtime.blocks import Block

_LENGTH = struct.Struct("<I")
_PIECE = 1 << 20


@dataclass(frozen=True, eq=False)
class Frame:
    """One message; `kind` says what it is, `values` are its numbers and texts."""

    kind: str
    values: dict[str, Any]
    body: bytes = b""


class Stream(Protocol):
    """What messages are written to: a socket, or something that does as it does."""

    def sendall(self, data: bytes | memoryview, /) -> None: ...


def send(channel: Stream, kind: str, body: bytes | memoryview = b"", **values: Any) -> None:
    """Write one message; waits while the other side does not read.  Raises `OSError` where it is gone."""
    head = json.dumps({"kind": kind, "body": len(body), "values": values}).encode()
    channel.sendall(_LENGTH.pack(len(head)) + head)
    if body:
        channel.sendall(body)


def send_block(channel: socket.socket, block: Block) -> None:
    """Write one block of recorded numbers."""
    data = np.ascontiguousarray(block.data)
    send(
        channel,
        "block",
        data.data.cast("B") if data.size else b"",
        probe=block.probe,
        part=block.part,
        first_sample=block.first_sample,
        dtype=data.dtype.str,
        shape=data.shape,
    )


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


def to_block(frame: Frame) -> Block:
    """The block in a message of kind "block"."""
    v = frame.values
    data = np.frombuffer(frame.body, np.dtype(v["dtype"])).reshape(v["shape"])
    return Block(v["probe"], v["part"], v["first_sample"], data)


def receive(channel: socket.socket) -> Frame:
    """Wait for one message.  Raises `EOFError` where the other side is gone."""
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    head = json.loads(_exactly(channel, length))
    return Frame(head["kind"], head["values"], _exactly(channel, head["body"]))


def _exactly(channel: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = channel.recv(count - len(data))
        if not piece:
            raise EOFError("the other side closed the connection")
        data += piece
    return bytes(data)


class Splitter:
    """Cuts a stream, given in pieces, into messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, piece: bytes) -> list[Frame]:
        """The messages that are complete with this piece."""
        self._data += piece
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        if len(self._data) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._data)
        start = _LENGTH.size + length
        if len(self._data) < start:
            return None
        head = json.loads(self._data[_LENGTH.size : start])
        end = start + head["body"]
        if len(self._data) < end:
            return None
        body = bytes(self._data[start:end])
        del self._data[:end]
        return Frame(head["kind"], head["values"], body)
