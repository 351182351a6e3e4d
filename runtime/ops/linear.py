"""Sums of products: one sparse matrix-vector product for every level of a partition's linear part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba.extending import register_jitable
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops.kernel import KernelOp, vector
from spike_runtime.ops.places import gather
from spike_runtime.ops.simd import every, fill, first, fma, held, load, pointer, total, width


@register_jitable
def dot(a, i, b, k, count):  # type: ignore[no-untyped-def]
    """The sum of a[i + n] b[k + n] for n < count, vector by vector."""
    rest = count % width(a)
    partial = fill(a, 0.0)
    for n in range(0, count - rest, width(a)):
        partial = fma(load(a, i + n, every(a)), load(b, k + n, every(a)), partial)
    if rest:
        n, mask = count - rest, first(a, rest)
        partial = fma(load(a, i + n, mask), load(b, k + n, mask), partial)
    return total(partial)


@register_jitable
def long_row(values, columns, x, start, stop):  # type: ignore[no-untyped-def]
    """The sum of values[k] * x[columns[k]] for start <= k < stop, all vectors added lane by lane."""
    if columns[start] < 0:
        return dot(values, start, x, ~columns[start], stop - start)
    partial, rest = fill(values, 0.0), (stop - start) % width(values)
    for k in range(start, stop - rest, width(values)):
        partial = fma(load(values, k, every(values)), gather(x, columns, k, every(values)), partial)
    if rest:
        mask = first(values, rest)
        partial = fma(load(values, stop - rest, mask), gather(x, columns, stop - rest, mask), partial)
    return total(partial)


class AppendProducts(KernelOp):
    """The vector x and, after it, y = M x for M in CSR form: (x, values, pointers, columns) -> (x, y).

    One Op for both: a product of its own and a join would each be a call and a vector more (0.5 us together).
    The order in which a row is summed depends on the number of its entries alone: by vectors where it fills
    a quarter of one, else from left to right.  Where the first column of a row of vectors is ~c, that is
    below 0, its columns are c, c + 1, ...: the others are not read, and x is loaded and not gathered.
    """

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [vector(inputs[1].type.dtype)]

    def kernel(self) -> Callable[..., Any]:
        def append_products(x, values, pointers, columns):  # type: ignore[no-untyped-def]
            x = np.ascontiguousarray(x)  # a function of time alone may be a view; nothing is copied else
            known, rows = x.shape[0], pointers.shape[0] - 1
            y = np.empty(known + rows, values.dtype)
            for k in range(known):
                y[k] = x[k]
            X, V, P, C, Y = pointer(x), pointer(values), pointer(pointers), pointer(columns), pointer(y)
            for row in range(rows):
                start, stop = P[row], P[row + 1]
                if stop - start >= width(V) // 4:
                    Y[known + row] = long_row(V, C, X, start, stop)
                else:
                    partial = values.dtype.type(0)
                    for k in range(start, stop):
                        partial += V[k] * X[C[k]]
                    Y[known + row] = partial
            held(x)
            return y

        return append_products
