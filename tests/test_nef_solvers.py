"""Decoders against Nengo's solvers on the same activities and targets."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from spikec.graph import Distribution, Ensemble, Neurons, Solver, Tuned
from spikec.nef import iterative, lapack, refined, solvers
from spikec.nef.neurons import LIF, NeuronType, RectifiedLinear, Tanh
from spikec.nef.polynomials import polynomials
from spikec.nef.system import SilentError, System, Workspace
from spikec.nef.tuning import tune

with warnings.catch_warnings():  # Nengo 4.1 imports names that NumPy 2.4 deprecates
    warnings.simplefilter("ignore")
    import nengo


def _system(n: int, dims: int, points: int, neuron: NeuronType | None = None, radius: float = 1.0) -> System:
    op = Ensemble(
        size=n, path="a", dims=dims, neuron=neuron or LIF(), seed=3, radius=radius, n_eval_points=points
    )
    (neurons,) = tune([op])
    return System(neurons, neurons.eval_points)


def _activities(system: System) -> np.ndarray:
    """A by the definition: rates of the currents that the encoders and biases give."""
    neurons = system.neurons
    J = neurons.gain * (system.points @ neurons.encoders.T / neurons.radius) + neurons.bias
    return neurons.neuron.rates(J)


def _targets(points: np.ndarray) -> list[np.ndarray]:
    return [points, np.prod(points, axis=1, keepdims=True), np.ones((len(points), 1))]


def _assert_equal_to_oracle(
    system: System, oracle: nengo.solvers.Solver, solver: Solver, tolerance: float
) -> None:
    A, targets = _activities(system), _targets(system.points)
    for solution, Y in zip(solvers.solve(system, targets, solver, Workspace()), targets, strict=True):
        expected = oracle(A, Y)[0].T
        assert solution.decoders.shape == (Y.shape[1], system.neurons.size)
        assert np.abs(solution.decoders - expected).max() < tolerance * np.abs(expected).max()
        rmse = np.sqrt(np.mean((A @ expected.T - Y) ** 2))
        assert solution.rmse == pytest.approx(rmse, rel=1e-5)


@pytest.mark.parametrize("points", [300, 60], ids=["primal", "dual"])
@pytest.mark.parametrize("regularisation", [0.1, 0.01])
@pytest.mark.parametrize("neuron", [LIF(), Tanh(), RectifiedLinear()], ids=lambda n: n.kind)
def test_direct_equals_nengo(points: int, regularisation: float, neuron: NeuronType) -> None:
    oracle = nengo.solvers.LstsqL2(reg=regularisation)
    system = _system(100, 2, points, neuron, radius=1.5)
    _assert_equal_to_oracle(system, oracle, Solver("lstsq_l2", regularisation), 1e-9)


@pytest.mark.parametrize("neuron", [LIF(), Tanh(), RectifiedLinear()], ids=lambda n: n.kind)
@pytest.mark.parametrize(("n", "dims", "points"), [(100, 1, 750), (100, 3, 1500), (400, 2, 1000)])
def test_rates_in_float32_are_enough(n: int, dims: int, points: int, neuron: NeuronType) -> None:
    """Many activities under a heavy penalty: sizes of a usual model, on both ways to factor."""
    system = _system(n, dims, points, neuron)
    _assert_equal_to_oracle(system, nengo.solvers.LstsqL2(reg=0.05), Solver(regularisation=0.05), 1e-6)
    single, double = system.single(Workspace()), system.matrix(Workspace())
    assert 0.0 < np.abs(single - double).max() < 1e-4 * np.abs(double).max()


@pytest.mark.parametrize("points", [300, 60], ids=["primal", "dual"])
@pytest.mark.parametrize("size", [100, 300])
def test_without_the_library_of_numpy(monkeypatch: pytest.MonkeyPatch, size: int, points: int) -> None:
    """SciPy's routines give the same, to rounding."""
    system = _system(size, 2, points * size // 100)
    targets = _targets(system.points)
    own = solvers.solve(system, targets, Solver(), Workspace())
    monkeypatch.setattr(lapack, "_routines", lambda _: None)
    scipys = solvers.solve(system, targets, Solver(), Workspace())
    for a, b in zip(own, scipys, strict=True):
        np.testing.assert_allclose(a.decoders, b.decoders, rtol=0, atol=1e-6 * np.abs(b.decoders).max())
    matrix = np.array([[4.0, 2.0], [2.0, -1.0]])
    assert not lapack.factor(matrix)


def test_refinement_gives_way_where_float32_is_not_enough() -> None:
    """Beside so small a penalty, the rounding of products is too large to be refined away."""
    system, relative = _system(300, 1, 750), 1e-5
    assert refined.solve_refined(system, [system.points], relative, Workspace()) is None
    assert refined.solve_refined(system, [system.points], 0.05, Workspace()) is not None


def test_refinement_gives_way_where_it_is_slow() -> None:
    """Of neurons that are nearly alike a correction leaves a good part of what was missing."""
    neurons = _system(900, 1, 1800, Tanh()).neurons
    encoders, gain, bias = (
        np.repeat(x[:1], 900, axis=0) for x in (neurons.encoders, neurons.gain, neurons.bias)
    )
    given = Tuned(encoders, gain, bias + np.linspace(0, 1e-4, 900), neurons.tuning.points)
    alike = System(replace(neurons, tuning=given), neurons.eval_points)
    _assert_equal_to_oracle(alike, nengo.solvers.LstsqL2(reg=0.05), Solver(regularisation=0.05), 1e-7)


def test_silent_neurons_decode_nothing_in_float32() -> None:
    system = _system(100, 1, 750)
    silent = System(_with_bias(system.neurons, np.full(100, -1e3)), system.points)
    with pytest.raises(SilentError):
        solvers.solve(silent, [system.points], Solver(), Workspace())


def test_plain_least_squares_equals_nengo() -> None:
    _assert_equal_to_oracle(_system(60, 2, 400), nengo.solvers.Lstsq(), Solver("lstsq"), 1e-9)


@pytest.mark.parametrize(("n", "dims", "points"), [(1000, 1, 2000), (1100, 3, 2200), (1200, 2, 1000)])
@pytest.mark.parametrize("small", [True, False])
def test_iterative_equals_nengo(
    monkeypatch: pytest.MonkeyPatch, small: bool, n: int, dims: int, points: int
) -> None:
    """With blocks for either kind of library."""
    used = []

    def spy(*arguments: object) -> object:
        used.append(iterative.solve_iterative(*arguments))  # type: ignore[arg-type]
        return used[-1]

    monkeypatch.setattr(solvers, "solve_iterative", spy)
    monkeypatch.setattr(iterative, "has_small_products", lambda: small)
    _assert_equal_to_oracle(_system(n, dims, points), nengo.solvers.LstsqL2(), Solver(), 1e-6)
    assert len(used) == 1
    assert used[0] is not None


def test_iteration_gives_way_to_a_factorisation() -> None:
    """A penalty so small that conjugate gradients do not converge: the direct method takes over."""
    system, relative = _system(1000, 1, 2000), 1e-5
    assert iterative.solve_iterative(system, [system.points], relative, Workspace()) is None
    (solution,) = solvers.solve(system, [system.points], Solver(regularisation=relative), Workspace())
    A = _activities(system)
    (expected,) = solvers._penalised(A, [system.points], relative, A.max(), Workspace())
    np.testing.assert_allclose(solution.decoders, expected, atol=1e-9 * np.abs(expected).max())
    assert solution.rmse < 1e-4


def test_targets_solved_together_are_solved_alone() -> None:
    """Bit for bit, directly and iteratively: a probe more does not change what other functions decode."""
    for system in (_system(80, 2, 400), _system(1000, 2, 2000)):
        targets = _targets(system.points)
        together = solvers.solve(system, targets, Solver(), Workspace())
        for Y, solution in zip(targets, together, strict=True):
            (alone,) = solvers.solve(system, [Y], Solver(), Workspace())
            np.testing.assert_array_equal(alone.decoders, solution.decoders)


def test_zero_regularisation_is_the_minimum_norm_solution() -> None:
    system = _system(60, 2, 400)
    (plain,) = solvers.solve(system, [system.points], Solver("lstsq"), Workspace())
    (zero,) = solvers.solve(system, [system.points], Solver(regularisation=0.0), Workspace())
    np.testing.assert_array_equal(plain.decoders, zero.decoders)


def _with_bias(neurons: Neurons, bias: np.ndarray) -> Neurons:
    given = Tuned(neurons.encoders, neurons.gain, bias, neurons.tuning.points)
    return replace(neurons, tuning=given)


@pytest.mark.parametrize("n", [50, 1000])
def test_silent_neurons_decode_nothing(n: int) -> None:
    system = _system(n, 1, max(2 * n, 200))
    bias = system.neurons.bias.copy()
    bias[:10] = -1e6
    partly = System(_with_bias(system.neurons, bias), system.points)
    (solution,) = solvers.solve(partly, [system.points], Solver(), Workspace())
    np.testing.assert_array_equal(solution.decoders[:, :10], 0.0)
    assert np.abs(solution.decoders[:, 10:]).max() > 0.0
    silent = System(_with_bias(system.neurons, np.full(n, -1e6)), system.points)
    with pytest.raises(SilentError):
        solvers.solve(silent, [system.points], Solver(), Workspace())


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (Solver("magic"), "there is no solver 'magic'; use one of lstsq, "),
        (Solver(regularisation=-0.1), "a regularisation of -0.1 is not a number of 0 or more"),
        (Solver(regularisation=np.nan), "a regularisation of nan"),
    ],
)
def test_bad_solver(solver: Solver, message: str) -> None:
    system = _system(10, 1, 20)
    with pytest.raises(ValueError, match=message):
        solvers.solve(system, [system.points], solver, Workspace())


