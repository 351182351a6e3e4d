"""What the state of synapses, delays, weights and signals is called: by the objects between which it lies.

Nodes of a graph are called as the front end made them, and one of several equal ones stays.  Here names
follow from what is connected to what alone: `a->b.filter` is the first synapse between a and b, and
`a->b#2.filter` the next.  So a network and its translation into the language, which are the same graph but
for such names, have the same arrays in their saved states.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikec import graph as g
from spikec import plasticity as pl

# What a name ends with, by the kind of operator.
ENDINGS: dict[type, str] = {
    g.Filter: "filter", g.Delay: "delay", g.ExactSum: "decode", g.Function: "function", g.Sum: "sum",
    g.Product: "product", pl.Weights: "weights", pl.Learned: "learned", g.HostValue: "python",
}  # fmt: skip
# Names that front ends give to what no object is.
INNER = ("->", "~", " ")


def state_names(graph: g.Graph) -> dict[str, str]:
    """A name for every node but atoms and probes, different from all others."""
    return _Names(graph).found


def resolved(graph: g.Graph, name: str) -> str:
    """What a sum of one term or an identity passes on."""
    while True:
        op, inputs = graph.op(name), graph.inputs(name)
        passes = isinstance(op, g.Sum) and len(inputs) == 1
        passes |= isinstance(op, g.Product) and _is_identity(op.matrix)
        if not passes:
            return name
        name = inputs[0]


def _is_identity(matrix: g.Matrix) -> bool:
    rows, columns = matrix.shape
    if rows != columns:
        return False
    diagonal = matrix.diagonal()
    count = np.count_nonzero(matrix) if isinstance(matrix, np.ndarray) else matrix.count_nonzero()
    return bool((diagonal == 1.0).all()) and count == rows


class _Names:
    """The names under construction: first of what populations read, then of what probes read."""

    def __init__(self, graph: g.Graph) -> None:
        self.graph = graph
        self.found: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        for name, target in self._ends():
            self._walk(name, target)
        for name, op in graph.nodes():
            if not isinstance(op, (g.Atom, g.Probe)) and name not in self.found:
                self.found[name] = self.found.get(resolved(graph, name), name)

    def _ends(self) -> Iterator[tuple[str, str]]:
        """(node, name of the object) of all that others are named after, in the order of their names."""
        firsts = sorted(name for name, op in self.graph.nodes(g.Atom) if op.start == 0)
        yield from ((name, name.rpartition("#")[0]) for name in firsts)
        probes = ((name, op.name) for name, op in self.graph.nodes(g.Probe))
        yield from sorted(probes, key=lambda probe: probe[1])

    def _walk(self, start: str, target: str) -> None:
        """Name all that one object is made of, up to populations."""
        work = self._inputs(start)
        while work:
            name = work.pop()
            if name not in self.found and not isinstance(self.graph.op(name), g.Atom):
                own = self._object(name)
                self.found[name] = own or self._between(name, target)
                work += self._inputs(name)

    def _inputs(self, name: str) -> list[str]:
        """What a node reads, port after port, the last first."""
        ports = sorted(self.graph.input_ports(name), key=lambda end: end[1])
        return [resolved(self.graph, source) for source, _ in reversed(ports)]

    def _object(self, name: str) -> str:
        """The population or input of the model that a node is, "" for none."""
        if isinstance(self.graph.op(name), g.Atom):
            return name.rpartition("#")[0]
        inner = isinstance(self.graph.op(name), (g.Sum, g.Constant)) or any(mark in name for mark in INNER)
        return "" if inner or self.graph.inputs(name) else name

    def _source(self, name: str) -> str:
        """The object that a node comes from: the first one, where there are several."""
        seen = {name}
        while True:
            ports = (self.graph.inputs(name, port) for port in ("x", "pre.0", None))
            inputs = next((found for found in ports if found), [])
            if not inputs:
                return ""
            name = resolved(self.graph, inputs[0])
            if (own := self._object(name)) or name in seen:
                return own
            seen.add(name)

    def _between(self, name: str, target: str) -> str:
        """A name by both ends and the kind of operator; with a number where it is taken."""
        op = self.graph.op(name)
        ending = ENDINGS.get(type(op), type(op).__name__.lower())
        base = f"{self._source(name)}->{target}"
        name = f"{base}.{ending}"
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return f"{base}#{count}.{ending}" if count > 1 else name
