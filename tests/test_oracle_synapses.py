"""Every synapse and delay against Nengo, on the value of a node and on what rate and spiking neurons send."""

from __future__ import annotations

from functools import cache

import numpy as np
import oracle
import pytest
from oracle import nengo

# How the language writes it, and Nengo's synapse.
SYNAPSES = {
    "none": ("none", None),
    "lowpass": ("lowpass(12ms)", nengo.Lowpass(0.012)),
    "time": ("7ms", nengo.Lowpass(0.007)),
    "negligible": ("lowpass(0.02ms)", nengo.Lowpass(0.00002)),
    "brief": ("lowpass(0.04ms)", nengo.Lowpass(0.00004)),
    "alpha": ("alpha(9ms)", nengo.Alpha(0.009)),
    "double_exp": (
        "double_exp(4ms, 11ms)",
        nengo.LinearFilter([1], [0.004 * 0.011, 0.015, 1]),
    ),
    "second_order": (
        "linear_filter(num=[0.02, 1], den=[0.0001, 0.012, 1])",
        nengo.LinearFilter([0.02, 1], [0.0001, 0.012, 1]),
    ),
    "third_order": (
        "linear_filter(num=[1], den=[0.000001, 0.0003, 0.03, 1])",
        nengo.LinearFilter([1], [0.000001, 0.0003, 0.03, 1]),
    ),
    "high_pass": (
        "linear_filter(num=[0.03, 0], den=[0.03, 1])",
        nengo.LinearFilter([0.03, 0], [0.03, 1]),
    ),
    "lead": (
        "linear_filter(num=[0.0002, 0.05, 1], den=[0.0001, 0.02, 1])",
        nengo.LinearFilter([0.0002, 0.05, 1], [0.0001, 0.02, 1]),
    ),
    "gain": ("linear_filter(num=[2], den=[4])", nengo.LinearFilter([2], [4])),
    "discrete": (
        "linear_filter(num=[0.3, 0.1], den=[1, -0.8, 0.2], analog=false)",
        nengo.LinearFilter([0.3, 0.1], [1, -0.8, 0.2], analog=False),
    ),
    "triangle": ("triangle(9ms)", nengo.synapses.Triangle(0.009)),
    "spike_like": ("triangle(0.3ms)", nengo.synapses.Triangle(0.0003)),
    **{
        method: (
            f'linear_filter(num=[0.01, 1], den=[0.0001, 0.02, 1], method="{method}")',
            nengo.LinearFilter([0.01, 1], [0.0001, 0.02, 1], method=method),
        )
        for method in ("euler", "bilinear", "backward_diff")
    },
    "average": (
        "linear_filter(num=[0.25, 0.25, 0.25, 0.25], den=[1, 0, 0, 0], analog=false)",
        nengo.LinearFilter([0.25] * 4, [1, 0, 0, 0], analog=False),
    ),
}
DELAYS = {"step": 1, "few": 7, "many": 150}
STEPS = 600


@cache
def model() -> oracle.Model:
    lines = [
        "input wave(t) = [sin(11*t), cos(13*t) * t]",
        "ensemble rate(60, dims=2, neuron=lif_rate)",
        "ensemble spiking(270, dims=2)",
        "connect wave -> rate synapse none",
        "connect wave -> spiking synapse none",
        "connect wave -> shifted synapse none",
        "relay shifted[2]",
    ]
    for name, (text, _) in SYNAPSES.items():
        lines.append(f"probe wave synapse {text} as wave_{name}")
        lines.append(f"probe rate via x[0] * x[1] synapse {text} as rate_{name}")
        lines.append(f"probe spiking synapse {text} as spiking_{name}")
        lines.append(f"relay relayed_{name}[2] synapse {text}")
        lines.append(f"connect wave -> relayed_{name} synapse none")
        lines.append(f"probe relayed_{name}")
    for name, steps in DELAYS.items():
        lines.append(f"relay late_{name}[2]")
        lines.append(f"connect spiking -> late_{name} synapse lowpass(12ms) delay {steps}ms transform 2")
        lines.append(f"relay bare_{name}[2]")
        lines.append(f"connect wave -> bare_{name} synapse none delay {steps}ms")
        lines.append(f"probe late_{name}\nprobe bare_{name}")
    return oracle.Model("\n".join(lines))


@cache
def ours() -> dict[str, oracle.Array]:
    return model().run(STEPS)


@cache
def nengos() -> dict[str, oracle.Array]:
    with nengo.Network() as network:
        wave = nengo.Node(lambda t: [np.sin(11 * t), np.cos(13 * t) * t])
        rate, spiking = model().ensemble("rate"), model().ensemble("spiking")
        nengo.Connection(wave, rate, synapse=None)
        nengo.Connection(wave, spiking, synapse=None)
        for name, (_, synapse) in SYNAPSES.items():
            nengo.Probe(wave, synapse=synapse, label=f"wave_{name}")
            product, value = nengo.Node(size_in=1), nengo.Node(size_in=2)
            solver = model().solver(f"probe rate_{name}")
            nengo.Connection(rate, product, function=lambda x: x[0] * x[1], solver=solver, synapse=synapse)
            solver = model().solver(f"probe spiking_{name}")
            nengo.Connection(spiking, value, solver=solver, synapse=synapse)
            nengo.Probe(product, label=f"rate_{name}")
            nengo.Probe(value, label=f"spiking_{name}")
            node = nengo.Node(synapse, size_in=2, size_out=2 if synapse else None)
            nengo.Connection(wave, node, synapse=None)
            nengo.Probe(node, label=f"relayed_{name}")
    return oracle.simulate(network, STEPS)


@pytest.mark.parametrize("source", ["wave", "rate", "spiking", "relayed"])
@pytest.mark.parametrize("name", SYNAPSES)
def test_synapses_are_the_same(name: str, source: str) -> None:
    oracle.assert_equal(ours()[f"{source}_{name}"], nengos()[f"{source}_{name}"])


@pytest.mark.parametrize("name", DELAYS)
def test_a_delay_shifts_what_is_filtered(name: str) -> None:
    steps = DELAYS[name]
    shifted = np.zeros((STEPS, 2))
    shifted[steps:] = 2 * ours()["spiking_lowpass"][:-steps]
    oracle.assert_equal(ours()[f"late_{name}"], shifted)


@pytest.mark.parametrize("name", DELAYS)
def test_a_delay_without_a_synapse_shifts_a_value(name: str) -> None:
    steps = DELAYS[name]
    shifted = np.zeros((STEPS, 2))
    shifted[steps:] = ours()["wave_none"][:-steps]
    oracle.assert_equal(ours()[f"bare_{name}"], shifted, tolerance=0.0)
