"""The graph under construction: what would compute the same of the same signal is one node from the start.

The pass `share` merges what is equal in any graph.  By this one a model of very many connections never has
nodes for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from spikec.graph import Graph, Operator


class Nodes:
    """Operators and nodes that were made for connections and probes of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._operators: dict[Hashable, Operator] = {}
        self._made: dict[tuple[str, Operator], str] = {}

    def operator(self, what: Hashable, make: Callable[[], Operator]) -> Operator:
        """What `make` gives, or gave before for something equal.

        What holds an array cannot be looked up: it is made anew, and `share` compares it.
        """
        try:
            known = self._operators.get(what)
        except TypeError:
            return make()
        if known is None:
            known = self._operators[what] = make()
        return known

    def after(self, source: str, name: str, op: Operator, port: str = "x") -> str:
        """The node that applies `op` to what `source` gives: a new one under `name` where there is none."""
        known = self._made.get((source, op))
        if known is None:
            known = self._made[source, op] = self.graph.add(name, op)
            self.graph.connect(source, name, port)
        return known
