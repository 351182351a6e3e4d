"""Values of the language: quantities with units, texts, named records; and the arithmetic on them.

A `Value` is a number, vector or matrix with a dimension `power`: 1 for a time (s), -1 for a frequency (Hz),
0 for a plain number.  Inside functions of x or t its entries are `Expression`s; there everything is plain (t
in seconds), and a quantity with a unit stands for its number of seconds or Hz.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from spikec.errors import Diagnostic, Span
from spikec.expressions import FUNCTIONS, Call, Expression, Number
from spikec.records import dataclass

TIME, PLAIN, FREQUENCY = 1, 0, -1

P = ParamSpec("P")
T = TypeVar("T")

UNITS: dict[str, tuple[float, int]] = {
    "": (1.0, PLAIN),
    "s": (1.0, TIME),
    "ms": (1e-3, TIME),
    "us": (1e-6, TIME),
    "µs": (1e-6, TIME),
    "μs": (1e-6, TIME),
    "Hz": (1.0, FREQUENCY),
    "kHz": (1e3, FREQUENCY),
}


class Mistake(Exception):  # noqa: N818 - one of several that a `ModelError` holds
    """One mistake of the user, on its way to the list of diagnostics; `others` were found with it."""

    others: tuple[Mistake, ...] = ()

    def __init__(
        self, message: str, span: Span | None, hint: str = "", notes: tuple[tuple[str, Span], ...] = ()
    ) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(message, span, hint, notes)


class AlreadyReported(Exception):  # noqa: N818 - no error: it is in the list already
    """What is asked for depends on something whose mistake is in the list already."""


class Mistakes:
    """Mistakes found side by side, to be raised as one."""

    def __init__(self) -> None:
        self.found: list[Mistake] = []
        self.reported = False

    @property
    def any(self) -> bool:
        return bool(self.found) or self.reported

    def attempt(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What `action` gives; None where it raises a mistake, which is kept."""
        try:
            return action(*args, **kwargs)
        except Mistake as mistake:
            self.add(mistake)
        except AlreadyReported:
            self.reported = True
        return None

    def add(self, mistake: Mistake) -> None:
        self.found.append(mistake)

    def finish(self) -> None:
        """Raise one `Mistake` that holds all that were kept, if there are any."""
        if self.found:
            first, *rest = self.found
            first.others += tuple(rest)
            raise first
        if self.reported:
            raise AlreadyReported


def together(actions: Iterable[Callable[[], T]]) -> list[T]:
    """What the actions give.  All are tried: raises one `Mistake` that holds those of all of them."""
    made: list[T] = []
    found: Mistakes | None = None  # few have any, and each value of a formula is made here
    for action in actions:
        try:
            made.append(action())
        except Mistake as mistake:
            found = found or Mistakes()
            found.add(mistake)
        except AlreadyReported:
            found = found or Mistakes()
            found.reported = True
    if found:
        found.finish()
    return made


@dataclass(frozen=True, eq=False)
class Value:
    """`data` is a float, an Expression, or an array of either (float64, or object for expressions)."""

    data: Any
    power: int = PLAIN

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape if isinstance(self.data, np.ndarray) else ()

    @property
    def symbolic(self) -> bool:
        if isinstance(self.data, np.ndarray):
            return bool(self.data.dtype == object)
        return isinstance(self.data, Expression)

    @property
    def array(self) -> NDArray[np.float64]:
        return np.asarray(self.data, dtype=np.float64)

    def describe(self) -> str:
        if self.symbolic:
            return "a function of x or t"
        what = f"of shape {_times(self.shape)}" if self.shape else f"{self.data:g}"
        return (
            {0: f"the plain number {what}", 1: f"the time {what} s", -1: f"the frequency {what} Hz"}.get(
                self.power, f"{what} s^{self.power}"
            )
            if not self.shape
            else f"an array {what}"
        )


@dataclass(frozen=True)
class Text:
    value: str
    span: Span


@dataclass(frozen=True, eq=False)
class Entry:
    """One evaluated argument of a record; `span` is that of its value, `whole` includes its name."""

    value: Any
    span: Span
    name: str | None = None
    key: Any = None
    whole: Span | None = None


@dataclass(frozen=True, eq=False)
class Record:
    """A name of the vocabulary with its arguments: `lif(tau_rc=20ms)`, `uniform(-1, 1)`."""

    name: str
    entries: tuple[Entry, ...]
    span: Span


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def dimension_name(power: int) -> str:
    return {TIME: "a time", PLAIN: "a plain number", FREQUENCY: "a frequency"}.get(power, f"s^{power}")


