"""How fast this processor is at this moment: what a piece of work takes that is always the same.

Where others have the same physical core, all that a kernel does takes up to 1.8 times as long while they are
busy, for seconds or minutes, and nothing else tells.
"""

from __future__ import annotations

import time
from functools import cache

import numpy as np
from numpy.typing import NDArray

# Numbers of which it computes exp: few enough for a level 1 cache, and arithmetic in vectors, as neurons are.
NUMBERS = 4096
# Repetitions in a try, some 0.1 ms, and tries of `now`.
REPETITIONS, TRIES = 20, 20


def standard_work(repetitions: int = REPETITIONS) -> float:
    """ns of the processor that it takes."""
    x, y = _arrays()
    np.exp(x, out=y)
    start = time.thread_time_ns()
    for _ in range(repetitions):
        np.exp(x, out=y)
    return (time.thread_time_ns() - start) / repetitions


def now() -> float:
    """ns of the processor that it takes where nothing disturbs for a moment."""
    return min(standard_work() for _ in range(TRIES))


@cache
def _arrays() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.linspace(-5, 5, NUMBERS, dtype=np.float32), np.empty(NUMBERS, np.float32)
