"""Inputs and ensembles: the operators that their statements lower to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from language_helpers import mistakes, path_from, response, table

from spikec import graph as g
from spikec.expressions import evaluate
from spikec.frontend import load, loads
from spikec.nef.neurons import (
    LIF,
    AdaptiveLIF,
    LIFRate,
    RectifiedLinear,
    Sigmoid,
    SpikingRectifiedLinear,
    Tanh,
)
from spikec.verify import verify

# ------------------------------------------------------------------------------------------------ inputs


def test_constant_and_function_of_time() -> None:
    graph = loads("param f = 2Hz\ninput a = [1, 2]\ninput s(t) = [sin(2*pi*f*t), t > 500ms]\ninput n = 3")
    assert graph.op("a").value == (1.0, 2.0)
    assert graph.op("n").value == (3.0,)
    s = graph.op("s")
    assert isinstance(s, g.TimeFunction)
    t = np.array([0.125, 0.6])
    np.testing.assert_allclose(evaluate(s.expressions[0], t=t), np.sin(2 * np.pi * 2 * t))
    np.testing.assert_array_equal(evaluate(s.expressions[1], t=t), [0, 1])


def test_names_are_of_letters_of_any_alphabet() -> None:
    graph = loads(
        "let τ = 5ms\ninput größe(t) = t\nensemble α(9)\nconnect größe -> α synapse τ\nprobe α as 値_1"
    )
    assert graph.op("α").path == "α"
    assert [op.name for _, op in graph.nodes(g.Probe)] == ["値_1"]
    (found,) = mistakes("ensemble 1α(9)")
    assert found[:2] == (1, 10)


def test_piecewise_holds_from_each_time_on() -> None:
    graph = loads("input a = piecewise(3ms: [1, 0], 5ms: [0, 1])")
    values = table(graph, "a", range(8))
    np.testing.assert_array_equal(values[:, 0], [0, 0, 0, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(values[:, 1], [0, 0, 0, 0, 0, 1, 1, 1])


def test_piecewise_is_that_of_nengo() -> None:
    nengo = pytest.importorskip("nengo")
    times = [0.0, 0.0031, 0.0074, 0.3]
    graph = loads("input a = piecewise(" + ", ".join(f"{t}s: {i + 1}" for i, t in enumerate(times)) + ")")
    process = nengo.processes.Piecewise({t: i + 1.0 for i, t in enumerate(times)})
    expected = process.run_steps(400, dt=0.001)
    np.testing.assert_array_equal(table(graph, "a", range(1, 401)), expected)


def test_white_signal() -> None:
    text = "seed 3\ninput a = white_signal(period=0.5s, high=20Hz, rms=0.3, dims=2)\n"
    op = loads(text).op("a")
    assert isinstance(op, g.Table)
    assert op.period == 500
    assert op.samples.shape == (500, 2)
    np.testing.assert_allclose(np.sqrt((op.samples**2).mean(axis=0)), 0.3)
    np.testing.assert_allclose(op.samples.mean(axis=0), 0, atol=1e-12)
    spectrum = np.abs(np.fft.rfft(op.samples, axis=0))
    frequencies = np.fft.rfftfreq(500, 0.001)
    assert spectrum[frequencies > 20.001].max() < 1e-10
    assert (spectrum[(frequencies > 0) & (frequencies <= 20.001)] > 0).all()
    again = loads(text + "relay other").op("a")
    np.testing.assert_array_equal(again.samples, op.samples)
    assert not np.array_equal(loads(text.replace("seed 3", "seed 4")).op("a").samples, op.samples)


def test_arguments_by_name_may_be_in_any_order() -> None:
    graph = loads(
        "input a = white_noise(dist=gaussian(std=2, mean=0.5))\nensemble b(9, bias=uniform(high=3, low=1))"
    )
    assert (graph.op("a").a, graph.op("a").b) == (0.5, 2.0)
    assert graph.op("b").bias.parameters == (1.0, 3.0)


def test_white_noise() -> None:
    graph = loads(
        "seed 5\ninput a = white_noise(std=2, dims=3)\n"
        "input b = white_noise(low=-1, high=2, scale=false, seed=8)"
    )
    a, b = graph.op("a"), graph.op("b")
    assert (a.distribution, a.a, a.b, a.scale, a.size, a.key, a.seed) == (
        "gaussian",
        0.0,
        2.0,
        True,
        3,
        "a",
        5,
    )
    assert (b.distribution, b.a, b.b, b.scale, b.size, b.key, b.seed) == (
        "uniform",
        -1.0,
        2.0,
        False,
        1,
        "b",
        8,
    )


def recording(folder: Path, options: str, every: str = "2ms") -> g.Graph:
    (folder / "d.csv").write_text("name,other\n1,10\n2,20\n4,40\n", encoding="utf-8")
    path = folder / "m.spk"
    path.write_text(f'input a from "d.csv" every {every}{options}', encoding="utf-8")
    return load(path)


def test_recording_is_held(tmp_path: Path) -> None:
    values = table(recording(tmp_path, ""), "a", range(8))
    np.testing.assert_array_equal(values[:, 0], [1, 1, 2, 2, 4, 4, 4, 4])
    np.testing.assert_array_equal(values[:, 1], 10 * values[:, 0])


def test_recording_is_interpolated(tmp_path: Path) -> None:
    values = table(recording(tmp_path, " linear"), "a", range(7))
    np.testing.assert_allclose(values[:, 0], [1, 1.5, 2, 3, 4, 4, 4])


def test_recording_is_repeated(tmp_path: Path) -> None:
    np.testing.assert_array_equal(
        table(recording(tmp_path, " repeat"), "a", range(8))[:, 0], [1, 1, 2, 2, 4, 4, 1, 1]
    )
    linear = table(recording(tmp_path, " linear repeat"), "a", range(8))[:, 0]
    np.testing.assert_allclose(linear, [1, 1.5, 2, 3, 4, 2.5, 1, 1.5])


def test_recording_at_an_interval_of_a_fraction_of_steps(tmp_path: Path) -> None:
    values = table(recording(tmp_path, "", every="2.5ms"), "a", range(7))
    np.testing.assert_array_equal(values[:, 0], [1, 1, 1, 2, 2, 4, 4])


def test_matrices_from_files(tmp_path: Path) -> None:
    weights = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "w.npy", weights)
    path = tmp_path / "m.spk"
    path.write_text(
        'relay a[3]\nrelay b[2]\nconnect a -> b transform load("w.npy") synapse none', encoding="utf-8"
    )
    np.testing.assert_array_equal(response(load(path), "a", "b"), weights)


# --------------------------------------------------------------------------------------------- ensembles


@pytest.mark.parametrize(
    ("written", "neuron"),
    [
        ("lif(tau_rc=30ms, tau_ref=1ms, min_voltage=-1, amplitude=2)", LIF(0.03, 0.001, 2.0, -1.0)),
        ("lif", LIF()),
        ("lif(tau_rc=none, min_voltage=none)", LIF(tau_rc=np.inf, min_voltage=-np.inf)),
        ("adaptive_lif(tau_n=none)", AdaptiveLIF(tau_n=np.inf)),
        ("lif_rate(amplitude=0.5)", LIFRate(amplitude=0.5)),
        ("adaptive_lif(tau_n=0.5s, inc_n=0.02)", AdaptiveLIF(tau_n=0.5, inc_n=0.02)),
        ("rectified_linear", RectifiedLinear()),
        ("spiking_rectified_linear(amplitude=3)", SpikingRectifiedLinear(3.0)),
        ("sigmoid(tau_ref=3ms)", Sigmoid(0.003)),
        ("tanh(tau_ref=3ms)", Tanh(0.003)),
        ("tanh", Tanh()),
    ],
)
def test_neuron_types(written: str, neuron: object) -> None:
    assert loads(f"ensemble a(10, neuron={written})").op("a").neuron == neuron


def test_direct_mode_has_no_neurons() -> None:
    graph = loads("ensemble a(10, dims=2, neuron=direct)\nrelay b\nconnect a -> b via x[0]*x[1]\nprobe a")
    verify(graph)
    assert not list(graph.nodes((g.Ensemble, g.Decoding)))
    assert path_from(graph, "a.in", "b") == ["Sum", "Function", "Filter", "Sum"]


def test_parameters_of_an_ensemble() -> None:
    graph = loads(
        "seed 4\n"
        "ensemble a(3, dims=2, radius=1.5, encoders=[[1, 0], [0, 1], [1, 1]],"
        " max_rates=uniform(100Hz, 0.2kHz),"
        " intercepts=[0, 0.1, 0.2], eval_points=ball, n_eval_points=77, normalize_encoders=false, seed=9,"
        " noise=white_noise(std=0.1, seed=2))\n"
        "ensemble b(5, gain=2, bias=uniform(0, 1), encoders=choice([[1], [-1]], [3, 1]))"
    )
    a, b = graph.op("a"), graph.op("b")
    assert (a.size, a.dims, a.radius, a.path, a.seed, a.n_eval_points) == (3, 2, 1.5, "a", 9, 77)
    assert a.encoders == g.Distribution("samples", (((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)),))
    assert a.max_rates == g.Distribution("uniform", (100.0, 200.0))
    assert a.intercepts == g.Distribution("samples", ((0.0, 0.1, 0.2),))
    assert a.eval_points == g.Distribution("hypersphere", (0, 0.0))
    noise = graph.op("a.noise")
    assert (noise.distribution, noise.b, noise.scale, noise.size, noise.seed) == ("gaussian", 0.1, True, 3, 2)
    assert graph.inputs("a.encoded.in") == ["a.noise"]
    assert not a.normalize_encoders
    assert b.seed == 4
    assert b.gain == g.Distribution("samples", (2.0,))
    assert b.encoders == g.Distribution("choice", (((1.0,), (-1.0,)), (3.0, 1.0)))


def test_defaults_and_what_overrides_them() -> None:
    graph = loads(
        "defaults ensemble { radius = 2, neuron = lif_rate }\ndefaults connection { synapse = 20ms }\n"
        "ensemble a(10)\nensemble b(10, radius=3)\nconnect a -> b\nconnect b -> a synapse 7ms\n"
        "module m() { port in\n defaults ensemble { radius = 5 }\n ensemble c(10)\n"
        " connect in -> c }\nuse m() as n"
    )
    assert [graph.op(n).radius for n in ("a", "b", "n.c")] == [2, 3, 5]
    assert isinstance(graph.op("n.c").neuron, LIFRate)
    dens = [graph.op(f"{n}.filter").den[0] for n in ("a->b", "b->a", "n.in->n.c")]
    assert dens == [0.02, 0.007, 0.02]


def test_an_array_takes_rows_for_the_neurons_of_all_its_ensembles() -> None:
    """Each ensemble has its own rows; what has a row for each neuron of one is that of every one."""
    own = "encoders=[[1], [-1], [-1], [1]], gain=[1, 2, 3, 4], initial_voltage=[0, 0.1, 0.2, 0.3]"
    graph = loads(f"array a(2, count=2, {own}, bias=[5, 6])\nprobe a")
    for k, (encoders, gain, voltage) in enumerate(
        [(((1,), (-1,)), (1, 2), (0, 0.1)), (((-1,), (1,)), (3, 4), (0.2, 0.3))]
    ):
        op = graph.op(f"a[{k}]")
        assert isinstance(op, g.Ensemble)
        assert op.encoders == g.Distribution("samples", (encoders,))
        assert op.gain == g.Distribution("samples", (gain,))
        assert op.bias == g.Distribution("samples", ((5, 6),))
        assert op.initial_state == (("voltage", g.Distribution("samples", (voltage,))),)
    # One direction for all neurons is no row for each of them.
    graph = loads("array a(2, count=2, dims=4, encoders=[1, 0, 0, 0])\nprobe a")
    assert graph.op("a[1]").encoders == g.Distribution("samples", ((1, 0, 0, 0),))


def test_decoders_of_an_array_are_those_of_its_ensembles_one_after_the_other() -> None:
    graph = loads(
        "array a(2, count=2)\nrelay r[2]\nconnect a -> r solver no_solver([[1], [2], [3], [4]])\nprobe r"
    )
    given = [op.solver.values.tolist() for _, op in graph.nodes(g.Decoding)]
    assert given == [[[1], [2]], [[3], [4]]]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("connect a -> r solver no_solver([[1], [2]])", "shape 2 x 1; the connection needs 4 x 1"),
        ("connect u -> r[0] solver no_solver([[1]])", "decoders are given for ensembles"),
        ("array b(2, count=3, gain=[1, 2, 3, 4])", "gain has 4 values for 2 neurons"),
        ("array b(2, count=3, gain=[[1, 2], [3, 4], [5, 6]])", "gain has 3 x 2 values for 2 neurons"),
    ],
)
def test_rows_that_do_not_fit_an_array(statement: str, message: str) -> None:
    (found,) = mistakes(f"array a(2, count=2)\nrelay r[2]\ninput u = 1\n{statement}\nprobe r")
    assert found[0] == 4
    assert message in found[2]
