"""How the state of neurons is kept: the rows of a group's array, and what they say of each variable.

A row is a variable of the neuron type, or `MEMBRANE`: voltage and refractory time of a LIF neuron in one
number, as `spike_runtime.ops.lif` says.  Neurons of which one of the two is recorded have a row for each, and
so have those that one number does not describe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.nef.neurons import LIF

MEMBRANE = "membrane"
APART = ("voltage", "refractory_time")
Array = NDArray[np.floating]


@dataclass(frozen=True, order=True)
class Kept:
    """The kind of kernel of neurons (see `spike_runtime.ops.updates`), and the rows of their state."""

    kind: str
    rows: tuple[str, ...]


def kept(name: str, graph: g.Graph, dtype: str) -> Kept:
    """How the state of an atom is kept."""
    atom = graph.op(name)
    neuron = atom.neurons.neuron
    if not isinstance(neuron, LIF):
        return Kept(neuron.kind, neuron.state)
    probes = (graph.op(reader) for reader, _ in graph.readers(name))
    recorded = any(isinstance(op, g.Probe) and op.attribute in APART for op in probes)
    if recorded or neuron.min_voltage != 0 or not _one_number(atom, graph.dt, dtype):
        return Kept(f"wide_{neuron.kind}", neuron.state)
    return Kept(neuron.kind, (MEMBRANE, *(variable for variable in neuron.state if variable not in APART)))


def _one_number(atom: g.Atom, dt: float, dtype: str) -> bool:
    """Whether the first state is one that neurons come to by themselves: at 0 while they are refractory."""
    voltage, refractory = (_initial(atom, variable).astype(dtype) for variable in APART)
    resting = refractory > np.dtype(dtype).type(dt)
    return bool(np.all(np.where(resting, voltage == 0, voltage >= 0)))


def _initial(atom: g.Atom, variable: str) -> Array:
    values = atom.neurons.initial_state.get(variable)
    return np.zeros(atom.size) if values is None else values[atom.start : atom.start + atom.size]


def initial(atom: g.Atom, rows: tuple[str, ...], dt: float, dtype: str) -> Array:
    """The state of an atom before the first step, rows x neurons."""
    state = np.zeros((len(rows), atom.size), dtype)
    for k, row in enumerate(rows if atom.neurons.initial_state else ()):
        if row == MEMBRANE:
            voltage, refractory = (_initial(atom, variable).astype(dtype) for variable in APART)
            state[k] = np.where(refractory > np.dtype(dtype).type(dt), -refractory, voltage)
        else:
            state[k] = _initial(atom, row)
    return state


def read(state: Array, rows: tuple[str, ...], variable: str) -> Array:
    """A variable of neurons with this state, rows x neurons; 0 for a refractory time that is at most dt."""
    if variable in rows:
        return np.asarray(state[rows.index(variable)])
    membrane = state[rows.index(MEMBRANE)]
    return np.asarray(np.maximum(membrane if variable == "voltage" else -membrane, 0))
