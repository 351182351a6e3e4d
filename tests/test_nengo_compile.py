"""Nengo networks compiled from Python files: the same bytes as `spikec.nengo.Simulator`, for every cut."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from compiled_nengo import (
    CALLS,
    MODEL,
    NAMES,
    REASONS,
    STEPS,
    TIME,
    assert_same,
    command,
    model_folder,
    simulated,
)
from spike_runtime import cli as run_cli
from spike_runtime.manifest import load
from spike_runtime.results import open_run

import spikec
from spikec import cli, models
from spikec.nengo import Simulator, pickling
from spikec.nengo.compiling import precise
from spikec.planning.cost import HOST_CALL


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference_host: Path) -> Iterator[Path]:
    """The folder with the model, in which commands work."""
    assert reference_host.is_dir()
    with model_folder(tmp_path, monkeypatch):
        yield tmp_path


@pytest.mark.parametrize("partitions", [1, 2, 3])
def test_a_compiled_network_gives_what_the_simulator_gives(folder: Path, partitions: int) -> None:
    compiled = spikec.compile("model.py:net", partitions, folder / "out")
    # What is compiled does not need the files any more.
    (folder / "model.py").unlink()
    (folder / "beside.py").unlink()
    run = compiled.run(TIME, folder / "run")
    assert run.names == NAMES
    assert len(compiled.manifest.partitions) == partitions
    python = [p.python for p in compiled.manifest.partitions if p.python]
    assert len(python) == min(partitions, len(CALLS))
    assert sorted(call for one in python for call in one.calls) == sorted(CALLS)
    (folder / "model.py").write_text(MODEL, encoding="utf-8")
    (folder / "beside.py").write_text("def squared(x):\n    return x**2\n", encoding="utf-8")
    assert_same(run, simulated("model.py:net"))


def test_single_precision_and_another_step_and_seed(folder: Path) -> None:
    settings = {"precision": "float32", "seed": 3_000_000_000, "dt": "0.5ms"}
    run = spikec.compile("model.py", 2, folder / "out", **settings).run("75ms")
    found = models.network("model.py")
    found.network.seed = 3_000_000_000
    with precise("float32"), Simulator(found.network, 0.0005, progress_bar=False) as simulator:
        simulator.run_steps(STEPS)
        assert_same(run, [simulator.data[probe] for probe in simulator.model.probes])


def test_the_commands_compile_check_inspect_and_run_networks(folder: Path) -> None:
    checked = command(cli.main, "check", "model.py:net")
    assert checked.stdout.splitlines() == [
        "model: 440 neurons in 3 ensembles, 15 probes, dt 0.001 s; no mistakes",
        *(f"model: runs in Python: {', '.join(call)}" for call in CALLS),
        *(f"model: {what} runs in Python because it {reason}" for what, reason in REASONS.items()),
    ]
    told = json.loads(command(cli.main, "check", "model.py", "--json").stdout)
    assert told["python"] == [list(call) for call in CALLS]
    assert told["because"] == REASONS
    made = command(cli.main, "compile", "model.py:net", "-n", "2")
    assert made.exit_code == 0
    assert (folder / "build" / "model" / "manifest.json").is_file()
    target = {p.name: p.target for p in load(folder / "build" / "model" / "manifest.json").probes}
    assert (target["shown"], target["rare"]) == ("b", "a")
    assert target["c.voltage"] == "c.voltage"
    plan = load(folder / "build" / "model" / "manifest.json")
    called = {p.operators["HostCalls"]: p.cost.compute["HostCalls"] for p in plan.partitions}
    assert called.keys() == {len(call) for call in CALLS}
    assert all(cost >= HOST_CALL * functions for functions, cost in called.items())
    shown = command(cli.main, "inspect", "build/model").stdout
    assert "every step; predictions take 5 us for each:\n  - the process Steps of random\n" in shown
    run = command(run_cli.main, "build/model", "--time", "20ms", "-o", "run")
    assert run.exit_code == 0
    told = ("the function noted (model.py:9), the function Leaky, the process Lowpass of leaky_2", *CALLS[1])
    assert all(f"runs Python of the model: {what}\n" in run.stderr for what in told)
    assert open_run("run").names == NAMES
    assert command(run_cli.main, "build/model", "--time", "20ms", "-o", "again", "--quiet").output == ""


@pytest.mark.parametrize("name", ["model.py", "alone.py"])
def test_compiling_twice_writes_the_same_bytes(folder: Path, commands: dict[str, str], name: str) -> None:
    """Two processes, with other addresses and another order of hashes; also where there is no seed."""
    (folder / "alone.py").write_text(MODEL.replace("seed=3", ""), encoding="utf-8")
    said = []
    for number in ("1", "2"):
        arguments = ["spikec", "compile", name, "-n", "2", "-q", "-o", f"out{number}"]
        done = subprocess.run(
            arguments, env=commands | {"PYTHONHASHSEED": number}, cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stderr)
    files = sorted(path.relative_to("out1") for path in Path("out1").rglob("*") if path.is_file())
    assert any(path.suffix == ".pickle" for path in files)
    for path in files:
        assert (Path("out1") / path).read_bytes() == (Path("out2") / path).read_bytes(), path


def test_the_seed_that_is_taken_is_said(folder: Path) -> None:
    (folder / "alone.py").write_text(MODEL.replace("seed=3", ""), encoding="utf-8")
    said = command(cli.main, "compile", "alone.py:net").stderr
    assert said.startswith(
        "note: net has no seed, so 0 is taken; write seed=... in the file, or give --seed\n"
    )


NATIVE = """
import nengo
import numpy as np

