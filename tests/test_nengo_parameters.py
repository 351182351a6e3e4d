"""Classes of the model's file with Nengo's parameters of their own: they are kept, loaded, and go on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import nengo
from test_state_runs import same

import spikec

assert nengo is not None
HEAD = '''
import nengo
import numpy as np
from nengo.builder import Builder, Operator
from nengo.params import EnumParam, NumberParam


class Spread(nengo.dists.Distribution):
    """Drawn by a process."""

    width = NumberParam("width", low=0)

    def __init__(self, width):
        super().__init__()
        self.width = width

    def sample(self, n, d=None, rng=np.random):
        return rng.normal(scale=self.width, size=(n,) if d is None else (n, d))


class Drift(nengo.Process):
    rate = NumberParam("rate", low=0)
    mode = EnumParam("mode", values=("up", "down"))

    def __init__(self, rate, mode="up", seed=None):
        super().__init__(default_size_in=0, default_size_out=1, seed=seed)
        self.rate, self.mode = rate, mode

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"x": np.zeros(shape_out)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        x, sign = state["x"], 1 if self.mode == STANDARD.mode else -1
        draw = Spread(self.rate)

        def step(t):
            x[...] += sign * dt * draw.sample(1, rng=rng) + STANDARD.rate * dt
            return x

        return step


STANDARD = Drift(2.0)  # the class holds this, by way of `make_step`


class Squashed(nengo.synapses.Synapse):
    tau = NumberParam("tau", low=0)

    def __init__(self, tau):
        super().__init__()
        self.tau = tau

    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=0):
        return {"y": np.zeros(shape_out)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        y, a = state["y"], np.exp(-dt / self.tau)

        def step(t, x):
            y[...] = a * y + (1 - a) * np.tanh(x)
            return y

        return step


class Power(nengo.RectifiedLinear):
    exponent = NumberParam("exponent", low=0)

    def __init__(self, exponent):
        super().__init__()
        self.exponent = exponent

    def step(self, dt, J, output):
        output[...] = np.maximum(J, 0) ** self.exponent


class Leaking(nengo.LIF):
    more = NumberParam("more", low=0)

    def __init__(self, more):
        super().__init__()
        self.more = more

    def step(self, dt, J, output, voltage, refractory_time):
        super().step(dt, J * self.more, output, voltage, refractory_time)


class Hebb(nengo.learning_rules.LearningRuleType):
    modifies = "weights"
    decay = NumberParam("decay", low=0, readonly=True)

    def __init__(self, decay):
        super().__init__(1e-8, size_in=0)
        self.decay = decay


class SimHebb(Operator):
    def __init__(self, rule, pre, post, delta):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [], [], [pre, post], [delta]
        self.rule = rule

    def make_step(self, signals, dt, rng):
        pre, post, delta = (signals[s] for s in (*self.reads, *self.updates))

        def step():
            delta[...] = self.rule.learning_rate * np.outer(post, pre) - self.rule.decay * delta

        return step


@Builder.register(Hebb)
def build(model, hebb, rule):
    ends = rule.connection.pre_obj, rule.connection.post_obj
    model.add_op(SimHebb(hebb, *(model.sig[end]["out"] for end in ends), model.sig[rule]["delta"]))


with nengo.Network(seed=1) as net:
    u = nengo.Node(lambda t: np.sin(20 * t))
    a, b = nengo.Ensemble(60, 1), nengo.Ensemble(50, 1)
    nengo.Connection(u, a)
    nengo.Connection(a, b)
    nengo.Probe(b, synapse=0.01, label="out")
'''
KINDS = {
    "process": "    nengo.Connection(nengo.Node(Drift(3.0, 'down', seed=2)), a)\n",
    "synapse": "    nengo.Connection(u, b, synapse=Squashed(0.02))\n",
    "rates": "    a.neuron_type = Power(1.5)\n",
    "spikes": "    b.neuron_type = Leaking(1.2)\n",
    "rule": "    w = nengo.Connection(a.neurons, a.neurons, transform=nengo.dists.Uniform(0, 1e-3),\n"
    "                         learning_rule_type=Hebb(0.1))\n"
    "    nengo.Probe(w, 'weights', sample_every=0.01, label='weights')\n",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, measured_host: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("SPIKE_CACHE_DIR", str(measured_host))
    yield
    sys.modules.pop("model", None)


@pytest.mark.parametrize("kind", KINDS)
def test_classes_with_parameters_of_their_own_run_and_go_on_at_any_cut(kind: str, tmp_path: Path) -> None:
    Path("model.py").write_text(HEAD + KINDS[kind], encoding="utf-8")
    made = {n: spikec.compile("model.py:net", n, tmp_path / f"n{n}", cache=False) for n in (1, 2)}
    assert made[1].manifest.calls
    whole = made[1].run("40ms", tmp_path / "whole")
    first = made[2].run("23ms", tmp_path / "first", save_state="state.npz")
    rest = made[1].run("17ms", tmp_path / "rest", load_state="state.npz")
    same(whole, first, rest)
    assert all(np.abs(whole.probe(name).values).max() > 0 for name in whole.names)
    network: dict[str, Any] = {}
    exec(Path("model.py").read_text(encoding="utf-8"), network)
    with nengo.Simulator(network["net"], progress_bar=False) as sim:
        sim.run(0.04)
    expected = sim.data[network["net"].all_probes[0]]
    np.testing.assert_allclose(whole.probe("out").values, expected, atol=0.02)


def test_values_of_objects_that_do_not_bring_their_own_are_kept() -> None:
    text = """
import nengo
class Gain:
    factor = nengo.params.NumberParam("factor", default=1.0)
    def __call__(self, t):
        return float(self.factor * len(str(t)) > 0) * self.factor
f, unused = Gain(), Gain()
f.factor, unused.factor = 3.0, 4.0
with nengo.Network(seed=1) as net:
    nengo.Probe(nengo.Node(f, size_out=1), label="p")
"""
    Path("model.py").write_text(text, encoding="utf-8")
    run = spikec.compile("model.py:net", 1, cache=False).run("3ms")
    assert run.probe("p").values.ravel().tolist() == [3.0, 3.0, 3.0]
