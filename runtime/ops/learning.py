"""Weights that change as the model runs: one Op for all rules of a partition, and one that shows changes.

Every rule adds to row j of a matrix a multiple of a vector that all rows share, and takes away a part of it:

    W_j  <-  W_j - (sum of decay_j) W_j + sum of factor_j p

Rows are computed alike wherever they are, so that a partition holds the rows it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numba.extending import register_jitable
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops.kernel import KernelOp, vector
from spike_runtime.ops.linear import dot
from spike_runtime.ops.simd import every, fill, first, fma, load, store, width

# Columns of the tables: first weight, rows, columns, first rule and how many; kind of rule, place of pre,
# first of its row places (error or post), of those of theta, place of learning (-1: none), and first
# entry of P or of the scales.
RULES = ("kind", "pre", "rows", "theta", "learning", "extra")
PES, RLS, BCM, OJA, VOJA = range(5)
# What `Change` gives of a rule.
DELTA, INVERSE, INVERSE_LATE = range(3)


@register_jitable
def add(a, i, b, k, factor, count):  # type: ignore[no-untyped-def]
    """a[i + n] += factor b[k + n] for n < count."""
    rest = count % width(a)
    factors = fill(a, factor)
    for n in range(0, count - rest, width(a)):
        old = load(a, i + n, every(a))
        store(a, i + n, fma(factors, load(b, k + n, every(a)), old), every(a))
    if rest:
        n, mask = count - rest, first(a, rest)
        store(a, i + n, fma(factors, load(b, k + n, mask), load(a, i + n, mask)), mask)


@register_jitable
def gains(G, g, P, p, u, r, count):  # type: ignore[no-untyped-def]
    """G = P r; gives 1 / (1 + r P r)."""
    for j in range(count):
        G[g + j] = dot(P, p + j * count, u, r, count)
    one = P.dtype.type(1)
    return one / (one + dot(u, r, G, g, count))


@register_jitable
def decorrelate(P, p, G, g, part, count):  # type: ignore[no-untyped-def]
    """P -= part G G', with both as `gains` gives them."""
    for j in range(count):
        add(P, p + j * count, G, g, -(G[g + j] * part), count)


