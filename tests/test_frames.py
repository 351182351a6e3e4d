"""Messages between supervisor and workers: whole, in order, in whatever pieces the stream brings them."""

from __future__ import annotations

import pytest
from spike_runtime import frames


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


def test_a_message_is_given_when_its_last_byte_has_come() -> None:
    stream = Written()
    frames.send(stream, "only", b"12345")
    splitter = frames.Splitter()
    assert splitter.feed(stream.data[:-1]) == []
    assert splitter.feed(b"") == []
    (frame,) = splitter.feed(stream.data[-1:])
    assert (frame.kind, bytes(frame.body)) == ("only", b"12345")
