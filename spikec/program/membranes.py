"""How the state of neurons is kept: the rows of a group's array, and what they say of each variable.

A row is a variable of the neuron type, but for LIF neurons, which count time by what it does to a voltage
(see `spike_runtime.ops.lif`): they have `REST` instead of the refractory time, and most often one row
`MEMBRANE` for voltage and rest.  Neurons of which one of the two is recorded have a row for each, and so have
those that one number does not describe.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.errors import model_error
from spikec.nef.neurons import LIF, NeuronType

MEMBRANE, REST = "membrane", "rest"
APART = ("voltage", REST)
Array = NDArray[np.floating]
# exp of more is not told from infinity by numbers that begin at 1.
LARGEST = 40.0
EPS = {dtype: float(np.finfo(dtype).eps) for dtype in ("float32", "float64")}


@dataclass(frozen=True, order=True)
class Kept:
    """The kind of kernel of neurons (see `spike_runtime.ops.updates`), and the rows of their state."""

    kind: str
    rows: tuple[str, ...]


def variables(neuron: NeuronType) -> tuple[str, ...]:
    """The variables that are kept of a neuron type."""
    if isinstance(neuron, LIF):
        return tuple(REST if name == "refractory_time" else name for name in neuron.state)
    return neuron.state


def kept(name: str, graph: g.Graph, dtype: str) -> Kept:
    """How the state of an atom is kept."""
    atom = graph.op(name)
    neuron = atom.neurons.neuron
    if not isinstance(neuron, LIF):
        return Kept(neuron.kind, neuron.state)
    read = {_variable(graph.op(reader)) for reader, _ in graph.readers(name)}
    recorded = not read.isdisjoint(("voltage", "refractory_time"))
    _check_precision(atom, neuron, graph.dt, dtype)
    if recorded or neuron.min_voltage != 0 or not _one_number(atom.neurons, neuron, graph.dt, dtype):
        return Kept(f"wide_{neuron.kind}", variables(neuron))
    return Kept(neuron.kind, (MEMBRANE, *(name for name in variables(neuron) if name not in APART)))


def _variable(reader: g.Operator) -> str:
    """The state variable that is recorded of neurons, or read, "" for none."""
    match reader:
        case g.Probe():
            return reader.attribute
        case g.StateValue():
            return reader.variable
    return ""


def _check_precision(atom: g.Atom, neuron: LIF, dt: float, dtype: str) -> None:
    """The rest after a spike is m G - 1 + exp(phi / tau_rc) (1 - h): the factor magnifies rounding."""
    phi = neuron.tau_ref % dt
    if min(phi, dt - phi) < 1e-9 * dt or math.exp(min(phi / neuron.tau_rc, LARGEST)) * EPS[dtype] < 1e-4:
        return
    more = "compile in float64, or with a smaller step" if dtype == "float32" else "take a smaller step"
    raise model_error(
        f"{atom.path}: a tau_rc of {neuron.tau_rc:g} s is too short for steps of {dt:g} s in {dtype}",
        f"{more}, or give a tau_ref of whole steps",
        atom.span,
    )


def _one_number(population: g.Population, neuron: LIF, dt: float, dtype: str) -> bool:
    """Whether the first state is one that neurons come to by themselves: at 0 while they rest.

    Of all neurons of a population: its atoms are kept alike.
    """
    if not population.initial_state:
        return True
    voltage, left = _voltage_and_rest(population, slice(None), neuron, dt, dtype)
    return bool(np.all(np.where(left > 0, voltage == 0, (voltage >= 0) & (voltage <= 1))))


def _voltage_and_rest(
    population: g.Population, part: slice, neuron: LIF, dt: float, dtype: str
) -> tuple[Array, Array]:
    left = rest(_initial(population, "refractory_time")[part], scales(neuron, dt))
    return _initial(population, "voltage")[part].astype(dtype), left.astype(dtype)


def _initial(population: g.Population, variable: str) -> Array:
    values = population.initial_state.get(variable)
    return np.zeros(population.size) if values is None else values


def initial(atom: g.Atom, rows: tuple[str, ...], dt: float, dtype: str) -> Array:
    """The state of an atom before the first step, rows x neurons."""
    state, neuron = np.zeros((len(rows), atom.size), dtype), atom.neurons.neuron
    part = slice(atom.start, atom.start + atom.size)
    for k, row in enumerate(rows if atom.neurons.initial_state or REST in rows else ()):
        if row in (MEMBRANE, REST):
            assert isinstance(neuron, LIF)
            voltage, left = _voltage_and_rest(atom.neurons, part, neuron, dt, dtype)
            state[k] = left if row == REST else np.where(left > 0, -left, voltage)
        else:
            state[k] = _initial(atom.neurons, row)[part]
    return state


def read(state: Array, rows: tuple[str, ...], variable: str, neuron: NeuronType, dt: float) -> Array:
    """A variable of neurons with this state, a number for each neuron.

    Where one number says all, a refractory time that is at most dt is 0: it has no effect any more.
    """
    if variable in rows:
        return np.asarray(state[rows.index(variable)])
    if variable == "voltage":
        return np.asarray(np.maximum(state[rows.index(MEMBRANE)], 0))
    assert isinstance(neuron, LIF)
    if REST in rows:
        return refractory_time(state[rows.index(REST)], scales(neuron, dt))
    left = -state[rows.index(MEMBRANE)]
    return np.asarray(np.where(left > 0, refractory_time(left, scales(neuron, dt)), 0))


# ------------------------------------------------------------------------------------- times of neurons


def scales(neuron: LIF, dt: float) -> tuple[float, float, float]:
    """dt, the part G of the way to J that a voltage goes in a step, and tau_rc."""
    return dt, -math.expm1(-dt / neuron.tau_rc), neuron.tau_rc


def lines(neuron: LIF, dt: float) -> tuple[float, float, float, float, float]:
    """G, and minus the two lines of which the lesser is the rest after a spike: at 0, and the slope, of each
    (see `spike_runtime.ops.lif`).  Where tau_ref is two or more whole steps one is enough, and given twice.
    """
    _, step, tau_rc = scales(neuron, dt)
    m = math.floor(neuron.tau_ref / dt + 1e-9)
    phi = max(neuron.tau_ref - m * dt, 0.0)
    first, second = (math.exp(min(t / tau_rc, LARGEST)) for t in (phi, phi - dt))
    if m >= 2 and phi < 1e-9 * dt:
        return step, -m * step, 1.0, -m * step, 1.0
    return step, 1.0 - first - m * step, first, 1.0 - second - (m + 1) * step, second


def times(p: Array) -> tuple[Array, Array]:
    """tau_rc and tau_ref of rows that begin with dt, G and the first line."""
    dt, step, at_0, slope = p[:, :4].T.astype(np.float64)
    tau_rc = -dt / np.log1p(-np.minimum(step, 1.0 - EPS["float32"]))
    return tau_rc, (1.0 - slope - at_0) / step * dt + tau_rc * np.log(slope)


def rest(refractory: Array, scale: tuple[float, float, float]) -> Array:
    """The rest of neurons with a refractory time, as Nengo counts it: from the beginning of the last step."""
    dt, step, tau_rc = scale
    whole = np.floor(refractory / dt)
    active = np.minimum((whole + 1.0) * dt - refractory, dt)
    left = whole * step + np.expm1(-active / tau_rc)
    return np.asarray(
        np.where(left > 1e-9 * step, left, np.minimum(left, 0.0))
    )  # what is rounding is nothing


def refractory_time(left: Array, scale: tuple[float, float, float]) -> Array:
    """The refractory time in s of neurons with this rest."""
    dt, step, tau_rc = scale
    whole = np.floor(np.asarray(left, np.float64) / step)
    active = -tau_rc * np.log1p(-((whole + 1.0) * step - left))
    return np.asarray((whole + 2.0) * dt - np.minimum(active, dt))
