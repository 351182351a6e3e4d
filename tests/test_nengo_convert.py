"""Nengo's operators in the dataflow graph: equal to Nengo's own simulator to rounding, spike for spike."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from converted import assert_equal, converted, nengo, reference, run

from spikec.nengo.processes import _coefficients, coefficients

STEPS = 120

NEURONS = {
    "lif": nengo.LIF(),
    "lif_low": nengo.LIF(tau_rc=0.03, tau_ref=0.001, min_voltage=-0.5, amplitude=0.2),
    "lif_slow_step": nengo.LIF(tau_rc=0.01),
    "lif_rate": nengo.LIFRate(amplitude=0.5),
    "adaptive": nengo.AdaptiveLIF(
        tau_n=0.05, inc_n=0.01, initial_state={"adaptation": nengo.dists.Uniform(0, 0.2)}
    ),
    "adaptive_rate": nengo.AdaptiveLIFRate(tau_n=0.05, inc_n=0.01),
    "rectified": nengo.RectifiedLinear(amplitude=0.3),
    "spiking_rectified": nengo.SpikingRectifiedLinear(),
    "sigmoid": nengo.Sigmoid(),
    "tanh": nengo.Tanh(),
    "izhikevich": nengo.Izhikevich(reset_recovery=2.0),
}
SYNAPSES = {
    "lowpass": nengo.Lowpass(0.01),
    "alpha": nengo.Alpha(0.02),
    "short": nengo.Lowpass(0.0001),
    "none": nengo.Lowpass(0.0),
    "second": nengo.LinearFilter([0.02, 1], [0.0004, 0.04, 1]),
    "euler": nengo.LinearFilter([1], [0.02, 1], method="euler"),
    "bilinear": nengo.LinearFilter([1], [0.03, 1], method="bilinear"),
    "third": nengo.LinearFilter([1], [1e-3, 0.03, 0.3, 1], method="backward_diff"),
    "brief": nengo.LinearFilter([1], [1e-12, 2e-6, 1], method="bilinear"),
    "digital": nengo.LinearFilter([0.2], [1, -0.8], analog=False),
    "feedthrough": nengo.LinearFilter([0.5, 0.1], [1, -0.4], analog=False),
    "triangle": nengo.synapses.Triangle(0.006),
}


@cache
def everything() -> nengo.Network:
    """One of each kind of operator that the graph knows."""
    rng = np.random.RandomState(3)
    conv = nengo.Convolution(2, (4, 4, 1), kernel_size=(2, 2), init=rng.standard_normal((2, 2, 1, 2)))
    back = nengo.ConvolutionTranspose(
        1, (3, 3, 2), kernel_size=(2, 2), init=rng.standard_normal((2, 2, 2, 1)), strides=(1, 1)
    )
    with nengo.Network(seed=1) as net:
        stim = nengo.Node(lambda t: [0.5 * np.sin(20 * t), 0.4 * np.cos(15 * t)])
        held = nengo.Node([0.5, -0.3, 0.8])
        signal = nengo.Node(nengo.processes.WhiteSignal(0.05, high=50, seed=4), size_out=2)
        unseeded = nengo.Node(nengo.processes.WhiteSignal(0.05, high=60), size_out=1)
        shown = nengo.Node(nengo.processes.PresentInput([[1.0, 0.5], [0.2, -1.0]], 0.02))
        pieces = nengo.Node(nengo.processes.Piecewise({0.01: 0.4, 0.05: [-1.0], 0.08: 0.2}))
        curve = {0.0: 0.4, 0.05: -1.0, 0.08: 0.2, 0.1: 0.3}
        for kind in ("linear", "nearest", "quadratic", "cubic"):
            nengo.Probe(nengo.Node(nengo.processes.Piecewise(curve, interpolation=kind)))
        product = nengo.Node(lambda t, x: x[0] * x[1] * np.exp(-t), size_in=2)
        relay = nengo.Node(size_in=16)
        for probed in (stim, held, signal, unseeded, shown, pieces, product):
            nengo.Probe(probed)
        nengo.Connection(stim, product, synapse=None)
        nengo.Connection(held[[0, 0, 2]], relay[2:8:2], synapse=None)
        nengo.Connection(stim[1], relay[0], function=lambda x: x**2, synapse=0.01)
        nengo.Connection(signal, relay[[5, 5]], synapse=None)
        nengo.Probe(relay)
        for name, neuron in NEURONS.items():
            rates = nengo.dists.Uniform(240, 300) if name == "sigmoid" else nengo.dists.Uniform(80, 120)
            ens = nengo.Ensemble(30, 2, neuron_type=neuron, radius=1.5, label=name, max_rates=rates)
            nengo.Connection(stim, ens)
            nengo.Connection(ens, relay[:2], function=lambda x: x[::-1], synapse=0.005)
            nengo.Probe(ens.neurons, label=name)
            for state in neuron.state:
                nengo.Probe(ens.neurons, state, label=f"{name} {state}")
            nengo.Probe(ens, synapse=0.01, sample_every=0.004)
        for synapse in SYNAPSES.values():
            nengo.Connection(ens[0], relay[3], synapse=synapse)
            nengo.Probe(stim, synapse=synapse)
        direct = nengo.Ensemble(10, 2, neuron_type=nengo.Direct())
        nengo.Connection(stim, direct, transform=[[0, 1], [1, 0.5]])
        nengo.Connection(direct, relay[9], function=lambda x: x[0] * x[1], synapse=0.02)
        nengo.Probe(direct)
        rows, columns = [0, 1, 17, 29], [3, 3, 0, 8]
        sparse = nengo.Sparse((30, 16), indices=np.stack([rows, columns], 1), init=[0.2, -0.5, 1.0, 0.3])
        other = nengo.Ensemble(30, 1, gain=np.ones(30), bias=np.linspace(0.5, 2, 30))
        nengo.Connection(relay, other.neurons, transform=sparse)
        nengo.Connection(ens.neurons[4:9], other.neurons[::6], transform=0.01 * rng.standard_normal((5, 5)))
        nengo.Connection(stim, other.neurons[[3, 3]], synapse=None)
        nengo.Connection(other.neurons, other.neurons, transform=-0.0005 * np.ones((30, 30)))
        nengo.Connection(other, ens, transform=[[0.2], [0.1]], solver=nengo.solvers.LstsqL2(weights=True))
        nengo.Probe(other.neurons)
        nengo.Probe(ens, "input")
        out = nengo.Node(size_in=conv.output_shape.size)
        nengo.Connection(relay, out, transform=conv, synapse=0.01)
        nengo.Probe(out)
        wide = nengo.Node(size_in=back.output_shape.size)
        nengo.Connection(out, wide, transform=back, synapse=0.01)
        nengo.Probe(wide)
    return net


@cache
def nengos() -> dict[Any, np.ndarray]:
    return reference(everything(), STEPS)


@pytest.mark.parametrize("partitions", [1, 3])
def test_every_kind_of_operator_equals_nengo(partitions: int) -> None:
    made = converted(everything())
    assert not made.calls, "all of this is native"
    assert set(made.probes) == set(everything().all_probes)
    ours = run(everything(), STEPS, partitions)
    for probe, expected in nengos().items():
        assert_equal(ours[probe], expected, f"{probe} {probe.label}")


def test_names_are_those_of_labels_and_the_same_every_time() -> None:
    first, second = (list(converted(everything()).graph) for _ in range(2))
    assert first == second
    assert {"lif", "tanh", "izhikevich"} <= set(first)
    assert not [name for name in first if re.search(r"0x[0-9a-f]+|<", name)]


@pytest.mark.parametrize("name", SYNAPSES)
def test_synapses_keep_the_coefficients_that_people_know(name: str) -> None:
    found = coefficients(SYNAPSES[name], 0.001)
    assert found is not None
    given = SYNAPSES[name]
    if name in ("lowpass", "alpha", "second"):
        assert (found.num, found.den, found.analog) == (tuple(given.num), tuple(given.den), True)
    if name in ("euler", "bilinear", "third", "brief"):
        assert (found.num, found.den, found.method) == (tuple(given.num), tuple(given.den), given.method)


def test_a_filter_that_does_not_begin_at_rest_is_no_filter_of_ours() -> None:
    class Settled(nengo.Lowpass):
        def make_state(self, *args: Any, **kwargs: Any) -> Any:
            return super().make_state(*args, **kwargs | {"y0": 1.0})

    with nengo.Network(seed=1) as net:
        node = nengo.Node([1.0])
        nengo.Probe(node, synapse=Settled(0.01))
    assert not converted(net).probes


class Unknown(nengo.Lowpass):
    """A synapse that is none of Nengo's own."""


