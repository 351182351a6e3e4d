"""Loops around a simulator that change what compiled functions read: as Nengo has it, before every step."""

# ruff: noqa: ARG002, ARG005 - functions of nodes are given the time, and need not use it

from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from spike_runtime.runfile import RunError

from spikec.nengo import Simulator  # before Nengo: its warnings of its own imports are caught there

import nengo  # isort: skip

nengo.rc.set("decoder_cache", "enabled", "False")


class World:
    """What a loop changes, in each of the ways there are."""

    level = 0.25

    def __init__(self) -> None:
        self.value, self.other, self.active = 0.25, 0.25, True
        self.sensors, self.listed = np.full(3, 0.25), [0.25, 0.5]
        self.inner = SimpleNamespace(gain=0.5)
        self.policy: Callable[[float], float] = np.sin

    def move(self, k: int) -> None:
        self.value, self.other, self.active = np.sin(k / 5), np.cos(k / 3), k % 3 != 0
        self.sensors[:] = np.sin(k / np.arange(2, 5))
        self.listed[1] = np.cos(k / 7)
        self.inner = SimpleNamespace(gain=np.sin(k / 4))
        self.policy = [np.sin, np.cos][k % 2]


def network(world: World) -> nengo.Network:
    """Equal functions are shared, and constants folded, until they are changed."""

    def branch(t: float, x: Any) -> Any:
        return x + np.sin(20 * t) if world.active else x * world.value

    functions: dict[str, Any] = {
        "attribute": lambda t: world.value,
        "the same": lambda t: world.other,
        "both": lambda t: [world.value, world.other],
        "array": lambda t: world.sensors,
        "element": lambda t: world.sensors[1] * t,
        "list": lambda t: world.listed[1] - t,
        "inner": lambda t: world.inner.gain * np.cos(30 * t),
        "function": lambda t: world.policy(40 * t),
    }
    with nengo.Network(seed=1) as net:
        bend = nengo.Node(branch, size_in=1, size_out=1)
        last = nengo.Ensemble(20, 1)
        nengo.Connection(last, bend)
        nengo.Probe(bend)
        for name, function in functions.items():
            node = nengo.Node(function, label=name)
            a = nengo.Ensemble(30, node.size_out)
            nengo.Connection(node, a, transform=0.5)
            nengo.Connection(node, a, synapse=nengo.Alpha(0.02), transform=0.5)
            nengo.Connection(a[:1], last, transform=0.3)
            nengo.Probe(node, synapse=0.01)
            nengo.Probe(a, synapse=0.01)
            spread = nengo.Node(size_in=2)
            nengo.Connection(node, spread, transform=np.full((2, node.size_out), 0.5), synapse=None)
            nengo.Probe(spread, synapse=0.01)
        raw = nengo.Probe(node)
        relay = nengo.Node(size_in=1)
        nengo.Connection(node, relay, function=lambda x: x * world.value, synapse=None)
        learned = nengo.Connection(last, relay, learning_rule_type=nengo.PES(1e-4), synapse=0.01)
        nengo.Connection(relay, learned.learning_rule)
        nengo.Connection(nengo.Node(nengo.processes.WhiteSignal(1.0, 5, seed=2)), last)
        nengo.Probe(relay), nengo.Probe(learned, "weights"), nengo.Probe(last.neurons)
        assert raw
    return net


STILL, MOVING = 7, 25
# Every way to run it gives the same.
WAYS = [(1, False), (2, False), (2, True)]


def moved(sim: Any, world: World, steps: range) -> None:
    """Run steps, before each of which the world moves."""
    for k in steps:
        world.move(k)
        sim.run_steps(1)


def recorded(sim: Any) -> list[np.ndarray]:
    return [np.array(sim.data[probe]) for probe in sim.model.probes]


def spike(net: nengo.Network, partitions: int = 1, processes: bool = False) -> Simulator:
    return Simulator(net, partitions=partitions, processes=processes, progress_bar=False)


@pytest.fixture(scope="module")
def nengos() -> list[np.ndarray]:
    world = World()
    with nengo.Simulator(network(world), progress_bar=False, optimize=False) as sim:
        sim.run_steps(STILL)
        moved(sim, world, range(MOVING))
        sim.run_steps(STILL)
        return recorded(sim)


@pytest.fixture(scope="module")
def whole(nengos: list[np.ndarray]) -> list[np.ndarray]:
    """What Spike records of steps before the world moves, while it does so, and after that."""
    world = World()
    with spike(network(world)) as sim:
        sim.run_steps(STILL)
        moved(sim, world, range(MOVING))
        sim.run_steps(STILL)
        for mine, theirs in zip(recorded(sim), nengos, strict=True):
            assert np.abs(theirs).max() > 0
            np.testing.assert_allclose(mine, theirs, atol=1e-9)
        return recorded(sim)


