"""Which Python objects could tell each other something by what both can change: those need one process.

Nothing is run.  What an object holds is followed as far as it goes, functions by what their code names.
Where that does not tell, objects are taken to share.
"""

from __future__ import annotations

import builtins
import dis
import gc
import sys
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
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
    type(NotImplemented),
    type(...),
    np.generic,
    np.dtype,
    np.ufunc,
    CodeType,
    GetSetDescriptorType,
    MemberDescriptorType,
)
# Libraries whose functions change nothing but what they are given; those of random numbers apart.
HARMLESS = """
builtins math cmath numpy scipy nengo itertools functools operator collections time typing abc dataclasses
reprlib
"""
_RANDOM = "numpy.random", "scipy.stats"
_MADE = 1 << 9  # the flag of classes that are made while Python runs
# What functions name of these they share with all who do: files, random numbers, code that nobody sees.
WORLD = "open input exec eval compile globals __import__ random rand randn seed stats rvs"
# With these a function sets attributes of whatever it names, with those of `_ALL` of any module.
_SETTING = "setattr delattr vars globals exec eval __dict__ __setattr__ __delattr__"
_ALL = "modules import_module _getframe gc"
# What follows a class in a code that hands it to nobody.
_KEPT = "LOAD_ATTR LOAD_METHOD STORE_ATTR DELETE_ATTR CHECK_EXC_MATCH RAISE_VARARGS"
# What classes hold that nobody reads or sets in a step.
_ABOUT = (
    "__dict__ __weakref__ __annotations__ __dataclass_fields__ __dataclass_params__ _abc_impl "
    "__abstractmethods__"
)


