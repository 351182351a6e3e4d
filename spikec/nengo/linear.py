"""Nengo's linear operators as matrices: target += matrix source, from base signal to base signal.

Copy             dst[places] (+)= src[places]      a selection
ElementwiseInc   Y += A * X                        a diagonal, with one of both constant
DotInc           Y += A X                          a matrix, with one of both constant; dense or sparse
Conv...Inc       Y += convolution of X             a sparse matrix
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from nengo.builder import Operator, Signal
from nengo.builder.operator import Copy, DotInc, ElementwiseInc, SparseDotInc
from nengo.builder.transforms import ConvInc, ConvTransposeInc
from numpy.typing import NDArray

from spikec.graph import Array, Matrix
from spikec.nengo.signals import Ints, Table, places
from spikec.records import dataclass

# Larger convolutions take longer to be written as matrices than they are worth.
MOST_CONVOLUTION_INPUTS = 4096


@dataclass(frozen=True, eq=False)
class Linear:
    """target[rows] += values source[columns], entry by entry; `block` where a dense matrix is given whole:
    target[rows[i]] += sum of block[i, j] source[columns[j]].
    """

    source: Signal
    target: Signal
    rows: Ints
    columns: Ints
    values: Array | None = None
    block: Array | None = None

    def identity(self) -> bool:
        """Whether the target gets the source as it is."""
        size = self.source.size
        if size != self.target.size or len(self.rows) != size:
            return False
        everything = np.arange(size)
        if self.block is not None:
            ones = np.array_equal(self.block, np.eye(size))
        else:
            ones = self.values is None or bool(np.all(self.values == 1.0))
        return ones and np.array_equal(self.rows, everything) and np.array_equal(self.columns, everything)

    def matrix(self) -> Matrix:
        """The matrix: all of the target by all of the source, dense only where a dense block fills it."""
        shape = (self.target.size, self.source.size)
        if self.block is None:
            values = np.ones(len(self.rows)) if self.values is None else self.values
            return _matrix(values, self.rows, self.columns, shape)
        if self._fills(shape):
            return self.block
        rows, columns = np.broadcast_arrays(self.rows[:, None], self.columns[None, :])
        return _matrix(self.block.ravel(), rows.ravel(), columns.ravel(), shape)

    def _fills(self, shape: tuple[int, int]) -> bool:
        assert self.block is not None
        return (
            self.block.shape == shape
            and np.array_equal(self.rows, np.arange(shape[0]))
            and np.array_equal(self.columns, np.arange(shape[1]))
        )

    def dense(self) -> Array:
        """The matrix as a dense one."""
        found = self.matrix()
        return found if isinstance(found, np.ndarray) else np.asarray(found.toarray())


def _matrix(values: Array, rows: Ints, columns: Ints, shape: tuple[int, int]) -> Matrix:
    """The matrix of these entries.  Rows are added up in the order of columns, as all others are."""
    made = sp.csr_array(sp.coo_array((values, (rows, columns)), shape=shape))
    made.sort_indices()
    return made


def linear(op: Operator, table: Table) -> Linear | None:
    """What a linear operator adds to its target; None where it is not linear in a single signal."""
    match op:
        case Copy():
            return _copy(op)
        case SparseDotInc():
            return _sparse(op, table)
        case DotInc() if type(op) is DotInc:
            return _product(op, table)
        case ElementwiseInc():
            return _elementwise(op, table)
        case ConvInc() | ConvTransposeInc():
            return _convolution(op, table)
    return None


def _copy(op: Copy) -> Linear:
    source, target = places(op.src), places(op.dst)
    source = source if op.src_slice is None else source[op.src_slice]
    target = target if op.dst_slice is None else target[op.dst_slice]
    source = np.broadcast_to(source, target.shape)
    return Linear(op.src.base, op.dst.base, target.ravel(), source.ravel())


def _elementwise(op: ElementwiseInc, table: Table) -> Linear | None:
    factor, variable = (op.A, op.X) if table.constant(op.A) else (op.X, op.A)
    if not table.constant(factor) or factor.sparse:
        return None
    target = places(op.Y)
    values = np.broadcast_to(_numbers(factor), target.shape)
    source = np.broadcast_to(places(variable), target.shape)
    return Linear(variable.base, op.Y.base, target.ravel(), source.ravel(), values.ravel())


def _product(op: DotInc, table: Table) -> Linear | None:
    target = places(op.Y).ravel()
    if table.constant(op.A) and op.A.ndim <= 2 and op.X.ndim <= 2:
        matrix, source = _numbers(op.A), places(op.X)
        if matrix.ndim == 0 or source.ndim == 0:
            rows = np.broadcast_to(target, max(matrix.size, source.size))
            values = np.broadcast_to(matrix.ravel(), len(rows))
            return Linear(op.X.base, op.Y.base, rows, np.broadcast_to(source.ravel(), len(rows)), values)
        block = np.atleast_2d(matrix)
        return Linear(op.X.base, op.Y.base, target, source.ravel(), block=block)
    if table.constant(op.X) and op.A.ndim == 2 and not op.A.sparse:
        source = places(op.A)
        values = np.broadcast_to(_numbers(op.X).ravel(), source.shape)
        rows = np.broadcast_to(target[:, None], source.shape)
        return Linear(op.A.base, op.Y.base, rows.ravel(), source.ravel(), values.ravel())
    return None


def _sparse(op: SparseDotInc, table: Table) -> Linear | None:
    if not table.constant(op.A):
        return None
    matrix: Any = op.A.initial_value
    if not sp.issparse(matrix):  # Nengo's own sparse matrix
        matrix = matrix.allocate()
    entries = sp.coo_array(matrix)
    target, source = places(op.Y).ravel(), places(op.X).ravel()
    values = np.asarray(entries.data, np.float64)
    return Linear(op.X.base, op.Y.base, target[entries.row], source[entries.col], values)


def _convolution(op: ConvInc | ConvTransposeInc, table: Table) -> Linear | None:
    """The matrix of a convolution, column after column: what its own step makes of the unit vectors."""
    if not table.constant(op.W) or op.X.size > MOST_CONVOLUTION_INPUTS or op.conv.dimensions > 2:
        return None
    unit, column = np.zeros(op.X.shape), np.zeros(op.Y.shape)
    step = op.make_step({op.W: _numbers(op.W), op.X: unit, op.Y: column}, 1.0, None)
    rows, columns, values = [], [], []
    for k in range(op.X.size):
        unit.flat[k], column[...] = 1.0, 0.0
        step()
        unit.flat[k] = 0.0
        filled = np.flatnonzero(column)
        rows.append(filled)
        columns.append(np.full(len(filled), k))
        values.append(column.ravel()[filled])
    target, source = places(op.Y).ravel(), places(op.X).ravel()
    return Linear(
        op.X.base,
        op.Y.base,
        target[np.concatenate(rows)],
        source[np.concatenate(columns)],
        np.concatenate(values),
    )


def _numbers(signal: Signal) -> NDArray[np.float64]:
    return np.asarray(signal.initial_value, np.float64)
