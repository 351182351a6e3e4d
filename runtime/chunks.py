"""Whole chunks of a Zarr array, written without Zarr.

Zarr hands every chunk to an event loop and two threads: 0.8 ms of a processor for each, which a run with as
many partitions as cores takes from its steps.  The files are the same to the byte, and are replaced whole, as
there; but Zarr writes none for a chunk of its fill value alone.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import zarr
from numcodecs import blosc
from numpy.typing import NDArray
from spike_runtime.files import Files
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore

# Of what models decode it leaves three quarters, more of what is mostly noise, in 0.2 to 0.6 ns per byte;
# Zstandard leaves about as much, and takes five times as long.
CODEC = BloscCodec(cname="lz4", clevel=1, shuffle="shuffle", blocksize=1 << 16)
_MORE = 16  # bytes that what is compressed can be longer by


class Chunks:
    """The chunks of an array that is compressed by `CODEC`, cut along its first axis alone."""

    def __init__(self, array: zarr.Array[Any], files: Files) -> None:
        store = array.store_path.store
        assert isinstance(store, LocalStore)
        self._folder, self._key = store.root / array.store_path.path, array.metadata.encode_chunk_key
        self._rest = (0,) * (array.ndim - 1)
        self._shape, self._dtype, self._fill = array.chunks, array.dtype, array.fill_value
        self._codec = blosc.Blosc("lz4", CODEC.clevel, blosc.Blosc.SHUFFLE, CODEC.blocksize)
        self._files = files
        self._prepare()

    def _prepare(self) -> None:
        """Load what is needed, and have its memory, before steps are timed."""
        self._encode(np.zeros(0, self._dtype))
        size = prod(self._shape) * self._dtype.itemsize + _MORE
        self._files.prepare(size)
        # The memory of what is compressed: where a larger array was there, the system is not given it back.
        np.empty(2 * size, np.uint8)
        np.ones(size, np.uint8)

    def write(self, number: int, data: NDArray[Any]) -> None:
        """Replace a chunk by `data`; what that lacks of a whole one is not set.  Raises `OSError`."""
        data = np.ascontiguousarray(data, self._dtype)
        if len(data) < self._shape[0]:
            whole = np.full(self._shape, self._fill, self._dtype)
            whole[: len(data)] = data
            data = whole
        path = self._folder / self._key((number, *self._rest))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files.replace(path, self._encode(data))

    def _encode(self, data: NDArray[Any]) -> bytes:
        """Numbers as they come, compressed in one thread: several take the cores of several partitions, and
        put blocks into a chunk in the order in which they are done, another one each time.
        """
        before, blosc.use_threads = blosc.use_threads, False
        try:
            content: bytes = self._codec.encode(data)
        finally:
            blosc.use_threads = before
        return content
