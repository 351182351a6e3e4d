"""Files that are replaced whole: what is in them does not depend on how they are written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spike_runtime import files
from spike_runtime.files import Files

LARGE = files._LARGE


@pytest.mark.parametrize("size", [0, 1, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE + 4095])
@pytest.mark.parametrize("able", [True, False], ids=["directly", "not directly"])
def test_files_hold_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, able: bool
) -> None:
    if not able:
        monkeypatch.setattr(files, "_DIRECT", 0)
    writer, path = Files(), tmp_path / "0"
    for seed in range(2):
        content = np.random.default_rng(seed).bytes(size + seed)
        writer.replace(path, content)
        assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["0"]


@pytest.mark.parametrize("taken", [-1, 0, 4096, 5000])
def test_a_file_system_that_does_not_take_it_directly_has_the_rest_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    calls: list[int] = []
    usual = os.write

    def write(descriptor: int, data: Any) -> int:
        calls.append(len(data))
        if taken < 0:
            raise OSError(22, "Invalid argument")
        os.set_blocking(descriptor, True)
        return usual(descriptor, bytes(data)[:taken])

    monkeypatch.setattr(files, "_DIRECT", 0o2000)  # O_APPEND, which any file system takes
    monkeypatch.setattr(os, "write", write)
    writer, content = Files(), np.random.default_rng(1).bytes(2 * LARGE + 7)
    for name in ("0", "1"):
        writer.replace(tmp_path / name, content)
        assert (tmp_path / name).read_bytes() == content
    assert calls == [2 * LARGE]


def test_a_disk_that_is_slow_is_given_no_more_directly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    usual = os.write
    monkeypatch.setattr(files, "_SLOW", 1e15)
    monkeypatch.setattr(os, "write", lambda *given: calls.append(1) or usual(*given))
    writer = Files()
    for name in ("0", "1"):
        writer.replace(tmp_path / name, bytes(LARGE))
    assert len(calls) == int(hasattr(os, "O_DIRECT"))


@pytest.mark.parametrize("size", [5, LARGE])
def test_a_file_that_does_not_fit_the_disk_leaves_the_last_one(tmp_path: Path, size: int) -> None:
    import resource

    path, writer = tmp_path / "0", Files()
    writer.replace(path, b"whole")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            writer.replace(path, bytes(size))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("0", b"whole")]
