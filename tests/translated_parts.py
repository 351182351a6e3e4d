"""Small Nengo networks, one for each thing that `spikec.nengo.translate` writes."""

from __future__ import annotations

from functools import partial

import numpy as np
from converted import nengo
from translated import Networks, enter, stimulus

PARTS: Networks = {}
network = partial(enter, PARTS)


class SpikingTanh(nengo.RegularSpiking):
    """A type that differs from Nengo's own in how it is made alone."""

    def __init__(self, tau_ref: float = 0.0025) -> None:
        super().__init__(nengo.Tanh(tau_ref=tau_ref))


@network
def neurons_made_in_another_way() -> None:
    """A subclass that changes nothing in a step."""
    a = nengo.Ensemble(20, 1, neuron_type=SpikingTanh(), label="a")
    nengo.Connection(stimulus(), a)
    nengo.Probe(a, synapse=0.01)
    nengo.Probe(a.neurons)


@network
def channel() -> None:
    """A function of time, two ensembles, a radius, a function, transforms, parts."""
    stim = stimulus(2)
    a = nengo.Ensemble(40, 2, label="a", radius=1.5)
    b = nengo.Ensemble(30, 1, label="b")
    nengo.Connection(stim, a)
    nengo.Connection(stim[0], b, transform=0.5, synapse=0.01)
    nengo.Connection(a, b, function=lambda x: x[0] * x[1], transform=0.3)
    nengo.Connection(b, a[1], synapse=0.1)
    nengo.Probe(a)
    nengo.Probe(b, synapse=0.03)
    nengo.Probe(stim)


@network
def large() -> None:
    """More neurons than one atom holds."""
    stim, a = stimulus(), nengo.Ensemble(600, 1, label="a", n_eval_points=700)
    nengo.Connection(stim, a)
    nengo.Connection(a, a, synapse=0.1)
    nengo.Probe(a, synapse=0.01)


@network
def transforms() -> None:
    """Numbers, vectors, matrices, those that shrink and those that grow; with and without synapses."""
    stim = stimulus(3)
    a = nengo.Ensemble(40, 2, label="a")
    b = nengo.Ensemble(50, 3, label="b")
    nengo.Connection(stim, b, transform=[0.5, -1, 2])
    nengo.Connection(stim, a, transform=[[1, 0, 0.3], [0, 0.7, 0]])
    nengo.Connection(a, b, transform=[[1, 0], [0.2, 0.4], [0, 1]])
    nengo.Connection(b, a, transform=[[1, 0, 2], [0.2, 0.4, 0]], function=lambda x: x * 0.5)
    nengo.Connection(stim, b, transform=[[0.1] * 3] * 3, synapse=None)
    nengo.Connection(stim[[2, 0]], a, synapse=nengo.Alpha(0.02))
    nengo.Probe(a, synapse=0.01)
    nengo.Probe(b, synapse=0.01)


@network
def many_terms() -> None:
    """Sums of many terms, of which some are filtered alike elsewhere."""
    stim = stimulus(2)
    ensembles = [nengo.Ensemble(20, 2, label=f"e{k}") for k in range(5)]
    nengo.Connection(stim, ensembles[4])
    for j in range(5):
        for k in range(5):
            nengo.Connection(
                ensembles[(j * 2 + k) % 5], ensembles[k], transform=0.2, synapse=0.005 + 0.001 * (j % 2)
            )
    nengo.Connection(stim, ensembles[0])
    nengo.Connection(stim, ensembles[1], transform=0.3)
    for ens in ensembles:
        nengo.Probe(ens, synapse=0.01)


