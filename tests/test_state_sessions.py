"""Saved states of sessions: Nengo's `Simulator`, `nef.Network`, and what `spike-run` makes of them."""

from __future__ import annotations

import pickle
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import nengo
from nengo.exceptions import SimulatorClosed
from spike_runtime import statefile
from spike_runtime.runfile import RunError

import spikec
from spikec import nef
from spikec.nengo import Simulator

assert nengo.rc.get("decoder_cache", "enabled") == "False"
# Every object has a label: so sessions and compiled models call all of them alike.
MODEL = """
import nengo
import numpy as np


class Kept(nengo.Process):
    def make_step(self, shape_in, shape_out, dt, rng, state):
        values = []

        def step(t):
            values.append(rng.normal())
            return np.mean(values[-20:])

        return step


def make(fails=False):
    seen = []

    def noted(t, x):
        seen.append(float(x[0]))
        return np.mean(seen[-30:]) + len(seen) / 300

    with nengo.Network(seed=3) as net:
        stimulus = nengo.Node(lambda t: [np.sin(20 * t), np.cos(9 * t)], label="stimulus")
        random = nengo.Node(Kept(), size_out=1, label="random")
        a = nengo.Ensemble(300, dimensions=2, label="a")
        b = nengo.Ensemble(270, dimensions=1, label="b")
        note = nengo.Node(noted, size_in=1, size_out=1, label="note")
        nengo.Connection(stimulus, a, label="in")
        nengo.Connection(a, b, function=lambda x: x[0] * x[1], synapse=0.01, label="product")
        nengo.Connection(random, b, synapse=0.03, label="noise")
        nengo.Connection(b, note, label="to note")
        nengo.Connection(note, a[0], synapse=nengo.Alpha(0.01), label="back")
        taught = nengo.Connection(b, a[1], learning_rule_type=nengo.PES(1e-4), label="taught")
        nengo.Connection(b, taught.learning_rule, label="teach")
        nengo.Probe(b, synapse=0.01, label="decoded")
        nengo.Probe(a, synapse=0.02, sample_every=0.003, label="rare")
        nengo.Probe(note, label="noted")
        nengo.Probe(b.neurons, label="spikes")
        nengo.Probe(taught, "weights", sample_every=0.05, label="weights")
    return net


net = make()
"""


# What objects are called by where they have no label.
LOOSE = "    globals().update(locals())\n    return net"


