"""`spikec.nengo.Simulator` whose partitions are processes: what it gives, and how it ends."""

from __future__ import annotations

import os
import pickle
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import nengo
from nengo.exceptions import SimulationError
from spike_runtime.engine import EngineError
from spike_runtime.forked import RemoteError
from spike_runtime.runfile import RunError

from spikec.nengo import Simulator

assert nengo.rc.get("decoder_cache", "enabled") == "False"


class Walk(nengo.Process):
    """Adds up random numbers, in a list that only it knows."""

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:  # noqa: ARG002
        values: list[float] = []

        def step(t: float) -> float:  # noqa: ARG001
            values.append(rng.normal())
            return float(np.mean(values[-20:]))

        return step


def make(fail: Any = None) -> nengo.Network:
    """Three functions that share nothing, learning, and probes of all kinds; `fail(t)` is called by one."""
    seen: list[float] = []
    count = [0]

    def noted(t: float, x: np.ndarray) -> float:
        if fail is not None:
            fail(t)
        seen.append(float(x[0]))
        return np.mean(seen[-30:]) + len(seen) / 300

    def counted(t: float, x: np.ndarray) -> float:  # noqa: ARG001
        count[0] += 1
        return x[0] / 2 + count[0] / 1000

    with nengo.Network(seed=3) as net:
        walk = nengo.Node(Walk(), size_out=1, label="walk")
        a = nengo.Ensemble(300, dimensions=2, label="a")
        b = nengo.Ensemble(270, dimensions=1, label="b")
        note = nengo.Node(noted, size_in=1, size_out=1, label="note")
        counter = nengo.Node(counted, size_in=1, size_out=1, label="counter")
        nengo.Connection(walk, a[0], synapse=0.03, label="noise")
        nengo.Connection(a, b, function=lambda x: x[0] * x[1], synapse=0.01, label="product")
        nengo.Connection(b, note, label="to note")
        nengo.Connection(a[0], counter, label="to counter")
        nengo.Connection(note, a[1], synapse=nengo.Alpha(0.01), label="back")
        nengo.Connection(counter, b, synapse=0.02, label="on")
        taught = nengo.Connection(b, a[1], learning_rule_type=nengo.PES(1e-4), label="taught")
        nengo.Connection(b, taught.learning_rule, label="teach")
        nengo.Probe(b, synapse=0.01, label="decoded")
        nengo.Probe(a, synapse=0.02, sample_every=0.0035, label="rare")
        nengo.Probe(note, label="noted")
        nengo.Probe(counter, synapse=0.01, label="counted")
        nengo.Probe(walk, sample_every=0.003, label="walked")
        nengo.Probe(b.neurons, label="spikes")
        nengo.Probe(taught, "weights", sample_every=0.05, label="weights")
    return net


def recorded(sim: Simulator) -> list[bytes]:
    return [sim.data[probe].tobytes() for probe in sim.model.probes]


def simulator(net: nengo.Network, partitions: int = 2, processes: bool = True) -> Simulator:
    return Simulator(net, partitions=partitions, processes=processes, progress_bar=False)


@pytest.fixture(scope="module")
def whole() -> list[bytes]:
    """What 140 steps record in the process of the caller."""
    with simulator(make(), 1, processes=False) as sim:
        sim.run_steps(140)
        return recorded(sim)


@pytest.mark.parametrize("partitions", [1, 2, 3])
def test_the_same_bytes_as_in_one_process(partitions: int, whole: list[bytes]) -> None:
    with simulator(make(), partitions) as sim:
        for steps in (1, 60, 79):
            sim.run_steps(steps)
        assert recorded(sim) == whole
        calls = [part.operators.get("HostCalls", 0) for part in sim._session.manifest.partitions]
        assert sorted(calls) == {1: [4], 2: [2, 2], 3: [1, 1, 2]}[partitions]  # one with a synapse
        sim.reset()
        sim.run_steps(140)
        sim._session._price = 1e-9  # the next steps are compiled
        sim.run_steps(20)
        assert sim._session._fast
        again = recorded(sim)
    with simulator(make(), 1, processes=False) as sim:
        sim.run_steps(160)
        assert recorded(sim) == again


