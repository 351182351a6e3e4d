"""Functions of NumPy that are made of others, for symbols: of vectors, lists and single numbers.

Of arrays they take no axis; what else they are given that is not written here, they refuse by a `TypeError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from math import pi
from typing import Any

import numpy as np

from spikec.tracing.limits import UntraceableError
from spikec.tracing.symbols import Symbol
from spikec.tracing.vectors import Vector

Function = Callable[..., Any]
# Each number is an expression of all before: sorting 5 takes 257 operations, 6 would take 850.
MOST_SORTED = 5


def composed(f: Mapping[str, Function]) -> dict[str, Function]:
    """Functions by NumPy's names, made of those of `f`; of numbers alone they are NumPy's own."""
    made = {**_of_numbers(f), **_of_vectors(f), **_of_few(f)}
    return {name: _unless_constant(getattr(np, name), function) for name, function in made.items()}


def _symbolic(values: Any) -> bool:
    if isinstance(values, (list, tuple)) or (isinstance(values, np.ndarray) and values.dtype == object):
        return any(map(_symbolic, values))
    return isinstance(values, Symbol)


def _unless_constant(original: Function, made: Function) -> Function:
    def call(*given: Any, **named: Any) -> Any:
        if _symbolic(given) or _symbolic(list(named.values())):
            return made(*given, **named)
        return original(*map(_plain, given), **named)

    return call


def _plain(value: Any) -> Any:
    """Arrays that could hold symbols, but do not, as arrays of numbers."""
    held = isinstance(value, np.ndarray) and value.dtype == object
    return value.astype(np.float64) if held else value


def _array(x: Any) -> Any:
    """Lists as arrays; numbers and symbols as they are."""
    return np.asarray(x, dtype=object).view(Vector) if isinstance(x, (list, tuple, np.ndarray)) else x


def _items(x: Any) -> list[Any]:
    return list(np.ravel(np.asarray(x, dtype=object)))


def _of_numbers(f: Mapping[str, Function]) -> dict[str, Function]:
    """Element by element."""
    where = f["where"]

    def square(x: Any) -> Any:
        return _array(x) ** 2

    def rounded(x: Any, decimals: int = 0) -> Any:
        return f["rint"](_array(x) * 10.0**decimals) / 10.0**decimals if decimals else f["rint"](x)

    def toward_0(x: Any) -> Any:
        return where(_array(x) < 0, f["ceil"](x), f["floor"](x))

    def truth(x: Any) -> Any:
        return _array(x) != 0

    def close(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8) -> Any:
        return f["abs"](_array(a) - _array(b)) <= atol + rtol * f["abs"](b)

    return {
        "round": rounded,
        "around": rounded,
        "trunc": toward_0,
        "fix": toward_0,
        "degrees": lambda x: _array(x) * (180 / pi),
        "rad2deg": lambda x: _array(x) * (180 / pi),
        "radians": lambda x: _array(x) * (pi / 180),
        "deg2rad": lambda x: _array(x) * (pi / 180),
        "hypot": lambda x, y: f["sqrt"](square(x) + square(y)),
        "log1p": lambda x: f["log"](1 + _array(x)),
        "expm1": lambda x: f["exp"](x) - 1,
        "exp2": lambda x: 2.0 ** _array(x),
        "cbrt": lambda x: f["sign"](x) * f["abs"](x) ** (1 / 3),
        "arcsinh": lambda x: f["sign"](x) * f["log"](f["abs"](x) + f["sqrt"](square(x) + 1)),
        "arccosh": lambda x: f["log"](_array(x) + f["sqrt"](square(x) - 1)),
        "reciprocal": lambda x: 1 / _array(x),
        "fmax": f["maximum"],
        "fmin": f["minimum"],
        "fabs": f["abs"],
        "nan_to_num": lambda x: x,
        "heaviside": lambda x, at_0: where(_array(x) == 0, at_0, _array(x) > 0),
        "logical_not": lambda x: where(x, 0, 1),
        "logical_and": lambda x, y: where(x, truth(y), 0),
        "logical_or": lambda x, y: where(x, 1, truth(y)),
        "logical_xor": lambda x, y: where(truth(x), where(y, 0, 1), truth(y)),
        "isclose": close,
        "interp": lambda x, xp, fp: np.frompyfunc(lambda v: _interpolated(v, xp, fp), 1, 1)(x),
        "polyval": lambda p, x: reduce(lambda total, c: total * _array(x) + c, p, 0),
        "select": lambda conditions, choices, default=0: reduce(
            lambda rest, pair: where(pair[0], pair[1], rest),
            reversed(list(zip(conditions, choices, strict=True))),
            default,
        ),
    }


def _interpolated(x: Any, places: Sequence[float], values: Sequence[float]) -> Any:
    """Linear between places, in increasing order, and constant beyond them."""
    pairs = list(zip(map(float, places), map(float, values), strict=True))
    result: Any = pairs[-1][1]
    for (x0, y0), (x1, y1) in zip(reversed(pairs[:-1]), reversed(pairs[1:]), strict=True):
        result = x.call("select", x < x1, (y1 - y0) / (x1 - x0) * (x - x0) + y0, result)
    return x.call("select", x < pairs[0][0], pairs[0][1], result)


def _of_vectors(f: Mapping[str, Function]) -> dict[str, Function]:
    """Of all entries together."""

    def extreme(name: str) -> Function:
        return lambda x: reduce(f[name], _items(x))

    def place(sign: float) -> Function:
        def first_largest(x: Any) -> Any:
            best, found = None, 0.0
            for k, item in enumerate(sign * v for v in _items(x)):
                if best is None:
                    best = item
                    continue
                found = f["where"](item > best, float(k), found)
                best = f["maximum"](best, item)
            return found

        return first_largest

    def variance(x: Any) -> Any:
        items = _array(x)
        return np.mean((items - np.mean(items)) ** 2)

    return {
        **dict.fromkeys(("max", "amax"), extreme("maximum")),
        **dict.fromkeys(("min", "amin"), extreme("minimum")),
        "ptp": lambda x: extreme("maximum")(x) - extreme("minimum")(x),
        "argmax": place(1.0),
        "argmin": place(-1.0),
        "any": lambda x: reduce(f["maximum"], _truths(x)),
        "all": lambda x: reduce(f["minimum"], _truths(x)),
        "count_nonzero": lambda x: sum(f["where"](truth, 1.0, 0.0) for truth in _truths(x)),
        "var": variance,
        "std": lambda x: f["sqrt"](variance(x)),
    }


def _of_few(f: Mapping[str, Function]) -> dict[str, Function]:
    """Of entries together, and of how large they are beside each other."""

    def ordered(x: Any) -> Any:
        """By exchanging neighbours, as often as may be needed."""
        items = _items(x)
        if np.ndim(x) != 1 or len(items) > MOST_SORTED:
            raise UntraceableError(f"sorts more than {MOST_SORTED} numbers")
        for last in range(len(items) - 1, 0, -1):
            for k in range(last):
                items[k : k + 2] = f["minimum"](*items[k : k + 2]), f["maximum"](*items[k : k + 2])
        return _array(items)

    def middle(x: Any) -> Any:
        items = ordered(x)
        return np.mean(items[(len(items) - 1) // 2 : len(items) // 2 + 1])

    def average(x: Any, weights: Any = None) -> Any:
        return np.mean(_array(x)) if weights is None else np.dot(_array(x), weights) / np.sum(weights)

    return {"sort": ordered, "median": middle, "average": average}


def _truths(x: Any) -> Iterator[Any]:
    return (item != 0 for item in _items(x))
