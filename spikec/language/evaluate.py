"""Expressions to values: numbers with units, vectors, matrices, functions of x and t, records."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np

from spikec.errors import Span
from spikec.expressions import ENTRY, FUNCTIONS, Call, Column, Expression, Table
from spikec.language import syntax as s
from spikec.language.builtins import ALSO_RECORDS, CONSTANTS, FUNCTIONS_OF_VALUES, RECORDS
from spikec.language.context import readable
from spikec.language.scope import FunctionValue, Scope, nearest, suggestion
from spikec.language.signatures import assign
from spikec.language.values import (
    PLAIN,
    TIME,
    Entry,
    Mistake,
    Mistakes,
    Record,
    Text,
    Value,
    apply,
    literal,
    together,
)
from spikec.tracing import bounds

MAX_CALLS = 40
# Names that others have for what is here.
_ELSEWHERE = {"relu": "rectified_linear", "spiking_relu": "spiking_rectified_linear"}


def evaluate(expr: s.Expr, scope: Scope) -> Any:
    """The value of `expr`: a `Value`, `Text`, `Record` or `FunctionValue`.  Raises `Mistake`."""
    match expr:
        case s.Number():
            return literal(expr.value, expr.unit, expr.span)
        case s.Text():
            return Text(expr.value, expr.span)
        case s.Name():
            return _name(expr, scope)
        case s.List():
            values = together(partial(number, item, scope) for item in expr.items)
            return _list(list(zip(values, (item.span for item in expr.items), strict=True)), expr.span)
        case s.Comprehension():
            return _comprehension(expr, scope)
        case s.Index():
            return _index(expr, scope)
        case s.Call():
            return _call(expr, scope)
        case s.Unary():
            operand = number(expr.operand, scope)
            return operand if expr.operator == "+" else apply("neg", [operand], expr.span)
        case s.Binary():
            return _binary(expr, scope)
    raise TypeError(expr)


def number(expr: s.Expr, scope: Scope) -> Value:
    """The value of `expr`, which must be a number, vector, matrix or function of x or t."""
    return a_number(evaluate(expr, scope), expr)


def a_number(value: Any, expr: s.Expr) -> Value:
    """`value` of `expr`, if it is a number, vector, matrix or function.  Raises `Mistake`."""
    if isinstance(value, Value):
        return value
    raise Mistake(
        f"a number is expected here, not {kind_of(value)}", expr.span, "write a number or an expression"
    )


def kind_of(value: Any) -> str:
    match value:
        case Text():
            return "a text"
        case Record():
            return value.name
        case FunctionValue():
            return f"the function {value.definition.name}"
        case Value():
            return value.describe()
    return "this"


def integer(expr: s.Expr, scope: Scope, what: str) -> int:
    """A whole number without a unit.  Raises `Mistake`."""
    value = number(expr, scope)
    if value.symbolic or value.shape or value.power or value.data != int(value.data):
        raise Mistake(
            f"{what} must be a whole number, not {value.describe()}", expr.span, "write a whole number"
        )
    return int(value.data)


def limits(range_: s.Range, scope: Scope) -> range:
    """The range of a loop or comprehension, counted against the bound before anything is made."""
    start = integer(range_.start, scope, "the start of a range")
    stop = integer(range_.stop, scope, "the end of a range")
    count = max(0, stop - start)
    scope.context.spend(count, f"the range has {readable(count)} items", range_.span)
    return range(start, stop)


def _name(expr: s.Name, scope: Scope) -> Any:
    binding = scope.find(expr.name)
    if binding is not None:
        return binding.get(expr.name)
    if expr.name in CONSTANTS:
        return Value(CONSTANTS[expr.name])
    if expr.name == "dt" and scope.context.dt is not None:
        return Value(scope.context.dt, TIME)
    if expr.name in RECORDS or expr.name in ALSO_RECORDS:
        return Record(expr.name, (), expr.span)
    if expr.name in FUNCTIONS or expr.name in FUNCTIONS_OF_VALUES:
        raise Mistake(f"{expr.name!r} is a function", expr.span, f"give it arguments: {expr.name}(...)")
    scope.context.refuse_unread(expr.name)
    known = [n for n in (*scope.names(), *CONSTANTS) if n != expr.name]
    hint = suggestion(expr.name, known, sorted(RECORDS | ALSO_RECORDS))
    if expr.name.lower() in _ELSEWHERE:
        hint = f"did you mean {_ELSEWHERE[expr.name.lower()]!r}?"
    if expr.name == "t":
        hint = "what depends on the time names it: input u(t) = ..., or node f(x, t) = ..."
    raise Mistake(f"unknown name {expr.name!r}", expr.span, hint)


def _binary(expr: s.Binary, scope: Scope) -> Value:
    # Long chains lean to the left: walk them in a loop, so that their length does not cost recursion.
    chain = [expr]
    while isinstance(chain[-1].left, s.Binary):
        chain.append(chain[-1].left)
    operands = [chain[-1].left, *(node.right for node in reversed(chain))]
    value, *rest = together(partial(number, operand, scope) for operand in operands)
    for node, right in zip(reversed(chain), rest, strict=True):
        if node.operator == "@":
            value = FUNCTIONS_OF_VALUES["dot"]([value, right], node.span, scope)
        else:
            value = apply(node.operator, [value, right], node.span)
    return value


def _list(items: list[tuple[Value, Span]], span: Span) -> Value:
    """A vector of numbers, or a matrix of rows; all of one dimension and shape."""
    if not items:
        return Value(np.zeros(0))
    symbolic = any(v.symbolic for v, _ in items)
    if symbolic and all(v.shape in ((), (1,)) for v, _ in items):
        # A represented value of one dimension is a vector of one: [x, x^2] is a vector of two.
        items = [(Value(v.data[0], v.power) if v.shape else v, place) for v, place in items]
    first = items[0][0]
    for value, place in items[1:]:
        if value.shape != first.shape:
            one, other = (" x ".join(map(str, v.shape)) or "a number" for v in (first, value))
            raise Mistake(
                f"the items of a list differ in shape: {one} and {other}", place, "make rows of equal length"
            )
        if value.power != first.power and not symbolic:
            raise Mistake(
                f"the items of a list differ in unit: {first.describe()} and {value.describe()}",
                place,
                "give all of them the same unit",
            )
    if len(first.shape) > 1:
        raise Mistake("lists are nested more than two deep", span, "write a vector or a matrix")
    out = np.empty((len(items), *first.shape), dtype=object if symbolic else np.float64)
    for row, (value, _) in enumerate(items):
        out[row] = value.data
    return Value(out, PLAIN if symbolic else first.power)


def _comprehension(expr: s.Comprehension, scope: Scope) -> Value:
    items = []
    for i in limits(expr.range, scope):
        inner = scope.child()
        inner.bind(expr.variable, Value(float(i)))
        items.append((number(expr.body, inner), expr.body.span))
    return _list(items, expr.span)


def indices(part: s.Expr | s.Slice, size: int, scope: Scope, what: str, span: Span) -> range | list[int]:
    """The indices that a subscript takes of `size` entries.  Raises `Mistake` for those that do not exist."""
    if isinstance(part, s.Slice):
        values = [
            None if e is None else integer(e, scope, "a slice") for e in (part.start, part.stop, part.step)
        ]
        if values[2] == 0:
            raise Mistake("the step of a slice is 0", span, "write a step of 1 or more, or a negative one")
        taken = range(size)[slice(*values)]
        beyond = values[1] is not None and abs(values[1]) > size
        if not taken and not beyond:
            raise Mistake(
                f"the slice takes no entry of {what}", span, f"the stop is excluded: [0:1] is one of {size}"
            )
        if beyond:
            raise Mistake(
                f"the slice takes entries that {what} does not have", span, f"it has {_entries(size)}"
            )
        return taken
    value = number(part, scope)
    if type(value.data) is float:  # the short way: nearly all are, and NumPy takes ten times as long for one
        wanted, whole = [value.data], value.data.is_integer()
    else:
        several = np.array([np.nan]) if value.symbolic else np.atleast_1d(value.array)
        wanted, whole = several.tolist(), several.ndim == 1 and bool((several == np.floor(several)).all())
    if value.power or not whole:
        raise Mistake("an index is a whole number", span, "write a number, a slice or a list of numbers")
    for k in wanted:
        if not -size <= k < size:
            places = f"0 to {size - 1}" if size > 1 else "number 0"
            hint = f"it has {_entries(size)}, {places}" if size else "it has no entries"
            raise Mistake(f"index {int(k)} is outside of {what}", span, hint)
    return [int(k) % size for k in wanted]


def _entries(size: int) -> str:
    return "one entry" if size == 1 else f"{size} entries"


def _index(expr: s.Index, scope: Scope) -> Value:
    base = number(expr.base, scope)
    if not base.shape:
        raise Mistake("a number has no entries to index", expr.span, "index a vector or a matrix")
    if not isinstance(expr.part, s.Slice):
        at = number(expr.part, scope)
        if at.symbolic and at.shape in ((), (1,)):
            return _computed(base, np.ravel(at.data)[0], expr)
    taken = indices(expr.part, base.shape[0], scope, "the value", expr.span)
    single = not isinstance(expr.part, s.Slice) and not (isinstance(expr.part, s.List | s.Comprehension))
    if single and len(taken) == 1:
        item = base.data[taken[0]]
        return Value(float(item) if isinstance(item, np.floating) else item, base.power)
    return Value(base.data[list(taken)], base.power)


def _computed(base: Value, at: Expression, expr: s.Index) -> Value:
    """Entries of a vector, or a row of a matrix, by an index that depends on x or t.  Raises `Mistake`."""
    if base.symbolic:
        raise Mistake(
            "a computed index takes numbers that do not depend on x or t",
            expr.part.span,
            "choose by select(condition, yes, no)",
        )
    place = bounds.row(at, base.shape[0])
    if place is None:
        raise Mistake(
            f"a computed index must be a whole number, one of {_entries(base.shape[0])}, for every x and t",
            expr.part.span,
            f"write floor(...) % {base.shape[0]}, or max(0, min(floor(...), {base.shape[0] - 1}))",
        )
    table = Table(base.array.reshape(base.shape[0], -1))
    read = [Call(ENTRY, (Column(table, k), place)) for k in range(table.samples.shape[1])]
    if len(base.shape) == 1:
        return Value(read[0])
    made = np.empty(len(read), dtype=object)
    made[:] = read
    return Value(made)


def _call(expr: s.Call, scope: Scope) -> Any:
    binding = scope.find(expr.function)
    if binding is not None and isinstance(binding.get(expr.function), FunctionValue):
        arguments = together(partial(number, a.value, scope) for a in _positional(expr))
        return call_function(binding.get(expr.function), arguments, expr.span)
    if expr.function in RECORDS or (
        expr.function in ALSO_RECORDS and not any(_is_plain(a) for a in expr.arguments)
    ):
        return Record(expr.function, entries(expr.arguments, scope), expr.span)
    if expr.function in FUNCTIONS_OF_VALUES:
        values = together(partial(evaluate, a.value, scope) for a in _positional(expr))
        return FUNCTIONS_OF_VALUES[expr.function](values, expr.span, scope)
    if expr.function in FUNCTIONS and expr.function.isidentifier():
        return _math(expr, together(partial(number, a.value, scope) for a in _positional(expr)))
    scope.context.refuse_unread(expr.function)
    words = (*sorted(RECORDS), *FUNCTIONS_OF_VALUES, *FUNCTIONS)
    known = [n for n in (*scope.names(), *words) if n.isidentifier()]
    raise Mistake(f"unknown function {expr.function!r}", expr.span, suggestion(expr.function, known))


def evaluate_one_of(expr: s.Expr, scope: Scope, what: str, known: Collection[str]) -> Any:
    """`evaluate` where one of some records belongs: a name unknown anywhere is told with theirs.

    `what`: one of them.  Raises `Mistake`.
    """
    name = expr.name if isinstance(expr, s.Name) else expr.function if isinstance(expr, s.Call) else None
    words: tuple[Collection[str], ...] = (RECORDS, ALSO_RECORDS, FUNCTIONS, FUNCTIONS_OF_VALUES, CONSTANTS)
    if name is None or scope.find(name) is not None or any(name in some for some in (*words, known, ("dt",))):
        return evaluate(expr, scope)
    scope.context.refuse_unread(name)
    near = nearest(name, list(known))
    hint = f"did you mean {near!r}?" if near else f"{what}s are {', '.join(sorted(known))}"
    raise Mistake(f"unknown {what} {name!r}", expr.span, hint)


def _is_plain(argument: s.Argument) -> bool:
    return argument.name is None and argument.key is None


def entry(argument: s.Argument, scope: Scope) -> Entry:
    """One argument with its value."""
    key = None if argument.key is None else number(argument.key, scope)
    return Entry(evaluate(argument.value, scope), argument.value.span, argument.name, key, argument.span)


def entries(arguments: tuple[s.Argument, ...], scope: Scope) -> tuple[Entry, ...]:
    """Arguments with their values.  Raises `Mistake` with those of all of them."""
    return tuple(together(partial(entry, a, scope) for a in arguments))


def arguments(
    found: Mistakes, written: tuple[s.Argument, ...], scope: Scope, what: str, names: tuple[str, ...]
) -> dict[str, Any]:
    """Entries by the name of the parameter that they give, None where one has a mistake, which is kept."""
    made = [found.attempt(entry, a, scope) for a in written]
    unread = [
        e or Entry(None, a.value.span, a.name, None, a.span) for e, a in zip(made, written, strict=True)
    ]
    assigned = assign(what, tuple(unread), names, found)
    return {name: None if e.value is None else e for name, e in assigned.items()}


def _positional(expr: s.Call) -> tuple[s.Argument, ...]:
    for argument in expr.arguments:
        if argument.name is not None or argument.key is not None:
            raise Mistake(
                f"{expr.function} takes its arguments by position", argument.span, "leave the name out"
            )
    return expr.arguments


def _math(expr: s.Call, values: list[Value]) -> Value:
    if expr.function in ("min", "max") and len(values) > 2:
        return apply(expr.function, [_math(expr, values[:-1]), values[-1]], expr.span)
    arity = FUNCTIONS[expr.function].arity
    if len(values) != arity:
        raise Mistake(
            f"{expr.function} takes {arity} argument{'s' * (arity != 1)}, not {len(values)}",
            expr.span,
            "see the reference",
        )
    return apply(expr.function, values, expr.span)


def call_function(function: FunctionValue, arguments: list[Value], span: Span) -> Value:
    """The body of a function with its arguments put in.  Raises `Mistake` for a wrong count or a circle."""
    definition = function.definition
    if len(arguments) != len(definition.arguments):
        raise Mistake(
            f"{definition.name} takes {len(definition.arguments)} argument(s), not {len(arguments)}",
            span,
            f"call it as {definition.name}({', '.join(definition.arguments)})",
            ((f"{definition.name} is defined here", definition.span),),
        )
    inner = function.scope.child()
    for name, value in zip(definition.arguments, arguments, strict=True):
        inner.bind(name, value)
    context = inner.context
    context.spend(2, f"the function {definition.name} is called too often", span)
    context.calls += 1
    try:
        if context.calls > MAX_CALLS:
            hint = "functions of the language cannot be recursive"
            raise Mistake(f"{definition.name} calls itself", span, hint)
        return number(definition.value, inner)
    except RecursionError:
        hint = "give parts of the expressions names with `let`"
        raise Mistake(f"the expressions in {definition.name} are nested too deeply", span, hint) from None
    finally:
        context.calls -= 1
