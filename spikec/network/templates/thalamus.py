"""Thalamus: near 1 for the action that the basal ganglia choose, 0 for all others."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikec.network.network import Network
from spikec.network.subnetwork import SubNetwork


def make(
    net: Network | SubNetwork,
    name: str = "Thalamus",
    neurons: int = 50,
    dimensions: int = 2,
    inhib_scale: float = 3,
    tau_inhib: float = 0.005,
    **description: Any,
) -> SubNetwork:
    """Make a subnetwork whose "output" is 1 where its "input" is 0, and 0 where that is large.

    dimensions: how many actions.  neurons: of each.  inhib_scale: how strongly the input silences the neurons
    of its action.  tau_inhib: its time constant (s).  More arguments are those of `Network.make`.
    """
    part = net.make_subnetwork(name)
    part.make("input", neurons=1, dimensions=dimensions, mode="direct")
    part.make("output", neurons=1, dimensions=dimensions, mode="direct")
    part.make(
        "Thalamus", neurons, 1, array_size=dimensions, max_rate=(100, 300), intercept=(-1, 0),
        encoders=[[1]], **description,
    )  # fmt: skip
    inhibition = -inhib_scale * np.repeat(np.eye(dimensions), neurons, axis=0)
    part.connect_neurons("input", "Thalamus", weight_matrix=inhibition, pstc=tau_inhib)
    part.connect("Thalamus", "output", func=addOne)
    return part


def addOne(x: Any) -> Any:  # noqa: N802 - the name of the origin
    """Silent neurons represent -1, which is to be 0."""
    return x[0] + 1
