"""What products with matrices cost, in the words of the host profile: panels of rows, and their entries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikec.program import layout as la
from spikec.program.panels import COLUMN, ENTRIES
from spikec.program.stages import VECTOR

# Learned weights that a rule changes, a product reads, or a recorded synapse follows, in entries of a dense
# matrix, which every profile holds.
CHANGE, PRODUCT, TRACE = 1.5, 1.0, 1.5


def _learning(stage: la.Learning) -> dict[str, float]:
    """Every rule changes every row of its weights; RLS reads and changes its inverse correlations as well."""
    _, rows, columns, _, rules = stage.arrays["matrices"].T.astype(np.float64)
    entries = (
        CHANGE * float((rows * columns * rules).sum()) + (CHANGE + PRODUCT) * stage.state["inverse"].size
    )
    return {"linear_row": float((rows * rules).sum()), "linear_run": entries}


def _changes(matrices: NDArray[np.int64]) -> dict[str, float]:
    """Every change computes all entries."""
    rows, entries = matrices[:, 1], matrices[:, 1:3].prod(axis=1)
    return {"linear_row": float(rows.sum()), "linear_run": CHANGE * float(entries.sum())}


def learned(stage: la.LearnedProducts | la.Learning | la.Changes | la.Traces) -> dict[str, float]:
    """What learned weights take, their changes and synapses that are recorded, and their products."""
    match stage:
        case la.Learning():
            return _learning(stage)
        case la.Changes():
            return _changes(stage.arrays["matrices"])
        case la.Traces():
            return {"linear_run": TRACE * stage.state["value"].size}
    return _products(stage.arrays["table"])


def _products(table: NDArray[np.int64]) -> dict[str, float]:
    """A product reads all learned weights of its rows."""
    _, columns, _, rows = table.T.astype(np.float64)
    calls = np.where(columns > 1, rows, 1)  # products of one number each are one loop
    return {"linear_row": float(calls.sum()), "linear_run": PRODUCT * float((rows * columns).sum())}


def linear(panels: NDArray[np.int64], itemsize: int) -> dict[str, float]:
    """Panels, and their entries: those of all lanes, for vectors count as whole ones."""
    entries = panels[:, ENTRIES] * (VECTOR // itemsize)
    runs = panels[:, COLUMN] < 0
    return {
        "linear_row": len(panels),
        "linear_entry": float(entries[~runs].sum()),
        "linear_run": float(entries[runs].sum()),
    }
