"""Why a Python function is no expression, in words, with the line: what in it is more than computing.

The first thing that `purity` would not let pass is told, in the order of the function's instructions.
"""

from __future__ import annotations

import builtins
import collections
import dis
import linecache
import random
import re
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType, TracebackType
from typing import Any

import numpy as np

from spikec.expressions import Call, Expression, Number, to_text
from spikec.records import dataclass
from spikec.tracing import known, purity
from spikec.tracing.bounds import finite, interval
from spikec.tracing.limits import UntraceableError
from spikec.tracing.objects import parts

CHANGING = """
append appendleft extend extendleft insert pop popleft popitem remove clear update add discard setdefault sort
reverse rotate fill put itemset resize
"""
CONTAINERS: dict[type, str] = {
    list: "list",
    dict: "dictionary",
    set: "set",
    collections.deque: "deque",
    bytearray: "bytearray",
}
RANDOM = (np.random.RandomState, np.random.Generator, random.Random)
RANDOM_MODULES = ("random", "numpy.random")
OTHERWISE = ", which may do more than compute"
# What instructions do that change something, or that no expression says.
DOES = {
    "STORE_GLOBAL": "sets the global variable {!r}", "DELETE_GLOBAL": "deletes the global variable {!r}",
    "STORE_DEREF": "sets {!r}, a variable of the function around it", "IMPORT_NAME": "imports {}",
    "IMPORT_FROM": "imports {}", "RAISE_VARARGS": "may raise an exception", "FORMAT_VALUE": "makes text",
    "LOAD_ASSERTION_ERROR": "may raise an exception", "BEFORE_WITH": "enters a context (with)",
    "BUILD_STRING": "makes text", "PUSH_EXC_INFO": "handles exceptions (try)", "BUILD_SET": "makes a set",
    "SET_ADD": "makes a set", "MAP_ADD": "makes a dictionary", "LOAD_BUILD_CLASS": "makes a class",
}  # fmt: skip
# Functions that are not defined, or not finite, everywhere.
UNDEFINED = {
    "sqrt": "may take the root of a number below 0", "log": "may take the logarithm of 0 or less",
    "asin": "may take the arc sine of a number beyond 1",
    "acos": "may take the arc cosine of a number beyond 1",
}  # fmt: skip
LONGEST = 48


@dataclass(frozen=True)
class Reason:
    """What a function does ("changes the list 'seen'"), and where: line 0 where that is not known."""

    text: str
    file: str = ""
    line: int = 0


def raised(error: BaseException, function: FunctionType, held: bool = False) -> Reason | None:
    """What a function raised on symbols, or on numbers, at the line of its file."""
    if held and (found := impure(function, held)) is not None:
        return found
    line, at = function.__code__.co_firstlineno, error.__traceback__
    file = function.__code__.co_filename
    while isinstance(at, TracebackType):
        if at.tb_frame.f_code.co_filename == file:
            line = at.tb_lineno
        at = at.tb_next
    said = str(error).replace("'Symbol'", "'float'")
    text = (
        said
        if isinstance(error, UntraceableError)
        else f"fails as it is followed ({type(error).__name__}: {said})"
    )
    if isinstance(error, IndexError) and "integers" in said:
        text = "uses a number that it computes as an index"
    if isinstance(error, ValueError) and "read-only" in said:
        text = "changes an array that it does not make itself"
    return Reason(text, file, line)


# ---------------------------------------------------------------------------------- not finite everywhere


def undefined(expression: Expression) -> tuple[str, Expression]:
    """Why an expression may be no finite number, and the part of it of which that holds."""
    while isinstance(expression, Call):
        inner = [a for a in expression.arguments if not finite(a)]
        if not inner:
            return f"{_undefined(expression)} ({_short(expression)})", expression
        expression = inner[0]
    return "holds a number that is not finite", expression


