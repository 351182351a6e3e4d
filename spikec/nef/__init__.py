"""Populations of neurons that represent vectors; and `Network`, the interface of the first Spike.

    from spikec import nef

    net = nef.Network("communication", seed=1)
    net.make_input("in", 0.5)
    net.make("A", neurons=100, dimensions=1)
    net.connect("in", "A")
    probe = net.make_probe("A")
    net.run(1.0)
    probe.get_data()

The names below are loaded when they are first used: the compiler needs the rest of this package only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikec.network import convolution, simplenode, templates
    from spikec.network.mistakes import NetworkError
    from spikec.network.network import Network
    from spikec.network.simplenode import SimpleNode

__all__ = ["Network", "NetworkError", "SimpleNode", "convolution", "simplenode", "templates"]

_HOMES = {
    "Network": "spikec.network.network",
    "NetworkError": "spikec.network.mistakes",
    "SimpleNode": "spikec.network.simplenode",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in __all__:
        return import_module(f"spikec.network.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
