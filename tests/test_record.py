"""The store: the same to the byte however blocks come, complete chunks at any moment, labels for xarray."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from record_helpers import COLUMNS, EXPONENT, STEPS, about, blocks, digest, model, play, total, value
from spike_runtime import manifest as schema
from spike_runtime import record, runfile, series
from spike_runtime.blocks import Block
from spike_runtime.files import Files
from spike_runtime.record import Recorder
from spike_runtime.results import Run, open_run
from spike_runtime.series import group_name

pytestmark = pytest.mark.usefixtures("small_chunks")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("reference") / "store"
    assert play(folder, 1, [[STEPS]], []) == STEPS
    return digest(folder)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_store_does_not_depend_on_parts_or_blocks(reference: dict[str, str], data: st.DataObject) -> None:
    parts = data.draw(st.integers(1, 4))
    border = st.lists(st.integers(1, STEPS - 1), max_size=4, unique=True).map(lambda b: [*sorted(b), STEPS])
    borders = data.draw(st.lists(border, min_size=parts, max_size=parts))
    order = data.draw(st.lists(st.integers(0, parts - 1), max_size=12))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "store"
        assert play(folder, parts, borders, order) == STEPS
        assert digest(folder) == reference


@pytest.mark.parametrize(("parts", "shown"), [(1, 0), (2, 0), (2, 1500)])
@pytest.mark.parametrize("step", [1, 1024, 1025, STEPS])
def test_the_first_sample_that_is_not_finite_is_noted(
    tmp_path: Path, parts: int, shown: int, step: int
) -> None:
    recorder = Recorder(model(parts), tmp_path / "store", STEPS, seed=3)
    for first, last in [(1, shown), (shown + 1, STEPS)] if shown else [(1, STEPS)]:
        for part in range(parts):
            for block in blocks(parts, part, first, last):
                if block.probe == 0 and first <= step <= last:
                    block.data[step - first, -1] = np.inf
                    block.data[step - first + 1 :: 7] = np.nan
                recorder.add(block)
            recorder.complete(part, last)
        recorder._each("show")
    assert recorder.finish() == STEPS
    assert recorder.not_finite == {"held": step}


def test_values_are_right_and_labelled(tmp_path: Path) -> None:
    play(tmp_path / "store", 3, [[1000, STEPS], [STEPS], [7, 2000, STEPS]], [])
    held = xr.open_zarr(tmp_path / "store", group="held", consolidated=False)
    step = np.arange(1, STEPS + 1)
    assert held["value"].dims == ("time", "column")
    assert held["value"].dtype == np.float32
    assert (held["value"].values == value(step[:, None], np.arange(COLUMNS)[None, :])).all()
    assert (held["time"].values == step * 0.001).all()
    assert held["time"].attrs["units"] == "s"
    assert held["value"].attrs["units"] == "V"
    assert (held.attrs["probe"], held.attrs["target"], held.attrs["ideal"]) == (
        "held",
        "the held",
        ["sin(t)"],
    )
    summed = xr.open_zarr(tmp_path / "store", group=group_name("a/b: __sum"), consolidated=False)
    assert (summed["value"].values == total(step[step % 3 == 0]).astype(np.float64) * 2.0**-EXPONENT).all()
    assert (summed["time"].values == step[step % 3 == 0] * 0.001).all()
    spikes = xr.open_zarr(tmp_path / "store", group="spikes", consolidated=False)
    expected = [(n * 0.001, c) for n in step for c in range(COLUMNS) if (n * (c + 2)) % 7 == 0]
    assert list(zip(spikes["time"].values, spikes["neuron"].values, strict=True)) == expected
    root = xr.open_zarr(tmp_path / "store", consolidated=False)
    assert (root.attrs["model"], root.attrs["dt"], root.attrs["seed"]) == ("m", 0.001, 3)


def test_many_events_fill_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "EVENTS_CHUNK", 100)
    play(tmp_path / "one", 1, [[STEPS]], [])
    play(tmp_path / "two", 2, [[5, 900, STEPS], [1200, STEPS]], [0, 1, 0])
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert len(list((tmp_path / "one" / "spikes" / "time" / "c").iterdir())) > 10


def test_store_opens_at_any_time(tmp_path: Path) -> None:
    """Without `finish`, as after a crash: whole chunks are there, the rest reads as NaN."""
    recorder = Recorder(model(2), tmp_path, STEPS, seed=3)
    for part, last in ((0, 2100), (1, 1500)):
        for block in blocks(2, part, 1, last):
            recorder.add(block)
        recorder.complete(part, last)
    held = xr.open_zarr(tmp_path, group="held", consolidated=False)["value"].values
    assert held.shape == (STEPS, COLUMNS)
    assert (held[:1024] == value(np.arange(1, 1025)[:, None], np.arange(COLUMNS)[None, :])).all()
    assert np.isnan(held[1024:]).all()
    assert not list(tmp_path.rglob("*.partial*"))


def test_early_end_is_cut_where_all_parts_are_complete(tmp_path: Path) -> None:
    assert play(tmp_path / "store", 2, [[1234], [1100]], []) == 1100
    held = xr.open_zarr(tmp_path / "store", group="held", consolidated=False)
    assert held.sizes == {"time": 1100, "column": COLUMNS}
    assert not np.isnan(held["value"].values).any()
    spikes = xr.open_zarr(tmp_path / "store", group="spikes", consolidated=False)
    assert spikes["time"].values.max() <= 1.1
    assert spikes["time"].values.max() > 1.09


def test_a_run_that_was_to_be_very_long_ends_at_once(tmp_path: Path) -> None:
    """10^15 steps have more chunks than fit the memory of any machine."""
    long, short = tmp_path / "long", tmp_path / "short"
    assert play(long, 2, [[50], [50]], [0, 1], steps=10**15) == 50
    assert play(short, 2, [[50], [50]], [0, 1], steps=50) == 50
    for group in ("held", "spikes"):
        opened = [xr.open_zarr(store, group=group, consolidated=False).load() for store in (long, short)]
        xr.testing.assert_identical(*opened)


def test_spikes_of_a_partition_that_was_ahead_are_cut(tmp_path: Path) -> None:
    whole = model(2)
    spikes = replace(whole.probes[2], parts=(schema.ProbePart(0, 0, ((0, COLUMNS),)),))
    recorder = Recorder(replace(whole, probes=(spikes,)), tmp_path, STEPS, seed=3)
    recorder.add(Block(0, 0, 0, blocks(1, 0, 1, 2000)[2].data))
    recorder.complete(0, 2000)
    recorder.complete(1, 1100)
    assert recorder.finish() == 1100
    times = xr.open_zarr(tmp_path, group="spikes", consolidated=False)["time"].values
    assert 1.09 < times.max() <= 1.1


def check_prefixes(run: Run) -> int:
    """Each probe holds a prefix of what a whole run records; gives the number of numbers."""
    step = np.arange(1, STEPS + 1)
    expected = {
        "held": value(step[:, None], np.arange(COLUMNS)[None, :]),
        "a/b: __sum": total(step[step % 3 == 0]).astype(np.float64) * 2.0**-EXPONENT,
    }
    count = 0
    for name, whole in expected.items():
        found = run.probe(name)
        assert (found.values == whole[: len(found)]).all()
        every = 1 if name == "held" else 3
        assert (found["time"].values == step[every - 1 :: every][: len(found)] * 0.001).all()
        count += found.size
    spikes = run.probe("spikes")
    pairs = [(n * 0.001, c) for n in step for c in range(COLUMNS) if (n * (c + 2)) % 7 == 0]
    assert list(zip(spikes.values, spikes["neuron"].values, strict=True)) == pairs[: len(spikes)]
    return count + spikes.size


class Crash(BaseException):
    """As if the process was killed."""


@pytest.mark.parametrize("shown_every", [0.0, 1e9])
def test_a_crash_between_any_two_writes_leaves_prefixes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown_every: float
) -> None:
    """Files are replaced whole: all that a crash can leave is the first so many of them."""
    monkeypatch.setattr(record, "_SHOWN_EVERY", shown_every)
    monkeypatch.setattr(record, "_SHOWN_SHARE", 1e9)
    left = 0
    replace_file = Files.replace

    def write(self: Files, path: Path, content: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash
        replace_file(self, path, content)

    monkeypatch.setattr(Files, "replace", write)
    found = []
    for writes in range(10**6):
        left, folder = writes, tmp_path / str(writes)
        folder.mkdir()
        runfile.save(about(folder, pid=2**22 + 1), folder)  # no process has this number
        with contextlib.suppress(Crash):
            play(folder / runfile.STORE, 2, [[500, 1300, 1900, STEPS], [700, 1100, 2100, STEPS]], [0, 1] * 4)
        crashed, left = left < 0, 10**6
        with contextlib.suppress(runfile.RunError):  # of the first few, that say that there is nothing yet
            found.append(check_prefixes(open_run(folder)))
        if not crashed:
            break
    assert len(found) > 10
    assert found == sorted(found)
    assert found[-1] == STEPS * COLUMNS + STEPS // 3 * 2 + len(blocks(1, 0, 1, STEPS)[2].data)
    assert len(set(found)) > 4
