"""Populations: J = encoders x + bias + all else that the current of some neurons gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.builder import Model, Operator, Signal
from nengo.builder.learning_rules import SimVoja
from nengo.builder.neurons import SimNeurons

from spikec import graph as g
from spikec import plasticity as pl
from spikec.nef.converted import Converted
from spikec.nengo.forms import Preset, rates_before, spikes_after, states
from spikec.nengo.learning import Learning
from spikec.nengo.linear import Linear
from spikec.populations import state_value

if TYPE_CHECKING:
    from spikec.nengo.values import Values


def population(values: Values, op: SimNeurons) -> str:
    """The node of the population of an operator of neurons."""
    key = (op, "neurons")
    if key not in values.known:
        _population(values, op, key)
    return values.known[key]


def _population(values: Values, op: SimNeurons, key: Any) -> None:
    kind: Any = values.sides.native[op]
    # Neurons that send spikes of the rates of others have the current of these.
    rates = rates_before(op, values.sides.table) if isinstance(kind, Converted) else None
    base, size = (rates or op).J.base, op.J.size
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
    matrix = values.sides.native[encoding].dense() if encoding else None  # type: ignore[union-attr]
    encoders, gain, radius = _tuned(values, ensemble, matrix, size)
    made = g.Neurons(
        size=size,
        path=_path(values, op, base),
        dims=encoders.shape[1],
        neuron=kind,
        radius=radius,
        tuning=g.Tuned(encoders, gain, bias, lambda: np.zeros((0, encoders.shape[1]))),
        seed=0,
        initial_state={
            name: np.array(signal.initial_value, np.float64)
            for name, signal in states(op, values.sides.table).items()
        },
    )
    name = values.new(key, made.path, made)
    values.pending.append(lambda: _feed(values, name, base, encoding, rest))


def _path(values: Values, op: SimNeurons, base: Signal) -> str:
    """The path of a population; that of rates is named after the neurons that send spikes of them."""
    after = keeper(values, op)
    if after is op:
        return values.names.population(op, base)
    return values.names.unique(f"{population(values, after)}~rates")


def keeper(values: Values, op: SimNeurons) -> SimNeurons:
    """The operator whose population keeps the state of neurons: of rates, that which sends spikes of them."""
    after = spikes_after(op, values.sides.table)
    return after if after is not None and isinstance(values.sides.native.get(after), Converted) else op


def state(values: Values, op: SimNeurons, base: Signal) -> str:
    """The node of a state variable of neurons as a signal."""
    variable = next(key for key, signal in op.state.items() if signal is base)
    return state_value(values.graph, population(values, keeper(values, op)), base.size, variable)


def current(values: Values, op: SimNeurons) -> str:
    """The node of the current J of all neurons of an operator: made of what its population is given."""
    name = population(values, op)
    total = values.graph.add(values.names.unique(f"{name}.current"), g.Sum(size=op.J.size))
    # First of what is pending, and so done last: when the population has its inputs.
    values.pending.insert(0, lambda: _add_currents(values, name, total))
    return total


def _add_currents(values: Values, name: str, total: str) -> None:
    pl.add_current(values.graph, name, total)


def described(model: Model, ensemble: Any) -> tuple[g.Array, g.Array, float]:
    """Encoders, gains and radius of an ensemble, of which Nengo made gain * encoders / radius."""
    built = model.params[ensemble]
    return np.array(built.encoders, np.float64), np.array(built.gain, np.float64), float(ensemble.radius)


def _tuned(
    values: Values, ensemble: Any, matrix: g.Array | None, size: int
) -> tuple[g.Array, g.Array, float]:
    """Encoders, gains and radius of neurons; 1 but for the encoders where Nengo made none.

    `matrix` None: the encoders learn.  What they are at first is known all the same, and with it the largest
    activity.
    """
    built = None if ensemble is None else values.model.params.get(ensemble)
    if built is not None and built.gain is not None:
        encoders, gain, radius = described(values.model, ensemble)
        scaled = encoders * (gain / radius)[:, None]
        if matrix is None or (
            scaled.shape == matrix.shape and np.allclose(scaled, matrix, rtol=1e-5, atol=0.0)
        ):
            return encoders, gain, radius
    return (np.zeros((size, 1)) if matrix is None else matrix), np.ones(size), 1.0


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
    gain = values.graph.op(name).gain
    forms = {writer: values.through(writer) for writer in rest}
    currents = [writer for writer, form in forms.items() if _scaled(form, gain)]
    if currents:
        total = values.graph.add(values.names.unique(f"{name}.neurons.in"), g.Sum(size=base.size))
        values.connect(total, [values.linear(replace(forms[writer], values=None)) for writer in currents])
        values.graph.connect(total, name, "J")
    # What encoders that learn make of the input comes first.
    others = sorted((w for w in rest if w not in currents), key=lambda w: not _by_encoders(values, w))
    terms = [node for writer in others for node in values.term(writer, base)]
    terms += [values.part(k, base) for k, call in enumerate(values.calls) if base in call.gives]
    if terms:
        total = values.graph.add(values.names.unique(f"{name}.encoded.in"), g.Sum(size=base.size))
        values.connect(total, terms)
        values.graph.connect(total, name, "encoded")


def _by_encoders(values: Values, writer: Operator) -> bool:
    """Whether an operator multiplies by encoders that learn."""
    form = values.sides.native[writer]
    return isinstance(form, Learning) and any(isinstance(rule, SimVoja) for rule in form.rules)


def _scaled(form: Any, gain: g.Array) -> bool:
    """Whether an operator adds currents to neurons times their gains, as connections to neurons do."""
    return (
        isinstance(form, Linear)
        and form.block is None
        and form.values is not None
        and np.array_equal(form.values, gain[form.rows])
    )
