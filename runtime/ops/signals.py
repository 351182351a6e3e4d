"""Signals from sums and from signals of the step before, in one pass over memory that is there already.

As expressions of PyTensor each would be two or three loops with a new array between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numba.extending import register_jitable
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops.kernel import KernelOp, vector
from spike_runtime.ops.places import decoded, gather
from spike_runtime.ops.simd import every, fill, first, held, load, pointer, store, where, width


class Clear(KernelOp):
    """sums = 0, once everything else has read what they were: sums -> sums."""

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        def clear(sums):  # type: ignore[no-untyped-def]
            sums[:] = 0

        return clear


class Decode(KernelOp):
    """Exact sums as numbers: (sums, rows, scale) -> y = sums[rows] * scale, rounded once to `dtype`.

    Where the scale is 0, the 64 bits are those of a float64 number (see `host`).
    """

    __props__ = ("dtype",)

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.dtype = dtype

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:  # noqa: ARG002
        return [vector(self.dtype)]

    def kernel(self) -> Callable[..., Any]:
        real = np.dtype(self.dtype).type

        def decode(sums, rows, scale):  # type: ignore[no-untyped-def]
            y = np.empty(rows.shape[0], real)
            S, R, C, Y = pointer(sums), pointer(rows), pointer(scale), pointer(y)
            rest = rows.shape[0] % width(Y)
            whole = rows.shape[0] - rest
            for i in range(0, whole, width(Y)):
                store(Y, i, decoded(S, R, C, i, every(Y)), every(Y))
            if rest:
                mask = first(Y, rest)
                store(Y, whole, decoded(S, R, C, whole, mask), mask)
            return y

        return decode


@register_jitable
def settled(x, least):  # type: ignore[no-untyped-def]
    """x, but 0 where it is below the `least` number that has all its digits.

    What decays without end comes there, where processors compute a hundred times more slowly: with the
    filtered activities of 1000 neurons, some of them silent, a step took 20 us instead of 9.
    """
    return x - x if abs(x) < least else x


class FirstOrder(KernelOp):
    """First-order filters: (value, u, sources, decay, gain) -> value = decay value + gain u[sources]."""

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        def first_order(value, u, sources, decay, gain):  # type: ignore[no-untyped-def]
            u = np.ascontiguousarray(u)
            y, x, places, a, b = pointer(value), pointer(u), pointer(sources), pointer(decay), pointer(gain)
            least = fill(y, np.finfo(value.dtype).tiny)
            rest = value.shape[0] % width(y)
            whole = value.shape[0] - rest
            for i in range(0, whole, width(y)):
                _anywhere(y, x, places, a, b, i, least, every(y))
            if rest:
                _anywhere(y, x, places, a, b, whole, least, first(y, rest))
            held(u)

        return first_order


class FirstOrderRuns(KernelOp):
    """First-order filters of numbers that stand in one piece: (value, u, x, runs, coefficients) -> value.

    Filter k is of runs[k, 1] numbers u from runs[k, 0] on, times x[runs[k, 2]], with decay and gain
    coefficients[k].  For 490,000 weights it takes 0.24 ms a step with what they learn, and 3.5 ms as products
    that are joined to all signals and then filtered as `FirstOrder` does.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        def first_order_runs(value, u, x, runs, coefficients):  # type: ignore[no-untyped-def]
            y, w, k = pointer(value), pointer(u), 0
            least = fill(y, np.finfo(value.dtype).tiny)
            for run in range(runs.shape[0]):
                start, count = runs[run, 0], runs[run, 1]
                a, b = fill(y, coefficients[run, 0]), fill(y, coefficients[run, 1] * x[runs[run, 2]])
                rest = count % width(y)
                for i in range(0, count - rest, width(y)):
                    _filter(y, k + i, a, b, load(w, start + i, every(y)), least, every(y))
                if rest:
                    i, mask = count - rest, first(y, rest)
                    _filter(y, k + i, a, b, load(w, start + i, mask), least, mask)
                k += count
            held(u)

        return first_order_runs


@register_jitable(forceinline=True)
def _anywhere(value, u, sources, decay, gain, i, least, mask):  # type: ignore[no-untyped-def]
    """A vector of `FirstOrder`."""
    a, b = load(decay, i, mask), load(gain, i, mask)
    _filter(value, i, a, b, gather(u, sources, i, mask), least, mask)


@register_jitable(forceinline=True)
def _filter(value, i, decay, gain, u, least, mask):  # type: ignore[no-untyped-def]
    """value[i] and so on = decay value + gain u; as `settled`, but what is not a number stays."""
    y = decay * load(value, i, mask) + gain * u
    nothing = y - y
    small = (least > y) & (y > nothing - least)
    store(value, i, where(small, nothing, y), mask)


class Keep(KernelOp):
    """What the next step needs of this one: (kept, values, places) -> kept = values[places]."""

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        def keep(kept, values, places):  # type: ignore[no-untyped-def]
            for i in range(kept.shape[0]):
                kept[i] = values[places[i]]

        return keep
