"""The memory that the processes of a run share.

It has no name in the file system: children inherit its descriptor, and it is gone when the last of them ends,
however they end.
"""

from __future__ import annotations

import mmap
import os
import tempfile

import numpy as np
from numpy.typing import NDArray


def create(words: int) -> int:
    """Descriptor of new shared memory of `words` 64-bit words, all zero.

    Raises `MemoryError` where there is not room for it.
    """
    descriptor = empty()
    try:
        enlarge(descriptor, words)
    except MemoryError:
        os.close(descriptor)
        raise
    return descriptor


def enlarge(descriptor: int, words: int) -> None:
    """Give shared memory that was `empty` its size; raises `MemoryError` where there is not room for it."""
    try:
        os.posix_fallocate(descriptor, 0, 8 * words)
    except OSError as error:
        raise MemoryError(f"{8 * words / 1e6:.1f} MB of shared memory: {error.strerror}") from None


def attach(descriptor: int, words: int) -> NDArray[np.int64]:
    """The shared memory as an array; it lives as long as the array."""
    return np.frombuffer(mmap.mmap(descriptor, 8 * words), np.int64, words)


def empty() -> int:
    """Descriptor of shared memory that has no size yet."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("spike")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
