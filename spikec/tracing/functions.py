"""Python functions as expressions, where they are simple and do nothing else.

A function that `purity` finds pure is run once with symbols in place of numbers: what it gives are the
expressions.  It is then compared with them on sampled points, and has to be finite everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import CellType, FunctionType
from typing import Any

import numpy as np

from spikec.expressions import Call, Component, Expression, Time, evaluate
from spikec.records import dataclass
from spikec.tracing import known, reasons
from spikec.tracing.bounds import finite
from spikec.tracing.purity import Captured, captured
from spikec.tracing.reasons import Reason
from spikec.tracing.symbols import Paths, Symbol, UntraceableError, expression_of

# A program grows with the functions of a model: longer ones run as they are.
MOST_NODES = 400
SAMPLES, TOLERANCE = 48, 1e-12


@dataclass(frozen=True, eq=False)
class Traced:
    """A function as expressions, one for each number that it gives; with what it captured at the time."""

    expressions: tuple[Expression, ...]
    captured: tuple[Captured, ...]


class _NoExpressionError(Exception):
    """A function is no expression; `reason` finds why, where somebody asks."""

    def __init__(self, reason: Callable[[], Reason | None]) -> None:
        super().__init__()
        self.reason = reason


def trace(function: Callable[..., Any], time: bool, arguments: int | None, size: int) -> Traced | None:
    """The expressions of function(t), function(t, x) or function(x), or None where there are none.

    `time`: whether t is passed; `arguments`: length of x, None where there is no x; `size`: of the result.
    """
    try:
        return _traced(function, time, arguments, size)
    except _NoExpressionError:
        return None


def why(function: Callable[..., Any], time: bool, arguments: int | None, size: int) -> Reason | None:
    """Why `trace` gives nothing; None where it gives expressions."""
    try:
        _traced(function, time, arguments, size)
    except _NoExpressionError as untraced:
        return untraced.reason() or Reason("does more than compute")
    return None


def _traced(given: Callable[..., Any], time: bool, arguments: int | None, size: int) -> Traced:
    """Raises `_NoExpressionError`."""
    function = known.as_function(given)
    if not isinstance(function, FunctionType):
        raise _NoExpressionError(lambda: reasons.uncallable(given))
    found = captured(function, known.NAMES)
    if found is None:
        raise _NoExpressionError(lambda: reasons.impure(function))
    paths = Paths()
    passed: list[Any] = [Symbol(Time(), paths)] if time else []

    def run() -> tuple[Expression, ...]:
        x = [] if arguments is None else [_vector(arguments, paths)]
        return _outputs(traced(*passed, *x), size)

    try:
        traced = _with(function, known.SYMBOLIC)
        result = paths.results(run)
    except (
        Exception
    ) as error:  # a user's function may raise anything on symbols: it then runs as it is, in Python
        raise _NoExpressionError(partial(reasons.raised, error, function)) from None
    if (count := sum(map(size_of, result))) > MOST_NODES:
        raise _NoExpressionError(lambda: Reason(f"has {count} operations; up to {MOST_NODES} are compiled"))
    if not all(map(finite, result)):
        raise _NoExpressionError(lambda: _undefined(result, paths))
    if not _agree(_with(function, {}), result, time, arguments):
        raise _NoExpressionError(lambda: Reason("gives something else, or fails, for some numbers"))
    return Traced(result, tuple(found))


def _undefined(result: tuple[Expression, ...], paths: Paths) -> Reason:
    """Which part of a result may be no finite number, and its line."""
    text, part = reasons.undefined(next(e for e in result if not finite(e)))
    _, file, line = paths.places.get(id(part), (part, "", 0))
    return Reason(text, file, line)


def _vector(size: int, paths: Paths) -> np.ndarray:
    x = np.empty(size, dtype=object)
    x[:] = [Symbol(Component(i), paths) for i in range(size)]
    return x


def _with(function: FunctionType, replaced: dict[int, Any], depth: int = 0) -> FunctionType:
    """The same function, with other modules and functions by identity; captured arrays cannot be changed."""

    def swap(value: Any) -> Any:
        if id(value) in replaced:
            return replaced[id(value)]
        if isinstance(value, FunctionType) and value is not function:
            return _with(value, replaced, depth + 1)
        if isinstance(value, np.ndarray):
            value = value.copy()
            value.setflags(write=False)
        return value

    if depth > 8:
        raise UntraceableError("calls functions that call each other")
    names = set(_global_names(function))
    scope = {name: swap(value) for name, value in function.__globals__.items() if name in names}
    scope["__builtins__"] = known.BUILTINS if replaced else __builtins__
    cells = tuple(CellType(swap(cell.cell_contents)) for cell in function.__closure__ or ())
    defaults = tuple(map(swap, function.__defaults__ or ())) or None
    made = FunctionType(function.__code__, scope, function.__name__, defaults, cells or None)
    if function.__kwdefaults__:
        made.__kwdefaults__ = {name: swap(value) for name, value in function.__kwdefaults__.items()}
    return made


def _global_names(function: FunctionType) -> list[str]:
    names: list[str] = []
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        names += code.co_names
        codes += [c for c in code.co_consts if isinstance(c, type(code))]
    return names


def _outputs(result: Any, size: int) -> tuple[Expression, ...]:
    """The result as Nengo takes it: a number for all, or one for each."""
    if result is None:
        raise UntraceableError("gives nothing")
    given = np.asarray(result, dtype=object)
    if given.shape not in ((), (1,), (size,)):
        raise UntraceableError(f"gives {given.size} numbers where {size} are wanted")
    values = np.broadcast_to(given, (size,))
    return tuple(expression_of(value) for value in values)


def size_of(expression: Expression) -> int:
    """How many operations and numbers an expression holds."""
    return 1 + sum(map(size_of, expression.arguments)) if isinstance(expression, Call) else 1


def _agree(function: FunctionType, result: tuple[Expression, ...], time: bool, arguments: int | None) -> bool:
    """Whether the function gives what the expressions give, on times and vectors of many sizes."""
    rng = np.random.RandomState(0)
    steps = np.concatenate([np.arange(1, SAMPLES // 2 + 1), rng.randint(1, 100_000, SAMPLES // 2)])
    times = steps * 0.001
    vectors = rng.standard_normal((SAMPLES, arguments or 0)) * np.geomspace(0.1, 10, SAMPLES)[:, None]
    if arguments:
        vectors[0] = 0.0
    try:
        with np.errstate(all="raise", under="ignore"):
            for t, x, row in zip(times, vectors, _rows(result, vectors, times), strict=True):
                given = [float(t)] * time + ([] if arguments is None else [x.copy()])
                wanted = np.broadcast_to(np.asarray(function(*given), np.float64), (len(result),))
                if not np.all(np.abs(row - wanted) <= TOLERANCE * np.maximum(1.0, np.abs(wanted))):
                    return False
    except Exception:  # it raises on some numbers: only Python can say so at the step where it happens
        return False
    return True


def _rows(result: tuple[Expression, ...], vectors: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Values of all expressions (columns) at every sample (rows)."""
    columns = [np.broadcast_to(evaluate(e, vectors, times), times.shape) for e in result]
    return np.stack(columns, axis=1) if columns else np.zeros((len(times), 0))
