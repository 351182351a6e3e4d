"""Whole runs with a small engine: results, transports, faults, signals, the command."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from fake_engine import ENGINE, WORDS, model, write
from spike_runtime import crew, launch
from spike_runtime.manifest import ManifestError
from spike_runtime.results import Run, open_run
from spike_runtime.runfile import RunError
from spike_runtime.supervise import Supervisor

HERE = Path(__file__).parent
PROMISE = 5.0


def workers() -> list[psutil.Process]:
    """Workers (and what forks them) of this process, and of those that it started."""
    return [
        p for p in psutil.Process().children(recursive=True) if "spike_runtime.nursery" in " ".join(_line(p))
    ]


def _line(process: psutil.Process) -> list[str]:
    try:
        command: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return command


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No process, socket file or shared memory is left by any run of these tests."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    memory = {path.name for path in Path("/dev/shm").iterdir() if "spike" in path.name}
    yield
    assert not workers()
    assert not list((tmp_path / "tmp").iterdir())
    assert {path.name for path in Path("/dev/shm").iterdir() if "spike" in path.name} == memory


def go(folder: Path, partitions: int = 2, duration: float = 0.3, **options: Any) -> Run:
    path = write(folder / "build", model(partitions))
    return launch.run(path, duration, folder / "run", engine=ENGINE, **options)


def digest(run: Run) -> dict[str, str]:
    files = sorted(path for path in run.store.rglob("*") if path.is_file())
    return {str(f.relative_to(run.store)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def sums(partitions: int, step: np.ndarray) -> np.ndarray:
    """What each partition sends at each step (steps x partitions x words)."""
    p, i = np.arange(partitions)[:, None], np.arange(WORDS)
    return (step[:, None, None] * (i + 3) + 17 * p) % 1001


def check(run: Run, partitions: int, steps: int) -> None:
    """All probes hold what the fake engine makes in `steps` steps."""
    step = np.arange(1, steps + 1)
    sent = sums(partitions, step)
    received = sent.sum(axis=1, keepdims=True) - sent
    totals = np.concatenate([np.zeros((1, partitions)), received.sum(axis=2)[:-1]])
    assert (run.probe("value").values == totals).all()
    assert (run.probe("sum").values == sent.sum(axis=1)[1::2] / 16).all()
    spikes = run.probe("spikes")
    pairs = [(n * 0.001, p) for n in step for p in range(partitions) if (n * 7 + p) % 5 == 0]
    assert list(zip(spikes.values, spikes["neuron"].values, strict=True)) == pairs


@pytest.mark.parametrize("partitions", [1, 2, 5])
def test_complete_run(tmp_path: Path, partitions: int) -> None:
    seen: list[Any] = []
    run = go(tmp_path, partitions, progress=seen.append)
    check(run, partitions, 300)
    assert (run.status, run.about.recorded, run.names) == ("complete", 300, ("value", "sum", "spikes"))
    assert len(run.measured) == partitions
    assert all(kinds["compute"] >= 0 and kinds["recording"] > 0 for kinds in run.measured)
    assert (seen[-1].step, seen[-1].steps) == (300, 300)
    assert seen[-1].real_time_factor > 0
    assert not (run.path / ".reserve").exists()


def test_transports_give_the_same_bytes(tmp_path: Path) -> None:
    runs = {kind: go(tmp_path / kind, 3, transport=kind) for kind in ("ring", "ipc", "tcp")}
    check(runs["tcp"], 3, 300)
    assert digest(runs["ring"]) == digest(runs["ipc"]) == digest(runs["tcp"])


def test_seed_reaches_the_engine(tmp_path: Path) -> None:
    run = go(tmp_path, 2, 0.01, seed=11)
    assert run.probe("value").values[0].tolist() == [11, 11]
    assert run.about.seed == 11


def test_more_partitions_than_cores(tmp_path: Path) -> None:
    check(go(tmp_path, 9, 0.1), 9, 100)


def test_run_in_a_thread(tmp_path: Path) -> None:
    """As in a notebook's background task: signals cannot be caught there, the run works all the same."""
    runs: list[Run] = []
    thread = threading.Thread(target=lambda: runs.append(go(tmp_path)))
    thread.start()
    thread.join(60)
    check(runs[0], 2, 300)


