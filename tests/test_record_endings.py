"""Runs that ended badly, and what is read of a run: full disks, dead processes, files that are missing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from record_helpers import COLUMNS, STEPS, about, blocks, model, play
from spike_runtime import runfile, series
from spike_runtime.record import Recorder, RecordError
from spike_runtime.results import open_run

pytestmark = pytest.mark.usefixtures("small_chunks")


def test_full_disk_names_probe_and_partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(model(2), tmp_path, STEPS, seed=3)
    for block in blocks(2, 0, 1, STEPS) + blocks(2, 1, 1, STEPS):
        recorder.add(block)
    recorder.complete(0, STEPS)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(series.Samples, "_write", full)
        with pytest.raises(RecordError, match=r"probe 'held' of partitions 0, 1 .*No space left on device"):
            recorder.complete(1, STEPS)
    assert recorder.abandon() == 0
    assert xr.open_zarr(tmp_path, group="held", consolidated=False).sizes["time"] == 0


def test_full_disk_keeps_what_is_whole_of_all_probes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are on disk up to step 1024, spikes up to less."""
    whole = model(1)
    recorder = Recorder(replace(whole, probes=whole.probes[::2]), tmp_path, STEPS, seed=3)
    held, _, spikes = blocks(1, 0, 1, STEPS)
    recorder.add(held)
    recorder.add(replace(spikes, probe=1))
    recorder.complete(0, 1100)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(series.Samples, "_write", full)
    with pytest.raises(RecordError):
        recorder.complete(0, STEPS)
    last = recorder.abandon()
    assert 600 < last < 1024
    assert xr.open_zarr(tmp_path, group="held", consolidated=False).sizes["time"] == last
    found = xr.open_zarr(tmp_path, group="spikes", consolidated=False)
    step, neuron = np.rint(found["time"].values * 1000), found["neuron"].values
    assert (step * COLUMNS + neuron).tolist() == [e for e in spikes.data if e < (last + 1) * COLUMNS]


def test_run_of_a_dead_process_is_failed_and_cut(tmp_path: Path) -> None:
    recorder = Recorder(model(1), tmp_path / runfile.STORE, STEPS, seed=3)
    for block in blocks(1, 0, 1, 1500):
        recorder.add(block)
    recorder.complete(0, 1500)
    runfile.save(
        about(tmp_path, pid=2**22 + 1), tmp_path
    )  # above the kernel's limit: there is no such process
    run = open_run(tmp_path)
    assert run.status == "failed"
    assert "spike-run itself ended" in run.about.cause
    assert run.probe("held").sizes["time"] == 1024


def test_probe_arrays(tmp_path: Path) -> None:
    play(tmp_path / runfile.STORE, 1, [[STEPS]], [])
    times = (runfile.Times(1000, 2e6, 1e6, 5e5, 0.0),)
    runfile.save(about(tmp_path, status="complete", recorded=STEPS, times=times), tmp_path)
    run = open_run(tmp_path)
    assert run.names == ("held", "a/b: __sum", "spikes")
    assert run.measured == ({"compute": 2.0, "exchange": 1.0, "waiting": 0.5, "recording": 0.0},)
    assert run.step_time == 3.5
    held = run.probe("held")
    assert (held.name, held.attrs["units"], held.dims) == ("held", "V", ("time", "column"))
    spikes = run.probe("spikes")
    assert spikes.dims == ("event",)
    assert spikes.attrs["units"] == "s"
    assert set(spikes["neuron"].values) == set(range(COLUMNS))
    with pytest.raises(runfile.RunError, match=r"no probe 'hold'.*it has: held"):
        run.probe("hold")


def test_a_complete_run_whose_files_were_deleted(tmp_path: Path) -> None:
    play(tmp_path / runfile.STORE, 1, [[STEPS]], [])
    runfile.save(about(tmp_path, status="complete", recorded=STEPS), tmp_path)
    shutil.rmtree(tmp_path / runfile.STORE / "held")
    with pytest.raises(runfile.RunError, match=r"nothing of the probe 'held': files are missing from .*zarr"):
        open_run(tmp_path).probe("held")


def test_damaged_run_file(tmp_path: Path) -> None:
    with pytest.raises(runfile.RunError, match="is not a run"):
        open_run(tmp_path)
    for text in ("{", "[]", '{"times": []}'):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(runfile.RunError, match="is damaged"):
            open_run(tmp_path)
