"""Decoder solvers: which method, and the direct ones.

"lstsq_l2": D minimising ||A D - Y||^2 + m sigma^2 ||D||^2 over m evaluation points, sigma = regularisation
times the largest activity.  "lstsq": without the penalty, singular values below 1 % of the largest are taken
as 0.  Both as in Nengo (LstsqL2, Lstsq); Eliasmith and Anderson, Neural Engineering (2003), chapter 2.  Most
penalised ones are solved in float32 first, and then refined (`refined.py`, `iterative.py`).  All other kinds
are in `constrained.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from spikec.graph import Array, Solver
from spikec.nef import lapack
from spikec.nef.constrained import KINDS, solve_dense
from spikec.nef.iterative import solve_iterative
from spikec.nef.refined import solve_refined
from spikec.nef.sampling import generator
from spikec.nef.system import SilentError, Solution, System, Workspace

_RCOND = 0.01
_LARGE = 1000  # neurons and points from which forming the normal equations is worth avoiding
_HEAVY, _MANY = 0.05, 50_000  # regularisation and activities from which float32 is enough to begin with
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
    if penalised:
        method = _method(system, outputs, solver.regularisation)
        solutions = method and method(system, targets, solver.regularisation, workspace)
        if solutions is not None:
            return solutions
    A = system.matrix(workspace)
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


def _method(
    system: System, outputs: int, regularisation: float
) -> Callable[..., list[Solution] | None] | None:
    """What gives the decoders of the plain solve faster, but not for every system: then it gives None."""
    points, neurons = system.shape
    if min(points, neurons) >= _LARGE and neurons >= _NEURONS_PER_OUTPUT * outputs:
        return solve_iterative
    if regularisation >= _HEAVY and points * neurons >= _MANY and points >= neurons:
        return solve_refined
    return None


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


def _penalised(
    A: Array, targets: Sequence[Array], relative: float, high: float, workspace: Workspace
) -> list[Array]:
    """Cholesky of A'A + lambda I (neurons x neurons) or of AA' + lambda I (points x points), the smaller.

    high: the largest entry of A.
    """
    points, neurons = A.shape
    dual = points < neurons
    order = min(points, neurons)
    gram = cast(Array, workspace.array("gram", (order, order)))
    lapack.gram(A, gram, dual)
    gram.ravel()[:: order + 1] += points * (relative * high) ** 2
    if not lapack.factor(gram):
        return _plain(A, targets)  # a penalty too small to make the matrix definite in float64
    found = []
    for Y in targets:
        rows = np.array(Y.T, order="C") if dual else Y.T @ A
        lapack.solve(gram, rows)
        found.append(rows @ A if dual else rows)
    return found
