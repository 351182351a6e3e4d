"""`spikec.nef.Network`: what its arguments mean, Python code in it, learning, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from nef_networks import population, simple

from spikec import graph as g
from spikec import nef
from spikec import plasticity as pl
from spikec.nef.tuning import tune
from spikec.network.probe import Probe


def rmse(a: Any, b: Any) -> float:
    return float(np.sqrt(np.mean((np.asarray(a) - np.asarray(b)) ** 2)))


# ------------------------------------------------------------------------------------------------- running


def test_a_run_continues_where_the_last_one_ended() -> None:
    whole, pieces = simple(), simple()
    probes = [net.make_probe("A", dt_sample=0.001) for net in (whole, pieces)]
    whole.run(0.2)
    for _ in range(4):
        pieces.run(0.05)
    assert pieces.run_time == whole.run_time == 0.2
    assert probes[0].get_data().shape == (200, 2)
    assert probes[0].get_data().tobytes() == probes[1].get_data().tobytes()
    assert rmse(probes[0].get_data()[150:], [0.5, -0.4]) < 0.05


def test_spikes_are_counted_between_samples() -> None:
    net = simple()
    fine = net.make_probe("A", "fine", dt_sample=0.001, data_type="spikes")
    coarse = net.make_probe("A", "coarse", dt_sample=0.01, data_type="spikes")
    net.run(0.1)
    assert fine.get_data().shape == (100, 2, 100)
    assert set(np.unique(fine.get_data())) == {0.0, 1.0}
    np.testing.assert_array_equal(coarse.get_data(), fine.get_data().reshape(10, 10, 2, 100).sum(axis=1))


def test_a_direct_ensemble_passes_its_value_and_functions_of_it() -> None:
    net = nef.Network("direct")
    net.make_input("in", math.sin)
    net.make("E", 1, dimensions=2, array_size=2, mode="direct")
    net.connect("in", "E", index_post=[0, 1, 3], weight=2, pstc=0)
    net.make("out", 1, 2, mode="direct")
    net.connect("E", "out", func=lambda x: x[0] * x[1], pstc=0)
    value, product = (net.make_probe(name, dt_sample=0.001, pstc=0) for name in ("E", "out"))
    net.run(0.05)
    u = 2 * np.sin(0.001 * np.arange(1, 51))
    # A connection without a synapse has one step of delay.
    np.testing.assert_allclose(value.get_data()[1:], np.outer(u[:-1], [1, 1, 0, 1]), rtol=1e-6)
    np.testing.assert_allclose(product.get_data()[2:], np.outer(u[:-2] ** 2, [1, 0]), rtol=1e-5)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, lambda t: 0 * t + 0.5),
        ({0.01: [1], 0.02: [3]}, lambda t: 0 if t < 0.0095 else 1 if t < 0.0195 else 3),
        (lambda t: [t], lambda t: t),
        (lambda t: [float(str(t))], lambda t: t),  # cannot be compiled: called in every step
    ],
)
def test_inputs_and_when_they_end(value: Any, expected: Any) -> None:
    net = nef.Network("inputs")
    net.make_input("in", value)
    net.make_input("ends", value, zero_after_time=0.0305)
    probes = [net.make_probe(name, dt_sample=0.001, pstc=0) for name in ("in", "ends")]
    net.run(0.04)
    t = 0.001 * np.arange(1, 41)
    wanted = np.array([expected(x) for x in t])
    np.testing.assert_allclose(probes[0].get_data()[:, 0], wanted, rtol=1e-6)
    np.testing.assert_allclose(probes[1].get_data()[:, 0], np.where(t > 0.0305, 0, wanted), rtol=1e-6)


def test_a_function_that_cannot_be_compiled_is_decoded_all_the_same() -> None:
    def called(x: Any) -> list[float]:
        return [float(f"{x[0] ** 2}"), -x[0]]

    net = simple()
    net.make("B", 1, dimensions=4, mode="direct")
    net.connect("A", "B", func=called)
    net.make("C", 1, 1, array_size=2, mode="direct")
    net.make("D", 1, 1, array_size=4, mode="direct")
    net.connect("in", "C")
    net.connect("C", "D", func=called)
    neural, direct = net.make_probe("B"), net.make_probe("D")
    net.run(0.3)
    for probe in (neural, direct):
        assert rmse(probe.get_data()[-10:], [0.25, -0.5, 0.16, 0.4]) < 0.03


def test_origins_are_named_by_their_functions() -> None:
    net = simple()
    net.make("B", 1, 2, mode="direct")

    def square(x: Any) -> Any:
        return x[0] ** 2

    first = square
    net.connect("A", "B", func=first)
    net.connect("A", "B", func=first)
    assert list(net.get_object("A").origin) == ["X", "square"]
    net.connect("A", "B", func=lambda x: x[0])
    net.connect("A", "B", func=lambda x: -x[0])
    assert list(net.get_object("A").origin) == ["X", "square", "<lambda>", "<lambda>2"]
    assert net.get_origin("A:square").dimensions == 2
    assert net.make_probe("A:square").target == "A:square"


class Squares(nef.SimpleNode):
    """Gives the squares of what it gets, and the time."""

    def init(self) -> None:
        self.add_input("x", 2)
        self.ticks = 0

    def tick(self) -> None:
        self.ticks += 1

    def origin_squares(self) -> Any:
        return self.input["x"].value ** 2

    def origin_time(self) -> float:
        return self.t


@pytest.mark.parametrize("partitions", [1, 2])
def test_a_simple_node_runs_in_every_step(partitions: int) -> None:
    net = simple(partitions=partitions)
    node = net.add(Squares("squares"))
    net.make("B", 100, 2)
    net.connect("A", "squares:x", pstc=0.03)
    net.connect("squares:squares", "B")
    time, value = net.make_probe("squares:time", dt_sample=0.001, pstc=0), net.make_probe("B")
    net.run(0.3)
    assert node.ticks == 300
    np.testing.assert_allclose(time.get_data()[:, 0], 0.001 * np.arange(1, 301), rtol=1e-6)
    assert rmse(value.get_data()[-10:], [0.25, 0.16]) < 0.05


class Total(nef.SimpleNode):
    """The sum of two inputs."""

    def init(self) -> None:
        self.add_input("a", 2)
        self.add_input("b", 1)

    def origin_total(self) -> Any:
        return self.input["a"].value.sum() + self.input["b"].value


def arrays(partitions: int) -> list[np.ndarray]:
    net = nef.Network("arrays", seed=50, partitions=partitions)
    net.make_input("in", [-0.6, -0.2, 0.2, 0.4])
    net.make_array("A", neurons=40, length=2, dimensions=2)
    net.make("B", neurons=40, array_size=4, dimensions=1)
    net.connect("in", "A")
    net.connect("in", "B")
    net.add(Total("total"))
    net.connect("A", "total:a", index_pre=[0, 3], pstc=0.03)
    net.connect("B", "total:b", index_pre=1, pstc=0.03)
    net.make("C", 30, 2, array_size=2)
    net.learn("B", "C", "B", rate=1e-7)
    probes = [net.make_probe(name) for name in ("A", "B", "total:total", "C")]
    net.run(0.2)
    return [probe.get_data() for probe in probes]


def test_arrays_and_several_inputs_of_a_node() -> None:
    once, cut = arrays(1), arrays(2)
    for k in range(2):
        assert rmse(once[k][-1], [-0.6, -0.2, 0.2, 0.4]) < 0.15
    assert once[2][-1, 0] == pytest.approx(-0.4, abs=0.1)
    assert once[3].shape == (20, 4)
    assert [a.tobytes() for a in once] == [a.tobytes() for a in cut]


def test_what_python_code_raises_comes_out_of_run() -> None:
    net = nef.Network("raises")
    net.make_input("in", lambda t: {0.0: 1.0}[t])
    net.make_probe("in")
    with pytest.raises(KeyError):
        net.run(0.01)


def test_a_function_gives_as_many_numbers_in_every_step() -> None:
    net = nef.Network("lengths")
    net.make_input("in", lambda t: [0.0] * (1 + (float(str(t)) > 0.01)))
    net.make_probe("in")
    with pytest.raises(nef.NetworkError, match="the function of 'in' gives 2 numbers, at first 1") as raised:
        net.run(0.1)
    assert f"{__file__}:" in str(raised.value)


# --------------------------------------------------------------------------------------- neurons, learning


def test_weights_to_neurons_inhibit() -> None:
    net = simple()
    net.make_input("stop", {0.15: 1})
    net.connect_neurons("stop", "A", weight_matrix=[[-5]] * 100)
    net.make("B", 100, 1)
    # As many numbers come in as neurons: from each of A's first member to each of B.
    net.make("S", 50, 1)
    net.connect_neurons("S", "B", weight_matrix=np.full((100, 50), -1.0))
    probe = net.make_probe("A", data_type="spikes", dt_sample=0.05)
    silenced = net.make_probe("B", data_type="spikes", dt_sample=0.05)
    net.run(0.3)
    assert probe.get_data()[1].sum() > 100
    assert probe.get_data()[-1].sum() == 0
    assert silenced.get_data()[-1].sum() < 10


def learner(partitions: int, **options: Any) -> tuple[nef.Network, nef.SimpleNode | Any]:
    net = nef.Network("learning", seed=2, partitions=partitions)
    net.make_input("in", lambda t: math.sin(20 * t))
    for name in ("pre", "post", "error"):
        net.make(name, 60, 1)
    net.connect("in", "pre")
    net.learn("pre", "post", "error", rate=1e-6, **options)
    net.connect("pre", "error")
    net.connect("post", "error", weight=-1)
    return net, [net.make_probe(name, pstc=0.03) for name in ("pre", "post")]


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_a_connection_learns_to_communicate(ratio: float) -> None:
    net, (pre, post) = learner(1, supervision_ratio=ratio)
    net.run(1.5)
    wrong = [rmse(post.get_data()[k], pre.get_data()[k]) for k in (slice(0, 30), slice(-63, None))]
    assert wrong[0] > 0.3
    assert wrong[1] < 0.2
    cut, (_, other) = learner(2, supervision_ratio=ratio)
    cut.run(0.2)
    assert other.get_data().tobytes() == post.get_data()[:20].tobytes()


def test_weights_change_by_the_rule() -> None:
    """All terms of hPES (see `spikec.network.learning`), from the spikes and the error that were recorded."""
    rate, ratio, dt, neurons = 2e-5, 0.3, 0.001, 40
    net = nef.Network("rule", seed=3, precision="float64")
    net.make_input("in", [0.8, -0.5])
    net.make("pre", neurons, 1, array_size=2)
    net.make("post", neurons, 2, radius=2)
    net.make("error", neurons, 2)
    net.connect("in", "pre")
    net.connect("in", "error")
    net.connect("pre", "post")
    net.learn("pre", "post", "error", rate=rate, supervision_ratio=ratio)
    records = {name: net.make_probe(name, dt_sample=dt, data_type="spikes") for name in ("pre", "post")}
    error = net.make_probe("error", dt_sample=dt, pstc=0)
    graph = net._builder.graph
    (name,) = [n for n, op in graph.nodes(pl.Weights) if n.endswith(".1.weights")]
    graph.add("probe W", g.Probe(size=neurons * neurons, name="W"))
    graph.connect(name, "probe W", "weights")
    net.probes["W"] = Probe("W", name, dt, 1)
    net.run(0.1)

    W = net.probes["W"].get_data().reshape(-1, neurons, neurons)
    a, b = records["pre"].get_data()[:, 1], records["post"].get_data()[:, 0]
    (post,) = tune([population(net, "post")])
    encoded = error.get_data() @ post.encoders.T
    keep, slow = math.exp(-dt / 0.005), math.exp(-dt / 0.02)
    wanted, traced, filtered, theta = W[0].copy(), 0.0, 0.0, 0.0
    for n in range(len(W) - 1):
        traced = keep * traced + (1 - keep) * a[n]
        supervised = ratio * encoded[n]
        unsupervised = 10 * (1 - ratio) * filtered * (filtered - theta)
        wanted += rate * np.outer(post.gain * (supervised + unsupervised), traced)
        theta = slow * theta + (1 - slow) * filtered
        filtered = keep * filtered + (1 - keep) * b[n]
        np.testing.assert_allclose(W[n + 1], wanted, rtol=0, atol=1e-12)
    assert np.abs(W[-1] - W[0]).max() > 1e-5


# ---------------------------------------------------------------------------------------- parts of networks


def test_subnetworks_are_prefixes() -> None:
    net = nef.Network("main")
    a = net.make_subnetwork("A")
    inner = a.make_subnetwork("C")
    a.make("Y", 50, 1)
    inner.make("I", 50, 1)
    inner.make_input("in", 0.5)
    inner.connect("in", "I")
    a.connect("C.I", "Y")
    net.set_alias("short", "A.Y")
    assert net.get_object("short") is net.get_object("A.Y") is a.get_object("Y")
    probe = net.make_probe("short")
    net.run(0.2)
    assert abs(probe.get_data()[-1, 0] - 0.5) < 0.1


def test_names_of_nodes_do_not_meet_others() -> None:
    """A subnetwork has the name of an ensemble, and its nodes those of what belongs to ensembles."""
    net = simple()
    probe = net.make_probe("A", pstc=0.01)
    for name in ("in", "activity", "neurons", "noise", "neurons.in"):
        net.make(f"A.{name}", 20, 1, noise=0.1)
        net.connect_neurons(f"A.{name}", f"A.{name}", np.zeros((20, 20)))
    alone = simple()
    other = alone.make_probe("A", pstc=0.01)
    for run in (net, alone):
        run.run(0.05)
    assert probe.get_data().tobytes() == other.get_data().tobytes()
    with pytest.raises(nef.NetworkError, match=r"there is a node 'A\[1\]' already"):
        simple().make("A[1]", 10, 1)


@pytest.mark.parametrize("neurons", [1, 100])
def test_a_gate_closes(neurons: int) -> None:
    net = nef.Network("gate", seed=1)
    net.make_input("value", 0.5)
    net.make_input("open", {0.2: 1})
    net.make("A", 100, 1)
    nef.templates.gate.make(net, "gate", "A", neurons)
    net.connect("value", "A")
    net.connect("open", "gate")
    value, spikes = net.make_probe("A"), net.make_probe("A", data_type="spikes", dt_sample=0.1)
    net.run(0.4)
    assert spikes.get_data()[1].sum() == 0
    assert spikes.get_data()[3].sum() > 100
    assert abs(value.get_data()[-1, 0] - 0.5) < 0.1
