"""Decoders of Nengo networks, solved together: Nengo's own to rounding, or to a millionth where large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import nengo

from spikec.nengo import Simulator, solve, systems
from spikec.nengo.solve import Building

Model = nengo.builder.Model


def network(neurons: int = 60, points: int | None = None) -> nengo.Network:
    rng = np.random.RandomState(1)
    random = nengo.Dense((2, 2), init=nengo.dists.Uniform(0, 1))
    with nengo.Network(seed=3) as net:
        a = nengo.Ensemble(neurons, 2, n_eval_points=points, radius=1.5)
        b = nengo.Ensemble(50, 2, neuron_type=nengo.LIFRate(), eval_points=rng.standard_normal((30, 2)))
        nengo.Connection(a, b)
        nengo.Connection(a, b, function=lambda x: x * x[0], transform=[[1, 2], [0, 0.5]])
        nengo.Connection(a[0], b[1], function=np.sin, transform=0.3)
        nengo.Connection(
            a, b, function=lambda x: sorted(x), eval_points=rng.standard_normal((points or 70, 2))
        )
        nengo.Connection(a, b, transform=random, learning_rule_type=nengo.PES())
        nengo.Connection(b, a, solver=nengo.solvers.LstsqL2(reg=0.01, weights=True))
        nengo.Connection(b, a, solver=nengo.solvers.LstsqL2nz())
        data = rng.standard_normal((20, 2))
        nengo.Connection(b, a, function=data**2, eval_points=data)
        nengo.Probe(a)
    return net


def weights(model: Model) -> list[np.ndarray]:
    """The weights of all connections and probes, in the order in which they were built."""
    return [s["weights"].initial_value for s in model.sig.values() if s.get("weights") is not None]


def ours(net: nengo.Network, cache: Any = None) -> Model:
    model = Model(builder=Building(), decoder_cache=cache)
    model.build(net)
    model.builder.finish(model)
    return model


@pytest.mark.parametrize(
    ("neurons", "points", "tolerance"), [(60, None, 1e-11), (60, 40, 1e-11), (1000, 1000, 1e-6)]
)
def test_decoders_are_nengos(neurons: int, points: int | None, tolerance: float) -> None:
    net = network(neurons, points)
    theirs, model = Model(), ours(net)
    theirs.build(net)
    assert len(weights(model)) == len(weights(theirs)) == 9
    for own, expected in zip(weights(model), weights(theirs), strict=True):
        assert expected.any()
        np.testing.assert_allclose(own, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    for conn in net.connections:
        built, known = model.params[conn], theirs.params[conn]
        np.testing.assert_array_equal(built.eval_points, known.eval_points)
        assert built.weights is model.sig[conn]["weights"].initial_value or built.weights.any()
        rmse = np.mean(known.solver_info["rmses"])
        assert np.mean(built.solver_info["rmses"]) == pytest.approx(rmse, rel=0.1)


def test_one_factorisation_for_each_ensemble_points_and_regularisation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    exact = systems.exact
    monkeypatch.setattr(solve, "exact", lambda *given: calls.append(len(given[1])) or exact(*given))
    ours(network())
    # Of a: five over its own points, one over others; of b: another regularisation, other points.
    assert sorted(calls) == [1, 1, 1, 5]


def test_what_was_solved_before_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKE_CACHE_DIR", str(tmp_path))
    net = network()
    first = ours(net, cache=nengo.cache.DecoderCache(cache_dir=str(tmp_path / "nengo")))
    monkeypatch.setattr(solve, "exact", lambda *_: pytest.fail("solved again"))
    second = ours(net, cache=nengo.cache.DecoderCache(cache_dir=str(tmp_path / "nengo")))
    for a, b in zip(weights(first), weights(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_silent_neurons_are_nengos_error() -> None:
    with nengo.Network() as net:
        high = nengo.dists.Uniform(0.5, 0.9)
        silent = nengo.Ensemble(10, 1, intercepts=high, eval_points=np.zeros((5, 1)))
        nengo.Probe(silent)
    with pytest.raises(nengo.exceptions.BuildError, match="'activities' matrix is all zero"):
        Simulator(net, progress_bar=False)


def test_decoders_of_single_precision_are_those_of_double() -> None:
    net = network()
    expected = weights(ours(net))
    nengo.rc.set("precision", "bits", "32")
    try:
        single = weights(ours(net))
    finally:
        nengo.rc.set("precision", "bits", "64")
    for own, double in zip(single, expected, strict=True):
        assert own.dtype == np.float32
        np.testing.assert_allclose(own, double, rtol=0, atol=1e-3 * np.abs(double).max())