def _undefined(call: Call) -> str:
    low, high = interval(call.arguments[-1])
    if call.function in "/%" and low <= 0 <= high:
        return "may divide by 0"
    if call.function == "^":
        power = call.arguments[1]
        if not isinstance(power, Number):
            return "takes a power that is computed"
        if power.value < 0:
            return "may take 0 to a power below 0"
        if not power.value.is_integer():
            return "may take a number below 0 to a power that is not whole"
    return UNDEFINED.get(call.function, "may grow beyond all numbers")


def _short(expression: Expression) -> str:
    text = to_text(expression)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


# ------------------------------------------------------------------------------------ more than computing


def uncallable(function: Any) -> Reason:
    """Why something that is called is no function of Python that could be read."""
    if isinstance(purity.attribute(function, "__self__"), RANDOM):
        return Reason("draws random numbers")
    if isinstance(function, MethodType):
        owner = type(function.__self__).__name__
        return Reason(f"is a method of an object of the class {owner}, which may change")
    name = purity.attribute(function, "__name__")
    if isinstance(name, str) and not isinstance(function, type):
        return Reason(f"is {name}(){OTHERWISE}")
    return Reason(f"is an object of the class {type(function).__name__}, which may change")


def impure(function: FunctionType, held: bool = False, depth: int = 0) -> Reason | None:
    """The first thing in a function that is more than computing; None where there is none.

    held: whether it may read objects, lists and dictionaries.
    """
    own: set[str] = set()
    around = _Around(_scope(function), own, held, depth)
    for code in _codes(function.__code__):
        own.update(code.co_cellvars)
        for instruction in dis.get_instructions(code):
            found = _of_instruction(instruction, code, around)
            if isinstance(found, Reason):
                return found
            if found:
                return Reason(found, code.co_filename, instruction.positions.lineno or code.co_firstlineno)  # type: ignore[union-attr]
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    found = next((f for value in defaults if (f := _of_value("a default", value, around))), "")
    where = (function.__code__.co_filename, function.__code__.co_firstlineno)
    return Reason(found, *where) if isinstance(found, str) and found else found or None


