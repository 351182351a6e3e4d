"""A Nengo network of many kinds in a Python file, what it is called, and the commands that take it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from converted import nengo
from spike_runtime.results import Run

from spikec import cli, models
from spikec.nengo import Simulator

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
# What stays Python: all else is computed in compiled code.  Those of a call hand each other numbers.
CALLS = (
    ("the function noted (model.py:9)", "the function Leaky", "the process Lowpass of leaky_2"),
    ("the process Steps of random",),
)
REASONS = {
    "the function noted (model.py:9)": "changes the list 'seen' (model.py:10)",
    "the function Leaky": "changes self.value (model.py:21)",
    "the process Lowpass of leaky_2": "filters signals of what runs in Python",
    "the process Steps of random": "is none that is compiled here",
}
NAMES = (
    "shown", "rare", "b", "b_2", "note", "leaky", "leaky_2", "a.neurons", "c.voltage",
    "c.adaptation",
    "taught.weights", "stimulus", "b.neurons", "filtered", "filtered_2",
)  # fmt: skip


@contextmanager
def model_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder with the model; what it imports is forgotten afterwards."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (folder / "model.py").write_text(MODEL, encoding="utf-8")
    (folder / "beside.py").write_text("def squared(x):\n    return x**2\n", encoding="utf-8")
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
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
        assert got.shape == want.shape, name
        np.testing.assert_array_equal(got, want, err_msg=name)


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
