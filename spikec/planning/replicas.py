"""What every partition computes that needs a signal: ns of each component, from a host profile.

Everything but atoms is computed in every partition that needs it.  So what several atoms need is a reason to
keep them together, as what one makes and another reads is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.program.demand import absorbed

Floats = NDArray[np.float64]
# Of one panel, as a rule.
ROWS = 16


def component_costs(graph: g.Graph, stages: Mapping[str, float]) -> dict[str, Floats]:
    """ns per step of the components of sums, products with matrices, synapses and delays, by name.

    A row of a dense matrix costs less an entry than one of a sparse matrix; both as in the profile's
    `stages`, and a row as a part of a panel of `ROWS`.
    """
    terms, row = absorbed(graph), stages["linear_row"] / ROWS
    costs: dict[str, Floats] = {}
    for name, op in graph.nodes():
        match op:
            case g.Product():
                costs[name] = _rows(op.matrix, stages) + row * (name not in terms)
            case g.Sum():
                own = sum(source not in terms for source in graph.inputs(name))
                costs[name] = np.full(op.size, row + stages["linear_entry"] * own)
            case g.Filter():
                costs[name] = np.full(op.size, stages["lowpass"])
            case g.Delay():
                costs[name] = np.full(op.size, stages["delay"])
    return costs


def _rows(matrix: g.Matrix, stages: Mapping[str, float]) -> Floats:
    """ns of the entries of every row of a matrix."""
    if isinstance(matrix, np.ndarray):
        return np.asarray(stages["linear_run"] * np.count_nonzero(matrix, axis=1), np.float64)
    return np.asarray(stages["linear_entry"] * np.diff(matrix.indptr), np.float64)