@network
def neuron_types() -> None:
    """Every type of neurons that has a spelling, with parameters, their activity and state."""
    stim = stimulus()
    types = [
        nengo.LIF(tau_rc=0.03, tau_ref=0.001, min_voltage=-0.5, amplitude=0.2),
        nengo.LIFRate(amplitude=0.5),
        nengo.AdaptiveLIF(tau_n=0.05, inc_n=0.01, initial_state={"adaptation": nengo.dists.Uniform(0, 0.2)}),
        nengo.AdaptiveLIFRate(tau_n=0.05, inc_n=0.01),
        nengo.RectifiedLinear(amplitude=0.3),
        nengo.SpikingRectifiedLinear(),
        nengo.Sigmoid(),
        nengo.Tanh(),
        nengo.Izhikevich(reset_recovery=2.0),
        nengo.LIF(initial_state={"refractory_time": nengo.dists.Uniform(0, 0.004)}),
    ]
    for kind in types:
        rates = (
            nengo.dists.Uniform(240, 300) if isinstance(kind, nengo.Sigmoid) else nengo.dists.Uniform(80, 120)
        )
        ens = nengo.Ensemble(20, 1, neuron_type=kind, max_rates=rates, label=type(kind).__name__)
        nengo.Connection(stim, ens)
        nengo.Probe(ens, synapse=0.01)
        nengo.Probe(ens.neurons)
        nengo.Probe(ens.neurons[2:10:3], synapse=0.02)
        for state in kind.state:
            nengo.Probe(ens.neurons, state, sample_every=0.002)


@network
def synapses() -> None:
    """Every synapse, of a node and of neurons."""
    stim, a = stimulus(), nengo.Ensemble(30, 1, label="a")
    nengo.Connection(stim, a)
    every = [
        nengo.Alpha(0.02), nengo.Lowpass(0.0001), nengo.Lowpass(0.0), nengo.synapses.Triangle(0.006),
        nengo.LinearFilter([0.02, 1], [0.0004, 0.04, 1]), nengo.LinearFilter([1], [0.02, 1], method="euler"),
        nengo.LinearFilter([1], [0.03, 1], method="bilinear"),
        nengo.LinearFilter([0.2], [1, -0.8], analog=False),
        nengo.LinearFilter([0.5, 0.1], [1, -0.4], analog=False),
    ]  # fmt: skip
    for synapse in every:
        nengo.Probe(stim, synapse=synapse)
        nengo.Probe(a, synapse=synapse)


@network
def nodes() -> None:
    """Constants, relays, functions of the input and of time."""
    held = nengo.Node([0.5, -0.3, 0.8], label="held")
    one = nengo.Node(0.5)
    stim = stimulus(2)
    product = nengo.Node(lambda t, x: x[0] * x[1] * np.exp(-t), size_in=2, label="product")
    scalar = nengo.Node(lambda t, x: np.where(x > 0, x, 0.1 * t), size_in=1)
    relay = nengo.Node(size_in=8, label="relay")
    nengo.Connection(stim, product, synapse=None)
    nengo.Connection(product, scalar)
    nengo.Connection(one, scalar, synapse=None)
    nengo.Connection(held[[0, 0, 2]], relay[2:8:2], synapse=None)
    nengo.Connection(stim[1], relay[0], function=lambda x: x**2, synapse=0.01)
    nengo.Connection(held[[2, 1]], relay[1], function=lambda x: x[0] - 2 * x[1], synapse=0.01)
    nengo.Connection(stim, relay[[5, 5]], synapse=None)
    for probed in (held, product, scalar, relay, relay[::3]):
        nengo.Probe(probed)
    nengo.Probe(relay[[1, 0]], synapse=0.02)


@network
def processes() -> None:
    """Signals of time alone."""
    signal = nengo.Node(nengo.processes.WhiteSignal(0.05, high=50, seed=4), size_out=2, label="signal")
    unseeded = nengo.Node(nengo.processes.WhiteSignal(0.05, high=60), size_out=1)
    shown = nengo.Node(nengo.processes.PresentInput([[1.0, 0.5], [0.2, -1.0]], 0.02))
    pieces = nengo.Node(nengo.processes.Piecewise({0.01: 0.4, 0.05: [-1.0], 0.08: 0.2}))
    times = {0.0: 0.4, 0.05: -1.0, 0.08: 0.2, 0.1: 0.3}
    for kind in ("linear", "nearest", "cubic"):
        nengo.Probe(nengo.Node(nengo.processes.Piecewise(times, interpolation=kind), label=kind))
    many = nengo.Node(nengo.processes.Piecewise({0.004 * k: [k, -k] for k in range(1, 25)}))
    for node in (signal, unseeded, shown, pieces, many):
        nengo.Probe(node)
        nengo.Probe(node, synapse=0.01)


