"""What a worker recorded goes to the supervisor by a thread, so that steps do not wait for the disk."""

from __future__ import annotations

import queue
import socket
import threading
from types import TracebackType

from spike_runtime import frames
from spike_runtime.blocks import Block

# Chunks that may wait: a recorder that is behind for a moment stops nobody, and memory stays bounded.
WAITING = 4


class Outbox:
    """Sends blocks over `channel`, in order; nobody else may write there until it is closed."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._queue: queue.Queue[tuple[list[Block], int] | None] = queue.Queue(WAITING)
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

    def put(self, blocks: list[Block], step: int) -> None:
        """Hand over what was recorded up to `step`; the arrays must not change afterwards.

        Waits while too many are under way.  Raises `OSError` where the other side is gone.
        """
        if self._failure:
            raise self._failure
        self._queue.put((blocks, step))

    def _send(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._failure:
                continue  # nobody listens: only make room
            try:
                for block in item[0]:
                    frames.send_block(self._channel, block)
                frames.send(self._channel, "complete", step=item[1])
            except OSError as error:
                self._failure = error
