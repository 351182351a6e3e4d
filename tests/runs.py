"""What tests of whole runs share: the small engine, what its runs must hold, that they leave nothing."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from fake_engine import ENGINE, WORDS, model, write
from spike_runtime import launch
from spike_runtime.results import Run
from spike_runtime.runfile import RunError

import spikec

HERE = Path(__file__).parent
PROMISE = 5.0


def workers() -> list[psutil.Process]:
    """Workers (and what forks them) of this process, and of those that it started."""
    names = ("spike_runtime.nursery", "spike_runtime.agent")
    return [p for p in psutil.Process().children(recursive=True) if set(names) & set(_line(p))]


def _line(process: psutil.Process) -> list[str]:
    try:
        command: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return command


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No process, socket file or shared memory is left by any run of these tests."""
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    memory = {path.name for path in Path("/dev/shm").iterdir() if "spike" in path.name}
    yield
    assert not workers()
    left = [path.name for path in (tmp_path / "tmp").iterdir()]
    assert not left, left
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
    assert spikes(run) == spikes_until(partitions, steps)


def check_prefixes(run: Run, partitions: int) -> list[int]:
    """As `check`, but each probe may end at another step; gives the numbers of samples, and of events."""
    counts = [run.probe("value").sizes["time"], run.probe("sum").sizes["time"], len(spikes(run))]
    step = np.arange(1, max(counts[0], 2 * counts[1]) + 2)
    sent = sums(partitions, step)
    received = (sent.sum(axis=1, keepdims=True) - sent).sum(axis=2)
    assert (run.probe("value").values[1:] == received[: max(0, counts[0] - 1)]).all()
    assert (run.probe("sum").values == sent.sum(axis=1)[1::2][: counts[1]] / 16).all()
    assert spikes(run) == spikes_until(partitions, 5 * counts[2] + 5)[: counts[2]]
    return counts


def spikes(run: Run) -> list[tuple[float, int]]:
    found = run.probe("spikes")
    return list(zip(found.values.tolist(), found["neuron"].values.tolist(), strict=True))


def spikes_until(partitions: int, steps: int) -> list[tuple[float, int]]:
    """What the fake engine makes."""
    return [(n * 0.001, p) for n in range(1, steps + 1) for p in range(partitions) if (n * 7 + p) % 5 == 0]


def refused(compiled: spikec.Compiled, tmp_path: Path, **options: Any) -> str:
    """What is said of bad input, before anything is written."""
    with pytest.raises(RunError) as caught:
        compiled.run("5ms", tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
    return str(caught.value).replace(f"{tmp_path}/", "")
