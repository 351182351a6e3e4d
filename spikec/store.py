"""Memory for many small arrays that stay for some time: the system has it back when they are gone.

What the C library is given back, it seldom gives back itself: something else lies behind it by then.
"""

from __future__ import annotations

import math
import mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Bytes that are asked for at a time, at the least, and between the beginnings of two arrays.
BLOCK, STEP = 1 << 20, 16


class Store:
    """Arrays one after the other, in blocks; a block goes when its last array does.

    Processes that are forked have the same memory.
    """

    def __init__(self) -> None:
        self._left = np.empty(0, np.uint8)

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array for the caller to fill; 0 where nobody did."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > len(self._left):
            self._left = np.frombuffer(mmap.mmap(-1, max(size, BLOCK)), np.uint8)
        made, self._left = self._left[:size], self._left[-(-size // STEP) * STEP :]
        return made.view(dtype).reshape(shape)
