"""Polynomials of the represented vector: what the activities of a population mostly look like."""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import comb

import numpy as np

from spikec.graph import Array

_MAX_DEGREE = 40


def orthonormal_polynomials(points: Array, columns: int) -> Array:
    """Polynomials of `points` (points x dims), orthonormal over them: points x (at most `columns`).

    All up to the highest degree for which there are no more than `columns` (at least the constant).  Products
    of Chebyshev polynomials span them, near enough to orthogonal for a Cholesky factor of their Gram matrix
    to do the rest; a small ridge keeps dependent ones harmless.
    """
    dims = points.shape[1]
    degree = max(k for k in range(_MAX_DEGREE + 1) if k == 0 or comb(dims + k, k) <= columns)
    scale = np.abs(points).max() or 1.0
    products = _products(points.T / scale, degree)
    gram = products @ products.T
    gram[np.diag_indices_from(gram)] *= 1.0 + 1e-10
    return (inverse_factor(gram) @ products).T


def inverse_factor(gram: Array) -> Array:
    """L^-1 of the Cholesky factor L of a small positive definite matrix, for products with wide ones."""
    return np.asarray(np.linalg.inv(np.linalg.cholesky(gram)))


def _products(x: Array, degree: int) -> Array:
    """Products of Chebyshev polynomials of the components of x (dims x points), of degree up to `degree` in
    all: products x points.
    """
    one = [np.ones_like(x), x]  # T_k of every component; T_k+1 = 2 x T_k - T_k-1
    while len(one) <= degree:
        one.append(2.0 * x * one[-1] - one[-2])
    rows = [one[0][0]]
    known: dict[tuple[int, ...], Array] = {(): rows[0]}
    for k in range(1, degree + 1):
        for indices in combinations_with_replacement(range(len(x)), k):
            last = indices[-1]
            power = indices.count(last)
            known[indices] = known[indices[:-power]] * one[power][last]
            rows.append(known[indices])
    return np.stack(rows)
