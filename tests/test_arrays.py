"""Arrays of a run: where they begin."""

from __future__ import annotations

import numpy as np
import pytest
from spike_runtime import memory


@pytest.mark.parametrize("shape", [(3,), (2, 1001), (1, 100_001)])
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


def test_memory_that_may_not_be_written_seems_writable_and_is_the_same() -> None:
    array = np.arange(6.0).reshape(2, 3)
    array.setflags(write=False)
    same = memory.as_if_writable(array)
    assert same.flags.writeable
    assert same.ctypes.data == array.ctypes.data
    assert same.tolist() == array.tolist()
    assert memory.as_if_writable(same) is same
    with pytest.raises(ValueError, match="C-contiguous"):
        memory.as_if_writable(array.T)
    empty = np.zeros((0, 3))
    empty.setflags(write=False)
    assert memory.as_if_writable(empty).shape == (0, 3)
    assert memory.as_if_writable(empty).flags.writeable
