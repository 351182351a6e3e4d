"""Symbols: stand for numbers while a Python function runs, and remember what was computed with them.

Arrays of symbols are NumPy arrays of objects; NumPy's functions call the methods below.  A comparison that a
function branches on asks `Paths`, which runs the function once for every way that it can take.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from spikec.expressions import Call, Expression, Number, evaluate
from spikec.tracing import limits
from spikec.tracing.bounds import whole, whole_bounds
from spikec.tracing.limits import Extent, UntraceableError

# A function that branches more often is not written as an expression.
MOST_PATHS = 32
# What may be no finite number for finite ones: the lines of these are remembered.
NOT_EVERYWHERE = frozenset(["/", "%", "^", "*", "sqrt", "log", "exp", "asin", "acos", "sinh", "cosh"])


# Modules between the user's code and a symbol.
PASSED = ("spikec.tracing.", "numpy.")


class Symbol:
    """A number of which only the expression is known."""

    __slots__ = ("expression", "paths")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, expression: Expression, paths: Paths) -> None:
        self.expression, self.paths = expression, paths

    def call(self, function: str, *arguments: Any) -> Symbol:
        """`function` of `arguments`, symbols or numbers."""
        if any(isinstance(a, SmallNumber) for a in arguments):
            _check_small(function, arguments)
        made = Call(function, tuple(expression_of(a) for a in arguments))
        self.paths.measure(made)
        if function in NOT_EVERYWHERE:
            self.paths.note(made)
        return Symbol(made, self.paths)

    def __bool__(self) -> bool:
        return self.paths.decide(self.expression)

    def __float__(self) -> float:
        raise UntraceableError("uses a number that it computes as an index, a count or text")

    __int__ = __float__

    def __index__(self) -> int:
        """A whole number between known bounds: which of them, a branch for each."""
        low, high = whole_bounds(self.expression)
        if not high - low < MOST_PATHS:
            raise UntraceableError("uses a number that it computes as an index, a count or text")
        for k in range(int(low), int(high)):
            if self.paths.decide(Call("==", (self.expression, Number(float(k))))):
                return k
        self.paths.known.append((self.expression, Number(high)))
        return int(high)

    def __pos__(self) -> Symbol:
        return self

    def __floordiv__(self, other: Any) -> Any:
        return round((self - self % other) / other)

    def __rfloordiv__(self, other: Any) -> Any:
        return round((other - other % self) / self)

    def __round__(self, digits: int | None = None) -> Symbol:
        if digits is not None:
            raise UntraceableError("rounds to decimals")
        return self.call("round", self)

    def __and__(self, other: Any) -> Symbol:
        return self.call("select", self._truth(), other, 0.0)

    def __or__(self, other: Any) -> Symbol:
        return self.call("select", self._truth(), 1.0, other)

    def __invert__(self) -> Symbol:
        return self.call("select", self._truth(), 0.0, 1.0)

    def _truth(self) -> Symbol:
        """Itself, where it is a comparison or made of some."""
        if not _is_truth(self.expression):
            raise UntraceableError("takes bits of a number")
        return self

    def conjugate(self) -> Symbol:
        return self

    def __getattr__(self, name: str) -> Any:
        """NumPy's functions on objects are methods of that name."""
        function = _METHODS.get(name)
        if function is None:  # NumPy asks for attributes that need not exist
            raise AttributeError(f"no function {name}")
        return lambda *others: self.call(function, self, *others)


class SmallNumber(Symbol):
    """A truth value or small integer of an array: NumPy computes with it in its type, which may overflow."""

    __slots__ = ()


def plain(value: Symbol) -> Symbol:
    """As Python's own number, which does not overflow."""
    return Symbol(value.expression, value.paths) if isinstance(value, SmallNumber) else value


def _check_small(function: str, arguments: Sequence[Any]) -> None:
    """Raises `UntraceableError` where NumPy may compute in the type of a small number, not in float64."""
    if function != "/" and function not in _COMPARISONS.values() and not any(map(_is_float, arguments)):
        raise UntraceableError("computes with small integers of an array, which may overflow")


def _is_float(value: Any) -> bool:
    return not whole(value.expression) if isinstance(value, Symbol) else isinstance(value, float)


def expression_of(value: Any) -> Expression:
    """The expression of a symbol or of a number."""
    if isinstance(value, Symbol):
        return value.expression
    if isinstance(value, np.ndarray) and value.size == 1:
        return expression_of(value.item())
    if isinstance(value, (bool, int, float, np.number, np.bool_)):
        return Number(float(value))
    raise UntraceableError(f"gives what is no number: {type(value).__name__}")


def _is_truth(expression: Expression) -> bool:
    match expression:
        case Number(value):
            return value in (0.0, 1.0)
        case Call("select", (_, yes, no)):
            return _is_truth(yes) and _is_truth(no)
        case Call(function):
            return function in _COMPARISONS.values()
    return False


