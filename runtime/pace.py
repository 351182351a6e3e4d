"""How far workers may go at a time, in runs that save their state.

A run that is asked to stop, and saves its state, must end with the same step everywhere, and soon.  So its
workers go no further than the supervisor allows, which is always somewhat ahead of where they are; when a
signal comes, it allows no more than what is under way, and says that this is the end.
"""

from __future__ import annotations

import select
import socket

import numpy as np
from numpy.typing import NDArray
from spike_runtime import frames
from spike_runtime.wires.layout import STOP

# How far ahead workers may go, in s; in steps at first, at least, and how fast that may grow.
SECONDS, FIRST, LEAST, GROWTH = 0.5, 16, 2, 8
_TICK = 0.1


class Horizon:
    """The supervisor's end: `may`, the step up to which all may go, and `last`, the last one of the run."""

    def __init__(self, begin: int, last: int) -> None:
        self.may, self.last = begin, last
        self.ended = False
        self._ahead = FIRST
        self._seen: tuple[int, float] | None = None

    def look(self, step: int, now: float) -> bool:
        """Whether `may` has changed, where all have done `step` at the time `now` (s)."""
        if self.may >= self.last or self.may - step > self._ahead // 2:
            return False
        seen, then = self._seen = self._seen or (step, now)
        if step > seen:
            wanted = max(LEAST, SECONDS * (step - seen) / max(now - then, 1e-6))
            self._ahead = int(min(wanted, GROWTH * self._ahead))
            self._seen = step, now
        before, self.may = self.may, min(self.last, max(self.may, step + self._ahead))
        return self.may > before

    def end(self, window: int) -> None:
        """Let this be the end; the last steps of a window, at least one, are run for the state after them."""
        self.last = self.may = min(self.last, self.may + max(1, window - 1))
        self.ended = True


class Pace:
    """The worker's end: what it was told over its channel."""

    def __init__(self, channel: socket.socket, segment: NDArray[np.int64], begin: int, last: int) -> None:
        self.may, self.last = begin, last
        self._channel, self._segment = channel, segment

    def look(self, wait: float = 0.0) -> bool:
        """Take what has come, or comes within `wait` seconds; whether there was something.

        Raises `EOFError` where the supervisor is gone.
        """
        found = False
        while select.select([self._channel], [], [], 0.0 if found else wait)[0]:
            frame = frames.receive(self._channel)
            if frame.kind != "until":
                raise EOFError(f"expected how far to go, not {frame.kind!r}")
            self.may, self.last, found = frame.values["may"], frame.values["last"], True
        return found

    def wait(self) -> bool:
        """Wait until it may go further; False where the run was stopped."""
        while not self._segment[STOP]:
            if self.look(_TICK):
                return True
        return False
