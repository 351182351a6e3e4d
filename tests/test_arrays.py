"""Arrays of a run: where they begin, and what is read of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from spike_runtime import memory


@pytest.mark.parametrize("shape", [(3,), (2, 1001), (1, 1_500_001)])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_arrays_begin_at_a_line_and_hold_nothing(shape: tuple[int, ...], dtype: str) -> None:
    array = memory.zeros(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.ctypes.data % memory.LINE == 0
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert not array.any()
    array += 1
    copy = memory.aligned(array)
    array += 1
    assert copy.ctypes.data % memory.LINE == 0
    assert (copy == 1).all()


@pytest.mark.parametrize("count", [10, memory.HUGE // 8 + 5])
def test_what_is_read_is_what_is_in_the_file_and_stays_so(count: int, tmp_path: Path) -> None:
    array = np.random.default_rng(1).normal(size=(1, count))
    np.save(tmp_path / "array.npy", array)
    read = memory.read(tmp_path / "array.npy")
    assert read.tobytes() == array.tobytes()
    assert read.shape == array.shape
    assert read.ctypes.data % memory.LINE == 0
    with pytest.raises(ValueError, match="read-only"):
        read[0, 0] = 1.0
    # Small arrays are mapped, large ones are copies.
    assert isinstance(read.base, np.memmap) == (count == 10)


def test_a_large_array_that_is_cut_off_is_no_array(tmp_path: Path) -> None:
    path = tmp_path / "array.npy"
    np.save(path, np.zeros(memory.HUGE))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises((OSError, ValueError)):
        memory.read(path)
