"""Nodes and origins of a network by their names."""

from __future__ import annotations

from spikec.language.lower_matrices import Part
from spikec.network import functions
from spikec.network.builder import Builder
from spikec.network.mistakes import mistake, nearest
from spikec.network.nodes import Ensemble, Function, Input, Node, Origin


class Directory:
    """The nodes of a network; every lookup raises `NetworkError` where nothing has the name."""

    def __init__(self, builder: Builder) -> None:
        self.nodes: dict[str, Node] = {}
        self._builder = builder

    def get_object(self, name: str | Node) -> Node | Origin:
        """A node by its name, or an origin by "node:origin"."""
        node, _, origin = name_of(name).partition(":")
        found = self.node(node)
        return self._origin(found, origin) if origin else found

    def get_origin(self, name: str | Node, func: Function | None = None) -> Origin:
        """The origin named, or that of a function of a node, made where there is none."""
        if ":" in name_of(name):
            if func is not None:
                mistake(f"{name_of(name)!r} is an origin, which has its function", "leave func out")
            found = self.get_object(name)
            assert isinstance(found, Origin)
            return found
        node = self.node(name)
        if func is None:
            return self._origin(node, "X")
        if not callable(func):
            mistake(f"func is no function: {func!r}", "give a function of x")
        if not isinstance(node, Ensemble):
            mistake(f"{node.name!r} computes no functions", "give func to connections from ensembles")
        same = [o for o in node.origin.values() if o.func is func]
        if same:
            return same[0]
        wanted, number = getattr(func, "__name__", type(func).__name__), 1
        title = wanted
        while title in node.origin:
            number += 1
            title = f"{wanted}{number}"
        node.origin[title] = functions.of_value(self._builder, node, title, func)
        return node.origin[title]

    def node(self, name: str | Node) -> Node:
        """The node of a name, or of an origin of it."""
        text = name_of(name).partition(":")[0]
        if text not in self.nodes:
            mistake(f"there is no node {text!r}", nearest(text, self.nodes, "nodes"))
        return self.nodes[text]

    def _origin(self, node: Node, name: str) -> Origin:
        if name not in node.origin:
            mistake(f"{node.name!r} has no origin {name!r}", nearest(name, node.origin, "origins"))
        return node.origin[name]

    def targets(self, name: str | Node) -> tuple[Part, ...]:
        """The sums that connections to a node, or to "node:input", end in."""
        node, text = self.node(name), name_of(name).partition(":")[2]
        if text not in node.targets:
            known = [f"{node.name}:{key}" for key in node.targets if key]
            hint = nearest(f"{node.name}:{text}", known, "inputs")
            if isinstance(node, Input):
                hint = "it is an input; connect to an ensemble"
            elif "" in node.targets:
                hint = f"connect to {node.name!r}"
            mistake(f"{name_of(name)!r} is nothing to connect to", hint)
        return node.targets[text]

    def neural(self, name: str | Node) -> Ensemble:
        """An ensemble that has neurons."""
        node = self.node(name)
        if not isinstance(node, Ensemble) or not node.populations:
            mistake(f"{node.name!r} has no neurons", "name an ensemble that is not in direct mode")
        return node


def name_of(node: str | Node) -> str:
    """The name of a node that is given by it, or itself."""
    if isinstance(node, Node):
        return node.name
    if not isinstance(node, str):
        mistake(f"{node!r} is no node", 'give its name, such as "A", "A:square" or "B.A"')
    return node