def test_functions_run_at_the_same_time(tmp_path: Path) -> None:
    """In every step each waits until the other one has begun it, by a file that Spike does not see."""
    file = tmp_path / "steps"
    file.write_bytes(bytes(16))
    shared = [np.memmap(file, np.int64, "r+") for _ in range(2)]

    def meets(own: np.ndarray, place: int) -> Any:
        def begin(t: float) -> float:
            step, end = round(t / 0.001), time.monotonic() + 20
            own[place] = step
            while own[1 - place] < step and time.monotonic() < end:
                time.sleep(1e-4)
            return float(own[1 - place] >= step)

        return begin

    with nengo.Network(seed=1) as net:
        nodes = [nengo.Node(meets(own, place), size_out=1) for place, own in enumerate(shared)]
        probes = [nengo.Probe(node) for node in nodes]
    with simulator(net) as sim:
        sim.run_steps(5)
        assert [sim.data[probe].ravel().tolist() for probe in probes] == [[1.0] * 5] * 2
    assert [own.tolist() for own in shared] == [[5, 5]] * 2


@pytest.mark.parametrize("partitions", [1, 2])
def test_what_a_function_raises_is_of_its_own_class(partitions: int) -> None:
    class OddError(Exception):
        def __init__(self, first: int, second: str) -> None:
            super().__init__(f"{first} and {second}")
            self.second = second

    def fail(t: float) -> None:
        if t > 0.0305:
            raise OddError(3, "four")

    with simulator(make(fail), partitions) as sim:
        with pytest.raises(OddError, match="3 and four") as caught:
            sim.run_steps(100)
        assert caught.value.second == "four"
        assert isinstance(caught.value.__cause__, RemoteError)
        assert 'raise OddError(3, "four")' in str(caught.value.__cause__)
        assert sim.n_steps == 30
        kept = recorded(sim)
        with pytest.raises(RunError, match="a step failed"):
            sim.save_state("never.npz")
        with pytest.raises(EngineError, match="reset"):
            sim.run_steps(1)
        sim.reset()
        sim.run_steps(30)
        assert recorded(sim) == kept


@pytest.mark.parametrize("probed", [False, True])
def test_networks_of_functions_alone_and_of_nothing(probed: bool, tmp_path: Path) -> None:
    with nengo.Network(seed=1) as net:
        nodes = [nengo.Node(_writes(tmp_path / name), size_out=1) for name in "ab"]
        probes = [nengo.Probe(node) for node in nodes if probed]
    with simulator(net) as sim:
        sim.run_steps(3)
        sim.reset()
        sim.run_steps(2)
        assert [sim.data[probe].ravel().tolist() for probe in probes] == [[1.0, 2.0]] * len(probes)
    # What it wrote is there when it has ended.
    assert [(tmp_path / name).read_text() for name in "ab"] == ["12312"] * 2
    with simulator(nengo.Network()) as sim:
        sim.run_steps(3)
        assert sim.n_steps == 3


def _writes(path: Path) -> Any:
    """Writes the number of its call to a file that it opens in the first one, and never closes."""
    kept: list[Any] = []

    def write(t: float) -> int:  # noqa: ARG001
        if not kept:
            kept.append(path.open("a"))
        kept.append(kept[0].write(str(len(kept))))
        return len(kept) - 1

    return write


def test_nengos_own_errors_say_where() -> None:
    with nengo.Network(seed=1) as net:
        kept: list[float] = []
        node = nengo.Node(lambda t: kept.append(t) or (None if t > 0.005 else 0.5), size_out=1)
        nengo.Probe(node)
    with simulator(net) as sim, pytest.raises(SimulationError, match="returned") as caught:
        sim.run_steps(10)
    assert "This was the function" in caught.value.__notes__[0]


def test_a_process_that_dies_ends_the_run() -> None:
    def fail(t: float) -> None:
        if 0.0195 < t < 0.0205:
            os.kill(os.getpid(), signal.SIGKILL)

    with simulator(make(fail)) as sim:
        with pytest.raises(EngineError, match=r"the process of partition [01] was killed by SIGKILL"):
            sim.run_steps(100)
        with pytest.raises(EngineError, match="reset"):
            sim.run_steps(1)
        assert sim._session._processes == []
        sim.reset()
        sim.run_steps(15)
        processes = [process.pid for process in sim._session._processes]
    assert all(not Path(f"/proc/{pid}").exists() for pid in processes)


