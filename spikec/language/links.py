"""Connections with everything resolved: views, functions, transforms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from spikec.errors import Span
from spikec.expressions import Expression, Time, uses_time
from spikec.graph import Distribution, Solver
from spikec.language import elements as e
from spikec.language import memory, solving
from spikec.language import syntax as s
from spikec.language import vocabulary as v
from spikec.language.cells import RULES, check_filtered, is_projection, projection
from spikec.language.evaluate import call_function, evaluate, evaluate_one_of, kind_of
from spikec.language.frame import Default, Frame, Link
from spikec.language.learning import Ends, is_matrix, matrices, output, rules
from spikec.language.outputs import expressions
from spikec.language.populate import components
from spikec.language.processes import check_time, whole_steps
from spikec.language.references import resolve
from spikec.language.scope import FunctionValue, Scope
from spikec.language.sizes import check_sizes
from spikec.language.solving import check_solver, data_points, own_components
from spikec.language.transforms import TRANSFORMS, Convolution, Sparse
from spikec.language.transforms import transform as sparse_transform
from spikec.language.values import AlreadyReported, Mistake, Mistakes, Record, Value
from spikec.records import dataclass

Functions = tuple[tuple[Expression, ...], ...]


@dataclass(frozen=True)
class Given:
    """A clause with the scope it is read in: written at the connection, or given by `defaults`."""

    value: s.Expr | None
    span: Span
    scope: Scope


def clauses(written: tuple[s.Clause, ...], frame: Frame, kind: str) -> dict[str, Given]:
    """Clauses by name.  One that is written twice is a mistake that is reported at once; the first counts."""
    found: dict[str, Given] = {}
    for clause in written:
        if clause.name in found:
            twice = Mistake(f"{clause.name!r} is written twice", clause.span, "remove one of them")
            frame.context.report(twice)
            continue
        value = clause.values[0] if clause.values else None
        found[clause.name] = Given(value, clause.span, frame.scope)
    defaults: dict[str, Default] = frame.defaults.get(kind, {})
    for name, default in defaults.items():
        if name not in found:
            argument = default.argument
            found[name] = Given(argument.value, argument.span, default.scope)
    return found


def connection(
    statement: s.Connect, frame: Frame, dt: float, unique: Callable[[str], str], named: Link | None = None
) -> e.Connection | e.Projected:
    """A connection whose sizes agree, or one between populations.  Raises `Mistake`."""
    given = clauses(statement.clauses, frame, "connection")
    found = Mistakes()
    source = found.attempt(_source, statement, frame)
    target = found.attempt(_target, statement, frame)
    ends = source is not None and target is not None
    if source and target and is_projection(source, target):
        return projection(statement, source, target, frame, dt, unique)
    computed, values = (found.attempt(_computed, given, source) if source else None) or (None, None)
    filtered = found.attempt(synapse, given.get("synapse"), v.DEFAULT_SYNAPSE)
    transform = found.attempt(_transform, given.get("transform"), ends)
    delay = found.attempt(steps, given["delay"], dt, "a delay") if "delay" in given else 0
    solved = found.attempt(solver, given.get("solver"))
    found.attempt(_check_decoded, statement, source)
    points = found.attempt(_eval_points, given.get("eval_points"), source) if source else None
    found.finish()
    assert source is not None
    assert target is not None
    check_filtered(source, filtered is not None or bool(delay), statement.span)
    link = e.Connection(
        name=unique(f"{source.name}->{target.name}"),
        source=source,
        target=target,
        functions=own_components(computed, solved or Solver(), source) if values is None else None,
        synapse=filtered,
        transform=transform,
        delay=delay or 0,
        solver=solved or Solver(),
        eval_points=points,
        seed=frame.seed,
        span=statement.span,
        targets=values,
    )
    shaped = given["transform"].value if "transform" in given else None
    check_sizes(link, statement.span, shaped.span if shaped else statement.span)
    check_solver(link, link.outputs, given["solver"].span if "solver" in given else statement.span)
    link = _learning(link, given.get("learning"), named)
    _plan_memory(link, given, frame)
    return link


def _check_decoded(statement: s.Connect, source: e.View | None) -> None:
    """Raises `Mistake` for a solver that is written where nothing is decoded."""
    written = [clause for clause in statement.clauses if clause.name == "solver"]
    if written and source is not None and source.attribute == "neurons":
        what = f"{source.name!r} is not decoded, so there is nothing to solve for"
        raise Mistake(what, written[0].span, "leave solver out, or connect from the ensemble")


def _learning(link: e.Connection, given: Given | None, named: Link | None) -> e.Connection:
    """The connection with its rules.  Raises `Mistake`."""
    if given is None:
        if named is not None:
            hint = "add learning pes(rate=1e-4), or leave `as` out"
            raise Mistake("only a connection that learns has a name", link.span, hint)
        return link
    assert given.value is not None
    path = named.path if named else ""
    ends = Ends(link.source, link.target, is_matrix(link.transform), link.solver.weights, path)
    found = rules(given.value, given.scope, ends)
    made = matrices(link.name, ends, found)
    return replace(link, learning=found, weights=made, output=output(ends, found))


def _plan_memory(link: e.Connection, given: dict[str, Given], frame: Frame) -> None:
    """Count decoders and matrix before any is made.  Raises `Mistake` where they do not fit."""
    memory.plan_reading(link.source, link.functions, frame.context, link.span)
    if link.delay:
        frame.context.plan(8.0 * link.delay * link.source.size, given["delay"].span)
    if link.solver.weights:
        ends = (link.source.pieces[0].element, link.target.pieces[0].element)
        neurons = [float(end.neurons) for end in ends if isinstance(end, e.Population)]
        frame.context.plan(memory.DECODER * math.prod(neurons), link.span)
    read, size = frame.context.read, float(memory.EDGE * (len(link.source.pieces) + len(link.target.pieces)))
    written = given["transform"].value if "transform" in given else None
    span = written.span if written else link.span
    if isinstance(link.transform, Sparse | Convolution):
        made = link.transform
        size += memory.SPARSE_ENTRY * float(len(made.rows) if isinstance(made, Sparse) else made.entries)
    elif isinstance(link.transform, Distribution):
        size += memory.matrix(float(link.target.size) * link.outputs)
    elif isinstance(link.transform, np.ndarray):
        size += memory.matrix(link.transform.size, int(np.count_nonzero(link.transform)))
    elif (way := (link.source.name, link.functions, link.synapse, link.delay, link.transform)) not in read:
        # What is read of a source in one way is one signal, wherever it leads.
        read.add(way)
        size += 2.0 * memory.OPERATOR * len(link.source.pieces)
    size += sum(memory.matrix(weights.size) for weights in link.weights)
    frame.context.plan(size, span)


def _source(statement: s.Connect, frame: Frame) -> e.View:
    view = resolve(statement.source, frame)
    if view.attribute not in ("value", "neurons"):
        raise Mistake(
            f"{view.name!r} cannot be connected from", view.span, "connect from a value or from .neurons"
        )
    return view


def _target(statement: s.Connect, frame: Frame) -> e.View:
    """The view of a target.  Raises `Mistake` for what takes no input."""
    view = resolve(statement.target, frame, as_target=True)
    if view.attribute not in ("value", "neurons"):
        raise Mistake(f"{view.name!r} cannot be connected to", view.span, "connect to a value or to .neurons")
    for piece in view.pieces:
        element = piece.element
        if isinstance(element, e.Input) or (isinstance(element, e.FunctionNode) and not element.arguments):
            raise Mistake(
                f"{view.name!r} takes no input",
                view.span,
                "connect to an ensemble, relay, port or node with arguments",
                ((f"{element.path} is declared here", element.span),),
            )
    return view


# ---------------------------------------------------------------------------------------------- clauses


def functions(given: Given | None, source: e.View) -> Functions | None:
    """Expressions of each piece of the source, of its own components x[i]."""
    if given is None:
        return None
    assert given.value is not None
    if source.attribute != "value":
        if source.attribute == "weights":
            raise Mistake("weights have no function", given.span, "leave `via` out")
        raise Mistake("neurons have no function", given.span, "leave `via` out, and use a transform")
    cache: dict[tuple[Any, bool], tuple[Expression, ...]] = {}
    out = []
    for piece in source.pieces:
        neural = isinstance(piece.element, e.Population) and piece.element.ensemble is not None
        key = (tuple(piece.components), neural)
        if key not in cache:
            cache[key] = _function(given, piece, neural)
        out.append(cache[key])
    return tuple(out)


def _function(given: Given, piece: e.Piece, neural: bool) -> tuple[Expression, ...]:
    assert given.value is not None
    scope = given.scope.child()
    count = len(piece.components)
    scope.context.spend(count, f"the function has {count} arguments", given.span)
    x = Value(components(tuple(piece.components)))
    scope.bind("x", x)
    if scope.find("t") is None:
        scope.bind("t", Value(Time()))
    value = evaluate(given.value, scope)
    if isinstance(value, FunctionValue):
        takes = value.definition.arguments
        if len(takes) > 1 and len(takes) != count:
            what = f"{value.definition.name} takes {len(takes)} numbers, and the source has {count}"
            note = (f"{value.definition.name} is defined here", value.definition.span)
            hint = f"connect a source of {len(takes)}, or write via with x, such as x[0]"
            raise Mistake(what, given.value.span, hint, (note,))
        value = call_function(value, _spread(value, x), given.value.span)
    if not isinstance(value, Value):
        raise Mistake(
            f"via takes a function of x, not {kind_of(value)}", given.value.span, "write via x[0]*x[1]"
        )
    outputs = expressions(value, given.value.span)
    if neural and any(uses_time(o) for o in outputs):
        raise Mistake(
            "a function decoded from neurons cannot use the time t",
            given.value.span,
            "connect to a node that takes x and t, and from there on",
        )
    return outputs


def _spread(function: FunctionValue, x: Value) -> list[Value]:
    """x as one argument, or its components as one argument each, whichever the function takes."""
    count = len(function.definition.arguments)
    if count > 1 and count == x.shape[0]:
        return [Value(item) for item in x.data]
    return [x]


def synapse(given: Given | None, default: v.Synapse | None) -> v.Synapse | None:
    if given is None:
        return default
    assert given.value is not None
    return v.synapse(evaluate(given.value, given.scope), given.value.span)


def _transform(given: Given | None, ends: bool) -> e.Transform:
    """`ends`: whether both are known; one that is a mistake may be a population, where this is a rule."""
    if given is None:
        return None
    assert given.value is not None
    value, span = evaluate(given.value, given.scope), given.value.span
    if isinstance(value, Record) and value.name in RULES:
        if not ends:
            raise AlreadyReported
        raise Mistake(f"{value.name} connects populations", span, "give a number or a matrix here")
    if isinstance(value, Record) and value.name in TRANSFORMS:
        return sparse_transform(value)
    if isinstance(value, Record):
        return None if value.name == "identity" else v.distribution(value, span, "the transform")
    if not isinstance(value, Value) or value.symbolic:
        raise Mistake(f"a transform cannot be {kind_of(value)}", span, "write a number or a matrix")
    if len(value.shape) == 1:  # scales each dimension
        places = np.arange(value.shape[0])
        return Sparse(places, places, value.array)
    return float(value.data) if not value.shape else value.array


def steps(given: Given, dt: float, what: str) -> int:
    assert given.value is not None
    return whole_steps(duration(given, dt, what), dt, what, given.value.span)


def duration(given: Given, dt: float, what: str) -> float:
    """The time in s that a clause gives."""
    assert given.value is not None
    value = evaluate(given.value, given.scope)
    if not isinstance(value, Value) or value.symbolic or value.shape:
        raise Mistake(f"{what} is one time", given.value.span, "write a time such as 3ms")
    check_time(value, dt, what, given.value.span)
    return float(value.data)


def solver(given: Given | None) -> Solver:
    if given is None:
        return Solver()
    assert given.value is not None
    return solving.solver(
        evaluate_one_of(given.value, given.scope, "solver", solving.SOLVERS), given.value.span
    )


def _computed(given: dict[str, Given], source: e.View) -> tuple[Functions | None, e.FloatArray | None]:
    """Functions of the pieces of a source, or their values at evaluation points."""
    values = _data_points(given, source)
    return (functions(given.get("via"), source) if values is None else None), values


def _data_points(given: dict[str, Given], source: e.View) -> e.FloatArray | None:
    """The matrix that `via` is given, if any: values at the evaluation points."""
    via = given.get("via")
    if via is None or len(source.pieces) != 1 or source.attribute != "value":
        return None
    assert via.value is not None
    scope = via.scope.child()
    scope.bind("x", Value(components(tuple(source.pieces[0].components))))
    scope.bind("t", Value(Time()))
    try:
        value = evaluate(via.value, scope)
    except (Mistake, AlreadyReported):  # reported where it is read as a function
        return None
    return data_points(value, via.span, source, "eval_points" in given)


def _eval_points(given: Given | None, source: e.View) -> Distribution | None:
    if given is None:
        return None
    assert given.value is not None
    value = evaluate(given.value, given.scope)
    points = v.distribution(value, given.value.span, "the evaluation points")
    if isinstance(value, Value):
        dims = {p.element.size for p in source.pieces}
        width = value.array.shape[1] if value.array.ndim == 2 else 1
        if dims != {width}:
            raise Mistake(
                f"the evaluation points have {width} column(s); {source.name!r} has {min(dims)} dimension(s)",
                given.value.span,
                "give one column per dimension",
            )
    return points
