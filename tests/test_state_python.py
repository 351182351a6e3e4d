"""Saved states of models that call Python functions: these go on with all that they hold."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import nengo
from runs import refused
from spike_runtime import launch, supervise
from spike_runtime.python import loads
from spike_runtime.results import Run, open_run
from spike_runtime.runfile import RunError
from test_state_runs import same
from test_state_stops import interrupting

import spikec
from spikec.keeping import bytes_of, is_of_folder

assert nengo.rc.get("decoder_cache", "enabled") == "False"
# A list, a counter of the module, one of another module, random numbers of two kinds, an array that looks
# at another one, a process with state, and what two functions share.
MODEL = '''
import beside
import nengo
import numpy as np

seen, steps = [], 0
random = np.random.default_rng(5)


def noted(t, x):
    global steps
    seen.append(float(x[0]))
    steps += 1
    return [len(seen) / 1000, np.mean(seen[-30:]), steps / 500]


def counted(t):
    return [beside.next_one() / 300, random.normal() + len(seen) / 100]


class Ring:
    """Keeps the last values; `newest` looks at one of them."""

    def __init__(self, size):
        self.values = np.zeros((size, 2))
        self.newest = self.values[-1]

    def __call__(self, t, x):
        self.values[:-1] = self.values[1:]
        self.newest[:] = x
        return self.values.sum(axis=0) / 10


class Walk(nengo.Process):
    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"place": np.zeros(shape_out)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        place = state["place"]

        def step(t):
            place[...] += rng.normal(scale=0.1, size=shape_out)
            return place

        return step


with nengo.Network(seed=3) as net:
    stimulus = nengo.Node(lambda t: [np.sin(20 * t), np.cos(9 * t)])
    walk = nengo.Node(Walk(seed=7), size_out=1)
    white = nengo.Node(nengo.processes.WhiteNoise(), size_out=1)
    a = nengo.Ensemble(300, dimensions=2)
    b = nengo.Ensemble(270, dimensions=1)
    c = nengo.Ensemble(60, dimensions=1)
    note = nengo.Node(noted, size_in=1)
    count = nengo.Node(counted, size_out=2)
    ring = nengo.Node(Ring(9), size_in=2)
    nengo.Connection(stimulus, a)
    nengo.Connection(a, b, function=lambda x: x[0] * x[1], synapse=0.01)
    nengo.Connection(walk, c, synapse=0.03)
    nengo.Connection(white, b, transform=0.02)
    nengo.Connection(b, note)
    nengo.Connection(note[1], c, synapse=0.02)
    nengo.Connection(count, a, synapse=0.01)
    nengo.Connection(a, ring, synapse=None)
    nengo.Connection(ring[0], b, transform=0.1)
    taught = nengo.Connection(b, c, learning_rule_type=nengo.PES(1e-4))
    nengo.Connection(c, taught.learning_rule)
    nengo.Probe(b, synapse=0.01)
    nengo.Probe(a, synapse=0.02, sample_every=0.003)
    nengo.Probe(note)
    nengo.Probe(count)
    nengo.Probe(ring, sample_every=0.005)
    nengo.Probe(ring, synapse=0.01)
    nengo.Probe(walk)
    nengo.Probe(c.neurons)
    nengo.Probe(taught, "weights", sample_every=0.05)
'''
BESIDE = "last = 0\n\n\ndef next_one():\n    global last\n    last += 1\n    return last\n"
PROBED = (
    "\nimport nengo\nwith nengo.Network(seed=1) as net:\n    p = nengo.Probe(nengo.Node(f, size_out=1))\n"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, measured_host: Path) -> Iterator[Path]:
    """A folder to work in, and files of it; what was imported from there is forgotten afterwards."""
    folder = tmp_path_factory.mktemp("python")
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", list(sys.path))
        patch.setenv("SPIKE_CACHE_DIR", str(measured_host))
        yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def compiled(
    home: Path, text: str, name: str, partitions: int = 1, out: str = "", hosts: Path | None = None
) -> spikec.Compiled:
    (home / f"{name}.py").write_text(text, encoding="utf-8")
    out = out or f"{name}-{partitions}"
    return spikec.compile(f"{name}.py:net", partitions, home / out, cache=False, hosts=hosts)


@pytest.fixture(scope="module")
def made(home: Path) -> dict[int, spikec.Compiled]:
    """The model, in as many partitions, without its files; 4: in 3, on two hosts, of which one is here and
    the other is another process.
    """
    (home / "beside.py").write_text(BESIDE, encoding="utf-8")
    made = {n: compiled(home, MODEL, "model", n) for n in (1, 2, 3)}
    entry = '[[host]]\nname = "{}"\naddress = "127.0.0.1"\ncores = 2\nlaunch = {}\n'
    hosts = home / "hosts.toml"
    hosts.write_text(entry.format("desk", "[]") + entry.format("other", '["env"]'))
    made[4] = compiled(home, MODEL, "model", 3, "model-4", hosts)
    (home / "beside.py").unlink()
    (home / "model.py").unlink()
    return made


@pytest.fixture(scope="module")
def whole(made: dict[int, spikec.Compiled], home: Path) -> Run:
    return made[1].run("120ms", home / "whole", save_state=home / "whole.npz")


def arrays(path: Path) -> dict[str, Any]:
    """What a state holds besides Python, of which each process makes other bytes."""
    with np.load(path) as found:
        about = json.loads(str(found["about"]))
        assert about.pop("pickled") == hashlib.sha256(found["python"].tobytes()).hexdigest()
        names = set(found) - {"python", "about"}
        return {name: found[name].tobytes() for name in names} | {"about": about}


@pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 3), (2, 4), (4, 1), (3, 2)])
def test_functions_go_on_at_any_cut(
    made: dict[int, spikec.Compiled], whole: Run, home: Path, before: int, after: int
) -> None:
    name = f"{before}-{after}"
    assert len(made[3].manifest.partitions) == 3
    first = made[before].run("47ms", home / f"{name}.a", save_state=f"{name}.npz")
    end = f"{name}.end.npz"
    rest = made[after].run("73ms", home / f"{name}.b", load_state=f"{name}.npz", save_state=end)
    assert all(np.abs(whole.probe(probe).values).max() > 0 for probe in whole.names)
    same(whole, first, rest)
    assert arrays(home / end) == arrays(home / "whole.npz")


def test_a_state_goes_on_more_than_once(made: dict[int, spikec.Compiled], whole: Run, home: Path) -> None:
    first = made[2].run("31ms", home / "o1", save_state="o1.npz")
    second = made[1].run("1ms", home / "o2", load_state="o1.npz", save_state="o2.npz")
    third = made[2].run("88ms", home / "o3", load_state="o2.npz", transport="tcp")
    same(whole, first, second, third)


def test_a_run_that_is_stopped_goes_on(made: dict[int, spikec.Compiled], home: Path) -> None:
    first = made[2].run("1000s", home / "s1", progress=interrupting(), save_state="s1.npz")
    assert first.status == "stopped"
    steps = first.about.recorded
    rest = made[3].run("40ms", home / "s2", load_state="s1.npz", save_state="s2.npz")
    whole = made[1].run((steps + 40) / 1000, home / "s3", save_state="s3.npz", save_every="17ms")
    same(whole, first, rest)
    assert arrays(home / "s2.npz") == arrays(home / "s3.npz")


def test_a_run_that_hangs_is_ended_without_its_state(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import time\n\ndef f(t):\n    time.sleep(1000 * (t > 0.0205))\n    return len(str(t))\n" + PROBED
    model = compiled(home, text, "hangs")
    monkeypatch.setattr(supervise, "STOP_WITHIN", 0.1)
    monkeypatch.setattr(supervise, "SAVE_WITHIN", 0.5)
    with pytest.raises(
        launch.RunFailedError, match=r"state could not be saved to hangs\.npz: no step ended"
    ) as caught:
        model.run("1s", home / "h", progress=interrupting(), save_state="hangs.npz")
    assert not (home / "hangs.npz").exists()
    assert caught.value.run is not None
    assert caught.value.run.status == "stopped"


def test_python_that_is_another_now_is_refused(home: Path) -> None:
    text = "def f(t):\n    return len(str(t))\n" + PROBED
    old = compiled(home, text, "changes")
    old.run("5ms", home / "c1", save_state="changes.npz")
    new = compiled(home, text.replace("len(str(t))", "len(str(t)) + 1"), "changes")
    assert refused(new, home, load_state=home / "changes.npz") == (
        "changes.npz is not of this model: the Python that the model calls was another when it was saved; "
        "compile the model that it is of, or take what was learned alone with load_weights="
    )
    native = compiled(home, text.replace("len(str(t))", "t"), "changes")
    assert "only the file has functions, processes or neurons that run in Python" in refused(
        native, home, load_state=home / "changes.npz"
    )


OPENS = """
class Log:
    file = None

    def __call__(self, t):
        self.file = self.file or open("log.txt", "w")
        self.file.write(f"{t:.3f}\\n")
        return t
