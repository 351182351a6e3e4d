"""Evaluates the ideal of a probe: expressions of the time t, written as in programs, with NumPy.

The text comes from a file, so it is not executed: its syntax tree may hold numbers, `t`, arithmetic and the
functions below, and nothing else.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.Mod: np.mod,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}
# fmt: off
_SAME_NAME = (
    "minimum", "maximum", "arctan2", "sign", "sqrt", "exp", "log", "sin", "cos", "tan", "arcsin",
    "arccos", "arctan", "sinh", "cosh", "tanh", "floor", "ceil", "round",
)
# fmt: on
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "pt.lt": np.less,
    "pt.le": np.less_equal,
    "pt.gt": np.greater,
    "pt.ge": np.greater_equal,
    "pt.eq": np.equal,
    "pt.neq": np.not_equal,
    "pt.switch": lambda condition, yes, no: np.where(np.asarray(condition) != 0, yes, no),
    "abs": np.abs,
}
_FUNCTIONS.update({f"pt.{name}": getattr(np, name) for name in _SAME_NAME})


class IdealError(ValueError):
    """Text that is not an expression of t; the message says which part is not."""


def evaluate(text: str, t: Floats) -> Floats:
    """Value of the expression `text` at every time of `t` (s).  Raises `IdealError`."""
    try:
        tree = ast.parse(text, mode="eval").body
        with np.errstate(all="ignore"):
            value = np.asarray(_value(tree, t), dtype=np.float64)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise IdealError(f"cannot read the ideal {text[:60]!r}: {error}") from None
    return np.broadcast_to(value, t.shape)


def evaluate_all(texts: tuple[str, ...], t: Floats) -> Floats:
    """Values, times x expressions, of several expressions.  Raises `IdealError`."""
    return np.stack([evaluate(text, t) for text in texts], axis=1)


def _value(node: ast.expr, t: Floats) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id="t"):
            return t
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_number(left, t), _number(right, t))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_number(operand, t))
        case ast.Call(func=func, args=[argument, _]) if ast.unparse(func) == "pt.cast":
            return _number(argument, t)
        case ast.Call(func=func, args=arguments) if ast.unparse(func) in _FUNCTIONS:
            # The one keyword that programs write, the mode of `pt.round`, names NumPy's own rule.
            return _call(ast.unparse(func), [_number(argument, t) for argument in arguments])
    raise IdealError(f"{ast.unparse(node)[:60]!r} is not part of an expression of t")


def _number(node: ast.expr, t: Floats) -> Floats:
    """As `_value`, with the truth of comparisons as 0 and 1."""
    return np.asarray(_value(node, t), dtype=np.float64)


def _call(name: str, arguments: list[Floats]) -> Any:
    try:
        return _FUNCTIONS[name](*arguments)
    except TypeError:
        raise IdealError(f"{name} does not take {len(arguments)} arguments") from None
