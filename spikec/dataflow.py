"""Operators on nodes, signals on edges: the dataflow graph on networkx, for operators of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, TypeAlias

from spikec.errors import InvalidGraph, Span
from spikec.records import dataclass

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


# Where an edge comes among those into a node: several that stand for the one at 3 are at (3, 0), (3, 1).
Place: TypeAlias = int | tuple[int, ...]


def _order(edge: tuple[Place, str, str]) -> tuple[int, ...]:
    place = edge[0]
    return place if isinstance(place, tuple) else (place,)


class _Links(dict[str, Any]):
    """Neighbours of a node, of the graph with that token: copies of a graph share them until one changes."""

    __slots__ = ("token",)

    def __init__(self, token: object, *known: dict[str, Any]) -> None:
        super().__init__(*known)
        self.token = token


class Graph:
    """A multigraph of operators: `op` on every node, `port` and `signal` on every edge.

    Node names are paths of the model and sort deterministically.  `nx` gives it to the algorithms of
    networkx; but passes over 200,000 operators go through here, so this class keeps tables of its own:
    networkx needs five dictionaries for each edge, and several times as long to read and change them.
    """

    def __init__(
        self, name: str, dt: float, seed: int, sources: dict[str, str] | None = None, memory: float = 0.0
    ) -> None:
        """`sources`: texts of the files that it comes from, for errors found later than by the checker.
        `memory`: bytes that compiling it takes at the peak, about, where the front end knows.
        """
        self.name, self.dt, self.seed = name, dt, seed
        self.sources, self.memory = sources or {}, memory
        self._ops: dict[str, Operator] = {}
        # {reader: {source: (place, port, place, port, ...)}}, two for each edge, and {source: {reader: None}}
        self._into: dict[str, _Links] = {}
        self._from: dict[str, _Links] = {}
        self._token = object()
        # What `input_ports` answered, until the inputs change: every pass asks several times.
        self._ports: dict[str, tuple[tuple[str, str], ...]] = {}
        self._edges = 0
        # What `order` found, until edges or nodes change.
        self._order: list[str] | None = None
        # Nodes whose operator or inputs are other than when `verify` saw them last; whether inputs are.
        self.changed: set[str] = set()
        self.rewired = False

    @property
    def nx(self) -> networkx.MultiDiGraph:
        """This graph for the algorithms of networkx, as it is now."""
        import networkx

        made = networkx.MultiDiGraph(name=self.name)
        made.add_nodes_from((name, {"op": op}) for name, op in self._ops.items())
        for name in self._ops:
            for source, port in self.input_ports(name):
                op = self.op(source)
                made.add_edge(source, name, port=port, signal=Signal(source, op.size, op.delay))
        return made

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
        self._into[name], self._from[name] = _Links(self._token), _Links(self._token)
        self._order = None
        self.changed.add(name)
        return name

    def _links(self, table: dict[str, _Links], name: str) -> _Links:
        """The neighbours of a node in a table, to be changed."""
        links = table[name]
        if links.token is not self._token:
            links = table[name] = _Links(self._token, links)
        return links

    def connect(self, source: str, target: str, port: str = "x", place: Place | None = None) -> None:
        """Connect two nodes.  `place`: that of an edge which this one stands for; else after all others.

        Terms of a sum are added in the order of their places, so that what passes put in the place of
        something else is rounded as that would have been.
        """
        self._edges += 1
        into = self._links(self._into, target)
        into[source] = (*into.get(source, ()), self._edges if place is None else place, port)
        self._links(self._from, source)[target] = None
        self.rewired = True
        self._inputs_changed(target)

    def disconnect(self, source: str, target: str) -> None:
        """Remove all edges from `source` to `target`."""
        del self._links(self._into, target)[source], self._links(self._from, source)[target]
        self._inputs_changed(target)

    def _inputs_changed(self, name: str) -> None:
        self.changed.add(name)
        self._ports.pop(name, None)
        self._order = None

    def op(self, name: str) -> Any:
        """The operator on a node: an `Operator`, of a kind that the caller knows or asks."""
        return self._ops[name]

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
        if op.delay != old.delay:
            self._order = None
        self._ops[name] = op
        self.changed.add(name)

    def remove(self, name: str) -> None:
        for source in self._into.pop(name):
            del self._links(self._from, source)[name]
        for target in self._from.pop(name):
            if target != name:
                del self._links(self._into, target)[name]
                self._inputs_changed(target)
        self.changed.discard(name)
        self._ports.pop(name, None)
        self._order = None
        del self._ops[name]

    def nodes(
        self, kind: type[Operator] | tuple[type[Operator], ...] = Operator
    ) -> Iterator[tuple[str, Any]]:
        """(name, operator) of every node of a kind, in the order in which they were added."""
        return ((name, op) for name, op in self._ops.items() if isinstance(op, kind))

    def inputs(self, name: str, port: str | None = None) -> list[str]:
        """Sources of the edges into `name` (on `port`), in the order of their places."""
        return [source for source, p in self.input_ports(name) if port is None or p == port]

    def input_ports(self, name: str) -> tuple[tuple[str, str], ...]:
        """(source, port) of every edge into `name`, in the order of their places."""
        known = self._ports.get(name)
        if known is None:
            into = self._into[name].items()
            found = [(place, source, port) for source, edges in into for place, port in _pairs(edges)]
            if len(found) > 1:
                found.sort(key=_order)
            known = tuple([(source, port) for _, source, port in found])
            self._ports[name] = known
        return known

    def readers(self, name: str) -> list[tuple[str, str]]:
        """(reader, port) of every edge out of `name`."""
        return [(target, port) for target in self._from[name] for port in self._into[target][name][1::2]]

    def ends(self, name: str) -> list[tuple[str, str, Place]]:
        """(reader, port, place) of every edge out of `name`: `connect` puts another node in its place."""
        out = self._from[name]
        return [(target, port, place) for target in out for place, port in _pairs(self._into[target][name])]

    def copy(self) -> Graph:
        """A graph with the same operators, which are frozen and shared; it can be changed by itself."""
        made = Graph(self.name, self.dt, self.seed, self.sources, self.memory)
        made._ops, made._into, made._from = self._ops.copy(), self._into.copy(), self._from.copy()
        made._ports, made.changed = self._ports.copy(), self.changed.copy()
        made._edges, made._order, made.rewired = self._edges, self._order, self.rewired
        self._token = object()  # neither may change what both have now
        return made

    def order(self) -> list[str]:
        """Names in an order that puts undelayed inputs before their readers; of several that may come next,
        the one added first.  Raises `InvalidGraph` where there is a cycle without delay.
        """
        if self._order is None:
            self._order = self._sorted()
        if len(self._order) < len(self):
            raise InvalidGraph("a cycle without delay")
        return self._order.copy()

    def is_acyclic(self) -> bool:
        """Whether every cycle holds a step of delay."""
        if self._order is None:
            self._order = self._sorted()
        return len(self._order) == len(self)

    def _sorted(self) -> list[str]:
        """Names in order; those in and after a cycle without delay are left out."""
        names = list(self._ops)
        place = {name: k for k, name in enumerate(names)}
        delayed = {name for name, op in self._ops.items() if op.delay}
        waiting = {name: sum(s not in delayed for s in into) for name, into in self._into.items()}
        heap = [place[name] for name, count in waiting.items() if not count]
        heapify(heap)
        made = []
        while heap:
            name = names[heappop(heap)]
            made.append(name)
            for reader in () if name in delayed else self._from[name]:
                waiting[reader] -= 1
                if not waiting[reader]:
                    heappush(heap, place[reader])
        return made

    def undelayed(self) -> networkx.DiGraph:
        """The edges whose value is read in the step that sets it; acyclic in a valid graph."""
        import networkx

        view = networkx.DiGraph()
        view.add_nodes_from(self._ops)
        view.add_edges_from((s, t) for s, op in self._ops.items() if not op.delay for t in self._from[s])
        return view


def _pairs(edges: tuple[Any, ...]) -> Iterator[tuple[Place, str]]:
    """(place, port) of every edge between two nodes."""
    return zip(edges[::2], edges[1::2], strict=True)
