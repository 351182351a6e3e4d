"""Whole models against Nengo: the shipped ones, and Nengo's networks beside those of the standard library."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import oracle
import pytest
from oracle import nengo

FOLDER = Path(__file__).parent.parent / "models"
STEPS = 1000


@cache
def model(name: str) -> oracle.Model:
    return oracle.Model((FOLDER / f"{name}.spk").read_text(encoding="utf-8"), FOLDER)


def _decoded(m: oracle.Model, population: nengo.Ensemble, probe: str, synapse: float) -> None:
    """A probe of the represented value."""
    value = nengo.Node(size_in=population.dimensions)
    nengo.Connection(population, value, solver=m.solver(f"probe {probe}"), synapse=synapse)
    nengo.Probe(value, label=probe)


def communication_channel(m: oracle.Model) -> None:
    stimulus = nengo.Node(lambda t: [np.sin(np.pi * t / 2), np.cos(np.pi * t) / 2])
    sender, receiver = m.ensemble("sender"), m.ensemble("receiver")
    nengo.Connection(stimulus, sender)
    nengo.Connection(sender, receiver, solver=m.solver("sender->receiver"), synapse=0.005)
    nengo.Probe(sender.neurons, "output", label="sender_spikes")
    nengo.Probe(stimulus, label="stimulus_value")
    _decoded(m, receiver, "receiver_value", 0.02)


def product(m: oracle.Model) -> None:
    x, y = nengo.Node(lambda t: np.sin(np.pi * t / 2)), nengo.Node(lambda t: np.cos(np.pi * t / 2))
    both, result = m.ensemble("both"), m.ensemble("result")
    nengo.Connection(x, both[0])
    nengo.Connection(y, both[1])
    nengo.Connection(both, result, function=lambda v: v[0] * v[1], solver=m.solver("both->result"))
    _decoded(m, both, "factors", 0.02)
    _decoded(m, result, "product_value", 0.02)


def integrator(m: oracle.Model) -> None:
    velocity = nengo.Node(nengo.processes.Piecewise({0: 0, 0.2: 1, 0.6: 0, 1: -1, 1.2: 0}))
    x = m.ensemble("position.x")
    nengo.Connection(velocity, x, transform=0.1, synapse=0.1)
    nengo.Connection(x, x, solver=m.solver("position.x->position.x"), synapse=0.1)
    _decoded(m, x, "position_value", 0.02)


def oscillator(m: oracle.Model) -> None:
    kick = nengo.Node(nengo.processes.Piecewise({0: [1, 0], 0.1: [0, 0]}))
    x, turn = m.ensemble("wheel.x"), 2 * np.pi * 2 * 0.1
    nengo.Connection(kick, x)
    transform = [[1, -turn], [turn, 1]]
    nengo.Connection(x, x, transform=transform, solver=m.solver("wheel.x->wheel.x"), synapse=0.1)
    _decoded(m, x, "wheel_value", 0.02)


def lorenz(m: oracle.Model) -> None:
    def feedback(x: np.ndarray) -> list[float]:
        dx = 10 * (x[1] - x[0]), -x[0] * x[2] - x[1], x[0] * x[1] - 8 / 3 * (x[2] + 28) - 28
        return [x[i] + 0.1 * dx[i] for i in range(3)]

    state = m.ensemble("state")
    nengo.Connection(state, state, function=feedback, solver=m.solver("state->state"), synapse=0.1)
    _decoded(m, state, "trajectory", 0.05)


def _outputs(network: nengo.Network, population: nengo.Ensemble, output: nengo.Node) -> nengo.Connection:
    """The connection from a population of an ensemble array to one of the array's outputs."""
    found = [c for c in network.all_connections if c.pre_obj is population and c.post_obj is output]
    assert len(found) == 1
    return found[0]


def _adopt(m: oracle.Model, populations: list[nengo.Ensemble], path: str) -> None:
    for i, population in enumerate(populations):
        m.adopt(population, f"{path}[{i}]")


def _decode(m: oracle.Model, array: nengo.networks.EnsembleArray, output: str, link: str) -> None:
    """Give the output of an array the decoders of the connection `link`, element by element."""
    for i, population in enumerate(array.ea_ensembles):
        _outputs(array, population, getattr(array, output)).solver = m.solver(f"{link}.{i}")


