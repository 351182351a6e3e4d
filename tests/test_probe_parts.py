"""Probes of parts of neurons record these alone: the same numbers as of all of them, for every cut."""

from __future__ import annotations

import inprocess
import numpy as np
import pytest

from spikec import graph as g
from spikec.frontend import loads

PARTS = {
    "slice": ("[250:260]", np.arange(250, 260)),
    "stepped": ("[5:600:50]", np.arange(5, 600, 50)),
    "backward": ("[::-1]", np.arange(599, -1, -1)),
    "last": ("[-3:]", np.arange(597, 600)),
    "listed": ("[[300, 2, 2, -1]]", np.array([300, 2, 2, 599])),
}
TEXT = "input u(t) = sin(9*t)\nensemble a(600)\nconnect u -> a synapse none\n" + "\n".join(
    f"probe a.neurons{part} as {name}_spikes\nprobe a.neurons{part} voltage every 2ms as {name}_voltage"
    for name, (part, _) in {"all": ("", None), **PARTS}.items()
)
STEPS = 100


@pytest.mark.parametrize("partitions", [1, 2, 3])
def test_parts_are_those_of_the_whole(partitions: int) -> None:
    graph = loads(TEXT)
    sizes = {op.name: op.size for _, op in graph.nodes(g.Probe)}
    found = inprocess.run(graph, partitions, "float32", STEPS)
    counts = np.zeros((STEPS, 600), int)
    np.add.at(counts, (found["all_spikes"][:, 0] - 1, found["all_spikes"][:, 1]), 1)
    assert counts.sum() > 2000
    for name, (_, neurons) in PARTS.items():
        assert sizes[f"{name}_spikes"] == len(neurons)
        np.testing.assert_array_equal(found[f"{name}_voltage"], found["all_voltage"][:, neurons])
        mine = np.zeros((STEPS, len(neurons)), int)
        np.add.at(mine, (found[f"{name}_spikes"][:, 0] - 1, found[f"{name}_spikes"][:, 1]), 1)
        np.testing.assert_array_equal(mine, counts[:, neurons])


STATES = """
input u(t) = sin(40*t)
let slow = adaptive_lif(inc_n=0.02)
ensemble a(300, neuron=slow)
ensemble e(90, neuron=izhikevich)
array m(50, count=2)
connect u -> a
connect u -> e
connect u -> m[1]
connect a -> e
defaults probe { synapse = 9ms }
""" + "\n".join(
    f"probe {of} {state} as {of}_{state}\nprobe {of} {state} synapse 5ms as {of}_{state}_filtered"
    for of, state in (
        ("a", "voltage"), ("a", "refractory_time"), ("a", "adaptation"), ("e", "voltage"), ("e", "recovery"),
    )
) + """
probe a.neurons[[299, 4, 4]] voltage synapse 5ms every 2.5ms as part
probe a.voltage synapse none as plain
probe m.refractory_time synapse 5ms as both
"""  # fmt: skip


@pytest.mark.parametrize("partitions", [1, 2, 3])
def test_state_is_filtered_as_values_are(partitions: int) -> None:
    """At step n a synapse has seen the steps before; `defaults` for values do not count."""
    found = inprocess.run(loads(STATES), partitions, "float64", STEPS)
    seen = 0
    for name in [name for name in found if f"{name}_filtered" in found]:
        expected, rest = np.zeros_like(found[name]), np.exp(-1 / 5)
        for n in range(1, STEPS):
            expected[n] = rest * expected[n - 1] + (1 - rest) * found[name][n - 1]
        np.testing.assert_allclose(found[f"{name}_filtered"], expected, rtol=1e-10, atol=1e-12)
        assert expected.any()
        seen += 1
    assert seen == 5
    np.testing.assert_array_equal(found["plain"], found["a_voltage"])
    rows = [2, 4, 7, 9, 12]
    np.testing.assert_array_equal(found["part"][:5], found["a_voltage_filtered"][rows][:, [299, 4, 4]])
    assert found["both[0]"].shape == (STEPS, 50)
    alone = inprocess.run(loads(STATES), 1, "float64", STEPS)
    assert all(values.tobytes() == alone[name].tobytes() for name, values in found.items())


def test_filtered_spikes_are_samples() -> None:
    text = "ensemble a(50)\nprobe a.neurons synapse 10ms as rate\nprobe a.neurons as spikes"
    probes = {op.name: op for _, op in loads(text).nodes(g.Probe)}
    assert (probes["rate"].attribute, probes["rate"].unit) == ("value", "Hz")
    assert probes["spikes"].attribute == "spikes"
    # What holds for all probes is no wish for filtered spikes.
    (probe,) = (
        op
        for _, op in loads("defaults probe { synapse = 5ms }\nensemble a(50)\nprobe a.neurons").nodes(g.Probe)
    )
    assert probe.attribute == "spikes"


def test_parts_of_arrays() -> None:
    text = "array m(50, count=4)\nprobe m.neurons[40:110]\nprobe m[0:4:2].neurons as even"
    probes = {op.name: op.size for _, op in loads(text).nodes(g.Probe)}
    assert probes == {
        "m.neurons[40:110][0]": 10, "m.neurons[40:110][1]": 50, "m.neurons[40:110][2]": 10,
        "even[0]": 50, "even[1]": 50,
    }  # fmt: skip


CELLS = "dt 0.1ms\npopulation p(600, drive=poisson(rate=20kHz, weight=0.2))\n" + "\n".join(
    f"probe p{part} spikes as {name}" for name, (part, _) in {"all": ("", None), **PARTS}.items()
)


@pytest.mark.parametrize("partitions", [1, 2])
def test_spikes_of_parts_of_a_population(partitions: int) -> None:
    found = inprocess.run(loads(CELLS), partitions, "float32", STEPS)
    counts = np.zeros((STEPS, 600), int)
    np.add.at(counts, (found["all"][:, 0] - 1, found["all"][:, 1]), 1)
    assert counts.sum() > 500
    for name, (_, neurons) in PARTS.items():
        mine = np.zeros((STEPS, len(neurons)), int)
        np.add.at(mine, (found[name][:, 0] - 1, found[name][:, 1]), 1)
        np.testing.assert_array_equal(mine, counts[:, neurons])
        assert len(found[name]) == counts[:, neurons].sum()
