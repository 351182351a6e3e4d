"""Mistakes in networks of `spikec.nef`: each named with its line and a remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nef_networks import simple

from spikec import nef


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
        "endless": lambda: net.run(float("inf")),
        "ragged": lambda: net.connect("in", "A", transform=[[1], [1, 0]]),
        "infinite": lambda: net.make_input("B", [1, float("inf")]),
        "noise": lambda: net.make("B", 10, 1, noise=-1),
        "gives": lambda: net.connect("A", "A", func=lambda x: f"text{x[0]}"),
        "nothing": lambda: net.make_input("B", lambda _: None),
        "halves": lambda: net.make_input("B", lambda t: [t, None]),
        "rates": lambda: net.make("B", 10, 1, max_rate=(200, 600)),
        "lowest": lambda: net.make("B", 10, 1, max_rate=(0, 100)),
        "pair": lambda: net.make("B", 10, 1, max_rate=None),
        "intercept": lambda: net.make("B", 10, 1, intercept=(-1, 2)),
        "taus": lambda: net.make("B", 10, 1, tau_rc="20ms"),
        "refractory": lambda: net.make("B", 10, 1, tau_ref=-1),
        "zero": lambda: net.make("B", 10, 1, encoders=[[0], [1]]),
        "text": lambda: net.make("B", "100", 1),
        "seed": lambda: net.make("B", 10, 1, seed="x"),
        "network": lambda: nef.Network("n", seed=-3),
        "step": lambda: nef.Network("n", dt="1ms"),
        "swapped": lambda: net.make_probe("A", sample_dt=0.01),
        "missing": lambda: net.connect_neurons("A", "A"),
        "bare": lambda: nef.Network(),
        "subnetwork": lambda: net.make_subnetwork("A"),
    }
    calls[what]()


@pytest.mark.parametrize(
    ("what", "message", "hint"),
    [
        ("name", "there is no node 'B'", "nodes: A, in"),
        ("near", "there is no node 'inn'", "did you mean 'in'?"),
        ("twice", "there is a node 'A' already", "give every node a name of its own"),
        ("origin", "'A' has no origin 'squared'", "origins: X"),
        ("target", "'in' is nothing to connect to", "it is an input; connect to an ensemble"),
        ("transform", "a transform of shape (2, 3) cannot lead from 2 numbers to 2",
         "give 2 rows of 2 numbers"),
        ("both", "a connection has a transform, or weight, index_pre and index_post, not both",
         "put the weight into the transform"),
        ("index", "index_post holds 2, which is no component of 2", "give whole numbers from 0 to 1"),
        ("argument", "make has no argument 'intercepts'", "did you mean 'intercept'?"),
        ("mode", "the mode of 'B' cannot be 'rates'", "did you mean 'rate'?"),
        ("neurons", "neurons of 'B' must be a whole number of at least 1, not 0.5", "give neurons=100"),
        ("encoders", "encoders of 'B' have shape (1, 1), which are no vectors of 2 numbers",
         "give a list of directions, each of as many numbers as there are dimensions"),
        ("pstc", "pstc is a time of 0 s or more, not -1", "give pstc=0.01"),
        ("sample", "dt_sample of 0.0015 s is no whole number of steps of 0.001 s",
         "give 0.001 or a multiple"),
        ("weights", "a weight_matrix of shape (3, 2) cannot lead to the 200 neurons of 'A'",
         "give 200 rows of 2 (values) numbers"),
        ("error", "a weight_matrix of shape (3, 3) cannot lead from 'A' to 'A'",
         "give 100 rows of 100 numbers, 4 times"),
        ("hdf5", "the file 'file' is not written: Spike writes no HDF5 files of Neo",
         "save what get_data() of the probes gives, for example with numpy.savez"),
        ("endless", "a network cannot run for inf", "give a number of seconds, 0 or more"),
        ("unrecorded", "the network records nothing: it has no probe", "add one: make_probe(name)"),
        ("ragged", "a transform is no list of numbers: [[1], [1, 0]]", "give numbers, or rows of one length"),
        ("subnetwork", "there is a node 'A' already", "give every node a name of its own"),
        ("infinite", "the value of 'B' holds numbers that are not finite", "give finite numbers"),
        ("noise", "noise of 'B' is a number of 0 or more, not -1", "give noise=0.1"),
        ("gives", "the function of 'A' gives 'text0.0', which is no list of numbers", "return numbers"),
        ("nothing", "the function of 'B' gives None", "return a number, or a list of them, in every case"),
        ("halves", "the function of 'B' gives None", "return a number, or a list of them, in every case"),
        ("rates", "max_rate of 'B' is not below 500 Hz, the inverse of tau_ref: (200, 600)",
         "give rates below 500, such as max_rate=(250, 400), or a shorter tau_ref"),
        ("lowest", "max_rate of 'B' is not above 0 Hz: (0, 100)", "give max_rate=(200, 300)"),
        ("pair", "max_rate of 'B' cannot be None", "give the lowest and the highest: max_rate=(a, b)"),
        ("intercept", "intercept of 'B' is not below 1, where neurons have their maximum rate: (-1, 2)",
         "give intercept=(-1, 1), or a narrower range"),
        ("taus", "tau_rc of 'B' must be a number above 0, not '20ms'", "give tau_rc=0.02"),
        ("refractory", "tau_ref of 'B' must be a time of 0 s or more, not -1", "give tau_ref=0.002"),
        ("zero", "encoders of 'B' hold one of length 0", "give directions of any length above 0"),
        ("text", "neurons of 'B' must be a whole number of at least 1, not '100'", "give neurons=100"),
        ("seed", "seed of 'B' must be a whole number from 0 to 2^63 - 1, not 'x'", "give seed=1"),
        ("network", "seed of 'n' must be a whole number from 0 to 2^63 - 1, not -3", "give seed=1"),
        ("step", "dt of 'n' must be a number above 0, not '1ms'", "give dt=0.001 (s)"),
        ("swapped", "make_probe has no argument 'sample_dt'", "did you mean 'dt_sample'?"),
        ("missing", "connect_neurons: missing a required argument: 'weight_matrix'",
         "its arguments are pre, post, weight_matrix, pstc, func"),
        ("bare", "Network: missing a required argument: 'name'",
         "its arguments are name, seed, fixed_seed, dt, partitions, precision"),
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
    net.connect("A", "A", func=lambda x: x[0] if x[0] < 0 else float("nan"))
    net.make_probe("A")
    with pytest.raises(nef.NetworkError, match="is nan at the evaluation point") as raised:
        net.run(0.1)
    assert 'net.connect("A", "A", func=lambda x: x[0] if x[0] < 0 else float("nan"))' in str(raised.value)


def test_a_step_that_fails_has_the_line_that_ran_it() -> None:
    net = nef.Network("late")
    net.make_input("in", lambda t: float("nan") if t > 0.005 else t)
    net.make("A", 50, 1)
    net.connect("in", "A")
    net.make_probe("A", dt_sample=0.001)
    with pytest.raises(nef.NetworkError, match="what ensemble 'A' represents is not a number") as raised:
        net.run(0.1)
    assert raised.value.diagnostics[0].span is not None
    assert raised.value.diagnostics[0].span.file == __file__
    assert "look for functions that divide by 0" in raised.value.diagnostics[0].hint


def test_what_a_function_raises_says_whose_it_is() -> None:
    net = nef.Network("raises")
    net.make("A", 50, 1)
    with pytest.raises(ZeroDivisionError) as raised:
        net.connect("A", "A", func=lambda x: 1 / (0 * len(x)))
    assert raised.value.__notes__ == ["in the function of 'A'"]


def test_a_function_gives_numbers_in_every_step() -> None:
    net = nef.Network("sometimes")
    net.make_input("in", lambda t: 1.0 if t < 0.005 else None)
    net.make_probe("in")
    with pytest.raises(nef.NetworkError, match="the function of 'in' gives None"):
        net.run(0.1)


def test_a_state_that_cannot_be_saved_or_loaded(tmp_path: Path) -> None:
    net, other = simple(), nef.Network("other", seed=1)
    other.make("B", 10, 1)
    for one, name in ((net, "A"), (other, "B")):
        one.make_probe(name)
        one.run(0.01)
    with pytest.raises(nef.NetworkError, match="No such file") as raised:
        net.load_state(tmp_path / "missing.npz")
    assert raised.value.diagnostics[0].hint == "make it with save_state"
    (tmp_path / "text").write_text("text")
    with pytest.raises(nef.NetworkError, match="exists and is not a saved state"):
        net.save_state(tmp_path / "text")
    other.save_state(tmp_path / "state.npz")
    with pytest.raises(nef.NetworkError, match="not in the file") as raised:
        net.load_state(tmp_path / "state.npz")
    assert raised.value.diagnostics[0].hint == "load it into the network that it is of"
    assert "net.load_state" in str(raised.value)


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