def _squares(m: oracle.Model, array: nengo.networks.EnsembleArray, name: str, sign: int) -> None:
    """One of the two arrays of the product in Nengo's circular convolution of 8 dimensions.

    Nengo also multiplies the imaginary parts of frequencies 0 and 4, which are 0: they are given no decoders.
    Nengo decodes the square and halves it afterwards, the standard library decodes the half.
    """
    kept = [0, *range(4, 17)]
    link = f"binding.products.{name}->binding.products.out"
    _adopt(m, [array.ea_ensembles[k] for k in kept], f"binding.products.{name}")
    for k, population in enumerate(array.ea_ensembles):
        nothing = nengo.solvers.NoSolver(np.zeros((population.n_neurons, 1)))
        solver = m.solver(f"{link}.{kept.index(k)}", 2 * sign) if k in kept else nothing
        _outputs(array, population, array.square).solver = solver


def circular_convolution(m: oracle.Model) -> None:
    a = nengo.Node([0.4, -0.3, 0.1, 0.5, -0.2, 0.3, -0.4, 0.2])
    b = nengo.Node([-0.1, 0.5, 0.3, -0.4, 0.2, 0.1, 0.3, -0.3])
    bind = nengo.networks.CircularConvolution(200, 8)
    result = nengo.networks.EnsembleArray(200, 8)
    _squares(m, bind.product.sq1, "plus", 1)
    _squares(m, bind.product.sq2, "minus", -1)
    _adopt(m, result.ea_ensembles, "result")
    _decode(m, result, "output", "probe bound")
    nengo.Connection(a, bind.input_a)
    nengo.Connection(b, bind.input_b)
    nengo.Connection(bind.output, result.input)
    nengo.Probe(result.output, synapse=0.05, label="bound")


def basal_ganglia(m: oracle.Model) -> None:
    values = {
        0: [0.8, 0.4, 0.5, 0.3],
        0.4: [0.6, 0.5, 0.9, 0.4],
        0.8: [0.3, 0.8, 0.5, 0.6],
        1.2: [0.5, 0.4, 0.3, 0.8],
    }
    salience = nengo.Node(nengo.processes.Piecewise(values))
    ganglia = nengo.networks.BasalGanglia(4, 100)
    thalamus = nengo.networks.Thalamus(4, 100)
    arrays = {
        "d1": ganglia.strD1,
        "d2": ganglia.strD2,
        "stn": ganglia.stn,
        "gpi": ganglia.gpi,
        "gpe": ganglia.gpe,
    }
    functions = {"d1": "func_str", "d2": "func_str", "stn": "func_stn", "gpi": "func_gpi", "gpe": "func_gpe"}
    targets = {"d1": "gpi", "d2": "gpe", "stn": "gpi", "gpi": "out", "gpe": "gpi"}
    for name, array in arrays.items():
        _adopt(m, array.ea_ensembles, f"ganglia.{name}")
        _decode(m, array, functions[name], f"ganglia.{name}->ganglia.{targets[name]}")
    _adopt(m, thalamus.actions.ea_ensembles, "relay_nucleus.action")
    _decode(m, thalamus.actions, "output", "relay_nucleus.action->relay_nucleus.action")
    nengo.Connection(salience, ganglia.input, synapse=None)
    nengo.Connection(ganglia.output, thalamus.input, synapse=0.008)
    nengo.Probe(salience, label="salience_value")
    nengo.Probe(thalamus.output, synapse=0.02, label="choice")


MODELS: dict[str, Callable[[oracle.Model], None]] = {
    "communication_channel": communication_channel,
    "product": product,
    "integrator": integrator,
    "oscillator": oscillator,
    "lorenz": lorenz,
    "circular_convolution": circular_convolution,
    "basal_ganglia": basal_ganglia,
}


@pytest.mark.filterwarnings("ignore:Specifying the gains and biases")
@pytest.mark.parametrize("name", MODELS)
def test_a_whole_model_is_the_same(name: str) -> None:
    """What is decoded is equal to 1e-9 over a second: not one spike of any neuron is elsewhere."""
    with nengo.Network(seed=0) as network:
        MODELS[name](model(name))
    theirs = oracle.simulate(network, STEPS)
    ours = model(name).run(STEPS)
    assert ours.keys() == theirs.keys()
    for probe, values in ours.items():
        wanted = theirs[probe] * oracle.DT if probe.endswith("spikes") else theirs[probe]
        oracle.assert_equal(values, wanted)
