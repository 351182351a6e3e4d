"""Failures of real programs: what is said, what is kept, and what is refused before."""

from __future__ import annotations

import json
from pathlib import Path

import inprocess
import numpy as np
import pytest
from click.testing import CliRunner
from spike_runtime.cli import main
from spike_runtime.launch import RunFailedError

import spikec
from spikec import frontend
from spikec import graph as g
from spikec.expressions import FUNCTIONS, Call, Component, evaluate


@pytest.mark.usefixtures("reference_host")
def test_a_division_by_zero_is_named_and_what_was_recorded_is_kept(tmp_path: Path) -> None:
    text = (
        "model pole\ninput k(t) = 1 / (t - 0.05)\nensemble a(60)\nensemble b(60)\n"
        "connect k -> a synapse none\nconnect a -> b\nprobe b synapse 10ms as b\n"
    )
    compiled = spikec.compile_text(text, 2, tmp_path / "model")
    with pytest.raises(
        RunFailedError, match=r"not a number or is out of range at 0.05 s, step 50; it comes from k; look for"
    ) as caught:
        compiled.run(0.1, tmp_path / "run")
    assert caught.value.run is not None
    assert caught.value.run.status == "failed"
    assert caught.value.run.probe("b").sizes["time"] == 49


@pytest.mark.usefixtures("reference_host")
def test_what_a_failed_run_recorded_is_told_and_drawn(tmp_path: Path) -> None:
    text = "input k(t) = 1 / (t - 0.05)\nensemble a(60)\nconnect k -> a\nprobe a synapse 10ms\nprobe k\n"
    spikec.compile_text(text, 1, tmp_path / "model")
    run, picture = tmp_path / "run", tmp_path / "new.png"
    arguments = [tmp_path / "model", "--time", "100ms", "-o", run, "--plot", picture, "--json"]
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == 1
    assert "it comes from k; look for" in done.stderr
    assert "  k is not a finite number at 0.05 s; look for" in done.stderr
    assert f"  picture of what was recorded: {picture}" in done.stderr
    assert picture.stat().st_size > 1000
    assert json.loads(done.stdout)["not_finite_s"] == {"k": 0.05}


@pytest.mark.usefixtures("reference_host")
def test_a_current_of_one_neuron_that_is_not_a_number_is_noticed(tmp_path: Path) -> None:
    text = (
        "input bad(t) = log(0.0105 - t)\nensemble a(60)\n"
        "connect bad -> a.neurons[1] synapse none\nprobe a synapse 10ms\n"
    )
    compiled = spikec.compile_text(text, 1, tmp_path / "model")
    with pytest.raises(
        RunFailedError,
        match=r"what ensemble 'a' represents is not a number .*, step 11; it comes from bad; look",
    ):
        compiled.run(0.1, tmp_path / "run")


def test_every_function_means_the_same_in_a_program_as_when_solved() -> None:
    """Comparisons and select inside of arithmetic, too: true is 1, and numbers have 64 bits."""
    graph = g.Graph("functions", 1e-3, 0)
    graph.add(
        "x",
        g.Table(size=3, samples=np.random.default_rng(0).uniform(0.1, 0.9, (50, 3)), starts=np.arange(50)),
    )
    calls = []
    for name, function in FUNCTIONS.items():
        call = Call(name, tuple(Component(i) for i in range(function.arity)))
        calls += [call, Call("-", (Call("/", (call, Component(0))), call))]
    graph.add("f", g.Function(size=len(calls), expressions=tuple(calls), arguments=3))
    graph.connect("x", "f")
    graph.add("out", g.Probe(size=len(calls), name="out"))
    graph.connect("f", "out")
    found = inprocess.run_split(graph, 1, "float64", 40)["out"]
    x = graph.op("x").samples[1:41]
    for k, call in enumerate(calls):
        np.testing.assert_allclose(found[:, k], evaluate(call, x), rtol=1e-13, err_msg=str(call))


