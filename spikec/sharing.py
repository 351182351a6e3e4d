"""Which Python objects could tell each other something by what both can change: those need one process.

Nothing is run.  What an object holds is followed as far as it goes, functions by what their code names.
Where that does not tell, objects are taken to share.
"""

from __future__ import annotations

import builtins
import dis
import gc
import sys
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from spikec.keeping import is_of_user

# What never changes.
FIXED: tuple[type, ...] = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    np.generic,
    np.dtype,
    np.ufunc,
    CodeType,
)
# Libraries whose functions change nothing but what they are given; those of random numbers apart.
HARMLESS = "builtins math cmath numpy scipy nengo itertools functools operator collections time typing abc"
_MADE = 1 << 9  # the flag of classes that are made while Python runs
# What functions name of these they share with all who do: files, random numbers, code that nobody sees.
WORLD = "open input exec eval compile globals __import__ random rand randn seed"


def families(
    roots: Sequence[Sequence[Any]], known: Sequence[Collection[Any]], skipped: tuple[type, ...] = ()
) -> list[int]:
    """For each root, which is several objects, the place of the first one that it shares something with.

    known: what else each shares with all that have the same.  skipped: types of which nothing is followed.
    """
    reached = [_Reached(skipped) for _ in roots]
    for found, root, more in zip(reached, roots, known, strict=True):
        found.follow(root)
        found.shared |= {id(item) for item in more}
    stored = {place for found in reached for place in found.stored}
    first, owner = list(range(len(roots))), dict[Hashable, int]()

    def leader(k: int) -> int:
        while first[k] != k:
            k = first[k]
        return k

    for k, found in enumerate(reached):
        for token in found.shared | (found.named & stored):
            a, b = sorted((leader(owner.setdefault(token, k)), leader(k)))
            first[b] = a
    return [leader(k) for k in range(len(roots))]


class _Reached:
    """What one root reaches.

    shared: what it may change; named, stored: variables outside of functions that these use, or set.
    """

    def __init__(self, skipped: tuple[type, ...]) -> None:
        self.shared: set[Hashable] = set()
        self.named: set[Hashable] = set()
        self.stored: set[Hashable] = set()
        self._fixed: tuple[type, ...] = (*FIXED, *skipped)
        self._seen: dict[int, Any] = {}

    def follow(self, items: Sequence[Any]) -> None:
        """All that these lead to."""
        work = list(items)
        while work:
            item = work.pop()
            if id(item) not in self._seen and not isinstance(item, self._fixed):
                self._seen[id(item)] = item  # it must live, or its number could be that of another one
                work += self._next(item)

    def _next(self, item: Any) -> Iterator[Any]:
        match item:
            case ModuleType():
                if is_of_user(vars(item)) or item.__name__.partition(".")[0] not in HARMLESS.split():
                    self.shared.add(id(item))
            case FunctionType():
                yield from self._function(item)
            case BuiltinFunctionType():
                yield item.__self__
            case MethodType():
                yield from (item.__func__, item.__self__)
            case type():
                yield from self._class(item)
            case tuple() | frozenset():
                yield from item
            case np.ndarray():
                yield from self._array(item)
            case _:
                self.shared.add(id(item))
                yield from gc.get_referents(item)

    def _array(self, array: Any) -> Iterator[Any]:
        if array.base is not None:
            yield array.base
        elif array.flags.writeable or array.dtype.hasobject:
            self.shared.add(id(array))
        yield from array.flat if array.dtype.hasobject else ()

    def _class(self, kind: type) -> Iterator[Any]:
        """Classes of libraries are taken as they are; those of the user are shared where a method sets by
        name what a class holds.
        """
        own = [k for k in kind.__mro__ if _is_own(k)]
        held = {name: value for k in reversed(own) for name, value in vars(k).items()}
        codes = [code for value in held.values() for code in _codes(getattr(value, "__code__", None))]
        steps = (step for code in codes for step in dis.get_instructions(code))
        if any(step.opname == "STORE_ATTR" and step.argval in held for step in steps):
            self.shared |= {id(k) for k in own}
        yield from (value for name, value in held.items() if name not in ("__dict__", "__weakref__"))

    def _function(self, function: FunctionType) -> Iterator[Any]:
        scope = function.__globals__
        if not _is_of_user(scope):
            if str(function.__module__).partition(".")[0] not in HARMLESS.split():
                self.shared.add(function.__module__)
            return
        if vars(function):
            self.shared.add(id(function))
            yield vars(function)
        yield from function.__defaults__ or ()
        yield from (function.__kwdefaults__ or {}).values()
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        self.named |= {id(cell) for cell in cells.values()}
        for cell in cells.values():
            yield from gc.get_referents(cell)
        places = {name: id(cell) for name, cell in cells.items()}
        for code in _codes(function.__code__):
            yield from self._named(code, scope, places)

    def _named(self, code: CodeType, scope: dict[str, Any], places: Mapping[str, int]) -> Iterator[Any]:
        """What a code names outside of itself; `places`: variables of functions around it."""
        self.shared |= {*WORLD.split()} & {*code.co_names}
        for step in dis.get_instructions(code):
            name, place = step.argval, (id(scope), step.argval)
            match step.opname:
                case "LOAD_GLOBAL" | "LOAD_NAME":
                    self.named.add(place)
                    yield scope.get(name, getattr(builtins, name, None))
                case "STORE_GLOBAL" | "DELETE_GLOBAL":
                    self.named.add(place)
                    self.stored.add(place)
                case "STORE_DEREF" | "DELETE_DEREF" if name in places:
                    self.stored.add(places[name])
                case "IMPORT_NAME":
                    yield sys.modules.get(name, [])


def _is_of_user(names: Mapping[str, Any]) -> bool:
    """Whether these are global names of the user's code, which may be in no file."""
    return is_of_user(names) or (
        "__file__" not in names and names.get("__name__") not in sys.builtin_module_names
    )


def _is_own(kind: type) -> bool:
    """Whether a class is of the user's code; that of text which was executed may say that it is built in."""
    module = sys.modules.get(kind.__module__, builtins)
    return bool(kind.__flags__ & _MADE) if module is builtins else _is_of_user(vars(module))


def _codes(code: CodeType | None) -> Iterator[CodeType]:
    """A code, and those of functions inside it."""
    if code is not None:
        yield code
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                yield from _codes(constant)
