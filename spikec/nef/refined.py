"""Decoders by a Cholesky factor in float32, refined in float64.

The normal equations (A'A + lambda I) D = A'Y take half the time in float32, and rates less than that.  With a
penalty lambda that is no tiny part of A'A, what they give is near D to some 1e-4; the residual is then taken
in float64 and solved for again with the same factor (iterative refinement: Higham, Accuracy and Stability of
Numerical Algorithms, 2002, chapter 12).  So decoders are those of the plain solve, but for rates that are
rounded to float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from spikec.graph import Array
from spikec.nef import lapack
from spikec.nef.system import SilentError, Single, Solution, System, Workspace

_TILE = 40_000  # numbers of A that are taken to float64 at once, inside a core's cache: calls are few
_NEAR = 1e-5  # what the first correction c may be, relative to the largest decoder: it leaves near c^2 / 10
_ROUNDS = 4  # after which float32 is not enough for this system


def solve_refined(
    system: System, targets: Sequence[Array], relative: float, workspace: Workspace
) -> list[Solution] | None:
    """Regularised decoders for every target (points x outputs); None where the refinement does not converge.

    `relative` is the regularisation sigma as a fraction of the largest activity: lambda = m sigma^2.
    Raises `SilentError` where all activities are 0.
    """
    points, neurons = system.shape
    A = system.single(workspace)
    high = float(A.max())
    if high == 0.0 and not A.any():
        raise SilentError
    ridge = points * (relative * high) ** 2
    gram = cast(Single, workspace.array("gram", (neurons, neurons), np.float32))
    lapack.gram(A, gram)
    gram.ravel()[:: neurons + 1] += np.float32(ridge)
    if not lapack.factor(gram):
        return None
    buffer = cast(Array, workspace.array("block", (max(_TILE // neurons, 8), neurons)))
    solutions = []
    for Y in targets:
        solution = _refine(A, ridge, gram, np.ascontiguousarray(Y.T), buffer)
        if solution is None:
            return None
        solutions.append(solution)
    return solutions


def _refine(A: Single, ridge: float, factored: Single, Y: Array, buffer: Array) -> Solution | None:
    """Y: outputs x points.  None where corrections do not become small."""
    D = _solved(factored, Y.astype(np.float32) @ A)
    before = np.abs(D).max(axis=1)
    for _ in range(_ROUNDS):
        error, residual = _residual(A, ridge, Y, D, buffer)
        change = _solved(factored, residual)
        D += change
        size = np.abs(change).max(axis=1)
        # Each round leaves the same part: a second correction that is hardly smaller tells of a third.
        if (size * size <= _NEAR**2 * before * np.abs(D).max(axis=1)).all():
            error -= change.astype(np.float32) @ A.T
            return Solution(D, float(np.sqrt(np.mean(error * error))))
        before = size
    return None


def _solved(factored: Single, b: Array | Single) -> Array:
    """x with L L' x = b for every row, in float32: of rows of size 1, for tiny numbers are 0 there."""
    largest = np.abs(b).max(axis=1, keepdims=True).astype(np.float64)
    largest[largest == 0.0] = 1.0
    x = (b / largest).astype(np.float32)
    lapack.solve(factored, x)
    return np.asarray(x * largest)


def _residual(A: Single, ridge: float, Y: Array, D: Array, buffer: Array) -> tuple[Array, Array]:
    """Y - A D (outputs x points) and A'(Y - A D) - lambda D (outputs x neurons), in float64."""
    error, total = np.empty_like(Y), -ridge * D
    for start in range(0, len(A), len(buffer)):
        stop = min(start + len(buffer), len(A))
        a = buffer[: stop - start]
        a[:] = A[start:stop]
        error[:, start:stop] = Y[:, start:stop] - D @ a.T
        total += error[:, start:stop] @ a
    return error, total
