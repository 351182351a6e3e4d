"""Decoder solvers: which method, and the direct ones.

"lstsq_l2": D minimising ||A D - Y||^2 + m sigma^2 ||D||^2 over m evaluation points, sigma = regularisation
times the largest activity.  "lstsq": without the penalty, singular values below 1 % of the largest are taken
as 0.  Both as in Nengo (LstsqL2, Lstsq); Eliasmith and Anderson, Neural Engineering (2003), chapter 2.  All
other kinds are in `constrained.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from spikec.graph import Array, Solver
from spikec.nef.constrained import KINDS, solve_dense
from spikec.nef.iterative import solve_iterative
from spikec.nef.sampling import generator
from spikec.nef.system import SilentError, Solution, System, Workspace

_RCOND = 0.01
_LARGE = 1000  # neurons and points from which forming the normal equations is worth avoiding
_SMALL = 200  # neurons or points up to which a factorisation for each target costs less than to share one
_HEAVY, _MANY = 0.05, 50_000  # regularisation and activities from which float32 is enough for rates
_DEFINITE = 1e-3  # regularisation from which the normal equations are definite beyond any rounding
_NEURONS_PER_OUTPUT = (
    64  # of a large population: with fewer, iterating for every output costs more than forming them
)


def solve(system: System, targets: Sequence[Array], solver: Solver, workspace: Workspace) -> list[Solution]:
    """Decoders for every target (points x outputs) of one population.

    All targets share one factorisation.  The method depends on the shape and the number of outputs alone.
    Raises `SilentError` where nothing is active, `ValueError` for an unknown solver or a negative
    regularisation.
    """
    _check(solver)
    outputs = sum(Y.shape[1] for Y in targets)
    penalised = solver.kind == "lstsq_l2" and solver.regularisation > 0.0
    if penalised and min(system.shape) >= _LARGE and system.neurons.size >= _NEURONS_PER_OUTPUT * outputs:
        solutions = solve_iterative(system, targets, solver.regularisation, workspace)
        if solutions is not None:
            return solutions
    points, neurons = system.shape
    # Within 1e-6 of the plain solve, for such a penalty.
    single = penalised and solver.regularisation >= _HEAVY and points * neurons >= _MANY
    A = system.matrix(workspace, single)
    high = float(A.max())
    if high == 0.0 and not A.any():
        raise SilentError
    if solver.options or solver.kind not in ("lstsq_l2", "lstsq"):
        # The same noise for every target: it depends on the ensemble alone.
        key = (system.neurons.seed, system.neurons.path, "solver")
        found = (solve_dense(A, Y, solver, generator(*key)) for Y in targets)
        decoders = [np.ascontiguousarray(X.T) for X in found]
    elif penalised:
        decoders = _penalised(A, targets, solver.regularisation, high, workspace)
    else:
        decoders = _plain(A, targets)
    return [
        Solution(D, float(np.sqrt(np.mean((Y - A @ D.T) ** 2))))
        for D, Y in zip(decoders, targets, strict=True)
    ]


def memory(neurons: int, points: int, outputs: int | None = None) -> int:
    """Bytes that a solve takes, roughly: activities and a Gram matrix in float64.

    For few `outputs` of a large population (None: as many as you like) activities in float32 are all.
    """
    if outputs is not None and min(neurons, points) >= _LARGE and neurons >= _NEURONS_PER_OUTPUT * outputs:
        return 4 * neurons * points
    return 8 * neurons * points + 8 * min(neurons, points) ** 2


def _check(solver: Solver) -> None:
    if solver.kind not in KINDS:
        raise ValueError(f"there is no solver {solver.kind!r}; use one of {', '.join(KINDS)}")
    if not 0.0 <= solver.regularisation < np.inf:
        raise ValueError(f"a regularisation of {solver.regularisation:g} is not a number of 0 or more")


def _plain(A: Array, targets: Sequence[Array]) -> list[Array]:
    return [np.ascontiguousarray(np.linalg.lstsq(A, Y, rcond=_RCOND)[0].T) for Y in targets]


def factored_by_numpy(points: int, neurons: int) -> bool:
    """Whether a system is so small that LAPACK by way of NumPy is enough: importing SciPy takes longer."""
    return min(points, neurons) <= _SMALL


def factored_by_scipy(points: int, neurons: int) -> bool:
    """Whether a system is factored otherwise, and not solved by iteration."""
    return _SMALL < min(points, neurons) < _LARGE


def _penalised(
    A: Array, targets: Sequence[Array], relative: float, high: float, workspace: Workspace
) -> list[Array]:
    """Cholesky of A'A + lambda I (neurons x neurons) or of AA' + lambda I (points x points), the smaller.

    high: the largest entry of A.
    """
    points, neurons = A.shape
    dual = points < neurons
    ridge = points * (relative * high) ** 2
    order = min(points, neurons)
    gram = _array(workspace, "gram", (order, order))
    np.matmul(*((A, A.T) if dual else (A.T, A)), out=gram)
    gram[np.diag_indices(order)] += ridge
    if factored_by_numpy(points, neurons) and relative >= _DEFINITE:
        if dual:
            return [np.linalg.solve(gram, Y).T @ A for Y in targets]
        return [np.ascontiguousarray(np.linalg.solve(gram, A.T @ Y).T) for Y in targets]
    from scipy.linalg import lapack

    # The transpose of a row-major symmetric matrix is the column-major one that LAPACK factors in place.
    upper, info = lapack.dpotrf(gram.T, lower=0, clean=0, overwrite_a=1)
    if info != 0:
        return _plain(A, targets)  # a penalty too small to make the matrix definite in float64
    if dual:
        return [_back(upper, Y).T @ A for Y in targets]
    return [np.ascontiguousarray(_back(upper, A.T @ Y).T) for Y in targets]


def _back(upper: Array, b: Array) -> Array:
    from scipy.linalg import lapack

    return cast(Array, lapack.dpotrs(upper, b, lower=0)[0])


def _array(workspace: Workspace, name: str, shape: tuple[int, ...]) -> Array:
    return cast(Array, workspace.array(name, shape))
