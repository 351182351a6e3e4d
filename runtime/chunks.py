"""Groups and arrays of a Zarr store (format 3), written without Zarr.

Zarr hands every file to an event loop and two threads: 13 ms of a processor for what a probe needs before the
first step, and 0.8 ms for each chunk, which a run with as many partitions as cores takes from its steps.  The
files are the same to the byte, and are replaced whole, as there; but Zarr writes none for a chunk of its fill
value alone.  https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html
"""

from __future__ import annotations

import json
import sys
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs import blosc
from numpy.typing import DTypeLike, NDArray
from spike_runtime.files import Files

# Of what models decode it leaves three quarters, more of what is mostly noise, in 0.2 to 0.6 ns per byte;
# Zstandard leaves about as much, and takes five times as long.
CODEC = {"cname": "lz4", "clevel": 1, "shuffle": "shuffle", "blocksize": 1 << 16}
_MORE = 16  # bytes that what is compressed can be longer by


def create_group(folder: Path, files: Files, attributes: dict[str, Any]) -> None:
    """Make a group at `folder`, its parents being there or not.  Raises `OSError`."""
    _describe(folder, files, {"attributes": attributes, "zarr_format": 3, "node_type": "group"})


def _describe(folder: Path, files: Files, what: dict[str, Any]) -> None:
    files.replace(folder / "zarr.json", json.dumps(what, indent=2).encode())


class Array:
    """An array of a Zarr store that is compressed by `CODEC`, and cut along its first axis alone: new at
    `folder`, of `shape`, `chunk` of its first axis in a chunk.  What is not set is NaN, or -1 of integers.
    Raises `OSError`.
    """

    def __init__(
        self,
        folder: Path,
        files: Files,
        shape: tuple[int, ...],
        chunk: int,
        dtype: DTypeLike,
        dimensions: tuple[str, ...],
        attributes: dict[str, Any],
    ) -> None:
        self._folder, self._files = folder, files
        self.shape, self._chunk, self._dtype = shape, (chunk, *shape[1:]), np.dtype(dtype)
        self._fill = np.nan if self._dtype.kind == "f" else -1
        self._dimensions, self._attributes = dimensions, attributes
        self._codec = blosc.Blosc("lz4", CODEC["clevel"], blosc.Blosc.SHUFFLE, CODEC["blocksize"])
        self._save()
        self._prepare()

    def _save(self) -> None:
        compressor = {"typesize": self._dtype.itemsize, **CODEC}
        about = {
            "shape": self.shape,
            "data_type": self._dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": self._chunk}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": "NaN" if self._dtype.kind == "f" else self._fill,
            "codecs": [
                {"name": "bytes", "configuration": {"endian": sys.byteorder}},
                {"name": "blosc", "configuration": compressor},
            ],
            "attributes": self._attributes,
            "dimension_names": self._dimensions,
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        }
        _describe(self._folder, self._files, about)

    def _prepare(self) -> None:
        """Load what is needed, and have its memory, before steps are timed."""
        self._encode(np.zeros(0, self._dtype))
        size = prod(self._chunk) * self._dtype.itemsize + _MORE
        self._files.prepare(size)
        # The memory of what is compressed: where a larger array was there, the system is not given it back.
        np.empty(2 * size, np.uint8)
        np.ones(size, np.uint8)

    def resize(self, length: int) -> None:
        """Make the first axis so long; chunks behind that are removed.  Raises `OSError`."""
        number = -(-length // self._chunk[0])
        while (path := self._path(number)).exists():  # none is there behind one that is not
            path.unlink()
            number += 1
        self.shape = (length, *self.shape[1:])
        self._save()

    def read(self, number: int) -> NDArray[Any]:
        """A chunk, whole.  Raises `OSError`."""
        path = self._path(number)
        if not path.exists():
            return np.full(self._chunk, self._fill, self._dtype)
        return np.frombuffer(self._codec.decode(path.read_bytes()), self._dtype).reshape(self._chunk)

    def write(self, number: int, data: NDArray[Any]) -> None:
        """Replace a chunk by `data`; what that lacks of a whole one is not set.  Raises `OSError`."""
        data = np.ascontiguousarray(data, self._dtype)
        if len(data) < self._chunk[0]:
            whole = np.full(self._chunk, self._fill, self._dtype)
            whole[: len(data)] = data
            data = whole
        self._files.replace(self._path(number), self._encode(data))

    def _path(self, number: int) -> Path:
        return self._folder.joinpath("c", str(number), *"0" * (len(self.shape) - 1))

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
