"""Functions of NumPy, math and Python that are known, and what stands for them while symbols are traced."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from spikec.tracing.bounds import interval, whole
from spikec.tracing.composed import composed
from spikec.tracing.symbols import Symbol, plain
from spikec.tracing.vectors import Vector

# Functions of NumPy that work on arrays of objects as they are, or take no symbols at all.
AS_THEY_ARE = """
sum dot arange ones_like zeros_like full_like eye identity linspace concatenate hstack vstack stack diag
column_stack outer prod cumsum cross diff atleast_2d
stack squeeze mean square add subtract multiply divide true_divide negative power reshape
ravel transpose roll repeat tile atleast_1d inner matmul flip copy append insert delete expand_dims swapaxes
split array_split kron cumprod convolve correlate einsum tensordot vdot
"""
# Functions that make arrays which symbols may be put into: of objects, where the function asks for no type.
MAKING = ("array", "asarray", "zeros", "ones", "full")
CONSTANTS = ("pi", "e", "tau", "inf")
# Functions of one number, in NumPy and math alike, by our name.
UNARY = {
    "sin": "sin sin", "cos": "cos cos", "tan": "tan tan", "asin": "arcsin asin", "acos": "arccos acos",
    "atan": "arctan atan", "sinh": "sinh sinh", "cosh": "cosh cosh", "tanh": "tanh tanh", "exp": "exp exp",
    "log": "log log", "sqrt": "sqrt sqrt", "floor": "floor floor", "ceil": "ceil ceil", "abs": "abs fabs",
    "sign": "sign -", "round": "rint -",
}  # fmt: skip
BINARY = {"min": "minimum -", "max": "maximum -", "atan2": "arctan2 atan2", "%": "mod -", "^": "- pow"}


def _elementwise(function: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """A function of symbols, numbers and arrays of them, element by element."""

    def of_one(*values: Any) -> Any:
        symbol = next((v for v in values if isinstance(v, Symbol)), None)
        return original(*values) if symbol is None else symbol.call(function, *values)

    def call(*values: Any) -> Any:
        if any(isinstance(v, (np.ndarray, list, tuple)) for v in values):
            return np.frompyfunc(of_one, len(values), 1)(*values)
        return of_one(*values)

    return call


def _where(condition: Any, yes: Any, no: Any) -> Any:
    def of_one(c: Any, a: Any, b: Any) -> Any:
        return c.call("select", c, a, b) if isinstance(c, Symbol) else (a if c else b)

    return np.frompyfunc(of_one, 3, 1)(condition, yes, no)


def _clip(x: Any, low: Any, high: Any) -> Any:
    return _NUMPY["minimum"](_NUMPY["maximum"](x, low), high)


def _norm(x: Any) -> Any:
    return _NUMPY["sqrt"](np.sum(np.asarray(x) * np.asarray(x)))


def _making(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        made = original(*given, **named)
        plain = len(given) == 1 + (original is np.full) and named.get("dtype", _Float) is _Float
        made = made.astype(object) if plain and made.dtype == np.float64 else made
        return made.view(Vector) if made.dtype == object else made

    return call


class _Float:
    """What `float` does; arrays of this type hold symbols."""

    def __new__(cls, value: Any = 0.0) -> Any:
        """The number itself."""
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        return plain(value) if isinstance(value, Symbol) else float(value)


def _namespace(module: Any, column: int) -> dict[str, Any]:
    """Names of a module (column 0: NumPy, 1: math) with what stands for them."""
    names: dict[str, Any] = {}
    for ours, theirs in (UNARY | BINARY).items():
        name = theirs.split()[column]
        if name != "-":
            names[name] = _elementwise(ours, getattr(module, name))
    names |= {name: getattr(module, name) for name in CONSTANTS if hasattr(module, name)}
    return names


_MATH = _namespace(math, 1)
_NUMPY: dict[str, Any] = {
    **_namespace(np, 0),
    **{name: getattr(np, name) for name in AS_THEY_ARE.split()},
    **{name: _making(getattr(np, name)) for name in MAKING},
    "where": _where,
    "clip": _clip,
    "linalg": SimpleNamespace(norm=_norm),
    "float64": _Float,
    "ndarray": np.ndarray,
}
_NUMPY["absolute"] = _NUMPY["abs"]
_NUMPY |= composed(_NUMPY)
_MATH |= {name: _NUMPY[name] for name in ("hypot", "degrees", "radians")}
# Attributes that a function may load from a module.
NAMES = frozenset(_NUMPY) | frozenset(_MATH)


def _extreme(function: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        items: Iterable[Any] = values[0] if len(values) == 1 else values
        result, *rest = items
        for value in rest:
            result = _elementwise(function, original)(result, value)
        return result

    return call


def _int(value: Any = 0) -> Any:
    """Towards 0, as Python's int."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if not isinstance(value, Symbol):
        return int(value)
    value = plain(value)
    if whole(value.expression):
        return value
    if interval(value.expression)[0] >= 0:
        return value.call("floor", value)
    negative = value.call("<", value, 0.0)
    return value.call("select", negative, value.call("ceil", value), value.call("floor", value))


def _pow(base: Any, exponent: Any) -> Any:
    return base**exponent


BUILTINS: dict[str, Any] = {
    **{
        function.__name__: function
        for function in (
            abs,
            sum,
            len,
            range,
            round,
            zip,
            enumerate,
            list,
            tuple,
            reversed,
            bool,
            any,
            all,
            map,
        )
    },
    "min": _extreme("min", min),
    "max": _extreme("max", max),
    "sorted": lambda items: list(_NUMPY["sort"](list(items))),
    "float": _Float,
    "int": _int,
    "pow": _pow,
    "divmod": lambda a, b: (a // b, a % b),
    "dict": dict,
}


def _replacements() -> dict[int, Any]:
    """What stands for modules and functions, by the identity of these."""
    found: dict[int, Any] = {id(np): SimpleNamespace(**_NUMPY), id(math): SimpleNamespace(**_MATH)}
    for module, names in ((np, _NUMPY), (math, _MATH)):
        found |= {id(getattr(module, n)): f for n, f in names.items() if callable(getattr(module, n, None))}
    return found


SYMBOLIC = _replacements()


def as_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy or math as one of Python, which can be traced; all others as they are."""
    if not isinstance(function, FunctionType) and id(function) in SYMBOLIC:
        return lambda x: function(x)
    return function
