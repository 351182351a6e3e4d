"""Benchmark models of the NEF field, as Nengo networks.

Each function returns a fresh ``nengo.Network``; sizes follow the published
benchmarks named in its docstring.  They define the work: whatever is compared
(Nengo itself, nengo-ocl, Spike through its Nengo front end, a ``.spk`` of the
same model) must simulate these objects with these synapses and probes.
"""

import nengo
import numpy as np


def stream(k=8, dimensions=4, neurons=200, seed=1):
    """``k`` rings of ``k`` ensembles each (nengo_mpi's "stream" benchmark)."""
    with nengo.Network(seed=seed) as net:
        for ring in range(k):
            stim = nengo.Node(lambda t, p=ring: np.sin(2 * np.pi * t + p + np.arange(dimensions)) / 2)
            ensembles = [nengo.Ensemble(neurons, dimensions) for _ in range(k)]
            nengo.Connection(stim, ensembles[0])
            for pre, post in zip(ensembles, ensembles[1:] + ensembles[:1]):
                nengo.Connection(pre, post, transform=0.5, synapse=0.005)
            nengo.Probe(ensembles[-1], synapse=0.03)
    return net


def random_graph(ensembles=128, density=0.05, dimensions=2, neurons=100, seed=1):
    """Ensembles joined at random with a given density (nengo_mpi's "random" benchmark)."""
    rng = np.random.RandomState(seed)
    with nengo.Network(seed=seed) as net:
        stim = nengo.Node(lambda t: [np.sin(t), np.cos(t)][:dimensions])
        nodes = [nengo.Ensemble(neurons, dimensions) for _ in range(ensembles)]
        nengo.Connection(stim, nodes[0])
        fan_in = max(1.0, density * ensembles)
        for pre, post in zip(*np.nonzero(rng.rand(ensembles, ensembles) < density)):
            nengo.Connection(nodes[pre], nodes[post], transform=0.9 / fan_in, synapse=0.005)
        nengo.Probe(nodes[-1], synapse=0.03)
    return net


def circular_convolution(dimensions=64, neurons=200, seed=1):
    """Binding of two vectors (nengo_benchmarks / Gosmann 2017 "cconv")."""
    rng = np.random.RandomState(seed)
    a, b = rng.randn(2, dimensions) / np.sqrt(dimensions)
    with nengo.Network(seed=seed) as net:
        in_a, in_b = nengo.Node(a), nengo.Node(b)
        ens_a = nengo.networks.EnsembleArray(neurons, dimensions, radius=3 / np.sqrt(dimensions))
        ens_b = nengo.networks.EnsembleArray(neurons, dimensions, radius=3 / np.sqrt(dimensions))
        bind = nengo.networks.CircularConvolution(neurons, dimensions)
        result = nengo.networks.EnsembleArray(neurons, dimensions, radius=3 / np.sqrt(dimensions))
        nengo.Connection(in_a, ens_a.input)
        nengo.Connection(in_b, ens_b.input)
        nengo.Connection(ens_a.output, bind.input_a)
        nengo.Connection(ens_b.output, bind.input_b)
        nengo.Connection(bind.output, result.input)
        nengo.Probe(result.output, synapse=0.03)
    return net


def lorenz(neurons=2000, seed=1):
    """One recurrent 3-D ensemble: the smallest useful model, bound by overhead."""

    def feedback(x):
        return [
            x[0] + 0.1 * 10 * (x[1] - x[0]),
            x[1] + 0.1 * (-x[0] * x[2] - x[1]),
            x[2] + 0.1 * (x[0] * x[1] - 8 / 3 * (x[2] + 28) - 28),
        ]

    with nengo.Network(seed=seed) as net:
        state = nengo.Ensemble(neurons, 3, radius=60)
        nengo.Connection(state, state, function=feedback, synapse=0.1)
        nengo.Probe(state, synapse=0.1)
    return net


def big_ensembles(ensembles=16, neurons=4000, dimensions=8, seed=1):
    """A ring of few large ensembles: balance needs ensembles to be split."""
    with nengo.Network(seed=seed) as net:
        stim = nengo.Node(lambda t: np.sin(6 * t + np.arange(dimensions)) / 2)
        ring = [nengo.Ensemble(neurons, dimensions) for _ in range(ensembles)]
        nengo.Connection(stim, ring[0])
        for pre, post in zip(ring, ring[1:] + ring[:1]):
            nengo.Connection(pre, post, transform=0.5, synapse=0.005)
        nengo.Probe(ring[-1], synapse=0.03)
    return net


def small_ensembles(ensembles=1000, neurons=100, dimensions=1, seed=1):
    """A ring of many small ensembles: the shape of cognitive (SPA) models."""
    return big_ensembles(ensembles, neurons, dimensions, seed)


def learned_channel(neurons=1000, dimensions=4, seed=1):
    """A communication channel learned online by PES from an error population."""
    with nengo.Network(seed=seed) as net:
        stim = nengo.Node(nengo.processes.WhiteSignal(10.0, high=5), size_out=dimensions)
        pre, post, error = (nengo.Ensemble(neurons, dimensions) for _ in range(3))
        nengo.Connection(stim, pre)
        nengo.Connection(stim, error, transform=-1)
        nengo.Connection(post, error)
        learned = nengo.Connection(
            pre, post, function=lambda x: np.zeros(dimensions), learning_rule_type=nengo.PES(1e-4)
        )
        nengo.Connection(error, learned.learning_rule)
        nengo.Probe(post, synapse=0.03)
    return net


MODELS = {
    "stream-8x8": stream,
    "random-128-5%": random_graph,
    "cconv-64d-200n": circular_convolution,
    "lorenz-2000n": lorenz,
    "big-16x4000-8d": big_ensembles,
    "small-1000x100-1d": small_ensembles,
    "pes-1000n-4d": learned_channel,
}
