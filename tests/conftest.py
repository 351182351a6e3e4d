"""Shared by the tests: the option --update-golden, the costs of the reference host, and one small model."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from spike_runtime import series
from spike_runtime.results import Run

import spikec
from spikec.planning import measuring, profile

ROOT = Path(__file__).resolve().parent.parent
# Who starts tests in the background has them ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Small enough to be run by tests, with a cut, values, spikes and states.
TINY = """\
# The second population represents the product of what the first one represents.
model tiny

param n = 60

input stimulus(t) = [sin(2*pi*t), cos(2*pi*t)]
ensemble both(2*n, dims=2, radius=1.5)
ensemble result(n)

connect stimulus -> both
connect both -> result via x[0] * x[1] synapse 5ms
probe result synapse 30ms ideal sin(4*pi*t) / 2 as product
probe both.spikes as spikes
probe both.voltage every 5ms as voltage
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the files of tests/golden again")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def measured_host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that holds a host profile, the reference: nothing is measured for the tests."""
    folder = tmp_path_factory.mktemp("cache")
    shutil.copy(ROOT / "spikec" / "planning" / "reference_profile.json", folder / measuring.FILE)
    profile.read(folder / measuring.FILE)  # else it would be measured, which takes a minute
    return folder


@pytest.fixture
def reference_host(measured_host: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if this host had been measured, with the costs of the reference."""
    monkeypatch.setenv("SPIKE_CACHE_DIR", str(measured_host))
    return measured_host


@dataclass(frozen=True)
class Tiny:
    """The model `TINY`, compiled for two partitions and run for 0.5 s."""

    source: Path
    compiled: spikec.Compiled
    run: Run


@pytest.fixture(scope="session")
def tiny(measured_host: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    folder = tmp_path_factory.mktemp("tiny")
    source = folder / "tiny.spk"
    source.write_text(TINY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPIKE_CACHE_DIR", str(measured_host))
        compiled = spikec.compile(source, partitions=2, output=folder / "build")
        yield Tiny(source, compiled, compiled.run("500ms", folder / "run"))


@pytest.fixture(scope="session")
def halves(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """The first 201 ms of the tiny model, which no sample every 5 ms ends with, and the state after them."""
    folder = tmp_path_factory.mktemp("halves")
    return tiny.compiled.run("201ms", folder / "run", save_state=folder / "state.npz"), folder / "state.npz"


@pytest.fixture(scope="session")
def commands() -> dict[str, str]:
    """The environment with `spikec` and `spike-run` of this installation on the PATH, for subprocesses."""
    return {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


@pytest.fixture(scope="module")
def small_chunks() -> Iterator[None]:
    """The store of a short run has many chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series, "_MOST_SAMPLES", 1024)
        patch.setattr(series, "EVENTS_CHUNK", 500)
        yield
