"""Polynomials of the represented vector: what the activities of a population mostly look like."""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import comb

import numpy as np

from spikec.graph import Array

_MAX_DEGREE = 10


def orthonormal_polynomials(points: Array, columns: int) -> Array:
    """Polynomials of `points` (points x dims), orthonormal over them: points x (at most `columns`).

    All up to the highest degree for which there are no more than `columns` (at least the constant).  A
    Cholesky factor of the monomials' Gram matrix makes them orthonormal; a small ridge keeps dependent ones
    harmless.
    """
    dims = points.shape[1]
    degree = max(k for k in range(_MAX_DEGREE + 1) if k == 0 or comb(dims + k, k) <= columns)
    scale = np.abs(points).max() or 1.0
    monomials = _monomials(points / scale, degree)
    gram = monomials @ monomials.T
    gram[np.diag_indices_from(gram)] *= 1.0 + 1e-10
    return (inverse_factor(gram) @ monomials).T


def inverse_factor(gram: Array) -> Array:
    """L^-1 of the Cholesky factor L of a small positive definite matrix, for products with wide ones."""
    return np.asarray(np.linalg.inv(np.linalg.cholesky(gram)))


def _monomials(x: Array, degree: int) -> Array:
    """Products of up to `degree` components of x (points x dims): monomials x points."""
    columns = [np.ones(len(x))]
    known: dict[tuple[int, ...], Array] = {(): columns[0]}
    for k in range(1, degree + 1):
        for indices in combinations_with_replacement(range(x.shape[1]), k):
            known[indices] = known[indices[:-1]] * x[:, indices[-1]]
            columns.append(known[indices])
    return np.stack(columns)
