"""Every solver against Nengo's of the same name, for decoders and for weights; decoders and data given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracle
import pytest
from language_helpers import mistakes
from oracle import nengo

from spikec import graph as g
from spikec.frontend import loads
from spikec.graph import Solver
from spikec.nef.constrained import solve_dense
from spikec.nef.system import System

STEPS = 300
SOLVERS = {
    "lstsq_l2(reg=0.05)": nengo.solvers.LstsqL2(reg=0.05),
    "lstsq(rcond=0.001)": nengo.solvers.Lstsq(rcond=0.001),
    "lstsq_l2nz(reg=0.02)": nengo.solvers.LstsqL2nz(reg=0.02),
    "lstsq_drop(drop=0.4)": nengo.solvers.LstsqDrop(drop=0.4),
    "lstsq_drop(drop=0.3, solver1=lstsq_l2nz, solver2=lstsq_l2(reg=0.01))": nengo.solvers.LstsqDrop(
        drop=0.3, solver1=nengo.solvers.LstsqL2nz(), solver2=nengo.solvers.LstsqL2(reg=0.01)
    ),
    "nnls": nengo.solvers.Nnls(),
    "nnls_l2": nengo.solvers.NnlsL2(),
    "nnls_l2nz(reg=0.05)": nengo.solvers.NnlsL2nz(reg=0.05),
}


def _activities(model: oracle.Model, name: str = "a") -> oracle.Array:
    op = model.neurons(name)
    return op.neuron.rates(op.eval_points @ op.scaled_encoders.T + op.bias)


@pytest.mark.parametrize("text", SOLVERS)
def test_decoders_are_those_of_nengo(text: str) -> None:
    model = oracle.Model(
        "ensemble a(40, dims=2, n_eval_points=300)\nensemble b(20, dims=2)\n"
        f"connect a -> b via [x[0]*x[1], x[0]^2] solver {text}\nprobe b"
    )
    A, points = _activities(model), model.neurons("a").eval_points
    Y = np.stack([points[:, 0] * points[:, 1], points[:, 0] ** 2], axis=1)
    wanted, _ = SOLVERS[text](A, Y, rng=np.random.RandomState(1))
    op = model.built.op("a->b.decode")
    np.testing.assert_allclose(op.matrix.T, wanted, rtol=1e-6, atol=1e-9 * np.abs(wanted).max())
    assert op.rmse == pytest.approx(np.sqrt(np.mean((A @ op.matrix.T - Y) ** 2)), rel=1e-6)


@pytest.mark.parametrize("text", ["lstsq_l2(reg=0.05, weights=true)", "nnls(weights=true)"])
def test_weights_are_those_of_nengo_and_so_is_the_run(text: str) -> None:
    model = oracle.Model(
        "input u(t) = [sin(9*t), cos(5*t)]\nensemble a(40, dims=2, n_eval_points=300)\n"
        "ensemble b(30, dims=3, radius=1.5, intercepts=uniform(0, 0.9))\nconnect u -> a synapse none\n"
        f"connect a -> b[1:3] via [x[0]*x[1], x[0]] transform [[0, 1], [2, 0]] solver {text} synapse 8ms\n"
        "connect u -> b.neurons transform ones(30, 2) / 20 synapse none\n"
        "probe b.neurons as spikes\nprobe b.neurons voltage as voltage"
    )
    A, points = _activities(model), model.neurons("a").eval_points
    Y = np.stack([0 * points[:, 0], points[:, 0], 2 * points[:, 0] * points[:, 1]], axis=1)
    E = model.neurons("b").scaled_encoders
    wanted, _ = SOLVERS[text.split("(weights")[0].replace(", weights=true", "")](A, Y @ E.T)
    weights = model.built.op("a->b[1:3].decode").matrix
    np.testing.assert_allclose(weights.T, wanted, rtol=1e-5, atol=1e-9 * np.abs(wanted).max())
    with nengo.Network() as network:
        u = nengo.Node(lambda t: [np.sin(9 * t), np.cos(5 * t)])
        a, b = model.ensemble("a"), model.ensemble("b")
        nengo.Connection(u, a, synapse=None)
        gains = model.neurons("b").gain[:, None]
        nengo.Connection(a.neurons, b.neurons, transform=weights / gains, synapse=0.008)
        nengo.Connection(u, b.neurons, transform=np.full((30, 2), 0.05), synapse=None)
        nengo.Probe(b.neurons, label="spikes")
        nengo.Probe(b.neurons, "voltage", label="voltage")
    ours, theirs = model.run(STEPS), oracle.simulate(network, STEPS)
    assert ours["spikes"].sum() > 100
    np.testing.assert_array_equal(ours["spikes"], np.rint(theirs["spikes"] * oracle.DT))
    oracle.assert_equal(ours["voltage"], theirs["voltage"])


@pytest.mark.parametrize("kind", ["lstsq_noise", "lstsq_mult_noise"])
def test_noise_penalises_like_its_expectation(kind: str) -> None:
    """With noise N of deviation s, the mean of (A + N)'(A + N) is A'A + m s^2: nearly the ridge solution."""
    text = "ensemble a(20, n_eval_points=20000)\nconnect a -> a solver {}\nprobe a"
    model = oracle.Model(text.format(kind + "(noise=0.1)"))
    A, points = _activities(model), model.neurons("a").eval_points
    s2 = (0.1 * A.max()) ** 2 * np.ones(20) if kind == "lstsq_noise" else 0.01 * (A**2).mean(axis=0)
    wanted = np.linalg.solve(A.T @ A + len(A) * np.diag(s2), A.T @ points)
    found = model.built.op("a->a.decode").matrix.T
    np.testing.assert_allclose(found, wanted, atol=0.15 * np.abs(wanted).max())
    again = oracle.Model("ensemble b(9)\n" + text.format(kind)).built.op("a->a.decode").matrix
    assert (again == model.built.op("a->a.decode").matrix).all()


def test_the_elastic_net_is_optimal() -> None:
    model = oracle.Model("ensemble a(50, dims=2)\nprobe a solver lstsq_l1(l1=0.001, l2=0.01, max_iter=20000)")
    op = model.neurons("a")
    system = System(op, op.eval_points)
    A = _activities(model)
    X, Y, m = model.built.op("probe a.decode").matrix.T, op.eval_points, len(A)
    assert 0.1 < (X == 0).mean() < 0.95
    l1, l2 = 0.001 * A.max(), 0.01 * A.max() ** 2
    slope = A.T @ (A @ X - Y) / m + l2 * X
    # Where a coefficient is not 0 the slope is -l1 sign(X), elsewhere it is between -l1 and l1.
    np.testing.assert_allclose(slope[X != 0], -l1 * np.sign(X[X != 0]), atol=1e-4 * l1)
    assert np.abs(slope[X == 0]).max() <= l1 * (1 + 1e-4)
    assert system.shape == A.shape


def test_all_dropped_is_nothing() -> None:
    random = np.random.default_rng(1)
    A, Y = random.uniform(0, 100, (50, 5)), random.uniform(-1, 1, (50, 2))
    drop = Solver("lstsq_drop", 1.0, solvers=(Solver(), Solver()))
    assert (solve_dense(A, Y, drop, random) == 0).all()


def test_given_decoders_and_data_points(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    np.save(tmp_path / "decoders.npy", decoders := rng.normal(0, 1e-3, (30, 2)))
    np.save(tmp_path / "points.npy", points := rng.uniform(-1, 1, (200, 2)))
    np.save(tmp_path / "values.npy", values := np.sin(3 * points[:, :1]) * points)
    model = oracle.Model(
        'ensemble a(30, dims=2, radius=2)\nensemble b(20, dims=2)\nlet values = load("values.npy")\n'
        'connect a -> b solver no_solver(load("decoders.npy"))\n'
        'connect a -> b via values eval_points load("points.npy") solver lstsq_l2(reg=0.02)\n'
        'connect a[1] -> b[0] solver no_solver(load("decoders.npy")[:] @ [[1], [0]])\n'
        "connect a -> b solver no_solver\nprobe b",
        tmp_path,
    )
    built = {name: op.matrix for name, op in model.built.nodes(g.Decoders)}
    np.testing.assert_array_equal(built["a->b.decode"].T, decoders)
    np.testing.assert_array_equal(built["a[1]->b[0].decode"].T, decoders[:, :1])
    assert (built["a->b#3.decode"] == 0).all()
    op = model.neurons("a")
    A = op.neuron.rates(2 * points @ op.scaled_encoders.T + op.bias)
    wanted, _ = nengo.solvers.LstsqL2(reg=0.02)(A, values)
    np.testing.assert_allclose(built["a->b#2.decode"].T, wanted, rtol=1e-6, atol=1e-9)


MISTAKES = {
    "connect a -> b via [[1, 2]]": "values at data points need the points",
    "connect a -> b via [[1, 2]] eval_points [[1, 1]] solver lstsk": "unknown solver 'lstsk'",
    "connect a.neurons -> b solver nnls(weights=true) transform ones(2, 30)": "nothing to solve for",
    "connect a -> r solver nnls(weights=true)": "weights are solved for between two ensembles",
    "connect a -> b solver no_solver([[1, 2]])": "shape 1 x 2; the connection needs 30 x 2",
    "connect a -> b solver no_solver(ones(30, 2), weights=true)": "30 x 2; the connection needs 30 x 20",
    "connect a -> b solver no_solver([1, 2])": "the values of no_solver are a matrix",
    "connect a -> b solver lstsq_drop(drop=2)": "the part to drop is at most 1, not 2",
    "connect a -> b solver lstsq_drop(solver2=no_solver)": "lstsq_drop needs solvers that solve",
    "probe a solver lstsq_l2(weights=true)": "a probe has no weights",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(text: str) -> None:
    found = mistakes("ensemble a(30, dims=2)\nensemble b(20, dims=2)\nrelay r[2]\n" + text)
    assert len(found) == 1
    assert MISTAKES[text] in found[0][2]
    assert found[0][0] == 4
    assert found[0][3]


def test_values_and_points_differ_in_number() -> None:
    text = "ensemble a(30)\nconnect a -> a via [[1], [2]] eval_points [[1], [0.5], [0]]\nprobe a"
    with pytest.raises(Exception, match="gives values at 2 points, but there are 3 evaluation points"):
        oracle.Model(text).built  # noqa: B018


def test_weights_that_do_not_fit_are_counted_before_they_are_made() -> None:
    text = "ensemble a(6000)\nensemble b(6000)\nconnect a -> b{}\nprobe b"
    plain, weights = (
        loads(text.format(solver), memory_limit=1e11).memory
        for solver in ("", " solver lstsq_l2(weights=true)")
    )
    assert weights - plain > 8 * 6000**2
    found = mistakes(text.format(" solver lstsq_l2(weights=true)"), memory_limit=int((plain + weights) / 2))
    assert found[0][0] == 3
    assert "GB of memory" in found[0][2]
