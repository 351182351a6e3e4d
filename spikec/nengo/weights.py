"""Learned weights in the graph: what their rules read, and their products."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.builder import Operator, Signal

from spikec import graph as g
from spikec import plasticity as pl
from spikec.nengo.learning import Learning, inputs, rule
from spikec.nengo.processes import Synapse
from spikec.nengo.signals import whole

if TYPE_CHECKING:
    from spikec.nengo.values import Values

# Signals of these stand in one piece, as what learned weights multiply must.
IN_ONE_PIECE = (g.Sum, g.Filter, g.Delay, g.Decoders, g.Product)


def product(values: Values, op: Operator, form: Learning) -> str:
    """The product of learned weights and a signal."""
    rows, _ = form.weights.shape
    made = values.graph.add(
        values.names.unique(f"{values.names.of(form.weights)}.product"), pl.Learned(size=rows)
    )
    values.graph.connect(weights(values, form), made, "weights")
    values.pending.append(lambda: values.graph.connect(_piece(values, op.X), made))
    return made


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
                ports[f"{port}.{k}"] = partial(_rule_input, values, signal, process)
            rules.append(rule(op, values.model.dt, columns, tuple(filtered)))
        initial = np.array(form.weights.initial_value, np.float64)
        operator = pl.Weights(size=rows, columns=columns, rules=tuple(rules), initial=initial)
        name = values.new(key, values.names.of(form.weights), operator)
        for port, source in ports.items():
            values.pending.append(partial(_connect, values, source, name, port))
    return values.known[key]


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
        return _piece(values, signal)
    form = values.sides.native[process]
    assert isinstance(form, Synapse)
    made = values.graph.add(
        values.names.unique(f"{values.names.of(signal)}.filtered"), form.filter(signal.size)
    )
    values.graph.connect(values.read(process.input), made)
    return made


def _less_one(values: Values, signal: Signal) -> str:
    """A learning signal as ours: what is added to 1."""
    name = values.names.unique(f"{values.names.of(signal)}.minus_one")
    minus = values.graph.add(name, g.Constant(size=signal.size, value=(-1.0,) * signal.size))
    return values.one_piece([values.read(signal), minus], signal.size)


def _piece(values: Values, signal: Signal) -> str:
    """The node of a signal, in one piece."""
    node = values.read(signal)
    return node if isinstance(values.graph.op(node), IN_ONE_PIECE) else values.one_piece([node], signal.size)


def _connect(values: Values, source: Callable[[], str], name: str, port: str) -> None:
    values.graph.connect(source(), name, port)
