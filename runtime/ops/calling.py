# ruff: noqa: ARG001 (the arguments of intrinsics are given by Numba)
"""Kernels as functions of compiled code that are called by name, so that no program compiles them again.

The machine code of a kernel stands in memory once, under a name that says which kernel it is and for which
types of arrays.  A loop that calls it knows the name alone, on disk as in memory, and is small: to compile a
new program takes little where its kernels are known, and a kernel computes the same in all programs because
it is the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from inspect import Parameter, Signature
from typing import Any

import llvmlite.binding
import numpy as np
from numba import types
from numba.core import cgutils, errors
from numba.extending import intrinsic
from pytensor.graph.basic import Apply
from spike_runtime.addresses import address_of, array_at, array_type
from spike_runtime.ops.alone import alone
from spike_runtime.ops.kernel import KernelOp, machine_code

# Of an array: the type of its numbers, how many dimensions.
Kinds = tuple[tuple[str, int], ...]


# Kernels in memory as Numba has them.
_by_name: dict[str, tuple[Any, tuple[types.Type, ...]]] = {}


@dataclass(frozen=True)
class Named:
    """Machine code under a name: types of arguments as it takes them, and of what it returns."""

    name: str
    arguments: tuple[types.Type, ...]
    result: types.Type


def kinds_of(node: Apply) -> Kinds:
    """The kinds of the arrays that a node is given."""
    return tuple((v.type.dtype, v.type.ndim) for v in node.inputs)


def name_of(op: KernelOp, kinds: Kinds) -> str:
    """The name of a kernel for such arrays."""
    return f"spike_{sha256(f'{op.key} {kinds}'.encode()).hexdigest()[:40]}"


def prepare(needed: Iterable[tuple[KernelOp, Kinds]]) -> None:
    """Have kernels in memory under their names, from disk or compiled.

    What another process compiles at this moment comes last: processes that begin together share the work.
    """
    waiting = []
    for op, kinds in needed:
        with alone(name_of(op, kinds), wait=False) as mine:
            if mine:
                named(op, kinds)
            else:
                waiting.append((op, kinds))
    for op, kinds in waiting:
        with alone(name_of(op, kinds)):
            named(op, kinds)


@cache
def named(op: KernelOp, kinds: Kinds) -> Named:
    """The machine code of a kernel for C-contiguous arrays of these kinds, which from now on has its name."""
    function: Any = machine_code(op)
    given = tuple(array_type(*kind) for kind in kinds)
    arguments = tuple(function.get_call_template(given, {})[2])  # with those left out
    name = name_of(op, kinds)
    llvmlite.binding.add_symbol(name, address_of(function, arguments))
    _by_name[name] = function, arguments
    return Named(name, arguments, function.overloads[arguments].signature.return_type)


def by_name(name: str) -> list[tuple[Any, tuple[types.Type, ...]]]:
    """The kernel of a name that is in memory, and for which arguments it was compiled, if there is one."""
    return [_by_name[name]] if name in _by_name else []


@cache
def called(op: KernelOp, kinds: Kinds) -> Callable[..., Any]:
    """A function of compiled code that calls the kernel: (table, arrays ...) -> what it returns.

    In place of an array of the table (see `addresses`) it is given its place there: so compiled code has no
    variable for each of them, which would be counted.  Arrays that have gaps are copied; those that the
    kernel changes must have none.
    """
    code, changed = named(op, kinds), {source for (source,) in op.destroy_map.values()}
    wanted = [array_type(*kind) for kind in kinds]

    def call(typing: Any, table: Any, *given: Any) -> Any:
        gaps = [isinstance(x, types.Array) and x.layout != "C" for x in given]
        if any(gaps[k] for k in changed):
            raise errors.TypingError(f"{op} changes arrays without gaps only, not {given}")

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            arrays = list(args[1:])
            for k, (kind, is_copied) in enumerate(zip(wanted, gaps, strict=True)):
                if is_copied:
                    copy = kind(given[k])
                    arrays[k] = context.compile_internal(builder, _without_gaps, copy, [arrays[k]])
                elif isinstance(given[k], types.Integer):
                    arrays[k] = array_at(context, builder, kind, args[0], arrays[k])
            status, result = _call(context, builder, code, arrays)
            for k, (kind, is_copied) in enumerate(zip(wanted, gaps, strict=True)):
                if is_copied:
                    context.nrt.decref(builder, kind, arrays[k])
            with cgutils.if_unlikely(builder, status.is_error):
                context.call_conv.return_status_propagate(builder, status)
            return result

        return code.result(table, *given), generate

    # Numba counts the arguments of an intrinsic.
    names = ["typing", "table", *(f"x{k}" for k in range(len(kinds)))]
    call.__signature__ = Signature([Parameter(name, Parameter.POSITIONAL_ONLY) for name in names])  # type: ignore[attr-defined]
    return intrinsic(call)  # type: ignore[no-any-return]


def _without_gaps(array: Any) -> Any:
    return np.ascontiguousarray(array)


def _call(context: Any, builder: Any, code: Named, arrays: Sequence[Any]) -> tuple[Any, Any]:
    """Call by name; gives whether the kernel raised, and what it returned."""
    convention = context.call_conv
    kind = convention.get_function_type(code.result, code.arguments)
    values = [*arrays, *[None] * (len(code.arguments) - len(arrays))]  # an argument left out is none at all
    function = cgutils.get_or_insert_function(builder.module, kind, code.name)
    status, result = convention.call_function(builder, function, code.result, code.arguments, values)
    return status, result
