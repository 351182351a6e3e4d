"""What a function finds outside of itself, while it is followed: constants that cannot be changed.

Of objects, lists and dictionaries, what is read (attributes, entries) is taken as it is now, and noted, so
that it is seen when it is another later.  What would change them raises `UntraceableError`.
"""

from __future__ import annotations

import builtins
import inspect
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from types import (
    CellType,
    CodeType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, NoReturn

import numpy as np

from spikec.tracing import known, purity
from spikec.tracing.limits import FOLLOWED, UntraceableError
from spikec.tracing.purity import Captured, captured
from spikec.tracing.symbols import Symbol
from spikec.tracing.tables import FixedArray, entries_of_list

# What stands for objects of a class that is known only to compute, by its module and name: made of the object
# and of what notes what is read of it.
STAND_INS: dict[str, Callable[[Any, Callable[[Captured], None]], Any]] = {}
# Of larger lists nothing is read.
MOST_ENTRIES = 20_000


class ImpureError(UntraceableError):
    """A function that is called does more than compute."""

    def __init__(self, function: FunctionType) -> None:
        super().__init__(f"calls {function.__name__}(), which may do more than compute")
        self.function = function


def parts(given: Any) -> tuple[FunctionType, tuple[Any, ...], dict[str, Any]] | None:
    """The function of Python that something callable runs, with the arguments that it adds to those given:
    of a method and of an object with `__call__` the object itself.  None for all others.
    """
    if isinstance(given, FunctionType):
        return given, (), {}
    if isinstance(given, partial):
        inner = parts(given.func)
        return inner and (inner[0], (*inner[1], *given.args), {**inner[2], **given.keywords})
    if isinstance(given, MethodType):
        return (given.__func__, (given.__self__,), {}) if isinstance(given.__func__, FunctionType) else None
    own = inspect.getattr_static(type(given), "__call__", None)
    return (own, (given,), {}) if isinstance(own, FunctionType) else None


class World:
    """What functions find, where they are followed.

    `replaced`: what stands for modules and functions, by their identity.  `held`: whether objects may be
    read.  `captured`: what was read, as it was.  `objects`: whether some of it was of objects, lists or
    dictionaries; an object that a method has, and does not read, is none.

    Each place is noted once, and each function and value has one that stands for it, however often it
    is read.
    """

    def __init__(self, replaced: Mapping[int, Any], held: bool = False) -> None:
        self.replaced, self.held = replaced, held
        self.captured: list[Captured] = []
        self.objects = False
        # By identity, with what they stand for, so that no other object takes its identity.
        self._functions: dict[int, tuple[FunctionType, FunctionType]] = {}
        self._values: dict[int, tuple[Any, Any]] = {}
        self._noted: dict[tuple[int, str], Any] = {}

    def called(self, given: Any) -> Callable[..., Any]:
        """Something callable as it is in this world.  Raises `UntraceableError`."""
        found = parts(given)
        if found is None:
            name = purity.attribute(given, "__name__", type(given).__name__)
            raise UntraceableError(f"calls {name}(), which may do more than compute")
        function, first, named = found
        if given is not function:  # a method, arguments of a partial: they may be others later
            self.objects |= not isinstance(given, MethodType)
            self._note(given, "()", lambda: parts(given), found)
        made = self.function(function)
        if not first and not named:
            return made
        return partial(made, *map(self.value, first), **{name: self.value(v) for name, v in named.items()})

    def function(self, function: FunctionType, depth: int = 0) -> FunctionType:
        """The same function, with what it finds outside of itself as `value` gives it."""
        if id(function) not in self._functions:
            self._functions[id(function)] = function, self._function(function, depth)
        return self._functions[id(function)][1]

    def _function(self, function: FunctionType, depth: int) -> FunctionType:
        if depth > purity.DEEPEST:
            raise UntraceableError(purity.TOO_DEEP)
        found = captured(function, known.NAMES, self.held)
        if found is None:
            raise ImpureError(function)
        self.captured += found
        swap = partial(self.value, depth=depth + 1)
        names = set(purity.global_names(function.__code__))
        scope = {name: swap(value) for name, value in function.__globals__.items() if name in names}
        scope[FOLLOWED] = True
        scope["__builtins__"] = known.BUILTINS if self.replaced else builtins
        cells = tuple(CellType(swap(cell.cell_contents)) for cell in function.__closure__ or ())
        defaults = tuple(map(swap, function.__defaults__ or ())) or None
        made = FunctionType(_code(function.__code__), scope, function.__name__, defaults, cells or None)
        if function.__kwdefaults__:
            made.__kwdefaults__ = {name: swap(value) for name, value in function.__kwdefaults__.items()}
        return made

    def value(self, value: Any, depth: int = 0) -> Any:
        """What stands for a value: it gives the same, and cannot be changed."""
        if id(value) in self.replaced:
            return self.replaced[id(value)]
        if isinstance(value, FunctionType):
            return self.function(value, depth)
        simple = not isinstance(value, np.ndarray) and (
            not self.held or purity.allowed(value, known.NAMES) or isinstance(value, (range, slice))
        )
        if simple:
            return FixedTuple(value) if type(value) is tuple else value
        if id(value) not in self._values:
            self._values[id(value)] = value, self._fixed(value, depth)
        return self._values[id(value)][1]

    def _fixed(self, value: Any, depth: int) -> Any:
        if isinstance(value, np.ndarray):
            if value.dtype.hasobject:
                raise UntraceableError("reads an array of objects, which it could change")
            value = value.copy()
            if type(value) in (np.ndarray, np.memmap):  # others compute in their own way
                value = value.view(FixedArray)
            value.setflags(write=False)
            return value
        made = self._stand_in(value, depth)
        self.objects |= not isinstance(made, Held)  # of an object only what is read
        return made

    def _stand_in(self, value: Any, depth: int) -> Any:
        if type(value) in purity.SETS:
            return Members(value)
        if type(value) in (list, tuple, dict):
            return self._entries(value, depth + 1)
        if isinstance(value, (MethodType, partial)):
            return self.called(value)
        make = STAND_INS.get(f"{type(value).__module__}.{type(value).__qualname__}")
        return Held(value, self) if make is None else make(value, self.captured.append)

    def _entries(self, value: Any, depth: int) -> Any:
        if depth > purity.DEEPEST:
            raise UntraceableError(f"reads a {type(value).__name__} in others, too deep to follow")
        if len(value) > MOST_ENTRIES:
            raise UntraceableError(
                f"reads a {type(value).__name__} of {len(value):,} entries, too large to follow"
            )
        if isinstance(value, dict):
            return FixedDict({key: self.value(v, depth) for key, v in value.items()})
        made = [self.value(v, depth) for v in value]
        return FixedTuple(made) if isinstance(value, tuple) else FixedList(made)

    def attribute(self, obj: Any, name: str) -> Any:
        """What stands for an attribute of an object.  Raises `UntraceableError`."""
        self.objects = True
        if isinstance(obj, ModuleType) and purity.of_python(obj):
            raise UntraceableError(f"uses {name!r} of {_kind(obj)}, which may do more than compute")
        if (made_up := _made_up(obj, name)) is not None:
            self._note(obj, name, lambda: _made_up(obj, name), made_up)
            return self._found(made_up, obj)(name)
        raw, own = (
            _raw(obj, name),
            isinstance(obj, (type, ModuleType)) or name in purity.attribute(obj, "__dict__", ()),
        )
        if isinstance(raw, (property, staticmethod, classmethod, FunctionType)):
            self._note(obj, name, lambda: _raw(obj, name), raw)
        if isinstance(raw, property) and isinstance(raw.fget, FunctionType):
            return self.function(raw.fget)(self.value(obj))
        if isinstance(raw, staticmethod):
            return self.called(raw.__func__)
        if isinstance(raw, classmethod) and isinstance(raw.__func__, FunctionType):
            return partial(
                self.function(raw.__func__), self.value(obj if isinstance(obj, type) else type(obj))
            )
        if isinstance(raw, FunctionType) and own:
            return self.function(raw)
        if isinstance(raw, FunctionType) or _is_in(raw, [*_GETTING, *_READING]):
            return self._found(raw, obj)
        if hasattr(type(raw), "__get__") and not own and not isinstance(raw, MemberDescriptorType):
            raise UntraceableError(f"uses {name!r} of {_kind(obj)}, which may do more than compute")
        found = getattr(obj, name)
        self._note(obj, name, lambda: getattr(obj, name), found, partial(setattr, obj, name))
        return self.value(found)

    def _found(self, method: Any, obj: Any) -> Callable[..., Any]:
        """A method of an object: a function, or one of Python's that reads a dictionary or list."""
        if isinstance(method, FunctionType):
            return partial(self.function(method), self.value(obj))
        if _is_in(method, _GETTING):
            return partial(self._entry, obj)
        if not _is_in(type(obj).__iter__, [dict.__iter__, OrderedDict.__iter__]):
            raise UntraceableError(f"reads {_kind(obj)}, which gives its own entries")
        self._note(obj, "{}", lambda: dict(obj), dict(obj))
        return getattr(self._entries(dict(obj), 1), method.__name__)  # type: ignore[no-any-return]

    def _entry(self, obj: Any, key: Any) -> Any:
        """What stands for an entry of a dictionary or list whose class adds to those of Python."""
        kind = dict if isinstance(obj, dict) else list
        if kind is dict and not dict.__contains__(obj, key):
            raise UntraceableError(f"reads {key!r} of {_kind(obj)}, which it does not hold")
        found = kind.__getitem__(obj, key)
        place, put = partial(kind.__getitem__, obj, key), partial(kind.__setitem__, obj, key)
        self._note(obj, f"[{key!r}]", place, found, put)
        return self.value(found)

    def _note(
        self,
        obj: Any,
        name: str,
        place: Callable[[], Any],
        value: Any,
        put: Callable[[Any], None] | None = None,
    ) -> None:
        if (id(obj), name) not in self._noted:
            self._noted[id(obj), name] = obj
            self.captured.append(Captured(place, purity.kept(value), put))


# How attributes are found where nobody makes them up.
_KINDS = (object, type, ModuleType, SimpleNamespace, dict, OrderedDict, defaultdict, list)
_PLAIN: list[Any] = [kind.__getattribute__ for kind in _KINDS]
# What reads dictionaries, also those of classes that add to Python's.
_READING = [getattr(kind, n) for kind in (dict, OrderedDict) for n in ("get", "items", "keys", "values")]
_GETTING: list[Any] = [dict.__getitem__, list.__getitem__]


def _is_in(value: Any, found: list[Any]) -> bool:
    return any(value is one for one in found)


def _made_up(obj: Any, name: str) -> Any:
    """The `__getattr__` that gives an attribute which an object does not have; None where there is none, or
    one that cannot be followed.
    """
    if (
        isinstance(obj, (type, ModuleType))
        or inspect.getattr_static(obj, name, purity.GONE) is not purity.GONE
    ):
        return None
    method = inspect.getattr_static(type(obj), "__getattr__", None)
    return method if isinstance(method, FunctionType) or _is_in(method, _GETTING) else None


def _raw(obj: Any, name: str) -> Any:
    """An attribute as it lies in an object or its class.  Raises `UntraceableError`."""
    if type(obj).__getattribute__ in _PLAIN:
        try:
            return inspect.getattr_static(obj, name)
        except AttributeError:
            pass
    raise UntraceableError(f"uses {name!r} of {_kind(obj)}, which may do more than compute")


def _kind(obj: Any) -> str:
    if isinstance(obj, ModuleType):
        return f"the module {obj.__name__}"
    return (
        f"the class {obj.__name__}"
        if isinstance(obj, type)
        else f"an object of the class {type(obj).__name__}"
    )


class Held:
    """An object that can be read, and not changed."""

    __slots__ = ("_obj", "_world")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, obj: Any, world: World) -> None:
        object.__setattr__(self, "_obj", obj)
        object.__setattr__(self, "_world", world)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # NumPy asks for what need not exist
            raise AttributeError(name)
        return self._world.attribute(self._obj, name)

    def __call__(self, *given: Any, **named: Any) -> Any:
        if isinstance(self._obj, type):
            raise UntraceableError(f"makes an object of the class {self._obj.__name__}")
        return self._world.called(self._obj)(*given, **named)

    def __getitem__(self, key: Any) -> Any:
        return self._world.attribute(self._obj, "__getitem__")(key)

    def __len__(self) -> int:
        return int(self._world.attribute(self._obj, "__len__")())

    def _refuse(self, *_: Any) -> NoReturn:
        raise UntraceableError(f"uses {_kind(self._obj)} as a value")

    __setattr__ = __eq__ = __bool__ = __iter__ = _refuse