def families(
    roots: Sequence[Sequence[Any]],
    known: Sequence[Collection[Any]],
    skipped: tuple[type, ...] = (),
    most: int = sys.maxsize,
) -> list[int]:
    """For each root, which is several objects, the place of the first one that it shares something with.

    known: what else each shares with all that have the same.  skipped: types of which nothing is followed.
    most: objects that are followed; where there are more, all are taken to share.
    """
    if len(roots) < 2:
        return [0] * len(roots)
    done = dict[int, Any]()
    reached = [_Reached(skipped, done, most) for _ in roots]
    for found, root, more in zip(reached, roots, known, strict=True):
        found.follow(root)
        found.shared |= {id(item) for item in more}
        if sum(len(one.seen) for one in reached) > most:
            return [0] * len(roots)
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

    shared: what it may change; named, stored: what is shared only where somebody sets it, used or set:
    variables outside of functions, classes, functions, global names of a module, memory of arrays.
    """

    def __init__(self, skipped: tuple[type, ...], done: dict[int, Any], most: int) -> None:
        """done: shared objects that other roots have followed: what these hold is of the same family."""
        self._done, self._most = done, most
        self.shared: set[Hashable] = set()
        self.named: set[Hashable] = set()
        self.stored: set[Hashable] = set()
        # Classes that are handed to somebody as a value, and all; whether a code sets attributes of what it
        # is given, and of its class.
        self._handed: set[int] = set()
        self._classes: set[int] = set()
        self._sets = self._sets_classes = False
        self._fixed: tuple[type, ...] = (*FIXED, *skipped)
        self.seen: dict[int, Any] = {}

    def follow(self, items: Sequence[Any]) -> None:
        """All that these lead to."""
        work = list(items)
        while work and len(self.seen) <= self._most:
            item = work.pop()
            if id(item) not in self.seen and not isinstance(item, self._fixed):
                self.seen[id(item)] = item  # it must live, or its number could be that of another one
                work += self._next(item)
        if self._sets:
            self.stored |= self._classes if self._sets_classes else self._handed

    def _next(self, item: Any) -> Iterator[Any]:
        match item:
            case ModuleType():
                self.named.add(id(vars(item)))
                if is_of_user(vars(item)) or not _is_harmless(item.__name__):
                    self.shared.add(id(item))
            case FunctionType():
                yield from self._function(item)
            case BuiltinFunctionType():
                yield item.__self__
            case MethodType():
                yield from (item.__func__, item.__self__)
            case type():
                yield from self._class(item)
            case property() | staticmethod() | classmethod():
                yield from _functions(item)
            case tuple() | frozenset():
                self._hand(item)
                yield from item
            case np.ndarray():
                yield from self._array(item)
            case _:
                self.shared.add(id(item))
                yield from self._held(item)

    def _held(self, item: Any) -> Sequence[Any]:
        """What an object holds, where no other root has followed it."""
        if id(item) in self._done:
            return ()
        self._done[id(item)] = item
        found = gc.get_referents(item)
        if all(
            issubclass(kind, self._fixed) for kind in set(map(type, found))
        ):  # so are long lists of numbers
            return ()
        self._hand(held for held in found if held is not type(item))
        return found

    def _hand(self, values: Iterable[Any]) -> None:
        """Somebody may be given these."""
        self._handed |= {id(value) for value in values if isinstance(value, type)}

    def _array(self, array: Any) -> Iterator[Any]:
        """An array, and those that it is a part of: all that have memory of the last one."""
        chain = [array]
        while isinstance(chain[-1].base, np.ndarray):
            chain.append(chain[-1].base)
        self.named.add(id(chain[-1]))
        if any(part.flags.writeable or part.dtype.hasobject for part in chain):
            self.stored.add(id(chain[-1]))
        self.seen.update((id(part), part) for part in chain)
        yield chain[-1].base
        yield from array.flat if array.dtype.hasobject else ()

    def _class(self, kind: type) -> Iterator[Any]:
        """Classes of libraries are taken as they are; those of the user are shared where a method, or a
        function that names them, sets what a class holds.
        """
        own = [k for k in kind.__mro__ if _is_own(k)]
        self.named |= {id(k) for k in own}
        self._classes |= {id(k) for k in own}
        held = {name: value for k in reversed(own) for name, value in vars(k).items()}
        if any(_sets_class(value, held) for value in held.values()):
            self.stored.add(id(kind))
        yield from (value for name, value in held.items() if name not in _ABOUT.split())

    def _function(self, function: FunctionType) -> Iterator[Any]:
        scope = function.__globals__
        if not _is_of_user(scope):
            if not _is_harmless(str(scope.get("__name__"))):
                self.shared.add(scope.get("__name__"))
            return
        self.named.add(id(function))
        if vars(function):
            self.shared.add(id(function))
            yield vars(function)
        given = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        self._hand(given)
        yield from given
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        self.named |= {id(cell) for cell in cells.values()}
        for cell in cells.values():
            yield from gc.get_referents(cell)
        places = {name: id(cell) for name, cell in cells.items()}
        for code in _codes(function.__code__):
            yield from self._named(code, scope, places)
            values = {**scope, **_contents(cells)}
            self._hand(values.get(name) for name in _handed(code))
            self._set(code, values)

    def _named(self, code: CodeType, scope: dict[str, Any], places: Mapping[str, int]) -> Iterator[Any]:
        """What a code names outside of itself; `places`: variables of functions around it."""
        self.shared |= {*WORLD.split()} & {*code.co_names}
        for step in dis.get_instructions(code):
            name, place = step.argval, (id(scope), step.argval)
            match step.opname:
                case "LOAD_GLOBAL" | "LOAD_NAME":
                    self.named |= {place, id(scope), _ALL}
                    yield scope.get(name, getattr(builtins, name, None))
                case "STORE_GLOBAL" | "DELETE_GLOBAL":
                    self.named.add(place)
                    self.stored.add(place)
                case "STORE_DEREF" | "DELETE_DEREF" if name in places:
                    self.stored.add(places[name])
                case "IMPORT_NAME" if name in sys.modules:
                    yield sys.modules[name]
                case "IMPORT_NAME":  # whoever imports it first, all have the same
                    self.shared.add(name)

    def _set(self, code: CodeType, values: Mapping[str, Any]) -> None:
        """Of which classes, functions and modules a code may set attributes, where it names `values`."""
        targets = _targets(code)
        names = {*code.co_names}
        if names & {*_ALL.split()}:
            self.stored.add(_ALL)
        if None in targets.values() or names & {*_SETTING.split()}:  # it does not tell of which
            found = {*code.co_names, *code.co_freevars}
            self._sets = True
            # Of methods `_sets_class` tells more.
            self._sets_classes |= bool(names & {"type", "__class__"}) and not _is_method(code)
        else:
            found = {target for target in targets.values() if target is not None}
        for value in (values.get(name, sys.modules.get(name)) for name in found):
            if isinstance(value, ModuleType):
                self.stored.add(id(vars(value)))
            elif isinstance(value, (FunctionType, type)):
                self.stored.add(id(value))


def _targets(code: CodeType, method: bool | None = None) -> dict[tuple[str, int], str | None]:
    """The attributes that a code sets, with their places, and of what name each is: None where that is no
    name outside of the code.  Without those of a method's own object; `method`:
    whether it is one, None: as its name says.
    """
    steps = list(dis.get_instructions(code))
    if method is None:
        method = _is_method(code)
    own = code.co_varnames[0] if method and code.co_argcount else ""
    found: dict[tuple[str, int], str | None] = {}
    for k, step in enumerate(steps):
        if step.opname not in ("STORE_ATTR", "DELETE_ATTR"):
            continue
        at = k - 1
        if steps[at].opname == "SWAP":  # `a.b += c` has loaded a before it loads the attribute
            while at > 0 and not (
                steps[at].opname == "COPY"
                and (steps[at + 1].opname, steps[at + 1].argval) == ("LOAD_ATTR", step.argval)
            ):
                at -= 1
            at -= 1
        source = steps[at]
        if source.opname == "LOAD_FAST" and source.argval == own:
            continue
        outside = source.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF")
        found[step.argval, k] = source.argval if outside else None
    return found


def _is_method(code: CodeType) -> bool:
    """Whether a code is a method, as its name says."""
    inside = code.co_qualname.rpartition(".")[0]
    return bool(inside) and not inside.endswith("<locals>")


def _handed(code: CodeType) -> Iterator[str]:
    """Names outside of a code whose value it does more with than to call it or read its attributes."""
    steps = list(dis.get_instructions(code))
    for before, step, after in zip([None, *steps], steps, steps[1:], strict=False):
        if step.opname not in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF"):
            continue
        called = step.opname == "LOAD_GLOBAL" and bool(step.arg and step.arg & 1)
        called |= before is not None and before.opname == "PUSH_NULL"
        if not called and after.opname not in _KEPT.split():
            yield step.argval


def _sets_class(value: Any, held: Collection[str]) -> bool:
    """Whether something in a class sets what the class holds, or may hold by this, of no name."""
    of_class = isinstance(value, classmethod)
    for function in _functions(value):
        for code in _codes(getattr(function, "__code__", None)):
            named = {*code.co_names}
            loose = of_class or bool(named & {"type", "__class__"})
            targets = _targets(code, method=not of_class)
            if any(of is None and (loose or name in held) for (name, _), of in targets.items()):
                return True
            if loose and named & {*_SETTING.split()}:
                return True
    return False


def _functions(value: Any) -> Sequence[Any]:
    """What something in a class runs."""
    if isinstance(value, property):
        return value.fget, value.fset, value.fdel
    return [value.__func__ if isinstance(value, (staticmethod, classmethod)) else value]


def _contents(cells: Mapping[str, Any]) -> dict[str, Any]:
    """What variables of functions around one hold, where they hold something."""
    return {name: value for name, cell in cells.items() for value in gc.get_referents(cell)}


def _is_harmless(module: str) -> bool:
    """Whether functions of a library change nothing but what they are given."""
    if any(f"{module}.".startswith(f"{name}.") for name in _RANDOM):
        return False
    return module.partition(".")[0] in HARMLESS.split()


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
