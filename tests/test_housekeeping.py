"""`spikec cache`: what lies on this machine, and its removal."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from spike_runtime.version import kernel_folder, profile_name

from spikec.cache import Cache
from spikec.cli import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which some was kept, beside what is not Spike's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SPIKE_CACHE_DIR", raising=False)
    folder = tmp_path / "spike"
    Cache().put("ab", np.zeros(1000))
    for version in (kernel_folder().name, "kernels-000000000000"):
        (folder / version / "inner").mkdir(parents=True)
        (folder / version / "inner" / "code.nbc").write_bytes(bytes(50_000))
    for name in ("host_profile.json", profile_name()):
        (folder / name).write_text("{}")
    (folder / "thesis.tex").write_text("mine")
    return folder


def run(*words: str) -> str:
    result = CliRunner().invoke(main, ["cache", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_cache_is_shown(home: Path) -> None:
    decoders = (home / "decoders" / "ab.npy").stat().st_size
    first, *lines, last = run().splitlines()
    assert first == f"{home}: 108 kB"
    assert [line[:26].split() for line in lines] == [
        ["decoders", "8.16", "kB"],
        ["machine", "code", "100", "kB"],
        ["host", "profile", "4", "bytes"],
    ]
    assert lines[0].endswith("at most 2.15 GB: the least used go first")
    assert last == "Empty it with: spikec cache --clear"
    told = json.loads(run("--json"))
    assert (told["bytes"], told["cleared"]) == (decoders + 100_004, False)
    assert {part["what"]: part["bytes"] for part in told["kept"]} == {
        "decoders": decoders,
        "machine code": 100_000,
        "host profile": 4,
    }


def test_the_cache_is_emptied_of_what_is_ours(home: Path) -> None:
    assert run("--clear") == f"{home}: 108 kB removed\n"
    assert [path.name for path in home.iterdir()] == ["thesis.tex"]
    assert run() == f"{home}: empty\n"
    assert json.loads(run("--json", "--clear"))["bytes"] == 0


def test_decoders_kept_elsewhere_are_found(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPIKE_CACHE_DIR", str(tmp_path / "own"))
    Cache().put("cd", np.zeros(10))
    assert run().startswith(f"{tmp_path / 'own'}, {home}: 100 kB\n")
    run("--clear")
    assert not list((tmp_path / "own").iterdir())


def test_what_cannot_be_removed_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("shutil.rmtree", refuse)
    result = CliRunner().invoke(main, ["cache", "--clear"])
    assert result.exit_code == 2
    assert f"cannot write {home / 'decoders'}: Permission denied" in result.stderr


def test_what_another_process_removed_meanwhile_is_no_mistake(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink, gone = os.unlink, list[str]()

    def late(path: str, **given: int) -> None:
        unlink(path, **given)
        if not gone:
            gone.append(path)
            raise FileNotFoundError(2, "No such file or directory", path)

    (home / "decoders" / "cd.npy").write_bytes(b"more")
    monkeypatch.setattr(os, "unlink", late)
    assert run("--clear").endswith(" removed\n")
    assert gone
    assert [path.name for path in home.iterdir()] == ["thesis.tex"]


def test_a_folder_linked_to_another_disk_is_emptied_and_stays(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk"
    (home / "decoders").rename(elsewhere)
    (home / "decoders").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "inner").mkdir()
    assert "removed" in run("--clear")
    assert list(elsewhere.iterdir()) == []
    Cache().put("cd", np.zeros(10))
    assert (elsewhere / "cd.npy").exists()
