"""What tests of `spikec.nef` share."""

from __future__ import annotations

from typing import Any

from spikec import graph as g
from spikec import nef


def simple(**options: Any) -> nef.Network:
    net = nef.Network("simple", seed=1, **options)
    net.make_input("in", [0.5, -0.4])
    net.make("A", 100, 1, array_size=2)
    net.connect("in", "A")
    return net


def population(net: nef.Network, name: str) -> g.Ensemble:
    found = net.get_object(name)
    assert isinstance(found.populations[0], g.Ensemble)
    return found.populations[0]
