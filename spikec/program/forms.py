"""Functions of one form: expressions that differ only in their numbers share one statement of a program.

    sin(2*pi*t + 0) / 2   and   sin(2*pi*t + 1) / 2     are both     sin(2*pi*t + c[0]) / 2

Whether a number is written out or becomes a constant c[i] is decided over the whole model, never over a
partition: a statement means the same arithmetic wherever it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.expressions import Call, Column, Expression, Number, columns, pytensor_call, to_pytensor
from spikec.records import dataclass


@dataclass(frozen=True)
class Form:
    """PyTensor source of each output: c[i] is `constants[i]`, x[i] component i of the argument.

    tables: what is read as `a.tables`, the columns of all tables that functions of the model read.
    """

    outputs: tuple[str, ...]
    constants: tuple[float, ...]
    reads: bool
    tables: NDArray[np.float64] | None = field(default=None, compare=False)


def _tables(graph: g.Graph) -> tuple[NDArray[np.float64], dict[Column, int]]:
    """The columns of all tables, one after the other, and where each begins."""
    starts: dict[Column, int] = {}
    size = 0
    for _, op in graph.nodes((g.Function, g.TimeFunction)):
        for column in dict.fromkeys(c for e in op.expressions for c in columns(e)):
            if column not in starts:
                starts[column] = size
                size += len(column.samples)
    return np.concatenate([np.zeros(0), *(c.samples for c in starts)]), starts


def forms(graph: g.Graph, number: Callable[[Column], float] | None = None) -> dict[str, Form]:
    """The form of every `Function` and `TimeFunction` of the graph.

    `number`: what stands for a column of a table, where that is not where it begins in `a.tables`.
    """
    samples, starts = _tables(graph)
    start = number or starts.__getitem__
    groups: dict[tuple[object, ...], list[str]] = {}
    numbers: dict[str, tuple[float, ...]] = {}
    for name, op in graph.nodes((g.Function, g.TimeFunction)):
        shapes: list[object] = []
        values: list[float] = []
        for expression in op.expressions:
            shapes.append(_shape(expression, values, start))
        numbers[name] = tuple(values)
        groups.setdefault((getattr(op, "arguments", 0), *shapes), []).append(name)
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

    outputs = tuple(write(e) for e in op.expressions)
    tables = samples if any(True for e in op.expressions for _ in columns(e)) else None
    return Form(outputs, tuple(constants), isinstance(op, g.Function) and op.arguments > 0, tables)
