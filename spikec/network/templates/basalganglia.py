"""Basal ganglia: choose the largest of several values (Gurney, Prescott and Redgrave 2001)."""

from __future__ import annotations

from typing import Any

from spikec.network.network import Network
from spikec.network.subnetwork import SubNetwork

# Thresholds of striatum, subthalamic nucleus, external and internal globus pallidus; dopamine; weights.
STRIATUM, SUBTHALAMIC, EXTERNAL, INTERNAL = 0.2, -0.25, -0.2, -0.2
DOPAMINE = 0.2
SPREAD, CROSSING = 0.9, 0.3


def make(
    net: Network | SubNetwork,
    name: str = "Basal Ganglia",
    dimensions: int = 1,
    neurons: int = 100,
    tau_ampa: float = 0.002,
    tau_gaba: float = 0.008,
    output_weight: float = 1,
    radius: float = 1.5,
    **description: Any,
) -> SubNetwork:
    """Make a subnetwork whose "output" is near 0 for the largest component of its "input", and larger for
    all others, times `output_weight`.

    dimensions: how many values.  neurons: of each population.  tau_ampa, tau_gaba: time constants of
    excitation and inhibition (s).  More arguments are those of `Network.make`.
    """
    part = net.make_subnetwork(name)
    part.make("input", neurons=1, dimensions=dimensions, mode="direct")
    part.make("output", neurons=1, dimensions=dimensions, mode="direct")
    thresholds = {
        "StrD1": STRIATUM,
        "StrD2": STRIATUM,
        "STN": SUBTHALAMIC,
        "GPi": INTERNAL,
        "GPe": EXTERNAL,
    }
    for nucleus, threshold in thresholds.items():
        part.make(
            nucleus, neurons, 1, array_size=dimensions, intercept=(threshold, 1), encoders=[[1]],
            radius=radius, **description,
        )  # fmt: skip
    part.connect("input", "StrD1", weight=1 + DOPAMINE, pstc=tau_ampa)
    part.connect("input", "StrD2", weight=1 - DOPAMINE, pstc=tau_ampa)
    part.connect("input", "STN", pstc=tau_ampa)
    # Inhibition keeps to its action, excitation spreads to all.
    everywhere = [[SPREAD] * dimensions for _ in range(dimensions)]
    part.connect("StrD1", "GPi", func=func_str, weight=-1, pstc=tau_gaba)
    part.connect("StrD2", "GPe", func=func_str, weight=-1, pstc=tau_gaba)
    part.connect("STN", "GPi", func=func_stn, transform=everywhere, pstc=tau_ampa)
    part.connect("STN", "GPe", func=func_stn, transform=everywhere, pstc=tau_ampa)
    part.connect("GPe", "GPi", func=func_gpe, weight=-CROSSING, pstc=tau_gaba)
    part.connect("GPe", "STN", func=func_gpe, weight=-1, pstc=tau_gaba)
    part.connect("GPi", "output", func=func_gpi, weight=output_weight, pstc=tau_gaba)
    return part


make_basal_ganglia = make


def func_str(x: Any) -> Any:
    """What the striatum sends."""
    return 0.0 if x[0] < STRIATUM else x[0] - STRIATUM


def func_stn(x: Any) -> Any:
    """What the subthalamic nucleus sends."""
    return 0.0 if x[0] < SUBTHALAMIC else x[0] - SUBTHALAMIC


def func_gpe(x: Any) -> Any:
    """What the external globus pallidus sends."""
    return 0.0 if x[0] < EXTERNAL else x[0] - EXTERNAL


def func_gpi(x: Any) -> Any:
    """What the internal globus pallidus sends."""
    return 0.0 if x[0] < INTERNAL else x[0] - INTERNAL
