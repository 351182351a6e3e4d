"""Python functions that programs call: what stands behind the Op `host`.

They run in the process that made them, once in a step each; what one raises ends the step, and is raised
again, as it was, by whoever runs the program.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
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

    def __init__(self, functions: Sequence[Call]) -> None:
        self.functions = functions
        self._memory: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
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
                for number, _, arguments, _, size, start in table.tolist():
                    middle = start + arguments
                    self._memory[number] = memory[start:middle], memory[middle : middle + size]
        return bool(self._memory)

    def take_error(self) -> BaseException | None:
        """The error, once."""
        error, self.error = self.error, None
        return error

    def _caught(self, number: int, step: int) -> int:
        """Call a function with its argument in the memory and put its result there; 1 where it raises."""
        argument, result = self._memory[number]
        try:
            with np.errstate(invalid="raise", divide="ignore"):
                given = self.functions[number](step, argument)
                if len(result) != np.size(given) and len(result):
                    raise ValueError(f"{np.size(given)} numbers were given where {len(result)} are expected")
                if len(result):
                    result[:] = given
        except BaseException as error:
            self.error = error
            return 1
        return 0

    def eager(self, values, sums, status, memory, calls, places, callback, n):  # type: ignore[no-untyped-def] # noqa: ARG002
        """What `ops.host` computes, without compiled code."""
        bits = memory.view(np.int64)
        for number, place, arguments, row, size, start in calls.tolist():
            memory[start : start + arguments] = values[places[place : place + arguments]]
            if status[0] == 0 and self._caught(number, int(n)):
                status[:] = CALL_FAILED, number
            if status[0] != 0:
                break
            sums[row : row + size] = bits[start + arguments : start + arguments + size]
        return sums, status, memory
