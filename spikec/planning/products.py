"""What products with matrices cost, in the words of the host profile: rows, and entries of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikec.program import layout as la
from spikec.program.stages import VECTOR

# Learned weights that a rule changes, or a product reads, in entries of a dense matrix, which every profile
# holds.
CHANGE, PRODUCT = 1.5, 1.0


def learning(stage: la.Learning) -> dict[str, float]:
    """Every rule changes every row of its weights; RLS reads and changes its inverse correlations as well."""
    _, rows, columns, _, rules = stage.arrays["matrices"].T.astype(np.float64)
    entries = (
        CHANGE * float((rows * columns * rules).sum()) + (CHANGE + PRODUCT) * stage.state["inverse"].size
    )
    return {"linear_row": float((rows * rules).sum()), "linear_run": entries}


def learned(table: NDArray[np.int64]) -> dict[str, float]:
    """A product reads all learned weights of its rows."""
    return {"linear_row": len(table), "linear_run": PRODUCT * float(table[:, 1].sum())}


def linear(pointers: NDArray[np.int64], columns: NDArray[np.int32], itemsize: int) -> dict[str, float]:
    """Rows whose columns follow each other are marked by their first one (see `stages.mark_runs`)."""
    lengths, runs = np.diff(pointers), np.zeros(len(pointers) - 1, bool)
    runs[lengths > 0] = columns[pointers[:-1][lengths > 0]] < 0
    kinds = {"linear_entry": lengths[~runs], "linear_run": lengths[runs]}
    return {"linear_row": len(lengths)} | {kind: _entries(x, itemsize) for kind, x in kinds.items()}


def _entries(lengths: NDArray[np.int64], itemsize: int) -> float:
    """Entries of rows of so many, as they cost: vectors count as whole ones, but few entries are added one by
    one (see `spike_runtime.ops.linear`).
    """
    lanes = VECTOR // itemsize
    return float(np.where(lengths >= lanes // 4, lengths + -lengths % lanes, lengths).sum())