@dataclass(frozen=True, eq=False)
class _Around:
    """What is around an instruction: values of names, variables of its own, whether it may read objects, and
    how many functions called each other.
    """

    scope: Callable[[str], Any]
    own: set[str]
    held: bool
    depth: int

    def value(self, name: str) -> Any:
        """The value of a name that the function finds outside of itself, else None."""
        try:
            return self.scope(name)
        except (KeyError, ValueError):
            return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _scope(function: FunctionType) -> Callable[[str], Any]:
    """The value of a name that a function finds outside of itself; raises `KeyError` for its own."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))

    def value(name: str) -> Any:
        if name in cells:
            return cells[name].cell_contents
        return function.__globals__[name] if name in function.__globals__ else vars(builtins)[name]

    return value


def _of_instruction(instruction: dis.Instruction, code: CodeType, around: _Around) -> str | Reason:
    """What is wrong with an instruction, "" where nothing is."""
    name, what = instruction.opname, instruction.argval
    if name == "STORE_DEREF" and what in around.own:
        return ""
    if name in ("LOAD_ATTR", "LOAD_METHOD"):
        return _of_attribute(what, _source(instruction, code), around)
    if name in ("STORE_SUBSCR", "DELETE_SUBSCR", "STORE_ATTR", "DELETE_ATTR"):
        source = _source(instruction, code)
        root = re.split(r"[.\[]", source)[0]
        outside = root not in code.co_varnames and around.value(root) is not None
        return f"changes {source or 'what it is given'}" if outside or name != "STORE_SUBSCR" else ""
    if name == "LOAD_GLOBAL" or (name == "LOAD_DEREF" and what not in around.own):
        try:
            value = around.scope(what)
        except (KeyError, ValueError):
            return f"uses the name {what!r}, which is not defined"
        changed = _changed(what, code) if type(value) in CONTAINERS else False
        return (
            f"changes the {CONTAINERS[type(value)]} {what!r}" if changed else _of_value(what, value, around)
        )
    if name in purity.HARMLESS:
        return ""
    return DOES.get(name, f"does more than compute ({name.lower()})").format(what)


def _of_attribute(name: str, source: str, around: _Around) -> str:
    root, _, _ = source.partition(".")
    value = around.value(root)
    changing = name in CHANGING.split() and not isinstance(value, ModuleType)
    if name in purity.ATTRIBUTES.split() or (name in known.NAMES and not changing):
        return ""
    if isinstance(value, RANDOM) or (isinstance(value, ModuleType) and _random(value, name)):
        return f"draws random numbers ({source})"
    if changing and (value is not None or not around.held):
        kind = "array" if isinstance(value, np.ndarray) else CONTAINERS.get(type(value), "")
        return f"changes {f'the {kind} ' if kind else ''}{root!r}" if root else f"calls {name}()"
    of_module = isinstance(value, ModuleType) and value in purity.MODULES
    return "" if around.held and not of_module else f"uses {source or name}{OTHERWISE}"


def _random(module: ModuleType, name: str) -> bool:
    return module.__name__ in RANDOM_MODULES or f"{module.__name__}.{name}" in RANDOM_MODULES


def _changed(name: str, code: CodeType) -> bool:
    """Whether a code changes the list or dictionary that has a name."""
    for instruction in dis.get_instructions(code):
        source = _source(instruction, code)
        if instruction.opname == "LOAD_METHOD" and instruction.argval in CHANGING.split():
            if source.startswith(f"{name}."):
                return True
        elif instruction.opname in ("STORE_SUBSCR", "DELETE_SUBSCR") and source.startswith(f"{name}["):
            return True
    return False


def _of_value(name: str, value: Any, around: _Around) -> str | Reason:
    """What is wrong with a value that a function finds outside of itself, "" where nothing is."""
    if isinstance(value, FunctionType):
        deeper = around.depth < purity.DEEPEST
        found = impure(value, around.held, around.depth + 1) if deeper else purity.TOO_DEEP
        return found or ""
    if purity.allowed(value, known.NAMES) or _known_builtin(name, value):
        return ""
    if isinstance(value, ModuleType) and not (
        around.held and not purity.of_python(value) and value.__name__ not in RANDOM_MODULES
    ):
        random_numbers = value.__name__ in RANDOM_MODULES
        return "draws random numbers" if random_numbers else f"uses the module {value.__name__}{OTHERWISE}"
    if isinstance(value, RANDOM):
        return f"draws random numbers ({name})"
    builtin = getattr(builtins, name, None) is value
    if around.held and not builtin and (not callable(value) or parts(value) is not None or _makes(value)):
        return ""
    if type(value) in CONTAINERS:
        return f"reads the {CONTAINERS[type(value)]} {name!r}, which may change"
    if isinstance(value, type) and issubclass(value, BaseException):
        return f"may raise {name}"
    if builtin:
        return f"calls {name}(), which does more than compute"
    if callable(value):
        drawn = "random" in str(purity.attribute(value, "__module__")) or isinstance(
            purity.attribute(value, "__self__"), RANDOM
        )
        return f"draws random numbers ({name})" if drawn else f"calls {name}(){OTHERWISE}"
    return f"uses {name!r}, an object of the class {type(value).__name__}, which may change"


def _makes(value: Any) -> bool:
    """Whether a value is a class that is no exception: its attributes can be read."""
    return isinstance(value, type) and not issubclass(value, BaseException)


def _known_builtin(name: str, value: Any) -> bool:
    return name in purity.BUILTINS.split() and getattr(builtins, name) is value


def _source(instruction: dis.Instruction, code: CodeType) -> str:
    """The text of an instruction, where it is on one line."""
    at = instruction.positions
    if at is None or at.lineno is None or at.lineno != at.end_lineno:
        return ""
    line = linecache.getline(code.co_filename, at.lineno).encode()
    return line[at.col_offset : at.end_col_offset].decode(errors="ignore")
