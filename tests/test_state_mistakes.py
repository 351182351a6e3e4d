"""What is no saved state, or one of another model, is refused."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import refused
from spike_runtime import statefile
from spike_runtime.results import Run
from spike_runtime.runfile import RunError

import spikec


@pytest.mark.usefixtures("reference_host")
def test_a_state_of_another_model_is_refused(tiny: Tiny, halves: tuple[Run, Path], tmp_path: Path) -> None:
    state = halves[1]
    text = tiny.source.read_text()

    def said(text: str, **options: Any) -> str:
        return refused(spikec.compile_text(text, **options), tmp_path, load_state=state).replace(
            str(state), "F"
        )

    changed = text.replace("ensemble result(n)", "ensemble result(n)\nensemble other(7)\nprobe other voltage")
    assert said(changed, parameters={"n": 50}) == (
        "F is not of this model; compile the model that it is of, or take what was learned alone with "
        "load_weights=\n"
        "  neurons both.rest: 120 in the file, 100 in the model\n"
        "  neurons both.voltage: 120 in the file, 100 in the model\n"
        "  neurons other.rest: not in the file\n"
        "  neurons other.voltage: not in the file\n"
        "  neurons result.rest: 60 in the file, 50 in the model\n"
        "  and 1 more"
    )
    assert said(text, dt="0.5ms") == (
        'F is of steps of 0.001 s, the model was compiled with steps of 0.0005 s; compile it with dt="0.001s"'
    )
    assert said(text, precision="float64") == (
        "F is of precision float32, the model was compiled with precision float64; "
        'compile it with precision="float32"'
    )
    assert said(text, seed=8) == (
        "F is of seed 0, the model was compiled with seed 8; compile it with seed=0"
    )
    fewer = "\n".join(line for line in text.splitlines() if not line.startswith("probe result"))
    assert "\n  neurons result.voltage: not in the model\n" in said(fewer)
    assert "\n  neurons result.voltage: not in the model\n" in said(fewer, seed=8)


def test_what_is_no_state_is_refused(tiny: Tiny, halves: tuple[Run, Path], tmp_path: Path) -> None:
    def said(**options: Any) -> str:
        return refused(tiny.compiled, tmp_path, **options)

    remedy = "make it with spike-run --save-state"
    assert said(load_state=tmp_path / "none") == f"cannot read none: No such file or directory; {remedy}"
    whole = halves[1].read_bytes()
    for name, data in {"text": b"weights", "empty": b"", "half": whole[: len(whole) // 2]}.items():
        (tmp_path / name).write_bytes(data)
        message = said(load_state=tmp_path / name)
        assert message.startswith(f"{name} is not a state of a model, or is damaged: ")
        assert message.endswith(remedy)
    for name, arrays in {"other": {"x": 1}, "five": {"about": 5}, "list": {"about": "[1]"}}.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
        message = said(load_state=tmp_path / f"{name}.npz")
        assert message.startswith(f"{name}.npz is not a state of a model, or is damaged: ")
    place = whole.index(b"voltage.npy") + 400
    (tmp_path / "bad").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert "bad is not a state of a model, or is damaged: Bad CRC-32 for file" in said(
        load_state=tmp_path / "bad"
    )
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    assert said(load_state=tmp_path / "other.npz").startswith("other.npz is not a state of a model")
    np.save(tmp_path / "pickled.npy", np.array([{}], object), allow_pickle=True)
    assert said(load_state=tmp_path / "pickled.npy").startswith("pickled.npy is not a state of a model")
    assert said(load_weights=halves[1]) == "the model learns nothing: it has no weights that could be loaded"
    both = "load_weights takes what was learned, load_state everything; give one of them"
    assert said(load_weights=halves[1], load_state=halves[1]) == both
    (tmp_path / "folder").mkdir()
    message = "folder is a folder; name a file to save the state to"
    assert said(save_state=tmp_path / "folder") == message
    (tmp_path / "file").touch()
    for parent in ("file", "file/below"):
        message = said(save_state=tmp_path / parent / "state.npz")
        assert message == "file is no folder; save the state elsewhere"


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_damage_is_noticed(data: st.DataObject) -> None:
    """A file with other bytes is refused, or holds what it held: some bytes of a zip file mean nothing."""
    saved = damaged_source()
    whole = bytearray(saved.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    bad = saved.with_name("bad.npz")
    bad.write_bytes(whole[: data.draw(st.integers(len(whole) // 2, 4 * len(whole)))])
    with contextlib.suppress(RunError):
        expected, found = statefile.load(saved), statefile.load(bad)
        assert {k: v.tobytes() for k, v in found.arrays.items()} == {
            k: v.tobytes() for k, v in expected.arrays.items()
        }
        assert vars(replace(found, arrays={})) == vars(replace(expected, arrays={}))


@cache
def damaged_source() -> Path:
    """A small state on disk, as long as the tests run."""
    path = Path(tempfile.mkdtemp()) / "state.npz"
    atexit.register(shutil.rmtree, path.parent)
    arrays = {f"neurons/e{k}.voltage": np.arange(3.0) for k in range(3)}
    shapes = {key: array.shape for key, array in arrays.items()}
    statefile.save(path, statefile.Saved("m", 1, 1, 1e-3, "float64", 7, shapes, arrays))
    return path


def test_a_file_with_spikes_that_cannot_be_is_damaged(halves: tuple[Run, Path], tmp_path: Path) -> None:
    saved = statefile.load(halves[1])
    for spikes in ([[0, 9]], [[5, 0]], [[-1, 0]], [[0.0, 1.0]], [0, 1]):
        saved.arrays["spikes/p"], saved.shapes["spikes/p"] = np.array(spikes), (5, 9)
        statefile.save(tmp_path / "bad.npz", saved)
        with pytest.raises(RunError, match="damaged: spikes/p is not what the file says of it"):
            statefile.load(tmp_path / "bad.npz")
    saved.arrays["spikes/p"] = np.array([[4, 8]])
    statefile.save(tmp_path / "good.npz", saved)
    assert statefile.load(tmp_path / "good.npz").arrays["spikes/p"].tolist() == [[4, 8]]


def test_a_file_with_random_numbers_that_cannot_be_is_damaged(tmp_path: Path) -> None:
    def loaded(stream: Any) -> dict[str, Any]:
        array = np.asarray(stream)
        shapes = {"stream/a": array.shape}
        saved = statefile.Saved("m", 1, 1, 1e-3, "float64", 7, shapes, {"stream/a": array})
        statefile.save(tmp_path / "state.npz", saved)
        return statefile.load(tmp_path / "state.npz").arrays

    good = np.zeros(627, np.int64)
    good[:5] = 624, 1, -7, 2**32 - 1, 0
    assert loaded(good)["stream/a"].tolist() == good.tolist()
    changed = [
        np.where(np.arange(627) == k, x, good) for k, x in ((0, 625), (0, -1), (1, 2), (3, 2**32), (9, -1))
    ]
    for bad in (np.int64(0), np.zeros(0, np.int64), np.zeros(626, np.int64), good.astype(float), *changed):
        with pytest.raises(RunError, match="damaged: stream/a is not what the file says of it"):
            loaded(bad)


def test_a_state_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = statefile.load(damaged_source())
    with monkeypatch.context() as older:
        older.setattr(statefile, "FORMAT", 1)
        statefile.save(tmp_path / "old.npz", saved)
    with pytest.raises(RunError, match=r"old\.npz was written by another version of Spike"):
        statefile.load(tmp_path / "old.npz")