def same(expected: list[np.ndarray], *parts: list[np.ndarray]) -> None:
    for want, *found in zip(expected, *parts, strict=True):
        assert np.concatenate(found).tobytes() == want.tobytes()


@pytest.mark.parametrize(("partitions", "processes"), WAYS)
def test_every_change_is_seen_in_the_next_step(
    partitions: int, processes: bool, whole: list[np.ndarray]
) -> None:
    world = World()
    with spike(network(world), partitions, processes) as sim:
        sim.run_steps(STILL)
        moved(sim, world, range(3))
        session = sim._session
        moved(sim, world, range(3, MOVING))
        assert sim._session is session  # nothing is compiled again
        sim.run_steps(STILL)
        same(whole, recorded(sim))
        sim.reset()
        assert sim._session is session
        world.__init__()  # type: ignore[misc]
        sim.run_steps(STILL)
        moved(sim, world, range(MOVING))
        sim.run_steps(STILL)
        same(whole, recorded(sim))


@pytest.mark.parametrize("processes", [False, True])
def test_who_is_interrupted_when_a_change_is_taken_in_loses_no_step(
    processes: bool, whole: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    world = World()
    with spike(network(world), 2 if processes else 1, processes) as sim:
        sim.run_steps(STILL)
        world.move(0)
        with monkeypatch.context() as patch:
            patch.setattr("spikec.nengo.simulator.go_on", interrupted)
            with pytest.raises(KeyboardInterrupt):
                sim.run_steps(1)
        moved(sim, world, range(MOVING))
        sim.run_steps(STILL)
        same(whole, recorded(sim))


@pytest.mark.parametrize(("partitions", "processes"), WAYS)
def test_states_and_copies_go_on(
    partitions: int, processes: bool, whole: list[np.ndarray], tmp_path: Path
) -> None:
    world, state = World(), tmp_path / "state.npz"
    with spike(network(world), partitions, processes) as sim:
        sim.run_steps(STILL)
        moved(sim, world, range(10))
        first = recorded(sim)
        sim.save_state(state)
    for begun in (False, True):  # whether the one that goes on knows already what will be changed
        world = World()
        with spike(network(world)) as sim:
            if begun:
                moved(sim, world, range(2))
            sim.load_state(state)
            moved(sim, world, range(10, MOVING))
            sim.run_steps(STILL)
            same(whole, first, recorded(sim))


def test_a_pickled_simulator_goes_on() -> None:
    with nengo.Network(seed=1) as net:
        a = nengo.Ensemble(30, 1)
        nengo.Connection(nengo.Node(HELD.read), a)
        probe = nengo.Probe(a, synapse=0.01)
    with spike(net) as sim:
        sim.run_steps(3)
        HELD.value = 0.75
        sim.run_steps(3)
        with pickle.loads(pickle.dumps(sim)) as other:
            sim.run_steps(4)
            other.run_steps(4)
            assert other.data[other.model.probes[0]].tobytes() == sim.data[probe].tobytes()


class Held:
    value = 0.5

    def read(self, t: float) -> float:
        return self.value


HELD = Held()


def test_a_state_of_another_network_leaves_all_as_it_was(tmp_path: Path) -> None:
    world, state = World(), tmp_path / "state.npz"
    with spike(network(world)) as sim:
        moved(sim, world, range(5))
        sim.save_state(state)
    world.value = 0.0
    with nengo.Network(seed=1) as net:
        a = nengo.Ensemble(30, 1)
        nengo.Connection(nengo.Node(lambda t: world.value), a)
        probe = nengo.Probe(a, synapse=0.01)
    data = []
    for tried in (False, True):
        world.value = 0.0
        with spike(net) as sim:
            sim.run_steps(5)
            if tried:
                with pytest.raises(RunError, match="is not of this model"):
                    sim.load_state(state)
            world.value = 0.9
            sim.run_steps(5)
            data.append(sim.data[probe].tobytes())
    assert data[0] == data[1]


def test_short_runs_open_no_bar_and_samples_are_not_copied_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nengo's bar takes 0.1 s to be closed."""
    world = World()
    with nengo.Network(seed=1) as net:
        probe = nengo.Probe(nengo.Node(lambda t: world.value * t))
    with Simulator(net) as sim:
        monkeypatch.setattr("spikec.nengo.simulator.ProgressTracker", None)  # fails where it is opened
        monkeypatch.setattr("spikec.nengo.simulator.SHOWN_EVERY", 60.0)  # however slow the machine is
        found = []
        for k in range(100):
            world.move(k)
            sim.run_steps(1)
            found.append(sim.data[probe])
    assert [len(samples) for samples in found] == [*range(1, 101)]
    moved = [not np.shares_memory(a, b) for a, b in pairwise(found)]
    assert sum(moved) < 10
    assert all(np.array_equal(samples, found[-1][: len(samples)]) for samples in found)
    with pytest.raises(ValueError, match="read-only"):
        found[-1][0] = 1.0
