"""Populations: J = encoders x + bias + all else that the current of some neurons gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.builder import Operator, Signal
from nengo.builder.neurons import SimNeurons

from spikec import graph as g
from spikec.nengo.forms import Preset
from spikec.nengo.linear import Linear

if TYPE_CHECKING:
    from spikec.nengo.values import Values


def population(values: Values, op: SimNeurons) -> str:
    """The node of the population of an operator of neurons."""
    key = (op, "neurons")
    if key not in values.known:
        _population(values, op, key)
    return values.known[key]


def _population(values: Values, op: SimNeurons, key: Any) -> None:
    base, size = op.J.base, op.J.size
    ensemble = values.names.ensembles.get(base)
    writers = [w for w in values.sides.table.of[base].writers if w in values.sides.native]
    encoding = _encoding(values, writers, ensemble)
    bias = np.zeros(size)
    rest = []
    for writer in writers:
        form = values.sides.native[writer]
        if isinstance(form, Preset):
            bias[form.rows] += form.value
        elif isinstance(form, Linear) and values.sides.table.constant(form.source):
            bias += form.matrix() @ np.asarray(form.source.initial_value, np.float64).ravel()
        elif writer is not encoding:
            rest.append(writer)
    matrix = values.sides.native[encoding].dense() if encoding else np.zeros((size, 1))  # type: ignore[union-attr]
    radius = float(ensemble.radius) if ensemble is not None else 1.0
    made = g.Neurons(
        size=size,
        path=values.names.population(op),
        dims=matrix.shape[1],
        neuron=values.sides.native[op],  # type: ignore[arg-type]
        radius=radius,
        encoders=matrix * radius,
        gain=np.ones(size),
        bias=bias,
        points=lambda: np.zeros((0, matrix.shape[1])),
        seed=0,
        initial_state={name: np.array(signal.initial_value, np.float64) for name, signal in op.state.items()},
    )
    name = values.new(key, made.path, made)
    values.pending.append(lambda: _feed(values, name, base, encoding, rest))


def _encoding(values: Values, writers: Sequence[Operator], ensemble: Any) -> Operator | None:
    """The operator that encodes what an ensemble represents, or the widest one where there is none."""
    found = [
        (w, form)
        for w in writers
        if isinstance(form := values.sides.native[w], Linear)
        and form.block is not None
        and not values.sides.table.constant(form.source)
    ]
    if ensemble is not None:
        encoders = values.model.sig[ensemble].get("encoders")
        found = [(w, form) for w, form in found if w.A is encoders]
    return found[0][0] if found else None


def _feed(
    values: Values, name: str, base: Signal, encoding: Operator | None, rest: Sequence[Operator]
) -> None:
    if encoding is not None:
        form = values.sides.native[encoding]
        assert isinstance(form, Linear)
        values.graph.connect(values.one_piece([values.value(form.source)], form.source.size), name, "x")
    terms = [node for writer in rest for node in values.term(writer, base)]
    terms += [values.part(k, base) for k, call in enumerate(values.calls) if base in call.gives]
    if terms:
        values.graph.connect(values.one_piece(terms, base.size), name, "J")
