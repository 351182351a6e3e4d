"""Compiled code by its address: how a loop is told what it works on, and how Python calls it.

It takes arrays by their addresses, so none of this needs what compiled it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

# What a function gives that ended well: a number, or nothing.  Numba's convention: status f(result*, raised*,
# arguments ...), and where it raised, `raised` points to what is pickled there, and its length.
_ENDED_WELL = (0, -2)


@dataclass(frozen=True)
class Entry:
    """How compiled code runs steps of a partition: call `loop` with (first, count, progress, table).

    loop, table, status: addresses; progress: a word of the segment.  The word at `status` is not 0 where the
    last step left something to be looked at.
    """

    loop: int
    progress: int
    table: int
    status: int


def arrays_of(constants: Arrays, state: Arrays, segment: NDArray[np.int64]) -> list[NDArray[Any]]:
    """What a loop works on, in the order of its table: the step's number, constants, what changes."""
    changing = {**state, "segment": segment}
    return [
        np.zeros((), np.int64),
        *(constants[name] for name in sorted(constants)),
        *(changing[name] for name in sorted(changing)),
    ]


def pack(arrays: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """The table of `arrays`, which must outlive it: for each the address of its data, then its shape.

    Raises `ValueError` where one is not C-contiguous.
    """
    words: list[int] = []
    for array in arrays:
        words += (_address(array), *array.shape)
    return np.array(words, np.int64)


def words_of(value: NDArray[Any] | int) -> tuple[int, ...]:
    """What a function compiled by Numba is given for a whole number, or for a C-contiguous array."""
    if not isinstance(value, np.ndarray):
        return (int(value),)
    address = _address(value)
    return 0, 0, value.size, value.itemsize, address, *value.shape, *value.strides


def _address(array: NDArray[Any]) -> int:
    if not array.flags.c_contiguous:
        raise ValueError("only C-contiguous arrays can be given by their address")
    return array.ctypes.data


class Function:
    """Compiled code at an `address`, which is called with words and gives a whole number, without the
    interpreter's lock.
    """

    def __init__(self, address: int) -> None:
        self.address = address

    def __call__(self, *words: int) -> int:
        """Raises `MemoryError` where it had too little, `RuntimeError` where it raised anything else."""
        result, raised = ctypes.c_int64(), ctypes.c_void_p()
        status = _convention(len(words))(self.address)(ctypes.byref(result), ctypes.byref(raised), *words)
        if status not in _ENDED_WELL:
            raise _error(raised.value)
        return result.value


@cache
def _convention(words: int) -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * words)


def _error(raised: int | None) -> Exception:
    """What compiled code raised: of its kinds only lack of memory is told apart."""
    if raised:
        text = ctypes.c_void_p.from_address(raised).value
        size = ctypes.c_int32.from_address(raised + ctypes.sizeof(ctypes.c_void_p)).value
        if text and b"MemoryError" in ctypes.string_at(text, size):
            return MemoryError()
    return RuntimeError("compiled code raised an error")
