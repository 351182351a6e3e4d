"""Python functions in a network: as expressions where they are simple, else called as they are.

A function of an ensemble with neurons is needed at its evaluation points only.  One of time, or of the value
of a node without neurons, is needed in every step: where it cannot be compiled, it is a host call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.expressions import Call as Apply
from spikec.expressions import Expression, Number, Time, identity
from spikec.nef.tuning import tune
from spikec.network.builder import Builder
from spikec.network.mistakes import here, mistake
from spikec.network.nodes import Ensemble, Function, Origin, entry, whole
from spikec.tracing.functions import trace

Vector = NDArray[np.float64]


def of_time(builder: Builder, name: str, function: Function, zero_after: float | None) -> Origin:
    """The origin of an input: function(t), and 0 after a time."""
    size = len(result(function, name, 0.0))
    traced = trace(function, True, None, size)
    if traced is None:
        dt = builder.graph.dt

        def call(n: int, _: Vector) -> Vector:
            late = zero_after is not None and n * dt > zero_after - dt / 2
            return np.zeros(size) if late else result(function, name, n * dt, size)

        node = builder.call(name, size, 0, call)
    else:
        builder.captured += [(name, captured) for captured in traced.captured]
        expressions = tuple(until(e, zero_after, builder.graph.dt) for e in traced.expressions)
        node = builder.add(name, g.TimeFunction(size=size, span=here(), expressions=expressions))
    return Origin("X", (whole(node, size),), function)


def until(expression: Expression, zero_after: float | None, dt: float) -> Expression:
    """The expression, and 0 from the step nearest to a time on."""
    if zero_after is None:
        return expression
    return Apply("select", (Apply("<=", (Time(), Number(zero_after - dt / 2))), expression, Number(0.0)))


def of_value(builder: Builder, ensemble: Ensemble, name: str, function: Function | None) -> Origin:
    """An origin of an ensemble: the function of what each of its members represents, itself without one."""
    dims = ensemble.dimensions
    size = dims if function is None else len(result(function, ensemble.name, np.zeros(dims)))
    expressions = identity(dims) if function is None else None
    if function is not None and (traced := trace(function, False, dims, size)) is not None:
        expressions = traced.expressions
        if not ensemble.populations:
            builder.captured += [(f"{ensemble.name}:{name}", captured) for captured in traced.captured]
    decode = _decoded if ensemble.populations else _computed
    nodes = [decode(builder, ensemble, k, name, function, expressions) for k in range(ensemble.array_size)]
    return Origin(name, tuple(whole(node, size) for node in nodes), function)


def _decoded(
    builder: Builder,
    ensemble: Ensemble,
    k: int,
    name: str,
    function: Function | None,
    expressions: tuple[Expression, ...] | None,
) -> str:
    """What is decoded from the neurons of member k."""
    targets, size = None, len(expressions or ())
    if expressions is None and function is not None:
        (neurons,) = tune([ensemble.populations[k]])
        size = len(result(function, ensemble.name, np.zeros(ensemble.dimensions)))
        rows = [result(function, f"{ensemble.name}:{name}", x, size) for x in neurons.eval_points]
        targets = np.stack(rows)
    op = g.Decoding(
        size=size, span=here(), expressions=expressions or (), targets=targets,
        solver=g.Solver(regularisation=ensemble.decoder_noise),
    )  # fmt: skip
    return builder.add(f"{ensemble.paths[k]}:{name}", op, activity=ensemble.paths[k])


def _computed(
    builder: Builder,
    ensemble: Ensemble,
    k: int,
    name: str,
    function: Function | None,
    expressions: tuple[Expression, ...] | None,
) -> str:
    """What is computed of the value of member k, which has no neurons."""
    dims, value, node = ensemble.dimensions, entry(ensemble.paths[k]), f"{ensemble.paths[k]}:{name}"
    if function is None:
        return value
    if expressions is None:
        size = len(result(function, node, np.zeros(dims)))
        return builder.call(node, size, dims, lambda _, x: result(function, node, x.copy(), size), x=value)
    op = g.Function(size=len(expressions), span=here(), expressions=expressions, arguments=dims)
    return builder.add(node, op, x=value)


def result(function: Function, name: str, argument: Any, size: int | None = None) -> Vector:
    """What a function gives, as a vector.

    Raises `NetworkError` where that is no numbers, or not `size` of them.
    """
    try:
        given = function(argument)
    except Exception as error:  # whatever a function of the user raises goes on as it is
        error.add_note(f"in the function of {name!r}")
        raise
    try:
        values = np.asarray(given, np.float64).ravel()
    except (TypeError, ValueError):
        mistake(f"the function of {name!r} gives {given!r}, which is no list of numbers", "return numbers")
    if given is None or (isinstance(given, (list, tuple)) and any(one is None for one in given)):
        mistake(f"the function of {name!r} gives None", "return a number, or a list of them, in every case")
    if not len(values):
        mistake(f"the function of {name!r} gives no numbers", "return a number, or a list of them")
    if size is not None and len(values) != size:
        mistake(
            f"the function of {name!r} gives {len(values)} number{'s' * (len(values) != 1)}, at first {size}",
            "give one length",
        )
    return values
