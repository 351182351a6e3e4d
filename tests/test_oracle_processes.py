"""Processes against Nengo: presented inputs and curves by sample, noise by its statistics."""

from __future__ import annotations

from functools import cache

import numpy as np
import oracle
import pytest
from language_helpers import mistakes
from oracle import nengo

from spikec import graph as g
from spikec.frontend import loads

STEPS = 4000
SAMPLED = {
    "presented": (
        "present_input([[1, 2], [3, 4], [5, 6]], each=7ms)",
        nengo.processes.PresentInput([[1, 2], [3, 4], [5, 6]], 0.007),
    ),
    "uneven": (
        "present_input([1, 2, 4], each=5ms/3)",
        nengo.processes.PresentInput([[1], [2], [4]], 0.005 / 3),
    ),
    "once": (
        "present_input([[1, 2], [3, 4], [5, 6]], each=0.5s, repeat=false)",
        # The first step shows the first row, and every other what was to be shown before it.
        nengo.processes.Piecewise({0: [1, 2], 0.501: [3, 4], 1.001: [5, 6]}),
    ),
    **{
        kind: (
            f'piecewise(0s: 0.5, 0.1s: 1, 0.2507s: -1, 0.4s: 0.25, 0.5s: 2, interpolation="{kind}")',
            nengo.processes.Piecewise({0: 0.5, 0.1: 1, 0.2507: -1, 0.4: 0.25, 0.5: 2}, interpolation=kind),
        )
        for kind in ("zero", "nearest", "linear", "quadratic", "cubic")
    },
    "numpy_white": (
        "white_noise(dist=pdf([0, 1, 3], [0.25, 0.5, 0.25]), stream=numpy(7))",
        nengo.processes.WhiteNoise(
            nengo.dists.PDF(np.array([0.0, 1.0, 3.0]), np.array([0.25, 0.5, 0.25])), seed=7
        ),
    ),
    "numpy_filtered": (
        "filtered_noise(synapse=alpha(20ms), mean=0.5, std=2, stream=numpy(8))",
        nengo.processes.FilteredNoise(nengo.Alpha(0.02), nengo.dists.Gaussian(0.5, 2), seed=8),
    ),
    "numpy_brown": (
        "brown_noise(low=-1, high=2, stream=numpy(4294967295))",
        nengo.processes.BrownNoise(nengo.dists.Uniform(-1, 2), seed=4294967295),
    ),
    "late": (
        'piecewise(0.1s: [1, 2], 0.2s: [3, 0], interpolation="linear")',
        nengo.processes.Piecewise({0.1: [1, 2], 0.2: [3, 0]}, interpolation="linear"),
    ),
}
NOISES = {
    "exponential": "white_noise(dist=exponential(2, shift=1, high=5), scale=false, dims=2)",
    "choice": "white_noise(dist=choice([-1, 0, 4], weights=[1, 2, 1]), scale=false, dims=2)",
    "rows": "white_noise(dist=choice([[1, 0], [0, 1]]), scale=false, dims=2)",
    "sphere": "white_noise(dist=sphere, scale=false, dims=2)",
    "uniform": "white_noise(dist=uniform(2, 3), scale=false, dims=2)",
    "filtered": "filtered_noise(synapse=20ms, std=0.3, dims=2)",
    "brown": "brown_noise(std=0.5, dims=2)",
}


@cache
def ours() -> dict[str, oracle.Array]:
    lines = [f"input {name} = {text}\nprobe {name}" for name, (text, _) in SAMPLED.items()]
    lines += [f"input {name}_noise = {text}\nprobe {name}_noise" for name, text in NOISES.items()]
    return oracle.Model("\n".join(lines)).run(STEPS)


@pytest.mark.parametrize("name", SAMPLED)
def test_samples_are_those_of_nengo(name: str) -> None:
    with nengo.Network() as network:
        nengo.Probe(nengo.Node(SAMPLED[name][1]), label=name)
    oracle.assert_equal(ours()[name], oracle.simulate(network, STEPS)[name])


def _noise(name: str) -> oracle.Array:
    return ours()[f"{name}_noise"]


def test_samples_of_distributions() -> None:
    x = np.random.default_rng(1).exponential(2, 400_000) + 1
    assert _noise("exponential").mean() == pytest.approx(np.minimum(x, 5).mean(), abs=0.06)
    assert _noise("exponential").max() == np.nextafter(5, 0)
    values, counts = np.unique(_noise("choice"), return_counts=True)
    assert values.tolist() == [-1, 0, 4]
    # 8000 samples: the parts are known to 0.006.
    np.testing.assert_allclose(counts / counts.sum(), [0.25, 0.5, 0.25], atol=0.03)
    rows = _noise("rows")
    assert (rows.sum(axis=1) == 1).all()
    assert rows.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.04)
    np.testing.assert_allclose(np.linalg.norm(_noise("sphere"), axis=1), 1)
    assert np.abs(_noise("sphere").mean(axis=0)).max() < 0.06
    assert _noise("uniform").min() >= 2
    assert _noise("uniform").max() <= 3