f = Log()
"""


def test_what_cannot_be_kept_is_named_and_the_results_stay(home: Path) -> None:
    log = compiled(home, OPENS + PROBED, "opens")
    (home / "old").mkdir()
    with pytest.raises(launch.RunFailedError) as caught:
        log.run("8ms", home / "opened", save_state=home / "old" / "log.npz")
    assert str(caught.value).startswith(
        f"the run is complete, but its state could not be saved to {home / 'old' / 'log.npz'}: "
        "the function Log cannot be kept: "
    )
    assert list((home / "old").iterdir()) == []
    run = open_run(home / "opened")
    assert (run.status, len(run.probe("p"))) == ("complete", 8)
    assert (home / "log.txt").read_text().splitlines() == [f"{k / 1000:.3f}" for k in range(1, 9)]


def test_the_commands(home: Path, made: dict[int, spikec.Compiled], whole: Run, commands: Any) -> None:
    def spike_run(*arguments: str) -> None:
        command = ["spike-run", *arguments, "-q"]
        subprocess.run(command, env=commands, cwd=home, check=True)

    spike_run(str(made[2].folder), "-t", "50ms", "-o", "c-a", "--save-state", "c.npz")
    spike_run(str(made[1].folder), "-t", "70ms", "-o", "c-b", "--load-state", "c.npz")
    same(whole, open_run(home / "c-a"), open_run(home / "c-b"))
    shown = subprocess.run(
        ["spikec", "inspect", "c.npz"], env=commands, cwd=home, capture_output=True, text=True, check=True
    )
    assert "\n... and the Python that the model runs, with its state: " in shown.stdout


def test_arrays_that_look_at_others_still_do() -> None:
    def own(names: Any) -> bool:
        return is_of_folder(names, Path("/nowhere"))

    base = np.arange(24.0).reshape(4, 6)
    memory, slow = np.zeros(5), np.asfortranarray(base)
    value = [base, base[1:, ::2], base.T[2], base[::-1, 3], slow[2], memory, memory[1:3], memory.data]
    views = [base[2], np.broadcast_to(base[3], (2, 6)), base[:0], base.view(np.int64)[0]]
    data = bytes_of([value[:-1], views], own, [memory])
    there = np.ones(5)
    found, seen = loads(data, [there])
    assert found[5] is there
    for made, given in zip((*found[:5], *seen), (*value[:5], *views), strict=True):
        np.testing.assert_array_equal(made, given)
        assert made.flags.writeable == given.flags.writeable
        assert made.dtype == given.dtype
    found[0][...], there[...] = -found[0], 7
    for made, given in zip((*found[:4], *seen[:3]), (*value[:4], *views[:3]), strict=True):
        np.testing.assert_array_equal(made, -given)
    assert found[6].tolist() == [7, 7]


def test_load_weights_needs_no_python(home: Path, made: dict[int, spikec.Compiled], whole: Run) -> None:
    """What the file holds of Python is not looked at."""
    begun = made[1].run("1ms", home / "w", load_weights=home / "whole.npz")
    assert begun.about.start == 0
    with pytest.raises(RunError, match="give one of them"):
        made[1].run("1ms", home / "w2", load_weights="whole.npz", load_state="whole.npz")
    assert begun.probe("note").values[0].tolist() == whole.probe("note").values[0].tolist()
