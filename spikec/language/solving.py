"""Solvers of decoders, values at data points instead of functions, and what they ask of a connection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spikec.errors import Span
from spikec.expressions import Component, Expression
from spikec.graph import Solver
from spikec.language import elements as e
from spikec.language.scope import suggestion
from spikec.language.signatures import Parameter, bind
from spikec.language.values import Entry, Mistake, Record, Value

Functions = tuple[tuple[Expression, ...], ...]

P = Parameter
_WEIGHTS = P("weights")
_REG, _NOISE = (P("reg", positive=True), _WEIGHTS), (P("noise", positive=True), _WEIGHTS)
# The parameters of each, and the default of that which is its `regularisation`.
SOLVERS: dict[str, tuple[tuple[P, ...], float]] = {
    "lstsq_l2": (_REG, 0.1),
    "lstsq": ((P("rcond", least=0.0), _WEIGHTS), 0.0),
    "lstsq_l2nz": (_REG, 0.1),
    "lstsq_noise": (_NOISE, 0.1),
    "lstsq_mult_noise": (_NOISE, 0.1),
    "lstsq_l1": ((P("l1", least=0.0), P("l2", least=0.0), P("max_iter", least=1.0), _WEIGHTS), 0.0),
    "lstsq_drop": (
        (P("drop", least=0.0), P("solver1", kind="any"), P("solver2", kind="any"), _WEIGHTS),
        0.25,
    ),
    "nnls": ((_WEIGHTS,), 0.0),
    "nnls_l2": (_REG, 0.1),
    "nnls_l2nz": (_REG, 0.1),
    "no_solver": ((P("values", kind="matrix"), _WEIGHTS), 0.0),
}
_MAIN = ("reg", "noise", "drop")
# What these give for a part of a vector is not that part of what they give for all of it.
_INDIVIDUAL = ("lstsq_drop", "no_solver")


def solver(value: Any, span: Span) -> Solver:
    """A decoder solver with its constants.  Raises `Mistake`."""
    if not isinstance(value, Record) or value.name not in SOLVERS:
        if isinstance(value, Record):
            raise Mistake(f"{value.name!r} is not a solver", span, suggestion(value.name, list(SOLVERS)))
        raise Mistake("a solver is expected here", span, "write one of " + ", ".join(SOLVERS))
    parameters, main = SOLVERS[value.name]
    given = bind(value, parameters)
    weights, values = bool(given.pop("weights", 0.0)), given.pop("values", None)
    if values is not None and values.ndim != 2:
        raise Mistake(
            "the values of no_solver are a matrix", span, "give a row per neuron, a column per dimension"
        )
    for name in _MAIN:
        main = given.pop(name, main)
    if value.name == "lstsq_drop" and main > 1:
        raise Mistake(f"the part to drop is at most 1, not {main:g}", span, "write drop=0.25")
    solvers = _used(given, span) if value.name == "lstsq_drop" else ()
    return Solver(value.name, main, tuple(given.items()), solvers, weights, values)


def _used(given: dict[str, Any], span: Span) -> tuple[Solver, ...]:
    """The two solvers of lstsq_drop."""
    defaults = (Solver(regularisation=0.001), Solver(regularisation=0.1))
    entries: list[Entry | None] = [given.pop(name, None) for name in ("solver1", "solver2")]
    made = tuple(
        default if entry is None else solver(entry.value, entry.span)
        for entry, default in zip(entries, defaults, strict=True)
    )
    if any(one.kind == "no_solver" for one in made):
        raise Mistake("lstsq_drop needs solvers that solve", span, "write solver1=lstsq_l2(reg=0.001)")
    return made


def data_points(value: Any, span: Span, source: e.View, points: bool) -> e.FloatArray | None:
    """The values of a function at the evaluation points (points x outputs); None for what is no matrix.

    Raises `Mistake` where the source is not one ensemble or no evaluation points are given.
    """
    if not isinstance(value, Value) or value.symbolic or len(value.shape) != 2:
        return None
    if len(source.pieces) != 1 or not is_neural(source.pieces[0].element) or source.attribute != "value":
        raise Mistake(
            "values at data points are decoded from one ensemble", span, "connect from a single ensemble"
        )
    if not points:
        raise Mistake(
            "values at data points need the points",
            span,
            "write eval_points with as many rows",
        )
    return value.array


def is_neural(element: e.Element) -> bool:
    return isinstance(element, e.Population) and element.ensemble is not None


def own_components(functions: Functions | None, used: Solver, source: e.View) -> Functions | None:
    """Functions that name the components taken, where the solver must know them."""
    if functions is not None or source.attribute != "value":
        return functions
    if not used.weights and (used.kind not in _INDIVIDUAL or all(p.whole for p in source.pieces)):
        return functions
    return tuple(tuple(Component(i) for i in piece.components) for piece in source.pieces)


def check_solver(link: e.Connection | e.Recorded, outputs: int, span: Span) -> None:
    """What weights and given decoders need of a connection or probe.  Raises `Mistake`."""
    used, source = link.solver, link.source
    neural = all(is_neural(p.element) for p in source.pieces) and source.attribute == "value"
    rows = 0
    if used.weights:
        if isinstance(link, e.Recorded):
            raise Mistake("a probe has no weights", span, "leave weights out")
        ends = link.target.pieces
        single = neural and len(source.pieces) == len(ends) == 1
        if not single or not is_neural(ends[0].element) or link.target.attribute != "value":
            raise Mistake(
                "weights are solved for between two ensembles",
                span,
                "connect one ensemble to another",
            )
        rows = e.neurons_of(ends[0].element)
    if used.values is None:
        return
    if not neural:
        raise Mistake("decoders are given for ensembles", span, "connect from an ensemble or an array")
    _check_given(used.values, link, rows or outputs, span)


def _check_given(values: e.FloatArray, link: e.Connection | e.Recorded, columns: int, span: Span) -> None:
    """Decoders that are given: those of all ensembles of the source, one after the other."""
    pieces = link.source.pieces
    neurons = [e.neurons_of(piece.element) for piece in pieces]
    sizes = {len(outputs) for outputs in link.functions or ()}
    if len(set(neurons)) > 1 or len(sizes) > 1:
        raise Mistake(
            "decoders of several ensembles are given where these have equal numbers of neurons and outputs",
            span,
            "connect from each by itself",
        )
    wanted = (sum(neurons), columns // len(pieces))
    if values.shape != wanted:
        have = " x ".join(map(str, values.shape))
        what = "neurons of the target" if link.solver.weights else "outputs"
        raise Mistake(
            f"the values of no_solver have shape {have}; the connection needs {wanted[0]} x {wanted[1]}",
            span,
            f"give a row for each of the {wanted[0]} neurons, a column for each of the {wanted[1]} {what}",
        )


def own_decoders(used: Solver, source: e.View, k: int) -> Solver:
    """The solver of piece k of a source: of decoders that are given, the rows of its own neurons."""
    if used.values is None or len(source.pieces) == 1:
        return used
    neurons = e.neurons_of(source.pieces[k].element)
    return replace(used, values=used.values[k * neurons : (k + 1) * neurons])


def placed(link: e.Connection, matrix: float | e.FloatArray | None) -> e.FloatArray | None:
    """T of a connection that is solved for weights: dimensions of the target x outputs; None for 1."""
    (piece,) = link.target.pieces
    if matrix is None and piece.whole:
        return None
    unit = np.eye(len(piece.components), link.outputs)
    own = matrix if isinstance(matrix, np.ndarray) else unit * (1.0 if matrix is None else matrix)
    whole = np.zeros((piece.total, own.shape[1]))
    np.add.at(whole, list(piece.components), own)
    return whole
