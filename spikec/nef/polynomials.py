"""Polynomials of the represented vector: what the activities of a population mostly look like."""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import comb
from typing import cast

import numpy as np

from spikec.graph import Array
from spikec.nef import lapack
from spikec.nef.system import Single, Workspace

_MAX_DEGREE = 40
_TILE = 1000  # points that are taken to float64 at once


def polynomials(points: Array, columns: int, workspace: Workspace) -> tuple[Single, Array]:
    """Polynomials P of `points` (points x dims), and W so that W P are orthonormal over them.

    P: (at most `columns`) x points, all up to the highest degree for which there are no more than that (at
    least the constant).  They are products of polynomials of one component each, which leave little for a
    Cholesky factor of their Gram matrix to do; a small ridge keeps dependent ones harmless.
    """
    count, dims = points.shape
    degree = max(k for k in range(_MAX_DEGREE + 1) if k == 0 or comb(dims + k, k) <= columns)
    products = cast(Single, workspace.array("polynomials", (comb(dims + degree, degree), count), np.float32))
    _products([p.astype(np.float32) for p in _orthonormal(points.T, degree)], degree, products)
    gram, part = np.zeros((2, len(products), len(products)))
    for start in range(0, count, _TILE):
        lapack.gram(products[:, start : start + _TILE].astype(np.float64), part, dual=True)
        gram += part
    gram[np.diag_indices_from(gram)] += 1e-10 * count
    return products, inverse_factor(gram)


def inverse_factor(gram: Array) -> Array:
    """L^-1 of the Cholesky factor L of a small positive definite matrix, for products with wide ones.

    Only its lower half is used.
    """
    return np.asarray(np.linalg.inv(np.linalg.cholesky(gram)))


def _orthonormal(x: Array, degree: int) -> list[Array]:
    """Polynomials of degree 0, 1, ... of every entry of x, orthonormal over all of them (Stieltjes; Gautschi,
    Orthogonal Polynomials, 2004, section 2.2).
    """
    found, before = [np.ones_like(x)], np.zeros_like(x)
    length = 1.0
    for _ in range(degree):
        last = found[-1]
        following = x * last - length * before
        following -= np.mean(following * last) * last
        length = float(np.sqrt(np.mean(following * following))) or 1.0
        found.append(following / length)
        before = last
    return found


def _products(one: list[Single], degree: int, out: Single) -> None:
    """Products of polynomials of the components (`one`: for every degree, dims x points), of degree up to
    `degree` in all: products x points.
    """
    known: dict[tuple[int, ...], Single] = {(): out[0]}
    out[0] = one[0][0]
    for k in range(1, degree + 1):
        for indices in combinations_with_replacement(range(len(one[0])), k):
            last = indices[-1]
            power = indices.count(last)
            row = out[len(known)]
            known[indices] = np.multiply(known[indices[:-power]], one[power][last], out=row)