def hosts() -> nengo.Network:
    """What runs as Nengo made it, between what does not."""
    seen: list[float] = []
    with nengo.Network(seed=2) as net:
        stim = nengo.Node(lambda t: np.sin(9 * t))
        python = nengo.Node(lambda t, x: [seen.append(t) or x[0] * 2, 0.3], size_in=1, size_out=2)
        noise = nengo.Node(nengo.processes.WhiteNoise(), size_out=1)
        a = nengo.Ensemble(30, 1, noise=nengo.processes.WhiteNoise(nengo.dists.Gaussian(0, 0.01)))
        b = nengo.Ensemble(30, 2)
        second = nengo.Node(lambda t, x: (seen.append(t), x)[1], size_in=2)
        poisson = nengo.Ensemble(20, 2, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()))
        regular = nengo.Ensemble(20, 2, neuron_type=nengo.RegularSpiking(nengo.LIFRate()))
        nengo.Connection(stim, a)
        nengo.Connection(a, python)
        nengo.Connection(python, b, synapse=None)
        nengo.Connection(noise, b[0], synapse=0.02)
        nengo.Connection(b, python, transform=[[0.1, 0.2]])
        nengo.Connection(python, second, synapse=None)
        nengo.Connection(second, b, synapse=0.01, transform=0.2)
        nengo.Connection(b, poisson)
        nengo.Connection(poisson, b, transform=0.1)
        nengo.Connection(b, regular)
        filtered = nengo.Connection(a, b[0], transform=0.1)
        for obj in (stim, python, noise, a, b, second, a.neurons, b.neurons, poisson.neurons, filtered):
            nengo.Probe(obj)
        nengo.Probe(regular.neurons, "rate_out")
        nengo.Probe(regular.neurons, "voltage")
        nengo.Probe(a.neurons, "input")
        nengo.Probe(b, "input", sample_every=0.0025)
        nengo.Probe(b.neurons[3], "voltage")
        nengo.Probe(b.neurons, "voltage", synapse=Unknown(0.01))
        nengo.Probe(b.neurons[[7, 3]], "refractory_time", synapse=0.01)
    return net


