"""Runs that save their state and are stopped, or fail: another one goes on where they were."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import psutil
import pytest
import test_windows
from conftest import Tiny
from runs import workers
from spike_runtime import launch, statefile
from spike_runtime.crew import Worker
from spike_runtime.frames import Frame
from spike_runtime.pace import FIRST, SECONDS, Horizon
from spike_runtime.record import Recorder
from spike_runtime.results import Run, open_run
from spike_runtime.runfile import RunError
from spike_runtime.saving import Saving
from spike_runtime.supervise import Signals, Supervisor
from test_state_runs import same

import spikec


def interrupting(times: int = 1) -> Callable[[Any], None]:
    """Sends Ctrl-C to this process when a run has begun, so many times at once: a state is soon saved."""
    left = [times]

    def stop(now: Any) -> None:
        while now.step and left[0]:
            left[0] -= 1
            os.kill(os.getpid(), signal.SIGINT)

    return stop


def goes_on(model: spikec.Compiled, other: spikec.Compiled, first: Run, state: Path, folder: Path) -> None:
    """Whether `other`, from the state of the run `first` that was stopped, is as if that had not been."""
    steps, dt = first.about.recorded, model.manifest.dt
    assert statefile.load(state).step == steps > 0
    rest = other.run((50 + steps % 3) * dt, folder / "rest", load_state=state, save_state=folder / "b.npz")
    assert rest.about.start == steps
    whole = other.run((50 + steps % 3 + steps) * dt, folder / "whole", save_state=folder / "whole.npz")
    same(whole, first, rest)
    assert (folder / "b.npz").read_bytes() == (folder / "whole.npz").read_bytes()


@pytest.mark.usefixtures("reference_host")
@pytest.mark.parametrize(("partitions", "transport"), [(1, "ring"), (3, "ring"), (3, "tcp"), (3, "hosts")])
def test_a_run_that_is_stopped_can_go_on(tmp_path: Path, partitions: int, transport: str) -> None:
    """Messages hold the sums of several steps; what cannot be seen from the end is where they are cut."""
    hosts = None
    if transport == "hosts":  # the second is another process here
        entry = '[[host]]\nname = "{}"\naddress = "127.0.0.1"\ncores = 2\nlaunch = {}\n'
        hosts, transport = tmp_path / "hosts.toml", "ring"
        hosts.write_text(entry.format("desk", "[]") + entry.format("other", '["env"]'))
    model = spikec.compile_text(test_windows.MODEL, partitions, tmp_path / "built", hosts=hosts)
    other = spikec.compile_text(test_windows.MODEL, 4 - partitions, tmp_path / "other")
    window = max((wire.window for wire in model.manifest.wires), default=1)
    assert (window > 1) == (partitions > 1)
    state = tmp_path / "a.npz"
    first = model.run("1000s", tmp_path / "a", transport, progress=interrupting(), save_state=state)
    assert (first.status, first.about.state, first.about.state_step) == (
        "stopped",
        str(state),
        first.about.recorded,
    )
    goes_on(model, other, first, state, tmp_path)


def test_a_second_signal_ends_a_run_without_its_state(tiny: Tiny, tmp_path: Path) -> None:
    state = tmp_path / "s" / "a.npz"
    state.parent.mkdir()
    run = tiny.compiled.run("1000s", tmp_path / "run", progress=interrupting(2), save_state=state)
    assert (run.status, run.about.state) == ("stopped", "")
    assert list((tmp_path / "s").iterdir()) == []


def test_the_command_says_how_to_go_on(tiny: Tiny, commands: dict[str, str], tmp_path: Path) -> None:
    options = ["-t", "1000s", "-o", "run", "--save-state", "a.npz"]
    started = subprocess.Popen(
        ["spike-run", str(tiny.compiled.path), *options], env=commands, cwd=tmp_path, stdout=subprocess.PIPE
    )
    while not (tmp_path / "run" / "run.json").exists():
        time.sleep(0.05)
        assert started.poll() is None
    started.send_signal(signal.SIGTERM)
    told = started.communicate(timeout=60)[0].decode()
    assert started.returncode == 128 + signal.SIGTERM
    first = open_run(tmp_path / "run")
    done = first.about.recorded
    assert told.splitlines()[-1] == (
        f"state: a.npz, after {done / 1000:.12g} s; to go on: --load-state a.npz "
        f"--time {(1_000_000 - done) / 1000:.12g}s"
    )
    goes_on(tiny.compiled, tiny.compiled, first, tmp_path / "a.npz", tmp_path)


def test_a_run_that_fails_leaves_the_state_before(tiny: Tiny, tmp_path: Path) -> None:
    """Saved every so often, and not after every step."""
    state = tmp_path / "a.npz"

    def kill(_: Any) -> None:
        if state.exists():
            psutil.Process(max(worker.pid for worker in workers())).kill()

    options = {"save_state": state, "save_every": 0.021, "progress": kill}
    with pytest.raises(launch.RunFailedError, match="was killed by signal 9") as caught:
        tiny.compiled.run("1000s", tmp_path / "run", **options)
    assert caught.value.run is not None
    about = caught.value.run.about
    saved = statefile.load(state)
    assert (about.status, about.state, about.state_step) == ("failed", str(state), saved.step)
    assert saved.step % 21 == 0
    tiny.compiled.run(saved.step / 1000, tmp_path / "whole", save_state=tmp_path / "b.npz")
    assert state.read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.usefixtures("reference_host")
def test_states_in_between_change_nothing(tmp_path: Path) -> None:
    model = spikec.compile_text(test_windows.MODEL, 3, tmp_path / "built")
    whole = model.run("64ms", tmp_path / "whole", save_state=tmp_path / "a.npz")
    often = model.run("64ms", tmp_path / "often", save_state=tmp_path / "b.npz", save_every="7ms")
    same(whole, often)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_results_are_recorded_while_a_state_is_written(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at a time, and not longer than the run."""
    written: list[tuple[int, int]] = []
    save, told = statefile.save, [0]

    def slowly(path: Path, saved: statefile.Saved) -> None:
        end = time.monotonic() + 30
        while saved.step == 100 and told[0] < 150 and time.monotonic() < end:
            time.sleep(0.01)
        save(path, saved)
        written.append((saved.step, told[0]))

    monkeypatch.setattr(statefile, "save", slowly)
    add = Recorder.complete
    monkeypatch.setattr(Recorder, "complete", lambda *given: (told.__setitem__(0, given[-1]), add(*given))[1])
    run = tiny.compiled.run("500ms", tmp_path / "run", save_state=tmp_path / "a.npz", save_every="100ms")
    assert [step for step, _ in written] == [100, 200, 300, 400, 500]
    assert written[0][1] >= 150
    assert run.about.state_step == 500
    assert statefile.load(tmp_path / "a.npz").step == 500