# ------------------------------------------------------------------------------------------------- faults

FAULTS = {
    "kill": r"partition 1 was killed by signal 9 \(SIGKILL\)",
    "stop": r"partition 1 was stopped \(SIGSTOP\) at step \d+ and did not go on",
    "crash": r"partition 1 was killed by signal 11 \(SIGSEGV\)",
    "exit": r"partition 1 ended with exit code 7",
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


@pytest.mark.parametrize("transport", ["ring", "tcp"])
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named_and_results_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, transport: str
) -> None:
    monkeypatch.setenv("SPIKE_FAKE", f"{fault}:1:1500")
    watch = Watch()
    with pytest.raises(launch.RunFailedError, match=FAULTS[fault]) as caught:
        go(tmp_path, 3, 60.0, progress=watch, transport=transport)
    assert time.monotonic() - watch.last < PROMISE
    assert caught.value.partition == 1
    run = open_run(tmp_path / "run")
    assert run.status == "failed"
    assert run.about.partition == 1
    assert 1400 < run.about.recorded < 1500
    check(run, 3, run.about.recorded)
    if fault == "raise":
        assert "in _misbehave" in caught.value.details


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


# ------------------------------------------------------------------------------------------------ command


def command(folder: Path, *options: str) -> subprocess.Popen[str]:
    """`spike-run` with the fake engine, in a process of its own."""
    path = write(folder / "build", model(2))
    code = "import functools, spike_runtime.launch as launch, spike_runtime.cli as cli; "
    code += f"launch.run = functools.partial(launch.run, engine={ENGINE!r}); cli.main()"
    arguments = [sys.executable, "-c", code, str(path), "-o", str(folder / "run"), *options]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], code: int) -> tuple[str, str]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    return out, err


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def recording(folder: Path) -> Callable[[], bool]:
    return lambda: (folder / "run" / "data.zarr" / "value" / "value" / "c").exists()


def test_command_sums_up(tmp_path: Path) -> None:
    out, err = finish(command(tmp_path, "--time", "200ms"), 0)
    assert out.startswith("fake: 0.2 s simulated in ")
    assert "compute   exchange    waiting  recording      total" in out
    assert "partition 1" in out
    assert "(value, sum, spikes)" in out
    assert err == ""
    out, err = finish(command(tmp_path, "--time", "0.2s", "--json", "--overwrite"), 0)
    summary = json.loads(out)
    assert (summary["status"], summary["simulated_s"], len(summary["us_per_step"])) == ("complete", 0.2, 2)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_at_a_step_and_keeps_results(tmp_path: Path, number: int, code: int) -> None:
    process = command(tmp_path, "--time", "10min")
    wait_for(recording(tmp_path))
    process.send_signal(number)
    begin = time.monotonic()
    out, _ = finish(process, code)
    assert time.monotonic() - begin < PROMISE
    assert "stopped before 600 s" in out
    run = open_run(tmp_path / "run")
    assert run.status == "stopped"
    assert run.about.recorded >= 1000
    check(run, 2, run.about.recorded)


def test_killed_command_leaves_nothing_and_opens(tmp_path: Path) -> None:
    process = command(tmp_path, "--time", "10min", "--transport", "tcp")
    wait_for(recording(tmp_path))
    assert len(workers()) == 3  # and the process that forked them
    children = workers()
    process.kill()
    process.communicate()
    psutil.wait_procs(children, timeout=PROMISE)
    assert not any(child.is_running() for child in children)
    run = open_run(tmp_path / "run")
    assert run.status == "failed"
    assert "ended without a word" in run.about.cause
    samples = run.probe("value").sizes["time"]
    assert samples >= 1024
    assert samples % 1024 == 0
    for path in (tmp_path / "tmp").iterdir():
        path.rmdir() if path.is_dir() else path.unlink()


