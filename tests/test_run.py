"""Whole runs with a small engine: results, transports, run directories, bad input."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_engine import ENGINE, model, write
from runs import check, digest, go, nothing_left  # noqa: F401 (a fixture of every test here)
from spike_runtime import launch
from spike_runtime.manifest import ManifestError, find
from spike_runtime.record import Recorder
from spike_runtime.results import Run, open_run
from spike_runtime.runfile import RunError
from spike_runtime.supervise import Supervisor


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
    assert sorted(path.name for path in run.path.iterdir()) == ["data.zarr", "run.json"]


def test_transports_give_the_same_bytes(tmp_path: Path) -> None:
    runs = {kind: go(tmp_path / kind, 3, transport=kind) for kind in ("ring", "ipc", "tcp")}
    check(runs["tcp"], 3, 300)
    assert digest(runs["ring"]) == digest(runs["ipc"]) == digest(runs["tcp"])


def test_what_is_recorded_waits_in_its_place_until_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorder takes longer than the steps: these wait, and overwrite nothing."""
    add = Recorder.add

    def late(recorder: Recorder, block: Any) -> None:
        time.sleep(2e-3)
        add(recorder, block)

    monkeypatch.setattr(Recorder, "add", late)
    monkeypatch.setenv("SPIKE_FAKE_CHUNK", "5")
    monkeypatch.setenv("SPIKE_FAKE_ROOM", "2")
    check(go(tmp_path, 2), 2, 300)


def test_seed_reaches_the_engine(tmp_path: Path) -> None:
    run = go(tmp_path, 2, 0.01, seed=11)
    assert run.probe("value").values[0].tolist() == [11, 11]
    assert run.about.seed == 11


def test_more_partitions_than_cores(tmp_path: Path) -> None:
    check(go(tmp_path, 9, 0.1), 9, 100)


def test_the_time_of_a_run_is_that_of_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are made before the first step and completed after the last: 1000 s each by this clock."""
    late = 0.0

    class Slow(Recorder):
        def __init__(self, *given: Any) -> None:
            nonlocal late
            super().__init__(*given)
            late += 1000.0

        def finish(self) -> int:
            nonlocal late
            late += 1000.0
            return super().finish()

    monkeypatch.setattr("spike_runtime.record.Recorder", Slow)
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + late, process_time=time.process_time)
    monkeypatch.setattr(launch, "clock", clock)
    assert 0.0 < go(tmp_path).about.wall < 1000.0


def test_run_in_a_thread(tmp_path: Path) -> None:
    """As in a notebook's background task: signals cannot be caught there, the run works all the same."""
    runs: list[Run] = []
    thread = threading.Thread(target=lambda: runs.append(go(tmp_path)))
    thread.start()
    thread.join(60)
    check(runs[0], 2, 300)


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


def test_a_run_that_is_going_is_not_replaced(tmp_path: Path) -> None:
    refused: list[str] = []

    def again(_: Any) -> None:
        for overwrite in (False, True):
            with pytest.raises(RunError) as error:
                go(tmp_path, duration=0.1, overwrite=overwrite)
            refused.append(str(error.value))

    check(go(tmp_path, progress=again), 2, 300)
    assert f"holds a run that is going (process {os.getpid()} on " in refused[0]
    assert "give another directory with -o" in refused[0]
    assert len(refused) >= 2
    assert set(refused) == {refused[0]}


def test_runs_that_begin_at_once_have_numbers_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second chooses its directory before the first has done a step."""
    path = write(tmp_path / "m", model(1))
    runs: list[Run] = []
    prepare = Supervisor.prepare

    def another_first(supervisor: Supervisor, *given: Any) -> bool:
        monkeypatch.setattr(Supervisor, "prepare", prepare)
        runs.append(launch.run(path, 0.01, engine=ENGINE))
        return prepare(supervisor, *given)

    monkeypatch.setattr(Supervisor, "prepare", another_first)
    runs.append(launch.run(path, 0.01, engine=ENGINE))
    assert [run.path.name for run in runs] == ["m-run-2", "m-run-1"]
    assert [run.status for run in runs] == ["complete"] * 2


def test_what_was_made_for_a_run_that_never_began_goes_again(tmp_path: Path) -> None:
    path, state = write(tmp_path / "m", model(1)), tmp_path / "state.npz"
    with pytest.raises(ManifestError, match=r"state\.json is missing"):
        launch.run(path, 0.1, tmp_path / "a" / "b", engine=ENGINE, save_state=state)
    assert not (tmp_path / "a").exists()


def test_runs_are_numbered(tmp_path: Path) -> None:
    path = write(tmp_path, model(1))
    names = [launch.run(path, 0.01, engine=ENGINE).path.name for _ in range(2)]
    assert names == [f"{path.parent.name}-run-1", f"{path.parent.name}-run-2"]
    assert launch.run(path, 0.01, engine=ENGINE).path.parent == path.parent.parent


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
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").touch()
    with pytest.raises(ManifestError, match="run is a run, not a compiled model; name what it was run from"):
        find(tmp_path / "run")
