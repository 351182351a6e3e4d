"""Nengo's neuron types as ours, where both compute the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
from nengo.builder import Model
from nengo.builder.neurons import SimNeurons

from spikec.nef import neurons as nt
from spikec.nef.converted import Converted, PoissonSpiking, RegularSpiking, StochasticSpiking
from spikec.nef.izhikevich import Izhikevich
from spikec.nengo.noise import stream_of

# What is longer than this in s is never over.
LONGEST = 1e9


def _rest(neurons: Any) -> float:
    """A refractory time that may be infinite, as one that can be counted in steps."""
    return float(min(neurons.tau_ref, LONGEST))


TYPES: dict[type, Callable[[Any], nt.NeuronType]] = {
    nengo.LIF: lambda n: nt.LIF(
        tau_rc=n.tau_rc, tau_ref=_rest(n), amplitude=n.amplitude, min_voltage=n.min_voltage
    ),
    nengo.LIFRate: lambda n: nt.LIFRate(tau_rc=n.tau_rc, tau_ref=n.tau_ref, amplitude=n.amplitude),
    nengo.AdaptiveLIF: lambda n: nt.AdaptiveLIF(
        tau_rc=n.tau_rc,
        tau_ref=_rest(n),
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


# Types that turn the rates of another into spikes: Nengo makes two operators of such neurons.
AROUND: dict[type, type[Converted]] = {
    nengo.RegularSpiking: RegularSpiking,
    nengo.StochasticSpiking: StochasticSpiking,
    nengo.PoissonSpiking: PoissonSpiking,
}


# What a subclass may define and still compute the same step: how it is made, and what the builder alone asks.
BUILT = {"__init__", "gain_bias", "max_rates_intercepts", "rates", "__module__", "__doc__"}


def own_type(neurons: Any) -> type | None:
    """The type of Nengo's own that computes a step of neurons: theirs, or one of which theirs is a subclass
    that replaces nothing that a step uses, nor do the neurons themselves; None where there is none.
    """
    order = type(neurons).__mro__
    if any(callable(getattr(order[0], name, None)) for name in vars(neurons).keys() - BUILT):
        return None
    for k, found in enumerate(order):
        if found in TYPES or found in AROUND:
            return found
        changed = vars(found).keys() - BUILT
        if any(hasattr(other, name) for name in changed for other in order[k + 1 :]):
            return None
    return None


def around(op: SimNeurons, rates: SimNeurons, model: Model) -> Converted | None:
    """Our type of neurons that send spikes of the rates that another operator sets, or None."""
    base, kind = neuron_type(rates), AROUND.get(own_type(op.neurons) or object)
    if kind is None or base is None or base.spiking or type(op.neurons.base_type) is not type(rates.neurons):
        return None
    if set(op.state) != set(kind.own_state) or op.J.ndim != 1 or op.output.shape != op.J.shape:
        return None
    stream = None
    if op.state_extra:
        owner = next((obj for obj, s in model.sig.items() if s.get("rate_out") is op.J), None)
        stream = stream_of(op, getattr(owner, "ensemble", None), model.seeds)
    if (kind is RegularSpiking) != (stream is None):
        return None
    return kind(base=base, amplitude=op.neurons.amplitude, stream=stream)


def neuron_type(op: SimNeurons) -> nt.NeuronType | None:
    """Our neuron type of an operator, or None where it is another's type."""
    make = TYPES.get(own_type(op.neurons) or object)
    if make is None or op.state_extra or np.isinf(getattr(op.neurons, "amplitude", 0.0)):
        return None
    ours = make(op.neurons)
    if set(op.state) != set(ours.state) or op.J.ndim != 1 or op.output.shape != op.J.shape:
        return None
    return ours