def test_failed_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKE_FAKE", "exit:0:1500")
    out, err = finish(command(tmp_path, "--time", "100s"), 1)
    assert out == ""
    assert err.startswith("error: partition 0 ended with exit code 7")
    assert "s were recorded in " + str(tmp_path / "run") in err


def test_full_disk(tmp_path: Path) -> None:
    """A disk of 1 MB, which this user may make where the kernel lets it; else a limit on the size of files."""
    disk = tmp_path / "disk"
    disk.mkdir()
    write(tmp_path / "build", model(2))
    mount = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=1m none {disk} && exec "$@"', "sh"]
    possible = subprocess.run([*mount, "true"], capture_output=True, check=False).returncode == 0
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import test_run; test_run.fill({str(tmp_path)!r}, {possible})"
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
        launch.run(path / "build" / "manifest.json", 600.0, run, engine=ENGINE, progress=watch)
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--time", "2"], "the time 2 has no unit; write 2s or 2ms"),
        (["--time", "2 parsecs"], "'parsecs' is not a unit of time; use s, ms, us or min"),
        (["--time", "soon"], "'soon' is not a time; write for example 2s or 500ms"),
        (["--time", "0s"], "the time 0s is not positive"),
        (["--time", "1us"], "less than one step"),
        ([], "Missing option '--time'"),
        (["--time", "1s", "--transport", "pigeon"], "'pigeon' is not one of"),
        (["--time", "1s", "--seed", "-1"], "-1 is not in the range"),
    ],
)
def test_bad_options(tmp_path: Path, options: list[str], message: str) -> None:
    _, err = finish(command(tmp_path, *options), 2)
    assert message in err
    assert not (tmp_path / "run").exists()


def test_run_directory_is_not_replaced(tmp_path: Path) -> None:
    first = go(tmp_path)
    with pytest.raises(RunError, match=r"already holds a run; .*--overwrite"):
        go(tmp_path)
    assert digest(open_run(tmp_path / "run")) == digest(first)
    assert go(tmp_path, overwrite=True, duration=0.1).about.recorded == 100
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("")
    for overwrite in (False, True):
        with pytest.raises(RunError, match="is not empty and not a run"):
            launch.run(tmp_path / "build" / "manifest.json", 1.0, other, overwrite=overwrite, engine=ENGINE)
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]


def test_runs_are_numbered(tmp_path: Path) -> None:
    path = write(tmp_path, model(1))
    names = [launch.run(path, 0.01, engine=ENGINE).path.name for _ in range(2)]
    assert names == ["run-1", "run-2"]


def test_bad_manifests(tmp_path: Path) -> None:
    path = write(tmp_path, model(2))
    text = path.read_text()
    (tmp_path / "program_1.py").unlink()
    cases = {
        text: "program_1.py is missing; compile the model again",
        text.replace('"schema": ', '"schema": 9'): "has schema 9",
        text.replace('"dt": 0.001', '"dt": 0.002'): "was changed after it was compiled",
        "not json": "is not a manifest",
    }
    for content, message in cases.items():
        path.write_text(content)
        done = subprocess.run(
            [sys.executable, "-m", "spike_runtime.cli", str(path), "--time", "1s"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
    done = subprocess.run(
        [sys.executable, "-m", "spike_runtime.cli", str(tmp_path / "none.json"), "--time", "1s"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "compile a model first" in done.stderr


def test_help_is_quick_and_has_an_example() -> None:
    begin = os.times().children_user
    done = subprocess.run(
        [sys.executable, "-m", "spike_runtime.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert "Example: spike-run build/manifest.json --time 2s" in done.stdout
    assert os.times().children_user - begin < 0.5
    code = "import sys, spike_runtime.cli; print(*{'numpy', 'zarr', 'numba', 'rich', 'xarray'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
