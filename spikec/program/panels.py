"""Rows of a sparse matrix in panels: as many as fill a vector, with as many entries each.

The kernel computes the rows of a panel together, entry after entry, so the values of a panel stand in that
order: the first of all its rows, the second of all.  Rows whose columns follow each other, as those of dense
matrices do, are in panels with those that begin at the same column: of such a panel only that column is kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Columns = NDArray[np.int32]

# Columns of the table of panels: entries of a row, rows, first value, first of the columns (or ~c where they
# are c, c + 1, ... in all rows), first place in the order of rows.
ENTRIES, ROWS, VALUE, COLUMN, PLACE = range(5)


def panels(counts: Ints, columns: Columns, values: NDArray[np.floating], lanes: int) -> dict[str, NDArray]:  # type: ignore[type-arg]
    """Arrays for `AppendProducts` of the runtime, of rows with so many entries, one row after the other.

    A row's sum depends on the order of its own entries alone, whichever panel it is in.
    """
    starts = np.concatenate([[0], np.cumsum(counts)])
    first = _first_columns(counts, columns, starts, lanes)
    order = np.lexsort((first, counts)).astype(np.int32)
    places = _places(counts.astype(np.int32)[order], first[order], lanes)
    lengths, begins = counts[order[places]], first[order[places]].astype(np.int64)
    heights = np.diff(places, append=len(order))
    sizes = lengths * heights
    kept = sizes * (begins < 0)  # of the columns
    new_values, new_columns = np.empty_like(values), np.empty(kept.sum(), np.int32)
    table = np.stack([lengths, heights, np.cumsum(sizes) - sizes, np.cumsum(kept) - kept, places], axis=1)
    for length, height, value, column, place, begin in zip(*table.T.tolist(), begins.tolist(), strict=True):
        entries = (starts[order[place : place + height]] + np.arange(length)[:, None]).ravel()
        new_values[value : value + len(entries)] = values[entries]
        if begin < 0:
            new_columns[column : column + len(entries)] = columns[entries]
    table[:, COLUMN] = np.where(begins < 0, table[:, COLUMN], ~begins)
    return {
        "values": new_values,
        "columns": new_columns,
        "panels": table,
        "order": order,
    }


def _first_columns(counts: Ints, columns: Columns, starts: Ints, lanes: int) -> Columns:
    """The first column of rows whose columns follow each other and fill a quarter of a vector, else -1."""
    first = np.full(len(counts), -1, np.int32)
    if len(columns):
        gaps = np.zeros(len(columns), np.int32)
        np.cumsum(np.diff(columns) != 1, out=gaps[1:])
        long = np.flatnonzero(counts >= lanes // 4)
        runs = long[gaps[starts[long + 1] - 1] == gaps[starts[long]]]
        first[runs] = columns[starts[runs]]
    return first


def _places(counts: Columns, first: Columns, lanes: int) -> Ints:
    """Where the panels of rows in this order begin: rows that are alike are in panels by themselves."""
    changes = np.flatnonzero((np.diff(counts) != 0) | (np.diff(first) != 0)) + 1
    starts = np.concatenate([np.zeros(min(len(counts), 1), np.int64), changes])
    number = -(-np.diff(starts, append=len(counts)) // lanes)
    before: Ints = np.repeat(starts - lanes * (np.cumsum(number) - number), number)
    return before + lanes * np.arange(len(before))
