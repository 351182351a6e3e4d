"""Synapses that include the input of the same step, of a thousand steps and more, against Nengo."""

from __future__ import annotations

from functools import cache

import continued
import inprocess
import numpy as np
import oracle
import pytest
from oracle import nengo

from spikec import graph as g
from spikec.program.schedule import Assignment

STEPS = 12000  # twelve time constants
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
# 1 / (s + 1)^order, and a filter with a part of the input itself.
FILTERS = {
    **{f"order_{k}": ([1.0], np.poly([-1.0] * k).tolist(), "zoh") for k in range(1, 6)},
    **{method: ([1.0], [1.0, 3.0, 3.0, 1.0], method) for method in ("bilinear", "backward_diff")},
    "lead": ([0.5, 1.0, 1.0], [1.0, 2.0, 1.0], "zoh"),
}


@cache
def model() -> oracle.Model:
    lines = ["input wave(t) = 1 + 0.5 * sin(3*t)"]
    for name, (num, den, method) in FILTERS.items():
        synapse = f'linear_filter(num={num}, den={den}, method="{method}")'
        lines.append(f"relay {name} synapse {synapse}\nconnect wave -> {name} synapse none\nprobe {name}")
        lines.append(f"input noise_{name} = filtered_noise(synapse={synapse}, stream=numpy(8))")
        lines.append(f"probe noise_{name}")
    return oracle.Model("\n".join(lines))


@cache
def ours(dtype: str, partitions: int = 1) -> dict[str, oracle.Array]:
    return model().run(STEPS, dtype, partitions)


@cache
def nengos() -> dict[str, oracle.Array]:
    with nengo.Network() as network:
        wave = nengo.Node(lambda t: 1 + 0.5 * np.sin(3 * t))
        for name, (num, den, method) in FILTERS.items():
            synapse = nengo.LinearFilter(num, den, method=method)
            node = nengo.Node(synapse, size_in=1)
            nengo.Connection(wave, node, synapse=None)
            nengo.Probe(node, label=name)
            nengo.Probe(nengo.Node(nengo.processes.FilteredNoise(synapse, seed=8)), label=f"noise_{name}")
    return oracle.simulate(network, STEPS)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("source", ["", "noise_"])
@pytest.mark.parametrize("name", FILTERS)
def test_slow_synapses_are_those_of_nengo(name: str, source: str, dtype: str) -> None:
    oracle.assert_equal(ours(dtype)[source + name], nengos()[source + name], TOLERANCE[dtype])


def test_slow_synapses_are_the_same_in_two_partitions() -> None:
    for name, values in ours("float32").items():
        np.testing.assert_array_equal(ours("float32", 2)[name], values)


def test_slow_synapses_go_on_from_a_state_and_compiled_as_not() -> None:
    graph, cut, steps = inprocess.prepared(model().lowered), 37, 90
    one = Assignment(1, {}, {name: 0 for name, _ in graph.nodes(g.Probe)})
    first, state = continued.run(graph, one, "float32", cut)
    rest = continued.run(graph, one, "float32", steps - cut, state, cut)[0]
    compiled = inprocess.run_assigned(graph, one, "float32", steps, compiled=True)
    for name, values in compiled.items():
        np.testing.assert_array_equal(np.concatenate([first[name], rest[name]]), values)
