"""Compiled Nengo networks that go wrong: what is refused with a remedy, what functions raise and print."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from compiled_nengo import MODEL, NAMES, TIME, assert_same, command, model_folder, refusal, simulated
from spike_runtime import cli as run_cli
from spike_runtime.launch import RunFailedError

import spikec


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference_host: Path) -> Iterator[Path]:
    """The folder with the model, in which commands work."""
    assert reference_host.is_dir()
    with model_folder(tmp_path, monkeypatch):
        yield tmp_path


@pytest.mark.parametrize("partitions", [1, 2])
def test_what_a_function_raises_ends_the_run_with_its_traceback(folder: Path, partitions: int) -> None:
    (folder / "model.py").write_text(MODEL.replace("seen.append(t)", "seen.append(1 / (t - 0.05))"))
    compiled = spikec.compile("model.py:net", partitions, folder / "out")
    with pytest.raises(RunFailedError) as caught:
        compiled.run(TIME, folder / "run")
    lines = str(caught.value).splitlines()
    owners = [p.index for p in compiled.manifest.partitions if p.python]
    told = "failed: Python of the model raised ZeroDivisionError at 0.05 s, step 50"
    assert lines[0] in [f"partition {owner} {told}" for owner in owners]
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


def test_changed_python_is_refused(folder: Path) -> None:
    compiled = spikec.compile("model.py:net", 1, folder / "out")
    (path,) = (folder / "out").rglob("*.pickle")
    path.write_bytes(path.read_bytes() + b".")
    result = command(run_cli.main, compiled.folder, "--time", "10ms", "-q")
    assert result.exit_code == 2
    assert "calls.pickle was changed after it was compiled (checksum)" in result.stderr


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
        "spikec.nengo runs models of Nengo, which is not installed: "
        "pip install 'nengo>=4.1' 'cloudpickle>=3.1,<3.2'\n"
    )


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
        "error: -3 is not a seed of Nengo\n  help: give a number from 0 to 4294967294\n",
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


def test_where_a_file_that_is_not_there_was_looked_for_is_told(folder: Path) -> None:
    text = "import nengo, numpy as np\ndef f(t):\n    return np.load('none.npy')[0]\n"
    text += "with nengo.Network(seed=1) as net:\n    nengo.Probe(nengo.Node(f, size_out=1))\n"
    (folder / "data.py").write_text(text, encoding="utf-8")
    model = spikec.compile("data.py:net", 1, folder / "data")
    with pytest.raises(RunFailedError) as caught:
        model.run("5ms")
    assert f"\n'none.npy' was looked for in {folder}; start the run in the folder of" in str(caught.value)


def test_a_value_that_is_not_finite_is_told_with_the_place_of_the_function(folder: Path) -> None:
    """Two functions of one name: the message of Nengo does not tell which it was."""
    lines = [
        "import nengo",
        "seen = []",
        "with nengo.Network(seed=1) as net:",
        "    fine = nengo.Node(lambda t: seen.append(t) or 1.0, size_out=1)",
        "    wrong = nengo.Node(lambda t: seen.append(t) or float('nan'), size_out=1)",
        "    shown = [nengo.Probe(node) for node in net.nodes]",
    ]
    (folder / "nan.py").write_text("\n".join(lines), encoding="utf-8")
    model = spikec.compile("nan.py:net", 1, folder / "nan")
    with pytest.raises(RunFailedError) as caught:
        model.run("5ms")
    assert "Function '<lambda>' returned non-finite value\nThis was the function <lambda> (nan.py:5)." in str(
        caught.value
    )