def test_ctrl_c_lets_the_step_end_and_the_run_goes_on(whole: list[bytes]) -> None:
    parent = os.getpid()

    def fail(t: float) -> None:
        if abs(t - 0.02) < 1e-6:
            os.kill(parent, signal.SIGINT)

    with simulator(make(fail)) as sim:
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(140)
        assert 20 <= sim.n_steps < 140
        sim.run_steps(140 - sim.n_steps)
        assert recorded(sim) == whole


def test_a_second_ctrl_c_ends_what_hangs() -> None:
    parent = os.getpid()

    def fail(t: float) -> None:
        if t > 0.0195:
            for _ in range(2):
                os.kill(parent, signal.SIGINT)
                time.sleep(0.1)
            time.sleep(60)

    with simulator(make(fail)) as sim:
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(100)
        with pytest.raises(EngineError, match="reset"):
            sim.run_steps(1)
        sim.reset()
        sim.run_steps(10)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_states_are_those_of_any_number_of_processes(
    before: int, after: int, whole: list[bytes], tmp_path: Path
) -> None:
    state = tmp_path / "state.npz"
    with simulator(make(), before) as sim:
        sim.run_steps(61)
        first = recorded(sim)
        sim.save_state(state)
        sim.run_steps(79)  # a state is a copy: to go on changes nothing of it
        assert recorded(sim) == whole
        sim.reset()
        sim.run_steps(61)
        sim.save_state(state)
    with simulator(make(), after) as sim:
        sim.run_steps(5)
        for _ in range(2):
            sim.load_state(state)
            assert sim.n_steps == 61
            sim.run_steps(79)
            assert [a + b for a, b in zip(first, recorded(sim), strict=True)] == whole


def test_objects_of_the_caller_stay_and_reset_takes_them_as_they_are() -> None:
    seen: list[float] = []
    with nengo.Network(seed=1) as net:
        node = nengo.Node(lambda t: seen.append(t) or len(seen), size_out=1)
        probe = nengo.Probe(node)
    with simulator(net, 1) as sim:
        sim.run_steps(3)
        assert sim.data[probe].ravel().tolist() == [1, 2, 3]
        assert seen == []
        seen.extend([0.0] * 10)
        sim.run_steps(1)
        assert sim.data[probe].ravel().tolist() == [1, 2, 3, 4]
        sim.reset()
        sim.run_steps(2)
        assert sim.data[probe].ravel().tolist() == [11, 12]


def test_signals_and_what_compiled_functions_capture() -> None:
    factor = 2.0
    kept: list[float] = []
    with nengo.Network(seed=1) as net:
        scaled = nengo.Node(lambda t: factor * t, label="scaled")
        a = nengo.Ensemble(30, 1)
        count = nengo.Node(lambda _, x: kept.append(x[0]) or len(kept), size_in=1, size_out=1)
        nengo.Connection(scaled, a)
        nengo.Connection(a, count)
        nengo.Probe(a, synapse=0.01), nengo.Probe(count)
    results = []
    for processes in (False, True):
        factor = 2.0
        kept.clear()
        with simulator(net, 2, processes) as sim:
            sim.run_steps(10)
            factor = 30.0
            sim.run_steps(10)
            signals = [sim.signals[sim.model.sig[count]["out"]], sim.signals[sim.model.time]]
            voltage = sim.signals[sim.model.sig[a.neurons]["voltage"]]
            results.append((recorded(sim), [float(s.ravel()[0]) for s in signals], voltage.tobytes()))
            assert signals[0] == 20
    assert results[0] == results[1]


def test_a_pickled_simulator_goes_on() -> None:
    with nengo.Network(seed=1) as net:
        a = nengo.Ensemble(50, 1)
        node = nengo.Node(_square, size_in=1, size_out=1)
        nengo.Connection(a, node)
        nengo.Probe(node), nengo.Probe(a, synapse=0.01)
    with simulator(net) as sim:
        sim.run_steps(20)
        other = pickle.loads(pickle.dumps(sim))
        sim.run_steps(20)
        assert other.processes
        other.run_steps(20)
        assert recorded(other) == recorded(sim)
        other.close()


def _square(t: float, x: np.ndarray) -> list[float]:  # noqa: ARG001
    return [x.tolist()[0] ** 2 + len(str(x)) * 0.0]