with nengo.Network(seed=1) as net:
    stimulus = nengo.Node(lambda t: np.sin(6 * t))
    a = nengo.Ensemble(300, 1)
    b = nengo.Ensemble(100, 1)
    nengo.Connection(stimulus, a)
    nengo.Probe(nengo.Connection(a, b, synapse=0.01), sample_every=0.002)
    nengo.Probe(b, synapse=0.01)
"""


def test_a_network_without_python_goes_on_from_a_saved_state(folder: Path) -> None:
    """What a synapse gives at the end of a step is recorded in that step."""
    (folder / "native.py").write_text(NATIVE, encoding="utf-8")
    whole, halves = (spikec.compile("native.py", n, folder / f"out{n}") for n in (1, 2))
    expected = whole.run("150ms")
    first = halves.run("71ms", save_state="state")
    second = halves.run("79ms", load_state="state")
    for name in expected.names:
        joined = np.concatenate([first.probe(name), second.probe(name)])
        np.testing.assert_array_equal(joined, expected.probe(name))


HOSTS = """
[[host]]
name = "desk"
address = "127.0.0.1"
cores = 1

[[host]]
name = "other"
address = "127.0.0.1"
cores = 1
launch = ["env"]
"""


def test_python_runs_on_the_host_of_its_partition(folder: Path) -> None:
    (folder / "hosts.toml").write_text(HOSTS, encoding="utf-8")
    compiled = spikec.compile("model.py", 2, folder / "out", hosts="hosts.toml", host_profile="reference")
    assert {p.host for p in compiled.manifest.partitions} == {"desk", "other"}
    assert_same(compiled.run(TIME, folder / "run"), simulated("model.py"))


LEARNING = """
import nengo
import numpy as np

with nengo.Network(seed=1) as net:
    stimulus = nengo.Node(lambda t: np.sin(30 * t))
    a = nengo.Ensemble(60, 1)
    learned = nengo.Connection(stimulus, a, learning_rule_type=nengo.Voja())
    probe = nengo.Probe(learned.learning_rule, "scaled_encoders")
    decoded = nengo.Probe(a, synapse=0.01)
"""


def test_encoders_that_learn_are_compiled(folder: Path) -> None:
    (folder / "voja.py").write_text(LEARNING, encoding="utf-8")
    compiled = spikec.compile("voja.py", "auto", folder / "out")
    assert compiled.manifest.calls == ()
    assert_same(compiled.run(TIME, folder / "run"), simulated("voja.py"))


LISTED = """
import nengo

with nengo.Network(seed=1) as net:
    parts = []
    for _ in range(2):
        with nengo.Network() as part:
            part.inner = nengo.Ensemble(20, 1)
        parts.append(part)
        nengo.Probe(part.inner)
del part
"""


SOME = """import nengo

with nengo.Network(seed=1) as net:
    a = nengo.Ensemble(300, 1)
    every = nengo.Probe(a.neurons)
    some = nengo.Probe(a.neurons[3::7])
    voltage = nengo.Probe(a.neurons[[5, 2]], "voltage")
"""


@pytest.mark.parametrize("partitions", [1, 2])
def test_probes_of_some_neurons_say_which(folder: Path, partitions: int) -> None:
    (folder / "some.py").write_text(SOME, encoding="utf-8")
    run = spikec.compile("some.py:net", partitions).run(TIME)
    every, some, voltage = map(run.probe, run.names)
    assert every.attrs["units"] == some.attrs["units"] == "Hz"
    assert some.neuron.values.tolist() == list(range(3, 300, 7))
    np.testing.assert_array_equal(some.values, every.values[:, 3::7])
    assert every.values.any()
    assert voltage.neuron.values.tolist() == [5, 2]
    assert "neuron" not in every.coords


def test_what_networks_in_a_list_hold_is_called_by_it(folder: Path) -> None:
    (folder / "listed.py").write_text(LISTED, encoding="utf-8")
    compiled = spikec.compile("listed.py", 1, folder / "out")
    assert [p.name for p in compiled.manifest.probes] == ["parts_0_inner", "parts_1_inner"]


def test_spike_is_a_library_also_for_models_beside_its_sources(folder: Path) -> None:
    """Only modules of the user's own go into the pickle with their code."""
    root = Path(spikec.__file__).resolve().parent.parent
    found = models.network(str(folder / "model.py"))
    beside = dataclasses.replace(found, path=root / "model.py")
    import converted  # a module of the tests, which lie there too

    assert not pickling.is_beside(sys.modules["spikec.nengo.calls"], beside)
    assert pickling.is_beside(converted, beside)
    assert not pickling.is_beside(converted, found)
    assert not pickling.is_beside(np, beside)
