"""What every partition computes that needs a signal: ns of each component, from a host profile.

Everything but atoms is computed in every partition that needs it.  So what several atoms need is a reason to
keep them together, as what one makes and another reads is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec import projections as pj
from spikec.program.demand import absorbed
from spikec.program.stages import joined

Floats = NDArray[np.float64]
# Of one panel, as a rule.
ROWS = 16


def signals(graph: g.Graph) -> Iterator[tuple[str, g.Operator]]:
    """Names and operators of all that any partition can compute: not what an atom or a probe sets."""
    made_in_one = (g.ExactSum, *g.PLACED, g.Probe, pj.Spikes, pj.Projection)
    return ((name, op) for name, op in graph.nodes() if not isinstance(op, made_in_one))


def component_costs(graph: g.Graph, stages: Mapping[str, float]) -> Floats:
    """ns per step of the components of all `signals`, one after the other: of sums, products with matrices,
    synapses and delays, and 0 of others.

    A row of a dense matrix costs less an entry than one of a sparse matrix; both as in the profile's
    `stages`, and a row as a part of a panel of `ROWS`.
    """
    terms, row = absorbed(graph), stages["linear_row"] / ROWS

    def costs(name: str, op: g.Operator) -> Floats:
        match op:
            case g.Product():
                return _rows(op.matrix, stages) + row * (name not in terms)
            case g.Sum():
                own = sum(source not in terms for source in graph.inputs(name))
                return np.full(op.size, row + stages["linear_entry"] * own)
            case g.Filter():
                return np.full(op.size, stages["lowpass"])
            case g.Delay():
                return np.full(op.size, stages["delay"])
        return np.zeros(op.size)

    return joined((costs(name, op) for name, op in signals(graph)), np.float64)


def _rows(matrix: g.Matrix, stages: Mapping[str, float]) -> Floats:
    """ns of the entries of every row of a matrix."""
    if isinstance(matrix, np.ndarray):
        return np.asarray(stages["linear_run"] * np.count_nonzero(matrix, axis=1), np.float64)
    return np.asarray(stages["linear_entry"] * np.diff(matrix.indptr), np.float64)
