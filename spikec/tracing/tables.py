"""Arrays and lists of numbers of which a function reads what it computes the index of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikec.expressions import ENTRY, Call, Column, Table
from spikec.tracing.bounds import row
from spikec.tracing.symbols import SmallNumber, Symbol
from spikec.tracing.vectors import Vector


class FixedArray(np.ndarray):
    """An array of numbers that cannot be changed."""

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        axes = [axis for axis, one in enumerate(keys) if isinstance(one, Symbol)]
        if len(axes) == 1 and all(isinstance(one, (int, slice, Symbol)) for one in keys):
            (axis,) = axes
            others = tuple(slice(None) if one is keys[axis] else one for one in keys)
            # What is taken of other axes by one number is no axis any more.
            place = axis - sum(isinstance(one, int) for one in keys[:axis])
            found = entries(np.moveaxis(np.asarray(self)[others], place, 0), keys[axis])
            if found is not None:
                return found
        return super().__getitem__(key)


def entries(values: NDArray[Any], index: Symbol) -> Any:
    """values[index]: a symbol, or an array of them.  None where the index may be outside, or of what else
    than numbers there are.
    """
    if values.dtype.kind not in "biuf" or not values.size:
        return None
    place = row(index.expression, len(values))
    if place is None:
        return None
    table = Table(values.reshape(len(values), -1))
    kind = Symbol if values.dtype.kind == "f" or values.dtype == np.int64 else SmallNumber
    read = [kind(Call(ENTRY, (Column(table, k), place)), index.paths) for k in range(table.samples.shape[1])]
    if values.ndim == 1:
        return read[0]
    made = np.empty(len(read), dtype=object)
    made[:] = read
    return made.reshape(values.shape[1:]).view(Vector)


def entries_of_list(values: Any, index: Any) -> Any:
    """The same of a list or tuple; None where the index is no symbol, and of what is no array of numbers."""
    if not isinstance(index, Symbol) or not len(values):
        return None
    try:
        array = np.array(values)
    except (ValueError, TypeError):  # rows of other lengths, objects
        return None
    found = entries(array, index)
    # A list of lists has lists, which add and repeat in another way than arrays.
    nested = isinstance(found, Vector) and isinstance(values[0], (list, tuple))
    return type(values[0])(found.tolist()) if nested else found
