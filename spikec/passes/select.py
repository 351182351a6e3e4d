"""Select: a probe of single components of exact sums records the sums themselves.

    y = sum of M_i s_i, a row of all M_i together having one 1 at most   ->   y[c] = s_i[k] for each column c

What a probe reads without a synapse is read in the step that makes it, and whoever computes it must hold all
atoms that it is made of.  But nobody has to compute components of exact sums: each partition records its own
integers, and they are added afterwards.  So a probe of an array keeps no atoms together.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g

log = logging.getLogger(__name__)

Ints = NDArray[np.int64]


def select(graph: g.Graph) -> g.Graph:
    """Connect every probe for which this holds to the exact sums; what nobody reads then is for `drop`."""
    result = graph.copy()
    for name, probe in list(result.nodes(g.Probe)):
        for source in result.inputs(name, "x"):
            if isinstance(result.op(source), g.ExactSum):
                continue
            sums: dict[str, int] = {}
            found = _selected(result, source, sums)
            if found is None or not sums:
                log.info("select: %s computes what it records", name)
                continue
            owner, component = found
            columns = _of_each(owner, len(sums))
            picks = tuple(g.Pick(c, component[c]) for c in columns if len(c))
            result.disconnect(source, name)
            result.replace(name, replace(probe, picks=picks))
            for total, c in zip(sums, columns, strict=True):
                if len(c):
                    result.connect(total, name)
    return result


def _selected(graph: g.Graph, name: str, sums: dict[str, int]) -> tuple[Ints, Ints] | None:
    """For every component of a signal the number of an exact sum, of those in `sums`, and which of its own.

    The number is -1 where the component is always 0.  None where a component is anything else.
    """
    op = graph.op(name)
    match op:
        case g.ExactSum() if not isinstance(op, g.Bits):
            return np.full(op.size, sums.setdefault(name, len(sums))), np.arange(op.size)
        case g.Product():
            columns = _columns(op.matrix)
            inner = None if columns is None else _selected(graph, graph.inputs(name)[0], sums)
            if columns is None or inner is None:
                return None
            return np.where(columns < 0, -1, inner[0][columns]), inner[1][columns]
        case g.Sum():
            return _joined(op.size, (_selected(graph, term, sums) for term in graph.inputs(name)))
    return None


def _columns(matrix: g.Matrix) -> Ints | None:
    """The column of the one entry, a 1, of every row; -1 for rows without one; None for other matrices."""
    if isinstance(matrix, np.ndarray):
        rows, places = np.nonzero(matrix)
        values = matrix[rows, places]
    else:
        filled = matrix.data != 0.0
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))[filled]
        places, values = matrix.indices[filled], matrix.data[filled]
    if (np.diff(rows) == 0).any() or (values != 1.0).any():
        return None
    columns = np.full(matrix.shape[0], -1, np.int64)
    columns[rows] = places
    return columns


def _of_each(owner: Ints, count: int) -> list[Ints]:
    """Places at which `owner` is 0, 1, ... count - 1, each in increasing order."""
    order = np.argsort(owner, kind="stable")
    return np.split(order, np.searchsorted(owner[order], np.arange(count + 1)))[1:-1]


def _joined(size: int, terms: Iterable[tuple[Ints, Ints] | None]) -> tuple[Ints, Ints] | None:
    """A sum of which each component has one term at most."""
    owner, component = np.full(size, -1, np.int64), np.zeros(size, np.int64)
    for term in terms:
        if term is None or ((owner >= 0) & (term[0] >= 0)).any():
            return None
        here = term[0] >= 0
        owner[here], component[here] = term[0][here], term[1][here]
    return owner, component
