"""Whether running a Python function does nothing but compute its result, seen from its bytecode.

Nothing is run here.  A function is taken as pure where it stores nothing outside of its own local variables,
calls nothing by attribute that is not known, and where all that it captures (globals, closure, defaults) is a
number, a text, an array, a tuple of these, a module or function that is known, or a function.  Where objects
are held, it may capture anything, and `objects` sees to it that nothing of it is changed.
"""

from __future__ import annotations

import builtins
import dis
import math
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from itertools import chain
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from spikec.records import dataclass

MODULES: tuple[ModuleType, ...] = (np, math)
# Instructions of Python 3.11 that change nothing outside of the function.
INSTRUCTIONS = """
RESUME NOP CACHE PUSH_NULL PRECALL CALL KW_NAMES EXTENDED_ARG CALL_FUNCTION_EX DICT_MERGE COPY SWAP POP_TOP
LOAD_CONST LOAD_FAST STORE_FAST DELETE_FAST LOAD_GLOBAL LOAD_DEREF LOAD_CLOSURE MAKE_CELL COPY_FREE_VARS
MAKE_FUNCTION LOAD_ATTR LOAD_METHOD BINARY_OP BINARY_SUBSCR BUILD_LIST BUILD_TUPLE BUILD_SLICE BUILD_MAP
BUILD_CONST_KEY_MAP UNPACK_SEQUENCE LIST_EXTEND LIST_APPEND LIST_TO_TUPLE GET_ITER FOR_ITER COMPARE_OP
IS_OP CONTAINS_OP STORE_SUBSCR UNARY_INVERT UNARY_NEGATIVE UNARY_POSITIVE UNARY_NOT RETURN_VALUE
RETURN_GENERATOR YIELD_VALUE
JUMP_FORWARD JUMP_BACKWARD JUMP_IF_TRUE_OR_POP JUMP_IF_FALSE_OR_POP
POP_JUMP_FORWARD_IF_TRUE POP_JUMP_FORWARD_IF_FALSE POP_JUMP_BACKWARD_IF_TRUE POP_JUMP_BACKWARD_IF_FALSE
POP_JUMP_FORWARD_IF_NONE POP_JUMP_FORWARD_IF_NOT_NONE
"""
HARMLESS = frozenset(INSTRUCTIONS.split())
# Attributes of arrays, of functions of NumPy besides, and functions of Python that may be called.
ATTRIBUTES = "sum dot mean prod T size shape ndim copy flatten ravel reshape tolist real linalg norm"
BUILTINS = """
abs min max sum len range float int round pow zip enumerate list tuple reversed bool any all map divmod dict
sorted
"""
# Methods of arrays that write files.
WRITING = ("tofile", "dump")
# Where a value was.
GONE = object()
SETS = (set, frozenset)
# What a class adds to another that is run when its objects are used.
ADDING = (FunctionType, property, staticmethod, classmethod)
# A function that captures another, that captures another ..., and lists in lists.
DEEPEST = 4
TOO_DEEP = f"calls itself, or functions in functions more than {DEEPEST} deep"


@dataclass(frozen=True, eq=False)
class Captured:
    """A value that a function finds outside of itself, and where: it may be another one later.  `put` sets
    what is there, where that can be.
    """

    place: Callable[[], Any]
    value: Any
    put: Callable[[Any], None] | None = None

    def now(self) -> Any:
        """What is there now, `GONE` where nothing is."""
        try:
            return self.place()
        except Exception:  # a name or an attribute that is gone, or what a property of the user's raises
            return GONE

    def same(self) -> bool:
        """Whether it is still what it was."""
        return _alike(self.now(), self.value)

    def takes(self, value: Any) -> bool:
        """Whether a copy of this process can be told that this is the value now."""
        return _is_data(value) and (self.put is not None or _holds(self.value, value))

    def take(self, value: Any) -> None:
        """Have that value here: in the list or array that is there, as others may hold it too."""
        now = self.place()
        if not _holds(now, value):
            assert self.put is not None
            self.put(value)
        elif isinstance(now, np.ndarray):
            now[...] = value
        else:
            now[:] = value


def _holds(now: Any, value: Any) -> bool:
    """Whether something can hold a value in its place."""
    if isinstance(now, np.ndarray) and isinstance(value, np.ndarray):
        return now.flags.writeable and (now.shape, now.dtype) == (value.shape, value.dtype)
    return type(now) is type(value) is list


def _is_data(value: Any, deepest: int = DEEPEST) -> bool:
    """Whether a value is numbers and texts, in lists and dictionaries (not too deep) or by themselves."""
    if type(value) not in (list, tuple, dict):
        return _plain(value)
    inner = value.values() if type(value) is dict else value
    return deepest >= 0 and all(_is_data(v, deepest - 1) for v in inner)


def kept(value: Any, deepest: int = DEEPEST) -> Any:
    """A value as it is now: arrays, and lists of them, are copies; objects themselves, and lists that lie
    deeper than any that is followed: one may hold itself.
    """
    if isinstance(value, np.ndarray):
        return value.copy()
    if deepest < 0:
        return value
    if type(value) is set:
        return set(value)
    if type(value) in (list, tuple):
        return type(value)(kept(v, deepest - 1) for v in value)
    return {key: kept(v, deepest - 1) for key, v in value.items()} if type(value) is dict else value


