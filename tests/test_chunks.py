"""Zarr stores, written without Zarr: the same files, in memory that is there."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from spike_runtime import chunks
from spike_runtime.files import Files
from spike_runtime.manifest import Cost, Manifest, Partition, Probe, ProbePart
from spike_runtime.record import Recorder
from zarr.codecs import BloscCodec

CODEC = BloscCodec(cname="lz4", clevel=1, shuffle="shuffle", blocksize=1 << 16)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize(
    ("dtype", "shape", "fill"),
    [("float64", (1000,), np.nan), ("float32", (100, 7), np.nan), ("int32", (50,), -1)],
)
def test_stores_are_those_of_zarr(tmp_path: Path, dtype: str, shape: tuple[int, ...], fill: float) -> None:
    """To the byte, also where a chunk is not whole, and where an array is cut."""
    data = np.random.default_rng(1).standard_normal(shape).cumsum(0).astype(dtype)
    long, dimensions = (5 * shape[0], *shape[1:]), ("time", "column")[: len(shape)]
    about, group_about = {"units": "m/s²", "of": ["é", 1]}, {"dt": 1e-3, "seed": 2**60, "part": float("nan")}

    group = zarr.create_group(tmp_path / "zarr", attributes=group_about).create_group("a b", attributes={})
    theirs = group.create_array(
        "x", shape=long, chunks=shape, dtype=dtype, fill_value=fill, compressors=CODEC,
        dimension_names=dimensions, attributes=about,
    )  # fmt: skip
    files, folder = Files(), tmp_path / "own"
    chunks.create_group(folder, files, group_about)
    chunks.create_group(folder / "a b", files, {})
    own = chunks.Array(folder / "a b" / "x", files, long, shape[0], dtype, dimensions, about)
    for number, part in enumerate((data, data, data, data[:13])):
        theirs[number * shape[0] : number * shape[0] + len(part)] = part
        own.write(number, part)
    assert files_of(tmp_path / "own") == files_of(tmp_path / "zarr")
    assert len(files_of(tmp_path / "own")) == 3 + 4
    assert np.array_equal(own.read(2), data)
    assert np.array_equal(own.read(4), np.full(shape, fill), equal_nan=True)
    theirs.resize((2 * shape[0] - 1, *shape[1:]))
    own.resize(2 * shape[0] - 1)
    assert files_of(tmp_path / "own") == files_of(tmp_path / "zarr")
    assert len(files_of(tmp_path / "own")) == 3 + 2


def test_a_large_chunk_is_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though compressed in blocks, which threads, where a process has these, put as they come to them."""
    monkeypatch.setattr(numcodecs.blosc, "use_threads", None)
    data = np.random.default_rng(1).standard_normal((1 << 14, 64)).cumsum(0).astype(np.float32)
    own = chunks.Array(tmp_path, Files(), (8 * len(data), 64), len(data), "float32", ("time", "column"), {})
    for number in range(8):
        own.write(number, data)
    assert len({path.read_bytes() for path in tmp_path.glob("c/*/0")}) == 1
    assert np.array_equal(zarr.open_array(tmp_path)[-len(data) :], data)


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


def test_a_short_run_holds_memory_for_its_samples_alone(tmp_path: Path) -> None:
    """And not for a chunk of 4 MB of each probe."""
    part = Partition(0, "", "", "", (), 0, 0, {}, Cost({}, 0.0))
    dealt = (ProbePart(0, 0, ((0, 64),)),)
    probes = tuple(Probe(f"p{k}", "p", "value", "value", 64, 1, "", (), dealt) for k in range(8))
    manifest = Manifest("m", 0, 1e-3, "float32", 0, (part,), (), probes)
    tracemalloc.start()
    try:
        recorder = Recorder(manifest, tmp_path, 200, 0)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 8 * 200 * 64 * 4 < held < 1e6
    assert recorder.finish() == 0