class Learn(KernelOp):
    """(W, P, u, matrices, rules, constants, places, scales) -> (W, P): every W learns from signals u.

    W: rows of all matrices one after the other; P: inverse correlations of RLS.  constants: rate (per step,
    for PES with its sign and divided by the columns) and beta.  Rows whose rules change nothing, such as
    those of neurons that did not spike, are not touched.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0, 1: 1}
    fastmath = frozenset({"contract"})

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [inputs[0].type, inputs[1].type]

    def kernel(self) -> Callable[..., Any]:
        def learn(W, P, u, matrices, rules, constants, places, scales):  # type: ignore[no-untyped-def]
            u = np.ascontiguousarray(u)
            for m in range(matrices.shape[0]):
                w, rows, columns, start, count = matrices[m]
                own, c = rules[start : start + count], constants[start : start + count]
                G, parts = np.empty(count * columns, W.dtype), np.zeros(count, W.dtype)
                for k in range(count):
                    if own[k, 0] == RLS:
                        parts[k] = gains(G, k * columns, P, own[k, 5], u, own[k, 1], columns)
                        decorrelate(P, own[k, 5], G, k * columns, parts[k], columns)
                factors = np.zeros(count, W.dtype)
                for j in range(rows):
                    row = w + j * columns
                    decay = changes(factors, j, own, c, u, places, scales, parts)
                    if decay != 0:
                        add(W, row, W, row, -decay, columns)
                    apply(W, row, columns, factors, own, u, G)

        return learn


@register_jitable
def apply(W, row, columns, factors, rules, u, G):  # type: ignore[no-untyped-def]
    """Add what the rules add to a row."""
    for k in range(rules.shape[0]):
        if factors[k] != 0:
            if rules[k, 0] == RLS:
                add(W, row, G, k * columns, factors[k], columns)
            else:
                add(W, row, u, rules[k, 1], factors[k], columns)


@register_jitable
def changes(factors, j, rules, constants, u, places, scales, parts):  # type: ignore[no-untyped-def]
    """Set the factor of row j of every rule; gives the sum of their decays.  parts: of RLS, see `gains`."""
    decay = factors.dtype.type(0)
    for k in range(rules.shape[0]):
        kind, first_row, learning = rules[k, 0], rules[k, 2], rules[k, 4]
        rate, value = constants[k, 0], u[places[first_row + j]]
        factors[k] = rate * value
        if kind == RLS:
            factors[k] = -parts[k] * value
        elif kind == BCM:
            factors[k] *= value - u[places[rules[k, 3] + j]]
        elif kind == OJA:
            decay += constants[k, 1] * (rate * value * value)
        elif kind == VOJA:
            one = factors.dtype.type(1)
            part = rate * value * (one + u[learning] if learning >= 0 else one)
            factors[k] = part * scales[rules[k, 5] + j]
            decay += part
    return decay


class Change(KernelOp):
    """(W, P, u, matrices, rules, constants, places, scales) -> y: what each of some rules adds to its
    weights for the signals u, and P of RLS then.

    matrices: first weight, rows, columns, first of y, and what it is: `DELTA`, `INVERSE` (P after it) or
    `INVERSE_LATE` (P as it is), for the rule in the same row; the rest as in `Learn`.
    """

    fastmath = frozenset({"contract"})

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [vector(inputs[0].type.dtype)]

    def kernel(self) -> Callable[..., Any]:
        def change(W, P, u, matrices, rules, constants, places, scales):  # type: ignore[no-untyped-def]
            u = np.ascontiguousarray(u)
            last = matrices[matrices.shape[0] - 1]
            y = np.zeros(last[3] + last[1] * last[2], W.dtype)
            for m in range(matrices.shape[0]):
                w, rows, columns, out, what = matrices[m]
                own, c = rules[m : m + 1], constants[m : m + 1]
                G, parts, factors = np.empty(columns, W.dtype), np.zeros(1, W.dtype), np.zeros(1, W.dtype)
                p = own[0, 5]
                if own[0, 0] == RLS and what != INVERSE_LATE:
                    parts[0] = gains(G, 0, P, p, u, own[0, 1], columns)
                if what == DELTA:
                    for j in range(rows):
                        row = out + j * columns
                        decay = changes(factors, j, own, c, u, places, scales, parts)
                        if decay != 0:
                            add(y, row, W, w + j * columns, -decay, columns)
                        apply(y, row, columns, factors, own, u, G)
                    continue
                y[out : out + columns * columns] = P[p : p + columns * columns]
                if what == INVERSE:
                    decorrelate(y, out, G, 0, parts[0], columns)
            return y

        return change


class LearnedProduct(KernelOp):
    """(W, table, x) -> y: rows of the table, (first, columns, place, rows), say that the next so many numbers
    of y are products of as many rows of W, from number `first` on, and of x, from `place` on.
    """

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [vector(inputs[0].type.dtype)]

    def kernel(self) -> Callable[..., Any]:
        def learned_product(W, table, x):  # type: ignore[no-untyped-def]
            x = np.ascontiguousarray(x)
            y, k = np.empty(table[:, 3].sum(), W.dtype), 0
            for t in range(table.shape[0]):
                first_weight, columns, place, rows = table[t]
                if columns == 1:
                    scaled(y, k, W, first_weight, x[place], rows)
                else:
                    for i in range(rows):
                        y[k + i] = dot(W, first_weight + i * columns, x, place, columns)
                k += rows
            return y

        return learned_product


@register_jitable
def scaled(y, k, W, i, x, count):  # type: ignore[no-untyped-def]
    """y[k + n] = W[i + n] x for n < count: what `dot` gives of one number each."""
    rest = count % width(y)
    factor, nothing = fill(y, x), fill(y, 0.0)
    for n in range(0, count - rest, width(y)):
        store(y, k + n, fma(load(W, i + n, every(y)), factor, nothing), every(y))
    if rest:
        n, mask = count - rest, first(y, rest)
        store(y, k + n, fma(load(W, i + n, mask), factor, nothing), mask)
