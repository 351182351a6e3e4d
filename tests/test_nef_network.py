"""`spikec.nef.Network`: what its arguments mean, Python code in it, learning, and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikec import graph as g
from spikec import nef
from spikec import plasticity as pl
from spikec.errors import ModelError
from spikec.nef.neurons import LIFRate
from spikec.nef.tuning import tune
from spikec.network.probe import Probe


def rmse(a: Any, b: Any) -> float:
    return float(np.sqrt(np.mean((np.asarray(a) - np.asarray(b)) ** 2)))


def simple(**options: Any) -> nef.Network:
    net = nef.Network("simple", seed=1, **options)
    net.make_input("in", [0.5, -0.4])
    net.make("A", 100, 1, array_size=2)
    net.connect("in", "A")
    return net


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


# ------------------------------------------------------------------------------------------- random numbers


def population(net: nef.Network, name: str) -> g.Ensemble:
    found = net.get_object(name)
    assert isinstance(found.populations[0], g.Ensemble)
    return found.populations[0]


def spikes(seed: int | None = None, fixed_seed: int | None = None, **more: Any) -> list[np.ndarray]:
    net = nef.Network("seeds", seed=seed, fixed_seed=fixed_seed)
    net.make_input("in", 0.7)
    probes = []
    for name in ("A", "B"):
        net.make(name, 30, 1, **more)
        net.connect("in", name)
        probes.append(net.make_probe(name, data_type="spikes", dt_sample=0.001))
    net.run(0.05)
    return [probe.get_data() for probe in probes]


def test_seeds_make_networks_equal_and_fixed_ones_ensembles() -> None:
    first, again, other = spikes(1), spikes(1), spikes(2)
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], first[1])
    fixed = spikes(fixed_seed=1)
    assert np.array_equal(fixed[0], fixed[1])


@pytest.mark.parametrize("kind", ["uniform", "gaussian"])
def test_noise_is_in_the_current_of_every_neuron(kind: str) -> None:
    quiet = spikes(1, intercept=(0.5, 0.9))
    noisy = spikes(1, intercept=(0.5, 0.9), noise=0.1, noise_type=kind)
    assert not np.array_equal(quiet[0], noisy[0])
    net = nef.Network("noise", seed=1)
    net.make("A", 400, 1, noise=0.1, noise_type=kind)
    source = net._builder.graph.op("A::noise")
    assert (source.distribution, source.scale) == (kind, True)
    wanted = (-0.1, 0.1) if kind == "uniform" else (0.0, math.sqrt(0.1))
    assert (source.a, source.b) == wanted


def test_a_description_becomes_a_population() -> None:
    net = nef.Network("description")
    net.make(
        "A", 5, 2, tau_ref=0.001, tau_rc=0.03, max_rate=(50, 60), intercept=0.1, radius=2, seed=7,
        encoders=[[1, 0], [0, 1]], eval_points=[[0, 1, 2], [3, 4, 5]], decoder_noise=0.2, num_subs=3,
    )  # fmt: skip
    op = population(net, "A")
    assert (op.size, op.dims, op.radius, op.seed, op.path) == (5, 2, 2.0, 7, "A")
    assert (op.neuron.tau_ref, op.neuron.tau_rc, op.neuron.kind) == (0.001, 0.03, "lif")
    assert op.max_rates == g.Distribution("uniform", (50.0, 60.0))
    assert op.intercepts == g.Distribution("uniform", (0.1, 1.0))
    assert op.encoders.parameters[0].tolist() == [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]
    assert op.eval_points.parameters[0].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert net._builder.graph.op("A:X").solver.regularisation == 0.2


@pytest.mark.parametrize("how", [{"mode": "rate"}, {"neuron_type": "lif-rate"}, {"neuron_type": LIFRate()}])
def test_rates_take_the_place_of_spikes(how: dict[str, Any]) -> None:
    net = nef.Network("rates")
    net.make_input("in", 0.5)
    net.make("A", 50, 1, **how)
    net.connect("in", "A", pstc=0)
    value, rates = net.make_probe("A", pstc=0), net.make_probe("A", data_type="spikes")
    net.run(0.05)
    (neurons,) = tune([population(net, "A")])
    wanted = neurons.neuron.rates(0.5 * neurons.scaled_encoders[:, 0] + neurons.bias)
    np.testing.assert_allclose(rates.get_data()[-1], wanted, rtol=1e-4, atol=1e-3)
    assert abs(value.get_data()[-1, 0] - 0.5) < 0.05


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


def test_a_gate_closes() -> None:
    net = nef.Network("gate", seed=1)
    net.make_input("value", 0.5)
    net.make_input("open", {0.2: 1})
    net.make("A", 100, 1)
    nef.templates.gate.make(net, "gate", "A", 100)
    net.connect("value", "A")
    net.connect("open", "gate")
    value, spikes = net.make_probe("A"), net.make_probe("A", data_type="spikes", dt_sample=0.1)
    net.run(0.4)
    assert spikes.get_data()[1].sum() == 0
    assert spikes.get_data()[3].sum() > 100
    assert abs(value.get_data()[-1, 0] - 0.5) < 0.1


# --------------------------------------------------------------------------------------------- mistakes


def broken(net: nef.Network, what: str) -> None:
    calls = {
        "name": lambda: net.connect("in", "B"),
        "near": lambda: net.connect("inn", "A"),
        "twice": lambda: net.make("A", 10, 1),
        "origin": lambda: net.connect("A:squared", "A"),
        "target": lambda: net.connect("A", "in"),
        "transform": lambda: net.connect("in", "A", transform=[[1, 0, 0], [0, 1, 0]]),
        "both": lambda: net.connect("in", "A", transform=np.eye(2), weight=2),
        "index": lambda: net.connect("in", "A", index_post=2),
        "argument": lambda: net.make("B", 10, 1, intercepts=(0, 1)),
        "mode": lambda: net.make("B", 10, 1, mode="rates"),
        "neurons": lambda: net.make("B", 0.5, 1),
        "encoders": lambda: net.make("B", 10, 2, encoders=[[1]]),
        "pstc": lambda: net.connect("in", "A", pstc=-1),
        "sample": lambda: net.make_probe("A", dt_sample=0.0015),
        "weights": lambda: net.connect_neurons("in", "A", np.ones((3, 2))),
        "error": lambda: net.learn("A", "A", "A:X", weight_matrix=np.ones((3, 3))),
        "hdf5": lambda: net.write_data_to_hdf5("file"),
        "unrecorded": lambda: net.run(0.1),
        "ragged": lambda: net.connect("in", "A", transform=[[1], [1, 0]]),
        "infinite": lambda: net.make_input("B", [1, float("inf")]),
        "noise": lambda: net.make("B", 10, 1, noise=-1),
        "gives": lambda: net.connect("A", "A", func=lambda x: f"text{x[0]}"),
    }
    calls[what]()


@pytest.mark.parametrize(
    ("what", "message", "hint"),
    [
        ("name", "there is no node 'B'", "nodes: A, in"),
        ("near", "there is no node 'inn'", "did you mean 'in'?"),
        ("twice", "there is a node 'A' already", "give every node a name of its own"),
        ("origin", "'A' has no origin 'squared'", "origins: X"),
        ("target", "'in' is nothing to connect to", "there are no inputs yet"),
        ("transform", "a transform of shape (2, 3) cannot lead from 2 numbers to 2",
         "give 2 rows of 2 numbers"),
        ("both", "a connection has a transform, or weight, index_pre and index_post, not both",
         "put the weight into the transform"),
        ("index", "index_post holds 2, which is no component of 2", "give whole numbers from 0 to 1"),
        ("argument", "make has no argument 'intercepts'", "did you mean 'intercept'?"),
        ("mode", "the mode of 'B' cannot be 'rates'", "did you mean 'rate'?"),
        ("neurons", "neurons of 'B' must be a whole number of at least 1, not 0.5", "give neurons=1"),
        ("encoders", "encoders of 'B' have shape (1, 1), which are no vectors of 2 numbers",
         "give a list of directions, each of as many numbers as there are dimensions"),
        ("pstc", "pstc is a time of 0 s or more, not -1", "give pstc=0.01"),
        ("sample", "dt_sample of 0.0015 s is no whole number of steps of 0.001 s",
         "give 0.001 or a multiple"),
        ("weights", "a weight_matrix of shape (3, 2) cannot lead to the 200 neurons of 'A'",
         "give 200 rows of 2 (values) numbers"),
        ("error", "a weight_matrix of shape (3, 3) cannot lead from 'A' to 'A'",
         "give 100 rows of 100 numbers, 4 times"),
        ("hdf5", "there is no writer of Neo HDF5 files ('file')",
         "save what get_data() of the probes gives, for example with numpy.savez"),
        ("unrecorded", "the network records nothing: it has no probe", "add one: make_probe(name)"),
        ("ragged", "a transform is no list of numbers: [[1], [1, 0]]", "give numbers, or rows of one length"),
        ("infinite", "the value of 'B' holds numbers that are not finite", "give finite numbers"),
        ("noise", "noise of 'B' is a number of 0 or more, not -1", "give noise=0.1"),
        ("gives", "the function of 'A' gives 'text0.0', which is no list of numbers", "return numbers"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_a_remedy(what: str, message: str, hint: str) -> None:
    net = simple()
    with pytest.raises(nef.NetworkError) as raised:
        broken(net, what)
    (diagnostic,) = raised.value.diagnostics
    assert (diagnostic.message, diagnostic.hint) == (message, hint)
    assert diagnostic.span is not None
    assert diagnostic.span.file == __file__
    line = Path(__file__).read_text().splitlines()[diagnostic.span.line - 1]
    assert f'"{what}": lambda' in line
    assert f"{__file__}:{diagnostic.span.line}:9: error: {message}" in str(raised.value)


def test_what_the_compiler_finds_has_the_line_too() -> None:
    net = simple()
    net.make("B", 10, 1, max_rate=(200, 600))
    net.make_probe("B")
    with pytest.raises(ModelError, match="is not below 500 Hz") as raised:
        net.run(0.1)
    assert 'net.make("B", 10, 1, max_rate=(200, 600))' in str(raised.value)


def test_a_network_that_has_run_is_not_changed() -> None:
    net = simple()
    net.make_probe("A")
    net.run(0.01)
    with pytest.raises(nef.NetworkError, match="a network that has run cannot be changed"):
        net.make("B", 10, 1)


def test_values_that_compiled_functions_use_are_not_changed() -> None:
    factor = 1.0
    net = nef.Network("captured")
    net.make_input("in", lambda t: factor * t)
    net.make_probe("in")
    net.run(0.01)
    factor = 2.0
    with pytest.raises(nef.NetworkError, match="has changed since it was compiled"):
        net.run(0.01)
