"""Ensembles of `spikec.nef`: random numbers by seed, noise, what a description becomes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from nef_networks import population

from spikec import graph as g
from spikec import nef
from spikec.nef.neurons import LIFRate
from spikec.nef.tuning import tune


def spikes(seed: int | None = None, fixed_seed: int | None = None, **more: Any) -> list[np.ndarray]:
    net = nef.Network("seeds", seed=seed, fixed_seed=fixed_seed)
    net.make_input("in", 0.7)
    probes = []
    for name in ("A", "B"):
        net.make(name, 30, 1, **more)
        net.connect("in", name)
        probes.append(net.make_probe(name, data_type="spikes", dt_sample=0.001))
    net.run(0.05)
    return [probe.get_data() for probe in probes]


def test_seeds_make_networks_equal_and_fixed_ones_ensembles() -> None:
    first, again, other = spikes(1), spikes(1), spikes(2)
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], first[1])
    fixed = spikes(fixed_seed=1)
    assert np.array_equal(fixed[0], fixed[1])


@pytest.mark.parametrize("kind", ["uniform", "gaussian"])
def test_noise_is_in_the_current_of_every_neuron(kind: str) -> None:
    quiet = spikes(1, intercept=(0.5, 0.9))
    noisy = spikes(1, intercept=(0.5, 0.9), noise=0.1, noise_type=kind)
    assert not np.array_equal(quiet[0], noisy[0])
    net = nef.Network("noise", seed=1)
    net.make("A", 400, 1, noise=0.1, noise_type=kind)
    source = net._builder.graph.op("A::noise")
    assert (source.distribution, source.scale) == (kind, True)
    wanted = (-0.1, 0.1) if kind == "uniform" else (0.0, math.sqrt(0.1))
    assert (source.a, source.b) == wanted


def test_a_description_becomes_a_population() -> None:
    net = nef.Network("description")
    net.make(
        "A", 5, 2, tau_ref=0.001, tau_rc=0.03, max_rate=(50, 60), intercept=0.1, radius=2, seed=7,
        encoders=[[1, 0], [0, 1]], eval_points=[[0, 1, 2], [3, 4, 5]], decoder_noise=0.2, num_subs=3,
    )  # fmt: skip
    op = population(net, "A")
    assert (op.size, op.dims, op.radius, op.seed, op.path) == (5, 2, 2.0, 7, "A")
    assert (op.neuron.tau_ref, op.neuron.tau_rc, op.neuron.kind) == (0.001, 0.03, "lif")
    assert op.max_rates == g.Distribution("uniform", (50.0, 60.0))
    assert op.intercepts == g.Distribution("uniform", (0.1, 1.0))
    assert op.encoders.parameters[0].tolist() == [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]
    assert op.eval_points.parameters[0].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert net._builder.graph.op("A:X").solver.regularisation == 0.2


@pytest.mark.parametrize("how", [{"mode": "rate"}, {"neuron_type": "lif-rate"}, {"neuron_type": LIFRate()}])
def test_rates_take_the_place_of_spikes(how: dict[str, Any]) -> None:
    net = nef.Network("rates")
    net.make_input("in", 0.5)
    net.make("A", 50, 1, **how)
    net.connect("in", "A", pstc=0)
    value, rates = net.make_probe("A", pstc=0), net.make_probe("A", data_type="spikes")
    net.run(0.05)
    (neurons,) = tune([population(net, "A")])
    wanted = neurons.neuron.rates(0.5 * neurons.scaled_encoders[:, 0] + neurons.bias)
    np.testing.assert_allclose(rates.get_data()[-1], wanted, rtol=1e-4, atol=1e-3)
    assert abs(value.get_data()[-1, 0] - 0.5) < 0.05
