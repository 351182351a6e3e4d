"""`dataclass` as that of the standard library, at a fifth of its cost where a class is not used.

The compiler defines some two hundred frozen classes, and a model uses a few dozen of them.  The standard
library compiles five functions for each, which together took 50 ms of every start.  Here what a class needs
is generic but for `__init__`, which is compiled when the first object is made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

C = TypeVar("C", bound=type)

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(**options: bool) -> Callable[[C], C]:
        """`dataclasses.dataclass` with such options; all classes are frozen."""
        if not options.pop("frozen", False):
            raise TypeError("what can change is a dataclass of the standard library")
        return lambda cls: _frozen(cls, **options)


def _frozen(
    cls: Any, *, eq: bool = True, repr: bool = True, kw_only: bool = False, slots: bool = False
) -> Any:
    own = cls.__dict__
    if own.get("__doc__") is None:
        cls.__doc__ = cls.__name__  # or the standard library writes its signature there, which takes long
    dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(cls)
    cls = _slotted(cls) if slots else cls
    methods: dict[str, Any] = {"__setattr__": _refuse, "__delattr__": _refuse, "__init__": _first_init(cls)}
    if repr:
        methods["__repr__"] = _repr
    if eq:
        methods |= _comparison(cls)
    for name, method in methods.items():
        if name not in own:
            setattr(cls, name, method)
    return cls


def _slotted(cls: Any) -> Any:
    """The same class with a slot for each of its own fields: of what there are very many."""
    inherited = {name for base in cls.__mro__[1:] for name in getattr(base, "__dataclass_fields__", ())}
    own = [f.name for f in dataclasses.fields(cls) if f.name not in inherited]
    body = {k: v for k, v in cls.__dict__.items() if k not in (*own, "__dict__", "__weakref__")}
    state = {"__getstate__": _state, "__setstate__": _set_state}
    made = type(cls)(cls.__name__, cls.__bases__, {**body, **state, "__slots__": tuple(own)})
    made.__qualname__ = cls.__qualname__
    return made


def _state(self: Any) -> list[Any]:
    return [getattr(self, f.name) for f in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for f, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, f.name, value)


def _first_init(cls: type[Any]) -> Callable[..., None]:
    """An `__init__` that puts the real one in its place."""

    def first(self: Any, *arguments: Any, **named: Any) -> None:
        cls.__init__ = made = _init(cls)
        made(self, *arguments, **named)

    return first


def _init(cls: Any) -> Callable[..., None]:
    """The `__init__` that the standard library makes of such fields."""
    fields = [(f.name, f.type, f) for f in dataclasses.fields(cls)]
    after = {"__post_init__": cls.__post_init__} if hasattr(cls, "__post_init__") else {}
    made: Any = dataclasses.make_dataclass(
        cls.__name__, fields, namespace={**after, "__doc__": ""}, frozen=True, repr=False, eq=False
    )
    made.__init__.__qualname__ = f"{cls.__qualname__}.__init__"
    return made.__init__  # type: ignore[no-any-return]


def _refuse(self: Any, name: str, *_: Any) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot change {name!r} of {type(self).__name__}")


def _repr(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _comparison(cls: Any) -> dict[str, Any]:
    """Methods that compare by the fields of `cls`; classes below it that define none compare so too."""

    @cache
    def compared() -> Callable[[Any], Any]:
        names = [f.name for f in dataclasses.fields(cls) if f.compare]
        return attrgetter(*names) if names else lambda _: ()

    def equal(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compared()(self) == compared()(other)

    return {"__eq__": equal, "__hash__": lambda self: hash(compared()(self))}
