"""What a worker recorded goes to the supervisor by a thread, so that steps do not wait for the disk."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spike_runtime import frames
from spike_runtime.blocks import Block

# Chunks of each partition that may wait: a recorder that is behind for a moment stops nobody, and memory
# stays bounded.
WAITING = 4


class Outbox:
    """Sends blocks over `channel`, in order; nobody else may write there until it is closed.

    Of blocks in `memory`, which the other side has too, only their places are sent.
    """

    def __init__(
        self, channel: socket.socket, partitions: int = 1, memory: NDArray[np.int64] | None = None
    ) -> None:
        self._channel, self._memory = channel, memory
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(WAITING * partitions)
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
        """Hand over what a partition recorded up to `step`; the arrays must not change until it was taken.

        Waits while too many are under way.  Raises `OSError` where the other side is gone.
        """
        self._put(partial(frames.send_recorded, self._channel, blocks, partition, step, self._memory))

    def keep(self, arrays: Mapping[str, NDArray[Any]], cause: str, partition: int, step: int) -> None:
        """Hand over the state of a partition after `step`, but for what cannot be saved (`cause`)."""
        self._put(partial(self._send_state, arrays, cause, partition, step))

    def wait(self, taken: Callable[[], bool]) -> None:
        """Wait until the other side has `taken` enough.  Raises `OSError` where it is gone."""
        while not taken():
            if self._failure:
                raise self._failure
            with contextlib.suppress(BlockingIOError):
                if not self._channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    raise BrokenPipeError("the other side closed the connection")
            time.sleep(1e-3)

    def _put(self, job: Callable[[], None]) -> None:
        if self._failure:
            raise self._failure
        self._queue.put(job)

    def _send(self) -> None:
        while (job := self._queue.get()) is not None:
            if self._failure:
                continue  # nobody listens: only make room
            try:
                job()
            except OSError as error:
                self._failure = error

    def _send_state(self, arrays: Mapping[str, NDArray[Any]], cause: str, partition: int, step: int) -> None:
        for name, array in arrays.items():
            frames.send_array(partial(frames.send, self._channel), partition, name, array, step)
        frames.send(self._channel, "kept", partition=partition, step=step, cause=cause)