@pytest.fixture(scope="module")
def make() -> Callable[[], nengo.Network]:
    """Makes the network, with objects of its own each time."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(MODEL, names)
    return names["make"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def whole(make: Callable[[], nengo.Network]) -> list[np.ndarray]:
    """What the probes of a network that was never interrupted recorded in 140 steps."""
    with Simulator(make(), progress_bar=False) as sim:
        sim.run_steps(140)
        return recorded(sim)


def recorded(sim: Simulator) -> list[np.ndarray]:
    return [np.array(sim.data[probe]) for probe in sim.model.probes]


def same(expected: list[np.ndarray], *parts: list[np.ndarray]) -> None:
    for want, *found in zip(expected, *parts, strict=True):
        assert np.abs(want).max() > 0
        assert np.concatenate(found).tobytes() == want.tobytes()


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 2)])
def test_a_simulator_goes_on(
    make: Callable[[], nengo.Network], whole: list[np.ndarray], tmp_path: Path, before: int, after: int
) -> None:
    state = tmp_path / "state.npz"
    with Simulator(make(), partitions=before, progress_bar=False) as sim:
        sim.run_steps(61)
        first = recorded(sim)
        sim.save_state(state)
        sim.run_steps(79)  # a state is a copy: to go on changes nothing of it
        same(whole, recorded(sim))
    with Simulator(make(), partitions=after, progress_bar=False) as sim:
        sim.run_steps(5)
        for _ in range(2):
            sim.load_state(state)
            assert (sim.n_steps, sim.time) == (61, pytest.approx(0.061))
            assert all(len(sim.data[probe]) == 0 for probe in sim.model.probes)
            sim.run_steps(79)
            same(whole, first, recorded(sim))


@pytest.mark.usefixtures("reference_host")
@pytest.mark.parametrize("labelled", [True, False])
def test_simulators_and_compiled_models_go_on_from_each_other(
    whole: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labelled: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    text = MODEL if labelled else re.sub(r', label=".*?"', "", MODEL).replace("    return net", LOOSE)
    (tmp_path / "both.py").write_text(text, encoding="utf-8")
    compiled = spikec.compile("both.py:net", 2, tmp_path / "out", cache=False)
    first = compiled.run("50ms", tmp_path / "r1", save_state="a.npz")
    variables: dict[str, Any] = {"__name__": "__main__"}
    exec(text, variables)
    with Simulator(variables["net"], progress_bar=False, names=variables) as sim:
        sim.load_state("a.npz")
        sim.run_steps(40)
        second = recorded(sim)
        sim.save_state("b.npz")
    third = compiled.run("50ms", tmp_path / "r2", load_state="b.npz")
    runs = [[run.probe(name).values for name in run.names] for run in (first, third)]
    for want, one, two, three in zip(whole, runs[0], second, runs[1], strict=True):
        shaped = [np.reshape(part, (len(part), *want.shape[1:])) for part in (one, two, three)]
        assert np.concatenate(shaped).tobytes() == want.tobytes()


def test_a_pickled_simulator_calls_objects_as_before(tmp_path: Path) -> None:
    with nengo.Network(seed=1) as net:
        alpha, beta = nengo.Ensemble(50, 1), nengo.Ensemble(60, 1)
        nengo.Connection(alpha, beta)
        nengo.Probe(beta, synapse=0.01)
    with Simulator(net, progress_bar=False, names=locals()) as sim:
        sim.save_state(tmp_path / "first.npz")
        with Simulator(net, progress_bar=False, names=locals()) as other:
            other.load_state(tmp_path / "first.npz")  # of before the first step
            for running in (sim, other):
                running.run_steps(5)
            assert recorded(sim)[0].tobytes() == recorded(other)[0].tobytes()
        sim.save_state(tmp_path / "a.npz")
        with pickle.loads(pickle.dumps(sim)) as copy:
            copy.save_state(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert "neurons/beta.voltage" in statefile.load(tmp_path / "a.npz").arrays


def test_what_the_caller_holds_stays_as_it_is(tmp_path: Path) -> None:
    seen: list[float] = []
    with nengo.Network(seed=1) as net:
        node = nengo.Node(lambda t: seen.append(t) or len(seen), size_out=1)
        nengo.Probe(node)
    with Simulator(net, progress_bar=False) as sim:
        sim.run_steps(7)
        sim.save_state(tmp_path / "state.npz")
        sim.run_steps(1)
        sim.load_state(tmp_path / "state.npz")
        sim.run_steps(2)
        assert recorded(sim)[0].ravel().tolist() == [8, 9]
        assert len(seen) == 8
        sim.reset()
        sim.run_steps(1)
        assert recorded(sim)[0].ravel().tolist() == [9]


@pytest.mark.parametrize("partitions", [1, 2])
def test_what_ctrl_c_interrupts_goes_on(partitions: int, tmp_path: Path) -> None:
    total = 400  # a piece is at most ten times the one before it, so that with step 33 ends before

    def made(signals: int) -> nengo.Network:
        seen: list[float] = []

        def noted(t: float, x: np.ndarray) -> float:
            seen.append(t)  # so it is Python whatever `signals` is
            if abs(t - 0.033) < 1e-6:
                for _ in range(signals):
                    signal.raise_signal(signal.SIGINT)
            return t + float(x[0])

        with nengo.Network(seed=2) as net:
            a, b = nengo.Ensemble(300, 1, label="a"), nengo.Ensemble(300, 1, label="b")
            node = nengo.Node(noted, size_in=1, size_out=1, label="noted")
            nengo.Connection(a, node)
            nengo.Connection(node, b)
            nengo.Connection(b, a)
            nengo.Probe(b, synapse=0.01, label="decoded")
        return net

    with Simulator(made(0), progress_bar=False) as sim:
        sim.run_steps(total)
        want = recorded(sim)
    with Simulator(made(1), partitions=partitions, progress_bar=False) as sim:
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(total)
        assert 33 <= sim.n_steps < total
        sim.save_state(tmp_path / "state.npz")
        first, steps = recorded(sim), sim.n_steps
        sim.run_steps(total - steps)
        same(want, recorded(sim))
    with Simulator(made(0), partitions=3 - partitions, progress_bar=False) as sim:
        sim.load_state(tmp_path / "state.npz")
        sim.run_steps(total - steps)
        same(want, first, recorded(sim))
    with Simulator(made(2), partitions=partitions, progress_bar=False) as sim:
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(total)
        assert sim.n_steps <= 33


@pytest.mark.parametrize("synapse", [None, 0.01])
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_an_error_of_the_same_step_goes_on(
    synapse: float | None, before: int, after: int, tmp_path: Path
) -> None:
    """What is decoded is kept for the learning rule and for synapses, under one name."""
    with nengo.Network(seed=3) as net:
        a, b = (nengo.Ensemble(50, 2) for _ in range(2))
        nengo.Connection(nengo.Node([0.5, -0.3]), b)
        nengo.Connection(b, a)
        taught = nengo.Connection(a[0], a, function=lambda x: [x[0], 0], learning_rule_type=nengo.PES())
        nengo.Connection(a, taught.learning_rule, synapse=synapse)
        shown = [nengo.Probe(a, synapse=0.01), nengo.Probe(taught, "weights")]
    with Simulator(net, progress_bar=False) as sim:
        sim.run_steps(20)
        whole = [sim.data[probe][8:].tobytes() for probe in shown]
    with Simulator(net, progress_bar=False, partitions=before) as sim:
        sim.run_steps(8)
        sim.save_state(tmp_path / "state.npz")
    with Simulator(net, progress_bar=False, partitions=after) as sim:
        sim.load_state(tmp_path / "state.npz")
        sim.run_steps(12)
        assert [sim.data[probe].tobytes() for probe in shown] == whole


def test_networks_of_functions_alone(tmp_path: Path) -> None:
    def made() -> tuple[nengo.Network, list[float]]:
        seen: list[float] = []
        with nengo.Network(seed=1) as net:
            nengo.Node(lambda _: seen.append(len(seen)), size_in=0)
        return net, seen

    with Simulator(made()[0], progress_bar=False) as sim:
        sim.run_steps(4)
        sim.save_state(tmp_path / "state.npz")
    with Simulator(made()[0], progress_bar=False) as sim:
        sim.load_state(tmp_path / "state.npz")
        assert sim.n_steps == 4
        sim.run_steps(1)
    with nengo.Network(seed=1) as other:
        nengo.Probe(nengo.Node(lambda t: t))
    with Simulator(other, progress_bar=False) as sim, pytest.raises(RunError, match="is not of this model"):
        sim.load_state(tmp_path / "state.npz")


def test_mistakes(make: Callable[[], nengo.Network], tmp_path: Path) -> None:
    state = tmp_path / "state.npz"
    with Simulator(make(), progress_bar=False) as sim:
        sim.run_steps(3)
        sim.save_state(state)
        kept = state.read_bytes()
    with pytest.raises(SimulatorClosed, match="cannot save its state because it is closed"):
        sim.save_state(state)
    with Simulator(make(), dt=0.0005, progress_bar=False) as sim:
        with pytest.raises(RunError, match=r"the model has steps of 0.0005 s; make it with dt=0.001$"):
            sim.load_state(state)
        assert sim.n_steps == 0
    with nengo.Network(seed=3) as net:
        file = open(tmp_path / "log", "w")  # noqa: SIM115
        nengo.Probe(nengo.Node(lambda t: file.write("x") + t, size_out=1))
    with Simulator(net, progress_bar=False) as sim:
        sim.run_steps(2)
        with pytest.raises(
            RunError, match=r"cannot be saved to .*: the function .*<lambda> .* cannot be kept: "
        ):
            sim.save_state(state)
        sim.run_steps(2)
    file.close()
    assert state.read_bytes() == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "state.npz"]


def test_a_step_that_failed_leaves_no_state(tmp_path: Path) -> None:
    with nengo.Network(seed=3) as net:
        nengo.Probe(nengo.Node(lambda t: 1 / (len(str(t)) != 5), size_out=1))
    with Simulator(net, progress_bar=False) as sim:
        with pytest.raises(ZeroDivisionError):
            sim.run_steps(30)
        with pytest.raises(RunError, match="a step failed, so there is no state to save"):
            sim.save_state(tmp_path / "state.npz")
    old = nef.Network("fails", seed=1)
    old.make_input("x", lambda t: 1 / (len(str(t)) != 5))
    old.make("a", 20, 1)
    old.connect("x", "a")
    with pytest.raises(ZeroDivisionError):
        old.run(0.03)
    with pytest.raises(nef.NetworkError, match="a step failed, so there is no state to save"):
        old.save_state(tmp_path / "state.npz")
    assert list(tmp_path.iterdir()) == []


# ----------------------------------------------------------------------------------------- nef.Network


class Clock(nef.SimpleNode):
    def init(self) -> None:
        self.add_input("reset", 1)
        self.since, self.random = 0.0, np.random.default_rng(3)

    def tick(self) -> None:
        if self.input["reset"].value[0] > 0.5:
            self.since = self.t

    def origin_elapsed(self) -> float:
        return float(self.t - self.since + self.random.normal() / 100)


def network(partitions: int, seed: int = 4) -> nef.Network:
    net = nef.Network("clock", seed=seed, partitions=partitions)
    calls: list[float] = []
    net.make_input("button", {0.05: 1, 0.06: 0})
    net.make_input("counted", lambda t: calls.append(t) or len(calls) / 100)
    net.make("A", 300, 1, noise=0.1)
    net.make("B", 270, 1)
    net.make("error", 50, 1, mode="direct")
    net.add(Clock("clock"))
    net.connect("button", "clock:reset", pstc=0)
    net.connect("clock:elapsed", "A")
    net.connect("counted", "A", weight=0.1)
    net.learn("A", "B", "error", rate=1e-6)
    net.connect("A", "error")
    net.connect("B", "error", weight=-1)
    net.make_probe("clock:elapsed", "elapsed", pstc=0, dt_sample=0.001)
    net.make_probe("B", "value", dt_sample=0.001)
    net.make_probe("A", "spikes", dt_sample=0.007, data_type="spikes")
    return net


@pytest.fixture(scope="module")
def run() -> nef.Network:
    net = network(1)
    net.run(0.14)
    return net


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_nef_network_goes_on(run: nef.Network, tmp_path: Path, before: int, after: int) -> None:
    first, second = network(before), network(after)
    first.run(0.063)
    first.save_state(tmp_path / "state.npz")
    second.load_state(tmp_path / "state.npz")
    assert second.run_time == pytest.approx(0.063)
    second.run(0.077)
    for name, probe in run.probes.items():
        both = np.concatenate([net.probes[name].get_data() for net in (first, second)])
        assert both.any()
        assert both.tobytes() == probe.get_data().tobytes(), name
    assert second.get_object("clock").since == run.get_object("clock").since > 0  # type: ignore[union-attr]
    assert statefile.load(tmp_path / "state.npz").model == "clock"


def test_a_nef_network_takes_its_own_state_only(tmp_path: Path) -> None:
    first, state = network(1), tmp_path / "state.npz"
    first.run(0.002)
    first.save_state(state)
    told = r"is of seed 4, the model has seed 5\n(.*\n)+ *help: make the network with seed=4$"
    with pytest.raises(nef.NetworkError, match=told):
        network(1, seed=5).load_state(state)
    with pytest.raises(nef.NetworkError, match=r"cannot read .*none.npz: No such .*\n(.*\n)+ *help: make it"):
        first.load_state(tmp_path / "none.npz")
    other = nef.Network("clock", seed=4)
    other.make_input("x", 1)
    other.make_probe("x")
    with pytest.raises(nef.NetworkError, match=r"is not of this model\n(.*\n)+ *help: load it into"):
        other.load_state(state)
