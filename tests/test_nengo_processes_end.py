"""`spikec.nengo.Simulator` whose partitions are processes: how they end, and what a failed run leaves."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import nengo
from spike_runtime.engine import EngineError
from spike_runtime.forked import GoneError, Process, end_all, ready
from spike_runtime.runfile import RunError

from spikec.nengo import Simulator


def half(t: float, x: np.ndarray) -> np.ndarray:
    if 0.0204 < t < 0.0214 and failing:
        raise ValueError("too much")
    return x + len(failing) - 1.0


def twice(t: float, x: np.ndarray) -> np.ndarray:  # noqa: ARG001
    return 2.0 * x * len(str(x)) / len(str(x))


failing: list[int] = []


def network(*functions: Any) -> nengo.Network:
    """A chain of functions and populations."""
    with nengo.Network(seed=1) as net:
        last = nengo.Node(0.5)
        for function in functions:
            a = nengo.Ensemble(40, 1)
            nengo.Connection(last, a)
            last = nengo.Node(function, size_in=1, size_out=1)
            nengo.Connection(a, last)
            nengo.Probe(a, synapse=0.01)
    return net


def simulator(net: nengo.Network, processes: bool = True) -> Simulator:
    return Simulator(net, partitions=2, processes=processes, progress_bar=False)


def killed(sim: Simulator) -> None:
    """End the second process, as if memory had run out."""
    process = sim._session._processes[1]
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def test_of_a_failed_session_nothing_goes_on_but_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "failing", [1])
    for processes in (False, True):
        with simulator(network(half, twice), processes) as sim:
            with pytest.raises(ValueError, match="too much"):
                sim.run_steps(50)
            with pickle.loads(pickle.dumps(sim)) as other:
                assert other.n_steps == sim.n_steps == 20
                with pytest.raises(EngineError, match="reset"):
                    other.run_steps(1)
                with pytest.raises(RunError, match="reset"):
                    other.save_state("never.npz")
                other.reset()
                other.run_steps(5)


def test_what_a_process_that_died_knew_is_not_made_up() -> None:
    with simulator(network(half, twice)) as sim:
        sim.run_steps(15)
        killed(sim)
        with pytest.raises(EngineError, match="the process of partition 1 was killed by SIGKILL"):
            sim.run_steps(5)
        for what in (lambda: sim.signals, lambda: pickle.dumps(sim)):
            with pytest.raises(EngineError, match="reset"):
                what()
        with pytest.raises(RunError, match="reset"):
            sim.save_state("never.npz")
        sim.reset()
        sim.run_steps(5)


@pytest.mark.parametrize(
    "ask",
    [lambda s: s.signals, lambda s: s.save_state("never.npz"), pickle.dumps],
    ids=["signals", "state", "pickle"],
)
def test_who_finds_a_process_dead_names_its_partition(ask: Callable[[Simulator], Any]) -> None:
    with simulator(network(half, twice)) as sim:
        sim.run_steps(15)
        killed(sim)
        with pytest.raises(EngineError, match="the process of partition 1 was killed by SIGKILL"):
            ask(sim)
        assert sim._session._processes == []
        with pytest.raises(EngineError, match="reset"):
            sim.run_steps(5)
        sim.reset()
        sim.run_steps(5)


def test_reset_needs_no_process() -> None:
    with simulator(network(half, twice)) as sim:
        sim.run_steps(15)
        killed(sim)
        sim.reset()
        sim.run_steps(5)


def test_processes_outlive_the_thread_that_began_them() -> None:
    with simulator(network(half, twice)) as sim:
        thread = threading.Thread(target=sim.run_steps, args=(10,))
        thread.start()
        thread.join()
        pids = [process.pid for process in sim._session._processes]
        sim.run_steps(10)
        assert sim.n_steps == 20
        assert [process.pid for process in sim._session._processes] == pids


def test_files_are_whole_whatever_else_runs(tmp_path: Path) -> None:
    """One file was opened before, one is by its function; each process ends while another simulator runs."""
    before = (tmp_path / "before").open("w")
    before.write("first ")
    inside: list[Any] = []

    def writes(t: float, x: np.ndarray) -> np.ndarray:
        before.write(f"{round(t * 1000)} ")
        return x

    def opens(t: float, x: np.ndarray) -> np.ndarray:
        if not inside:
            inside.append((tmp_path / "inside").open("w"))
        inside[0].write(f"{round(t * 1000)} ")
        return x

    with simulator(network(half, twice)) as other:
        with simulator(network(writes, opens)) as sim:
            sim.run_steps(3)
            other.run_steps(3)
        assert (tmp_path / "inside").read_text() == "1 2 3 "
        assert (tmp_path / "before").read_text() == "first 1 2 3 "
        other.run_steps(3)
    before.close()
    assert (tmp_path / "before").read_text() == "first 1 2 3 "


def _hang(what: str) -> Any:
    """Another process, forked from this one, that never answers."""
    if what == "hang":
        time.sleep(600)
    inner.append(Process(_hang))
    inner[0].send("hang")
    return inner[0].pid


inner: list[Process] = []


def test_a_process_ends_when_its_caller_is_gone() -> None:
    outer = [Process(_hang)]
    outer[0].send("fork")
    pid = outer[0].reply()
    assert runs(pid)
    os.kill(outer[0].pid, signal.SIGKILL)
    end_all(outer)
    latest = time.monotonic() + 30
    while runs(pid) and time.monotonic() < latest:
        time.sleep(0.01)
    assert not runs(pid)


def runs(pid: int) -> bool:
    """Whether there is such a process, which nobody has yet to hear the end of."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_several_that_hang_are_ended_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that all have to end begins once."""
    calls: list[float] = []
    made = [Process(_hang) for _ in range(3)]
    for process in made:
        process.send("hang")
        monkeypatch.setattr(
            process, "end", lambda latest, end=process.end: (calls.append(latest), end(latest))
        )
    pids = [process.pid for process in made]
    end_all(made)
    assert len(set(calls)) == 1
    assert len(calls) == 3
    assert not any(runs(pid) for pid in pids)


def test_without_a_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    with simulator(network(half, twice)) as sim:
        monkeypatch.setattr(sys, "stdout", None)
        sim.run_steps(3)
        assert sim.n_steps == 3


def test_a_reply_that_cannot_be_sent_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    made = [Process(lambda _: threading.Lock())]
    made[0].send("lock")
    assert ready(made, 30) == made
    with pytest.raises(GoneError, match="exit code 1"):
        made[0].reply()
    end_all(made)
    assert "cannot pickle '_thread.lock' object" in capfd.readouterr().err
