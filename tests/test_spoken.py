"""Messages for those who call from Python name arguments, those of the commands options."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from spike_runtime import cli as run_cli
from spike_runtime import launch
from spike_runtime.runfile import RunError, RunFailedError

import spikec
from spikec import api, cli, spoken
from spikec.spoken import in_python


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("use -n 2 or less, or -n auto", 'use partitions=2 or less, or partitions="auto"'),
        (
            "give another directory with -o, or --overwrite",
            "give another directory with output=, or overwrite=True",
        ),
        ("compile it with --dt 0.001s", 'compile it with dt="0.001s"'),
        ("compile it with --precision float64", 'compile it with precision="float64"'),
        ("write seed=... in the file, or give --seed", "write seed=... in the file, or give seed="),
        ("run again, with --transport ring where", 'run again, with transport="ring" where'),
        ("or --memory-limit", "or memory_limit="),
        ("pass --allow-outside", "pass allow_outside=True"),
        ("make it with spike-run --save-state", "make it with spike-run --save-state"),
        (
            "measure again: python -m spike_runtime.calibrate --output FILE",
            "measure again: python -m spike_runtime.calibrate --output FILE",
        ),
        ("step -1 of pre-op is x - n 2 and a-n 2", "step -1 of pre-op is x - n 2 and a-n 2"),
        ("2*-sin(x) of 'my -data' is -inf", "2*-sin(x) of 'my -data' is -inf"),
        ("robot: --speed 3 and --time-out 5 are not set", "robot: --speed 3 and --time-out 5 are not set"),
    ],
)
def test_options_become_arguments(text: str, said: str) -> None:
    assert in_python(text) == said


def test_options_of_the_commands_that_functions_take_are_known() -> None:
    taken = {*inspect.signature(launch.run).parameters, *api.Compiling.__annotations__, "partitions"}
    options = {
        word.removeprefix("--")
        for command in (cli.compile_command, run_cli.main)
        for option in command.params
        for word in option.opts
        if word.startswith("--")
    }
    same = {word for word in options if word.replace("-", "_") in taken} | {"param"}
    assert set(spoken.OPTIONS) == same


@pytest.mark.usefixtures("reference_host")
def test_compile_and_run_name_their_arguments(tiny, tmp_path: Path) -> None:
    with pytest.raises(spikec.ModelError) as many:
        spikec.compile(tiny.source, partitions=9)
    assert 'partitions="auto"' in many.value.diagnostics[0].hint
    assert "-n " not in str(many.value)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(spikec.ModelError, match="name another folder with output=, or empty it first"):
        spikec.compile(tiny.source, output=tmp_path)
    with pytest.raises(spikec.SpikeError, match="name another folder with output="):
        spikec.compile(tiny.source, output=tmp_path / "thesis.tex" / "in")
    with pytest.raises(RunError, match="give another directory with output="):
        tiny.compiled.run("0.1s", tmp_path)
    with pytest.raises(RunError, match="output=, or overwrite=True"):
        tiny.compiled.run("0.1s", tiny.run.path)
    with pytest.raises(spikec.ModelError, match="did you mean 'partitions'"):
        spikec.compile(tiny.source, parttions=2)  # type: ignore[call-arg]
    advised = replace(tiny.compiled.manifest, plan=tiny.compiled.manifest.plan | {"advice": "use -n 1"})
    assert replace(tiny.compiled, manifest=advised).inspect().advice == "use partitions=1"


@pytest.mark.usefixtures("reference_host")
def test_a_run_that_fails_names_arguments(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RunFailedError("run again, with --transport ring", None, None)

    monkeypatch.setattr("spike_runtime.launch.run", fails)
    with pytest.raises(RunFailedError, match='run again, with transport="ring"'):
        tiny.compiled.run("0.1s", tmp_path)


@pytest.mark.usefixtures("reference_host")
def test_what_a_run_takes(tiny, tmp_path: Path) -> None:
    run = tiny.compiled.run("10ms", tmp_path / "run", seed=np.int64(3))
    assert run.about.seed == 3
    assert tiny.compiled.inspect(str(run.path)) == tiny.compiled.inspect(run)
    assert tiny.compiled.run(np.float32(0.25), tmp_path / "other", save_every=None).about.steps == 250
    for time in (None, [1], b"1s"):
        with pytest.raises(RunError, match="a time is a number of seconds or text such as 500ms, not "):
            tiny.compiled.run(time, tmp_path / "third")
    for seed in (-1, 1.5, "x", 2**63):
        with pytest.raises(RunError, match=r"is not in 0 .. 2\^63 - 1; give a seed such as 7"):
            tiny.compiled.run("10ms", tmp_path / "other", seed=seed)


def test_lines_of_a_model_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "m.spk").write_text("ensemble a(10) # compile with -n 2\nensemble a(20) # -n 2\nprobe a\n")
    with pytest.raises(spikec.ModelError, match=r"  2 \| ensemble a.20. # -n 2"):
        spikec.compile(tmp_path / "m.spk")
