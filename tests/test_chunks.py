"""Chunks of Zarr arrays, written without Zarr: the same files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from spike_runtime import chunks
from spike_runtime.files import Files


@pytest.mark.parametrize(
    ("dtype", "shape", "fill"),
    [("float64", (1000,), np.nan), ("float32", (100, 7), np.nan), ("int32", (50,), -1)],
)
def test_chunks_are_those_of_zarr(tmp_path: Path, dtype: str, shape: tuple[int, ...], fill: float) -> None:
    """To the byte, also where a chunk is not whole."""
    data = np.random.default_rng(1).standard_normal(shape).cumsum(0).astype(dtype)
    files = []
    for name in ("zarr", "own"):
        array = zarr.create_array(
            tmp_path / name, shape=(3 * shape[0], *shape[1:]), chunks=shape, dtype=dtype, fill_value=fill,
            compressors=chunks.CODEC,
        )  # fmt: skip
        if name == "own":
            own = chunks.Chunks(array, Files())
            own.write(0, data)
            own.write(1, data[:13])
        else:
            array[: shape[0]] = data
            array[shape[0] : shape[0] + 13] = data[:13]
        files.append({f.relative_to(tmp_path / name): f.read_bytes() for f in (tmp_path / name).rglob("*")
                      if f.is_file()})  # fmt: skip
    assert files[0] == files[1]
    assert len(files[1]) == 3


def test_a_large_chunk_is_the_same_each_time(tmp_path: Path) -> None:
    """Though compressed in blocks, which threads would put there as they come to it."""
    data = np.random.default_rng(1).standard_normal((1 << 14, 64)).cumsum(0).astype(np.float32)
    array = zarr.create_array(
        tmp_path, shape=(8 * len(data), 64), chunks=data.shape, dtype="float32", compressors=chunks.CODEC
    )
    own = chunks.Chunks(array, Files())
    for number in range(8):
        own.write(number, data)
    assert len({path.read_bytes() for path in tmp_path.glob("c/*/0")}) == 1
    assert np.array_equal(array[-len(data) :], data)
