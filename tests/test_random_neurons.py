"""Neurons that draw their spikes at random: their statistics, and that the cut does not change them."""

from __future__ import annotations

from functools import cache

import inprocess
import numpy as np
import oracle
import pytest
from language_helpers import mistakes
from numba import njit
from spike_runtime.ops.converted import _poisson

from spikec.frontend import loads

STEPS, NEURONS = 1000, 300
TYPES = {
    "stochastic": "stochastic_spiking(lif_rate(tau_rc=25ms))",
    "poisson": "poisson_spiking(lif_rate(tau_rc=25ms))",
    "many": "poisson_spiking(rectified_linear(amplitude=10))",
    "most": "poisson_spiking(base=rectified_linear(amplitude=3000), amplitude=0.001)",
    "signed": "stochastic_spiking(tanh, amplitude=2)",
}
TEXT = "input u = 0.3\n" + "\n".join(
    f"ensemble {name}({10 if name == 'most' else NEURONS}, neuron={neuron}, intercepts=uniform(-1, 0.1))\n"
    f"connect u -> {name} synapse none\nprobe {name}.neurons as {name}_activity\n"
    f"probe {name} synapse 100ms as {name}_value"
    for name, neuron in TYPES.items()
)


@cache
def model() -> oracle.Model:
    return oracle.Model(TEXT)


@cache
def ours() -> dict[str, oracle.Array]:
    return model().run(STEPS)


def _rates(name: str) -> oracle.Array:
    """Expected spikes per step of every neuron, below 0 where the rate is."""
    op = model().neurons(name)
    J = (op.scaled_encoders @ [0.3]) + op.bias
    return op.neuron.base.rates(J) * oracle.DT


def _counts(name: str) -> oracle.Array:
    counts = ours()[f"{name}_activity"]
    return counts * oracle.DT / 2 if name == "signed" else counts


@pytest.mark.parametrize("name", TYPES)
def test_the_mean_is_the_rate(name: str) -> None:
    rates, counts = _rates(name), _counts(name)
    assert np.abs(rates).max() > 0.05
    assert (np.rint(counts) == counts).all()
    # The largest of 300 normal deviations is beyond 5 in one of 6,000 cases; the run is always the same.
    spread = np.sqrt(np.abs(rates) / STEPS) + 1e-9
    assert np.abs((counts.mean(axis=0) - rates) / spread).max() < 5


@pytest.mark.parametrize("name", TYPES)
def test_the_variance_is_that_of_the_distribution(name: str) -> None:
    rates, counts = _rates(name), _counts(name)
    fraction = np.abs(rates) % 1
    wanted = np.abs(rates) if name in ("poisson", "many", "most") else fraction * (1 - fraction)
    # Of 1000 samples of each of 300 neurons the mean variance is known to about 0.5 percent, of 10 to 1.5.
    assert counts.var(axis=0).mean() == pytest.approx(wanted.mean(), rel=0.06 if name == "most" else 0.03)


def test_numbers_of_spikes_follow_poisson() -> None:
    rates, counts = _rates("poisson"), _counts("poisson")
    for k in range(3):
        wanted = np.exp(-rates) * rates**k / (1, 1, 2)[k]
        assert (counts == k).mean() == pytest.approx(wanted.mean(), rel=0.05)


def test_a_mean_that_is_not_finite_gives_no_number() -> None:
    """A rate that is not a number is noticed where it is decoded, and not taken for silence."""
    count = njit(error_model="numpy")(lambda mean: _poisson(mean, 0.3, 0.4))
    assert np.isnan(count(np.nan))
    assert np.isnan(count(np.inf))
    assert (count(0.0), count(3.0)) == (0.0, 2.0)


def test_neighbours_and_steps_do_not_go_together() -> None:
    counts = _counts("poisson")
    rates = _rates("poisson")
    normal = ((counts - rates) / np.sqrt(rates + 1e-9))[:, rates > 0.05]
    # Products of independent numbers of variance 1: the mean of about 200,000 is 0 to 0.0022.
    assert abs((normal[:, 1:] * normal[:, :-1]).mean()) < 0.01
    assert abs((normal[1:] * normal[:-1]).mean()) < 0.01


@pytest.mark.parametrize("name", TYPES)
def test_the_value_is_decoded(name: str) -> None:
    assert ours()[f"{name}_value"][500:].mean(axis=0)[0] == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_cut_does_not_change_the_answer(dtype: str) -> None:
    graph = inprocess.prepared(loads(TEXT))
    one, *others = (inprocess.run_split(graph, n, dtype, 100) for n in (1, 2, 3))
    again = inprocess.run_split(inprocess.prepared(loads("seed 5\n" + TEXT)), 1, dtype, 100)
    for name, data in one.items():
        assert all(other[name].tobytes() == data.tobytes() for other in others)
        assert data.tobytes() != again[name].tobytes()


def test_a_spiking_type_has_no_rates_to_send() -> None:
    (found,) = mistakes("ensemble a(9, neuron=poisson_spiking(lif))")
    assert found[:2] == (1, 38)
    assert "poisson_spiking needs a type of rate neurons" in found[2]
    (found,) = mistakes("ensemble a(9, neuron=tanh)\nprobe a spikes")
    assert "neurons of type tanh have no spikes" in found[2]
