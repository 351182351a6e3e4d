"""Synapses that are not first-order lowpass, and delays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops.kernel import KernelOp, vector
from spike_runtime.ops.signals import settled


class StateSpace(KernelOp):
    """Linear filters of any order: (state, u, sources, filters, coefficients) -> (state, y).

    u: signals of the step before; filter f reads u[sources[...]], one number per output. filters: rows of
    (order, size, first state, first coefficient, direct).  Its coefficients are A (order x order), B, C, D,
    its state is order x size.  Without a direct part, x = A x + B u, y = C x; with one, y = C x + D u, then
    x = A x + B u.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [inputs[0].type, vector(inputs[0].type.dtype)]

    def kernel(self) -> Callable[..., Any]:
        fade = settled

        def state_space(state, u, sources, filters, coefficients):  # type: ignore[no-untyped-def]
            y, old = np.empty(sources.shape[0], state.dtype), np.empty(32, state.dtype)
            first, least = 0, np.finfo(state.dtype).tiny
            for f in range(filters.shape[0]):
                order, size, s, c, direct = filters[f]
                B = c + order * order
                C, D = B + order, coefficients[B + 2 * order]
                if old.shape[0] < order:
                    old = np.empty(order, state.dtype)
                for i in range(size):
                    value = u[sources[first + i]]
                    before = D * value
                    for k in range(order):
                        old[k] = state[s + k * size + i]
                        before += coefficients[C + k] * old[k]
                    after = state.dtype.type(0)
                    for k in range(order):
                        x = coefficients[B + k] * value
                        for j in range(order):
                            x += coefficients[c + k * order + j] * old[j]
                        state[s + k * size + i] = x = fade(x, least)
                        after += coefficients[C + k] * x
                    y[first + i] = before if direct else after
                first += size
            return y

        return state_space


class Delay(KernelOp):
    """y(n) = x(n - steps): (buffer, u, sources, lengths, n) -> (buffer, y), u the signals of the step before.

    Element i keeps the last lengths[i] = steps - 1 values in a ring of its own, one after the other in
    `buffer`.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [inputs[0].type, vector(inputs[0].type.dtype)]

    def kernel(self) -> Callable[..., Any]:
        def delay(buffer, u, sources, lengths, n):  # type: ignore[no-untyped-def]
            y, start, step = np.empty(sources.shape[0], buffer.dtype), 0, n.item()
            for i in range(sources.shape[0]):
                value, length = u[sources[i]], lengths[i]
                if length == 0:
                    y[i] = value
                else:
                    place = start + step % length
                    y[i] = buffer[place]
                    buffer[place] = value
                    start += length
            return y

        return delay