def _binary(function: str, reverse: bool) -> Callable[[Symbol, Any], Any]:
    def method(self: Symbol, other: Any) -> Any:
        if isinstance(other, np.ndarray) and other.ndim:
            return NotImplemented
        return self.call(function, other, self) if reverse else self.call(function, self, other)

    return method


def _raised(self: Symbol, base: Any) -> Any:
    """base ^ self, of a number above 0: exp(self log(base))."""
    if isinstance(base, (int, float, np.number)) and base > 0:
        return self.call("exp", self.call("*", self, math.log(base)))
    return _binary("^", True)(self, base)


def _unary(function: str) -> Callable[[Symbol], Symbol]:
    return lambda self: self.call(function, self)


_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "^", "mod": "%"}
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
for _name, _function in _OPERATORS.items():
    setattr(Symbol, f"__{_name}__", _binary(_function, False))
    setattr(Symbol, f"__r{_name}__", _binary(_function, True))
Symbol.__rpow__ = _raised  # type: ignore[attr-defined]
for _name, _function in _COMPARISONS.items():
    setattr(Symbol, f"__{_name}__", _binary(_function, False))
for _name, _function in {"neg": "neg", "abs": "abs", "floor": "floor", "ceil": "ceil"}.items():
    setattr(Symbol, f"__{_name}__", _unary(_function))

# NumPy's names of functions of objects, and ours.
_METHODS = {
    name: name
    for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "floor", "ceil", "sign")
} | {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "rint": "round"}


class Paths:
    """Runs a function on every path that its branches allow, and joins the results by `select`."""

    def __init__(self) -> None:
        self.count = 0
        self.taken: list[bool] = []
        self.conditions: list[Expression] = []
        self.places: dict[int, tuple[Expression, str, int]] = {}
        self.extents: dict[int, tuple[Expression, Extent]] = {}
        # What expressions are on the path that is being run, because it asked whether they are that.
        self.known: list[tuple[Expression, Number]] = []

    def measure(self, made: Call) -> None:
        """Raises `UntraceableError` where an expression, or all that was made, is too large."""
        size, depth = self._extent(made)
        if size > limits.MOST_NODES:
            raise UntraceableError(limits.TOO_LARGE)
        if depth > limits.MOST_NESTED:
            raise UntraceableError(limits.TOO_DEEP)
        if len(self.extents) > limits.MOST_MADE:
            raise UntraceableError(limits.TOO_MUCH)

    def _extent(self, expression: Expression) -> Extent:
        """Of every call once, however often it is used."""
        if not isinstance(expression, Call):
            return 1, 0
        if id(expression) not in self.extents:
            found = limits.extent(expression.function, map(self._extent, expression.arguments))
            self.extents[id(expression)] = expression, found
        return self.extents[id(expression)][1]

    def note(self, made: Expression) -> None:
        """Remember the line of the user's code that made an expression."""
        frame = sys._getframe(2)
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(PASSED):
            frame = frame.f_back
        self.places[id(made)] = made, frame.f_code.co_filename, frame.f_lineno

    def decide(self, condition: Expression) -> bool:
        """What a branch does on the path that is being run."""
        if self.known:
            condition = self._told(condition)
        if isinstance(condition, Number):
            return condition.value != 0
        place = len(self.conditions)
        if condition in self.conditions:  # asked before: the answer is the same
            return self.taken[self.conditions.index(condition)]
        if place >= MOST_PATHS:
            raise UntraceableError(f"branches more than {MOST_PATHS} times")
        self.conditions.append(condition)
        if place == len(self.taken):
            self.taken.append(True)
        match condition:
            case Call("==", (told, Number() as value)) if self.taken[place]:
                self.known.append((told, value))
        return self.taken[place]

    def _told(self, expression: Expression) -> Expression:
        """An expression with what is known of its parts."""
        for told, value in self.known:
            if expression == told:
                return value
        if not isinstance(expression, Call):
            return expression
        arguments = tuple(map(self._told, expression.arguments))
        made = Call(expression.function, arguments)
        plain = arguments != expression.arguments and all(isinstance(a, Number) for a in arguments)
        return Number(float(evaluate(made))) if plain else made

    def results(self, run: Callable[[], tuple[Expression, ...]]) -> tuple[Expression, ...]:
        """What `run` gives, for all paths."""
        self.count = 0
        self.extents.clear()
        with limits.bounded(limits.MOST_INSTRUCTIONS):
            return self._explore(run, [])

    def _explore(
        self, run: Callable[[], tuple[Expression, ...]], prefix: list[bool]
    ) -> tuple[Expression, ...]:
        self.count += 1
        if self.count > MOST_PATHS:
            raise UntraceableError(f"branches more than {MOST_PATHS} times")
        self.taken, self.conditions, self.known = list(prefix), [], []
        result = run()
        taken, conditions = self.taken[: len(self.conditions)], self.conditions
        for k in range(len(conditions) - 1, len(prefix) - 1, -1):
            other = self._explore(run, [*taken[:k], False])
            result = tuple(
                yes if yes == no else Call("select", (conditions[k], yes, no))
                for yes, no in zip(result, other, strict=True)
            )
        return result
