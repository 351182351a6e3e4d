"""Sums of products: one sparse matrix-vector product for every level of a partition's linear part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops.kernel import KernelOp, vector


class SparseProduct(KernelOp):
    """y = M x for M in CSR form: (values, pointers, columns, x) -> y.

    Every row is summed from left to right in the order in which it is stored, whatever other rows there are.
    """

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [vector(inputs[0].type.dtype)]

    def kernel(self) -> Callable[..., Any]:
        import numpy as np

        def sparse_product(values, pointers, columns, x):  # type: ignore[no-untyped-def]
            y = np.empty(pointers.shape[0] - 1, values.dtype)
            for row in range(y.shape[0]):
                total = values.dtype.type(0)
                for k in range(pointers[row], pointers[row + 1]):
                    total += values[k] * x[columns[k]]
                y[row] = total
            return y

        return sparse_product
