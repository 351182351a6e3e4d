"""Every neuron type against Nengo: activity, state, what is decoded, and currents into neurons."""

from __future__ import annotations

from functools import cache

import numpy as np
import oracle
import pytest
from oracle import nengo

# Parameters other than the defaults, so that none is taken for another.
TYPES = {
    "lif": "lif(tau_rc=25ms, tau_ref=3ms, amplitude=0.7)",
    "leaky": "lif(min_voltage=-0.5)",
    "fast": "lif(tau_rc=8ms, tau_ref=1ms)",
    "adaptive_lif": "adaptive_lif(tau_n=300ms, inc_n=0.02, tau_rc=18ms, amplitude=1.5)",
    "spiking_rectified_linear": "spiking_rectified_linear(amplitude=0.5)",
    "lif_rate": "lif_rate(tau_rc=25ms, tau_ref=3ms, amplitude=0.7)",
    "rectified_linear": "rectified_linear(amplitude=0.5)",
    "sigmoid": "sigmoid(tau_ref=3ms)",
    "tanh": "tanh(tau_ref=3ms)",
    "adaptive_lif_rate": "adaptive_lif_rate(tau_n=300ms, inc_n=0.02, tau_ref=3ms, amplitude=1.5)",
    "izhikevich": "izhikevich(tau_recovery=0.03, coupling=0.25, reset_voltage=-60, reset_recovery=4)",
    "regular": "regular_spiking(lif_rate(tau_ref=3ms), amplitude=0.5)",
    "regular_adaptive": "regular_spiking(base=adaptive_lif_rate(tau_n=200ms))",
}
SPIKING = (
    "lif",
    "leaky",
    "fast",
    "adaptive_lif",
    "spiking_rectified_linear",
    "izhikevich",
    "regular",
    "regular_adaptive",
)
RATE = tuple(name for name in TYPES if name not in SPIKING)
STATES = {
    "lif": ("voltage", "refractory_time"),
    "leaky": ("voltage", "refractory_time"),
    "fast": ("voltage", "refractory_time"),
    "adaptive_lif": ("voltage", "refractory_time", "adaptation"),
    "spiking_rectified_linear": ("voltage",),
    "adaptive_lif_rate": ("adaptation",),
    "izhikevich": ("voltage", "recovery"),
    "regular": ("voltage",),
    "regular_adaptive": ("voltage", "adaptation"),
}
NEURONS, STEPS = 300, 1000
MAX_RATES = {
    "sigmoid": "uniform(200Hz, 300Hz)",
    "tanh": "uniform(100Hz, 300Hz)",
    "lif": "uniform(150Hz, 300Hz)",
    "izhikevich": "uniform(50Hz, 150Hz)",
}


def _declaration(name: str) -> str:
    rates = MAX_RATES.get(name, "uniform(150Hz, 250Hz)")
    lines = [
        f"ensemble {name}({NEURONS}, dims=2, radius=1.3, neuron={TYPES[name]}, max_rates={rates})",
        f"connect stimulus -> {name} synapse none",
        f"connect current -> {name}.neurons transform injected synapse 5ms",
        f"probe {name} via [x[0] * x[1], x[0] - 0.3] as {name}_decoded",
        f"probe {name} synapse 10ms as {name}_filtered",
        f"probe {name}.neurons as {name}_activity",
    ]
    lines += [f"probe {name} {state} as {name}_{state}" for state in STATES.get(name, ())]
    return "\n".join(lines)


@cache
def model() -> oracle.Model:
    weights = ", ".join(f"[{0.5 * np.cos(k):.6f}]" for k in range(NEURONS))
    text = "input stimulus(t) = [1.4 * sin(7*t), cos(9*t)]\ninput current(t) = sin(20*t)\n"
    return oracle.Model(text + f"let injected = [{weights}]\n" + "\n".join(map(_declaration, TYPES)))


@cache
def ours() -> dict[str, oracle.Array]:
    return model().run(STEPS)


@cache
def nengos() -> dict[str, oracle.Array]:
    with nengo.Network() as network:
        stimulus = nengo.Node(lambda t: [1.4 * np.sin(7 * t), np.cos(9 * t)])
        current = nengo.Node(lambda t: np.sin(20 * t))
        injected = np.array([[round(0.5 * np.cos(k), 6)] for k in range(NEURONS)])
        for name in TYPES:
            population = model().ensemble(name)
            nengo.Connection(stimulus, population, synapse=None)
            nengo.Connection(current, population.neurons, transform=injected, synapse=0.005)
            _probe(name, population)
    return oracle.simulate(network, STEPS)


def _probe(name: str, population: nengo.Ensemble) -> None:
    decoded, filtered = nengo.Node(size_in=2), nengo.Node(size_in=2)
    nengo.Connection(
        population,
        decoded,
        function=lambda x: [x[0] * x[1], x[0] - 0.3],
        solver=model().solver(f"probe {name}_decoded"),
        synapse=None,
    )
    nengo.Connection(population, filtered, solver=model().solver(f"probe {name}_filtered"), synapse=0.01)
    nengo.Probe(decoded, label=f"{name}_decoded")
    nengo.Probe(filtered, label=f"{name}_filtered")
    nengo.Probe(population.neurons, "output", label=f"{name}_activity")
    for state in STATES.get(name, ()):
        nengo.Probe(population.neurons, state, label=f"{name}_{state}")


@pytest.mark.parametrize("name", SPIKING)
def test_spikes_are_the_same_one_by_one(name: str) -> None:
    amplitude = model().neurons(name).neuron.amplitude
    wanted = np.rint(nengos()[f"{name}_activity"] * oracle.DT / amplitude)
    assert wanted.sum() > 10 * NEURONS
    differing = np.argwhere(ours()[f"{name}_activity"] != wanted)
    assert not len(differing), f"{len(differing)} of {int(wanted.sum())} spikes differ, first {differing[:3]}"


@pytest.mark.parametrize("name", RATE)
def test_rates_are_the_same(name: str) -> None:
    oracle.assert_equal(ours()[f"{name}_activity"], nengos()[f"{name}_activity"])


@pytest.mark.parametrize("probe", ["decoded", "filtered"])
@pytest.mark.parametrize("name", TYPES)
def test_decoded_values_are_the_same(name: str, probe: str) -> None:
    oracle.assert_equal(ours()[f"{name}_{probe}"], nengos()[f"{name}_{probe}"])


@pytest.mark.parametrize(("name", "state"), [(name, state) for name in STATES for state in STATES[name]])
def test_states_are_the_same(name: str, state: str) -> None:
    mine, theirs = ours()[f"{name}_{state}"], nengos()[f"{name}_{state}"]
    if state == "refractory_time":
        # Below 0 it only says how long ago the neuron was free again.
        mine, theirs = np.maximum(mine, 0.0), np.maximum(theirs, 0.0)
    if name == "izhikevich":
        # Its equations are chaotic: what begins as rounding is seen after a second, but not in the spikes.
        mine, theirs = mine[:200], theirs[:200]
    oracle.assert_equal(mine, theirs)