def circle() -> nengo.Network:
    """Elements of one signal that depend on each other within a step."""
    with nengo.Network(seed=2) as net:
        node = nengo.Node(size_in=3)
        nengo.Connection(nengo.Node(lambda t: np.sin(9 * t)), node[0], synapse=None)
        nengo.Connection(node[0], node[1], synapse=None)
        nengo.Connection(node[1], node[2], transform=2, synapse=None)
        array = nengo.networks.EnsembleArray(20, 3)
        nengo.Connection(node, array.input)
        nengo.Connection(array.output[0], array.input[1], synapse=None)
        nengo.Probe(node)
        nengo.Probe(array.output)
    return net


def learners() -> nengo.Network:
    """All rules of learning, and filters that set their output in the step of their input."""
    with nengo.Network(seed=2) as net:
        stim = nengo.Node(lambda t: [np.sin(9 * t), 0.3])
        a, b, error = nengo.Ensemble(30, 2), nengo.Ensemble(25, 2), nengo.Ensemble(20, 2)
        nengo.Connection(stim, a)
        nengo.Connection(b, error)
        nengo.Connection(stim, error, transform=-1)
        pes = nengo.Connection(a, b, function=lambda x: 0 * x, learning_rule_type=nengo.PES())
        rls = nengo.Connection(a, b, function=lambda x: x[::-1], learning_rule_type=nengo.RLS())
        full = nengo.Connection(
            a, b, learning_rule_type=nengo.PES(), solver=nengo.solvers.LstsqL2(weights=True)
        )
        for learned in (pes, rls, full):
            nengo.Connection(error, learned.learning_rule)
        voja = nengo.Connection(stim, b, learning_rule_type=nengo.Voja(), synapse=None)
        nengo.Connection(error[0], voja.learning_rule, transform=0.1)
        between = nengo.Connection(
            a.neurons,
            b.neurons,
            transform=0.0001 * np.ones((25, 30)),
            learning_rule_type=[nengo.BCM(), nengo.Oja()],
        )
        python = nengo.Ensemble(20, 2, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()))
        nengo.Connection(stim, python)
        spikes = nengo.Connection(python, b, function=lambda x: 0 * x, learning_rule_type=nengo.PES())
        nengo.Connection(error, spikes.learning_rule)
        for learned in (pes, rls, full, between, spikes):
            nengo.Probe(learned, "weights")
            nengo.Probe(learned, "weights", synapse=0.002)
        rules = [voja.learning_rule, *between.learning_rule, *(c.learning_rule for c in (pes, rls, full))]
        for rule in rules:
            for attribute in rule.probeable:
                nengo.Probe(rule, attribute)
                nengo.Probe(rule, attribute, synapse=0.002, sample_every=0.003)
        nengo.Probe(b, "scaled_encoders", synapse=nengo.Alpha(0.01))
        alpha = nengo.Node(nengo.Alpha(0.01), size_in=2, size_out=2)
        digital = nengo.Node(nengo.LinearFilter([0.5, 0.2], [1, -0.3], analog=False), size_in=2, size_out=2)
        for node in (alpha, digital):
            nengo.Connection(a, node)
            nengo.Probe(node)
        nengo.Connection(alpha, error, synapse=None, transform=0.1)
        nengo.Probe(b)
        nengo.Probe(b, "scaled_encoders", sample_every=0.01)
    return net


