"""Nodes, ensembles and networks of a random network.  Each function makes one, and gives what others may be
connected to and from, in the order in which it computes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from converted import nengo

from random_networks.draw import Draw

Objects = list[Any]
INPUTS = ("input", "input_a", "input_b", "gate", "reset", "inhibit")


def node(draw: Draw) -> Objects:
    dims = draw.below(4, 1)
    phase = draw.random.rand(dims)
    return [
        draw.made(
            lambda: nengo.Node(lambda t: np.sin(9 * t + phase)),
            lambda: nengo.Node(lambda t: np.where(t % 0.02 < 0.01, phase, -phase)),
            lambda: nengo.Node(draw.normal(dims, scale=0.5)),
            lambda: nengo.Node(draw.process(dims), size_out=dims),
            lambda: nengo.Node(draw.process(dims), size_out=dims),
            lambda: nengo.Node(draw.process(dims), size_out=dims),
            lambda: nengo.Node(lambda t, x: np.cos(x * 3) + phase * t, size_in=dims),
            lambda: nengo.Node(size_in=dims),
            lambda: nengo.Node(nengo.Lowpass(0.02), size_in=dims, size_out=dims),
            lambda: nengo.Node(lambda t: np.floor(100 * t) / (1 + t), size_out=1),
        )
    ]


def ensemble(draw: Draw) -> Objects:
    dims, count = draw.below(4, 1), draw.pick(7, 20, 50, 120, 300)
    neurons = draw.neuron_type()
    seed = draw.pick(None, draw.below(100))
    if isinstance(neurons, nengo.Direct):
        made = nengo.Ensemble(count, dims, neuron_type=neurons, seed=seed)
        return [made]
    made = nengo.Ensemble(
        count, dims, neuron_type=neurons, seed=seed, **_arguments(draw, dims, count, neurons)
    )
    probe_neurons(draw, made.neurons)
    if draw.chance(0.5):
        nengo.Probe(made, synapse=draw.synapse(), sample_every=sampling(draw))
    if draw.chance(0.1):
        nengo.Probe(made, "input")
    return [made, made.neurons] if draw.chance(0.4) else [made]


def _arguments(draw: Draw, dims: int, count: int, neurons: Any) -> dict[str, Any]:
    """What some ensembles are given."""
    dists = nengo.dists
    given: dict[str, Callable[[], Any]] = {
        "radius": lambda: float(1 + draw.random.rand()),
        "encoders": lambda: draw.vectors(dims, count),
        "normalize_encoders": lambda: False,
        "noise": lambda: nengo.processes.WhiteNoise(draw.scalars(0.5, count)),
        "eval_points": lambda: draw.pick(
            draw.normal(90, dims), dists.UniformHypersphere(), dists.Gaussian(0, 0.5)
        ),
        "n_eval_points": lambda: 90,
    }
    if draw.chance(0.15):
        given |= {"gain": lambda: dists.Uniform(0.5, 2), "bias": draw.scalars}
        always = {"gain", "bias"}
    elif isinstance(getattr(neurons, "base_type", neurons), nengo.Tanh | nengo.Sigmoid):
        given["max_rates"] = lambda: dists.Uniform(260, 390)  # lower ones have no gain
        always = {"max_rates"}
    else:
        given["intercepts"] = lambda: draw.pick(
            dists.Uniform(-0.5, 0.8), dists.CosineSimilarity(dims + 2), np.linspace(-0.9, 0.8, count),
            dists.Exponential(0.15, 0.1, 0.9),
        )  # fmt: skip
        given["max_rates"] = lambda: draw.pick(
            dists.Uniform(50, 100), dists.Choice([80, 150]), dists.Gaussian(120, 5)
        )
        always = set()
    return {name: made() for name, made in given.items() if name in always or draw.chance(0.15)}


def array(draw: Draw) -> Objects:
    """An `EnsembleArray` with outputs of functions and of neurons."""
    count = draw.below(4, 1)
    made = nengo.networks.EnsembleArray(draw.pick(10, 40), count, ens_dimensions=draw.pick(1, 1, 2))
    if draw.chance(0.4):
        made.add_output("squares", np.square, synapse=draw.pick(None, 0.003))
        nengo.Probe(made.squares, synapse=0.01)
    if draw.chance(0.3):
        made.add_output("each", [draw.function(1) for _ in range(count)])
        nengo.Probe(made.each)
    objects = [made.input, made.output]
    if draw.chance(0.4):
        objects.append(made.add_neuron_output())
    if draw.chance(0.4):
        objects.insert(0, made.add_neuron_input())
    return objects


def network(draw: Draw) -> Objects:
    """One that Nengo ships."""
    networks = nengo.networks
    dims = draw.below(4, 1)
    keys = np.eye(3)[: draw.below(4, 2)]
    made = draw.made(
        lambda: networks.Product(20, dims, input_magnitude=draw.pick(1, 2)),
        lambda: networks.CircularConvolution(15, dims + 1, *draw.pick((False, False), (True, False))),
        lambda: networks.BasalGanglia(3, 20, input_bias=draw.pick(0.0, 0.1)),
        lambda: networks.Thalamus(3, 20, threshold=draw.pick(0.0, 0.1)),
        lambda: _memory(draw, keys),
        lambda: networks.InputGatedMemory(20, dims, difference_synapse=draw.pick(None, 0.01)),
        lambda: _thresholding(draw, dims),
        lambda: _nested(draw),
    )
    found = [obj for name in (*INPUTS, "output") if (obj := getattr(made, name, None)) is not None]
    nengo.Probe(found[-1], synapse=draw.synapse())
    return list(dict.fromkeys(found))


def _memory(draw: Draw, keys: Any) -> Any:
    made = nengo.networks.AssociativeMemory(keys, n_neurons=20, inhibitable=draw.chance(0.5))
    if draw.chance(0.5):
        made.add_default_output_vector(np.full(3, 0.4), n_neurons=20)
    if draw.chance(0.5):
        made.add_wta_network()
    if draw.chance(0.5):
        made.add_threshold_to_outputs()
    return made


def _thresholding(draw: Draw, dims: int) -> Any:
    with nengo.presets.ThresholdingEnsembles(draw.pick(0.1, 0.3)):
        return nengo.networks.EnsembleArray(20, dims)


def _nested(draw: Draw) -> Any:
    """A network within one, with defaults of its own."""
    with nengo.Network(label="outer", seed=draw.pick(None, 8)) as outer:
        outer.config[nengo.Ensemble].neuron_type = nengo.LIF(tau_rc=0.03)
        outer.config[nengo.Ensemble].radius = 1.3
        outer.config[nengo.Connection].synapse = draw.synapse(delays=True)
        outer.config[nengo.Probe].synapse = draw.synapse()
        outer.input = nengo.Node(size_in=2)
        with nengo.Network(label="inner") as inner:
            inner.config[nengo.Ensemble].max_rates = nengo.dists.Uniform(100, 150)
            inner.config[nengo.Connection].solver = nengo.solvers.LstsqL2(reg=0.02)
            first, second = nengo.Ensemble(30, 2), nengo.Ensemble(20, 1)
            nengo.Connection(first, second, function=draw.function(1))
        outer.output = nengo.Ensemble(25, 1)
        nengo.Connection(outer.input, first)
        nengo.Connection(second, outer.output)
        nengo.Probe(second)
    return outer


def convolved(draw: Draw) -> Objects:
    """A population of neurons that get a convolution of 16 numbers."""
    transform = draw.convolution()
    phases = np.linspace(0, 6, 16)
    if draw.chance(0.5):
        source: Any = nengo.Node(lambda t: np.sin(9 * t + phases))
        size = 1.0
    else:
        source, size = nengo.Ensemble(16, 1, neuron_type=nengo.LIFRate()).neurons, 0.02
    target = nengo.Ensemble(
        transform.size_out, 1, neuron_type=draw.pick(nengo.LIF(), nengo.RectifiedLinear())
    )
    between = nengo.Node(size_in=transform.size_in)
    nengo.Connection(source, between, transform=size, synapse=None)
    nengo.Connection(between, target.neurons, transform=transform, synapse=draw.synapse())
    nengo.Probe(target.neurons, draw.pick("input", "output"))
    return [target]


def sampling(draw: Draw) -> float | None:
    """How often a probe records, also in times that are no whole steps."""
    return draw.pick(None, None, None, 0.003, 0.0045, 0.00333)


def probe_neurons(draw: Draw, neurons: Any) -> None:
    """Some probes of states of neurons, or of some of them."""
    for _ in range(draw.below(4)):
        asked = draw.part(neurons, neurons.size_out) if draw.chance(0.3) else neurons
        nengo.Probe(
            asked,
            draw.pick(*neurons.probeable),
            sample_every=sampling(draw),
            synapse=draw.pick(None, None, 0.01),
        )
