"""Programs without their compilation: the text of a program run on arrays, step after step.

To compile a new structure takes seconds; a short run of a small model takes less without.  Every Op runs
its own kernel (see `KernelOp.__call__`), and every function of a formula the code that PyTensor has for it,
so the numbers are those of the compiled program, to the bit.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.link.numba.cache import compile_numba_function_src
from pytensor.link.numba.dispatch.basic import numba_funcify_and_cache_key
from pytensor.tensor.type import TensorType
from spike_runtime import ops
from spike_runtime.calls import Calls
from spike_runtime.memory import as_if_writable
from spike_runtime.parsing import parsed
from spike_runtime.status import FULL
from spike_runtime.version import source_version
from spike_runtime.wires.layout import STOP

Loop = Callable[..., int]


def loop(
    program: Path,
    constants: Mapping[str, NDArray[Any]],
    state: Mapping[str, NDArray[Any]],
    segment: NDArray[np.int64],
    calls: Calls | None = None,
) -> Loop:
    """run(first, count, progress, ...) of a program: as the compiled loop (see `loop`), but on the arrays.

    `calls`: the Python functions that it calls.
    """
    told: dict[str, Any] = {}  # what NumPy does where a number is none, as whoever runs steps has it

    called: Any = calls.eager if calls else None

    def host(*given: Any) -> Any:
        with np.errstate(**told):
            return called(*given)

    step = step_of(program, {"host": host} if calls else {})
    a = SimpleNamespace(**{name: as_if_writable(array) for name, array in constants.items()})
    s = SimpleNamespace(**state, segment=segment)
    number, status = np.zeros((), np.int64), state["status"]

    def run(first: int, count: int, progress: int, _table: int) -> int:
        told.update(np.geterr())
        with np.errstate(all="ignore"):
            for i in range(count):
                if segment[STOP] != 0:
                    return i
                number[()] = first + i
                for name, value in step(number, a, s).items():
                    if value is not state[name]:
                        state[name][...] = value
                if status[0] != 0:
                    return i + int(status[0] == FULL)
                segment[progress] = first + i
        return count

    return run


def step_of(program: Path, replaced: Mapping[str, Any]) -> Callable[..., dict[str, NDArray[Any]]]:
    """The program's `step`, which here gives what every state becomes by its name.

    `replaced`: what stands for some of the Ops.
    """
    tree = _OnArrays().visit(parsed(program.read_text(encoding="utf-8")))
    space: dict[str, Any] = {name: getattr(ops, name) for name in ops.__all__}
    space |= {"np": np, "pt": _Tensor(), "outputs": _outputs, **replaced}
    exec(compile(ast.fix_missing_locations(tree), "<program>", "exec"), space)
    step: Callable[..., dict[str, NDArray[Any]]] = space["step"]
    return step


class _OnArrays(ast.NodeTransformer):
    """Results by name, no imports, and powers and remainders by PyTensor's own functions."""

    def visit_Import(self, node: ast.Import) -> None:  # noqa: ARG002
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:  # noqa: ARG002
        return None

    def visit_Return(self, node: ast.Return) -> ast.Return:
        assert isinstance(node.value, ast.Dict)
        node.value.keys = [ast.Constant(k.attr) for k in node.value.keys if isinstance(k, ast.Attribute)]
        self.generic_visit(node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        name = {ast.Pow: "pow", ast.Mod: "mod"}.get(type(node.op))
        if name is None:
            return node
        function = ast.Attribute(ast.Name("pt", ast.Load()), name, ast.Load())
        return ast.Call(function, [node.left, node.right], [])


def _outputs(expressions: list[Any], like: NDArray[Any], dtype: str) -> NDArray[Any]:
    """As `ops.outputs`."""
    zeros = np.zeros_like(like, dtype=np.float64)
    return np.concatenate([zeros + e for e in expressions]).astype(dtype)


class _Tensor:
    """The functions of `pytensor.tensor` that programs use, on arrays."""

    zeros = staticmethod(np.zeros)
    lt, le, gt, ge = (staticmethod(f) for f in (np.less, np.less_equal, np.greater, np.greater_equal))
    eq, neq = staticmethod(np.equal), staticmethod(np.not_equal)

    @staticmethod
    def cast(x: Any, dtype: str) -> Any:
        return np.asarray(x).astype(dtype)

    @staticmethod
    def switch(condition: Any, yes: Any, no: Any) -> Any:
        return np.where(np.asarray(condition) != 0, yes, no)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            # NumPy's numbers are floats too, but only a literal is one exactly.
            literals = tuple(x if type(x) is float else None for x in arguments)
            arrays = [x for x in arguments if type(x) is not float]
            arrays = [np.array(x) for x in np.broadcast_arrays(*arrays)]
            kernel = _elementwise(name, literals, tuple(x.dtype.name for x in arrays), tuple(options.items()))
            result = np.empty(arrays[0].shape)
            kernel(result.reshape(-1), *(x.reshape(-1) for x in arrays))
            return result

        setattr(self, name, call)
        return call


@cache
def _elementwise(
    name: str, literals: tuple[float | None, ...], dtypes: tuple[str, ...], options: tuple[Any, ...]
) -> Callable[..., None]:
    """(result, arrays ...): a function of PyTensor, by its own code, for every element.

    Literal numbers stand in the source, as they do in a compiled program: x ** 2.0 is then x * x.
    """
    kinds = iter(dtypes)
    inputs = [
        pt.as_tensor_variable(x) if x is not None else TensorType(next(kinds), (None,))() for x in literals
    ]
    scalar = getattr(pt, name)(*inputs, **dict(options)).owner.op.scalar_op
    node = scalar.make_node(*(_scalar(x.type.dtype) for x in inputs))
    function, _ = numba_funcify_and_cache_key(scalar, node=node)
    numbers = iter(range(len(dtypes)))
    written = [f"x{next(numbers)}[i]" if x is None else repr(x) for x in literals]
    arrays = ", ".join(f"x{k}" for k in range(len(dtypes)))
    source = (
        f"def {name}(result, {arrays}):\n    for i in range(result.shape[0]):\n"
        f"        result[i] = function({', '.join(written)})\n"
    )
    key = hashlib.sha256(f"eager {source} {dtypes} {options} {source_version()}".encode()).hexdigest()
    made = compile_numba_function_src(
        source,
        name,
        {"__name__": __name__, "function": function},
        cache_key=hashlib.sha256(key.encode()).hexdigest(),
    )
    kernel: Callable[..., None] = numba.njit(cache=True, nogil=True, error_model="numpy")(made)
    return kernel


def _scalar(dtype: str) -> Any:
    from pytensor.scalar.basic import get_scalar_type

    return get_scalar_type(dtype)()
