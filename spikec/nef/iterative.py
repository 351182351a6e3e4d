"""Decoders of a large population, by conjugate gradients instead of a factorisation.

The normal equations (A'A + lambda I) D = A'Y of m points and n neurons cost m n^2 operations to form.  But
the spectrum of A'A falls fast: tuning curves are smooth, so a few hundred polynomials of the represented
vector span all but what is comparable to lambda.  Preconditioned by those, conjugate gradients converge in
about ten iterations of 4 m n operations per output (Nystrom preconditioning: Frangella, Tropp and Udell,
2023).

A is kept in float32 and the iterations run in float32; the residual is then taken in float64 and solved for
again (iterative refinement), which gives the decoders of the plain float64 solve to about 1e-7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from spikec.graph import Array
from spikec.nef.polynomials import inverse_factor, orthonormal_polynomials
from spikec.nef.system import SilentError, Single, Solution, System, Workspace

_CACHE = 96_000  # numbers of A in a block: in float32 and float64 together about 1 MB, inside a core's L2
_FIRST = 3e-3  # change of the decoders, relative to the largest, at which the first round ends
_SECOND = 5e-7  # and the second, which starts from a residual in float64
_CORRECTION = 0.1  # the most that the second round may change
_ITERATIONS = 40  # of one round, after which a factorisation would have been cheaper


def solve_iterative(
    system: System, targets: Sequence[Array], relative: float, workspace: Workspace
) -> list[Solution] | None:
    """Regularised decoders for every target (points x outputs); None where the iteration does not converge.

    `relative` is the regularisation sigma as a fraction of the largest activity: lambda = m sigma^2.
    Raises `SilentError` where all activities are 0.
    """
    try:
        return _solve(system, targets, relative, workspace)
    except np.linalg.LinAlgError:
        return None  # the points leave a direction out: no preconditioner of monomials


def _solve(
    system: System, targets: Sequence[Array], relative: float, workspace: Workspace
) -> list[Solution] | None:
    problem, right_sides = _assemble(system, targets, relative, workspace)
    solutions = []
    for Y, b in zip(targets, right_sides, strict=True):
        solution = _refine(problem, np.ascontiguousarray(Y.T), b)
        if solution is None:
            return None
        solutions.append(solution)
    return solutions


@dataclass(frozen=True)
class _Problem:
    """A in float32, lambda, the preconditioner's factor, and a block's memory in float64."""

    A: Single
    ridge: float
    factor: Single
    buffer: Array

    def blocks(self) -> list[tuple[int, int]]:
        return _blocks(*self.A.shape)


def _blocks(points: int, neurons: int) -> list[tuple[int, int]]:
    """Ranges of points whose activities fit the cache of a core."""
    step = min(max(_CACHE // neurons, 8), 64)
    return [(start, min(start + step, points)) for start in range(0, points, step)]


def _assemble(
    system: System, targets: Sequence[Array], relative: float, workspace: Workspace
) -> tuple[_Problem, list[Array]]:
    """The problem and A'Y (outputs x neurons) of every target, in one pass over the points."""
    points, neurons = system.shape
    blocks = _blocks(points, neurons)
    A = cast(Single, workspace.array("activities", (points, neurons), np.float32))
    buffer = cast(Array, workspace.array("block", (blocks[0][1], neurons)))
    right_sides = [np.zeros((Y.shape[1], neurons)) for Y in targets]
    high, low = -np.inf, np.inf
    for start, stop in blocks:
        a = buffer[: stop - start]
        system.activities(start, stop, a, A[start:stop])
        a[:] = A[start:stop]
        high, low = max(high, float(a.max())), min(low, float(a.min()))
        for b, Y in zip(right_sides, targets, strict=True):
            b += Y[start:stop].T @ a
    if high == low == 0.0:
        raise SilentError
    ridge = points * (relative * high) ** 2
    basis = orthonormal_polynomials(system.points, max(neurons // 16, 1)).astype(np.float32)
    return _Problem(A, ridge, _factor(basis.T @ A, ridge), buffer), right_sides


def _factor(image: Single, ridge: float) -> Single:
    """F with (Z Z' + lambda I)^-1 = (I - F' F) / lambda for Z' = image (polynomials x neurons)."""
    wide = image.astype(np.float64)
    inner = wide @ wide.T
    inner[np.diag_indices_from(inner)] += ridge
    return np.asarray((inverse_factor(inner) @ wide).astype(np.float32))


def _refine(problem: _Problem, Y: Array, b: Array) -> Solution | None:
    """Two rounds of conjugate gradients, the second on the residual of the first in float64.

    Y: outputs x points, b = A'Y: outputs x neurons.  None where the second round has more to do than refine.
    """
    first = _conjugate_gradients(problem, b, _FIRST, None)
    if first is None:
        return None
    error, residual = _residual(problem, Y, first)
    size = np.abs(first).max(axis=1, keepdims=True)
    step = _conjugate_gradients(problem, residual, _SECOND, size)
    if step is None or (np.abs(step) > _CORRECTION * size).any():
        return None
    return Solution(first + step, _rmse(problem, error, step))


def _conjugate_gradients(problem: _Problem, b: Array, tolerance: float, size: Array | None) -> Array | None:
    """x with (A'A + lambda I) x = b, every row of b on its own.

    It ends when an iteration changes no row by more than `tolerance` times `size` (outputs x 1; None: the
    largest entry of the row so far); what is missing then is less than that change.  None after too many.
    """
    largest = np.abs(b).max(axis=1, keepdims=True)
    largest[largest == 0.0] = 1.0
    scale = largest / problem.ridge
    r = (b / largest).astype(np.float32)  # of size 1: float32 has no room for products of large residuals
    x, z = np.zeros_like(r), _precondition(problem, r)
    p, rho = z, _dots(r, z)
    for _ in range(_ITERATIONS):
        q = _product(problem, p)
        change = _ratio(rho, _dots(p, q)) * p
        x = x + change
        goal = np.abs(x).max(axis=1, keepdims=True) if size is None else size / scale
        if (np.abs(change) <= tolerance * goal).all():
            return np.asarray(x * scale)
        r = r - _ratio(rho, _dots(p, q)) * q
        z = _precondition(problem, r)
        rho, before = _dots(r, z), rho
        p = z + _ratio(rho, before) * p
    return None


def _precondition(problem: _Problem, r: Single) -> Single:
    F = problem.factor
    return np.asarray(r - (r @ F.T) @ F)


def _dots(a: Single, b: Single) -> Array:
    return np.asarray(np.sum(a * b, axis=1, dtype=np.float64, keepdims=True))


def _ratio(a: Array, b: Array) -> Single:
    """a / b, and 0 for a row that is solved already."""
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0).astype(np.float32)


def _product(problem: _Problem, p: Single) -> Single:
    """(A'A / lambda + I) p: divided by lambda, its numbers are near 1."""
    total = np.zeros_like(p)
    for start, stop in problem.blocks():
        a = problem.A[start:stop]
        total += (p @ a.T) @ a
    return np.asarray(total * np.float32(1.0 / problem.ridge) + p)


def _residual(problem: _Problem, Y: Array, D: Array) -> tuple[Array, Array]:
    """Y - A D (outputs x points) and A'(Y - A D) - lambda D in float64."""
    error, total = np.empty_like(Y), -problem.ridge * D
    for start, stop in problem.blocks():
        a = problem.buffer[: stop - start]
        a[:] = problem.A[start:stop]
        error[:, start:stop] = Y[:, start:stop] - D @ a.T
        total += error[:, start:stop] @ a
    return error, total


def _rmse(problem: _Problem, error: Array, step: Array) -> float:
    """Root mean square of `error` - A step; the step is small enough for float32."""
    small, squares = step.astype(np.float32), 0.0
    for start, stop in problem.blocks():
        rest = error[:, start:stop] - small @ problem.A[start:stop].T
        squares += float(np.sum(rest * rest))
    return float(np.sqrt(squares / error.size))
