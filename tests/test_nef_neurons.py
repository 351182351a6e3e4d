"""Neuron types against Nengo, which is the oracle for response curves and tuning."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from spikec.nef.converted import Converted, RegularSpiking, StochasticSpiking
from spikec.nef.izhikevich import Izhikevich
from spikec.nef.neurons import (
    LIF,
    AdaptiveLIF,
    AdaptiveLIFRate,
    LIFRate,
    NeuronType,
    RectifiedLinear,
    Sigmoid,
    SpikingRectifiedLinear,
    Tanh,
    TuningError,
)

with warnings.catch_warnings():  # Nengo 4.1 imports names that NumPy 2.4 deprecates
    warnings.simplefilter("ignore")
    import nengo

PAIRS = [
    (LIF(), nengo.LIF()),
    (LIF(tau_rc=0.05, tau_ref=0.001, amplitude=0.3), nengo.LIF(tau_rc=0.05, tau_ref=0.001, amplitude=0.3)),
    (LIFRate(), nengo.LIFRate()),
    (
        LIFRate(tau_rc=0.01, tau_ref=0.0, amplitude=2.0),
        nengo.LIFRate(tau_rc=0.01, tau_ref=0.0, amplitude=2.0),
    ),
    (AdaptiveLIF(tau_n=0.5, inc_n=0.02), nengo.AdaptiveLIF(tau_n=0.5, inc_n=0.02)),
    (RectifiedLinear(amplitude=0.5), nengo.RectifiedLinear(amplitude=0.5)),
    (SpikingRectifiedLinear(), nengo.SpikingRectifiedLinear()),
    (Sigmoid(tau_ref=0.002), nengo.Sigmoid(tau_ref=0.002)),
    (Tanh(tau_ref=0.002), nengo.Tanh(tau_ref=0.002)),
    (AdaptiveLIFRate(tau_n=0.5, inc_n=0.02), nengo.AdaptiveLIFRate(tau_n=0.5, inc_n=0.02)),
    (RegularSpiking(Tanh(tau_ref=0.002)), nengo.RegularSpiking(nengo.Tanh(tau_ref=0.002))),
    (StochasticSpiking(LIFRate(tau_ref=0.001)), nengo.StochasticSpiking(nengo.LIFRate(tau_ref=0.001))),
]
IDS = [f"{neuron.kind}-{i}" for i, (neuron, _) in enumerate(PAIRS)]


def _tuning(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.uniform(260.0, 390.0, n), rng.uniform(-1.0, 0.9, n)


@pytest.mark.parametrize(("neuron", "oracle"), PAIRS, ids=IDS)
def test_rates_equal_nengo(neuron: NeuronType, oracle: nengo.neurons.NeuronType) -> None:
    J = np.concatenate([[1.0, np.nextafter(1.0, 2.0), 0.0, -700.0, 700.0], np.linspace(-5.0, 30.0, 3001)])
    expected = oracle.rates(J, [1.0], [0.0])[:, 0]
    assert np.ptp(expected) > 100.0
    np.testing.assert_allclose(neuron.rates(J), expected, rtol=1e-12, atol=1e-12)
    out = J.copy()
    neuron.rates(out, out)
    np.testing.assert_array_equal(out, neuron.rates(J))
    single = np.empty(len(J), np.float32)
    neuron.rates_in_float32(neuron.onset - J, single)
    np.testing.assert_allclose(single, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("neuron", "oracle"), PAIRS, ids=IDS)
def test_gain_bias_equal_nengo(neuron: NeuronType, oracle: nengo.neurons.NeuronType) -> None:
    max_rates, intercepts = _tuning()
    gain, bias = neuron.gain_bias(max_rates, intercepts)
    expected_gain, expected_bias = oracle.gain_bias(max_rates, intercepts)
    np.testing.assert_allclose(gain, expected_gain, rtol=1e-12)
    np.testing.assert_allclose(bias, expected_bias, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("neuron", "oracle"), PAIRS, ids=IDS)
def test_max_activity_bounds_a_simulation(neuron: NeuronType, oracle: nengo.neurons.NeuronType) -> None:
    dt, J = 0.001, np.linspace(-20.0, 3000.0, 61)
    state = oracle.make_state(len(J), rng=np.random.RandomState(1))
    output = np.zeros(len(J))
    bound = neuron.max_activity(dt, J)
    assert bound.shape == J.shape
    J = neuron.base.rates(J) if isinstance(neuron, Converted) else J  # Nengo's take these in a step
    for _ in range(30):
        oracle.step(dt, J, output, **state)
        assert (np.abs(output) <= bound + 1e-9).all()


def test_states_and_kinds() -> None:
    assert LIF.state == ("voltage", "refractory_time")
    assert AdaptiveLIF.state == ("voltage", "refractory_time", "adaptation")
    assert SpikingRectifiedLinear.state == ("voltage",)
    spiking = {n.kind for n, _ in PAIRS if n.spiking}
    assert spiking == {
        "lif", "adaptive_lif", "spiking_rectified_linear", "regular_spiking_tanh",
        "stochastic_spiking_lif_rate",
    }  # fmt: skip
    rate = {n.kind for n, _ in PAIRS if not n.spiking}
    assert rate == {"lif_rate", "rectified_linear", "sigmoid", "tanh", "adaptive_lif_rate"}


def test_izhikevich_is_tuned_by_its_simulation() -> None:
    neuron, oracle = Izhikevich(tau_recovery=0.1), nengo.Izhikevich(tau_recovery=0.1)
    J = np.linspace(-40, 100, 29)
    np.testing.assert_array_equal(neuron.rates(J), oracle.rates(J, [1.0], [0.0])[:, 0])
    max_rates, intercepts = np.array([20.0, 50, 90, 180]), np.array([-0.9, 0, 0.4, 0.8])
    gain, bias = neuron.gain_bias(max_rates, intercepts)
    for mine, theirs in zip((gain, bias), oracle.gain_bias(max_rates, intercepts), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0.05, atol=0.5)
    np.testing.assert_allclose(neuron.rates(gain + bias), max_rates, rtol=0.1)
    assert (neuron.rates(gain * (intercepts - 0.02) + bias) == 0).all()
    assert (neuron.rates(gain * (intercepts + 0.19) + bias)[2:] > 0).all()
    with pytest.raises(TuningError, match="no current gives a neuron of type izhikevich a rate of 5000 Hz"):
        neuron.gain_bias(np.array([5000.0]), np.array([0.0]))


def test_the_amplitude_of_converted_rates_is_decoded() -> None:
    J = np.linspace(0, 5, 9)
    np.testing.assert_array_equal(RegularSpiking(LIFRate(), 0.5).rates(J), 0.5 * LIFRate().rates(J))
    assert RegularSpiking(RectifiedLinear()).max_activity(0.001, np.array([50.0])) == [1050.0]


@pytest.mark.parametrize(
    ("neuron", "max_rate", "intercept", "message", "hint"),
    [
        (
            LIF(),
            500.0,
            0.0,
            "a maximum rate of 500 Hz is not below 500 Hz, the inverse of tau_ref",
            "below 500 Hz",
        ),
        (Tanh(), 401.0, 0.0, "a maximum rate of 401 Hz is not below 400 Hz", "make tau_ref shorter"),
        (LIF(), 300.0, 1.0, "an intercept of 1 leaves no room below 1", "uniform(-1, 0.9)"),
        (RectifiedLinear(), 300.0, np.nan, "an intercept of nan", "below 1"),
        (LIF(), 0.0, 0.0, "a maximum rate of 0 Hz is not positive", "above 0 Hz"),
        (
            Sigmoid(),
            150.0,
            0.0,
            "a sigmoid of maximum rate 150 Hz would have a negative gain",
            "above 200 Hz",
        ),
    ],
)
def test_impossible_tuning(
    neuron: NeuronType, max_rate: float, intercept: float, message: str, hint: str
) -> None:
    with pytest.raises(TuningError) as caught:
        neuron.gain_bias(np.array([max_rate]), np.array([intercept]))
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_a_population_is_tuned_alike_whatever_is_tuned_with_it() -> None:
    max_rates = np.array([[20.0, 35.0, 50.0], [20.0, 70.0, 101.0]])
    intercepts = np.array([[-0.5, 0.0, 0.5], [-0.9, 0.2, 0.8]])
    together = Izhikevich().gain_bias(max_rates, intercepts)
    for k in range(2):
        alone = Izhikevich().gain_bias(max_rates[k], intercepts[k])
        assert [part[k].tobytes() for part in together] == [part.tobytes() for part in alone]


def test_rates_in_float32_at_the_onset() -> None:
    """No warning and no rate where a current is just at the onset, even nearer than float32 can tell."""
    below = np.array([0.0, -0.0, 1e-42, 3.0, -1e-42, -1e-30, -2.0])
    single = np.empty(len(below), np.float32)
    with np.errstate(all="raise", under="ignore"):
        LIFRate().rates_in_float32(below, single)
    np.testing.assert_array_equal(single > 0.0, [False] * 5 + [True] * 2)
    np.testing.assert_allclose(single[-1], LIFRate().rates(np.array(3.0)), rtol=1e-6)
