"""Operators on nodes, signals on edges: the dataflow graph on networkx, for operators of any kind."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from spikec import edges
from spikec.edges import Edges, Names, Place
from spikec.errors import Diagnostic, InvalidGraph, Span
from spikec.records import dataclass

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
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


class _Node:
    """An operator and its edges, of the graph with that token: copies of it share the node until one changes.

    There are some six for an ensemble of a model, so that what one takes counts.
    """

    __slots__ = ("into", "op", "readers", "token")

    def __init__(self, op: Operator, into: Edges, readers: Names, token: object) -> None:
        self.op, self.into, self.readers, self.token = op, into, readers, token


class Graph:
    """A multigraph of operators: `op` on every node, `port` and `signal` on every edge.

    Node names are paths of the model and sort deterministically.  `nx` gives it to the algorithms of
    networkx; but passes over 200,000 operators go through here, so this class keeps tables of its own:
    networkx needs five dictionaries for each edge, and several times as long to read and change them.
    """

    def __init__(
        self,
        name: str,
        dt: float,
        seed: int,
        sources: dict[str, str] | None = None,
        memory: float = 0.0,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        """`sources`: texts of the files that it comes from, for errors found later than by the checker.
        `memory`: bytes that compiling it takes at the peak, about, where the front end knows.
        `parameters`: what was given for parameters of the model, as text, for the manifest.

        `warnings`, set by the front end: what its user may not have meant; passes do not hand it on.
        """
        self.name, self.dt, self.seed = name, dt, seed
        self.sources, self.memory, self.parameters = sources or {}, memory, parameters or {}
        self.warnings: tuple[Diagnostic, ...] = ()
        self._nodes: dict[str, _Node] = {}
        # The graphs whose table that is: it is copied before it is changed where it is others' too.
        self._users = WeakSet([self])
        self._shared = False  # whether it may be
        self._token = object()
        # What `input_ports` answered for nodes with many inputs, until these change.
        self._ports: dict[str, tuple[tuple[str, str], ...]] = {}
        # The types of all operators that there are or were: most kinds that are asked for are none of these.
        self._kinds: set[type[Operator]] = set()
        self._edges = 0
        # What `order` found, until edges or nodes change.
        self._order: tuple[str, ...] | None = None
        # Nodes whose operator or inputs are other than when `verify` saw them last; whether inputs are.
        self.changed: set[str] = set()
        self.rewired = False
        # Nodes that were merged into equal ones: the name of each of these.
        self.merged: dict[str, str] = {}

    @property
    def nx(self) -> networkx.MultiDiGraph:
        """This graph for the algorithms of networkx, as it is now."""
        import networkx

        made = networkx.MultiDiGraph(name=self.name)
        made.add_nodes_from((name, {"op": op}) for name, op in self.nodes())
        for name in self:
            for source, port in self.input_ports(name):
                op = self.op(source)
                made.add_edge(source, name, port=port, signal=Signal(source, op.size, op.delay))
        return made

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def add(self, name: str, op: Operator) -> str:
        if name in self._nodes:
            raise InvalidGraph(f"two operators are named {name!r}")
        self._own_nodes()[name] = _Node(op, (), (), self._token)
        self._kinds.add(type(op))
        self._order = None
        self.changed.add(name)
        return name

    def _own_nodes(self) -> dict[str, _Node]:
        """The table of nodes, to be changed."""
        if self._shared:
            self._shared = False
            if len(self._users) > 1:
                self._users.discard(self)
                self._nodes, self._users = self._nodes.copy(), WeakSet([self])
        return self._nodes

    def _own(self, name: str) -> _Node:
        """A node, to be changed."""
        node = self._nodes[name]
        if node.token is not self._token:
            node = self._own_nodes()[name] = _Node(
                node.op,
                node.into.copy() if isinstance(node.into, dict) else node.into,
                node.readers.copy() if isinstance(node.readers, dict) else node.readers,
                self._token,
            )
        return node

    def connect(self, source: str, target: str, port: str = "x", place: Place | None = None) -> None:
        """Connect two nodes.  `place`: that of an edge which this one stands for; else after all others.

        Terms of a sum are added in the order of their places, so that what passes put in the place of
        something else is rounded as that would have been.
        """
        self._edges += 1
        into, out = self._own(target), self._own(source)
        place = edges.following(into.into, self._edges) if place is None else place
        into.into = edges.joined(into.into, source, place, port)
        out.readers = edges.including(out.readers, target)
        self.rewired = True
        self._inputs_changed(target)

    def disconnect(self, source: str, target: str) -> None:
        """Remove all edges from `source` to `target`."""
        into, out = self._own(target), self._own(source)
        into.into, out.readers = edges.cut(into.into, source), edges.excluding(out.readers, target)
        self._inputs_changed(target)

    def _inputs_changed(self, name: str) -> None:
        self.changed.add(name)
        self._ports.pop(name, None)
        self._order = None

    def op(self, name: str) -> Any:
        """The operator on a node: an `Operator`, of a kind that the caller knows or asks."""
        return self._nodes[name].op

    def size(self, name: str) -> int:
        """How many numbers a node sets."""
        return self._nodes[name].op.size

    def replace(self, name: str, op: Operator) -> None:
        """Give node `name` another operator; raises `InvalidGraph` where its signal has another size or delay
        than its readers know.
        """
        old = self.op(name)
        if (op.size, op.delay) != (old.size, old.delay) and self._nodes[name].readers:
            new = f"{op.size} after {op.delay} steps"
            raise InvalidGraph(
                f"{name} sets {old.size} numbers after {old.delay} steps, what replaces it {new}"
            )
        if op.delay != old.delay:
            self._order = None
        self._own(name).op = op
        self._kinds.add(type(op))
        self.changed.add(name)

    def remove(self, name: str) -> None:
        node = self._own_nodes().pop(name)
        for source in edges.sources(node.into):
            if source != name:
                out = self._own(source)
                out.readers = edges.excluding(out.readers, name)
        for target in edges.each(node.readers):
            if target != name:
                reader = self._own(target)
                reader.into = edges.cut(reader.into, name)
                self._inputs_changed(target)
        self.changed.discard(name)
        self._ports.pop(name, None)
        self._order = None

    def nodes(
        self, kind: type[Operator] | tuple[type[Operator], ...] = Operator
    ) -> Iterator[tuple[str, Any]]:
        """(name, operator) of every node of a kind, in the order in which they were added."""
        if kind is Operator:
            return ((name, node.op) for name, node in self._nodes.items())
        kinds = {there for there in self._kinds if issubclass(there, kind)}
        nodes = self._nodes.items() if kinds else ()
        return ((name, node.op) for name, node in nodes if type(node.op) in kinds)

    def inputs(self, name: str, port: str | None = None) -> list[str]:
        """Sources of the edges into `name` (on `port`), in the order of their places."""
        into = self._nodes[name].into
        if port is None and type(into) is str:  # most often
            return [into]
        if port is None and type(into) is tuple:
            return list(into[::3])
        return [source for source, p in self.input_ports(name) if port is None or p == port]

    def input_ports(self, name: str) -> tuple[tuple[str, str], ...]:
        """(source, port) of every edge into `name`, in the order of their places."""
        into = self._nodes[name].into
        if not isinstance(into, dict):
            return edges.ports(into)
        known = self._ports.get(name)
        if known is None:
            known = self._ports[name] = edges.ports(into)
        return known

    def readers(self, name: str) -> list[tuple[str, str]]:
        """(reader, port) of every edge out of `name`."""
        one = self._nodes[name].readers
        if type(one) is str:  # most often: its one input, or one of a few
            into = self._nodes[one].into
            if type(into) is str:
                return [(one, edges.PLAIN)]
            if type(into) is tuple and len(into) == 3:
                return [(one, into[2])]
        return [(target, port) for target, port, _ in self.ends(name)]

    def ends(self, name: str) -> list[tuple[str, str, Place]]:
        """(reader, port, place) of every edge out of `name`: `connect` puts another node in its place."""
        nodes = self._nodes
        return [
            (target, port, place)
            for target in edges.each(nodes[name].readers)
            for place, port in edges.edges_from(nodes[target].into, name)
        ]

    def copy(self) -> Graph:
        """A graph with the same operators, which are frozen and shared; it can be changed by itself."""
        made = Graph(self.name, self.dt, self.seed, self.sources, self.memory, self.parameters)
        made._nodes, made._ports, made.changed = self._nodes, self._ports.copy(), self.changed.copy()
        made._edges, made._order, made.rewired = self._edges, self._order, self.rewired
        made.merged, made._kinds = self.merged.copy(), self._kinds.copy()
        self._token = object()  # neither may change what both have now
        self._shared = made._shared = True
        made._users = self._users
        made._users.add(made)
        return made

    def moved(self) -> Graph:
        """A copy for who needs this graph no more: it is empty then, so that what is dropped goes."""
        made = self.copy()
        self._users.discard(self)
        self._nodes, self._users, self._shared = {}, WeakSet([self]), False
        self._ports, self.changed, self._order = {}, set(), None
        return made

    def order(self) -> tuple[str, ...]:
        """Names in an order that puts undelayed inputs before their readers; of several that may come next,
        the one added first.  Raises `InvalidGraph` where there is a cycle without delay.
        """
        if self._order is None:
            self._order = self._sorted()
        if len(self._order) < len(self):
            raise InvalidGraph("a cycle without delay")
        return self._order

    def is_acyclic(self) -> bool:
        """Whether every cycle holds a step of delay."""
        if self._order is None:
            self._order = self._sorted()
        return len(self._order) == len(self)

    def _sorted(self) -> tuple[str, ...]:
        """Names in order; those in and after a cycle without delay are left out."""
        names, nodes = list(self._nodes), self._nodes
        place = {name: k for k, name in enumerate(names)}
        # Arrays, for there may be a million nodes.
        delayed = bytearray(node.op.delay > 0 for node in nodes.values())
        before = (sum(not delayed[place[s]] for s in edges.sources(node.into)) for node in nodes.values())
        waiting = array("l", before)
        heap = [k for k, count in enumerate(waiting) if not count]
        made = array("l")
        while heap:
            k = heappop(heap)
            made.append(k)
            for reader in () if delayed[k] else edges.each(nodes[names[k]].readers):
                waiting[place[reader]] -= 1
                if not waiting[place[reader]]:
                    heappush(heap, place[reader])
        del place, waiting
        return tuple([names[k] for k in made])

    def undelayed(self) -> networkx.DiGraph:
        """The edges whose value is read in the step that sets it; acyclic in a valid graph."""
        import networkx

        view = networkx.DiGraph()
        view.add_nodes_from(self._nodes)
        view.add_edges_from(
            (name, reader)
            for name, node in self._nodes.items()
            if not node.op.delay
            for reader in edges.each(node.readers)
        )
        return view
