# ruff: noqa: ARG001 (the arguments of intrinsics are given by Numba)
"""Atomic memory access and the few system calls that waiting needs, callable from compiled (nopython) code.

All take the segment, an int64 array, and the index of a word in it.  Nothing here holds a Python object or an
address that changes from process to process, so that kernels which use it can be cached on disk.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba as nb
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from spike_runtime.version import opened_kernel_folder

_LINUX_FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "ppc64le": 221, "s390x": 238}
_FUTEX = _LINUX_FUTEX.get(platform.machine(), 0) if sys.platform == "linux" else 0
_FUTEX_WAIT, _FUTEX_WAKE = 0, 1
_MONOTONIC = 1 if sys.platform == "linux" else 6
_NAP_US = 50
_PAUSE: dict[str, tuple[str, tuple[int, ...]]] = {
    "x86_64": ("llvm.x86.sse2.pause", ()),
    "AMD64": ("llvm.x86.sse2.pause", ()),
    "aarch64": ("llvm.aarch64.hint", (1,)),
    "arm64": ("llvm.aarch64.hint", (1,)),
}

_syscall = types.ExternalFunction(
    "syscall", types.intp(types.intp, types.intp, types.intp, types.intp, types.intp, types.intp, types.intp)
)
_sched_yield = types.ExternalFunction("sched_yield", types.int32())
_usleep = types.ExternalFunction("usleep", types.int32(types.uint32))
_clock_gettime = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.intp))


Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Decorator: compile with Numba, without the interpreter's lock, and keep the result on disk, if there is
    room for it.
    """
    usual = nb.config.CACHE_DIR
    try:
        nb.config.CACHE_DIR = usual or str(opened_kernel_folder())  # read when the function is made
    except OSError:
        return cast(Kernel, nb.njit(nogil=True)(function))
    try:
        return cast(Kernel, nb.njit(cache=True, nogil=True)(function))
    finally:
        nb.config.CACHE_DIR = usual


def _pointer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return cgutils.get_item_pointer(context, builder, signature.args[0], array, [args[1]], wraparound=False)


def _load(ordering: str) -> Any:
    def load(typingctx: Any, array: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load_atomic(_pointer(context, builder, signature, args), ordering, 8)

        return types.int64(array, types.intp), generate

    return load


def _store(ordering: str) -> Any:
    def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            builder.store_atomic(args[2], _pointer(context, builder, signature, args), ordering, 8)
            return args[2]

        return types.int64(array, types.intp, types.int64), generate

    return store


load_acquire: Callable[..., int] = intrinsic(_load("acquire"))
load_ordered: Callable[..., int] = intrinsic(_load("seq_cst"))
store_release = intrinsic(_store("release"))
store_ordered = intrinsic(_store("seq_cst"))


@intrinsic
def fence(typingctx: Any) -> Any:
    """Everything stored before is seen by others before anything is loaded after."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return ir.Constant(ir.IntType(64), 0)

    return types.int64(), generate


@intrinsic
def fetch_add(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Add to a word in one sequentially consistent step; gives what it held before."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _pointer(context, builder, signature, args), args[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def pause(typingctx: Any) -> Any:
    """Tell the core that this is a spinning loop."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if platform.machine() in _PAUSE:
            name, numbers = _PAUSE[platform.machine()]
            constants = [ir.Constant(ir.IntType(32), number) for number in numbers]
            kind = ir.FunctionType(ir.VoidType(), [c.type for c in constants])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), constants)
        return ir.Constant(ir.IntType(64), 0)

    return types.int64(), generate


@intrinsic
def fetch_ahead(typingctx: Any, array: Any, index: Any) -> Any:
    """Ask for the line of a word, which will be read later."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.bitcast(_pointer(context, builder, signature, args), ir.IntType(8).as_pointer())
        numbers = [ir.Constant(ir.IntType(32), number) for number in (0, 2, 1)]  # read, level 2, data
        kind = ir.FunctionType(ir.VoidType(), [place.type, *(c.type for c in numbers)])
        name = "llvm.prefetch.p0i8"
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [place, *numbers])
        return ir.Constant(ir.IntType(64), 0)

    return types.int64(array, types.intp), generate


@nb.njit(nogil=True, inline="never")
def give_way() -> None:
    """Let another process that is ready run on this core."""
    _sched_yield()


@nb.njit(nogil=True, inline="never")
def now(segment: Any, scratch: int) -> int:
    """Monotonic clock in ns; the words `scratch` and `scratch + 1` receive the operating system's answer."""
    _clock_gettime(nb.int32(_MONOTONIC), segment.ctypes.data + 8 * scratch)
    return load_acquire(segment, scratch) * 1_000_000_000 + load_acquire(segment, scratch + 1)


if _FUTEX:

    @nb.njit(nogil=True, inline="never")
    def sleep_while(segment: Any, index: int, value: int, timeout: int) -> None:
        """Sleep until woken or for the time at words `timeout`, unless word `index` is not `value` any more.

        The kernel compares the low 32 bits; on little-endian machines they stand at the word's own address.
        """
        base = segment.ctypes.data
        _syscall(_FUTEX, base + 8 * index, _FUTEX_WAIT, value & 0xFFFFFFFF, base + 8 * timeout, 0, 0)

    @nb.njit(nogil=True, inline="never")
    def wake(segment: Any, index: int) -> None:
        """Wake whoever sleeps on word `index`."""
        _syscall(_FUTEX, segment.ctypes.data + 8 * index, _FUTEX_WAKE, 1 << 30, 0, 0, 0)

else:  # systems without a futex: short naps

    @nb.njit(nogil=True, inline="never")
    def sleep_while(segment: Any, index: int, value: int, timeout: int) -> None:
        """Sleep briefly, unless word `index` is not `value` any more."""
        if load_acquire(segment, index) == value:
            _usleep(nb.uint32(_NAP_US))

    @nb.njit(nogil=True, inline="never")
    def wake(segment: Any, index: int) -> None:
        """Nobody sleeps long here."""
