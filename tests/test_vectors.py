"""Vectors of neurons in kernels: the same numbers whatever extensions a processor has."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from spike_runtime.ops.places import accumulate, decoded
from spike_runtime.ops.simd import every, first, load, pack, pointer, store, width

LIMIT = 2**51  # what `accumulate` rounds
WHOLE = [
    0,
    1,
    -1,
    2**31,
    -(2**31),
    2**32 - 1,
    2**53 + 1,
    -(2**53) - 3,
    2**62 + 257,
    -(2**62) - 1,
    2**63 - 1,
    -(2**63),
]
REAL = [
    0.0,
    0.5,
    1.5,
    -0.5,
    -2.5,
    2.0**23 + 0.5,
    -(2.0**31) - 1,
    2.0**40 + 1,
    LIMIT - 1.0,
    1.0 - LIMIT,
    1e-30,
    -3.49,
]


@numba.njit
def packed(a):
    index, count = np.zeros(a.shape[0] + 8, np.uint8), 0
    rest = a.shape[0] % width(a)
    for i in range(0, a.shape[0] - rest, width(a)):
        count += pack(pointer(index), count, i, load(a, i, every(a)))
    mask = first(a, rest)
    count += pack(pointer(index), count, a.shape[0] - rest, load(a, a.shape[0] - rest, mask))
    return index[:count]


@numba.njit
def rounded(x, sums):
    rest = x.shape[0] % width(x)
    for i in range(0, x.shape[0] - rest, width(x)):
        accumulate(sums, i, load(x, i, every(x)), every(x))
    mask = first(x, rest)
    accumulate(sums, x.shape[0] - rest, load(x, x.shape[0] - rest, mask), mask)
    return sums


@numba.njit
def decode(y, sums, places, scale):
    rest = y.shape[0] % width(y)
    for i in range(0, y.shape[0] - rest, width(y)):
        store(y, i, decoded(sums, places, scale, i, every(y)), every(y))
    mask = first(y, rest)
    store(y, y.shape[0] - rest, decoded(sums, places, scale, y.shape[0] - rest, mask), mask)
    return y


def check(real: type) -> None:
    """All of it in one process, with the extensions that Numba takes there."""
    random = np.random.default_rng(5)
    for count in (1, 8, 15, 16, 17, 100, 256):
        for rate in (0.0, 0.1, 0.5, 1.0):
            a = (random.uniform(size=count) < rate).astype(real)
            np.testing.assert_array_equal(packed(a), np.flatnonzero(a))
    x = np.concatenate([REAL, random.uniform(-1, 1, 50) * 2.0 ** random.integers(0, 50, 50)]).astype(real)
    x = x[np.abs(x) < LIMIT]
    before = random.integers(-(2**62), 2**62, len(x))
    np.testing.assert_array_equal(rounded(x, before.copy()), before + np.rint(x).astype(np.int64))
    for step in (1, -1):  # places that follow each other, and others
        sums = np.concatenate([np.array(WHOLE, np.int64), random.integers(-(2**63), 2**63 - 1, 38)])
        places = np.arange(len(sums), dtype=np.int32)[::step].copy()
        scale = np.where(np.arange(len(sums)) % 7 == 3, 0.0, 2.0**-31)
        bits = sums[places].view(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            expected = np.where(scale == 0.0, bits, sums[places].astype(np.float64) * scale).astype(real)
        np.testing.assert_array_equal(decode(np.zeros(len(sums), real), sums, places, scale), expected)


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_here(real):
    check(real)


@pytest.mark.parametrize("real", ["float32", "float64"])
def test_on_a_processor_without_extensions(real):
    processor = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    script = f"import numpy; from tests.test_vectors import check; check(numpy.{real})"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | processor,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
