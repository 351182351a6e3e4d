"""Sparse matrices: which are, and what those share that fill a few rows in one piece.

An array of n ensembles that is recorded is n matrices of n rows, and of each all but a few are empty: n^2
numbers, if each had its own pointers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import scipy.sparse as sp

Array = NDArray[np.float64]
Pointers = NDArray[np.int32]
# Matrices with fewer entries are kept dense: a model of small ones alone does without the import of sparse
# ones, which takes a tenth of a second.
SMALL = 256


def compact(m: sp.csr_array | Array) -> sp.csr_array | Array:
    """CSR for what is mostly zero and not small, else dense."""
    rows, columns = m.shape
    if isinstance(m, np.ndarray):
        if m.size >= SMALL and 4 * np.count_nonzero(m) < m.size:
            import scipy.sparse as sp

            return sp.csr_array(m)
        return m
    return m if rows * columns >= SMALL and 4 * m.nnz < rows * columns else m.toarray()


def multiply(left: sp.csr_array | Array, right: sp.csr_array | Array) -> sp.csr_array | Array:
    """left right; sparse where one of them is, and it is mostly 0."""
    made = left @ right
    if isinstance(made, np.ndarray) and not (isinstance(left, np.ndarray) and isinstance(right, np.ndarray)):
        made = compact(made)
    if not isinstance(made, np.ndarray):
        # In the order of columns, as a dense matrix is added up.
        made.sort_indices()
        made = shared(made)
    return made


def pointers(rows: int, first: int, count: int, each: int = 1) -> Pointers:
    """The `indptr` of a CSR matrix of which rows first .. first + count - 1 have `each` entries, others none.

    A view of what all such matrices have in common, not to be changed.
    """
    return _ramp(rows, count, each)[rows - first : 2 * rows - first + 1]


@lru_cache(maxsize=16)
def _ramp(rows: int, count: int, each: int) -> Pointers:
    """0 up to place `rows`, then each, 2 each, ... count each, and that to the end."""
    made = (each * np.clip(np.arange(2 * rows + 1) - rows, 0, count)).astype(np.int32)
    made.flags.writeable = False
    return made


def single(rows: int, columns: int, place: int, value: float) -> Array:
    """A matrix of one row or one column whose only entry is at `place`: a view of what all such share.

    Many are alike but for the place: those of circular_convolution take 0.1 MiB so, and 0.5 each by itself.
    """
    size = max(rows, columns)
    return _spike(size, value)[size - place : 2 * size - place].reshape(rows, columns)


@lru_cache(maxsize=16)
def _spike(size: int, value: float) -> Array:
    """0 but for one place, with `size` numbers before it and as many after it."""
    made = np.zeros(2 * size + 1)
    made[size] += value
    made.flags.writeable = False
    return made


def shared(matrix: sp.csr_array) -> sp.csr_array:
    """The same matrix, with shared pointers where it is such a one."""
    ends = matrix.indptr
    first, last = int(np.searchsorted(ends, 0, side="right")) - 1, int(np.searchsorted(ends, ends[-1]))
    if last > first:
        known = pointers(len(ends) - 1, first, last - first, int(ends[-1]) // (last - first))
        if known.dtype == ends.dtype and np.array_equal(known, ends):
            matrix.indptr = known
    return matrix
