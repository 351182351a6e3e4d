"""What is shown while programs are compiled, and while a model is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_engine import model, write
from runs import nothing_left  # noqa: F401 (a fixture of every test here)
from spike_runtime import launch
from spike_runtime.progress import heard_by, tell, told

ENGINE = "fake_engine:compiles"


def test_who_listens_hears_of_every_kernel_before_it_is_compiled() -> None:
    heard: list[Any] = []
    with heard_by(lambda *kernel: heard.append(kernel)):
        for kernel in told("ab"):
            heard.append(kernel)
        tell(2, 2)
    list(told("cd"))
    assert heard == [(0, 2), "a", (1, 2), "b", (2, 2)]


@pytest.mark.parametrize("cores", [1, 2])
def test_progress_says_what_is_compiled(tmp_path: Path, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are counted over all workers; the steps come after."""
    monkeypatch.setattr("spike_runtime.cores.core_count", lambda: cores)
    path = write(tmp_path / "build", model(3))
    seen: list[Any] = []
    launch.run(path, 0.1, tmp_path / "run", engine=ENGINE, progress=seen.append)
    before = [now for now in seen if now.compiling]
    assert {(now.step, now.steps) for now in before} == {(0, 100)}
    numbers = [
        tuple(map(int, found.groups()))
        for now in before
        if (found := re.fullmatch(r"program (\d) of 3, kernel (\d) of 4", now.compiling))
    ]
    assert numbers == sorted(numbers) or cores > 1
    assert len(set(numbers)) > 2
    assert {kernel for _, kernel in numbers} <= {1, 2, 3, 4}
    around = {now.compiling for now in before if "step" in now.compiling}
    assert around
    assert all(re.fullmatch(r"program \d of 3, the step that calls its 4 kernels", text) for text in around)
    assert [now.elapsed for now in before] == sorted(now.elapsed for now in before)
    assert not seen[-1].compiling
    assert seen[-1].step == 100


def spoken(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """What a command says that is no terminal's."""
    given = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(given, capture_output=True, text=True, check=False, timeout=60, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done


RUN = f"""
import functools, spike_runtime.launch as launch, spike_runtime.cli as cli
launch.run = functools.partial(launch.run, engine={ENGINE!r})
cli.LINE_EVERY = 0.1
cli.main()
"""
COMPILE = "import spikec.console as console; console.LINE_EVERY = 0.02; import spikec.cli as cli; cli.main()"


def test_a_run_says_what_is_compiled_where_there_is_no_terminal(tmp_path: Path) -> None:
    path = write(tmp_path / "build", model(1))
    said = spoken(RUN, path, "-t", "100ms", "-o", tmp_path / "run").stderr.splitlines()
    assert len(said) > 1
    what = r"compiling program 1 of 1, (kernel [1-4] of 4|the step that calls its 4 kernels), \d s"
    assert all(re.fullmatch(what, line) for line in said)
    for option in ("--json", "--quiet"):
        assert spoken(RUN, path, "-t", "100ms", "-o", tmp_path / f"run{option}", option).stderr == ""


@pytest.mark.usefixtures("reference_host")
def test_compiling_says_where_it_is_where_there_is_no_terminal(tiny, tmp_path: Path) -> None:
    given = ("compile", tiny.source, "-o", tmp_path / "out", "--no-cache")
    said = spoken(COMPILE, *given).stderr.splitlines()
    assert said
    assert all(re.fullmatch(r"compiling: [a-z]+( \d of \d)?, \d s", line) for line in said)
    quiet = spoken(COMPILE, *given, "--json")
    assert (quiet.stderr, json.loads(quiet.stdout)["model"]) == ("", "tiny")
