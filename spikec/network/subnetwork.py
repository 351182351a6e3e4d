"""`SubNetwork`: a part of a network, whose nodes have names with its own before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikec.network.network import Network
    from spikec.network.nodes import Ensemble, Input, Node, Origin
    from spikec.network.probe import Probe
    from spikec.network.simplenode import SimpleNode


class SubNetwork:
    """A prefix of names: node "b" of the subnetwork "a" is "a.b" outside of it.

    Arguments are those of `Network`.
    """

    def __init__(self, name: str, network: Network) -> None:
        self.name, self.network = name, network

    def _full(self, name: Any) -> Any:
        return f"{self.name}.{name}" if isinstance(name, str) else name

    def make(self, name: str, *args: Any, **kwargs: Any) -> Ensemble:
        """Add an ensemble."""
        return self.network.make(self._full(name), *args, **kwargs)

    def make_array(self, name: str, *args: Any, **kwargs: Any) -> Ensemble:
        """Add an array of ensembles."""
        return self.network.make_array(self._full(name), *args, **kwargs)

    def make_input(self, name: str, *args: Any, **kwargs: Any) -> Input:
        """Add an input."""
        return self.network.make_input(self._full(name), *args, **kwargs)

    def make_probe(self, target: str, *args: Any, **kwargs: Any) -> Probe:
        """Record a node."""
        return self.network.make_probe(self._full(target), *args, **kwargs)

    def make_subnetwork(self, name: str) -> SubNetwork:
        """A part of this part."""
        return SubNetwork(self._full(name), self.network)

    def add(self, node: SimpleNode) -> SimpleNode:
        """Add a `SimpleNode`; its name gets that of the subnetwork before it."""
        node.name = self._full(node.name)
        return self.network.add(node)

    def get_object(self, name: str) -> Node | Origin:
        """A node by its name, or an origin by "node:origin"."""
        return self.network.get_object(self._full(name))

    def connect(self, pre: str, post: str, *args: Any, **kwargs: Any) -> None:
        """Connect two nodes."""
        self.network.connect(self._full(pre), self._full(post), *args, **kwargs)

    def connect_neurons(self, pre: str, post: str, *args: Any, **kwargs: Any) -> None:
        """Connect to neurons."""
        self.network.connect_neurons(self._full(pre), self._full(post), *args, **kwargs)

    def learn(self, pre: str, post: str, error: str, *args: Any, **kwargs: Any) -> None:
        """Connect by weights that learn."""
        self.network.learn(self._full(pre), self._full(post), self._full(error), *args, **kwargs)

    def set_alias(self, alias: str, node: str) -> None:
        """Another name for a node."""
        self.network.set_alias(self._full(alias), self._full(node))