@pytest.mark.parametrize(
    ("dims", "columns", "expected"), [(1, 25, 25), (1, 300, 41), (3, 40, 35), (8, 250, 165), (64, 20, 1)]
)
def test_polynomials_are_orthonormal(dims: int, columns: int, expected: int) -> None:
    points = _system(20, dims, 900).points
    products, weights = polynomials(points, columns, Workspace())
    Q = (weights @ products).T
    assert Q.shape == (900, expected)
    np.testing.assert_allclose(Q.T @ Q, np.eye(expected), atol=1e-4)
    # The constant and the identity are among what they span.
    for Y in (np.ones((900, 1)), *([points] if expected > 1 else [])):
        np.testing.assert_allclose(Q @ (Q.T @ Y), Y, atol=1e-4)


def test_polynomials_of_high_degree_leave_little_to_iterate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a scalar's tuning curves they span nearly all: those up to degree 10 took three times as many."""
    products, original = [], iterative._product
    monkeypatch.setattr(iterative, "_product", lambda *a: products.append(1) or original(*a))
    system = _system(1000, 1, 2000)
    assert iterative.solve_iterative(system, [system.points], 0.1, Workspace()) is not None
    assert len(products) <= 6


def test_dependent_polynomials_are_harmless() -> None:
    points = np.repeat([[0.5, 0.5], [-1.0, 1.0]], 50, axis=0)
    assert all(np.isfinite(part).all() for part in polynomials(points, 30, Workspace()))


def test_evaluation_points_given_as_samples() -> None:
    given = np.linspace(-1.0, 1.0, 50)[:, None]
    op = Ensemble(
        size=20,
        path="a",
        dims=1,
        neuron=LIF(),
        seed=1,
        radius=2.0,
        eval_points=Distribution("samples", (given,)),
    )
    np.testing.assert_array_equal(tune([op])[0].eval_points, 2.0 * given)
