"""Decoder solvers beside least squares with one penalty: noise, sparse, non-negative, other penalties.

All take activities A (points x neurons, Hz) and targets Y (points x outputs) and give X (neurons x
outputs), so that A X is near Y.  Kinds and constants are those of Nengo's solvers of the same names.  m is
the number of points, A_max the largest activity.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikec.graph import Array, Solver

_TOLERANCE = 1e-10  # of a round of coordinate descent, relative to the largest coefficient
_RCOND = 0.01


def solve_dense(A: Array, Y: Array, solver: Solver, random: np.random.Generator) -> Array:
    """X for any kind but "no_solver".  `random` is drawn from by those that add noise."""
    return KINDS[solver.kind](A, Y, solver, random)


def _lstsq(A: Array, Y: Array, solver: Solver, _: np.random.Generator) -> Array:
    """Singular values below rcond times the largest are taken as 0."""
    return np.asarray(np.linalg.lstsq(A, Y, rcond=solver.option("rcond", _RCOND))[0])


def _lstsq_l2(A: Array, Y: Array, solver: Solver, _: np.random.Generator) -> Array:
    """Least ||A X - Y||^2 + m (reg A_max)^2 ||X||^2."""
    return _ridge(A, Y, np.full(A.shape[1], solver.regularisation * A.max()))


def _lstsq_l2nz(A: Array, Y: Array, solver: Solver, _: np.random.Generator) -> Array:
    """As lstsq_l2, with reg A_max sqrt(p) for a neuron that is active at the part p of the points."""
    sigma = _nonzero(A, solver)
    return _ridge(A, Y, np.where(sigma == 0, sigma.max(), sigma))


def _noise(A: Array, Y: Array, solver: Solver, random: np.random.Generator) -> Array:
    """Plain least squares after Gaussian noise of deviation noise max|A| was added to A."""
    noise = solver.regularisation * np.abs(A).max() * random.standard_normal(A.shape)
    return _ridge(A + noise, Y, np.zeros(A.shape[1]))


def _mult_noise(A: Array, Y: Array, solver: Solver, random: np.random.Generator) -> Array:
    """Plain least squares after every activity was multiplied by 1 + noise N(0, 1)."""
    noise = solver.regularisation * random.standard_normal(A.shape)
    return _ridge(A + noise * A, Y, np.zeros(A.shape[1]))


def _nonzero(A: Array, solver: Solver) -> Array:
    return np.asarray(solver.regularisation * np.abs(A).max() * np.sqrt((A != 0).mean(axis=0)))


def _ridge(A: Array, Y: Array, sigma: Array) -> Array:
    """(A'A + m diag(sigma^2)) X = A'Y; least squares where that is singular."""
    gram = A.T @ A
    gram[np.diag_indices(len(gram))] += len(A) * sigma**2
    try:
        return np.asarray(np.linalg.solve(gram, A.T @ Y))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(gram, A.T @ Y, rcond=None)[0])


def _l1(A: Array, Y: Array, solver: Solver, _: np.random.Generator) -> Array:
    """Elastic net: least ||A X - Y||^2 / 2m + l1 A_max |X| + l2 A_max^2 ||X||^2 / 2, by coordinate descent
    (Friedman, Hastie and Tibshirani 2010, J Stat Softw 33:1).
    """
    high, m = float(A.max()), len(A)
    threshold = m * solver.option("l1", 1e-4) * high
    gram, X = A.T @ A, np.zeros((A.shape[1], Y.shape[1]))
    # What is left of A'Y without a coefficient decides about it: rest = A'Y - gram X.
    rest = A.T @ Y
    diagonal = gram.diagonal().copy()
    scale = diagonal + m * solver.option("l2", 1e-6) * high**2
    active = np.flatnonzero(scale > 0)
    for _round in range(int(solver.option("max_iter", 1000))):
        largest = 0.0
        for k in active:
            wanted = rest[k] + diagonal[k] * X[k]
            new = np.sign(wanted) * np.maximum(np.abs(wanted) - threshold, 0.0) / scale[k]
            change = new - X[k]
            if change.any():
                rest -= np.outer(gram[k], change)
                X[k] = new
                largest = max(largest, float(np.abs(change).max()))
        if largest <= _TOLERANCE * float(np.abs(X).max(initial=0.0)):
            break
    return X


def _drop(A: Array, Y: Array, solver: Solver, random: np.random.Generator) -> Array:
    """The part `drop` of all coefficients of `first`, the nearest to 0, is 0; the rest solved by `second`."""
    first, second = solver.solvers
    X = solve_dense(A, Y, first, random)
    dropped = round(solver.regularisation * X.size)
    sizes = np.sort(np.abs(X), axis=None)
    X = np.where(np.abs(X) < (sizes[dropped] if dropped < X.size else np.inf), 0.0, X)
    for k in range(X.shape[1]):
        kept = X[:, k] != 0
        if kept.any():
            X[kept, k] = solve_dense(A[:, kept], Y[:, k : k + 1], second, random)[:, 0]
    return X


def _nnls(A: Array, Y: Array, _solver: Solver, _: np.random.Generator) -> Array:
    """Least squares with no coefficient below 0 (Lawson and Hanson 1974)."""
    from scipy.optimize import nnls

    return np.stack([nnls(A, np.ascontiguousarray(y))[0] for y in Y.T], axis=1)


def _nnls_l2(A: Array, Y: Array, solver: Solver, random: np.random.Generator) -> Array:
    """As nnls, for the normal equations with the penalty of lstsq_l2 and targets of at least 0."""
    return _nnls_penalised(A, Y, np.full(A.shape[1], solver.regularisation * A.max()), random)


def _nnls_l2nz(A: Array, Y: Array, solver: Solver, random: np.random.Generator) -> Array:
    sigma = _nonzero(A, solver)
    return _nnls_penalised(A, Y, np.where(sigma == 0, 1.0, sigma), random)


def _nnls_penalised(A: Array, Y: Array, sigma: Array, random: np.random.Generator) -> Array:
    gram = A.T @ A
    gram[np.diag_indices(len(gram))] += len(A) * sigma**2
    return _nnls(gram, A.T @ np.maximum(Y, 0.0), Solver("nnls"), random)


KINDS: dict[str, Callable[[Array, Array, Solver, np.random.Generator], Array]] = {
    "lstsq": _lstsq,
    "lstsq_noise": _noise,
    "lstsq_mult_noise": _mult_noise,
    "lstsq_l2": _lstsq_l2,
    "lstsq_l2nz": _lstsq_l2nz,
    "lstsq_l1": _l1,
    "lstsq_drop": _drop,
    "nnls": _nnls,
    "nnls_l2": _nnls_l2,
    "nnls_l2nz": _nnls_l2nz,
}
