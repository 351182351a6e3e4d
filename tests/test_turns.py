"""More partitions than cores: workers that run several partitions in turn."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_engine import ENGINE, Engine, model, write
from runs import check, digest, go, nothing_left, workers  # noqa: F401 (a fixture of every test here)
from spike_runtime import cores, launch, team
from spike_runtime.job import deal
from spike_runtime.steps import AHEAD
from spike_runtime.supervise import Supervisor
from spike_runtime.wires import layout
from spike_runtime.wires.turns import LONGEST, Turns
from test_transports import MODELS, STEPS, same

import spikec


@pytest.fixture
def two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a host with two cores."""
    monkeypatch.setattr(team, "processes", lambda partitions: min(partitions, 2))


@pytest.mark.parametrize(("partitions", "processes"), [(1, 1), (5, 2), (16, 3), (4, 4)])
def test_partitions_are_dealt_evenly_and_in_order(partitions: int, processes: int) -> None:
    shares = deal(tuple(range(partitions)), processes)
    assert len(shares) == processes
    assert sum(shares, ()) == tuple(range(partitions))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_as_many_processes_as_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    for count in (1, 2):
        allowed = cores.allowed_cores()[:count]
        monkeypatch.setattr(cores, "allowed_cores", lambda allowed=allowed: allowed)
        run = go(tmp_path / str(count), 5, progress=lambda _: seen.append(len(workers()) - 1))
        check(run, 5, 300)
        assert set(seen) == {len(allowed)}
        seen.clear()


@pytest.mark.parametrize(
    ("name", "parameters"), [("brunel", {"order": 300}), ("delay_network", {"neurons": 400})]
)
@pytest.mark.usefixtures("two_processes", "reference_host")
def test_turns_do_not_change_the_answer(tmp_path: Path, name: str, parameters: dict[str, Any]) -> None:
    runs = []
    for partitions in (1, 16 if name == "delay_network" else 5):
        folder = tmp_path / f"n{partitions}"
        compiled = spikec.compile(MODELS / f"{name}.spk", partitions, folder, parameters=parameters)
        runs.append(compiled.run(STEPS * 1e-3, tmp_path / f"run-{partitions}"))
    assert any(runs[0].probe(probe).values.any() for probe in runs[0].names)
    same(*runs)


@pytest.mark.usefixtures("two_processes")
@pytest.mark.parametrize("chain", [False, True])
def test_nobody_sleeps_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chain: bool) -> None:
    """Who never spins and sleeps for ever is woken by what it lacks, be it messages or room for its own."""
    monkeypatch.setattr(team, "SPIN_ALONE", 0)
    monkeypatch.setattr(layout, "GIVE_WAY_ALONE", 0)
    monkeypatch.setattr(layout, "SPIN_ALONE", 0)
    monkeypatch.setattr(layout, "SLEEP_NS", 600 * 10**9)
    monkeypatch.setenv("SPIKE_FAKE_SLOW", "6:0.001")  # partitions before it in the chain fill their rings
    path = write(tmp_path / "build", model(7, chain))
    run = launch.run(path, 0.5, tmp_path / "run", engine=ENGINE)
    assert run.status == "complete"
    if not chain:
        check(run, 7, 500)


@pytest.mark.usefixtures("two_processes")
def test_partitions_of_one_process_stay_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without wires nobody waits for anybody; what they record is bounded all the same."""
    leads: list[int] = []
    take = Supervisor._take

    def spy(self: Supervisor, worker: Any, frame: Any) -> None:
        take(self, worker, frame)
        if len(worker.recorded) == len(worker.partitions):
            leads.append(max(worker.recorded.values()) - worker.complete)

    monkeypatch.setattr(Supervisor, "_take", spy)
    launch.run(write(tmp_path / "build", model(5, wired=False)), 0.5, tmp_path / "run", engine=ENGINE)
    assert 0 < max(leads) <= (AHEAD + 1) * 7


@pytest.mark.usefixtures("two_processes")
@pytest.mark.parametrize("chunk", ["1", "50"])
def test_chunks_do_not_change_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: str) -> None:
    first = go(tmp_path / "first", 5)
    monkeypatch.setenv("SPIKE_FAKE_CHUNK", chunk)
    assert digest(go(tmp_path / "other", 5)) == digest(first)


@pytest.mark.usefixtures("two_processes")
def test_a_signal_stops_all_at_a_step(tmp_path: Path) -> None:
    def progress(about: Any) -> None:
        if about.step > 300:
            os.kill(os.getpid(), signal.SIGINT)

    start = time.monotonic()
    run = go(tmp_path, 5, 600.0, progress=progress)
    assert time.monotonic() - start < 20
    assert run.status == "stopped"
    assert run.about.recorded > 300
    check(run, 5, run.about.recorded)


@pytest.mark.usefixtures("two_processes")
def test_each_partition_has_the_time_of_its_own_steps(tmp_path: Path) -> None:
    """The rest of the run it waited, for others or for its turn."""
    run = go(tmp_path, 5, 0.5)
    wall = run.about.wall / 500 * 1e6
    assert all(kinds["compute"] > 0 for kinds in run.measured)
    assert max(sum(kinds.values()) for kinds in run.measured) <= wall
    for share in deal(tuple(range(5)), 2):
        assert sum(run.measured[p]["compute"] + run.measured[p]["exchange"] for p in share) <= wall


def test_no_turn_is_long() -> None:
    """Else all that goes round between two processes would be with one of them, while the other waits."""
    manifest = model(3, wired=False)
    places = layout.segment_layout(manifest, None, ((0, 1, 2),))
    segment = np.zeros(places.words, np.int64)
    engines = [Engine(manifest, None, p, segment, places, None) for p in range(3)]
    turns = Turns(manifest, places, segment, range(3), [engine.entry for engine in engines])
    for place in range(3):
        turns.give(place, 20 * LONGEST)
    assert turns.done(turns.run()) == 20 * LONGEST
    assert all(turns.done(place) >= 19 * LONGEST for place in range(3))