def test_functions_of_time_do_not_depend_on_their_neighbours() -> None:
    """1 - sigmoid(t) is what it says, whether or not the partition also computes sigmoid(t)."""
    text = (
        "model m\ninput up(t) = 1 / (1 + exp(-20 * t))\ninput down(t) = 1 - 1 / (1 + exp(-20 * t))\n"
        "ensemble a(60)\nensemble b(60)\nconnect up -> a\nconnect down -> b\n"
        "probe a voltage\nprobe b voltage\nprobe down\n"
    )
    graph = inprocess.prepared(frontend.loads(text))
    one, two = (inprocess.run_split(graph, n, "float64", 200) for n in (1, 2))
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)


@pytest.mark.usefixtures("reference_host")
def test_compiling_does_not_remove_what_else_is_in_the_folder(tmp_path: Path) -> None:
    text = "model m\ninput u(t) = t\nprobe u\n"
    spikec.compile_text(text, 1, tmp_path / "model")
    (tmp_path / "model" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(
        spikec.ModelError, match=r"also holds notes.txt, which compiling into it would remove"
    ):
        spikec.compile_text(text, 1, tmp_path / "model")
    assert (tmp_path / "model" / "notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.usefixtures("reference_host")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "double"}, "precision cannot be 'double'"),
        ({"transport": "shm"}, "transport cannot be 'shm'"),
        ({"partitions": "two"}, "'two' is not a number of partitions"),
        ({"partitions": 0}, "0 is not a number of partitions"),
    ],
)
def test_options_are_checked_before_anything_is_built(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(spikec.ModelError, match=message):
        spikec.compile_text("model m\ninput u(t) = t\nprobe u\n", output=tmp_path / "model", **options)
    assert not (tmp_path / "model").exists()


def test_relays_that_lose_a_reader_leave_nothing_behind() -> None:
    """A filter that only zeros were read of is gone; decoders behind it can still be narrowed."""
    text = (
        "ensemble a(50, dims=2)\nensemble b(50, dims=2)\nensemble c(50, dims=2)\n"
        "ensemble d(50)\nrelay r[4]\n"
        "connect a -> r[0:2] synapse 10ms\n"
        "connect b -> r[2:4] synapse 10ms\n"
        "connect r[2:4] -> c synapse none\n"
        "connect a[0] -> d synapse 5ms\nprobe c\nprobe d\n"
    )
    assert sorted(op.name for _, op in inprocess.prepared(frontend.loads(text)).nodes(g.Probe)) == ["c", "d"]


def test_many_evaluation_points_are_compared_by_value() -> None:
    text = "ensemble a(50)\nensemble b(50)\nconnect a -> b eval_points [k / 5000 for k in 0..5000]\nprobe b\n"
    assert list(inprocess.prepared(frontend.loads(text)).nodes(g.Probe))


def test_points_that_leave_a_dimension_out_are_solved_directly() -> None:
    text = "ensemble a(1100, dims=2, eval_points=choice([[1, 0], [-1, 0]]))\nprobe a synapse 10ms\n"
    (total,) = (op for _, op in inprocess.prepared(frontend.loads(text)).nodes(g.ExactSum))
    assert total.size == 2


def test_errors_of_the_builder_show_the_line(tmp_path: Path) -> None:
    text = "model m\nensemble a(50, max_rates=uniform(900Hz, 1000Hz))\nprobe a\n"
    with pytest.raises(spikec.ModelError) as caught:
        spikec.compile_text(text, name="m.spk", output=tmp_path / "model", host_profile="reference")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("m.spk:2:1: error: ensemble a: a maximum rate of 9")
    assert lines[1] == "  2 | ensemble a(50, max_rates=uniform(900Hz, 1000Hz))"
    assert lines[2].lstrip(" |").startswith("^")
    assert not (tmp_path / "model").exists()
