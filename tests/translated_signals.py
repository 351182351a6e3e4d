"""Nengo networks of what lies between objects, for `spikec.nengo.translate`: synapses as nodes, parts of
neurons, signals of connections and rules.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from converted import nengo
from translated import Networks, enter, stimulus

SIGNALS: Networks = {}
network = partial(enter, SIGNALS)


@network
def synapse_nodes() -> None:
    """Synapses as nodes, with and without a state, which include the input of the same step."""
    stim, a = stimulus(2), nengo.Ensemble(20, 2, label="a")
    nengo.Connection(stim, a)
    every = [
        nengo.Lowpass(0.1), nengo.Lowpass(0.0), nengo.Alpha(0.02), nengo.synapses.Triangle(0.006),
        nengo.LinearFilter([0.1, 1], [0.01, 0.2, 1]), nengo.LinearFilter([0.5, 0.1], [1, -0.4], analog=False),
    ]  # fmt: skip
    for k, synapse in enumerate(every):
        node = nengo.Node(synapse, size_in=2, size_out=2, label=f"filter{k}")
        nengo.Connection(stim[::-1] if k % 2 else a, node, synapse=None)
        nengo.Probe(node)
        nengo.Connection(node, a, transform=0.1)
        nengo.Connection(a[0], node[1], synapse=0.01)


@network
def learned_parts() -> None:
    """PES from and to parts of ensembles and neurons, of every kind; RLS of a part, Voja to a part."""
    stim = stimulus(2)
    a, b = nengo.Ensemble(30, 2, label="a"), nengo.Ensemble(40, 2, label="b")
    c = nengo.Ensemble(20, 2, label="c")
    nengo.Connection(stim, a)
    rng = np.random.RandomState(3)

    def learn(pre: Any, post: Any, rows: int = 0, columns: int = 0, **given: Any) -> None:
        if rows:
            given["transform"] = rng.standard_normal((rows, columns)) * 1e-3
        rule = given.pop("rule", nengo.PES(1e-4))
        conn = nengo.Connection(pre, post, learning_rule_type=rule, **given)
        size = conn.learning_rule.size_in
        nengo.Connection(stim, conn.learning_rule, transform=np.full((size, 2), 0.3), synapse=None)
        nengo.Probe(conn, "weights", sample_every=0.02)

    learn(a[1], b[[1, 0]], function=lambda x: [x[0], x[0] ** 2])
    learn(a[[1, 0]], b)
    learn(a.neurons[:10], b, 2, 10)
    learn(a.neurons[::3], b[0], 1, 10)
    learn(a.neurons[[7, 3, 1]], b.neurons[5:25], 20, 3)
    learn(a, b.neurons[:10], 10, 2)
    learn(a[0], b[1], solver=nengo.solvers.LstsqL2(weights=True))
    learn(a[0], b[1], rule=nengo.RLS(1e-3))
    learn(a[0], c[1], rule=nengo.Voja(1e-2))
    # Errors for neurons of which the encoders learn too.
    learn(a, c, solver=nengo.solvers.LstsqL2(weights=True))
    learn(b, c.neurons[3:9], 6, 2)
    nengo.Probe(b, synapse=0.01)


@network
def rule_signals() -> None:
    """What rules are told, and the activities that they follow."""
    stim = stimulus(2)
    a, b = nengo.Ensemble(20, 2, label="a"), nengo.Ensemble(20, 2, label="b")
    nengo.Connection(stim, a)
    down = nengo.Connection(a, b, learning_rule_type=[nengo.PES(), nengo.PES(pre_synapse=None)])
    some = nengo.Connection(
        a.neurons[:5], b, transform=np.full((2, 5), 1e-3), learning_rule_type=nengo.PES(pre_synapse=0.01)
    )
    rls = nengo.Connection(a, b, learning_rule_type=nengo.RLS())
    weights = np.random.RandomState(1).uniform(0, 1e-3, (20, 20))
    neural = {"transform": weights, "learning_rule_type": [nengo.BCM(), nengo.Oja(post_synapse=None)]}
    between = nengo.Connection(a.neurons, b.neurons, **neural)
    voja = nengo.Connection(a, b, learning_rule_type=nengo.Voja())
    for rule in (*down.learning_rule, some.learning_rule, rls.learning_rule):
        nengo.Connection(stim, rule, transform=0.3)
    for rule, attributes in (
        (down.learning_rule[0], "error activities"),
        (down.learning_rule[1], "activities"),
        (some.learning_rule, "activities"),
        (rls.learning_rule, "error pre_filtered"),
        (between.learning_rule[0], "theta pre_filtered post_filtered"),
        (between.learning_rule[1], "post_filtered"),
        (voja.learning_rule, "post_filtered scaled_encoders"),
    ):
        for attribute in attributes.split():
            nengo.Probe(rule, attribute, sample_every=0.002)
    nengo.Probe(down.learning_rule[0][1], "error", synapse=0.01)
    nengo.Probe(between.learning_rule[0], "theta", synapse=0.01)
    nengo.Probe(voja, "weights")
    many = nengo.Connection(
        a, b, learning_rule_type=nengo.PES(), solver=nengo.solvers.LstsqL2(weights=True), synapse=None
    )
    for conn in (down, between, many):
        nengo.Probe(conn, "output")
        nengo.Probe(conn, "output", synapse=0.01)


@network
def currents() -> None:
    """The input of neurons: from values, currents, weights, encoders that learn; whole and in parts."""
    stim = stimulus(2)
    a, b = nengo.Ensemble(20, 2, label="a", radius=1.5), nengo.Ensemble(300, 2, label="b")
    rate = nengo.Ensemble(20, 2, label="rate", neuron_type=nengo.LIFRate())
    nengo.Connection(stim, a)
    nengo.Connection(stim, a.neurons[3:5], synapse=None)
    nengo.Connection(a, b, solver=nengo.solvers.LstsqL2(weights=True))
    nengo.Connection(a, b, learning_rule_type=nengo.Voja())
    nengo.Connection(a.neurons, rate.neurons, transform=1e-3)
    for ens in (a, b, rate):
        nengo.Probe(ens.neurons, "input")
        nengo.Probe(ens.neurons[2:9:3], "input", synapse=0.01, sample_every=0.002)
    nengo.Probe(a.neurons[[4, 1]], "input")


@network
def twice() -> None:
    """Connections that lead to one component twice; what others read of the same, too."""
    u = nengo.Node([0.1, 0.2, 0.3], label="u")
    a, b = nengo.Ensemble(20, 2, label="a"), nengo.Ensemble(20, 2, label="b")
    relay = nengo.Node(size_in=3, label="relay")
    nengo.Connection(u[:2], a[[0, 0]])
    nengo.Connection(u[:2], b)
    nengo.Connection(u, b.neurons[[3, 7, 3]], synapse=None)
    nengo.Connection(a, relay[[2, 2]], synapse=0.01)
    nengo.Connection(a, relay[[0, 0]], function=np.square, synapse=0.01)
    nengo.Connection(a.neurons[:3], b.neurons[[5, 5, 5]], transform=1e-3)
    for ens in (a, b):
        nengo.Probe(ens, "input")
        nengo.Probe(ens.neurons, "input")
    nengo.Probe(relay)


@network
def within_connections() -> None:
    """What goes into connections and comes out of them; weights through a synapse."""
    stim = stimulus(2)
    a, b = nengo.Ensemble(20, 2, label="a"), nengo.Ensemble(30, 2, label="b")
    plain = nengo.Connection(stim, a, transform=[[1, 2], [3, 4]], synapse=None)
    square = nengo.Connection(a, b, function=np.square)
    weights = nengo.Connection(a[0], b[1], solver=nengo.solvers.LstsqL2(weights=True), synapse=None)
    between = nengo.Connection(a.neurons[:3], b.neurons[[9, 2, 5]], transform=1e-3, synapse=None)
    for conn in (plain, square, weights, between):
        nengo.Probe(conn, "input")
        nengo.Probe(conn, "input", synapse=0.01)
    late = nengo.Connection(stim, a, transform=0.5, synapse=nengo.Alpha(0.01))
    part = nengo.Connection(a.neurons[2:5], b, transform=np.full((2, 3), 1e-3))
    many = nengo.Connection(a, b, solver=nengo.solvers.LstsqL2(weights=True), synapse=0.02)
    for conn in (plain, weights, between, late, square, part, many):
        nengo.Probe(conn, "output")
        nengo.Probe(conn, "output", synapse=0.01, sample_every=0.003)
    nengo.Probe(plain, "weights", synapse=0.1)
    nengo.Probe(b, "scaled_encoders", synapse=0.1, sample_every=0.01)


@network
def states() -> None:
    """The state of neurons through a synapse: whole, in parts, at some steps; of several atoms."""
    stim = stimulus()
    kinds = (
        nengo.LIF(), nengo.AdaptiveLIF(), nengo.Izhikevich(), nengo.AdaptiveLIFRate(),
        nengo.SpikingRectifiedLinear(), nengo.RegularSpiking(nengo.LIFRate()),
    )  # fmt: skip
    rates = [nengo.PoissonSpiking(nengo.AdaptiveLIFRate()), nengo.StochasticSpiking(nengo.AdaptiveLIFRate())]
    for k, kind in enumerate((*kinds, *rates)):
        ens = nengo.Ensemble(300 if k == 0 else 20, 1, neuron_type=kind, label=f"e{k}")
        nengo.Connection(stim, ens)
        for variable in sorted(set(ens.neurons.probeable) - {"output", "spikes", "rates", "input"}):
            nengo.Probe(ens.neurons, variable)
            nengo.Probe(ens.neurons, variable, synapse=0.003)
            nengo.Probe(ens.neurons[2:15:4], variable, synapse=nengo.Alpha(0.01), sample_every=0.003)
            nengo.Probe(ens.neurons[[7, 3, 7]], variable, synapse=0.003)


@network
def changes() -> None:
    """What rules change in a step, and what they follow: of all rules, through synapses too."""
    stim = stimulus(2)
    a, b = nengo.Ensemble(20, 2, label="a"), nengo.Ensemble(30, 2, label="b")
    nengo.Connection(stim, a)
    options: dict[str, Any] = {"function": lambda x: 0 * x}
    pes = nengo.Connection(a, b, learning_rule_type=nengo.PES(1e-3, pre_synapse=None), **options)
    rls = nengo.Connection(a, b, learning_rule_type=nengo.RLS(1e-3, pre_synapse=0.01), **options)
    full = nengo.Connection(
        a, b, learning_rule_type=[nengo.PES(1e-4), nengo.PES(1e-3)],
        solver=nengo.solvers.LstsqL2(weights=True),
    )  # fmt: skip
    between = nengo.Connection(
        a.neurons, b.neurons, transform=np.full((30, 20), 1e-4),
        learning_rule_type=[nengo.BCM(1e-7), nengo.Oja(1e-6)],
    )  # fmt: skip
    voja = nengo.Connection(stim, b, learning_rule_type=nengo.Voja(1e-2), synapse=None)
    rules = [pes.learning_rule, rls.learning_rule, *full.learning_rule, *between.learning_rule]
    for rule in rules[:4]:
        nengo.Connection(stim, rule)
    nengo.Connection(stim[0], voja.learning_rule, transform=-0.5, synapse=None)
    for rule in (*rules, voja.learning_rule):
        for attribute in rule.probeable:
            nengo.Probe(rule, attribute)
            nengo.Probe(rule, attribute, synapse=0.003, sample_every=0.002)
    nengo.Probe(b, synapse=0.01)


@network
def endless() -> None:
    """Parameters of neurons that are infinite."""
    stim = stimulus()
    for kind in (nengo.LIF(min_voltage=-np.inf), nengo.AdaptiveLIF(tau_n=np.inf, min_voltage=-np.inf)):
        ens = nengo.Ensemble(20, 1, neuron_type=kind)
        nengo.Connection(stim, ens, transform=-1)
        nengo.Probe(ens.neurons, "voltage")
    given = {"gain": np.full(10, 2.0), "bias": np.linspace(0.5, 3, 10)}
    for kind in (nengo.LIF(tau_ref=np.inf), nengo.LIFRate(tau_ref=np.inf), nengo.Tanh(tau_ref=np.inf)):
        ens = nengo.Ensemble(10, 1, neuron_type=kind, **given)
        nengo.Probe(ens.neurons)
    nengo.Probe(nengo.Ensemble(10, 1, neuron_type=nengo.AdaptiveLIFRate(tau_n=np.inf), **given).neurons)


@network
def lists_of_neurons() -> None:
    """Connections to and from lists of neurons, which are multiplied by the gains."""
    stim = stimulus(2)
    a, b = nengo.Ensemble(30, 2, label="a"), nengo.Ensemble(30, 2, label="b")
    nengo.Connection(stim, a)
    nengo.Connection(a.neurons[[3, 1, 4]], b.neurons[[5, 9, 2]], transform=0.001)
    nengo.Connection(a.neurons[10:20], b.neurons[::3], transform=0.001)
    nengo.Connection(stim, b.neurons[[1, 0]], synapse=None)
    nengo.Connection(a, b.neurons[[7, 8]])
    nengo.Connection(a.neurons[4], b[0], transform=1e-3)
    nengo.Probe(b, synapse=0.01)
    nengo.Probe(b.neurons, "input")


@network
def matrices_of_little() -> None:
    """Matrices of nothing but 0, and sparse ones of functions and of parts."""
    stim, a = stimulus(4), nengo.Ensemble(20, 2, label="a")
    double = nengo.Node(lambda t, x: x * 2 + 0 * t, size_in=4, label="double")
    few = nengo.Node(size_in=3, label="few")
    nengo.Connection(stim, double)
    sparse = nengo.Sparse((3, 4), indices=[[0, 1], [2, 3]], init=[1, 2])
    nengo.Connection(double, few, function=np.square, transform=sparse)
    nengo.Connection(stim[1:], few, transform=nengo.Sparse((3, 3), indices=[[0, 1]], init=[0.5]))
    nengo.Connection(stim, a, transform=np.zeros((2, 4)))
    nengo.Connection(stim[:2], a, transform=0)
    nengo.Connection(stim[2:], a)
    nengo.Connection(a, a, transform=np.zeros((2, 2)))
    nengo.Probe(few)
    nengo.Probe(a, synapse=0.01)


@network
def pieces() -> None:
    """Functions among the values of `Piecewise`; inputs that are presented for parts of a step."""
    values = {0.003: lambda t: [np.sin(t), t], 0.01: [1.0, -1.0], 0.02: lambda t: [0.5, t * t]}
    nengo.Probe(nengo.Node(nengo.processes.Piecewise(values), size_out=2))
    rows = np.arange(1.0, 16.0).reshape(5, 3)
    for each in (0.0015, 0.0004, 0.00273):
        nengo.Probe(nengo.Node(nengo.processes.PresentInput(rows, each)))


@network
def picked_currents() -> None:
    """Some of the currents of neurons that several things drive."""
    a = nengo.Ensemble(30, 2, label="a")
    nengo.Connection(stimulus(2), a)
    nengo.Connection(a, a, synapse=0.02)
    nengo.Connection(stimulus(), a.neurons, transform=np.ones((30, 1)), synapse=None)
    nengo.Probe(a.neurons[::2], "input")
    nengo.Probe(a.neurons[[7, 3, 1]], "input", synapse=0.01)


@network
def rounded_with_sums() -> None:
    """A synapse that moves before its matrix, among other currents."""
    a, b = (
        nengo.Ensemble(n, 1, neuron_type=nengo.RectifiedLinear(), label=n_)
        for n, n_ in ((7, "a"), (300, "b"))
    )
    nengo.Connection(stimulus(), a)
    rng = np.random.RandomState(3)
    nengo.Connection(a, b.neurons, transform=rng.randn(300, 1))
    nengo.Connection(a.neurons, b.neurons, transform=rng.randn(300, 7) / 50)
    nengo.Connection(a[[0]], b.neurons[:201], transform=rng.randn(201, 1), synapse=0.02)
    nengo.Probe(b.neurons, "input", synapse=0.01)


@network
def sparse_of_parts() -> None:
    """Rows of sparse matrices are added up in the order of their columns, of parts too."""
    a = nengo.Ensemble(7, 3, neuron_type=nengo.Direct(), label="a")
    rng = np.random.RandomState(5)
    indices = [[0, 0], [0, 1], [1, 0], [1, 1], [2, 1]]
    nengo.Connection(stimulus(3), a, transform=rng.randn(3, 3))
    sparse = nengo.Sparse((3, 2), indices=indices, init=rng.randn(5))
    nengo.Connection(stimulus(3)[::2], a, transform=sparse, synapse=0.1)
    nengo.Probe(a)


@network
def encoders_that_several_rules_change() -> None:
    """Voja rules of one ensemble, which Nengo applies in another order than it adds what comes there."""
    slope = nengo.Node(lambda t: 0.3 if t % 0.02 < 0.01 else -0.3)
    a, b = nengo.Ensemble(50, 1, label="a"), nengo.Ensemble(20, 1, label="b")
    line = nengo.Node(lambda t: np.sin(9 * t + 0.4 * np.arange(16)))
    part = nengo.Node(size_in=16)
    nengo.Connection(line, part, synapse=None)
    nengo.Connection(part[:10], b.neurons[:10], transform=0.1, synapse=nengo.Lowpass(0.0))
    nengo.Connection(slope, a)
    rules = [nengo.Voja(1e-3, post_synapse=0.02), nengo.Voja(2e-3), nengo.Voja(3e-3, post_synapse=None)]
    given: list[dict[str, Any]] = [
        {"function": lambda x: [x[0], x[0] ** 2, -x[0]], "transform": [[0.3, 0.2, 0.1]]},
        {},
        {"transform": 0.5},
    ]
    for rule, options in zip(rules, given, strict=True):
        link = nengo.Connection(slope, b, synapse=None, learning_rule_type=rule, **options)
        nengo.Connection(a, link.learning_rule, transform=-0.3)
        for attribute in ("post_filtered", "delta", "scaled_encoders"):
            nengo.Probe(link.learning_rule, attribute)
        nengo.Probe(link)
    nengo.Probe(b, "scaled_encoders", synapse=0.01)
    nengo.Probe(b.neurons, "input")


@network
def rls_to_neurons() -> None:
    """One error for all neurons, and one for each where there are as many; of parts, and for weights."""
    stim = stimulus(3)
    a, line, three = nengo.Ensemble(30, 2), nengo.Ensemble(20, 1, label="line"), nengo.Ensemble(3, 3)
    nengo.Connection(stim[:2], a)
    weights = nengo.solvers.LstsqL2(weights=True)
    targets: list[tuple[Any, Any, dict[str, Any]]] = [
        (a, line.neurons, {}), (a[0], line.neurons[5:15], {"synapse": None}),
        (a.neurons, line.neurons[3], {}), (a, three.neurons[[2, 0, 1]], {}),
        (a.neurons, line.neurons[::-2], {}), (a[1], line, {"solver": weights}),
        (a, line, {"function": lambda x: x[0] * x[1], "solver": weights}),
    ]  # fmt: skip
    for k, (pre, post, given) in enumerate(targets):
        if "solver" not in given:
            given["transform"] = np.full((post.size_in, pre.size_out), 1e-3)
        rules = (
            nengo.RLS(1e-2) if k else [nengo.RLS(1e-2, pre_synapse=None), nengo.PES(1e-3), nengo.RLS(1e-3)]
        )
        taught = nengo.Connection(pre, post, learning_rule_type=rules, **given)
        for rule in taught.learning_rule if isinstance(rules, list) else [taught.learning_rule]:
            nengo.Connection(stim[: rule.size_in], rule, transform=0.3)
            nengo.Connection(a[0], rule[0])
            for attribute in ("error", "delta", *(["inv_gamma"] if "inv_gamma" in rule.probeable else [])):
                nengo.Probe(rule, attribute)
        nengo.Probe(taught, "weights")
    nengo.Probe(line, synapse=0.01)


@network
def functions_by_their_values_with_drawn_transforms() -> None:
    a, b = nengo.Ensemble(40, 2, label="a"), nengo.Ensemble(30, 3, label="b")
    nengo.Connection(stimulus(2), a)
    drawn = nengo.Dense((3, 2), init=nengo.dists.Uniform(-1, 1))
    nengo.Connection(a, b, function=lambda x: np.sort(np.outer(x, x).ravel())[:2], transform=drawn)
    nengo.Probe(b, synapse=0.01)


@network
def rates_of_rls() -> None:
    """What Nengo makes of a learning rate is told as it was given."""
    a = nengo.Ensemble(50, 1, label="a")
    nengo.Connection(stimulus(), a)
    for rate in (0.05, 1e-3, 0.3):
        end = nengo.Node(size_in=1)
        taught = nengo.Connection(a, end, learning_rule_type=nengo.RLS(learning_rate=rate))
        nengo.Connection(end, taught.learning_rule)
        nengo.Probe(end)
