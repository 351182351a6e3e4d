"""Nengo as oracle: the same network with the same encoders, gains, biases and decoders.

Nengo draws nothing itself here: its ensembles and solvers are given what the compiler built, and its
neurons begin at rest, as ours do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import inprocess
import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.frontend import loads
from spikec.nef import neurons as nt
from spikec.nef.build import build
from spikec.nef.converted import RegularSpiking

with warnings.catch_warnings():  # Nengo 4.1 imports names that NumPy 2.4 deprecates
    warnings.simplefilter("ignore")
    import nengo

# Decoders are given, so there is nothing to cache; and two test processes would meet at the cache's lock.
nengo.rc.set("decoder_cache", "enabled", "False")

Array = NDArray[np.float64]
DT = 0.001  # s

NENGO: dict[str, Callable[[Any], nengo.neurons.NeuronType]] = {
    "lif": lambda n: nengo.LIF(
        n.tau_rc, n.tau_ref, n.min_voltage, n.amplitude, initial_state=_rest("voltage")
    ),
    "lif_rate": lambda n: nengo.LIFRate(n.tau_rc, n.tau_ref, n.amplitude),
    "adaptive_lif": lambda n: nengo.AdaptiveLIF(
        n.tau_n, n.inc_n, n.tau_rc, n.tau_ref, n.min_voltage, n.amplitude, initial_state=_rest("voltage")
    ),
    "rectified_linear": lambda n: nengo.RectifiedLinear(n.amplitude),
    "spiking_rectified_linear": lambda n: nengo.SpikingRectifiedLinear(
        n.amplitude, initial_state=_rest("voltage")
    ),
    "sigmoid": lambda n: nengo.Sigmoid(n.tau_ref),
    "tanh": lambda n: nengo.Tanh(n.tau_ref),
    "adaptive_lif_rate": lambda n: nengo.AdaptiveLIFRate(
        n.tau_n, n.inc_n, n.tau_rc, n.tau_ref, n.amplitude, initial_state={}
    ),
    "izhikevich": lambda n: nengo.Izhikevich(
        n.tau_recovery, n.coupling, n.reset_voltage, n.reset_recovery, initial_state=_rest("voltage")
    ),
}


def _rest(name: str) -> dict[str, nengo.dists.Distribution]:
    return {name: nengo.dists.Choice([0.0])}


def neuron_type(neuron: nt.NeuronType) -> nengo.neurons.NeuronType:
    """Nengo's neuron type with the parameters of ours, beginning at rest."""
    if isinstance(neuron, RegularSpiking):
        return nengo.RegularSpiking(neuron_type(neuron.base), neuron.amplitude, _rest("voltage"))
    return NENGO[neuron.kind](neuron)


@dataclass(frozen=True, eq=False)
class Model:
    """A model in the language, built: what both simulators are given."""

    text: str
    folder: Path | None = None

    @cached_property
    def lowered(self) -> g.Graph:
        return loads(self.text, "model.spk", self.folder)

    @cached_property
    def built(self) -> g.Graph:
        """Neurons and decoders under the names that the language gives them: no pass has merged anything
        yet.
        """
        return build(self.lowered)

    def neurons(self, path: str) -> g.Neurons:
        op = self.built.op(path)
        assert isinstance(op, g.Neurons)
        return op

    def ensemble(self, path: str) -> nengo.Ensemble:
        """The ensemble at `path` in the Nengo network under construction."""
        op = self.neurons(path)
        return self.adopt(nengo.Ensemble(op.size, op.dims, label=path), path)

    def adopt(self, ensemble: nengo.Ensemble, path: str) -> nengo.Ensemble:
        """Give an ensemble of one of Nengo's own networks what was built for the one at `path`."""
        op = self.neurons(path)
        assert (ensemble.n_neurons, ensemble.dimensions) == (op.size, op.dims)
        ensemble.radius, ensemble.neuron_type = op.radius, neuron_type(op.neuron)
        ensemble.encoders, ensemble.normalize_encoders = op.encoders, False
        ensemble.gain, ensemble.bias, ensemble.eval_points = op.gain, op.bias, op.eval_points
        return ensemble

    def solver(self, connection: str, factor: float = 1.0) -> nengo.solvers.NoSolver:
        """The decoders of the connection or probe of that name times `factor`: neurons x dimensions."""
        node = f"{connection}.decode" if f"{connection}.decode" in self.built else connection
        # What a probe reads may be decoded for a connection already.
        while not isinstance(op := self.built.op(node), g.Decoders):
            node = self.built.inputs(node)[0]
        return nengo.solvers.NoSolver(op.matrix.T * factor, weights=False)

    def run(self, steps: int, dtype: str = "float64", partitions: int = 1) -> dict[str, Array]:
        """Probe data by name; of spikes, the number of each neuron's in each step (steps x neurons)."""
        recorded = inprocess.run(self.lowered, partitions, dtype, steps)
        return {
            op.name: _counts(recorded[op.name], steps, op.size)
            if op.attribute == "spikes"
            else recorded[op.name]
            for _, op in self.lowered.nodes(g.Probe)
        }


def _counts(events: NDArray[np.int64], steps: int, size: int) -> Array:
    counts = np.zeros((steps, size))
    np.add.at(counts, (events[:, 0] - 1, events[:, 1]), 1)
    return counts


def simulate(network: nengo.Network, steps: int, dt: float = DT) -> dict[str, Array]:
    """Probe data of a Nengo network by the labels of its probes, in float64."""
    with nengo.Simulator(network, dt=dt, progress_bar=False, optimize=False) as simulator:
        simulator.run_steps(steps)
    return {probe.label: np.array(simulator.data[probe]) for probe in network.probes}


def assert_equal(ours: Array, nengos: Array, tolerance: float = 1e-9) -> None:
    """Equal shape, some signal at all, and no difference above `tolerance` (of the largest value, at least
    1).
    """
    assert ours.shape == nengos.shape
    assert np.abs(nengos).max() > 0, "nothing to compare: the signal is 0 throughout"
    scale = max(1.0, float(np.abs(nengos).max()))
    difference = np.abs(ours - nengos)
    worst = np.unravel_index(int(difference.argmax()), difference.shape)
    assert difference.max() <= tolerance * scale, (
        f"differs by {difference.max():.3g} at sample {worst[0]}, column {worst[1:]}: "
        f"{ours[worst]!r}, Nengo {nengos[worst]!r}"
    )
