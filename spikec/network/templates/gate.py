"""A gate: an ensemble that silences another one while it represents nothing above 0."""

from __future__ import annotations

from typing import Any

from spikec.network.mistakes import mistake
from spikec.network.network import Network
from spikec.network.nodes import Ensemble
from spikec.network.subnetwork import SubNetwork

STRENGTH = 10


def make(
    net: Network | SubNetwork, name: str, gated: str, neurons: int, pstc: float = 0.01, **description: Any
) -> None:
    """Make the ensemble `name`; the closer to 0 or below what it is given, the more it inhibits `gated`.

    neurons: of the gate.  pstc: time constant of its inhibition (s).  More arguments are those of
    `Network.make`.
    """
    target = net.get_object(gated)
    if not isinstance(target, Ensemble) or not target.populations:
        mistake(f"{gated!r} has no neurons to inhibit", "name an ensemble that is not in direct mode")
    net.make(name, neurons, 1, intercept=(-0.7, 0), encoders=[[-1]], **description)
    weights = [[-STRENGTH]] * (target.neurons_num * target.array_size)
    net.connect_neurons(name, gated, weight_matrix=weights, pstc=pstc, func=addOne)


def addOne(x: Any) -> Any:  # noqa: N802 - the name of the origin
    """Silent neurons represent -1 and more, which is to be 0 and more."""
    return x[0] + 1
