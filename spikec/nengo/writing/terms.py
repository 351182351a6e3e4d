"""What components of signals add up, whichever sums and products stand between them and other operators.

A program adds up the entries of a row, numbers times components, in their order, and rounds once for each;
what others read too is rounded in between.  So two rows of equal entries give the same bytes.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from spikec import graph as g
from spikec.program.demand import absorbed

# What adds up and nothing else.
LINEAR = (g.Sum, g.Product)
# A component of a signal: the node, and which of its numbers.
Component: TypeAlias = tuple[str, int]
Entries: TypeAlias = tuple[tuple[float, Component], ...]

# So many entries of a row begin a partial sum of their own, see `AppendProducts`: in their place, what is
# rounded before it comes there is as good as what is multiplied there.
BEGIN = 4


class Terms:
    """The entries of all rows of a graph."""

    def __init__(self, graph: g.Graph) -> None:
        self._graph = graph
        self._absorbed = absorbed(graph)
        self._rows: dict[str, list[list[tuple[float, Component]]]] = {}
        self._found: dict[Component, Entries] = {}

    def inside(self, name: str) -> bool:
        """Whether a product is computed in the sums that read it."""
        return name in self._absorbed

    def of(self, component: Component) -> Entries:
        """What is added up for a component; it alone, once, where it is of no sum or product."""
        if component not in self._found:
            self._found[component] = self._simple(component)
        return self._found[component]

    def _simple(self, component: Component) -> Entries:
        name, place = component
        if not isinstance(self._graph.op(name), LINEAR):
            return ((1.0, component),)
        row = self._row(name)[place]
        if len(row) == 1 and row[0][0] == 1.0:
            return self.of(row[0][1])
        return tuple(self._entry(*entry, begins=k < BEGIN) for k, entry in enumerate(row))

    def _entry(self, value: float, component: Component, begins: bool) -> tuple[float, Component]:
        inner = self.of(component)
        if len(inner) != 1:
            return value, component
        factor, source = inner[0]
        if factor == 1.0:
            return value, source
        return (factor, source) if begins and value == 1.0 else (value, component)

    def _row(self, name: str) -> list[list[tuple[float, Component]]]:
        if name not in self._rows:
            op = self._graph.op(name)
            rows: list[list[tuple[float, Component]]] = [[] for _ in range(op.size)]
            for source in [name] if isinstance(op, g.Product) else self._graph.inputs(name):
                if source == name or source in self._absorbed:
                    self._add(rows, source)
                else:
                    for place, row in enumerate(rows):
                        row.append((1.0, (source, place)))
            self._rows[name] = rows
        return self._rows[name]

    def _add(self, rows: list[list[tuple[float, Component]]], product: str) -> None:
        (argument,) = self._graph.inputs(product)
        for row, column, value in zip(*_entries(self._graph.op(product).matrix), strict=True):
            rows[row].append((value, (argument, column)))


def _entries(matrix: g.Matrix) -> tuple[list[int], list[int], list[float]]:
    """Row, column and value of every entry, in the order in which a program takes them."""
    if isinstance(matrix, np.ndarray):
        r, c = np.nonzero(matrix)
        return r.tolist(), c.tolist(), matrix[r, c].tolist()
    r = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return r.tolist(), matrix.indices.tolist(), matrix.data.tolist()


def dense(matrix: g.Matrix) -> g.Array:
    """A matrix with all its zeros."""
    return matrix if isinstance(matrix, np.ndarray) else np.asarray(matrix.toarray())
