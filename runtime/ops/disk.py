"""Machine code on disk lies in the folder of this version of its sources, where nobody else keeps any: so
what a version left behind can go when it is used no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from numba.core.bytecode import FunctionIdentity
from numba.core.caching import CacheImpl, _CacheLocator
from spike_runtime.version import opened_kernel_folder

# Numba numbers functions in every process from 1 on, and their symbols say no more than name, types and
# number.  Of two kernels of one Op, each from disk and the first that its process had compiled, LLVM took one
# for the other, which wrote behind its arrays.  PyTensor does the same as here once its linker is imported.
FunctionIdentity._unique_ids = iter(lambda: uuid4().int, None)

# What tells functions from all others, by which their machine code is found again.
_keys: WeakKeyDictionary[Callable[..., Any], str] = WeakKeyDictionary()


def keep(function: Callable[..., Any], key: str) -> bool:
    """Have Numba keep the machine code of a function by `key`, whatever file or text it is of.

    False where there is no place for it, as in a home that cannot be written: then nobody finds it again.
    """
    try:
        opened_kernel_folder()
    except OSError:
        return False
    _keys[function] = key
    return True


class _Locator(_CacheLocator):
    """Says where the functions are that were given to `keep`."""

    def __init__(self, key: str) -> None:
        self._key = key

    def get_cache_path(self) -> str:
        return str(opened_kernel_folder())

    def get_source_stamp(self) -> int:
        return 0

    def get_disambiguator(self) -> str:
        return self._key

    @classmethod
    def from_function(cls, function: Callable[..., Any], _file: str) -> _Locator | None:
        return cls(_keys[function]) if function in _keys else None


CacheImpl._locator_classes.insert(0, _Locator)
