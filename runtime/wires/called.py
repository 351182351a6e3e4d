"""The compiled functions of rings and turns as Python calls them: from disk, without what compiled them."""

from __future__ import annotations

import importlib
from contextlib import suppress
from typing import Any

import numpy as np
from spike_runtime import native
from spike_runtime.table import Function, words_of


class Called:
    """A function of a module of this package, of arrays and whole numbers, that gives a whole number:
    compiled when it is first called for kinds of arguments on a machine, from then on loaded from disk.
    """

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = f"{__package__}.{module}", name
        self._functions: dict[tuple[Any, ...], Function] = {}

    def __call__(self, *arguments: Any) -> int:
        kinds = tuple((x.dtype.name, x.ndim) if isinstance(x, np.ndarray) else () for x in arguments)
        if kinds not in self._functions:
            self._functions[kinds] = self._loaded(kinds)
        return self._functions[kinds](*(word for x in arguments for word in words_of(x)))

    def _loaded(self, kinds: tuple[Any, ...]) -> Function:
        key = f"{self._module} {self._name} {kinds}"
        address = native.load(key)
        return Function(self._compiled(key, kinds) if address is None else address)

    def _compiled(self, key: str, kinds: tuple[Any, ...]) -> int:
        from spike_runtime import addresses  # with it Numba

        function = getattr(importlib.import_module(self._module), self._name)
        arguments = tuple(addresses.array_type(*kind) if kind else addresses.WORD for kind in kinds)
        function.compile(arguments)
        if code := addresses.code_of(function, arguments):
            with suppress(OSError):
                native.keep(key, [code])
        return addresses.address_of(function, arguments)


publish, collect, take, put = (Called("ring", name) for name in ("publish", "collect", "take", "put"))
publish_lists = Called("lists", "publish")
missing, wait_for_messages = Called("waiting", "missing"), Called("waiting", "wait_for_messages")
run_alone, take_turns = Called("rounds", "run_alone"), Called("rounds", "take_turns")
