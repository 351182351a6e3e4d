"""Learned weights in the graph: what their rules read, and their products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from nengo.builder import Operator, Signal
from nengo.builder.operator import DotInc

from spikec import changes as ch
from spikec import graph as g
from spikec import plasticity as pl
from spikec.nef.neurons import NeuronType
from spikec.nengo.forms import Preset
from spikec.nengo.learning import Learning, block, inputs, one_error, rule
from spikec.nengo.populations import described
from spikec.nengo.processes import Synapse
from spikec.nengo.signals import Ints, whole

if TYPE_CHECKING:
    from spikec.nengo.values import Values

# Signals of these stand in one piece, as what learned weights multiply must.
IN_ONE_PIECE = (g.Sum, g.Filter, g.Delay, g.Decoders, g.Product)


def product(values: Values, op: Any, form: Learning) -> str:
    """The product of learned weights, or of some rows and columns of them, and a signal."""
    rows, columns = form.weights.shape
    name = f"{values.names.of(form.weights)}.product"
    made = values.graph.add(values.names.unique(name), pl.Learned(size=rows))
    values.graph.connect(weights(values, form), made, "weights")
    found = block(op.A)
    assert found is not None
    values.pending.append(partial(_multiplied, values, op, made, found[1], columns))
    if np.array_equal(found[0], np.arange(rows)):
        return made
    chosen = sp.csr_array((np.ones(len(found[0])), found[0], np.arange(len(found[0]) + 1)))
    chosen.resize(len(found[0]), rows)
    return values.product(f"{name}.part", made, chosen)


def _multiplied(values: Values, op: Any, name: str, taken: Ints, columns: int) -> None:
    """Connect what is multiplied: a vector of some components is 0 in the others."""
    given = _piece(values, op.X)
    if not np.array_equal(taken, np.arange(columns)):
        given = values.product(f"{name}.whole", given, _placing(taken, columns))
    values.graph.connect(given, name)


def weights(values: Values, form: Learning) -> str:
    """The node of learned weights."""
    key = (form.weights, "weights")
    if key not in values.known:
        rows, columns = form.weights.shape
        ports: dict[str, Callable[[], str]] = {}
        rules = []
        for k, op in enumerate(form.rules):
            filtered = []
            for port, signal in inputs(op).items():
                if port == "learning":
                    ports[f"{port}.{k}"] = partial(_less_one, values, signal)
                    continue
                process = _synapse_of(values, signal)
                if process is not None:
                    filtered.append(port)
                read = partial(_rule_input, values, signal, process)
                ports[f"{port}.{k}"] = partial(_for_all, values, read, rows) if one_error(op, port) else read
            made = rule(op, values.model.dt, columns, tuple(filtered))
            ensemble = _encoded_by(values, form.weights)
            if isinstance(made, pl.Voja) and ensemble is not None:
                _, gain, radius = described(values.model, ensemble)
                made = replace(made, scale=gain / radius)
            rules.append(made)
        initial = _initial(values, form.weights)
        operator = pl.Weights(size=rows, columns=columns, rules=tuple(rules), initial=initial)
        name = values.new(key, values.names.of(form.weights), operator)
        for port, source in ports.items():
            values.pending.append(partial(_connect, values, source, name, port))
    return values.known[key]


def change(values: Values, op: Operator, form: Learning, signal: Signal, late: bool = False) -> str:
    """The node of what a rule adds to weights in a step, or of P of an RLS (`late`: in the step before)."""
    made = ch.change if signal.base is op.updates[0].base else ch.inverse
    return made(values.graph, weights(values, form), form.rules.index(op), late)


def _encoded_by(values: Values, signal: Signal) -> Any:
    """The ensemble that a signal holds the encoders of, None for any other signal."""
    found = (obj for obj, s in values.model.sig.items() if s.get("encoders") is signal.base)
    return next(found, None)


def _initial(values: Values, signal: Signal) -> g.Array:
    """Weights before the first step: of encoders, gain * encoders / radius in double precision."""
    ensemble = _encoded_by(values, signal)
    if ensemble is None:
        return np.array(signal.initial_value, np.float64)
    encoders, gain, radius = described(values.model, ensemble)
    return np.asarray(encoders * (gain / radius)[:, None])


def _synapse_of(values: Values, signal: Signal) -> Operator | None:
    """The process that sets a signal at once, where it is a synapse and all there is."""
    writers = values.sides.table.of[signal.base].writers if signal.base in values.sides.table.of else []
    if len(writers) != 1 or not whole(signal):
        return None
    form = values.sides.native.get(writers[0])
    return writers[0] if isinstance(form, Synapse) and form.at_once else None


def _rule_input(values: Values, signal: Signal, process: Any) -> str:
    """What a rule reads: the filter itself where it is one (it includes the activity of the step)."""
    if process is None:
        return _encoded(values, signal) or _piece(values, signal)
    form = values.sides.native[process]
    assert isinstance(form, Synapse)
    made = values.graph.add(
        values.names.unique(f"{values.names.of(signal)}.filtered"), form.filter(signal.size)
    )
    values.graph.connect(values.read(process.input), made)
    return made


def _for_all(values: Values, read: Callable[[], str], rows: int) -> str:
    """What is read, one number, for every row."""
    name = read()
    if rows == 1:
        return name
    return values.product(f"{name}.everywhere", name, sp.csr_array(np.ones((rows, 1))))


def _encoded(values: Values, signal: Signal) -> str:
    """An error that is encoded for every neuron of an ensemble, "" for any other signal."""
    writers = [
        op
        for op in values.sides.table.of[signal.base].writers
        if not isinstance(values.sides.native.get(op), Preset)
    ]
    if len(writers) != 1 or type(writers[0]) is not DotInc or not whole(signal):
        return ""
    op = writers[0]
    ensemble = _encoded_by(values, op.A)
    found = None if ensemble is None else block(op.A)
    if found is None or not whole(op.X) or not values.sides.table.constant(op.A):
        return ""
    activity = values.model.sig[ensemble.neurons]["out"].base
    neurons = values.sides.table.of[activity].writers
    if len(neurons) != 1 or not isinstance(values.sides.native.get(neurons[0]), NeuronType):
        return ""
    name = values.names.unique(f"{values.names.of(signal)}.encoded")
    neuron, taken = found
    everyone = np.array_equal(neuron, np.arange(len(op.A.base.initial_value)))
    chosen = None if everyone else tuple(neuron.tolist())
    made = values.graph.add(name, pl.Encoding(size=signal.size, rows=chosen))
    values.graph.connect(values.neurons(neurons[0]), made, "encoders")
    error, dims = values.value(op.X.base), op.A.base.shape[1]
    if not np.array_equal(taken, np.arange(dims)):
        # An error of some dimensions is 0 in the others.
        error = values.product(f"{name}.whole", error, _placing(taken, dims))
    values.graph.connect(error, made)
    return made


def _placing(taken: Ints, dims: int) -> g.Matrix:
    """The matrix that puts a vector where `taken` says, in the form that copies of parts have."""
    entries = (np.ones(len(taken)), (taken, np.arange(len(taken))))
    return sp.csr_array(sp.coo_array(entries, shape=(dims, len(taken))))


def _less_one(values: Values, signal: Signal) -> str:
    """A learning signal as ours: what is added to 1, to which it is set where nobody else does."""
    writers = values.sides.table.of[signal.base].writers
    forms = [values.sides.native.get(op) for op in writers]
    if whole(signal) and [f.value for f in forms if isinstance(f, Preset)] == [1.0] and None not in forms:
        name = values.names.unique(values.names.of(signal))
        made = values.graph.add(name, g.Sum(size=signal.size))
        added = [op for op, form in zip(writers, forms, strict=True) if not isinstance(form, Preset)]
        values.connect(made, [node for op in added for node in values.term(op, signal.base)])
        return made
    name = values.names.unique(f"{values.names.of(signal)}.minus_one")
    minus = values.graph.add(name, g.Constant(size=signal.size, value=(-1.0,) * signal.size))
    return values.one_piece([values.read(signal), minus], signal.size)


def _piece(values: Values, signal: Signal) -> str:
    """The node of a signal, in one piece."""
    node = values.read(signal)
    return node if isinstance(values.graph.op(node), IN_ONE_PIECE) else values.one_piece([node], signal.size)


def _connect(values: Values, source: Callable[[], str], name: str, port: str) -> None:
    values.graph.connect(source(), name, port)