@network
def to_neurons() -> None:
    """Currents into neurons, several of them, from nodes and from neurons."""
    stim = stimulus(2)
    a = nengo.Ensemble(20, 2, label="a", radius=1.3)
    b = nengo.Ensemble(30, 1, label="b")
    rng = np.random.RandomState(0)
    nengo.Connection(stim, a)
    nengo.Connection(stim[0], b.neurons, transform=rng.randn(30, 1) * 0.2, synapse=None)
    nengo.Connection(a.neurons, b.neurons, transform=rng.randn(30, 20) * 1e-3)
    nengo.Connection(b.neurons, a.neurons, transform=rng.randn(20, 30) * 1e-3, synapse=0.01)
    nengo.Connection(a.neurons[:10], b.neurons[5:15], transform=0.0005)
    nengo.Connection(a.neurons[::2], b.neurons[20:], transform=rng.randn(10, 10) * 1e-3)
    nengo.Connection(a.neurons, b, transform=rng.randn(1, 20) * 1e-3)
    nengo.Connection(a, b.neurons[3:6], transform=rng.randn(3, 2))
    nengo.Probe(a, synapse=0.01)
    nengo.Probe(b, synapse=0.01)


@network
def weights() -> None:
    """Solvers that give weights between all neurons, and others."""
    stim = stimulus()
    a, b = nengo.Ensemble(30, 1, label="a"), nengo.Ensemble(40, 2, label="b")
    nengo.Connection(stim, a)
    nengo.Connection(a, b, function=lambda x: [x, x**2], solver=nengo.solvers.LstsqL2(weights=True))
    nengo.Connection(b[1], a, solver=nengo.solvers.NnlsL2(weights=True), transform=1.0)
    nengo.Connection(b, a, solver=nengo.solvers.LstsqDrop(weights=True), transform=[[0.2, 0.1]])
    nengo.Connection(b, a, solver=nengo.solvers.NoSolver(np.full((40, 1), 0.001)), function=lambda x: x[0])
    nengo.Probe(b, synapse=0.01)


@network
def tables() -> None:
    """A function that cannot be written, and one that is given by points."""
    stim, a, b = stimulus(), nengo.Ensemble(30, 2, label="a"), nengo.Ensemble(30, 1, label="b")
    points = np.random.RandomState(1).uniform(-1, 1, (80, 2))
    nengo.Connection(stim, a[0])
    nengo.Connection(a, b, function=lambda x: float(f"{x[0]:.1f}"), transform=2.0)
    nengo.Connection(a, b, function=points[:, :1] ** 2, eval_points=points)
    nengo.Connection(a, b, transform=nengo.dists.Uniform(-0.5, 0.5))
    nengo.Probe(b, synapse=0.01)


@network
def sparse() -> None:
    """Sparse matrices and convolutions."""
    stim, relay, back = stimulus(16), nengo.Node(size_in=18), nengo.Node(size_in=16)
    rng = np.random.RandomState(3)
    conv = nengo.Convolution(2, (4, 4, 1), kernel_size=(2, 2), init=rng.standard_normal((2, 2, 1, 2)))
    other = nengo.ConvolutionTranspose(
        1, (3, 3, 2), kernel_size=(2, 2), init=rng.standard_normal((2, 2, 2, 1)), strides=(1, 1)
    )
    nengo.Connection(stim, relay, transform=conv)
    nengo.Connection(relay, back, transform=other)
    entries = nengo.transforms.Sparse((16, 16), indices=[[0, 1], [3, 4], [15, 0]], init=[1.0, 2.0, -0.5])
    nengo.Connection(stim, back, transform=entries, synapse=None)
    held, constant = nengo.Node(np.cos(np.arange(16))), nengo.Node(size_in=18)
    nengo.Connection(held, constant, transform=conv)
    nengo.Probe(back)
    nengo.Probe(constant)


