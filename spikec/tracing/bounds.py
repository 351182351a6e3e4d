"""Whether an expression is a finite number whatever its arguments are: only then is it compiled.

Nengo stops where a function gives a number that is not finite, and Python where it divides by 0.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, inf, isfinite, isnan, nan, pi
from typing import TypeAlias

import numpy as np

from spikec.expressions import ENTRY, Call, Column, Component, Expression, Number, Time

Interval: TypeAlias = tuple[float, float]

# What signals and times are below: far beyond what represented values and simulations reach.
LARGEST, LONGEST = 1e20, 1e9
NOWHERE: Interval = (nan, nan)


def finite(expression: Expression) -> bool:
    """Whether a value is finite for every |x[i]| up to LARGEST and every time up to LONGEST seconds."""
    with np.errstate(all="ignore"):
        low, high = interval(expression)
    return isfinite(low) and isfinite(high)


def interval(expression: Expression) -> Interval:
    """Least and largest value; not a number where it may be undefined."""
    match expression:
        case Number(value):
            return value, value
        case Time():
            return 0.0, LONGEST
        case Component():
            return -LARGEST, LARGEST
        case Column():
            samples = expression.samples
            return (float(samples.min()), float(samples.max())) if len(samples) else NOWHERE
        case Call("^", (base, exponent)):
            return _power(interval(base), exponent)
        case Call("*", (left, right)) if left == right:
            return _power(interval(left), Number(2.0))
        case Call("%", (left, Number(count))) if count >= 1 and count.is_integer() and whole(left):
            return (0.0, count - 1.0) if all(map(isfinite, interval(left))) else NOWHERE
        case Call(function, arguments):
            found = [interval(a) for a in arguments]
            if any(isnan(end) for pair in found for end in pair):
                return NOWHERE
            return _RULES[function](*found)
    raise TypeError(expression)


def whole_bounds(expression: Expression) -> Interval:
    """Least and largest of the whole numbers that an expression gives; infinite where that is not known."""
    with np.errstate(all="ignore"):
        low, high = interval(expression)
    if not (isfinite(low) and isfinite(high)):
        return -inf, inf
    match expression:
        case Call("%", (_, Number(count))) if count > 0 and not whole(expression):
            high = ceil(high) - 1.0  # below the divisor
    return float(ceil(low)), float(floor(high))


# What gives whole numbers, and what gives them of whole numbers.
_ROUNDING = frozenset(["floor", "ceil", "round", "sign", "<", "<=", ">", ">=", "==", "!="])
_KEEPING = frozenset(["+", "-", "*", "%", "neg", "abs", "min", "max", "select"])


def whole(expression: Expression) -> bool:
    """Whether an expression gives nothing but whole numbers."""
    match expression:
        case Number(value):
            return value.is_integer()
        case Column():
            return bool((expression.samples == np.floor(expression.samples)).all())
        case Call("select", (_, yes, no)):
            return whole(yes) and whole(no)
        case Call("[]", (column, _)):
            return whole(column)
        case Call(function, arguments):
            return function in _ROUNDING or (function in _KEEPING and all(map(whole, arguments)))
    return False


def row(index: Expression, rows: int) -> Expression | None:
    """The row of a table that a number says, as Python takes it: from the end where it is below 0.  None
    where it is not known to be a whole number, and one of those that there are.
    """
    low, high = whole_bounds(index)
    if not (whole(index) and -rows <= low and high < rows):
        return None
    return index if low >= 0 else Call("%", (index, Number(float(rows))))


def _ends(function: Callable[..., float], *pairs: Interval) -> Interval:
    """Of a function that has its extremes at the ends of the intervals."""
    values = [float(function(*point)) for point in np.stack(np.meshgrid(*pairs), -1).reshape(-1, len(pairs))]
    return (nan, nan) if any(isnan(v) for v in values) else (min(values), max(values))


def _divide(a: Interval, b: Interval) -> Interval:
    return NOWHERE if b[0] <= 0 <= b[1] else _ends(np.divide, a, b)


def _modulo(a: Interval, b: Interval) -> Interval:
    if b[0] <= 0 <= b[1] or not all(map(isfinite, (*a, *b))):
        return NOWHERE
    return (0.0, b[1]) if b[0] > 0 else (b[0], 0.0)


def _power(base: Interval, exponent: Expression) -> Interval:
    if not isinstance(exponent, Number) or any(map(isnan, base)):
        return NOWHERE
    power = exponent.value
    if power < 0 and base[0] <= 0 <= base[1]:
        return NOWHERE
    if not power.is_integer():
        return NOWHERE if base[0] < 0 else _ends(lambda x: np.power(x, power), base)
    low, high = _ends(lambda x: np.power(float(x), power), base)
    return (0.0, high) if power > 0 and power % 2 == 0 and base[0] <= 0 <= base[1] else (low, high)


def _absolute(a: Interval) -> Interval:
    low, high = _ends(abs, a)
    return (0.0, high) if a[0] <= 0 <= a[1] else (low, high)


def _where(low: float, high: float, function: Callable[[float], float]) -> Callable[[Interval], Interval]:
    """A rising function that is defined between two numbers."""
    return lambda a: _ends(function, a) if a[0] >= low and a[1] <= high else NOWHERE


def _within(low: float, high: float) -> Callable[..., Interval]:
    return lambda *pairs: (low, high) if all(map(isfinite, np.ravel(pairs))) else NOWHERE


def _cosh(a: Interval) -> Interval:
    low, high = _ends(np.cosh, a)
    return (1.0, high) if a[0] <= 0 <= a[1] else (low, high)


def _falling(function: Callable[[float], float]) -> Callable[[Interval], Interval]:
    return lambda a: _ends(function, a) if a[0] >= -1 and a[1] <= 1 else NOWHERE


_TRUTH = _within(0.0, 1.0)
_RULES: dict[str, Callable[..., Interval]] = {
    "+": lambda a, b: _ends(np.add, a, b),
    "-": lambda a, b: _ends(np.subtract, a, b),
    "*": lambda a, b: _ends(np.multiply, a, b),
    "/": _divide,
    "%": _modulo,
    "neg": lambda a: (-a[1], -a[0]),
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), _TRUTH),
    "select": lambda _, a, b: (min(a[0], b[0]), max(a[1], b[1])),
    "min": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "max": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "atan2": _within(-pi, pi),
    "abs": _absolute,
    "sign": lambda a: _ends(np.sign, a),
    "sqrt": _where(0.0, inf, np.sqrt),
    "exp": lambda a: _ends(np.exp, a),
    "log": lambda a: _ends(np.log, a) if a[0] > 0 else NOWHERE,
    "sin": _within(-1.0, 1.0),
    "cos": _within(-1.0, 1.0),
    "tan": _within(-1e17, 1e17),
    "asin": _where(-1.0, 1.0, np.arcsin),
    "acos": _falling(np.arccos),
    "atan": _where(-inf, inf, np.arctan),
    "sinh": _where(-inf, inf, np.sinh),
    "cosh": _cosh,
    "tanh": _where(-inf, inf, np.tanh),
    "floor": lambda a: _ends(_whole(floor), a),
    "ceil": lambda a: _ends(_whole(ceil), a),
    "round": lambda a: _ends(np.round, a),
    ENTRY: lambda samples, _: samples,
}


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda x: float(function(x)) if isfinite(x) else x
