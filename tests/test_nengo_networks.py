"""Whole networks of Nengo's users on Spike: equal to Nengo's simulator, and to the bit for every cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spikec.nengo import Simulator  # before Nengo: its warnings of its own imports are caught there

import nengo  # isort: skip
from nengo.networks import BasalGanglia, CircularConvolution, EnsembleArray, Product, Thalamus  # isort: skip

nengo.rc.set("decoder_cache", "enabled", "False")
STEPS = 120


def integrator() -> None:
    stimulus = nengo.Node(nengo.processes.Piecewise({0: 0, 0.02: 1, 0.06: -1}))
    x = nengo.Ensemble(120, 1)
    nengo.Connection(stimulus, x, transform=0.1, synapse=0.1)
    nengo.Connection(x, x, synapse=0.1)
    nengo.Probe(x, synapse=0.01)
    nengo.Probe(x.neurons)
    nengo.Probe(x.neurons, "voltage")


def lorenz() -> None:
    def step(x: np.ndarray) -> list[float]:
        return [10 * (x[1] - x[0]), -x[0] * x[2] - x[1], x[0] * x[1] - 8 / 3 * (x[2] + 28) + 28]

    x = nengo.Ensemble(300, 3, radius=60)
    nengo.Connection(x, x, function=lambda y: 0.1 * np.array(step(y)) + y, synapse=0.1)
    nengo.Probe(x, synapse=0.02)
    nengo.Probe(x, "input")


def products() -> None:
    stimulus = nengo.Node(lambda t: [np.sin(9 * t), np.cos(5 * t)])
    product = Product(60, 2)
    nengo.Connection(stimulus, product.input_a)
    nengo.Connection(stimulus[[1, 0]], product.input_b, synapse=None)
    nengo.Probe(product.output, synapse=nengo.Alpha(0.01))


def binding() -> None:
    rng = np.random.RandomState(3)
    bound = CircularConvolution(30, 8)
    for vector, port in ((rng.randn(8) / 3, bound.input_a), (rng.randn(8) / 3, bound.input_b)):
        nengo.Connection(nengo.Node(vector), port)
    nengo.Probe(bound.output, synapse=0.03, sample_every=0.002)


def action_selection() -> None:
    stimulus = nengo.Node(lambda t: [0.8, 0.4 + t, 0.5])
    ganglia, thalamus = BasalGanglia(3, n_neurons_per_ensemble=40), Thalamus(3, n_neurons_per_ensemble=30)
    nengo.Connection(stimulus, ganglia.input)
    nengo.Connection(ganglia.output, thalamus.input)
    nengo.Probe(thalamus.output, synapse=0.015)


def arrays() -> None:
    array = EnsembleArray(30, 3, neuron_type=nengo.LIFRate())
    doubled = array.add_output("squares", np.square)
    nengo.Connection(nengo.Node([0.3, -0.5, 0.9]), array.input)
    target = nengo.Ensemble(50, 1, neuron_type=nengo.AdaptiveLIF())
    nengo.Connection(doubled, target, transform=np.ones((1, 3)) / 3)
    nengo.Probe(target.neurons)
    nengo.Probe(target.neurons, "adaptation")
    nengo.Probe(doubled)


def learning() -> None:
    stimulus = nengo.Node(lambda t: np.sin(30 * t))
    before, after, error = (nengo.Ensemble(40, 1) for _ in range(3))
    nengo.Connection(stimulus, before)
    learned = nengo.Connection(before, after, function=np.zeros_like, learning_rule_type=nengo.PES(1e-3))
    nengo.Connection(after, error)
    nengo.Connection(stimulus, error, transform=-1)
    nengo.Connection(error, learned.learning_rule)
    nengo.Probe(after, synapse=0.01)
    nengo.Probe(learned, "weights", sample_every=0.01)


def learning_to_parts_of_neurons() -> None:
    """Encoders of the neurons as they stand in the part; RLS, with one error for all of them."""
    before, after = nengo.Ensemble(30, 1, neuron_type=nengo.LIFRate()), nengo.Ensemble(40, 2)
    nengo.Connection(nengo.Node(lambda t: np.sin(30 * t)), before)
    for part in (slice(None), slice(None, None, -1), slice(20, 5, -3)):
        for source in (before, before.neurons):
            target, rule = after.neurons[part], nengo.PES(1e-3)
            weights = np.full((target.size_in, source.size_out), 0.01)
            taught = nengo.Connection(source, target, transform=weights, learning_rule_type=rule)
            nengo.Connection(nengo.Node([1.0, -2.0]), taught.learning_rule, synapse=None)
            nengo.Probe(taught, "weights")
    line = nengo.Ensemble(40, 1)
    weights = np.full((40, 1), 0.01)
    taught = nengo.Connection(before, line.neurons, transform=weights, learning_rule_type=nengo.RLS(1e-3))
    nengo.Connection(nengo.Node(0.5), taught.learning_rule, synapse=None)
    nengo.Probe(taught, "weights")
    for ensemble in (after, line):
        nengo.Probe(ensemble.neurons, "input")


class OwnNeurons(nengo.LIFRate):
    """A type of the user's own with a step of its own: it runs in Python."""

    def step(self, dt: float, J: Any, output: Any) -> None:
        super().step(dt, J, output)


