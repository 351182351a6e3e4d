"""Operators on nodes, signals on edges: the dataflow graph on networkx, for operators of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import networkx as nx

from spikec.errors import InvalidGraph, Span


@dataclass(frozen=True, eq=False, kw_only=True)
class Operator:
    """Base: `size` is the length of the signal it sets, `delay` the least steps from any input to it."""

    size: int
    span: Span | None = None

    @property
    def delay(self) -> int:
        return 0


@dataclass(frozen=True)
class Signal:
    """What an edge carries: the vector that `name` sets, `delay` steps old at the least when it is read."""

    name: str
    size: int
    delay: int
    dtype: str = "float"


# Edges between two nodes, as in networkx: {number: {"port": ..., "signal": ...}}, never changed in place.
Edges: TypeAlias = dict[int, dict[str, Any]]


class Graph:
    """A networkx multigraph of operators: `op` on every node, `port` and `signal` on every edge.

    Node names are paths of the model and sort deterministically.  Passes over 200,000 operators go through
    here, so this class reads and copies networkx's tables themselves: its views and its checks of each edge
    take several times as long.
    """

    def __init__(
        self,
        name: str,
        dt: float,
        seed: int,
        sources: dict[str, str] | None = None,
        memory: float = 0.0,
        store: Any = None,
    ) -> None:
        """`sources`: texts of the files that it comes from, for errors found later than by the checker.
        `memory`: bytes that compiling it takes at the peak, about, where the front end knows.
        """
        self.name, self.dt, self.seed = name, dt, seed
        self.sources, self.memory = sources or {}, memory
        self.nx: nx.MultiDiGraph = nx.MultiDiGraph() if store is None else store
        self._ops: dict[str, dict[str, Any]] = self.nx._node
        self._into: dict[str, dict[str, Edges]] = self.nx._pred
        self._from: dict[str, dict[str, Edges]] = self.nx._succ

    def __contains__(self, name: str) -> bool:
        return name in self._ops

    def __iter__(self) -> Iterator[str]:
        return iter(self._ops)

    def __len__(self) -> int:
        return len(self._ops)

    def add(self, name: str, op: Operator) -> str:
        if name in self._ops:
            raise InvalidGraph(f"two operators are named {name!r}")
        self.nx.add_node(name, op=op)
        return name

    def connect(self, source: str, target: str, port: str = "x") -> None:
        op = self.op(source)
        known = self._into[target].get(source, {})
        edges = {**known, len(known): {"port": port, "signal": Signal(source, op.size, op.delay)}}
        self._into[target][source] = self._from[source][target] = edges

    def disconnect(self, source: str, target: str) -> None:
        """Remove all edges from `source` to `target`."""
        del self._into[target][source], self._from[source][target]

    def op(self, name: str) -> Any:
        """The operator on a node: an `Operator`, of a kind that the caller knows or asks."""
        return self._ops[name]["op"]

    def replace(self, name: str, op: Operator) -> None:
        """Give node `name` another operator; raises `InvalidGraph` where its signal has another size or delay
        than its readers know.
        """
        old = self.op(name)
        if (op.size, op.delay) != (old.size, old.delay) and self._from[name]:
            new = f"{op.size} after {op.delay} steps"
            raise InvalidGraph(
                f"{name} sets {old.size} numbers after {old.delay} steps, what replaces it {new}"
            )
        self._ops[name] = {"op": op}

    def remove(self, name: str) -> None:
        self.nx.remove_node(name)

    def nodes(
        self, kind: type[Operator] | tuple[type[Operator], ...] = Operator
    ) -> Iterator[tuple[str, Any]]:
        """(name, operator) of every node of a kind, in the order in which they were added."""
        return ((name, data["op"]) for name, data in self._ops.items() if isinstance(data["op"], kind))

    def inputs(self, name: str, port: str | None = None) -> list[str]:
        """Sources of the edges into `name` (on `port`), in the order in which they were connected."""
        return [source for source, p in self.input_ports(name) if port is None or p == port]

    def input_ports(self, name: str) -> list[tuple[str, str]]:
        """(source, port) of every edge into `name`, in the order in which they were connected."""
        into = self._into[name].items()
        return [(source, edge["port"]) for source, edges in into for edge in edges.values()]

    def readers(self, name: str) -> list[tuple[str, str]]:
        """(reader, port) of every edge out of `name`."""
        out = self._from[name].items()
        return [(target, edge["port"]) for target, edges in out for edge in edges.values()]

    def copy(self) -> Graph:
        """A graph with the same operators, which are frozen and shared; it can be changed by itself."""
        store = nx.MultiDiGraph()
        store._node.update(self._ops)
        store._pred.update((n, t.copy()) for n, t in self._into.items())
        store._succ.update((n, t.copy()) for n, t in self._from.items())
        return Graph(self.name, self.dt, self.seed, self.sources, self.memory, store)

    def order(self) -> list[str]:
        """Names in an order that puts undelayed inputs before their readers; of several that may come next,
        the one added first.  Raises `networkx.NetworkXUnfeasible` where there is a cycle without delay.
        """
        place = {name: k for k, name in enumerate(self._ops)}
        return list(nx.lexicographical_topological_sort(self.undelayed(), key=place.__getitem__))

    def undelayed(self) -> nx.DiGraph:
        """The edges whose value is read in the step that sets it; acyclic in a valid graph."""
        view = nx.DiGraph()
        view.add_nodes_from(self._ops)
        edges = ((s, t) for s, data in self._ops.items() if not data["op"].delay for t in self._from[s])
        view.add_edges_from(edges)
        return view
