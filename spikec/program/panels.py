"""Rows of a sparse matrix in panels: as many as fill a vector, with as many entries each.

The kernel computes the rows of a panel together, entry after entry, so the values of a panel stand in that
order: the first of all its rows, the second of all.  Rows whose columns follow each other, as those of dense
matrices do, are in panels with those that begin at the same column: of such a panel only that column is kept.
"""

from __future__ import annotations

from collections.abc import Iterator

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
    table, order = [], []
    value = column = place = 0
    new_values, new_columns = np.empty_like(values), []
    for rows in _groups(counts, first, lanes):
        count, runs = int(counts[rows[0]]), first[rows[0]] >= 0
        table.append((count, len(rows), value, ~int(first[rows[0]]) if runs else column, place))
        entries = (starts[rows] + np.arange(count)[:, None]).ravel()
        new_values[value : value + len(entries)] = values[entries]
        if not runs:
            new_columns.append(columns[entries])
            column += len(entries)
        order.append(rows)
        value, place = value + len(entries), place + len(rows)
    return {
        "values": new_values,
        "columns": np.concatenate([np.zeros(0, np.int32), *new_columns]),
        "panels": np.array(table, np.int64).reshape(-1, 5),
        "order": np.concatenate([np.zeros(0, np.int32), *order]).astype(np.int32),
    }


def _first_columns(counts: Ints, columns: Columns, starts: Ints, lanes: int) -> Ints:
    """The first column of rows whose columns follow each other and fill a quarter of a vector, else -1."""
    first = np.full(len(counts), -1)
    if len(columns):
        gaps = np.concatenate([[0], np.cumsum(np.diff(columns) != 1, dtype=np.int32)])
        long = np.flatnonzero(counts >= lanes // 4)
        runs = long[gaps[starts[long + 1] - 1] == gaps[starts[long]]]
        first[runs] = columns[starts[runs]]
    return first


def _groups(counts: Ints, first: Ints, lanes: int) -> Iterator[Ints]:
    """The rows of every panel."""
    order = np.lexsort((first, counts))
    changes = (np.diff(counts[order]) != 0) | (np.diff(first[order]) != 0)
    for rows in np.split(order, np.flatnonzero(changes) + 1):
        for k in range(0, len(rows), lanes):
            yield rows[k : k + lanes]
