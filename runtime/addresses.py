# ruff: noqa: ARG001 (the arguments of intrinsics are given by Numba)
"""Arrays and functions by their addresses, in compiled code: what a loop works on is a table of words (see
`table`), and a loop is called by its address.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array
from numba.np.numpy_support import from_dtype
from spike_runtime.elf import needs
from spike_runtime.native import Code

# (first step, number of steps, word of the progress, address of the table) -> steps done
ENTRY = types.int64(types.int64, types.int64, types.int64, types.int64)
_WORD = ir.IntType(64)
WORD = types.int64


@cache
def viewer(dtype: str, dimensions: int) -> Callable[..., Any]:
    """A function of compiled code: (address of a table, place) -> the array whose words begin there."""
    kind = array_type(dtype, dimensions)

    @intrinsic
    def view(typingctx: Any, table: Any, place: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return array_at(context, builder, kind, *args)

        return kind(types.int64, types.int64), generate

    return view  # type: ignore[no-any-return]


def array_type(dtype: str, dimensions: int) -> types.Array:
    """Numba's type of an array in a table."""
    return types.Array(from_dtype(np.dtype(dtype)), dimensions, "C")


def array_at(context: Any, builder: Any, kind: types.Array, table: Any, place: Any) -> Any:
    """LLVM's value of the array whose words begin at a place of a table."""
    start = builder.inttoptr(table, _WORD.as_pointer())
    words = [builder.load(builder.gep(start, [builder.add(place, _WORD(k))])) for k in range(1 + kind.ndim)]
    array = make_array(kind)(context, builder)
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    strides = [_WORD(size)]
    for length in words[:1:-1]:
        strides.insert(0, builder.mul(strides[0], length))
    data = builder.inttoptr(words[0], context.get_data_type(kind.dtype).as_pointer())
    intp = context.get_value_type(types.intp)
    populate_array(
        array,
        data=data,
        shape=cgutils.pack_array(builder, words[1:], intp),
        strides=cgutils.pack_array(builder, strides[: kind.ndim], intp),
        itemsize=size,
        meminfo=None,
    )
    return array._getvalue()


def address_of(function: Any, arguments: tuple[types.Type, ...] = ENTRY.args) -> int:
    """Where the machine code of a function compiled for `arguments` stands, in this process."""
    result = function.overloads[arguments]
    code = result._asdict()["library"]
    address: int = code.get_pointer_to_function(result.fndesc.mangled_name)
    if not address:
        raise RuntimeError(f"{function} has no address")
    return address


def code_of(function: Any, arguments: Any, name: str = "") -> Code | None:
    """The machine code on disk of a function compiled for `arguments`, which others call by `name`.

    None where it is not there, or is no object file that can be looked into.
    """
    files = getattr(function._cache, "_cache_file", None)
    saved = files and files.load(function._cache._index_key(arguments, cpu_target.target_context.codegen()))
    if not saved or saved[0][1] != "object":
        return None
    (_, _, (code, _)), about = saved[:2]
    found = needs(code)
    return None if found is None else Code(about.mangled_name, name, found, code)


@intrinsic
def call(typingctx: Any, address: Any, first: Any, count: Any, progress: Any, table: Any) -> Any:
    """Call a function compiled for `ENTRY` by its address; what it raises goes on to the caller."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        convention = context.call_conv
        kind = convention.get_function_type(ENTRY.return_type, ENTRY.args)
        function = builder.inttoptr(args[0], kind.as_pointer())
        status, result = convention.call_function(builder, function, ENTRY.return_type, ENTRY.args, args[1:])
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return result

    return types.int64(types.int64, *ENTRY.args), generate


@intrinsic
def word_at(typingctx: Any, address: Any) -> Any:
    """The 64-bit word at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], _WORD.as_pointer()))

    return types.int64(types.int64), generate