@pytest.mark.parametrize(
    ("error", "told"), [(MemoryError(), "out of memory"), (ValueError("a bug"), "ValueError: a bug")]
)
def test_a_state_that_cannot_be_made_leaves_the_results(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(statefile, "of", refuse)
    with pytest.raises(launch.RunFailedError, match=rf"the run is complete, but its state .*: {told}"):
        tiny.compiled.run("5ms", tmp_path / "run", save_state=tmp_path / "a.npz")
    found = open_run(tmp_path / "run").about
    assert (found.status, found.recorded) == ("complete", 5)


def test_a_run_that_its_caller_ends_ends_when_its_state_is_written(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, writing = statefile.save, Event()

    def slowly(path: Path, saved: statefile.Saved) -> None:
        writing.set()
        time.sleep(0.3)
        save(path, saved)

    def end(_: object) -> None:
        if writing.is_set():
            raise ArithmeticError("enough")

    monkeypatch.setattr(statefile, "save", slowly)
    state = tmp_path / "a.npz"
    with pytest.raises(ArithmeticError, match="enough"):
        tiny.compiled.run("100s", tmp_path / "run", progress=end, save_state=state, save_every="100ms")
    found = open_run(tmp_path / "run").about
    assert found.status == "failed"
    assert found.state_step == statefile.load(state).step > 0


def test_what_waits_for_the_disk_counts_as_heard_when_it_is_taken(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a run that is stopped, while a state is written for long, ends without its last state."""
    supervisor, taken = Supervisor(tiny.compiled.manifest, Signals()), list[float]()

    def wait(_: Frame) -> None:
        time.sleep(0.01)
        taken.append(time.monotonic())

    monkeypatch.setattr(Saving, "take", lambda _, frame: wait(frame))
    monkeypatch.setattr(Supervisor, "_listen", lambda *_, **__: None)
    supervisor.saving, supervisor._checked = object.__new__(Saving), float("inf")
    supervisor._inbox.append((object.__new__(Worker), Frame("array", {})))
    supervisor._serve(lambda: bool(taken))
    assert supervisor._seen[0] >= taken[0]


def test_mistakes(tiny: Tiny, commands: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^save_every needs save_state, the file to save the state to$"):
        tiny.compiled.run("10ms", tmp_path / "run", save_every=0.01)
    with pytest.raises(RunError, match=r"^0\.0105 s is not a whole number of steps of 0\.001 s"):
        tiny.compiled.run("10ms", tmp_path / "run", save_state=tmp_path / "a.npz", save_every="10.5ms")
    command = ["spike-run", str(tiny.compiled.path), "-t", "100ms", "-o", "run", "--json"]
    options = ["--save-state", "a.npz", "--save-every", "40ms"]
    done = subprocess.run([*command, *options], env=commands, cwd=tmp_path, capture_output=True, check=True)
    shown = json.loads(done.stdout)
    assert (shown["state"], shown["state_s"]) == ("a.npz", 0.1)


def test_workers_may_go_half_a_second_ahead() -> None:
    horizon, step, now, told = Horizon(100, 10**9), 100, 5.0, 0
    while step < 60_000:  # steps of 50 us
        assert step <= horizon.may
        told += horizon.look(step, now)
        step, now = min(horizon.may, step + 20), now + 1e-3
    assert told < 60
    assert horizon.may - step == pytest.approx(SECONDS / 50e-6, rel=0.6)
    for _ in range(100):  # steps of 2 s: no more than are under way
        step, now = min(horizon.may, step + 100), now + 200.0
        horizon.look(step, now)
    assert 1 <= horizon.may - step <= FIRST
    before = horizon.may
    horizon.end(5)
    assert (horizon.may, horizon.last) == (before + 4, before + 4)
    assert not horizon.look(step, now)
    early = Horizon(0, 10**9)
    assert early.look(0, 1e6)
    assert early.look(16, 1e6 + 1e-3)
    assert early.may - 16 > FIRST
    short = Horizon(0, 7)
    assert short.look(0, 1.0)
    short.end(20)
    assert (short.may, short.last) == (7, 7)
