"""Arrays of symbols whose comparisons are symbols: NumPy would make truth values of them, a branch each."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from spikec.tracing.symbols import Symbol


class Vector(np.ndarray):
    """An array of symbols and numbers.  As an index, its comparisons are branches after all."""

    __array_priority__ = 1.0  # what is computed of it and of arrays of numbers is one, too

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(_decided(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_decided(key), value)


def _decided(key: Any) -> Any:
    """An index with truth values in place of comparisons."""
    if (
        isinstance(key, np.ndarray)
        and key.dtype == object
        and any(isinstance(v, Symbol) for v in key.ravel())
    ):
        return np.array([bool(v) for v in key.ravel()]).reshape(key.shape)
    return key


def _compared(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    elementwise = np.frompyfunc(compare, 2, 1)

    def method(self: Vector, other: Any) -> Any:
        if self.dtype != object:
            return compare(np.asarray(self), other)
        made = elementwise(self, other)
        return made.view(Vector) if isinstance(made, np.ndarray) else made

    return method


for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Vector, f"__{_name}__", _compared(getattr(operator, _name)))
