"""Cholesky factors of Gram matrices, by the LAPACK that NumPy brought.

NumPy itself has products and a general solver, but neither half of a Gram matrix nor what uses a factor
twice.  SciPy has both, and takes as long to import as hundreds of small ensembles take to be solved for: it
is used where NumPy came with another library.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from spikec.graph import Array
from spikec.nef.blas import named
from spikec.nef.system import Single

Matrix = Array | Single

# Of the C interfaces of BLAS and LAPACK.
_ROWS, _COLUMNS, _NO_TRANSPOSE, _TRANSPOSE, _LOWER = 101, 102, 111, 112, 122
_INTEGER, _POINTER = ctypes.c_int64, ctypes.c_void_p


class _Routines(NamedTuple):
    """Of one precision: the lower half of A'A or AA', its factor L, and the solution of L L' x = b."""

    syrk: Callable[..., None]
    potrf: Callable[..., int]
    potrs: Callable[..., int]


def gram(A: Matrix, out: Matrix, dual: bool = False) -> None:
    """The lower half of A'A, or with `dual` of AA', in `out`; its other half is not defined."""
    rows, columns = A.shape
    found = _routines(A.dtype.char)
    if found is None:
        from scipy.linalg import blas

        # In column-major order A is A', and the upper half the lower one.
        syrk = blas.ssyrk if A.dtype == np.float32 else blas.dsyrk
        out[...] = syrk(1.0, A.T, trans=int(dual), lower=0).T
        return
    order, depth, transpose = (rows, columns, _NO_TRANSPOSE) if dual else (columns, rows, _TRANSPOSE)
    found.syrk(
        _ROWS, _LOWER, transpose, order, depth, 1.0, A.ctypes.data, columns, 0.0, out.ctypes.data, order
    )


def factor(matrix: Matrix) -> bool:
    """Put the Cholesky factor of a symmetric matrix in the place of its lower half; False: there is none."""
    found = _routines(matrix.dtype.char)
    order = len(matrix)
    if found is not None:
        return found.potrf(_COLUMNS, b"U", order, matrix.ctypes.data, order) == 0
    from scipy.linalg import lapack

    potrf = lapack.spotrf if matrix.dtype == np.float32 else lapack.dpotrf
    factored, info = potrf(matrix.T, lower=0, clean=0)
    matrix[...] = factored.T
    return bool(info == 0)


def solve(factored: Matrix, b: Matrix) -> None:
    """Put x with L L' x = b in the place of every row b (contiguous, of the same precision)."""
    found = _routines(factored.dtype.char)
    order, count = len(factored), len(b)
    if found is not None:
        found.potrs(_COLUMNS, b"U", order, count, factored.ctypes.data, order, b.ctypes.data, order)
        return
    from scipy.linalg import lapack

    potrs = lapack.spotrs if factored.dtype == np.float32 else lapack.dpotrs
    b[...] = potrs(factored.T, b.T, lower=0)[0].T


@cache
def _routines(precision: str) -> _Routines | None:
    """Those for float32 ("f") or float64 ("d"), where NumPy's library has them."""
    letter = "s" if precision == "f" else "d"
    real = ctypes.c_float if precision == "f" else ctypes.c_double
    syrk = named(f"cblas_{letter}syrk")
    potrf, potrs = (named(f"LAPACKE_{letter}{name}_work") for name in ("potrf", "potrs"))
    if syrk is None or potrf is None or potrs is None:
        return None
    kinds: list[Any] = [ctypes.c_int] * 3
    syrk.argtypes = [*kinds, _INTEGER, _INTEGER, real, _POINTER, _INTEGER, real, _POINTER, _INTEGER]
    syrk.restype = None
    potrf.argtypes = [ctypes.c_int, ctypes.c_char, _INTEGER, _POINTER, _INTEGER]
    potrs.argtypes = [ctypes.c_int, ctypes.c_char, *[_INTEGER] * 2, _POINTER, _INTEGER, _POINTER, _INTEGER]
    potrf.restype = potrs.restype = _INTEGER
    return _Routines(syrk, potrf, potrs)
