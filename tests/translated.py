"""Small Nengo networks, one for each thing that `spikec.nengo.translate` writes, and what both give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from converted import nengo
from numpy.typing import NDArray

from spikec import frontend
from spikec.nengo import Simulator
from spikec.nengo.writing.translate import translate
from spikec.sessions import session

NETWORKS: dict[str, Callable[[], nengo.Network]] = {}
Recorded = list[NDArray[Any]]


def network(make: Callable[[], None]) -> Callable[[], nengo.Network]:
    """Enter the network of what `make` makes, under its name."""

    def made() -> nengo.Network:
        with nengo.Network(seed=5) as net:
            make()
        return net

    NETWORKS[make.__name__] = made
    return made


def simulated(net: nengo.Network, steps: int, partitions: int = 1) -> Recorded:
    """Data of all probes, from the simulator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of networks that SPA holds twice
        with Simulator(net, progress_bar=False, partitions=partitions) as simulator:
            simulator.run_steps(steps)
            return [np.array(simulator.data[probe]) for probe in net.all_probes]


def translated(net: nengo.Network, path: Path, steps: int, precision: str, partitions: int = 1) -> Recorded:
    """The same of the network written to `path`, read and run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = translate(net, path)
    running = session(frontend.load(path), {}, partitions, precision)
    try:
        running.advance(steps)
        drained = running.drain()
    finally:
        running.close()
    return [drained[name] for name in written.probes]


# --------------------------------------------------------------------------------------------- networks


def stimulus(dims: int = 1) -> Any:
    return nengo.Node(lambda t: np.sin(20 * t + np.arange(dims)), label="stimulus")


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
def pes() -> None:
    """An error population teaches a channel; also with weights, and two rules."""
    stim = stimulus()
    pre, post, error = (nengo.Ensemble(40, 1, label=name) for name in ("pre", "post", "error"))
    nengo.Connection(stim, pre)
    learned = nengo.Connection(
        pre, post, function=lambda x: 0 * x, learning_rule_type=nengo.PES(1e-3), label="learned"
    )
    nengo.Connection(post, error)
    nengo.Connection(stim, error, transform=-1)
    nengo.Connection(error, learned.learning_rule)
    both = nengo.Connection(
        pre, post, transform=0.5, solver=nengo.solvers.LstsqL2(weights=True),
        learning_rule_type=[nengo.PES(1e-4, pre_synapse=None), nengo.PES(1e-5, pre_synapse=0.01)],
    )  # fmt: skip
    nengo.Connection(error, both.learning_rule[0])
    nengo.Connection(stim, both.learning_rule[1], transform=0.3, synapse=None)
    nengo.Probe(post, synapse=0.01)
    nengo.Probe(learned, "weights", sample_every=0.01)
    wide = nengo.Ensemble(20, 2, label="wide")
    sliced = nengo.Connection(pre, wide, function=lambda x: [0 * x[0], x[0]], learning_rule_type=nengo.PES())
    nengo.Connection(error, sliced.learning_rule[1])
    one = nengo.Connection(
        pre, wide[1], solver=nengo.solvers.LstsqL2(weights=True), learning_rule_type=nengo.PES(1e-4)
    )
    nengo.Connection(error, one.learning_rule)
    nengo.Probe(wide, synapse=0.01)


@network
def unsupervised() -> None:
    """BCM and Oja between neurons, RLS and Voja."""
    stim = stimulus(2)
    a, b = nengo.Ensemble(20, 2, label="a"), nengo.Ensemble(30, 2, label="b")
    rng = np.random.RandomState(2)
    nengo.Connection(stim, a)
    between = nengo.Connection(
        a.neurons, b.neurons, transform=rng.uniform(0, 1e-3, (30, 20)),
        learning_rule_type={"first": nengo.BCM(1e-9), "second": nengo.Oja(1e-7, beta=2.0)}, label="between",
    )  # fmt: skip
    down = nengo.Connection(
        a, b, synapse=0.01, learning_rule_type=nengo.Voja(1e-2, post_synapse=None), label="down"
    )
    nengo.Connection(stim[0], down.learning_rule, synapse=None, transform=-0.5)
    rls = nengo.Connection(a, b[0], function=lambda x: 0 * x[0], learning_rule_type=nengo.RLS(1e-3))
    nengo.Connection(stim[0], rls.learning_rule, transform=-0.1)
    nengo.Probe(b, synapse=0.01)
    nengo.Probe(between, "weights", sample_every=0.02)
    nengo.Probe(b, "scaled_encoders", sample_every=0.02)


@network
def probed() -> None:
    """What can be recorded of ensembles and neurons."""
    stim, a = stimulus(2), nengo.Ensemble(20, 2, label="a")
    nengo.Connection(stim, a)
    nengo.Probe(a[1], synapse=0.01)
    nengo.Probe(a, "input")
    nengo.Probe(a, "input", synapse=0.01, sample_every=0.003)
    nengo.Probe(a[0], "input")
    nengo.Probe(a.neurons, synapse=0.01)
    nengo.Probe(a.neurons[:5], "voltage")
    nengo.Probe(a.neurons[[7, 3]])
    onto = nengo.Connection(a, a, synapse=0.1)
    nengo.Probe(onto, "weights", sample_every=0.01)
    nengo.Probe(a, "scaled_encoders", sample_every=0.01)


@network
def subnetworks() -> None:
    """Networks in networks, with names of their own, and equal names."""
    stim = stimulus(2)
    for _ in range(2):
        with nengo.Network(label="part"):
            inside = nengo.Ensemble(20, 2, label="sin")
            with nengo.Network():
                deeper = nengo.Ensemble(20, 1)
                nengo.Connection(inside[0], deeper)
        nengo.Connection(stim, inside)
        nengo.Probe(deeper, synapse=0.01, label="deeper value")


@network
def ensemble_array() -> None:
    stim = stimulus(4)
    array = nengo.networks.EnsembleArray(20, 2, ens_dimensions=2)
    array.add_output("square", lambda x: x**2)
    nengo.Connection(stim, array.input)
    nengo.Connection(array.output, array.input, synapse=0.1)
    nengo.Probe(array.output, synapse=0.01)
    nengo.Probe(array.square, synapse=0.01)
    nengo.Probe(array.output)


@network
def product() -> None:
    stim, made = stimulus(2), nengo.networks.Product(20, 2)
    nengo.Connection(stim, made.input_a)
    nengo.Connection(stim[::-1], made.input_b)
    nengo.Probe(made.output, synapse=0.01)


@network
def circular_convolution() -> None:
    stim, made = stimulus(4), nengo.networks.CircularConvolution(10, 4)
    nengo.Connection(stim, made.input_a)
    nengo.Connection(stim, made.input_b, transform=0.5)
    nengo.Probe(made.output, synapse=0.01)


@network
def basal_ganglia() -> None:
    stim = stimulus(3)
    ganglia, thalamus = nengo.networks.BasalGanglia(3, 20), nengo.networks.Thalamus(3, 20)
    nengo.Connection(stim, ganglia.input)
    nengo.Connection(ganglia.output, thalamus.input)
    nengo.Probe(thalamus.output, synapse=0.01)


@network
def memories() -> None:
    stim = stimulus(3)
    memory = nengo.networks.AssociativeMemory(np.eye(3), n_neurons=20)
    memory.add_wta_network()
    memory.add_default_output_vector([0.5, 0.5, 0.5])
    gated = nengo.networks.workingmemory.InputGatedMemory(20, 3)
    nengo.Connection(stim, memory.input)
    nengo.Connection(memory.output, gated.input)
    nengo.Connection(stim[0], gated.gate)
    nengo.Probe(gated.output, synapse=0.01)


@network
def pointers() -> None:
    """Semantic pointers: buffers, bound and selected by rules; SPA holds some of its networks twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nengo import spa

        with spa.SPA(vocabs=[spa.Vocabulary(8, rng=np.random.RandomState(1))]) as model:
            model.state = spa.Buffer(8, subdimensions=4, neurons_per_dimension=10)
            model.memory = spa.Memory(8, subdimensions=4, neurons_per_dimension=10)
            model.chosen = spa.BasalGanglia(spa.Actions("dot(state, A) --> state = B", "0.5 --> state = A"))
            model.rules = spa.Thalamus(model.chosen)
            model.bound = spa.Cortical(spa.Actions("memory = state * A"))
    nengo.Connection(stimulus(8), model.state.state.input)
    nengo.Probe(model.state.state.output, synapse=0.01)
    nengo.Probe(model.memory.state.output, synapse=0.01)
