"""Evaluates the ideal of a probe: expressions of the time t, written as in the language, with NumPy.

The text comes from a file, so it is not executed: its syntax tree may hold numbers, `pi`, `t`, arithmetic,
comparisons and the functions below, and nothing else.
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
_COMPARISONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
# fmt: off
_SAME_NAME = (
    "sign", "sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "floor", "ceil", "round",
    "abs",
)
# fmt: on
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "select": lambda condition, yes, no: np.where(condition != 0, yes, no),
    "min": np.minimum,
    "max": np.maximum,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
}
_FUNCTIONS.update({name: getattr(np, name) for name in _SAME_NAME})


class IdealError(ValueError):
    """Text that is not an expression of t; the message says which part is not."""


def evaluate(text: str, t: Floats) -> Floats:
    """Value of the expression `text` at every time of `t` (s).  Raises `IdealError`."""
    try:
        tree = ast.parse(text.replace("^", "**"), mode="eval").body
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
        case ast.Name(id="pi"):
            return np.pi
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_number(left, t), _number(right, t))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_number(operand, t))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            return _COMPARISONS[type(op)](_number(left, t), _number(right, t))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _call(name, [_number(argument, t) for argument in arguments])
    raise IdealError(f"{ast.unparse(node)[:60]!r} is not part of an expression of t")


def _number(node: ast.expr, t: Floats) -> Floats:
    """As `_value`, with the truth of comparisons as 0 and 1."""
    return np.asarray(_value(node, t), dtype=np.float64)


def _call(name: str, arguments: list[Floats]) -> Any:
    try:
        return _FUNCTIONS[name](*arguments)
    except TypeError:
        raise IdealError(f"{name} does not take {len(arguments)} arguments") from None
