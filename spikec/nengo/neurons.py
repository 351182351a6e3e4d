"""Nengo's neuron types as ours, where both compute the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
from nengo.builder.neurons import SimNeurons

from spikec.nef import neurons as nt
from spikec.nef.izhikevich import Izhikevich

TYPES: dict[type, Callable[[Any], nt.NeuronType]] = {
    nengo.LIF: lambda n: nt.LIF(
        tau_rc=n.tau_rc, tau_ref=n.tau_ref, amplitude=n.amplitude, min_voltage=n.min_voltage
    ),
    nengo.LIFRate: lambda n: nt.LIFRate(tau_rc=n.tau_rc, tau_ref=n.tau_ref, amplitude=n.amplitude),
    nengo.AdaptiveLIF: lambda n: nt.AdaptiveLIF(
        tau_rc=n.tau_rc,
        tau_ref=n.tau_ref,
        amplitude=n.amplitude,
        min_voltage=n.min_voltage,
        tau_n=n.tau_n,
        inc_n=n.inc_n,
    ),
    nengo.AdaptiveLIFRate: lambda n: nt.AdaptiveLIFRate(
        tau_rc=n.tau_rc, tau_ref=n.tau_ref, amplitude=n.amplitude, tau_n=n.tau_n, inc_n=n.inc_n
    ),
    nengo.Izhikevich: lambda n: Izhikevich(
        tau_recovery=n.tau_recovery,
        coupling=n.coupling,
        reset_voltage=n.reset_voltage,
        reset_recovery=n.reset_recovery,
    ),
    nengo.RectifiedLinear: lambda n: nt.RectifiedLinear(amplitude=n.amplitude),
    nengo.SpikingRectifiedLinear: lambda n: nt.SpikingRectifiedLinear(amplitude=n.amplitude),
    nengo.Sigmoid: lambda n: nt.Sigmoid(tau_ref=n.tau_ref),
    nengo.Tanh: lambda n: nt.Tanh(tau_ref=n.tau_ref),
}


def neuron_type(op: SimNeurons) -> nt.NeuronType | None:
    """Our neuron type of an operator, or None where it is another's type."""
    make = TYPES.get(type(op.neurons))
    if make is None or op.state_extra:
        return None
    ours = make(op.neurons)
    if set(op.state) != set(ours.state) or op.J.ndim != 1 or op.output.shape != op.J.shape:
        return None
    return ours
