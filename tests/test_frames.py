"""What workers send to the supervisor: rows that were recorded, and messages in any pieces."""

from __future__ import annotations

import socket
import tracemalloc

import numpy as np
import pytest
from spike_runtime import frames, slots
from spike_runtime.blocks import Block


class Written:
    """A stream that keeps what is written."""

    def __init__(self) -> None:
        self.data = b""

    def sendall(self, data: bytes | memoryview, /) -> None:
        self.data += bytes(data)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
def test_pieces_of_any_size_make_the_messages(size: int) -> None:
    stream = Written()
    frames.send(stream, "first", b"abc", b"", b"defg", step=3)
    frames.send(stream, "second", partition=1)
    frames.send(stream, "third", bytes(range(200)))
    splitter = frames.Splitter()
    found = [
        frame
        for start in range(0, len(stream.data), size)
        for frame in splitter.feed(stream.data[start : start + size])
    ]
    assert [frame.kind for frame in found] == ["first", "second", "third"]
    assert [bytes(frame.body) for frame in found] == [b"abcdefg", b"", bytes(range(200))]
    assert [frame.values for frame in found] == [{"step": 3}, {"partition": 1}, {}]


def test_of_what_is_in_shared_memory_only_the_place_is_sent() -> None:
    memory, stream = np.zeros(64, np.int64), Written()
    near = memory.view(np.float32)[16:28].reshape(4, 3)
    near[:] = np.arange(12).reshape(4, 3)
    far = np.arange(5)
    frames.send_recorded(stream, [Block(0, 1, 7, near), Block(2, 0, 0, far)], 1, 10, memory)
    (frame,) = frames.Splitter().feed(stream.data)
    assert bytes(frame.body) == far.tobytes()
    found = list(frames.to_blocks(frame, memory))
    assert [(b.probe, b.part, b.first_sample) for b in found] == [(0, 1, 7), (2, 0, 0)]
    assert np.shares_memory(found[0].data, memory)
    assert found[0].data.tolist() == near.tolist()
    assert found[1].data.tolist() == far.tolist()


def test_a_message_is_given_when_its_last_byte_has_come() -> None:
    stream = Written()
    frames.send(stream, "only", b"12345")
    splitter = frames.Splitter()
    assert splitter.feed(stream.data[:-1]) == []
    assert splitter.feed(b"") == []
    (frame,) = splitter.feed(stream.data[-1:])
    assert (frame.kind, bytes(frame.body)) == ("only", b"12345")


FOREIGN = (
    b"GET / HTTP/1.1\r\n",
    b"\xff" * 8,
    b"\x02\0\0\0{}",
    b"\x03\0\0\0[1]",
    b"\x02\0\0\0\xff\xff",
    b"\0\0\1\0" + b"[" * (1 << 16),
)


@pytest.mark.parametrize("sent", FOREIGN)
def test_what_is_no_message_is_refused_before_memory_is_taken_for_it(sent: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(EOFError, match="no message of Spike: b"):
        frames.Splitter().feed(sent)
    here, there = socket.socketpair()
    with here, there:
        there.sendall(sent)
        with pytest.raises(EOFError, match="no message of Spike: b"):
            frames.receive(here)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 24


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 7), (3, 10), (5, 5), (6, 8), (20, 27), (27, 33)])
def test_rows_are_taken_from_a_ring_where_it_begins_again(first: int, last: int) -> None:
    ring = np.arange(14).reshape(7, 2)
    taken = np.concatenate(slots.ring_rows(ring, first, last))
    assert taken.tolist() == [ring[k % 7].tolist() for k in range(first, last)]
