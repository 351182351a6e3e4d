"""Inputs: functions of time, pieces, recordings, white signals by sample; white noise by its statistics."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import oracle
import pytest
from oracle import nengo

STEPS = 2000
FOLDER = Path(__file__).parent.parent / "models"
TEXT = """
input waves(t) = [sin(3*t) * exp(-t), abs(cos(7*t))^1.5, floor(4*t) % 3, sqrt(t) / (1+t*t), sign(sin(5*t))]
input choice(t) = select(t < 0.25, max(t, 0.1), min(2*t, atan2(1, t)))
input pieces = piecewise(0.05s: [1, 0], 0.1004s: [0.5, -1], 0.1005s: [0.25, 2], 0.3s: [0, -0.5], 0.7s: [2, 3])
input held from "data/ecg.csv" every 3ms
input between from "data/ecg.csv" every 1s / 360 linear
input again from "data/ecg.csv" every 1ms repeat
input signal = white_signal(period=1.5s, high=20Hz, rms=0.4, dims=2)
input gaussian_noise = white_noise(mean=0.5, std=2, dims=2, scale=false)
input scaled_noise = white_noise(std=0.3, dims=1)
input uniform_noise = white_noise(low=-1, high=3, dims=1, scale=false)
ensemble follower(200, dims=2)
connect signal -> follower
"""
PROBED = (
    "waves",
    "choice",
    "pieces",
    "held",
    "between",
    "again",
    "signal",
    "gaussian_noise",
    "scaled_noise",
    "uniform_noise",
)


@cache
def model() -> oracle.Model:
    probes = "\n".join(f"probe {name} as {name}_value" for name in PROBED)
    return oracle.Model(f"{TEXT}\nprobe follower synapse 20ms as followed\n{probes}", FOLDER)


@cache
def ours() -> dict[str, oracle.Array]:
    return model().run(STEPS)


@cache
def ecg() -> oracle.Array:
    return np.loadtxt(FOLDER / "data" / "ecg.csv", skiprows=1)


def waves(t: float) -> list[float]:
    return [
        np.sin(3 * t) * np.exp(-t),
        np.abs(np.cos(7 * t)) ** 1.5,
        np.floor(4 * t) % 3,
        np.sqrt(t) / (1 + t * t),
        np.sign(np.sin(5 * t)),
    ]


def choice(t: float) -> float:
    return max(t, 0.1) if t < 0.25 else min(2 * t, np.arctan2(1, t))


@cache
def nengos() -> dict[str, oracle.Array]:
    pieces = {0.05: [1, 0], 0.1004: [0.5, -1], 0.1005: [0.25, 2], 0.3: [0, -0.5], 0.7: [2, 3]}
    signal = ours()["signal_value"]
    with nengo.Network() as network:
        sources = {
            "waves": nengo.Node(waves),
            "choice": nengo.Node(choice),
            "pieces": nengo.Node(nengo.processes.Piecewise(pieces)),
            "signal": nengo.Node(lambda t: signal[round(t / oracle.DT) - 1], size_out=2),
        }
        for name, node in sources.items():
            nengo.Probe(node, label=f"{name}_value")
        follower = model().ensemble("follower")
        nengo.Connection(sources["signal"], follower)
        nengo.Connection(
            follower, followed := nengo.Node(size_in=2), solver=model().solver("probe followed"), synapse=0.02
        )
        nengo.Probe(followed, label="followed")
    return oracle.simulate(network, STEPS)


@pytest.mark.parametrize("name", ["waves", "choice", "pieces", "signal"])
def test_values_are_the_same(name: str) -> None:
    oracle.assert_equal(ours()[f"{name}_value"], nengos()[f"{name}_value"], tolerance=1e-12)


def test_what_follows_a_white_signal_is_the_same() -> None:
    oracle.assert_equal(ours()["followed"], nengos()["followed"])


def test_a_recording_is_held_from_each_sample_to_the_next() -> None:
    steps = np.arange(1, STEPS + 1)
    oracle.assert_equal(ours()["held_value"][:, 0], ecg()[steps // 3], tolerance=0.0)


def test_a_recording_is_interpolated_between_its_samples() -> None:
    t = np.arange(1, STEPS + 1) * oracle.DT
    oracle.assert_equal(
        ours()["between_value"][:, 0], np.interp(t, np.arange(len(ecg())) / 360, ecg()), 1e-12
    )


def test_a_repeated_recording_starts_again() -> None:
    steps = np.arange(1, STEPS + 1)
    oracle.assert_equal(ours()["again_value"][:, 0], ecg()[steps % len(ecg())], tolerance=0.0)


def test_a_white_signal_has_the_power_and_the_band_asked_for() -> None:
    signal = ours()["signal_value"]
    period = 1500
    np.testing.assert_allclose(signal[period:], signal[: STEPS - period], atol=1e-12)
    np.testing.assert_allclose(np.sqrt(np.mean(signal[:period] ** 2, axis=0)), 0.4, rtol=1e-9)
    power = np.abs(np.fft.rfft(signal[:period], axis=0)) ** 2
    frequency = np.fft.rfftfreq(period, oracle.DT)
    assert power[frequency > 20.1].max() < 1e-18 * power.sum()
    assert (power[(frequency > 0) & (frequency <= 20)] > 1e-9 * power.sum()).all()
    assert abs(np.corrcoef(signal[:period].T)[0, 1]) < 0.7


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("gaussian_noise", 0.5, 2.0),
        ("scaled_noise", 0.0, 0.3 / np.sqrt(oracle.DT)),
        ("uniform_noise", 1.0, 4 / np.sqrt(12)),
    ],
)
def test_white_noise_has_the_moments_asked_for(name: str, mean: float, std: float) -> None:
    samples = ours()[f"{name}_value"]
    error = std / np.sqrt(STEPS)
    assert np.abs(samples.mean(axis=0) - mean).max() < 4 * error
    assert np.abs(samples.std(axis=0) / std - 1).max() < 0.08
    centred = samples[:, 0] - samples[:, 0].mean()
    correlations = [np.mean(centred[k:] * centred[:-k]) / np.mean(centred**2) for k in range(1, 20)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(STEPS)


def test_noise_scaled_by_the_step_has_the_variance_of_nengos() -> None:
    with nengo.Network(seed=3) as network:
        node = nengo.Node(nengo.processes.WhiteNoise(nengo.dists.Gaussian(0, 0.3), scale=True))
        nengo.Probe(node, label="noise")
    theirs = oracle.simulate(network, STEPS)["noise"]
    ratio = float(ours()["scaled_noise_value"].std() / theirs.std())
    assert abs(ratio - 1) < 0.1, f"standard deviations differ by a factor of {ratio:.3f}"


def test_uniform_noise_keeps_to_its_bounds_and_components_are_independent() -> None:
    uniform, gaussian = ours()["uniform_noise_value"], ours()["gaussian_noise_value"]
    assert -1 <= uniform.min() < -0.95
    assert 2.95 < uniform.max() < 3
    assert abs(np.corrcoef(gaussian.T)[0, 1]) < 4.5 / np.sqrt(STEPS)
