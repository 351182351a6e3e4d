"""Decoder solvers: D minimising ||A D - Y||^2 + m sigma^2 ||D||^2 over m evaluation points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg

from spikec.graph import Array, Solver

KINDS = ("lstsq_l2", "lstsq")


def solve(activities: Array, targets: Sequence[Array], solver: Solver) -> list[Array]:
    """Decoders (neurons x columns of the target) for every target (points x columns)."""
    if solver.kind == "lstsq" or solver.regularisation == 0.0:
        return [np.linalg.lstsq(activities, Y, rcond=0.01)[0] for Y in targets]
    m, n = activities.shape
    sigma = solver.regularisation * activities.max()
    dual = m < n
    gram = activities @ activities.T if dual else activities.T @ activities
    gram[np.diag_indices_from(gram)] += m * sigma**2
    factor = scipy.linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    if dual:
        return [activities.T @ scipy.linalg.cho_solve(factor, Y, check_finite=False) for Y in targets]
    return [scipy.linalg.cho_solve(factor, activities.T @ Y, check_finite=False) for Y in targets]
