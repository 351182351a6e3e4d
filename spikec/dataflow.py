"""Operators on nodes, signals on edges: the tables of the dataflow graph, for operators of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, TypeAlias

from spikec.errors import InvalidGraph, Span

if TYPE_CHECKING:
    import networkx


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


# Neighbours of a node, in the order in which they were first connected, with the ports of the edges to each.
Neighbours: TypeAlias = dict[str, tuple[str, ...]]


@dataclass
class Graph:
    """A directed multigraph of operators.  Node names are paths of the model and sort deterministically.

    Passes over 200,000 operators go through here, so the graph is three plain tables; `nx` is the same for
    the algorithms of networkx, which takes longer to import than a small model to compile.
    """

    name: str
    dt: float
    seed: int
    # Texts of the files that it comes from, for errors that are found later than by the checker.
    sources: dict[str, str] = field(default_factory=dict)
    # Bytes that compiling it takes at the peak, about, where the front end knows.
    memory: float = 0.0
    _ops: dict[str, Operator] = field(default_factory=dict, repr=False)
    _into: dict[str, Neighbours] = field(default_factory=dict, repr=False)
    _from: dict[str, Neighbours] = field(default_factory=dict, repr=False)

    def __contains__(self, name: str) -> bool:
        return name in self._ops

    def __iter__(self) -> Iterator[str]:
        return iter(self._ops)

    def __len__(self) -> int:
        return len(self._ops)

    def add(self, name: str, op: Operator) -> str:
        if name in self._ops:
            raise InvalidGraph(f"two operators are named {name!r}")
        self._ops[name] = op
        self._into[name], self._from[name] = {}, {}
        return name

    def connect(self, source: str, target: str, port: str = "x") -> None:
        ports = (*self._into[target].get(source, ()), port)
        self._into[target][source] = self._from[source][target] = ports

    def disconnect(self, source: str, target: str) -> None:
        """Remove all edges from `source` to `target`."""
        del self._into[target][source], self._from[source][target]

    def op(self, name: str) -> Any:
        """The operator on a node: an `Operator`, of a kind that the caller knows or asks."""
        return self._ops[name]

    def replace(self, name: str, op: Operator) -> None:
        """Give node `name` another operator; raises `InvalidGraph` where its signal has another size."""
        if op.size != self._ops[name].size:
            raise InvalidGraph(f"{name} sets {self._ops[name].size} numbers, what replaces it {op.size}")
        self._ops[name] = op

    def remove(self, name: str) -> None:
        for source in self._into.pop(name):
            self._from[source].pop(name, None)
        for target in self._from.pop(name):
            self._into[target].pop(name, None)
        del self._ops[name]

    def nodes(
        self, kind: type[Operator] | tuple[type[Operator], ...] = Operator
    ) -> Iterator[tuple[str, Any]]:
        """(name, operator) of every node of a kind, in the order in which they were added."""
        return ((name, op) for name, op in self._ops.items() if isinstance(op, kind))

    def inputs(self, name: str, port: str | None = None) -> list[str]:
        """Sources of the edges into `name` (on `port`), in the order in which they were connected."""
        into = self._into[name].items()
        return [source for source, ports in into for p in ports if port is None or p == port]

    def input_ports(self, name: str) -> list[tuple[str, str]]:
        """(source, port) of every edge into `name`, in the order in which they were connected."""
        return [(source, port) for source, ports in self._into[name].items() for port in ports]

    def readers(self, name: str) -> list[tuple[str, str]]:
        """(reader, port) of every edge out of `name`."""
        return [(target, port) for target, ports in self._from[name].items() for port in ports]

    def copy(self) -> Graph:
        """A graph with the same operators, which are frozen and shared; it can be changed by itself."""
        into, out = ({n: t.copy() for n, t in table.items()} for table in (self._into, self._from))
        return Graph(self.name, self.dt, self.seed, self.sources, self.memory, self._ops.copy(), into, out)

    def order(self) -> list[str]:
        """Names in an order that puts undelayed inputs before their readers; of several that may come next,
        the one added first (Kahn 1962).  What is on or behind a cycle without delay is missing.
        """
        names = list(self._ops)
        place = {name: k for k, name in enumerate(names)}
        waiting = dict.fromkeys(names, 0)
        for name, op in self._ops.items():
            if not op.delay:
                for target in self._from[name]:
                    waiting[target] += 1
        ready = [place[name] for name, count in waiting.items() if not count]
        found = []
        while ready:
            name = names[heappop(ready)]
            found.append(name)
            for target in () if self._ops[name].delay else self._from[name]:
                waiting[target] -= 1
                if not waiting[target]:
                    heappush(ready, place[target])
        return found

    @property
    def nx(self) -> networkx.MultiDiGraph:
        """A networkx multigraph of this moment: `op` on the nodes, `port` and `signal` on the edges."""
        import networkx

        made = networkx.MultiDiGraph()
        made.add_nodes_from((name, {"op": op}) for name, op in self._ops.items())
        for name, op in self._ops.items():
            signal = Signal(name, op.size, op.delay)
            for target, port in self.readers(name):
                made.add_edge(name, target, port=port, signal=signal)
        return networkx.freeze(made)

    def undelayed(self) -> networkx.DiGraph:
        """The edges whose value is read in the step that sets it, for networkx; acyclic in a valid graph."""
        import networkx

        view = networkx.DiGraph()
        view.add_nodes_from(self._ops)
        view.add_edges_from((s, t) for s, op in self._ops.items() if not op.delay for t in self._from[s])
        return view
