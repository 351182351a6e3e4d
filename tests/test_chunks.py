"""Chunks of Zarr arrays, written without Zarr: the same files, in memory that is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numcodecs
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


def test_a_large_chunk_is_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though compressed in blocks, which threads, where a process has these, put as they come to them."""
    monkeypatch.setattr(numcodecs.blosc, "use_threads", None)
    data = np.random.default_rng(1).standard_normal((1 << 14, 64)).cumsum(0).astype(np.float32)
    array = zarr.create_array(
        tmp_path, shape=(8 * len(data), 64), chunks=data.shape, dtype="float32", compressors=chunks.CODEC
    )
    own = chunks.Chunks(array, Files())
    for number in range(8):
        own.write(number, data)
    assert len({path.read_bytes() for path in tmp_path.glob("c/*/0")}) == 1
    assert np.array_equal(array[-len(data) :], data)


FAULTS = """
import resource, sys
from pathlib import Path
import numpy as np
from spike_runtime.blocks import Block
from spike_runtime.manifest import Cost, Manifest, Partition, Probe, ProbePart
from spike_runtime.record import Recorder

part = Partition(0, "", "", "", (), 0, 0, {}, Cost({}, 0.0))
probe = Probe("p", "p", "value", "value", 64, 1, "", (), (ProbePart(0, 0, ((0, 64),)),))
manifest = Manifest("m", 0, 1e-3, "float32", 0, (part,), (), (probe,))
recorder = Recorder(manifest, Path(sys.argv[1]), 1 << 14, 0)
data = np.random.default_rng(1).standard_normal((1 << 14, 64)).astype(np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
recorder.add(Block(0, 0, 0, data))
recorder.complete(0, 1 << 14)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_memory_for_a_chunk_is_there_before_the_first_step(tmp_path: Path) -> None:
    """A chunk of 4 MB was asked of the system page by page, three times, while steps waited: 1777 pages."""
    done = subprocess.run([sys.executable, "-c", FAULTS, tmp_path / "store"], capture_output=True, text=True)
    assert int(done.stdout or 1e6) < 256, done.stderr