@network
def direct() -> None:
    """Ensembles in direct mode."""
    stim = stimulus(2)
    a = nengo.Ensemble(1, 2, neuron_type=nengo.Direct(), label="a")
    b = nengo.Ensemble(20, 1, label="b")
    nengo.Connection(stim, a)
    nengo.Connection(a, b, function=lambda x: x[0] * x[1])
    nengo.Connection(a[1], a[0], synapse=0.1)
    nengo.Probe(a)
    nengo.Probe(a, synapse=0.01)
    nengo.Probe(b, synapse=0.01)


@network
def noises() -> None:
    """Processes that draw at random, as nodes and in the currents of neurons."""
    dists, processes = nengo.dists, nengo.processes
    relay = nengo.Node(size_in=3)
    made = [
        processes.WhiteNoise(dists.Gaussian(0.1, 0.2)),
        processes.WhiteNoise(dists.Uniform(-2, 5, integer=True), scale=False, seed=8),
        processes.WhiteNoise(dists.Choice([[0, 1, 2], [1, 0, 0.5]], weights=[0.3, 0.5])),
        processes.WhiteNoise(dists.UniformHypersphere(min_magnitude=0.2)),
        processes.WhiteNoise(dists.PDF(np.array([0.0, 1.0, 4.0]), np.array([0.25, 0.5, 0.25]))),
        processes.WhiteNoise(dists.CosineSimilarity(5)),
        processes.FilteredNoise(nengo.Alpha(0.01), dist=dists.Exponential(0.1, shift=-0.1, high=3)),
        processes.BrownNoise(dists.QuasirandomSequence()),
    ]
    for process in made:
        nengo.Connection(nengo.Node(process, size_out=3), relay, synapse=None)
    nengo.Probe(relay)
    a, b = (nengo.Ensemble(30, 1, label=label, noise=n) for label, n in zip("ab", made[::6], strict=False))
    c = nengo.Ensemble(300, 1, label="c", noise=processes.WhiteSignal(0.02, high=100, rms=0.3))
    shown = processes.PresentInput(np.linspace(-1, 1, 40).reshape(2, 20), 0.004)
    steps = processes.Piecewise({0.005: [0.1, 0.4, 1], 0.02: [1, -1, 0]})
    d, e = nengo.Ensemble(20, 1, label="d", noise=shown), nengo.Ensemble(3, 1, label="e", noise=steps)
    often = processes.Piecewise({0.001 * k: [k % 3, k % 5] for k in range(2, 30)})
    f = nengo.Ensemble(2, 1, label="f", noise=often)
    for ensemble in (a, b, c, d, e, f):
        nengo.Connection(relay[0], ensemble)
        nengo.Probe(ensemble, synapse=0.01)


@network
def spikes_of_rates() -> None:
    """Neurons that turn the rates of others into spikes, regular and random."""
    stim, total = stimulus(), nengo.Node(size_in=1)
    for label, kind, neurons in (
        ("regular", nengo.RegularSpiking(nengo.LIFRate(tau_rc=0.03), amplitude=0.5), 300),
        ("stochastic", nengo.StochasticSpiking(nengo.AdaptiveLIFRate()), 600),
        ("poisson", nengo.PoissonSpiking(nengo.RectifiedLinear()), 300),
        ("signed", nengo.StochasticSpiking(nengo.Tanh(tau_ref=0.004)), 40),
    ):
        rates = nengo.dists.Uniform(50, 200)
        ensemble = nengo.Ensemble(neurons, 1, label=label, neuron_type=kind, max_rates=rates)
        nengo.Connection(stim, ensemble)
        nengo.Connection(ensemble, total)
        nengo.Probe(ensemble.neurons)
        if label == "regular":
            nengo.Probe(ensemble.neurons, "voltage")
            nengo.Probe(ensemble.neurons, "input")
    nengo.Probe(total)


@network
def functions_of_parts() -> None:
    """Functions of some components of nodes, which Nengo copies first."""
    noise = nengo.Node(nengo.processes.BrownNoise(seed=3), size_out=3, label="noise")
    wave = nengo.Node(lambda t, x: np.cos(3 * x) + t, size_in=2, label="wave")
    a = nengo.Ensemble(20, 3, label="a")
    mix = np.random.RandomState(4).uniform(-0.3, 0.3, (3, 2))
    nengo.Connection(noise[::2], a, function=lambda x: [x[0] > 0, x[1] > 0], transform=mix, synapse=None)
    nengo.Connection(noise[2], wave, function=lambda x: [x[0] ** 2 + k for k in range(2)], synapse=0.005)
    nengo.Connection(wave[1], wave, function=lambda x: np.maximum(x, 0.2), transform=[[0.1], [0.3]])
    nengo.Connection(wave[[1, 0]], a[:2], function=lambda x: x[0] * x + 1, synapse=0.01)
    nengo.Probe(wave)
    nengo.Probe(a, synapse=0.01)


