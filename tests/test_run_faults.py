"""Faults in mid-run: the run ends within seconds, names partition and cause, and keeps what was recorded."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from fake_engine import ENGINE, model, write
from runs import HERE, PROMISE, check, check_prefixes, go, nothing_left  # noqa: F401 (a fixture of every test here)
from spike_runtime import crew, frames, launch, team
from spike_runtime.crew import Worker
from spike_runtime.manifest import ManifestError
from spike_runtime.results import open_run
from spike_runtime.supervise import AHEAD, PartitionError, Signals, Supervisor
from spike_runtime.wires.layout import STOP, segment_layout

FAULTS = {
    "kill": r"WHO was killed by signal 9 \(SIGKILL\)",
    "stop": r"WHO was stopped \(SIGSTOP\) at step \d+ and did not go on",
    "crash": r"WHO was killed by signal 11 \(SIGSEGV\)",
    "exit": r"WHO ended with exit code 7",
    "raise": r"partition 1 failed: ValueError: no such luck",
    "memory": r"partition 1 ran out of memory: Unable to allocate",
}


class Watch:
    """Notes when a partition began to misbehave: the last step before it was begun."""

    def __init__(self) -> None:
        self.last = time.monotonic()
        self.step = -1

    def __call__(self, progress: Any) -> None:
        if progress.step != self.step:
            self.step, self.last = progress.step, time.monotonic()


@pytest.mark.parametrize(("transport", "processes"), [("ring", 3), ("ring", 2), ("tcp", 3)])
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named_and_results_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, transport: str, processes: int
) -> None:
    monkeypatch.setenv("SPIKE_FAKE", f"{fault}:1:1500")
    monkeypatch.setattr(team, "processes", lambda _: processes)
    who = "partition 1" if processes == 3 else "the process of partitions 1 and 2"
    watch = Watch()
    with pytest.raises(launch.RunFailedError, match=f"^{FAULTS[fault].replace('WHO', who)}") as caught:
        go(tmp_path, 3, 60.0, progress=watch, transport=transport)
    assert time.monotonic() - watch.last < PROMISE
    assert caught.value.partition == 1
    run = open_run(tmp_path / "run")
    assert run.status == "failed"
    assert run.about.partition == 1
    assert 1400 < run.about.recorded < 1500
    check(run, 3, run.about.recorded)
    if fault in ("kill", "crash", "exit"):
        at = re.search(
            r"; it was at step (\d+) \(([\d.]+) s\), and .* after step (\d+) is lost", run.about.cause
        )
        assert at is not None, run.about.cause
        assert 1400 < int(at[1]) <= 1501
        assert float(at[2]) == pytest.approx(int(at[1]) * run.about.dt)
        assert run.about.recorded <= int(at[3]) <= int(at[1])
    if fault == "raise":
        assert "in _misbehave" in caught.value.details


@pytest.mark.parametrize("transport", ["ring", "tcp"])
def test_a_message_that_never_comes_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setenv("SPIKE_FAKE", "mute:1:300")
    with pytest.raises(
        launch.RunFailedError, match=r"waits for the message of step \d+ on wire .*, which was lost"
    ):
        go(tmp_path, 3, 60.0, transport=transport)
    assert open_run(tmp_path / "run").status == "failed"


def test_a_run_that_ends_early_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKE_FAKE", "halt:1:300")
    with pytest.raises(launch.RunFailedError, match=r"partition \d stopped of itself at step \d+"):
        go(tmp_path, 3, 60.0)
    run = open_run(tmp_path / "run")
    assert run.status == "failed"
    check(run, 3, run.about.recorded)


def test_an_error_of_the_callers_progress_loses_nothing(tmp_path: Path) -> None:
    """What was recorded until then is kept, also what does not fill a chunk."""

    def fails(progress: Any) -> None:
        if progress.step > 1500:
            raise ZeroDivisionError("no such luck")

    with pytest.raises(ZeroDivisionError):
        go(tmp_path, 2, 60.0, progress=fails)
    run = open_run(tmp_path / "run")
    assert (run.status, run.about.cause) == ("failed", "ZeroDivisionError: no such luck")
    assert run.about.recorded > 1400
    check(run, 2, run.about.recorded)


def test_fault_before_the_first_step(tmp_path: Path) -> None:
    path = write(tmp_path / "build", model(2))
    with pytest.raises(launch.RunFailedError, match=r"partition \d failed: AttributeError"):
        launch.run(path, 1.0, tmp_path / "run", engine="fake_engine:NoSuchEngine")
    assert not (tmp_path / "run").exists()


def test_changed_files_are_bad_input(tmp_path: Path) -> None:
    path = write(tmp_path / "build", model(2))
    with pytest.raises(ManifestError, match=r"program_0.py was changed after it was compiled"):
        launch.run(path, 1.0, tmp_path / "run", engine="fake_engine:refuses")
    assert not (tmp_path / "run").exists()


def test_memory_is_bounded_when_one_partition_is_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without wires between them, the fast partition waits for the recorder, not the recorder for memory."""
    monkeypatch.setenv("SPIKE_FAKE_SLOW", "1:0.05")
    monkeypatch.setattr(crew, "PIECE", 1000)  # about one chunk
    leads: list[int] = []
    take = Supervisor._take

    def spy(self: Supervisor, worker: Any, frame: Any) -> None:
        take(self, worker, frame)
        running = [w for w in self.workers if w.state != "done"]
        leads.append(max(w.complete for w in running) - min(w.complete for w in running) if running else 0)

    monkeypatch.setattr(Supervisor, "_take", spy)
    path = write(tmp_path / "build", model(2, chain=False, wired=False))
    launch.run(path, 0.5, tmp_path / "run", engine=ENGINE)
    assert 7 <= max(leads) <= 6 * 10


