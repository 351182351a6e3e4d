"""Chunks of Zarr arrays, written without Zarr: the same files, replaced whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from spike_runtime import chunks


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
            own = chunks.Chunks(array)
            own.write(0, data)
            own.write(1, data[:13])
        else:
            array[: shape[0]] = data
            array[shape[0] : shape[0] + 13] = data[:13]
        files.append({f.relative_to(tmp_path / name): f.read_bytes() for f in (tmp_path / name).rglob("*")
                      if f.is_file()})  # fmt: skip
    assert files[0] == files[1]
    assert len(files[1]) == 3


def test_a_chunk_that_does_not_fit_the_disk_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "0"
    chunks.replace(path, b"whole")

    def full(self: Path, content: bytes) -> None:
        with self.open("wb") as file:
            file.write(content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        chunks.replace(path, b"other")
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("0", b"whole")]