@network
def parts_through_matrices() -> None:
    """What one component or neuron gives several, where a probe reads it too."""
    stim = stimulus(3)
    a, b = nengo.Ensemble(7, 2, label="a"), nengo.Ensemble(20, 3, label="b")
    nengo.Connection(stim[:2], a)
    single = nengo.Connection(a.neurons[6], b[0], transform=0.006, synapse=0.002)
    spread = nengo.Connection(stim[2], b[::-1], transform=[[0.1], [0.2], [-0.3]], synapse=0.1)
    mixed = nengo.Connection(stim, b[:2], transform=[[0.1, 0.3, 0.2], [0.7, -0.1, 0.3]], synapse=0.01)
    some = nengo.Sparse((3, 3), indices=[[0, 2], [2, 1]], init=[0.3, -0.7])
    sparse = nengo.Connection(stim[[2, 1, 0]], b, transform=some, synapse=0.02)
    for conn in (single, spread, mixed, sparse):
        nengo.Probe(conn, synapse=0.01)
    nengo.Connection(stim, b, transform=np.full((3, 3), 0.1))
    nengo.Probe(b, "input")


@network
def encoders_learn_from_neurons() -> None:
    """Voja for what comes from neurons: its weights do not learn, and are decoders."""
    a, b = nengo.Ensemble(30, 1, label="a"), nengo.Ensemble(40, 2, label="b")
    nengo.Connection(stimulus(), a)
    weights = np.random.RandomState(2).uniform(-1e-3, 1e-3, (2, 30))
    for synapse in (None, 0.005):
        voja = nengo.Voja(learning_rate=1e-2)
        conn = nengo.Connection(
            a.neurons, b, transform=weights, synapse=synapse, learning_rule_type=voja if synapse else None
        )
        nengo.Probe(conn, synapse=0.01)
    nengo.Probe(conn.learning_rule, "scaled_encoders", sample_every=0.01)
    nengo.Probe(b, synapse=0.01)


@network
def recorded_weights() -> None:
    """Weights between all neurons, what they give through a synapse recorded beside."""
    a = nengo.Ensemble(20, 3, label="a", neuron_type=nengo.SpikingRectifiedLinear())
    matrix = np.random.RandomState(3).randn(3, 3) * 0.3
    given = nengo.Connection(
        a, a, transform=matrix, solver=nengo.solvers.LstsqL2(weights=True), synapse=nengo.Lowpass(0.02)
    )
    nengo.Connection(stimulus(3), a)
    nengo.Probe(given)
    nengo.Probe(a.neurons)


@network
def filtered_once() -> None:
    """Weights to some neurons of activities that a rule follows through the same synapse."""
    stim = stimulus()
    a, b = nengo.Ensemble(20, 1, label="a"), nengo.Ensemble(50, 2, label="b")
    learned = nengo.Connection(a, a, learning_rule_type=nengo.PES(1e-4, pre_synapse=0.005))
    nengo.Connection(stim, learned.learning_rule)
    nengo.Connection(stim, b.neurons[0], transform=-0.1, synapse=0.01)
    nengo.Connection(
        a.neurons, b.neurons[:42], transform=np.random.RandomState(3).randn(42, 20) * 1e-3, synapse=0.005
    )
    nengo.Probe(b.neurons, "input")
    nengo.Probe(b.neurons)


@network
def some_currents() -> None:
    """Currents of some neurons that follow each other, recorded of populations of two dimensions."""
    stim, a = stimulus(2), nengo.Ensemble(30, 2, label="a")
    nengo.Connection(stim, a)
    nengo.Probe(a.neurons[28:30], "input", synapse=None)
    nengo.Probe(a, synapse=0.01)
