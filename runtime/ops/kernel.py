"""The base of Spike's PyTensor Ops: a Numba kernel with declared outputs, some of them in place."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, ClassVar

import pytensor.tensor as pt
from numba import njit
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.cache import compile_numba_function_src
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

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Of arrays: what the kernel computes, at once.  Of variables: those of a new node, as for any Op."""
        if any(isinstance(x, Variable) for x in inputs):
            return super().__call__(*inputs, **options)
        return _compiled(self, len(inputs))(*inputs)

    def perform(self, _node: Apply, inputs: Sequence[Any], output_storage: list[list[Any]]) -> None:
        results = _compiled(self, len(inputs))(*inputs)
        results = results if isinstance(results, tuple) else (results,)
        for storage, result in zip(output_storage, results, strict=True):
            storage[0] = result


def compiled(op: KernelOp) -> Callable[..., Any]:
    """The kernel of `op` as a function that Python can call; its machine code is kept on disk."""
    return lambda *inputs: _compiled(op, len(inputs))(*inputs)


@cache
def _compiled(op: KernelOp, count: int) -> Callable[..., Any]:
    """The kernel of so many arguments."""
    kernel = op.kernel()
    name, arguments = kernel.__name__, ", ".join(f"x{k}" for k in range(count))
    inner = numba_njit(kernel, fastmath=set(op.fastmath), error_model="numpy")
    source = f"def {name}({arguments}):\n    return inner({arguments})\n"
    key = sha256(f"{type(op).__qualname__} {op._props()} {source} {source_version()}".encode()).hexdigest()
    space = {"__name__": __name__, "inner": inner}
    outer = compile_numba_function_src(source, name, space, cache_key=key)
    function: Callable[..., Any] = njit(cache=True, nogil=True, error_model="numpy")(outer)
    return function


@register_funcify_default_op_cache_key(KernelOp)
def _compile_kernel(op: KernelOp, **_: Any) -> tuple[Callable[..., Any], int]:
    return numba_njit(op.kernel(), fastmath=set(op.fastmath), error_model="numpy"), source_version()


def vector(dtype: str) -> TensorType:
    """The type of a vector of unknown length."""
    return TensorType(dtype, shape=(None,))
