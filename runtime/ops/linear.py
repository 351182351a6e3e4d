"""Sums of products: one sparse matrix-vector product for every level of a partition's linear part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba.extending import register_jitable
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops.kernel import KernelOp, vector
from spike_runtime.ops.places import gather, scatter
from spike_runtime.ops.simd import copy, every, fill, first, fma, held, load, pointer, total, width


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


@register_jitable(forceinline=True)
def panel(values, v, columns, c, x, count, rows, mask):  # type: ignore[no-untyped-def]
    """The sums of so many rows, each of `count` entries, in four parts: entries k, k + 4, ... make one."""
    if c < 0:  # each in a loop of its own
        return entries(values, v, columns, c, x, count, rows, mask)
    return entries(values, v, columns, c, x, count, rows, mask)


@register_jitable(forceinline=True)
def entries(values, v, columns, c, x, count, rows, mask):  # type: ignore[no-untyped-def]
    a0 = a1 = a2 = a3 = fill(values, 0.0)
    whole = count - count % 4
    for k in range(0, whole, 4):
        a0 = entry(values, v + k * rows, columns, c, x, k, rows, mask, a0)
        a1 = entry(values, v + (k + 1) * rows, columns, c, x, k + 1, rows, mask, a1)
        a2 = entry(values, v + (k + 2) * rows, columns, c, x, k + 2, rows, mask, a2)
        a3 = entry(values, v + (k + 3) * rows, columns, c, x, k + 3, rows, mask, a3)
    if whole < count:
        a0 = entry(values, v + whole * rows, columns, c, x, whole, rows, mask, a0)
    if whole + 1 < count:
        a1 = entry(values, v + (whole + 1) * rows, columns, c, x, whole + 1, rows, mask, a1)
    if whole + 2 < count:
        a2 = entry(values, v + (whole + 2) * rows, columns, c, x, whole + 2, rows, mask, a2)
    return (a0 + a1) + (a2 + a3)


@register_jitable(forceinline=True)
def entry(values, v, columns, c, x, k, rows, mask, partial):  # type: ignore[no-untyped-def]
    """partial + values x of entry k of all rows of a panel; see `AppendProducts`."""
    if c < 0:
        return fma(load(values, v, mask), fill(values, x[~c + k]), partial)
    return fma(load(values, v, mask), gather(x, columns, c + k * rows, mask), partial)


class AppendProducts(KernelOp):
    """The vector x and, after it, y = M x: (x, values, columns, panels, order) -> (x, y).

    One Op for both: a product of its own and a join would each be a call and a vector more (0.5 us together).
    The rows of M come in panels of as many as fill a vector, or less, with as many entries each.  panels:
    rows of (entries of a row, rows, first value, first of the columns, first place in `order`); values and
    columns: entry after entry, of all rows of a panel.  Where the first of the columns is ~c, that is below
    0, they are c, c + 1, ... in all of its rows.  order: the place in y of every row.

    A row is summed in the order of its entries, in the same way whatever other rows its panel has: row by
    row, vectors along it, and a sum over their lanes, took 15 ns for 64 entries, where this takes 2.
    """

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [vector(inputs[1].type.dtype)]

    def kernel(self) -> Callable[..., Any]:
        def append_products(x, values, columns, panels, order):  # type: ignore[no-untyped-def]
            x = np.ascontiguousarray(x)  # a function of time alone may be a view; nothing is copied else
            known = x.shape[0]
            y = np.empty(known + order.shape[0], values.dtype)
            X, V, C, P, Y = pointer(x), pointer(values), pointer(columns), pointer(order), pointer(y)
            T = pointer(panels)
            copy(Y, 0, X, known)
            for t in range(0, 5 * panels.shape[0], 5):
                count, rows, v, c, place = T[t], T[t + 1], T[t + 2], T[t + 3], T[t + 4]
                if rows == width(
                    V
                ):  # a mask known beforehand: without AVX-512 each lane of another is a branch
                    sums = panel(V, v, C, c, X, count, width(V), every(V))
                    scatter(Y, known, P, place, sums, every(V))
                else:
                    mask = first(V, rows)
                    sums = panel(V, v, C, c, X, count, rows, mask)
                    scatter(Y, known, P, place, sums, mask)
            held(x)
            return y

        return append_products
