"""Neurons that do not begin at rest: as Nengo with the same voltages, for every cut, drawn for each path."""

from __future__ import annotations

from pathlib import Path

import inprocess
import numpy as np
import oracle
import pytest
from language_helpers import mistakes
from oracle import nengo
from spike_runtime.manifest import ManifestError, check_files

import spikec
from spikec import graph as g
from spikec.errors import ModelError
from spikec.frontend import loads
from spikec.nef.build import build

TYPES = {
    "lif": "lif(tau_ref=3ms)",
    "adaptive": "adaptive_lif(inc_n=0.02)",
    "linear": "spiking_rectified_linear",
    "izhikevich": "izhikevich(reset_recovery=4)",
    "regular": "regular_spiking(adaptive_lif_rate)",
}
# Other state before the first step, given as numbers for all neurons.
STATES = {
    "lif": {"refractory_time": 0.004},
    "adaptive": {"adaptation": 0.3, "refractory_time": 0.001},
    "izhikevich": {"recovery": -10},
    "regular": {"adaptation": 0.5},
}
UNITS = {"refractory_time": "s"}
STEPS = 300
TEXT = "input u(t) = 0.8 * sin(9*t)\n" + "\n".join(
    f"ensemble {name}(300, neuron={neuron}, max_rates=uniform(100Hz, 200Hz), initial_voltage=uniform(0, 1)"
    + "".join(f", initial_{x}={v}{UNITS.get(x, '')}" for x, v in STATES.get(name, {}).items())
    + ")\n"
    f"connect u -> {name} synapse none\nprobe {name}.neurons as {name}_spikes\nprobe {name} voltage"
    for name, neuron in TYPES.items()
)


def test_spikes_and_voltages_are_those_of_nengo() -> None:
    model = oracle.Model(TEXT)
    ours = model.run(STEPS)
    with nengo.Network() as network:
        u = nengo.Node(lambda t: 0.8 * np.sin(9 * t))
        for name in TYPES:
            population, built = model.ensemble(name), model.neurons(name)
            given = {state: nengo.dists.Samples(values) for state, values in built.initial_state.items()}
            assert given.keys() == {"voltage", *STATES.get(name, {})}
            own = population.neuron_type
            if name == "regular":  # Nengo keeps the state of the rate type there
                own.base_type.initial_state.update(adaptation=given.pop("adaptation"))
            own.initial_state.update(given)
            nengo.Connection(u, population, synapse=None)
            nengo.Probe(population.neurons, "output", label=f"{name}_spikes")
            nengo.Probe(population.neurons, "voltage", label=f"{name}.voltage")
    theirs = oracle.simulate(network, STEPS)
    for name in TYPES:
        voltage = model.neurons(name).initial_state["voltage"]
        assert 0 <= voltage.min() < 0.05 < 0.95 < voltage.max() < 1
        wanted = np.rint(theirs[f"{name}_spikes"] * oracle.DT)
        assert wanted.sum() > 1000
        assert (ours[f"{name}_spikes"] == wanted).all(), name
        oracle.assert_equal(ours[f"{name}.voltage"], theirs[f"{name}.voltage"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_cut_does_not_change_the_answer(dtype: str) -> None:
    graph = inprocess.prepared(loads(TEXT))
    one, *others = (inprocess.run_split(graph, n, dtype, STEPS) for n in (1, 2, 3))
    rest = inprocess.run_split(inprocess.prepared(loads(TEXT.replace("uniform(0, 1)", "0"))), 1, dtype, STEPS)
    for name, data in one.items():
        assert all(other[name].tobytes() == data.tobytes() for other in others)
        # The first spike of an izhikevich neuron forgets where it began.
        assert name.startswith("izhikevich") or data.tobytes() != rest[name].tobytes()


def voltages(text: str) -> dict[str, g.Array | None]:
    return {name: op.initial_state.get("voltage") for name, op in build(loads(text)).nodes(g.Neurons)}


def test_voltages_depend_on_the_seed_and_the_path_alone() -> None:
    text = (
        "ensemble a(50, initial_voltage=uniform(0, 1))\narray m(50, count=2, initial_voltage=uniform(0, 1))\n"
    )
    first, more, other = voltages(text), voltages("ensemble b(9)\n" + text), voltages("seed 2\n" + text)
    assert more.pop("b") is None
    assert first.keys() == more.keys()
    for name, voltage in first.items():
        assert (voltage == more[name]).all()
        assert (voltage != other[name]).any()
    assert (first["m[0]"] != first["m[1]"]).any()


def test_explicit_voltages_and_defaults() -> None:
    found = voltages(
        "defaults ensemble { initial_voltage = 0.5 }\nensemble a(3)\n"
        "ensemble b(3, initial_voltage=[0, 0.1, -2])\n"
        "ensemble c(3, neuron=lif_rate)\nensemble d(3, neuron=direct)"
    )
    assert {name: None if v is None else v.tolist() for name, v in found.items()} == {
        "a": [0.5, 0.5, 0.5], "b": [0.0, 0.1, -2.0], "c": None,
    }  # fmt: skip


MISTAKES = {
    "ensemble a(9, neuron=lif_rate, initial_voltage=0.5)": (48, "neurons of type lif_rate have no voltage"),
    "ensemble a(9, neuron=direct, initial_voltage=0.5)": (46, "an ensemble in direct mode has no voltage"),
    "ensemble a(9, initial_voltage=[0.5, 0.1])": (31, "initial_voltage has 2 values for 9 neurons"),
    "ensemble a(9, initial_recovery=1, neuron=izhikevich(coupling=0.3), initial_adaptation=1)": (
        87,
        "neurons of type izhikevich have no adaptation",
    ),
    "ensemble a(9, initial_adaptation=1)": (34, "neurons of type lif have no adaptation to begin with"),
    "array a(9, count=2, initial_recovery=1)": (38, "neurons of type lif have no recovery to begin with"),
    "ensemble a(9, initial_refractory_time=2)": (39, "must be a time, not the plain number 2"),
    "ensemble a(9, initial_voltage=5ms)": (31, "initial_voltage of an ensemble must be a plain number"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(text: str) -> None:
    (found,) = mistakes(text)
    assert found[:2] == (1, MISTAKES[text][0])
    assert MISTAKES[text][1] in found[2]


def test_a_voltage_at_the_threshold_is_refused() -> None:
    with pytest.raises(ModelError, match="an initial voltage of 1 is not below the threshold of 1") as caught:
        build(loads("ensemble a(9, initial_voltage=1)", "m.spk"))
    assert caught.value.diagnostics[0].span is not None
    assert "below 1, such as uniform(0, 1)" in str(caught.value)


@pytest.mark.usefixtures("reference_host")
def test_the_manifest_names_and_checks_the_file_of_a_state(tmp_path: Path) -> None:
    made = spikec.compile_text(TEXT, 2, tmp_path / "out")
    states = [a for p in made.manifest.partitions for a in p.arrays if a.state]
    files = [a.file for a in states if a.file]
    assert len(files) >= 3
    assert all(file.endswith("_neurons.npy") for file in files)
    path = tmp_path / "out" / files[0]
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(ManifestError, match="was changed after it was compiled"):
        check_files(made.manifest, tmp_path / "out", 0)
