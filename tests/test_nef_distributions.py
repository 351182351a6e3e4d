"""Samples have the distribution that their name says, from a generator keyed by purpose."""

from __future__ import annotations

import warnings
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy import stats

from spikec.nef.distributions import DistributionError, sample
from spikec.nef.sampling import Streams, generator

with warnings.catch_warnings():  # Nengo 4.1 imports names that NumPy 2.4 deprecates
    warnings.simplefilter("ignore")
    import nengo


def _draw(kind: str, *parameters: Any, n: int = 4000, dims: int | None = None, seed: int = 1) -> np.ndarray:
    return sample(kind, parameters, n, dims, Streams([(seed, "a", "test")]))[0]


def test_generators_are_keyed_by_seed_path_and_purpose() -> None:
    first = generator(1, "a", "encoders").random(4)
    np.testing.assert_array_equal(first, generator(1, "a", "encoders").random(4))
    for other in [(2, "a", "encoders"), (1, "b", "encoders"), (1, "a", "bias")]:
        assert not np.array_equal(first, generator(*other).random(4))
    # A fixed value: the stream is part of what "equal input gives equal output" promises.
    assert generator(1, "a", "encoders").integers(2**32) == generator(1, "a", "encoders").integers(2**32)


KEYS = [(1, "a", "encoders"), (2, "a", "encoders"), (1, "b", "encoders"), (1, "a", "bias")]


@pytest.mark.parametrize("draw", [Streams.uniform, Streams.normal, Streams.exponential])
def test_a_stream_is_the_same_alone_and_among_others(draw: Any) -> None:
    together = draw(Streams(KEYS), (1001, 3))
    assert together.shape == (4, 1001, 3)
    for key, numbers in zip(KEYS, together, strict=True):
        np.testing.assert_array_equal(draw(Streams([key]), (1001, 3))[0], numbers)
    for a, b in combinations(together.reshape(4, -1), 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.06
        assert not np.isin(a, b).any()


def test_a_stream_goes_on_and_is_uniform_in_pairs() -> None:
    streams = Streams(KEYS)
    x = np.concatenate([streams.uniform((40_000,)) for _ in range(2)], axis=1)
    np.testing.assert_array_equal(x, Streams(KEYS).uniform((80_000,)))
    for numbers in x:
        pairs, _, _ = np.histogram2d(numbers[0::2], numbers[1::2], 16, ((0, 1), (0, 1)))
        assert stats.chisquare(pairs.ravel()).pvalue > 1e-4
        assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.015


@pytest.mark.parametrize(
    ("kind", "parameters", "cdf"),
    [
        ("uniform", (-1.0, 0.9), stats.uniform(-1.0, 1.9).cdf),
        ("gaussian", (2.0, 0.5), stats.norm(2.0, 0.5).cdf),
        ("exponential", (0.3, 0.1), stats.expon(0.1, 0.3).cdf),
        ("sqrt_beta", (5, 2), nengo.dists.SqrtBeta(5, 2).cdf),
        ("cosine_similarity", (8,), nengo.dists.CosineSimilarity(8).cdf),
    ],
)
@pytest.mark.parametrize("dims", [None, 2])
def test_marginals(kind: str, parameters: tuple[Any, ...], cdf: Any, dims: int | None) -> None:
    values = _draw(kind, *parameters, dims=dims)
    assert values.shape == ((4000,) if dims is None else (4000, dims))
    assert stats.kstest(values.ravel(), cdf).pvalue > 1e-3
    assert stats.kstest(values.ravel() * 1.2 + 0.1, cdf).pvalue < 1e-6


def test_exponential_stays_below_high() -> None:
    values = _draw("exponential", 1.0, 0.0, 0.5)
    assert values.max() < 0.5
    assert (values == values.max()).mean() > 0.5


@pytest.mark.parametrize("kind", ["hypersphere", "sobol"])
@pytest.mark.parametrize("dims", [1, 2, 3, 16])
def test_hypersphere(kind: str, dims: int) -> None:
    surface = _draw(kind, 1, 0.0, dims=dims)
    np.testing.assert_allclose(np.linalg.norm(surface, axis=1), 1.0, rtol=1e-12)
    ball = np.linalg.norm(_draw(kind, 0, 0.0, dims=dims), axis=1)
    assert stats.kstest(ball**dims, stats.uniform().cdf).pvalue > 1e-3
    shell = np.linalg.norm(_draw(kind, 0, 0.5, dims=dims), axis=1)
    assert 0.5 <= shell.min() < shell.max() <= 1.0
    assert np.abs(_draw(kind, 0, 0.0, dims=dims).mean(axis=0)).max() < 0.05


def test_sobol_is_more_even_than_random() -> None:
    def largest_gap(kind: str) -> float:
        return float(np.diff(np.sort(_draw(kind, 0, 0.0, dims=1, n=512).ravel())).max())

    assert largest_gap("sobol") < 0.5 * largest_gap("hypersphere")


def test_choice_follows_the_weights() -> None:
    options = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0))
    values = _draw("choice", options, (3.0, 1.0, 0.0), dims=2)
    share = (values == options[0]).all(axis=1).mean()
    assert 0.72 < share < 0.78
    assert not (values[:, 0] == -1.0).any()
    assert set(_draw("choice", (-1.0, 1.0), dims=1).ravel()) == {-1.0, 1.0}
    assert set(_draw("choice", (5.0,))) == {5.0}


def test_samples_are_taken_as_they_are() -> None:
    rows = np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(_draw("samples", rows, n=4, dims=2), rows)
    np.testing.assert_array_equal(_draw("samples", rows[:, 0], n=4), rows[:, 0])
    np.testing.assert_array_equal(_draw("samples", 3.0, n=4), np.full(4, 3.0))


@pytest.mark.parametrize(
    ("kind", "parameters", "dims", "message"),
    [
        ("cauchy", (), None, "there is no distribution 'cauchy'"),
        ("gaussian", (0.0, -1.0), None, "a standard deviation of -1 is negative"),
        ("uniform", (0.0, np.inf), None, "not finite"),
        (
            "choice",
            (((1.0, 2.0),),),
            3,
            "values of shape (1, 2) are given where rows of 3 numbers are needed",
        ),
        ("choice", ((1.0, 2.0), (0.0, 0.0)), None, "2 options and the weights [0.0, 0.0]"),
        ("samples", ((1.0, 2.0, 3.0),), None, "3 samples are given where 10 are needed"),
        ("hypersphere", (0, 1.0), 2, "a least magnitude of 1 is not in [0, 1)"),
        ("hypersphere", (), None, "a hypersphere gives vectors, not numbers"),
    ],
)
def test_bad_parameters(kind: str, parameters: tuple[Any, ...], dims: int | None, message: str) -> None:
    with pytest.raises(DistributionError) as caught:
        _draw(kind, *parameters, dims=dims, n=10)
    assert message in str(caught.value)
    assert caught.value.hint
