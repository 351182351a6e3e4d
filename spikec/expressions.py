"""Scalar expressions: functions of time and of represented values.

One small tree serves every stage: the checker types it, the builder evaluates it with NumPy on
evaluation points, the code generator prints it as PyTensor.  There is no path from an expression to
executing Python: a tree holds numbers, the time `t`, components `x[i]`, and the functions listed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from operator import eq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikec.records import dataclass


class Expression:
    """Base of the nodes below; all are frozen, hashable and compared by value."""


@dataclass(frozen=True)
class Number(Expression):
    value: float


@dataclass(frozen=True)
class Time(Expression):
    """Simulated time `t` in seconds."""


@dataclass(frozen=True)
class Component(Expression):
    """Component `x[index]` of the argument."""

    index: int


class Table:
    """Numbers of which an expression reads those of a row that it computes: rows x columns, equal where all
    of them are.  `text`: how the language writes it.
    """

    def __init__(self, samples: NDArray[np.float64], text: str = "table") -> None:
        self.samples = np.ascontiguousarray(samples, np.float64)
        self.text = text
        self._digest = sha256(repr(self.samples.shape).encode() + self.samples.tobytes()).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    @property
    def number(self) -> int:
        """A number of 48 bits that tables which differ do not share."""
        return int.from_bytes(self._digest[:6], "little")


@dataclass(frozen=True)
class Column(Expression):
    """A column of a table: the first argument of the function `[]`, whose second one says which row."""

    table: Table
    index: int

    @property
    def samples(self) -> NDArray[np.float64]:
        return self.table.samples[:, self.index]


@dataclass(frozen=True)
class Call(Expression):
    """A function of `FUNCTIONS` applied to its arguments (operators are functions too)."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Function:
    """A scalar function: how many arguments, how NumPy evaluates it, how PyTensor writes it.

    `pytensor` is a format with one place per argument, or the name of a function of `pytensor.tensor`.
    """

    arity: int
    numpy: Callable[..., NDArray[np.float64]]
    pytensor: str


def _select(condition: Any, yes: Any, no: Any) -> NDArray[np.float64]:
    return np.asarray(np.where(np.asarray(condition) != 0, yes, no), dtype=np.float64)


def _truth(compare: Callable[..., object]) -> Callable[..., NDArray[np.float64]]:
    return lambda a, b: np.asarray(compare(a, b), dtype=np.float64)


ENTRY = "[]"

# Truth is 1 or 0, and whole numbers are not taken for float32: hence the casts.
FUNCTIONS: dict[str, Function] = {
    "+": Function(2, np.add, "({} + {})"),
    "-": Function(2, np.subtract, "({} - {})"),
    "*": Function(2, np.multiply, "({} * {})"),
    "/": Function(2, np.divide, "({} / {})"),
    "^": Function(2, np.power, "({} ** {})"),
    "%": Function(2, np.mod, "({} % {})"),
    "neg": Function(1, np.negative, "(-{})"),
    "<": Function(2, _truth(np.less), "pt.cast(pt.lt({}, {}), 'float64')"),
    "<=": Function(2, _truth(np.less_equal), "pt.cast(pt.le({}, {}), 'float64')"),
    ">": Function(2, _truth(np.greater), "pt.cast(pt.gt({}, {}), 'float64')"),
    ">=": Function(2, _truth(np.greater_equal), "pt.cast(pt.ge({}, {}), 'float64')"),
    "==": Function(2, _truth(np.equal), "pt.cast(pt.eq({}, {}), 'float64')"),
    "!=": Function(2, _truth(np.not_equal), "pt.cast(pt.neq({}, {}), 'float64')"),
    "select": Function(3, _select, "pt.switch({}, pt.cast({}, 'float64'), pt.cast({}, 'float64'))"),
    "min": Function(2, np.minimum, "pt.minimum({}, {})"),
    "max": Function(2, np.maximum, "pt.maximum({}, {})"),
    "atan2": Function(2, np.arctan2, "pt.arctan2({}, {})"),
    "abs": Function(1, np.abs, "abs({})"),
    "sign": Function(1, np.sign, "pt.sign({})"),
    "sqrt": Function(1, np.sqrt, "pt.sqrt({})"),
    "exp": Function(1, np.exp, "pt.exp({})"),
    "log": Function(1, np.log, "pt.log({})"),
    "sin": Function(1, np.sin, "pt.sin({})"),
    "cos": Function(1, np.cos, "pt.cos({})"),
    "tan": Function(1, np.tan, "pt.tan({})"),
    "asin": Function(1, np.arcsin, "pt.arcsin({})"),
    "acos": Function(1, np.arccos, "pt.arccos({})"),
    "atan": Function(1, np.arctan, "pt.arctan({})"),
    "sinh": Function(1, np.sinh, "pt.sinh({})"),
    "cosh": Function(1, np.cosh, "pt.cosh({})"),
    "tanh": Function(1, np.tanh, "pt.tanh({})"),
    "floor": Function(1, np.floor, "pt.floor({})"),
    "ceil": Function(1, np.ceil, "pt.ceil({})"),
    "round": Function(1, np.round, "pt.round({}, mode='half_to_even')"),
}
# An entry of a `Column`, which a program writes as its place in `a.tables`, and a row that it has.  Where the
# row is no number, as of what grows without bound, the cast gives one below 0: `a.tables` begins with a NaN.
_CALLED = FUNCTIONS | {
    ENTRY: Function(
        2,
        lambda column, row: column[np.asarray(row).astype(np.int64)],
        "a.tables[pt.cast({} + {}, 'int64').clip(0, a.tables.size - 1)]",
    )
}


