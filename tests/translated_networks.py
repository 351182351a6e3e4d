"""Nengo networks that learn, that are recorded, and that hold others, for `spikec.nengo.translate`."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
from converted import nengo
from translated import Networks, enter, stimulus

WHOLE: Networks = {}
network = partial(enter, WHOLE)


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
    nengo.Probe(between, "weights", synapse=0.003, sample_every=0.0025)
    nengo.Probe(rls, "weights", synapse=nengo.Alpha(0.002))
    nengo.Probe(b, "scaled_encoders", synapse=0.004)
    nengo.Probe(down.learning_rule, "scaled_encoders", synapse=0.002)
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
    nengo.Probe(a[[1, 0]])
    nengo.Probe(a[::-1], synapse=0.02)
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
def arrays_of_neurons() -> None:
    """Currents into the neurons of an array, their activity, arrays of other sizes, a single one."""
    stim = stimulus(4)
    array = nengo.networks.EnsembleArray(10, 4, label="rows", radius=1.2)
    wide = nengo.networks.EnsembleArray(12, 2, ens_dimensions=2, neuron_type=nengo.LIFRate())
    direct = nengo.networks.EnsembleArray(10, 4, neuron_type=nengo.Direct())
    one = nengo.networks.EnsembleArray(10, 1)
    current, sent = array.add_neuron_input(), array.add_neuron_output()
    nengo.Connection(stim, array.input)
    nengo.Connection(stim[:1], current, transform=-np.ones((40, 1)), synapse=None)
    nengo.Connection(array.output, direct.input)
    nengo.Connection(direct.output, wide.input, synapse=0.01)
    nengo.Connection(wide.output[0], one.input)
    for k in range(2):
        nengo.Connection(array.ensembles[2 * k], wide.ensembles[k][0], function=np.square)
        nengo.Connection(array.ensembles[k + 1], array.ensembles[k], transform=0.5, synapse=0.1)
    nengo.Probe(sent, synapse=0.02)
    nengo.Probe(wide.output, synapse=0.01)
    nengo.Probe(array.ensembles[1], synapse=0.01)
    nengo.Probe(array.ensembles[1])
    nengo.Probe(one.ensembles[0].neurons, "voltage")
    nengo.Probe(array.ensembles[2].neurons, "input")


@network
def lists_of_ensembles() -> None:
    """What a loop makes: a few statements, however it goes round; terms of one sum stay in their order."""
    stim, total, common = stimulus(), nengo.Node(size_in=1, label="total"), nengo.Ensemble(20, 1, label="c")
    net = nengo.Network.context[-1]
    net.layer = [nengo.Ensemble(10, 1) for _ in range(5)]
    net.other = [nengo.Ensemble(10, 1, radius=1 + 0.1 * k) for k in range(5)]
    for k, (a, b) in enumerate(zip(net.layer, net.other, strict=True)):
        nengo.Connection(stim, a)
        nengo.Connection(a, b, function=np.square)
        nengo.Connection(a, total, transform=0.3)
        nengo.Connection(b, total)
        nengo.Connection(common, a, transform=0.1)
        nengo.Connection(b, net.layer[(k + 1) % 5], transform=-0.2)
        nengo.Connection(a, common, transform=0.2, synapse=0.01)
        nengo.Connection(a.neurons, b.neurons, transform=0.001)
    nengo.Probe(total, synapse=0.01)
    nengo.Probe(common, synapse=0.01)
    for ens in net.layer:
        nengo.Probe(ens, synapse=0.01)


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


@network
def spoken() -> None:
    """Inputs that name pointers as time goes on: rows, and which of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nengo import spa

        with spa.SPA(seed=1) as model:
            model.state = spa.Buffer(16, subdimensions=8, neurons_per_dimension=10)
            model.cue = spa.State(16, subdimensions=16, neurons_per_dimension=10)
            model.given = spa.Input(
                state=lambda t: "A" if t < 0.01 else ("B*~C" if t < 0.02 else "0"), cue="0.5*A"
            )
    nengo.Probe(model.state.state.output, synapse=0.01)
    nengo.Probe(model.cue.output, synapse=0.01)


@network
def held() -> None:
    """Nodes that are objects, methods, and closures over lists; index by the time."""

    class Plant:
        gain = 2.0

        def __init__(self) -> None:
            self.turn = np.array([[0.0, 1.0], [-1.0, 0.0]])

        def __call__(self, t: float, x: Any) -> Any:
            return self.turn @ x * self.gain + t

        def start(self, t: float) -> Any:
            return [self.gain * t, steps[int(t / 0.003) % 3]]

    steps = [0.1, 0.7, -0.4]
    plant = Plant()
    start, turned = nengo.Node(plant.start, label="start"), nengo.Node(plant, size_in=2, label="turned")
    nengo.Connection(start, turned, synapse=None)
    nengo.Connection(turned, turned, transform=0.2, synapse=0.01)
    nengo.Probe(turned)
