"""Sums of products: one sparse matrix-vector product for every level of a partition's linear part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba.extending import register_jitable
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops.kernel import KernelOp, vector
from spike_runtime.ops.simd import every, fill, first, fma, gather, load, total, width


@register_jitable
def long_row(values, columns, x, start, stop):  # type: ignore[no-untyped-def]
    """The sum of values[k] * x[columns[k]] for start <= k < stop, all vectors added lane by lane."""
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
    a quarter of one (13 entries: 0.63 ns an entry, 1.0 one by one; 64 in places that follow each other: 0.19
    and 0.75), else from left to right.
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
            for row in range(rows):
                start, stop = pointers[row], pointers[row + 1]
                if stop - start >= width(values) // 4:
                    y[known + row] = long_row(values, columns, x, start, stop)
                else:
                    partial = values.dtype.type(0)
                    for k in range(start, stop):
                        partial += values[k] * x[columns[k]]
                    y[known + row] = partial
            return y

        return append_products