def test_a_partition_that_is_far_ahead_is_watched_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is read until the others come near, which takes long."""
    monkeypatch.setenv("SPIKE_FAKE", "kill:0:200")
    monkeypatch.setenv("SPIKE_FAKE_SLOW", "1:0.03")
    monkeypatch.setenv("SPIKE_FAKE_CHUNK", "1")
    path = write(tmp_path / "build", model(2, chain=True))
    with pytest.raises(launch.RunFailedError, match=FAULTS["kill"].replace("WHO", "partition 0")):
        launch.run(path, 60.0, tmp_path / "run", engine=ENGINE, transport="tcp")
    assert open_run(tmp_path / "run").about.recorded < 150


def test_a_partition_that_is_far_ahead_says_why_it_fails() -> None:
    """Nothing of it is read; but it has stopped, and the others wait for ever for what it did not send."""
    manifest, signals = model(2), Signals()
    segments = [np.zeros(segment_layout(manifest).words, np.int64) for _ in range(2)]
    pairs = [socket.socketpair() for _ in range(2)]
    with contextlib.ExitStack() as stack:
        for end in itertools.chain(*pairs):
            stack.callback(end.close)
        workers = [
            Worker(
                (p,), Stopped(), pairs[p][0], segments[p], stack.enter_context(tempfile.TemporaryFile()), ""
            )
            for p in range(2)
        ]
        for worker in workers:
            worker.channel.setblocking(False)
            worker.state = "running"
        workers[0].recorded[0] = AHEAD + 2
        supervisor = Supervisor(manifest, signals, workers)
        frames.send(pairs[0][1], "failed", reason="wire", cause="wire 0: gone", partition=0)
        supervisor._listen(limit=True)
        assert not supervisor._inbox
        segments[0][STOP] = 1
        with pytest.raises(PartitionError, match="partition 0 lost a connection: wire 0: gone"):
            supervisor._serve(lambda: False)


def test_a_worker_that_takes_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too large for the socket is given up; it then hears no half of a message, but its end."""
    monkeypatch.setattr(crew, "_SEND_WITHIN", 0.2)
    here, there = socket.socketpair()
    with here, there, tempfile.TemporaryFile() as log:
        worker = Worker((0,), Stopped(), here, np.zeros(0, np.int64), log, "")
        worker.tell("array", bytes(8 << 20))
        worker.tell("state")
        assert not here.getblocking()
        there.settimeout(5.0)
        heard = bytearray()
        while piece := there.recv(1 << 20):
            heard += piece
    assert 0 < len(heard) < 8 << 20
    assert b'"state"' not in heard


class Stopped:
    """A process that is not looked at."""

    pid = 0


def test_a_killed_supervisor_leaves_what_was_recorded(tmp_path: Path) -> None:
    path = write(tmp_path / "build", model(2))
    code = f"import sys; from spike_runtime import launch; launch.run(*sys.argv[1:], engine={ENGINE!r})"
    code = code.replace("*sys.argv[1:]", "sys.argv[1], 1e4, sys.argv[2]")
    for number, seconds in enumerate((0.0, 0.9, 2.3)):
        folder = tmp_path / str(number)
        process = subprocess.Popen([sys.executable, "-c", code, str(path), str(folder)])
        wait_until((folder / "data.zarr" / "spikes" / "neuron").exists)
        time.sleep(seconds)
        process.kill()
        process.wait()
        wait_until(lambda: not workers_of(process.pid))  # noqa: B023 (called here)
        run = open_run(folder)
        assert run.status == "failed"
        assert "killed?" in run.about.cause
        values, sums, events = check_prefixes(run, 2)
        assert min(values, sums, events) > 100 or seconds < 2


def wait_until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def workers_of(supervisor: int) -> list[list[str]]:
    """Command lines of the processes that were started by a supervisor."""
    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [
        line for line in lines if line[-3:-2] == ["spike_runtime.nursery"] and line[-1] == str(supervisor)
    ]


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk of 1 MB, where this user may mount one; else a limit on the size of files."""
    monkeypatch.setenv("SPIKE_FAKE_CHUNK", "500")
    disk = tmp_path / "disk"
    disk.mkdir()
    write(tmp_path / "build", model(2))
    mount = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=1m none {disk} && exec "$@"', "sh"]
    possible = subprocess.run([*mount, "true"], capture_output=True, check=False).returncode == 0
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import test_run_faults as faults; "
    code += f"faults.fill({str(tmp_path)!r}, {possible})"
    begin = time.monotonic()
    done = subprocess.run(
        [*(mount if possible else []), sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 40
    report = json.loads(done.stdout)
    expected = "No space left on device" if possible else "File too large"
    assert report["message"].startswith("cannot record probe ")
    assert "of partitions 0, 1 to" in report["message"]
    assert expected in report["message"]
    assert report["status"] == "failed"
    assert report["samples"] == report["recorded"]
    assert report["seconds"] < PROMISE


def fill(folder: str, disk: bool) -> None:
    """In the process that sees the small disk: run until it is full, and report."""
    import resource

    path, run = Path(folder), Path(folder) / "disk" / "run"
    if not disk:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
    watch = Watch()
    try:
        launch.run(path / "build" / "manifest.json", 60_000.0, run, engine=ENGINE, progress=watch)
    except launch.RunFailedError as error:
        seconds = time.monotonic() - watch.last
        found = open_run(run)
        samples = found.probe("value").sizes["time"]
        report = {
            "message": str(error),
            "status": found.status,
            "samples": samples,
            "recorded": found.about.recorded,
            "seconds": seconds,
        }
        print(json.dumps(report))  # noqa: T201