def test_filtered_noise_has_the_variance_and_the_memory_of_its_synapse() -> None:
    x, decay = _noise("filtered")[200:], np.exp(-1 / 20)
    # x(n) = decay x(n - 1) + (1 - decay) w, w of variance 0.09 / dt
    variance = (1 - decay) ** 2 / (1 - decay**2) * 0.09 / oracle.DT
    assert x.var(axis=0).mean() == pytest.approx(variance, rel=0.3)
    assert np.mean(x[1:] * x[:-1]) / np.mean(x**2) == pytest.approx(decay, abs=0.02)


def test_brown_noise_is_the_integral_of_white_noise() -> None:
    x = _noise("brown")
    steps = np.diff(x, axis=0)
    assert steps.std() == pytest.approx(0.5 * np.sqrt(oracle.DT), rel=0.05)
    assert abs(np.mean(steps[1:] * steps[:-1])) < 0.1 * np.mean(steps**2)


def test_a_white_signal_begins_where_it_is_asked_to() -> None:
    data = oracle.Model("input a = white_signal(2s, high=10Hz, dims=3, start=0.2)\nprobe a").run(10)["a"]
    assert np.abs(data[0] - 0.2).max() < 0.02


def test_noise_of_an_ensemble_is_not_multiplied_by_gains() -> None:
    """Rates with J = bias + noise: the deviation of J is that of the noise for every gain."""
    text = (
        "ensemble a(200, neuron=rectified_linear, gain=uniform(1, 20), bias=50,"
        " noise={})\nprobe a.neurons as rates"
    )
    for noise, wanted in (
        ("white_noise(std=3, scale=false)", 3.0),
        ("filtered_noise(synapse=3ms, std=0.1)", 0.1 / np.sqrt(oracle.DT) * np.sqrt(np.tanh(1 / 6))),
    ):
        rates = oracle.Model(text.format(noise)).run(1000)["rates"][50:]
        np.testing.assert_allclose(rates.std(axis=0), wanted, rtol=0.3)
        assert rates.std(axis=0).mean() == pytest.approx(wanted, rel=0.02)
        assert rates.mean() == pytest.approx(50, abs=0.1)


MISTAKES = {
    "input a = white_noise(dist=scattered_ball)": "noise cannot be drawn from sobol at every step",
    "input a = white_noise(seed=3, stream=numpy(3))": "white_noise has a stream, and a seed beside it",
    "input a = white_noise(stream=numpy(1.5))": "the seed of numpy is a whole number below 2^32",
    "input a = white_noise(stream=numpy(4294967296))": "the seed of numpy is a whole number below 2^32",
    "input a = white_noise(stream=3)": "a stream of random numbers is expected here",
    "input a = white_noise(dist=uniform(0, 1.5, integer=true))": "no whole numbers can be drawn from 0 up to",
    "input a = white_noise(dist=uniform(0, 1), std=2)": "white_noise has a distribution, and std beside it",
    "input a = white_noise(dist=choice([[1, 2, 3]]), dims=2)": "the options have 3 numbers, the noise 2",
    "input a = white_noise(dist=choice([1, 2], weights=[1]))": "choice has 2 options and 1 weights",
    'input a = piecewise(0s: 1, 1s: 2, interpolation="sinc")': "interpolation is one word in quotes",
    'input a = piecewise(0s: 1, 1s: 2, interpolation="cubic")': "cubic interpolation needs 4 values, not 2",
    "input a = present_input([1, 2], each=0.25ms)": "the time of all inputs together must be a multiple",
    "ensemble a(9, noise=lowpass(5ms))": "the noise of an ensemble is one of white_signal",
    "ensemble a(9, noise=piecewise(0s: 1))": "piecewise has 1 number(s), and there are 9 neurons",
    "ensemble a(9, noise=white_signal(1s, high=5Hz, dims=9))": "the noise of an ensemble has no dims",
    "ensemble a(9, noise=white_noise(dist=choice([[1, 2]])))": "the options have 2 numbers, the noise 9",
    "array a(2, count=4000, noise=white_signal(10s, high=5Hz))": "the white signal makes 80000000 items",
    "array a(1, count=3000, noise=present_input([1, 2], each=10s))": "present_input makes 60006000 items",
    'array a(1, count=600, noise=piecewise(0s: 1, 100s: 2, interpolation="linear"))': "makes 60000000 items",
    'ensemble a(9)\nconnect a -> a synapse linear_filter([1], [1, 1], method="best")': "a word in quotes",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(text: str) -> None:
    (found,) = mistakes(text)
    assert MISTAKES[text] in found[2]
    assert found[3]


def test_noise_is_keyed_by_its_path() -> None:
    graph = loads("input a = filtered_noise(dist=choice([0, 1]))\ninput b = filtered_noise\nprobe a\nprobe b")
    keys = [{op.key for _, op in graph.nodes(kind)} for kind in (g.Draws, g.Noise)]
    assert keys == [{"a"}, {"b"}]
