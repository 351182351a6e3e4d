"""Functions of one form: expressions that differ only in their numbers share one statement of a program.

    sin(2*pi*t + 0) / 2   and   sin(2*pi*t + 1) / 2     are both     sin(2*pi*t + c[0]) / 2

Whether a number is written out or becomes a constant c[i] is decided over the whole model, never over a
partition: a statement means the same arithmetic wherever it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.expressions import (
    Call,
    Column,
    Expression,
    Number,
    Table,
    columns,
    pytensor_call,
    row_of,
    to_pytensor,
)
from spikec.records import dataclass


@dataclass(frozen=True)
class Form:
    """PyTensor source of each output: c[i] is `constants[i]`, x[i] component i of the argument.

    steps: where a row of a table is read, its columns, and how far these are from each other; the output is
    the place of the first.  tables: what is read as `a.tables`, all tables that functions of the model read.
    """

    outputs: tuple[str, ...]
    constants: tuple[float, ...]
    reads: bool
    steps: tuple[int, int] | None = None
    tables: NDArray[np.float64] | None = field(default=None, compare=False)


def _tables(graph: g.Graph) -> tuple[NDArray[np.float64], dict[Table, int]]:
    """All tables, column after column, behind a NaN, and where each begins."""
    starts: dict[Table, int] = {}
    size = 1
    for _, op in graph.nodes((g.Function, g.TimeFunction)):
        for table in dict.fromkeys(c.table for e in op.expressions for c in columns(e)):
            if table not in starts:
                starts[table] = size
                size += table.samples.size
    return np.concatenate([[np.nan], *(table.samples.T.ravel() for table in starts)]), starts


def _steps(expressions: Sequence[Expression]) -> tuple[int, int] | None:
    """Columns and rows of a table of which all of a row is read."""
    row = row_of(expressions)
    return row and row[0].samples.shape[::-1]


def _places(expressions: Sequence[Expression]) -> Sequence[Expression]:
    """What is computed: of a row the place of its first entry."""
    row = row_of(expressions)
    return (Call("+", (Column(row[0], 0), row[1])),) if row else expressions


def forms(graph: g.Graph, number: Callable[[Column], float] | None = None) -> dict[str, Form]:
    """The form of every `Function` and `TimeFunction` of the graph.

    `number`: what stands for a column of a table, where that is not where it begins in `a.tables`.
    """
    samples, starts = _tables(graph)
    start = number or (lambda column: starts[column.table] + column.index * len(column.samples))
    groups: dict[tuple[object, ...], list[str]] = {}
    numbers: dict[str, tuple[float, ...]] = {}
    for name, op in graph.nodes((g.Function, g.TimeFunction)):
        shapes: list[object] = []
        values: list[float] = []
        for expression in _places(op.expressions):
            shapes.append(_shape(expression, values, start))
        numbers[name] = tuple(values)
        key = (getattr(op, "arguments", 0), _steps(op.expressions), *shapes)
        groups.setdefault(key, []).append(name)
    result = {}
    for names in groups.values():
        columns = zip(*(numbers[n] for n in names), strict=True)
        varying = [len(set(column)) > 1 for column in columns]
        result.update({name: _form(graph.op(name), varying, start, samples) for name in names})
    return result


def _shape(expression: Expression, numbers: list[float], start: Callable[[Column], float]) -> object:
    """The expression with its numbers taken out, into `numbers`; exponents stay: x^2 is a multiplication."""
    if isinstance(expression, Number | Column):
        numbers.append(expression.value if isinstance(expression, Number) else float(start(expression)))
        return None
    if isinstance(expression, Call):
        base, *rest = expression.arguments
        if expression.function == "^" and isinstance(rest[0], Number):
            return ("^", _shape(base, numbers, start), rest[0].value)
        return (expression.function, *(_shape(a, numbers, start) for a in expression.arguments))
    return expression


def _form(
    op: g.Function | g.TimeFunction,
    varying: list[bool],
    start: Callable[[Column], float],
    samples: NDArray[np.float64],
) -> Form:
    constants: list[float] = []
    places = iter(varying)

    def write(expression: Expression) -> str:
        # In the order of `_shape`, which decides what varies.
        if isinstance(expression, Number | Column):
            value = expression.value if isinstance(expression, Number) else float(start(expression))
            if not next(places):
                return repr(value)
            constants.append(value)
            return f"c[{len(constants) - 1}]"
        if isinstance(expression, Call):
            if expression.function == "^" and isinstance(expression.arguments[1], Number):
                return f"({write(expression.arguments[0])} ** {expression.arguments[1].value!r})"
            return pytensor_call(expression, [write(a) for a in expression.arguments])
        return to_pytensor(expression, "x[{}]".format)

    outputs = tuple(write(e) for e in _places(op.expressions))
    tables = samples if any(True for e in op.expressions for _ in columns(e)) else None
    reads = isinstance(op, g.Function) and op.arguments > 0
    return Form(outputs, tuple(constants), reads, _steps(op.expressions), tables)
