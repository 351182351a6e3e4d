"""Python functions called inside a program, through one callback whose address is an argument of it."""

# ruff: noqa: ARG001 (the arguments of intrinsics are given by Numba)
from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from spike_runtime.ops.kernel import KernelOp
from spike_runtime.status import CALL_FAILED

# Columns of the table of calls: its number; its argument (first place, how many); its result (first row of
# sums, how many); where its argument begins in the memory, which its result follows.
COLUMNS = ("number", "place", "arguments", "row", "size", "start")


@intrinsic
def call_address(typingctx: Any, address: Any, number: Any, step: Any) -> Any:
    """Call the C function int64 (int64, int64) at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(64)
        function = builder.inttoptr(args[0], ir.FunctionType(word, [word, word]).as_pointer())
        return builder.call(function, [args[1], args[2]])

    return types.int64(types.int64, types.int64, types.int64), generate


class Host(KernelOp):
    """(values, sums, status, memory, calls, places, callback, n) -> (sums, status, memory).

    For every call, a row of `COLUMNS`: copies its argument, values[places[...]], to `memory`.  Then calls
    the function at address callback[0], which runs all of them, with the number of the first and that of the
    step, and puts what it left in `memory` into `sums`, bit for bit.  Where it gives k + 1, and not 0, status
    is set to (CALL_FAILED, k).
    """

    inplace: ClassVar[dict[int, int]] = {0: 1, 1: 2, 2: 3}

    def kernel(self) -> Callable[..., Any]:
        call = call_address

        def host(values, sums, status, memory, calls, places, callback, n):  # type: ignore[no-untyped-def]
            bits = memory.view(np.int64)
            for c in range(calls.shape[0]):
                _, place, arguments, _, _, start = calls[c]
                for i in range(arguments):
                    memory[start + i] = values[places[place + i]]
            if status[0] == 0:
                failed = call(callback[0], calls[0, 0], n.item())
                if failed != 0:
                    status[0], status[1] = CALL_FAILED, failed - 1
            for c in range(calls.shape[0] if status[0] == 0 else 0):
                _, _, arguments, row, size, start = calls[c]
                for i in range(size):
                    sums[row + i] = bits[start + arguments + i]

        return host
