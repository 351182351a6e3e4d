"""Learned weights on the graph: they change as Nengo's do, and wherever atoms are."""

from __future__ import annotations

from functools import cache

import inprocess
import numpy as np
import oracle
import pytest
from oracle import nengo

from spikec import graph as g
from spikec import plasticity as pl
from spikec.errors import InvalidGraph
from spikec.expressions import identity
from spikec.planning import cost, profile
from spikec.verify import verify

STEPS = 400
TEXT = """
input u(t) = [sin(9*t), cos(5*t)]
ensemble pre(300, dims=2)
ensemble post(280, dims=2)
ensemble error(50, dims=2)
connect u -> pre synapse none
connect u -> error transform -1
connect post -> error
probe post synapse 30ms as value
"""
LOWPASS = {"num": (1.0,), "den": (0.005, 1.0)}


def _add(graph: g.Graph, name: str, op: g.Operator, **ports: str) -> None:
    graph.add(name, op)
    for port, source in ports.items():
        graph.connect(source, name, port.replace("_", "."))


@cache
def model() -> oracle.Model:
    """The text with a learned connection from `pre` to `post`, whose error is what `error` represents."""
    model = oracle.Model(TEXT)
    graph = model.lowered
    _add(graph, "c.decode", g.Decoding(size=2, expressions=identity(2)), activity="pre")
    _add(graph, "c.activity", g.Decoding(size=300, expressions=()), activity="pre")
    _add(graph, "c.pre", g.Filter(size=300, **LOWPASS), x="c.activity")
    _add(graph, "e.decode", g.Decoding(size=2, expressions=identity(2)), activity="error")
    _add(graph, "e.filter", g.Filter(size=2, **LOWPASS), x="e.decode")
    rule = pl.PES(rate=1e-3, filtered=("pre",))
    weights = pl.Weights(size=2, columns=300, rules=(rule,), transform=0.3)
    _add(graph, "c.weights", weights, decoders="c.decode", pre_0="c.pre", error_0="e.filter")
    _add(graph, "c.learned", pl.Learned(size=2), weights="c.weights", x="c.activity")
    _add(graph, "c.filter", g.Filter(size=2, num=(1.0,), den=(0.01, 1.0)), x="c.learned")
    graph.connect("c.filter", "post.in")
    _add(graph, "probe w", g.Probe(size=600, name="w", every=50), weights="c.weights")
    return model


@cache
def ours(partitions: int) -> dict[str, np.ndarray]:
    return model().run(STEPS, partitions=partitions)


@cache
def nengos() -> dict[str, np.ndarray]:
    m = model()
    with nengo.Network() as network:
        u = nengo.Node(lambda t: [np.sin(9 * t), np.cos(5 * t)])
        pre, post, error = (m.ensemble(name) for name in ("pre", "post", "error"))
        nengo.Connection(u, pre, synapse=None)
        nengo.Connection(u, error, transform=-1)
        nengo.Connection(post, error, solver=m.solver("post->error"))
        decoders = nengo.solvers.NoSolver(m.built.op("c.weights").initial.T)
        learned = nengo.Connection(
            pre, post, solver=decoders, synapse=0.01, learning_rule_type=nengo.PES(1e-3)
        )
        nengo.Connection(error, learned.learning_rule, solver=m.solver("e"))
        value = nengo.Node(size_in=2)
        nengo.Connection(post, value, solver=m.solver("probe value"), synapse=0.03)
        nengo.Probe(value, label="value")
        nengo.Probe(learned, "weights", sample_every=0.05, label="w")
    return oracle.simulate(network, STEPS)


def test_weights_change_as_nengos_do() -> None:
    weights = nengos()["w"].reshape(STEPS // 50, -1)
    change = np.abs(weights[-1] - weights[0]).max()
    assert change > 0.3 * np.abs(weights).max()
    np.testing.assert_allclose(ours(1)["w"], weights, rtol=0, atol=1e-9 * np.abs(weights).max())
    oracle.assert_equal(ours(1)["value"], nengos()["value"])


@pytest.mark.parametrize("partitions", [2, 3])
def test_the_cut_does_not_change_what_is_learned(partitions: int) -> None:
    for name, data in ours(1).items():
        assert data.tobytes() == ours(partitions)[name].tobytes(), name


def test_late_products_keep_no_atoms_together_but_others_do() -> None:
    from spikec.planning import hypergraph as hg

    graph = inprocess.prepared(model().lowered)
    atoms = sum(1 for _ in graph.nodes(g.Atom))
    assert len(hg.groups(graph, hg.reads(graph))) == atoms == 5
    # Read without a synapse, the product is needed in the step that makes the activity.
    at_once = model().lowered.copy()
    at_once.connect("c.learned", "post.in")
    split = inprocess.prepared(at_once)
    assert len(hg.groups(split, hg.reads(split))) < atoms


def test_a_rule_needs_what_it_reads() -> None:
    graph = model().lowered.copy()
    graph.disconnect("e.filter", "c.weights")
    with pytest.raises(InvalidGraph, match=r"c\.weights: port 'error\.0' of Weights has no input"):
        verify(graph)


def test_learning_costs_by_its_weights() -> None:
    from spikec.program import layout as la

    reference = profile.load(profile.REFERENCE).kernels["float32"]

    def price(rows: int) -> float:
        matrices = np.array([[0, rows, 1000, 0, 1]])
        state = {"weights": np.zeros(rows * 1000, np.float32), "inverse": np.zeros(0, np.float32)}
        return cost.stage_cost(la.Learning("learned", {"matrices": matrices}, state), reference)

    each = (price(68) - price(4)) / 64000
    assert 0.03 < each < 0.15  # ns; 0.07 measured
