"""Inputs that are not functions of time: tables (recordings, random signals, pieces) and noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba.extending import register_jitable
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops.kernel import KernelOp, vector

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@register_jitable
def mix(z):  # type: ignore[no-untyped-def]
    """The output function of SplitMix64 (Steele, Lea and Flood 2014): a random number from any 64-bit
    number."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Tables(KernelOp):
    """Rows of tables at step n: (samples, starts, tables, columns, n) -> y, the chosen components of every
    table.

    tables: rows of (first start, rows, period, first sample, size of a row, chosen components): row k holds
    for starts[k] <= n < starts[k + 1], n taken modulo the period where that is not 0.  columns: chosen
    components, table after table.
    """

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [vector(inputs[0].type.dtype)]

    def kernel(self) -> Callable[..., Any]:
        def lookup(samples, starts, tables, columns, n):  # type: ignore[no-untyped-def]
            y, out = np.empty(columns.shape[0], samples.dtype), 0
            for k in range(tables.shape[0]):
                start, rows, period, sample, size, chosen = tables[k]
                step = n.item() % period if period > 0 else n.item()
                row = np.searchsorted(starts[start : start + rows], step, side="right") - 1
                base = sample + max(row, 0) * size
                for i in range(chosen):
                    y[out + i] = samples[base + columns[out + i]]
                out += chosen
            return y

        return lookup


class Noise(KernelOp):
    """Independent random numbers at every step, a pure function of key and step: (parameters, keys, n) -> y.

    parameters: rows of (gaussian 1 or uniform 0, a, b): a + b N(0, 1), or uniform on [a, b); keys: one
    64-bit number per component. The generator is SplitMix64 (Steele, Lea and Flood 2014) over a counter;
    normal numbers by Box and Muller (1958).
    """

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [vector(inputs[0].type.dtype)]

    def kernel(self) -> Callable[..., Any]:
        golden = GOLDEN

        @register_jitable
        def unit(z):  # type: ignore[no-untyped-def]
            return (np.float64(z >> np.uint64(11)) + 0.5) * 2.0**-53

        def noise(parameters, keys, n):  # type: ignore[no-untyped-def]
            y, step = np.empty(keys.shape[0], parameters.dtype), np.uint64(n.item())
            for i in range(keys.shape[0]):
                z = mix(keys[i] + golden * (step + step))
                u, v = unit(mix(z)), unit(mix(z + golden))
                a, b = parameters[i, 1], parameters[i, 2]
                if parameters[i, 0] > 0:
                    y[i] = a + b * (np.sqrt(-2.0 * np.log(u)) * np.cos(2.0 * np.pi * v))
                else:
                    y[i] = a + (b - a) * u
            return y

        return noise