def literal(value: float, unit: str, span: Span) -> Value:
    """The quantity of a literal.  Raises `Mistake` for a unit that is not known."""
    if unit not in UNITS:
        known = [u for u in UNITS if u.isascii() and u]
        near = [u for u in known if u.lower() == unit.lower()] or get_close_matches(unit, known, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise Mistake(f"unknown unit {unit!r}", span, f"{meant}units are {', '.join(known)}")
    factor, power = UNITS[unit]
    if factor < 1.0:
        # 5ms is 5 / 1000, correctly rounded; 5 * 0.001 is not always.
        return finite(Value(value / round(1 / factor), power), span)
    return finite(Value(value * factor, power), span)


def finite(value: Value, span: Span) -> Value:
    """`value`, if every number in it is finite; raises `Mistake` otherwise."""
    if isinstance(value.data, float) and math.isfinite(value.data):
        return value
    if not value.symbolic and not np.isfinite(value.data).all():
        raise Mistake("the value is not a finite number", span, "check for a division by zero or an overflow")
    return value


# --------------------------------------------------------------------------------------------- arithmetic


def _quotient(a: float, b: float) -> float:
    return a / b if b else math.nan


def _remainder(a: float, b: float) -> float:
    return a % b if b else math.nan


# Plain numbers take the short way: Python rounds these as NumPy does.
_QUICK: dict[str, Callable[..., float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _quotient,
    "%": _remainder,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "neg": operator.neg,
    "floor": math.floor,
    "select": lambda condition, yes, no: yes if condition else no,
}


def apply(function: str, arguments: list[Value], span: Span) -> Value:
    """A function of `expressions.FUNCTIONS`, entry by entry; checks dimensions and shapes."""
    quick = _QUICK.get(function)
    if quick and all(type(a.data) is float and a.power == PLAIN for a in arguments):
        result = quick(*(a.data for a in arguments))
        if math.isfinite(result):
            return Value(float(result))
    if any(a.symbolic for a in arguments):
        return _apply_symbolic(function, arguments, span)
    power = _power(function, arguments, span)
    data: Any
    with np.errstate(all="ignore"):
        try:
            data = FUNCTIONS[function].numpy(*(a.data for a in arguments))
        except ValueError:
            raise _shapes_differ(function, arguments, span) from None
        except OverflowError:
            data = np.float64(np.inf)
    data = np.asarray(data, dtype=np.float64)
    return finite(Value(float(data) if data.ndim == 0 else data, power), span)


def _apply_symbolic(function: str, arguments: list[Value], span: Span) -> Value:
    try:
        arrays = np.broadcast_arrays(*(np.asarray(a.data, dtype=object) for a in arguments))
    except ValueError:
        raise _shapes_differ(function, arguments, span) from None
    out = np.empty(arrays[0].shape, dtype=object)
    for index in np.ndindex(out.shape):
        out[index] = made = call(function, *(a[index] for a in arrays))
        if isinstance(made, Call) and all(isinstance(a, Number) for a in made.arguments):
            raise Mistake(
                "the value is not a finite number", span, "check for a division by zero or an overflow"
            )
    return Value(out if out.ndim else out[()])


def expression(item: Any) -> Expression:
    return item if isinstance(item, Expression) else Number(float(item))


def call(function: str, *arguments: Any) -> Expression:
    """A call, folded where all arguments are numbers and the result is finite."""
    parts = tuple(map(expression, arguments))
    numbers = [p.value for p in parts if isinstance(p, Number)]
    if len(numbers) == len(parts):
        with np.errstate(all="ignore"):
            result = float(FUNCTIONS[function].numpy(*map(np.float64, numbers)))
        if np.isfinite(result):
            return Number(result)
    return Call(function, parts)


def _shapes_differ(function: str, arguments: list[Value], span: Span) -> Mistake:
    shapes = " and ".join(_times(a.shape) or "a number" for a in arguments)
    return Mistake(f"{function!r} cannot combine shapes {shapes}", span, "give both sides the same shape")


_SAME_POWER = {"+", "-", "%", "min", "max"}
_COMPARISONS = {"<", "<=", ">", ">=", "==", "!="}
_KEEPING = {"neg", "abs", "floor", "ceil", "round"}


def _power(function: str, arguments: list[Value], span: Span) -> int:
    powers = [a.power for a in arguments]
    if not any(powers):
        return PLAIN
    rule = _POWER_RULES.get(function)
    if rule is not None:
        return rule(powers, arguments, span)
    if function in _SAME_POWER | _COMPARISONS:
        return _same(function, arguments, span)
    if function in _KEEPING:
        return powers[0]
    if function == "sign":
        return PLAIN
    raise Mistake(
        f"{function} takes plain numbers, not {arguments[0].describe()}",
        span,
        "divide by a quantity of the same dimension, such as 1s or 1Hz",
    )


def _same(function: str, arguments: list[Value], span: Span) -> int:
    first, second = arguments
    if first.power != second.power:
        raise Mistake(
            f"{function!r} cannot combine {first.describe()} with {second.describe()}",
            span,
            "give both sides the same unit, such as 5ms",
        )
    return PLAIN if function in _COMPARISONS else first.power


def _raise(powers: list[int], arguments: list[Value], span: Span) -> int:
    exponent = arguments[1]
    if exponent.power or exponent.shape or exponent.data != int(exponent.data):
        raise Mistake(
            "a quantity with a unit can only be raised to a whole number", span, "write x*x for x^2"
        )
    return powers[0] * int(exponent.data)


def _root(powers: list[int], _: list[Value], span: Span) -> int:
    if powers[0] % 2:
        raise Mistake(
            "the square root of a time or a frequency has no unit", span, "divide by 1s or 1Hz first"
        )
    return powers[0] // 2


def _select(powers: list[int], arguments: list[Value], span: Span) -> int:
    if powers[0]:
        raise Mistake("the condition of select is a plain number", span, "compare: select(a > 1ms, b, c)")
    return _same("select", arguments[1:], span)


_POWER_RULES: dict[str, Callable[[list[int], list[Value], Span], int]] = {
    "*": lambda powers, _, __: sum(powers),
    "/": lambda powers, _, __: powers[0] - powers[1],
    "^": _raise,
    "sqrt": _root,
    "select": _select,
    "atan2": lambda _, arguments, span: _same("atan2", arguments, span) * 0,
}