def test_learning_rules_are_native() -> None:
    assert not converted(learners()).host


@pytest.mark.parametrize("make", [hosts, circle, learners])
def test_operators_that_have_no_form_run_as_nengo_made_them(make: Any) -> None:
    expected = reference(make(), STEPS)
    ours = run(make(), STEPS)
    for (probe, theirs), own in zip(expected.items(), ours.values(), strict=True):
        assert_equal(own, theirs, str(probe))


def test_only_what_has_no_form_is_a_host() -> None:
    made = converted(hosts())
    names = [type(op).__name__ for op in made.order if op in made.host]
    assert names.count("SimPyFunc") == 2
    assert names.count("SimNeurons") == 0
    assert names.count("SimProcess") == 1  # the synapse that reads the voltage of b
    # Functions that share a list are one family, the synapse and what reads it another.  What is probed of
    # the graph needs no call.
    assert [made.graph.op(name).family for name in sorted(made.calls)] == [0, 1, 1]  # type: ignore[attr-defined]


def found_of_synapses() -> dict[str, Any]:
    made = {name: coefficients(synapse, 0.001) for name, synapse in SYNAPSES.items()}
    return {name: s and (s.num, s.den, s.analog) for name, s in made.items()}


def test_synapses_are_known_by_nengos_precision() -> None:
    """What was found of a synapse in one precision is not taken for it in another."""
    first = found_of_synapses()
    _coefficients.cache_clear()
    nengo.rc.set("precision", "bits", "32")
    try:
        short = found_of_synapses()
    finally:
        nengo.rc.set("precision", "bits", "64")
    assert short != first
    assert found_of_synapses() == first