class Members:
    """A set, of which can be asked what is in it: a number that is computed is compared with each number."""

    def __init__(self, items: AbstractSet[Any]) -> None:
        self._items = frozenset(items)
        self._numbers = sorted(number for number in map(_number, items) if number is not None)
        self._others = [v for v in items if np.iscomplexobj(v) or not purity.allowed(v, frozenset())]

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, Symbol):
            if self._others:
                raise UntraceableError(f"compares a number with {self._others[0]!r} in a set")
            return any(value.call("==", value, number) for number in self._numbers)
        return value in self._items

    def __len__(self) -> int:
        return len(self._items)


def _number(value: Any) -> float | None:
    """A number as those that are computed may be; None for all else, and where it has more than 53 bits."""
    if not isinstance(value, (int, float, np.integer, np.floating, np.bool_)):
        return None
    try:
        return float(value) if float(value) == value else None
    except OverflowError:
        return None


def _code(code: CodeType) -> CodeType:
    """Code with `Members` in place of sets that are written in it."""

    def swapped(constant: Any) -> Any:
        if isinstance(constant, CodeType):
            return _code(constant)
        return Members(constant) if isinstance(constant, frozenset) else constant

    return code.replace(co_consts=tuple(map(swapped, code.co_consts)))


def _fixed(self: Any, *_: Any, **__: Any) -> NoReturn:
    raise UntraceableError(f"changes a {type(self).__bases__[0].__name__} that it does not make itself")


class FixedList(list[Any]):
    """A list that cannot be changed."""

    def __getitem__(self, key: Any) -> Any:
        found = entries_of_list(self, key)
        return super().__getitem__(key) if found is None else found


class FixedTuple(tuple[Any, ...]):
    """A tuple of which a computed entry may be read."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        found = entries_of_list(self, key)
        return super().__getitem__(key) if found is None else found


class FixedDict(dict[Any, Any]):
    """A dictionary that cannot be changed."""


_CHANGING = """
append extend insert remove pop clear sort reverse update setdefault popitem __setitem__ __delitem__ __iadd__
__imul__ __ior__
"""
for _name in _CHANGING.split():
    for _fixed_type in (FixedList, FixedDict):
        if hasattr(_fixed_type.__bases__[0], _name):
            setattr(_fixed_type, _name, _fixed)
