"""Nengo networks compiled from Python files: the same bytes as `spikec.nengo.Simulator`, for every cut."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from converted import nengo
from spike_runtime import cli as run_cli
from spike_runtime.launch import RunFailedError
from spike_runtime.manifest import load
from spike_runtime.results import Run, open_run
from spike_runtime.runfile import RunError

import spikec
from spikec import cli, models
from spikec.nengo import Simulator, pickling
from spikec.nengo.compiling import precise

assert nengo.rc.get("decoder_cache", "enabled") == "False"
STEPS, TIME = 150, "150ms"
# Native throughout, but for what is said: a function that captures a list, a class of the file, a process of
# its own, random numbers, learning that is none of Nengo's.
MODEL = '''
import nengo
import numpy as np
from beside import squared

seen = []


def noted(t, x):
    seen.append(t)
    return [len(seen) / 1000, squared(x[0])]


class Leaky:
    """Keeps a state of its own."""

    def __init__(self, rate):
        self.rate, self.value = rate, 0.0

    def __call__(self, t, x):
        self.value += self.rate * (x[0] - self.value)
        return self.value


class Steps(nengo.Process):
    def make_step(self, shape_in, shape_out, dt, rng, state):
        def step(t):
            return rng.uniform(-1, 1, size=shape_out)

        return step


with nengo.Network(seed=3) as net:
    stimulus = nengo.Node(lambda t: [np.sin(20 * t), np.cos(9 * t)])
    unseeded = nengo.Node(nengo.processes.WhiteSignal(0.05, high=60), size_out=1)
    random = nengo.Node(Steps(), size_out=1)
    white = nengo.Node(nengo.processes.WhiteNoise(), size_out=1)
    a = nengo.Ensemble(300, dimensions=2)
    b = nengo.Ensemble(80, dimensions=1, label="the product")
    c = nengo.Ensemble(60, dimensions=1, neuron_type=nengo.AdaptiveLIF())
    note = nengo.Node(noted, size_in=1)
    leaky = nengo.Node(Leaky(0.1), size_in=1)
    nengo.Connection(stimulus, a)
    nengo.Connection(a, b, function=lambda x: x[0] * x[1], synapse=0.01)
    nengo.Connection(unseeded, c)
    nengo.Connection(random, c, synapse=0.03)
    nengo.Connection(white, b, transform=0.02)
    nengo.Connection(b, note)
    nengo.Connection(note[1], leaky, synapse=None)
    learned = nengo.Connection(leaky, c, synapse=0.02)
    taught = nengo.Connection(b, c, learning_rule_type=nengo.PES(1e-4))
    nengo.Connection(c, taught.learning_rule)
    shown = nengo.Probe(b, synapse=0.01)
    rare = nengo.Probe(a, synapse=0.02, sample_every=0.003)
    nengo.Probe(b)
    nengo.Probe(b, synapse=0.03)
    nengo.Probe(note)
    nengo.Probe(leaky, sample_every=0.005)
    nengo.Probe(leaky, synapse=0.01)
    nengo.Probe(a.neurons)
    nengo.Probe(c.neurons, "voltage")
    nengo.Probe(c.neurons[20:23], "adaptation")
    nengo.Probe(taught, "weights", sample_every=0.05)
    nengo.Probe(stimulus[1])
    nengo.Probe(b.neurons, synapse=0.01)
    filtered = nengo.Connection(b, c, synapse=nengo.Alpha(0.01))
    nengo.Probe(filtered)
    nengo.Probe(filtered, sample_every=0.01)
'''
# What stays Python: all else is computed in compiled code.
CALLS = (
    (
        "the process Steps of random",
        "the process WhiteNoise of white",
        "the function noted (model.py:9)",
        "the function Leaky",
        "the process Lowpass of leaky.2",
    ),
)
NAMES = (
    "shown", "rare", "the_product", "the_product.2", "note", "leaky", "leaky.2", "a.neurons", "c.voltage",
    "c.adaptation",
    "taught.weights", "stimulus", "the_product.neurons", "filtered", "filtered.2",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference_host: Path) -> Iterator[Path]:
    """A folder with the model; what it imports is forgotten afterwards."""
    assert reference_host.is_dir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    (tmp_path / "beside.py").write_text("def squared(x):\n    return x**2\n", encoding="utf-8")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def simulated(target: str, **options: object) -> list[np.ndarray]:
    """What every probe recorded in a session."""
    found = models.network(target)
    with Simulator(found.network, progress_bar=False, **options) as simulator:
        simulator.run_steps(STEPS)
        return [simulator.data[probe] for probe in simulator.model.probes]


def assert_same(run: Run, expected: list[np.ndarray]) -> None:
    for name, want in zip(run.names, expected, strict=True):
        got = run.probe(name).values
        assert not len(want) or np.abs(want).max() > 0, name
        np.testing.assert_array_equal(got, want.reshape(got.shape), err_msg=name)


@pytest.mark.parametrize("partitions", [1, 2, 3])
def test_a_compiled_network_gives_what_the_simulator_gives(folder: Path, partitions: int) -> None:
    compiled = spikec.compile("model.py:net", partitions, folder / "out")
    # What is compiled does not need the files any more.
    (folder / "model.py").unlink()
    (folder / "beside.py").unlink()
    run = compiled.run(TIME, folder / "run")
    assert run.names == NAMES
    assert len(compiled.manifest.partitions) == partitions
    (python,) = [p.python for p in compiled.manifest.partitions if p.python]
    assert python.calls == CALLS
    # Programs record what synapses give at the end of a step in the step after.
    assert [p.name for p in compiled.manifest.probes if p.ahead] == ["filtered", "filtered.2"]
    (folder / "model.py").write_text(MODEL, encoding="utf-8")
    (folder / "beside.py").write_text("def squared(x):\n    return x**2\n", encoding="utf-8")
    assert_same(run, simulated("model.py:net"))


def test_single_precision_and_another_step_and_seed(folder: Path) -> None:
    settings = {"precision": "float32", "seed": 11, "dt": "0.5ms"}
    run = spikec.compile("model.py", 2, folder / "out", **settings).run("75ms")
    found = models.network("model.py")
    found.network.seed = 11
    with precise("float32"), Simulator(found.network, 0.0005, progress_bar=False) as simulator:
        simulator.run_steps(STEPS)
        assert_same(run, [simulator.data[probe] for probe in simulator.model.probes])


def command(main: object, *arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def refusal(*arguments: object) -> str:
    """What is said of bad input, of which nothing is written."""
    result = command(cli.main, *arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert not Path("build").exists()
    return result.stderr


def test_the_commands_compile_check_inspect_and_run_networks(folder: Path) -> None:
    checked = command(cli.main, "check", "model.py:net")
    assert checked.stdout.splitlines() == [
        "model: 440 neurons in 3 ensembles, 15 probes, dt 0.001 s; no mistakes",
        f"model: runs in Python: {', '.join(CALLS[0])}",
    ]
    assert json.loads(command(cli.main, "check", "model.py", "--json").stdout)["python"] == [list(CALLS[0])]
    made = command(cli.main, "compile", "model.py:net", "-n", "2")
    assert made.exit_code == 0
    assert (folder / "build" / "model" / "manifest.json").is_file()
    target = {p.name: p.target for p in load(folder / "build" / "model" / "manifest.json").probes}
    assert (target["shown"], target["rare"]) == ("the_product", "a")
    assert target["c.voltage"] == "c.voltage"
    shown = command(cli.main, "inspect", "build/model").stdout
    assert "every step; predictions take 5 us for each:\n  - the process Steps of random\n" in shown
    run = command(run_cli.main, "build/model", "--time", "20ms", "-o", "run")
    assert run.exit_code == 0
    assert (
        "runs Python of the model: the process Steps of random, the process WhiteNoise of white, "
        in run.stderr
    )
    assert "the function noted (model.py:9) and 2 more" in run.stderr
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


@pytest.mark.parametrize("partitions", [1, 2])
def test_what_a_function_raises_ends_the_run_with_its_traceback(folder: Path, partitions: int) -> None:
    (folder / "model.py").write_text(MODEL.replace("seen.append(t)", "seen.append(1 / (t - 0.05))"))
    compiled = spikec.compile("model.py:net", partitions, folder / "out")
    with pytest.raises(RunFailedError) as caught:
        compiled.run(TIME, folder / "run")
    lines = str(caught.value).splitlines()
    (owner,) = [p.index for p in compiled.manifest.partitions if p.python]
    first = f"partition {owner} failed: Python of the model raised ZeroDivisionError at 0.05 s, step 50"
    assert lines[0] == first
    assert lines[-4:] == [
        '  File "model.py", line 10, in noted',
        "    seen.append(1 / (t - 0.05))",
        "                ~~^~~~~~~~~~~~",
        "ZeroDivisionError: float division by zero",
    ]
    # A probe needs a step more: another partition may not have come so far when it was stopped.
    run = caught.value.run
    assert run is not None
    assert run.about.recorded == 49 or (partitions > 1 and run.about.recorded == 48)
    (folder / "model.py").write_text(MODEL, encoding="utf-8")
    assert_same(
        run,
        [samples[: len(run.probe(name))] for name, samples in zip(NAMES, simulated("model.py"), strict=True)],
    )


def test_what_the_model_prints_is_seen(folder: Path, commands: dict[str, str]) -> None:
    (folder / "model.py").write_text(MODEL.replace("seen.append(t)", "print('now', t)"), encoding="utf-8")
    spikec.compile("model.py:net", 2, folder / "out")
    done = subprocess.run(
        ["spike-run", "out", "--time", "3ms", "-o", "run", "-q"],
        env=commands,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "now 0.001\nnow 0.002\nnow 0.003\n"


def test_changed_python_is_refused(folder: Path) -> None:
    compiled = spikec.compile("model.py:net", 1, folder / "out")
    (path,) = (folder / "out").rglob("*.pickle")
    path.write_bytes(path.read_bytes() + b".")
    result = command(run_cli.main, compiled.folder, "--time", "10ms", "-q")
    assert result.exit_code == 2
    assert "calls.pickle was changed after it was compiled (checksum)" in result.stderr


MISTAKES = {
    "what is for the language": (
        ["compile", "model.py", "--param", "n=2", "--memory-limit", "2GB", "--allow-outside"],
        "error: --param is for models in the language, and model.py is Python\n"
        "  help: set it in the Python file, for example by a function that makes the network\n"
        "error: --allow-outside is for models in the language, and model.py is Python\n"
        "  help: leave it out: a Python file reads what it likes\n"
        "error: --memory-limit is for models in the language, and model.py is Python\n"
        "  help: leave it out: Nengo builds a network without looking at memory\n",
    ),
    "a seed that Nengo does not take": (
        ["compile", "model.py", "--seed", "-3"],
        "error: -3 is not a seed of Nengo\n  help: give a number from 0 to 2147483646\n",
    ),
    "a sampling period between steps": (
        ["compile", "model.py", "--dt", "0.7ms"],
        "error: the probe rare has sample_every=0.003, which is no whole number of steps of 0.0007 s\n"
        "  help: give a multiple of the step, for example sample_every=0.0028\n",
    ),
    "what cannot be kept": (
        ["compile", "open.py"],
        "error: the function f (open.py:3) cannot be kept in the compiled model: "
        "Cannot pickle files that are not opened for reading: w\n"
        "  help: open files, windows and connections in the first step, not before, and give the node its "
        "size_out, for else Nengo calls its function when it is made; "
        "or run the model in Python: spikec.nengo.Simulator\n",
    ),
    "what Nengo refuses": (
        ["check", "broken.py"],
        "error: broken.py: net cannot be built: Input graph has cycles. ",
    ),
    "no probe": (
        ["compile", "empty.py"],
        "error: net records nothing: it has no probe\n",
    ),
}  # fmt: skip
OTHERS = {
    "open.py": "import nengo\nlog = open('log', 'w')\ndef f(t):\n    log.write('x')\n"
    "with nengo.Network(seed=1) as net:\n    nengo.Probe(nengo.Node([1]))\n    nengo.Node(f)\n",
    "broken.py": "import nengo\nwith nengo.Network(seed=1) as net:\n"
    "    a, b = nengo.Node(size_in=1), nengo.Node(size_in=1)\n    nengo.Probe(a)\n"
    "    nengo.Connection(a, b, synapse=None)\n    nengo.Connection(b, a, synapse=None)\n",
    "empty.py": "import nengo\nwith nengo.Network(seed=1) as net:\n    nengo.Node([1])\n",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_told_with_a_remedy(folder: Path, mistake: str) -> None:
    arguments, told = MISTAKES[mistake]
    for name, text in OTHERS.items():
        (folder / name).write_text(text, encoding="utf-8")
    assert refusal(*arguments).startswith(told)


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
    """What is recorded a step later does not move the state."""
    (folder / "native.py").write_text(NATIVE, encoding="utf-8")
    whole, halves = (spikec.compile("native.py", n, folder / f"out{n}") for n in (1, 2))
    assert [p.ahead for p in whole.manifest.probes] == [True, False]
    expected = whole.run("150ms")
    first = halves.run("71ms", save_state="state")
    second = halves.run("79ms", load_state="state")
    for name in expected.names:
        joined = np.concatenate([first.probe(name), second.probe(name)])
        np.testing.assert_array_equal(joined, expected.probe(name))


def test_state_of_python_cannot_be_saved(folder: Path) -> None:
    compiled = spikec.compile("model.py", 1, folder / "out")
    with pytest.raises(RunError, match="calls Python functions, whose state cannot be saved"):
        compiled.run("10ms", save_state="state")


def test_without_nengo_a_run_says_so(folder: Path, commands: dict[str, str]) -> None:
    spikec.compile("model.py", 2, folder / "out")
    (folder / "without").mkdir()
    missing = "raise ModuleNotFoundError(\"No module named 'nengo'\", name='nengo')"
    (folder / "without" / "nengo.py").write_text(missing, encoding="utf-8")
    path = os.pathsep.join([str(folder / "without"), commands.get("PYTHONPATH", "")])
    done = subprocess.run(
        ["spike-run", "out", "--time", "3ms", "-q"],
        env=commands | {"PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: the model calls Python that needs what is not installed here: "
        "spikec.nengo runs models of Nengo, which is not installed: pip install 'spike-compiler[nengo]'\n"
    )


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


WRITING = """
import nengo

opened = []


def written(t):
    if not opened:
        opened.append(open("log.txt", "w"))
    opened[0].write(f"{t:g}\\n")
    return 1 / (t - TIME)


with nengo.Network(seed=1) as net:
    nengo.Probe(nengo.Node(written, size_out=1))
"""


@pytest.mark.parametrize(("failing", "lines"), [("1.0", 20), ("0.01", 10)])
def test_files_that_functions_opened_are_closed_at_the_end(
    folder: Path, commands: dict[str, str], failing: str, lines: int
) -> None:
    (folder / "writing.py").write_text(WRITING.replace("TIME", failing), encoding="utf-8")
    spikec.compile("writing.py", 1, folder / "out")
    run = ["spike-run", "out", "--time", "20ms", "-q", "-o", "run"]
    done = subprocess.run(run, env=commands, cwd=folder, capture_output=True, text=True)
    assert done.returncode == (failing == "0.01"), done.stderr
    assert (folder / "log.txt").read_text() == "".join(f"{k / 1000:g}\n" for k in range(1, lines + 1))


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