def learning_from_neurons_in_python() -> None:
    before, after = (nengo.Ensemble(30, 1, neuron_type=OwnNeurons()) for _ in range(2))
    nengo.Connection(nengo.Node(lambda t: np.cos(9 * t)), before)
    learned = nengo.Connection(before, after, learning_rule_type=nengo.PES(1e-3))
    nengo.Connection(after, learned.learning_rule)
    nengo.Probe(after, synapse=0.01)
    nengo.Probe(learned, "weights", sample_every=0.01)


def neurons_of_own_types() -> None:
    """Each replaces something else: a step, how they are tuned, a method of the neurons alone."""

    class Stepping:
        def step(self, dt: float, J: Any, output: Any, **_: Any) -> None:
            output[...] = J * dt

    class Mixed(Stepping, nengo.LIF):
        pass

    class Tuned(nengo.LIF):
        def rates(self, x: Any, gain: Any, bias: Any) -> Any:
            return 0.5 * super().rates(x, gain, bias)

    class Replaced(nengo.LIF):
        def __init__(self) -> None:
            super().__init__()
            self.step = Stepping().step

    for neurons in (Mixed(), Tuned(), Replaced(), nengo.RegularSpiking(OwnNeurons())):
        x = nengo.Ensemble(20, 1, neuron_type=neurons)
        nengo.Connection(nengo.Node(lambda t: np.sin(30 * t)), x)
        nengo.Probe(x, synapse=0.01)
        nengo.Probe(x.neurons)


def neurons_to_neurons() -> None:
    rng = np.random.RandomState(5)
    a = nengo.Ensemble(30, 1, neuron_type=nengo.SpikingRectifiedLinear())
    b = nengo.Ensemble(20, 1)
    nengo.Connection(nengo.Node(0.7), a)
    nengo.Connection(a.neurons, b.neurons, transform=rng.randn(20, 30) * 1e-3, synapse=0.02)
    nengo.Connection(a.neurons[:5], b.neurons[::4], synapse=nengo.LinearFilter([1], [0.01, 1]))
    nengo.Probe(b.neurons)
    nengo.Probe(b.neurons, "input")


def in_and_out_of_python() -> None:
    """A loop through a node that keeps a state of its own, and another that only looks."""
    kept = [0.0]

    def remember(t: float, x: np.ndarray) -> float:
        kept[0] = kept[0] * 0.9 * (t > 0.0015) + 0.1 * x[0]
        return kept[0]

    a, b = nengo.Ensemble(50, 2), nengo.Ensemble(50, 1)
    node = nengo.Node(remember, size_in=1)
    nengo.Connection(nengo.Node([0.5, -0.2]), a)
    nengo.Connection(a, node, function=lambda x: x[0] * x[1])
    nengo.Connection(node, b, synapse=None)
    nengo.Connection(b, a[0], synapse=0.05)
    nengo.Probe(node)
    nengo.Probe(b, synapse=0.01)
    nengo.Probe(b.neurons)


def direct_and_noise() -> None:
    exact = nengo.Ensemble(1, 2, neuron_type=nengo.Direct())
    noisy = nengo.Ensemble(60, 1, noise=nengo.processes.WhiteNoise(seed=2), neuron_type=nengo.Tanh())
    signal = nengo.Node(nengo.processes.WhiteSignal(0.2, high=20, seed=1))
    nengo.Connection(signal, exact[0])
    nengo.Connection(exact, noisy, function=lambda x: np.exp(-x[0]) * np.cos(x[1]) / 3)
    nengo.Probe(exact)
    nengo.Probe(noisy, synapse=0.005)


NETWORKS: dict[str, Callable[[], None]] = {
    made.__name__: made
    for made in (
        integrator, lorenz, products, binding, action_selection, arrays, learning,
        learning_to_parts_of_neurons, learning_from_neurons_in_python, neurons_of_own_types,
        neurons_to_neurons, in_and_out_of_python, direct_and_noise,
    )
}  # fmt: skip


def run(kind: type, net: nengo.Network, **options: Any) -> list[np.ndarray]:
    with kind(net, progress_bar=False, seed=4, **options) as sim:
        sim.run_steps(STEPS)
        return [np.array(sim.data[probe]) for probe in net.all_probes]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_what_nengo_gives_however_it_is_cut(name: str) -> None:
    with nengo.Network(seed=11) as net:
        NETWORKS[name]()
    theirs = run(nengo.Simulator, net, optimize=False)
    whole, parts = run(Simulator, net), run(Simulator, net, partitions=2)
    for probe, reference, ours, cut in zip(net.all_probes, theirs, whole, parts, strict=True):
        assert np.abs(reference).max() > 0, probe
        assert ours.shape == reference.shape, probe
        bound = 1e-9 * max(1.0, np.abs(reference).max())
        np.testing.assert_allclose(ours, reference, rtol=0, atol=bound, err_msg=str(probe))
        assert ours.tobytes() == cut.tobytes(), probe