def evaluate(
    expression: Expression, x: NDArray[np.float64] | None = None, t: NDArray[np.float64] | float = 0.0
) -> NDArray[np.float64]:
    """Value of `expression` for every row of `x` (points x dimensions) or every time in `t` (seconds)."""
    match expression:
        case Number(value):
            return np.float64(value)  # type: ignore[return-value]
        case Time():
            return np.asarray(t, dtype=np.float64)
        case Component(index):
            assert x is not None
            return x[..., index]
        case Column():
            return expression.samples
        case Call(function, arguments):
            with np.errstate(all="ignore"):
                return _CALLED[function].numpy(*(evaluate(a, x, t) for a in arguments))
    raise TypeError(expression)


def evaluate_all(expressions: tuple[Expression, ...], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (points x functions) of several expressions on evaluation points `x` (points x dimensions)."""
    columns = [np.broadcast_to(evaluate(e, x), x.shape[:1]) for e in expressions]
    return np.stack(columns, axis=-1).astype(np.float64)


def to_pytensor(expression: Expression, component: Callable[[int], str]) -> str:
    """Source of `expression` as PyTensor; `component(i)` says how x[i] is written."""
    match expression:
        case Number(value):
            return repr(value)
        case Time():
            return "t"
        case Component(index):
            return component(index)
        case Call(_, arguments):
            return pytensor_call(expression, [to_pytensor(a, component) for a in arguments])
    raise TypeError(expression)


_INFIX = {"+": 3, "-": 3, "*": 4, "/": 4, "%": 4, "^": 6} | dict.fromkeys(
    ("<", "<=", ">", ">=", "==", "!="), 2
)
_CALL, _NEGATION = 7, 5


def to_text(expression: Expression) -> str:
    """`expression` as the language writes it."""
    return _text(expression)[0]


def _text(expression: Expression) -> tuple[str, int]:
    """Text, and how strongly it binds."""
    match expression:
        case Number(value):
            if value < 0:
                return f"-{_number(-value)}", _NEGATION
            return _number(value), _CALL
        case Time():
            return "t", _CALL
        case Component(index):
            return f"x[{index}]", _CALL
        case Call("[]", (Column(table, column), row)):
            one = table.samples.shape[1] == 1
            return f"{table.text}[{_text(row)[0]}]" + f"[{column}]" * (not one), _CALL
        case Call("neg", (argument,)):
            return f"-{_bound(argument, _NEGATION)}", _NEGATION
        case Call(function, (left, right)) if function in _INFIX:
            binds = _INFIX[function]
            # Powers are read from the right, all others from the left; comparisons are not joined.
            first, second = (binds + 1, _NEGATION) if function == "^" else (binds + (binds == 2), binds + 1)
            return f"{_bound(left, first)} {function} {_bound(right, second)}", binds
        case Call(function, arguments):
            return f"{function}({', '.join(_text(a)[0] for a in arguments)})", _CALL
    raise TypeError(expression)


def _bound(expression: Expression, least: int) -> str:
    text, binds = _text(expression)
    return text if binds >= least else f"({text})"


def _number(value: float) -> str:
    if value == np.pi:
        return "pi"
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def pytensor_call(call: Call, arguments: list[str]) -> str:
    """Source of a call whose arguments are written already."""
    return _CALLED[call.function].pytensor.format(*arguments)


def uses_time(expression: Expression) -> bool:
    """Whether `t` occurs in `expression`."""
    match expression:
        case Time():
            return True
        case Call(_, arguments):
            return any(uses_time(a) for a in arguments)
    return False


def columns(expression: Expression) -> Iterator[Column]:
    """Every column of a table in `expression`."""
    match expression:
        case Column():
            yield expression
        case Call(_, arguments):
            for argument in arguments:
                yield from columns(argument)


def row_of(expressions: Sequence[Expression]) -> tuple[Table, Expression] | None:
    """The table and the row, where expressions are all entries of one row of several columns."""
    match expressions[0] if expressions else None:
        case Call("[]", (Column(table, 0), row)) if len(expressions) == table.samples.shape[1] > 1:
            whole = (Call(ENTRY, (Column(table, k), row)) for k in range(len(expressions)))
            return (table, row) if all(map(eq, expressions, whole)) else None
    return None


def components(expression: Expression) -> set[int]:
    """Indices `i` of every `x[i]` in `expression`."""
    match expression:
        case Component(index):
            return {index}
        case Call(_, arguments):
            return set().union(*(components(a) for a in arguments))
    return set()


def renumbered(expression: Expression, places: Sequence[int] | NDArray[np.int64]) -> Expression:
    """`expression` with x[places[i]] in place of x[i]."""
    match expression:
        case Component(index):
            return Component(int(places[index]))
        case Call(function, arguments):
            return Call(function, tuple(renumbered(a, places) for a in arguments))
    return expression


def with_tables(expression: Expression, text: Callable[[Table], str]) -> Expression:
    """`expression` with tables that are written as `text` says."""
    match expression:
        case Column(table, index):
            return Column(Table(table.samples, text(table)), index)
        case Call(function, arguments):
            return Call(function, tuple(with_tables(a, text) for a in arguments))
    return expression


@lru_cache(maxsize=64)
def identity(dims: int) -> tuple[Expression, ...]:
    """The expressions `x[0], x[1], ...` of the identity function."""
    return tuple(Component(i) for i in range(dims))
