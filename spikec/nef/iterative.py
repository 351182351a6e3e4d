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
from typing import cast

import numpy as np

from spikec.graph import Array
from spikec.nef import lapack
from spikec.nef.blas import has_small_products
from spikec.nef.polynomials import inverse_factor, polynomials
from spikec.nef.system import SilentError, Single, Solution, System, Workspace
from spikec.records import dataclass

_CACHE = 120_000  # numbers of A in a block: in float32 and float64 together 1.4 MB, inside a core's L2
_SMALL = 1_000_000  # multiplications up to which OpenBLAS does without packing, which doubles the time
_PACKED = 192_000  # numbers in a block where it always packs: 27 ms for 4,000 neurons, 34 with 120,000
_ROWS = 20  # of a block, whose rates are computed together: their steps find them in a core's nearer cache
_FIRST = 3e-3  # what may be missing of the decoders, relative to the largest, after the first round
_SECOND = 7e-7  # and after the second, which starts from a residual in float64
_RATES = 0.1, 0.8  # bounds of what is believed of the ratio of residuals that follow one another (squared)
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
        return None  # the points leave a direction out: no preconditioner of polynomials


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


def _blocks(points: int, neurons: int, outputs: int = 8) -> list[tuple[int, int]]:
    """Ranges of points whose activities fit the cache of a core, and products with them a small kernel."""
    numbers = min(_CACHE, _SMALL // outputs) if has_small_products() else _PACKED
    step = min(max(numbers // neurons, 8), 64)
    return [(start, min(start + step, points)) for start in range(0, points, step)]


def _assemble(
    system: System, targets: Sequence[Array], relative: float, workspace: Workspace
) -> tuple[_Problem, list[Single]]:
    """The problem and A'Y (outputs x neurons) of every target, in one pass over the points."""
    points, neurons = system.shape
    blocks = _blocks(points, neurons)
    A = cast(Single, workspace.array("activities", (points, neurons), np.float32))
    buffer = cast(Array, workspace.array("block", (blocks[0][1], neurons)))
    singles = [np.ascontiguousarray(Y.T, np.float32) for Y in targets]
    right_sides = [np.zeros((len(Y), neurons), np.float32) for Y in singles]
    parts = [np.empty_like(b) for b in right_sides]
    high = -np.inf
    for start, stop in blocks:
        a = A[start:stop]
        for first in range(start, stop, _ROWS):
            last = min(first + _ROWS, stop)
            system.single_activities(first, last, buffer[: last - first], A[first:last])
        high = max(high, float(a.max()))
        for b, part, Y in zip(right_sides, parts, singles, strict=True):
            b += np.matmul(Y[:, start:stop], a, out=part)
    if high == 0.0 and not A.any():
        raise SilentError
    ridge = points * (relative * high) ** 2
    return _Problem(A, ridge, _factor(system.points, A, ridge, workspace), buffer), right_sides


def _factor(points: Array, A: Single, ridge: float, workspace: Workspace) -> Single:
    """F with (Z Z' + lambda I)^-1 = (I - F' F) / lambda for Z' the image of orthonormal polynomials under A
    (polynomials x neurons).
    """
    basis, weights = polynomials(points, max(A.shape[1] // 16, 1), workspace)
    shape = len(basis), A.shape[1]
    image = np.matmul(basis, A, out=workspace.array("image", shape, np.float32))
    factor = np.matmul(weights.astype(np.float32), image, out=workspace.array("factor", shape, np.float32))
    inner = np.zeros((len(basis), len(basis)))
    lapack.gram(factor.astype(np.float64), inner, dual=True)
    inner[np.diag_indices_from(inner)] += ridge
    return cast(Single, np.matmul(inverse_factor(inner).astype(np.float32), factor, out=image))


def _refine(problem: _Problem, Y: Array, b: Single) -> Solution | None:
    """Two rounds of conjugate gradients, the second on the residual of the first in float64.

    Y: outputs x points, b = A'Y: outputs x neurons.  None where the second round has more to do than refine.
    """
    first = _conjugate_gradients(problem, b, _FIRST, None)
    if first is None:
        return None
    D = first.x
    error, residual = _residual(problem, Y, D)
    size = np.abs(D).max(axis=1, keepdims=True)
    second = _conjugate_gradients(problem, residual, _SECOND, size)
    if second is None or (np.abs(second.x) > _CORRECTION * size).any():
        return None
    error -= second.image
    return Solution(D + second.x, float(np.sqrt(np.mean(error * error))))


@dataclass(frozen=True)
class _Found:
    """x (outputs x neurons) and its image x A' (outputs x points), but for the last change of x."""

    x: Array
    image: Array


def _conjugate_gradients(
    problem: _Problem, b: Array | Single, tolerance: float, size: Array | None
) -> _Found | None:
    """x with (A'A + lambda I) x = b, every row of b on its own.

    It ends when no row is missing more than `tolerance` times `size` (outputs x 1; None: the largest entry of
    the row so far), if residuals go on to shrink as the last did.  The next change is known before its
    product, but for its length, and is made too.  None after too many.
    """
    largest = np.abs(b).max(axis=1, keepdims=True).astype(np.float64)
    largest[largest == 0.0] = 1.0
    scale = largest / problem.ridge
    r = (b / largest).astype(np.float32)  # of size 1: float32 has no room for products of large residuals
    x, z = np.zeros_like(r), _precondition(problem, r)
    p, rho = z, _dots(r, z)
    image = np.zeros((len(r), len(problem.A)), np.float32)
    for _ in range(_ITERATIONS):
        q, projected = _product(problem, p)
        ratio = _ratio(rho, _dots(p, q))
        x, r = x + ratio * p, r - ratio * q
        image += ratio * projected
        z = _precondition(problem, r)
        rho, last = _dots(r, z), rho
        p = z + _ratio(rho, last) * p
        change = ratio * p
        moved = np.abs(change).max(axis=1, keepdims=True)
        rate = np.sqrt(np.clip(_ratio(rho, last), *_RATES))
        goal = np.abs(x).max(axis=1, keepdims=True) if size is None else size / scale
        if (moved * rate / (1 - rate) <= tolerance * goal).all():
            return _Found(np.asarray((x + change) * scale), np.asarray(image * scale))
    return None


def _precondition(problem: _Problem, r: Single) -> Single:
    F = problem.factor
    return np.asarray(r - (r @ F.T) @ F)


def _dots(a: Single, b: Single) -> Array:
    return np.asarray(np.sum(a * b, axis=1, dtype=np.float64, keepdims=True))


def _ratio(a: Array, b: Array) -> Single:
    """a / b, and 0 for a row that is solved already."""
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0).astype(np.float32)


def _product(problem: _Problem, p: Single) -> tuple[Single, Single]:
    """(A'A / lambda + I) p, and A p (outputs x points): divided by lambda, the numbers are near 1."""
    points, neurons = problem.A.shape
    total, summand = np.zeros_like(p), np.empty_like(p)
    image = np.empty((len(p), points), np.float32)
    for start, stop in _blocks(points, neurons, len(p)):
        a = problem.A[start:stop]
        part = p @ a.T
        image[:, start:stop] = part
        total += np.matmul(part, a, out=summand)
    return np.asarray(total * np.float32(1.0 / problem.ridge) + p), image


def _residual(problem: _Problem, Y: Array, D: Array) -> tuple[Array, Array]:
    """Y - A D (outputs x points) and A'(Y - A D) - lambda D in float64."""
    error, total = np.empty_like(Y), -problem.ridge * D
    for start, stop in _blocks(*problem.A.shape):
        a = problem.buffer[: stop - start]
        a[:] = problem.A[start:stop]
        error[:, start:stop] = Y[:, start:stop] - D @ a.T
        total += error[:, start:stop] @ a
    return error, total
