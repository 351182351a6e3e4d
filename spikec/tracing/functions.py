"""Python functions as expressions, where they are simple and do nothing else.

A function that `purity` finds pure is run once with symbols in place of numbers, and constants in place of
what it captures (`objects`): what it gives are the expressions.  It is then compared with them on sampled
points, and has to be finite everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from spikec.expressions import (
    ENTRY,
    Call,
    Column,
    Component,
    Expression,
    Number,
    Table,
    Time,
    evaluate,
    row_of,
)
from spikec.records import dataclass
from spikec.tracing import known, reasons
from spikec.tracing.bounds import finite
from spikec.tracing.limits import MOST_INSTRUCTIONS, UntraceableError, bounded, too_large
from spikec.tracing.objects import ImpureError, World, parts
from spikec.tracing.purity import Captured
from spikec.tracing.reasons import Reason
from spikec.tracing.symbols import Paths, Symbol, expression_of
from spikec.tracing.vectors import Vector

# Shorter vectors are written out wherever they are given.
FEWEST = 8
SAMPLES, TOLERANCE = 48, 1e-12


@dataclass(frozen=True, eq=False)
class Traced:
    """A function as expressions, one for each number that it gives; with what it captured at the time.

    objects: whether some of that is of objects, lists or dictionaries.
    call: the name of the call that stands for the expressions, where Python computes it after all.
    """

    expressions: tuple[Expression, ...]
    captured: tuple[Captured, ...]
    objects: bool = False
    call: str = ""


class _NoExpressionError(Exception):
    """A function is no expression; `reason` finds why, where somebody asks."""

    def __init__(self, reason: Callable[[], Reason | None]) -> None:
        super().__init__()
        self.reason = reason


def trace(
    function: Callable[..., Any],
    time: bool,
    arguments: int | None,
    size: int,
    held: bool = False,
) -> Traced | None:
    """The expressions of function(t), function(t, x) or function(x), or None where there are none.

    `time`: whether t is passed; `arguments`: length of x, None where there is no x; `size`: of the result.
    `held`: whether objects, lists and dictionaries that it captures are taken as constants.
    """
    try:
        return _traced(function, time, arguments, size, held)
    except _NoExpressionError:
        return None


def why(
    function: Callable[..., Any],
    time: bool,
    arguments: int | None,
    size: int,
    held: bool = False,
) -> Reason | None:
    """Why `trace` gives nothing; None where it gives expressions."""
    try:
        _traced(function, time, arguments, size, held)
    except _NoExpressionError as untraced:
        return untraced.reason() or Reason("does more than compute")
    return None


def cases(function: Callable[..., Any]) -> tuple[Expression, list[str]] | None:
    """The texts that a function of time gives, and the number of that which it gives; None for any other."""
    paths, world, found = Paths(), World(known.SYMBOLIC, held=True), list[str]()

    def number() -> tuple[Expression, ...]:
        given = called(Symbol(Time(), paths))
        if not isinstance(given, str):
            raise UntraceableError("gives no text")
        if given not in found:
            found.append(given)
        return (Number(float(found.index(given))),)

    try:
        called = world.called(function)
        (which,) = paths.results(number)
    except Exception:  # whatever code of the user's raises on symbols
        return None
    return (which, found) if finite(which) else None


def _traced(given: Callable[..., Any], time: bool, arguments: int | None, size: int, held: bool) -> Traced:
    """Raises `_NoExpressionError`."""
    given = known.as_function(given)
    found = parts(given)
    if found is None or not (held or isinstance(given, FunctionType)):
        raise _NoExpressionError(lambda: reasons.uncallable(given))
    paths, world = Paths(), World(known.SYMBOLIC, held)
    passed: list[Any] = [Symbol(Time(), paths)] if time else []

    def run() -> tuple[Expression, ...]:
        x = [] if arguments is None else [_vector(arguments, paths)]
        return _outputs(traced(*passed, *x), size)

    try:
        traced = world.called(given)
        result = paths.results(run)
    except ImpureError as error:
        raise _NoExpressionError(partial(reasons.impure, error.function, held)) from None
    except (
        Exception
    ) as error:  # a user's function may raise anything on symbols: it then runs as it is, in Python
        raise _NoExpressionError(partial(reasons.raised, error, found[0], held)) from None
    if size >= FEWEST or too_large(result):
        result = _chosen(result, run, paths) or result
    made = Traced(result, tuple(world.captured), world.objects)
    _check(made, paths)
    if not _agree(World({}, held).called(given), made, time, arguments):
        raise _NoExpressionError(lambda: Reason("gives something else, or fails, for some numbers"))
    return made


def _check(made: Traced, paths: Paths) -> None:
    """Raises `_NoExpressionError` where expressions are too long, or not finite."""
    row = row_of(made.expressions)
    if reason := too_large(row[1:] if row else made.expressions):
        raise _NoExpressionError(lambda: Reason(reason))
    if not all(map(finite, made.expressions)):
        raise _NoExpressionError(lambda: _undefined(made.expressions, paths))


def _chosen(
    result: tuple[Expression, ...], run: Callable[[], tuple[Expression, ...]], paths: Paths
) -> tuple[Expression, ...] | None:
    """The vectors that a function of constants gives as the rows of a table, of which it gives one.

    None where what it gives on a path depends on more than the path, and where it has but one.
    """
    if not all(isinstance(e, Number) or (isinstance(e, Call) and e.function == "select") for e in result):
        return None
    found: list[tuple[Expression, ...]] = []

    def number() -> tuple[Expression, ...]:
        values = run()
        if values not in found:
            found.append(values)
        return (Number(float(found.index(values))),)

    (which,) = paths.results(number)
    numbers = [[e.value for e in values if isinstance(e, Number)] for values in found]
    if len(found) < 2 or any(len(row) != len(result) for row in numbers):
        return None
    table = Table(np.array(numbers))
    return tuple(Call(ENTRY, (Column(table, k), which)) for k in range(len(result)))


def _undefined(result: tuple[Expression, ...], paths: Paths) -> Reason:
    """Which part of a result may be no finite number, and its line."""
    text, part = reasons.undefined(next(e for e in result if not finite(e)))
    _, file, line = paths.places.get(id(part), (part, "", 0))
    return Reason(text, file, line)


def _vector(size: int, paths: Paths) -> Vector:
    x = np.empty(size, dtype=object)
    x[:] = [Symbol(Component(i), paths) for i in range(size)]
    return x.view(Vector)


def _outputs(result: Any, size: int) -> tuple[Expression, ...]:
    """The result as Nengo takes it: a number for all, or one for each."""
    if result is None:
        raise UntraceableError("gives nothing")
    given = np.asarray(result, dtype=object)
    if given.shape not in ((), (1,), (size,)):
        raise UntraceableError(f"gives {given.size} numbers where {size} are wanted")
    values = np.broadcast_to(given, (size,))
    return tuple(expression_of(value) for value in values)


def _agree(function: Callable[..., Any], made: Traced, time: bool, arguments: int | None) -> bool:
    """Whether the function gives what the expressions give, on times and vectors of many sizes."""
    rng = np.random.RandomState(0)
    steps = np.concatenate([np.arange(1, SAMPLES // 2 + 1), rng.randint(1, 100_000, SAMPLES // 2)])
    times = steps * 0.001
    vectors = rng.standard_normal((SAMPLES, arguments or 0)) * np.geomspace(0.1, 10, SAMPLES)[:, None]
    if arguments:
        vectors[0] = 0.0
    try:
        with np.errstate(all="raise", under="ignore"), bounded(SAMPLES * MOST_INSTRUCTIONS):
            for t, x, row in zip(times, vectors, _rows(made, vectors, times), strict=True):
                given = [float(t)] * time + ([] if arguments is None else [x.copy()])
                wanted = np.broadcast_to(np.asarray(function(*given), np.float64), row.shape)
                if not np.all(np.abs(row - wanted) <= TOLERANCE * np.maximum(1.0, np.abs(wanted))):
                    return False
    except Exception:  # it raises on some numbers: only Python can say so at the step where it happens
        return False
    return True


def _rows(made: Traced, vectors: np.ndarray, times: np.ndarray) -> np.ndarray:
    """What a function gives (columns) at every sample (rows)."""
    columns = [np.broadcast_to(evaluate(e, vectors, times), times.shape) for e in made.expressions]
    return np.stack(columns, axis=1) if columns else np.zeros((len(times), 0))
