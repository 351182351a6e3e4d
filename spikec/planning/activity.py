"""How often neurons spike while their ensembles represent 0: how many decoders are read, what is recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.program import layout as la
from spikec.program import membranes
from spikec.program.atoms import parameters

# Columns of the table of atoms (see `atoms.neuron_group`).
COUNT, DIMS, ROWS, GATHER, ACTIVITY = 1, 2, 5, 8, 10

_IZHIKEVICH_RATE = 100.0  # Hz, a guess for gathered decoders: there is no formula


def expected_spikes(atom: g.Atom, dt: float) -> float:
    """Spikes per step of the neurons of an atom, while their ensemble represents 0."""
    neuron, bias = atom.neurons.neuron, atom.bias.astype(np.float64)
    return float(_spikes(neuron.kind, bias, np.array(parameters(neuron, dt))[None]).sum())


def _spikes(kind: str, J: NDArray[Any], p: NDArray[Any]) -> NDArray[np.float64]:
    """Spikes per step of neurons with input current J, the bias, that is while the ensemble represents 0.

    p: rows of parameters from dt on, one for each neuron or one for all.
    """
    if kind == "izhikevich":
        return np.full(np.shape(J), _IZHIKEVICH_RATE * float(p[0, 0]))
    if kind.endswith("rectified_linear"):
        amplitude = 1.0 if kind.startswith("spiking") else p[:, 1]
        return np.asarray(np.maximum(J, 0.0) * amplitude * p[:, 0], np.float64)
    if kind.endswith("sigmoid"):
        return np.asarray(p[:, 0] / (p[:, 1] * (1.0 + np.exp(-J))), np.float64)
    if kind.endswith("tanh"):
        return np.asarray(p[:, 0] / p[:, 1] * np.abs(np.tanh(J)), np.float64)
    tau_rc, tau_ref = (p[:, 1], p[:, 2]) if kind.endswith("rate") else membranes.times(p)
    excess = np.maximum(J - 1.0, 1e-12)
    rate = 1.0 / (tau_ref + tau_rc * np.log1p(1.0 / excess))
    return np.asarray(np.where(J > 1.0, p[:, 0] * rate, 0.0), np.float64)


def atom_table(stage: la.NeuronGroup) -> NDArray[np.int64]:
    """A row (count, dims, rows, gather, activity) for every atom."""
    table = stage.arrays["atoms"][:, [COUNT, DIMS, ROWS, GATHER, ACTIVITY]]
    table[:, 4] = table[:, 4] >= 0
    return table


def atom_spikes(stage: la.NeuronGroup) -> NDArray[np.float64]:
    """Spikes per step of every atom whose decoders are gathered, 0 for the others."""
    atoms = stage.arrays["atoms"]
    if not atoms[:, GATHER].any():
        return np.zeros(len(atoms))
    p = np.repeat(stage.arrays["parameters"][:, 1:5].astype(np.float64), atoms[:, COUNT], axis=0)
    spikes = _spikes(stage.kind, np.asarray(stage.joined["bias"], np.float64), p)
    return np.asarray(np.add.reduceat(spikes, atoms[:, 0]) * atoms[:, GATHER], np.float64)
