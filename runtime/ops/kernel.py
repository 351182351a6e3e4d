"""The base of Spike's PyTensor Ops: a Numba kernel with declared outputs, some of them in place.

A kernel is compiled once for the types of its arrays and kept on disk.  All programs that use it call the
same machine code (see `calling`), and so does Python where a program is run as it is (see `eager`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, ClassVar

import pytensor.tensor as pt
from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.tensor.type import TensorType
from spike_runtime.ops import disk
from spike_runtime.version import source_version


class KernelOp(Op):
    """An Op computed by the function that `kernel()` returns, compiled by Numba.

    `inplace` maps an output to the input whose memory it takes over; such outputs come first, and at most one
    follows that is new, of the type that `output_types` gives.  The kernel takes the Op's inputs, changes
    those that are taken over, and returns what is new.  `fastmath` is the set of liberties the compiler may
    take; the results of a kernel must depend on its arguments alone all the same.
    """

    __props__: ClassVar[tuple[str, ...]] = ()
    inplace: ClassVar[dict[int, int]] = {}
    fastmath: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self.destroy_map = {output: [source] for output, source in self.inplace.items()}

    @property
    def key(self) -> str:
        """What tells the kernel from all others, in any version of its sources."""
        return f"{type(self).__qualname__} {self._props()} {source_version()}"

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
        outputs = self._run(inputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def _run(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        new = machine_code(self)(*inputs)
        return *(inputs[k] for (k,) in self.destroy_map.values()), *(() if new is None else (new,))

    def perform(self, _node: Apply, inputs: Sequence[Any], output_storage: list[list[Any]]) -> None:
        for storage, result in zip(output_storage, self._run(inputs), strict=True):
            storage[0] = result


class _Files(IndexDataCacheFile):
    """One file for each signature, replaced whole, which says what it holds.

    Numba numbers the files of a function in an index that it reads and writes without a lock: of two
    processes that save two signatures, the index of one may name the file of the other.
    """

    def save(self, key: Any, data: Any) -> None:
        """Keep `data`.  Raises `OSError`."""
        self._save_data(self._name(key), (key, data))

    def load(self, key: Any) -> Any:
        """What is kept for `key`, or None."""
        try:
            saved, data = self._load_data(self._name(key))
        except OSError:
            return None
        return data if saved == key else None

    def _name(self, key: Any) -> str:
        return f"{self._index_name}.{sha256(f'{self._version} {key}'.encode()).hexdigest()[:40]}"


class _Cache(FunctionCache):
    """Machine code on disk by the key of its Op alone: in every process Numba would take functions that the
    kernel refers to for others.
    """

    def __init__(self, kernel: Callable[..., Any]) -> None:
        super().__init__(kernel)
        self._cache_file = _Files(
            self.cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp()
        )

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return sig, codegen.magic_tuple()


@cache
def machine_code(op: KernelOp) -> Callable[..., Any]:
    """The kernel of `op` as a function that Python can call, compiled for the types that it is given."""
    kernel = op.kernel()
    function: Any = njit(nogil=True, error_model="numpy", fastmath=set(op.fastmath))(kernel)
    if disk.keep(kernel, sha256(op.key.encode()).hexdigest()):
        function._cache = _Cache(kernel)
    return function  # type: ignore[no-any-return]


def vector(dtype: str) -> TensorType:
    """The type of a vector of unknown length."""
    return TensorType(dtype, shape=(None,))
