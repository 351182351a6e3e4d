"""What a worker recorded goes to the supervisor by a thread, so that steps do not wait for the disk."""

from __future__ import annotations

import queue
import socket
import threading
from types import TracebackType

from spike_runtime import frames
from spike_runtime.blocks import Block

# Chunks of each partition that may wait: a recorder that is behind for a moment stops nobody, and memory
# stays bounded.
WAITING = 4


class Outbox:
    """Sends blocks over `channel`, in order; nobody else may write there until it is closed."""

    def __init__(self, channel: socket.socket, partitions: int = 1) -> None:
        self._channel = channel
        self._queue: queue.Queue[tuple[list[Block], int, int] | None] = queue.Queue(WAITING * partitions)
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Outbox:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all is sent."""
        self._queue.put(None)
        self._thread.join()
        if self._failure and not error:
            raise self._failure

    def put(self, blocks: list[Block], partition: int, step: int) -> None:
        """Hand over what a partition recorded up to `step`; the arrays must not change afterwards.

        Waits while too many are under way.  Raises `OSError` where the other side is gone.
        """
        if self._failure:
            raise self._failure
        self._queue.put((blocks, partition, step))

    def _send(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._failure:
                continue  # nobody listens: only make room
            try:
                for block in item[0]:
                    frames.send_block(self._channel, block)
                frames.send(self._channel, "complete", partition=item[1], step=item[2])
            except OSError as error:
                self._failure = error
