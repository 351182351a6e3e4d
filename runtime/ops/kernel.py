"""The base of Spike's PyTensor Ops: a Numba kernel with declared outputs, some of them in place."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar

import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key
from pytensor.tensor.type import TensorType
from spike_runtime.version import source_version


class KernelOp(Op):
    """An Op computed by the function that `kernel()` returns, compiled by Numba.

    The kernel takes the Op's inputs and returns its outputs, in order.  `inplace` maps an output to the
    input whose memory it takes over; every other output has the type that `output_types` gives.  `fastmath`
    is the set of liberties the compiler may take; the results of a kernel must depend on its arguments
    alone all the same.
    """

    __props__: ClassVar[tuple[str, ...]] = ()
    inplace: ClassVar[dict[int, int]] = {}
    fastmath: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self.destroy_map = {output: [source] for output, source in self.inplace.items()}

    @abstractmethod
    def kernel(self) -> Callable[..., Any]:
        """The function that Numba compiles."""

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        """Types of all outputs; in-place outputs have the type of their input."""
        return [inputs[self.inplace[i]].type for i in range(len(self.inplace))]

    def make_node(self, *inputs: Any) -> Apply:
        variables = [pt.as_tensor_variable(x) for x in inputs]
        return Apply(self, variables, [kind() for kind in self.output_types(variables)])

    def perform(self, _node: Apply, inputs: Sequence[Any], output_storage: list[list[Any]]) -> None:
        results = compiled(self)(*inputs)
        results = results if isinstance(results, tuple) else (results,)
        for storage, result in zip(output_storage, results, strict=True):
            storage[0] = result


@cache
def compiled(op: KernelOp) -> Callable[..., Any]:
    """The kernel of `op` as a function that Python can call."""
    function: Callable[..., Any] = numba_njit(
        op.kernel(), final_function=True, fastmath=set(op.fastmath), error_model="numpy"
    )
    return function


@register_funcify_default_op_cache_key(KernelOp)
def _compile_kernel(op: KernelOp, **_: Any) -> tuple[Callable[..., Any], int]:
    return numba_njit(op.kernel(), fastmath=set(op.fastmath), error_model="numpy"), source_version()


def vector(dtype: str) -> TensorType:
    """The type of a vector of unknown length."""
    return TensorType(dtype, shape=(None,))