def _alike(now: Any, before: Any) -> bool:
    if now is before:
        return True
    if isinstance(before, np.ndarray):
        return isinstance(now, np.ndarray) and np.array_equal(now, before)
    if type(now) is not type(before):
        return False
    if type(before) in SETS:
        return bool(now == before)
    if type(before) in (list, tuple):
        return len(now) == len(before) and all(map(_alike, now, before))
    if type(before) is dict:
        return list(now) == list(before) and all(_alike(now[key], v) for key, v in before.items())
    return _plain(before) and bool(now == before)


def captured(function: FunctionType, known: frozenset[str], held: bool = False) -> list[Captured] | None:
    """What a pure function captures; None where it is not pure.

    known: attributes of modules that may be called, by name.  held: whether objects may be captured.
    Functions that it captures are not looked into.
    """
    own = frozenset(function.__code__.co_cellvars)
    if not _harmless(function.__code__, None if held else known, own):
        return None
    found: list[Captured] = []
    for place, put in _places(function):
        try:
            value = place()
        except (KeyError, ValueError):  # a name that does not exist, a cell that is empty
            return None
        if not (held or isinstance(value, FunctionType) or allowed(value, known)):
            return None
        found.append(Captured(place, kept(value), put))
    return found


def _harmless(code: CodeType, known: frozenset[str] | None, own: frozenset[str]) -> bool:
    """Whether no instruction, of inner functions too, changes anything outside.

    known: attributes that may be read besides; None: of all objects any, since these see to it themselves.
    """
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name == "STORE_DEREF":
            if instruction.argval not in own:
                return False
        elif name in ("LOAD_ATTR", "LOAD_METHOD"):
            if not _readable(instruction.argval, known):
                return False
        elif name not in HARMLESS:
            return False
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return all(_harmless(c, known, own | frozenset(c.co_cellvars)) for c in inner)


def _readable(attribute: str, known: frozenset[str] | None) -> bool:
    if known is None:
        return not attribute.startswith("__") and attribute not in WRITING
    return attribute in ATTRIBUTES.split() or attribute in known


def global_names(code: CodeType) -> Iterator[str]:
    """Global names that a code loads, and those of functions inside it."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from global_names(constant)


def _places(function: FunctionType) -> Iterator[tuple[Callable[[], Any], Callable[[Any], None] | None]]:
    """How to read each, and to set it."""
    for cell in function.__closure__ or ():
        yield lambda cell=cell: cell.cell_contents, partial(setattr, cell, "cell_contents")  # type: ignore[misc]
    scope = function.__globals__
    for name in dict.fromkeys(global_names(function.__code__)):
        if name in scope:
            yield lambda name=name: scope[name], partial(scope.__setitem__, name)  # type: ignore[misc]
        elif name not in BUILTINS.split() or not hasattr(builtins, name):
            yield lambda name=name: {}[name], None  # type: ignore[misc]
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    for default in defaults:
        yield lambda default=default: default, None  # type: ignore[misc]


def of_python(module: ModuleType) -> bool:
    """Whether a module comes with Python: what it holds, such as `sys.path`, is not the model's."""
    return module.__name__.partition(".")[0] in sys.stdlib_module_names


def attribute(value: Any, name: str, default: Any = None) -> Any:
    """An attribute of an object of the user, whose class may raise anything (KeyError) where it has none."""
    try:
        return getattr(value, name)
    except Exception:  # whatever its class raises instead of AttributeError
        return default


def allowed(value: Any, known: frozenset[str]) -> bool:
    """Whether a value that is no function of Python may be captured: numbers, modules, functions known."""
    is_module = isinstance(value, ModuleType) and value in MODULES
    return _plain(value) or is_module or _known_function(value, known)


def _plain(value: Any) -> bool:
    if isinstance(value, tuple):
        # What is in an array could change without the tuple being another one.
        return all(_plain(x) and not isinstance(x, np.ndarray) for x in value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return (
        value is None or isinstance(value, (bool, int, float, str, np.number, np.bool_)) or _is_member(value)
    )


def _is_member(value: Any) -> bool:
    """Whether a value is a member of an enumeration that adds nothing to those of Python, and holds nothing
    that can change.
    """
    if not isinstance(value, Enum) or isinstance(value.value, np.ndarray) or not _plain(value.value):
        return False
    kinds = (kind for kind in type(value).__mro__ if kind.__module__ not in ("enum", "builtins"))
    own = chain.from_iterable(vars(kind).items() for kind in kinds)
    named = ((name, v) for name, v in own if name not in type(value).__members__)
    return not any(map(_adds, chain(named, vars(value).items())))


def _adds(named: tuple[str, Any]) -> bool:
    """Whether something of an enumeration, by its name, is not of Python's making."""
    name, value = named
    by_user = isinstance(value, ADDING) and getattr(value, "__module__", "") != "enum"
    return by_user or not (name[0] == "_" == name[-1])


def _known_function(value: Any, known: frozenset[str]) -> bool:
    """Whether a value is a function of NumPy or math that is known."""
    name = attribute(value, "__name__")
    return (
        isinstance(name, str)
        and name in known
        and any(getattr(module, name, None) is value for module in MODULES)
    )
