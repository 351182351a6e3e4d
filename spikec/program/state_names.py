"""What the state of synapses, delays, weights and signals is called: by the objects between which it lies.

Learned weights are called as the front end calls them: `learned.weights` by the name of the connection,
`a->b.weights` by its ends as they are written where it has none, `b.encoders` by the ensemble.  No pass makes
one of two, so what else is in a model never changes that, and `learned.filter` is the synapse of such a
connection.

All else may be one of several equal ones.  Its name follows from what is connected to what: `a->b.filter` is
the first synapse between a and b, and `a->b#2.filter` the next, with populations, inputs, nodes that
compute, connections that learn and probes as ends.  So a network and its translation into the language,
which are the same graph but for the names of what lies between, have the same arrays in their saved states.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

import numpy as np

from spikec import changes as ch
from spikec import graph as g
from spikec import plasticity as pl

# What a name ends with, by the kind of operator.
ENDINGS: dict[type, str] = {
    g.Filter: "filter", g.Delay: "delay", g.ExactSum: "decode", g.Function: "function", g.Sum: "sum",
    g.Product: "product", pl.Learned: "learned", pl.Entries: "entries", g.HostValue: "python",
    g.StateValue: "state", ch.Change: "delta", ch.Inverse: "inverse",
}  # fmt: skip
# Names that front ends give to what no object is.
INNER = ("->", "~", " ")


def state_names(graph: g.Graph) -> dict[str, str]:
    """A name for every node but atoms and probes, different from all others."""
    return _Names(graph).found


def resolved(graph: g.Graph, name: str) -> str:
    """What a sum of one term or an identity passes on."""
    while True:
        op = graph.op(name)
        if not isinstance(op, (g.Sum, g.Product)):
            return name
        inputs = graph.inputs(name)
        if len(inputs) != 1 or not (isinstance(op, g.Sum) or _is_identity(op.matrix)):
            return name
        name = inputs[0]


def _is_function(op: g.Operator) -> bool:
    """Whether a node is a function of signals, or what Python gives in place of one."""
    return isinstance(op, g.Function) or (isinstance(op, g.HostValue) and op.function)


def _is_identity(matrix: g.Matrix) -> bool:
    rows, columns = matrix.shape
    if rows != columns:
        return False
    diagonal = matrix.diagonal()
    count = np.count_nonzero(matrix) if isinstance(matrix, np.ndarray) else matrix.count_nonzero()
    return bool((diagonal == 1.0).all()) and count == rows


class _Names:
    """The names under construction: of what populations read, then weights, nodes, and last probes."""

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
        for kind in (pl.Weights, (g.Function, g.HostValue)):
            names = sorted(
                name for name, op in self.graph.nodes(kind) if kind == pl.Weights or _is_function(op)
            )
            yield from ((name, own) for name in names if (own := self._object(name)))
        probes = ((name, op.name) for name, op in self.graph.nodes(g.Probe))
        yield from sorted(probes, key=lambda probe: probe[1])

    def _walk(self, start: str, target: str) -> None:
        """Name all that one object is made of, up to populations."""
        work = self._inputs(start)
        while work:
            name = work.pop()
            op = self.graph.op(name)
            if name in self.found or isinstance(op, g.Atom):
                continue
            own = self._object(name)
            self.found[name] = name if isinstance(op, pl.Weights) else own
            if not own:
                self.found[name] = self._between(name, target)
                work += self._inputs(name)

    def _inputs(self, name: str) -> list[str]:
        """What a node reads, port after port, the last first."""
        ports = sorted(self.graph.input_ports(name), key=itemgetter(1))
        return [resolved(self.graph, source) for source, _ in reversed(ports)]

    def _object(self, name: str) -> str:
        """The object of the model that a node is, "" for none: a population, an input, a node that computes,
        or the connection that weights are of.
        """
        op = self.graph.op(name)
        if isinstance(op, g.Atom):
            return name.rpartition("#")[0]
        if isinstance(op, pl.Weights):
            return name.removesuffix(".weights")
        inner = isinstance(op, (g.Sum, g.Constant)) or (self.graph.inputs(name) and not _is_function(op))
        return "" if inner or any(mark in name for mark in INNER) else name

    def _source(self, name: str) -> str:
        """The object that a node comes from: the first one, where there are several."""
        seen = {name}
        while True:
            ports = self.graph.input_ports(name)
            if not ports:
                return ""
            first = {port: source for source, port in reversed(ports)}
            name = resolved(self.graph, first.get("x") or first.get("pre.0") or ports[0][0])
            if (own := self._object(name)) or name in seen:
                return own
            seen.add(name)

    def _learning(self, name: str) -> str:
        """The connection that a node is of: the product of its weights, or its synapse or delay."""
        seen: set[str] = set()
        while isinstance(self.graph.op(name), (g.Filter, g.Delay)) and name not in seen:
            seen.add(name)
            name = resolved(self.graph, self.graph.inputs(name)[0])
        if not isinstance(self.graph.op(name), pl.Learned):
            return ""
        return self._object(self.graph.inputs(name, "weights")[0])

    def _between(self, name: str, target: str) -> str:
        """A name by both ends, or by the connection that learns, and the kind of operator; with a number
        where it is taken.
        """
        op = self.graph.op(name)
        ending = ENDINGS.get(type(op), type(op).__name__.lower())
        base = self._learning(name) or f"{self._source(name)}->{target}"
        name = f"{base}.{ending}"
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return f"{base}#{count}.{ending}" if count > 1 else name
