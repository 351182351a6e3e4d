"""Python functions that programs call: what stands behind the Op `host`.

They run in the process that made them, once in a step each; what one raises ends the step, and is raised
again, as it was, by whoever runs the program.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from spike_runtime.status import CALL_FAILED

# call(n, x) gives a vector of float64; x is used again for the next call, so what is kept of it is copied.
Call: TypeAlias = Callable[[int, NDArray[np.float64]], Any]
# What names of functions begin with that have no state: they change nothing.
PURE = "pure function "
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


class Calls:
    """The functions of one partition, by number.  `error`: what the last one raised, until it is taken."""

    def __init__(self, functions: Mapping[int, Call]) -> None:
        self.functions = functions
        # Those that come one after the other, by the first of them: number, argument and result of each.
        self._runs: dict[int, list[tuple[int, NDArray[np.float64], NDArray[np.float64]]]] = {}
        self._callback = _CALLBACK(self._caught)
        self.error: BaseException | None = None

    @property
    def address(self) -> NDArray[np.int64]:
        """Where compiled code finds the callback; it lasts as long as this object."""
        return np.array([ctypes.cast(self._callback, ctypes.c_void_p).value], np.int64)

    def bind(self, constants: Mapping[str, NDArray[Any]], state: Mapping[str, NDArray[Any]]) -> bool:
        """Take the places of arguments and results from a program's arrays; False where it calls nothing."""
        for name, table in constants.items():
            if name.startswith("host_") and name.endswith("_calls"):
                memory = state[name.removesuffix("_calls") + "_memory"]
                run = []
                for number, _, arguments, _, size, start in table.tolist():
                    middle = start + arguments
                    run.append((number, memory[start:middle], memory[middle : middle + size]))
                self._runs[run[0][0]] = run
        return bool(self._runs)

    def take_error(self) -> BaseException | None:
        """The error, once."""
        error, self.error = self.error, None
        return error

    def _caught(self, first: int, step: int) -> int:
        """Call the functions of a run with their arguments in the memory and put their results there; one
        more than the number of the first that raises.
        """
        number = first
        try:
            with np.errstate(invalid="raise", divide="ignore"):
                for number, argument, result in self._runs[first]:
                    given = self.functions[number](step, argument)
                    if len(result) != np.size(given) and len(result):
                        wanted = f"{np.size(given)} numbers were given where {len(result)} are expected"
                        raise ValueError(wanted)
                    if len(result):
                        result[:] = given
        except BaseException as error:
            self.error = error
            return number + 1
        return 0

    def eager(self, values, sums, status, memory, calls, places, callback, n):  # type: ignore[no-untyped-def] # noqa: ARG002
        """What `ops.host` computes, without compiled code."""
        bits, table = memory.view(np.int64), calls.tolist()
        for _, place, arguments, _, _, start in table:
            memory[start : start + arguments] = values[places[place : place + arguments]]
        if status[0] == 0 and (failed := self._caught(table[0][0], int(n))):
            status[:] = CALL_FAILED, failed - 1
        if status[0] == 0:
            for _, _, arguments, row, size, start in table:
                sums[row : row + size] = bits[start + arguments : start + arguments + size]
        return sums, status, memory
