"""The commands: exit codes, one clear message per mistake, nothing written on mistakes, text and JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from spike_runtime import cli as run_cli
from spike_runtime import manifest as mf
from spike_runtime.results import open_run

from spikec import ModelWarning, cli, open_manifest
from spikec.frontend import load
from spikec.pipeline import Options, compile_graph

Command = Callable[..., Result]


def invoke(command: object, *arguments: object) -> Result:
    """The result of a command; whatever happens it ends with an exit code, never with a traceback."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def spikec(reference_host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    assert reference_host.is_dir()
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: invoke(cli.main, *arguments)


@pytest.fixture
def spike_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: invoke(run_cli.main, *arguments)


@pytest.fixture
def copy(tiny, tmp_path: Path) -> Path:
    """The compiled tiny model, to be damaged."""
    shutil.copytree(tiny.compiled.folder, tmp_path / "copy")
    return tmp_path / "copy"


def refused(result: Result, *texts: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    for text in texts:
        assert text in result.stderr


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# ------------------------------------------------------------------------------------------------- compile


def test_compile_writes_a_folder_and_says_what_is_next(tiny, spikec: Command, tmp_path: Path) -> None:
    result = spikec("compile", tiny.source, "-n", 2, "-o", "out/tiny")
    assert result.exit_code == 0, result.output
    assert "Written: out/tiny/manifest.json" in result.stdout
    assert "spike-run out/tiny/manifest.json --time" in result.stdout
    assert [p.neurons for p in mf.load(tmp_path / "out/tiny/manifest.json").partitions] == [120, 60]


def test_compile_without_a_folder_writes_build_and_the_name(tiny, spikec: Command, tmp_path: Path) -> None:
    assert spikec("compile", tiny.source, "--quiet").stdout == ""
    assert mf.load(tmp_path / "build" / "tiny" / "manifest.json").neurons == 180


def test_compile_again_replaces_the_folder(tiny, spikec: Command, tmp_path: Path) -> None:
    for n in (1, 2):
        assert spikec("compile", tiny.source, "-n", n, "-o", "out", "-q").exit_code == 0
    assert len(mf.load(tmp_path / "out/manifest.json").partitions) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_compile_prints_json(tiny, spikec: Command) -> None:
    result = spikec("compile", tiny.source, "-n", 2, "-o", "out", "--json")
    assert spikec("compile", tiny.source, "-n", 2, "-o", "out", "--json", "-q").stdout == result.stdout
    body = json.loads(result.stdout)
    assert body["model"] == "tiny"
    assert [partition["neurons"] for partition in body["partitions"]] == [120, 60]


def test_parameters_seed_and_step_replace_those_of_the_model(tiny, spikec: Command, tmp_path: Path) -> None:
    options = ("--param", "n=10", "--seed", 7, "--dt", "500us")
    assert spikec("compile", tiny.source, "-q", "-o", "out", *options).exit_code == 0
    manifest = mf.load(tmp_path / "out" / "manifest.json")
    assert (manifest.neurons, manifest.seed, manifest.dt) == (30, 7, 0.0005)


def test_auto_chooses_a_number(tiny, spikec: Command, tmp_path: Path) -> None:
    assert spikec("compile", tiny.source, "-n", "auto", "-o", "out", "-q").exit_code == 0
    manifest = mf.load(tmp_path / "out" / "manifest.json")
    predicted = {entry["partitions"]: entry["us"] for entry in manifest.plan["predictions"]}
    assert len(predicted) == 2
    assert predicted[len(manifest.partitions)] <= min(predicted.values()) * 1.02


@pytest.mark.usefixtures("reference_host")
def test_the_stages_that_can_be_dumped_are_those_of_the_pipeline(tiny, tmp_path: Path) -> None:
    visited: list[str] = []
    compile_graph(
        load(tiny.source), tmp_path / "out", Options(), None, lambda stage, _: not visited.append(stage)
    )
    assert tuple(visited) == cli.STAGES


@pytest.mark.parametrize("stage", cli.STAGES)
def test_every_stage_can_be_dumped_and_nothing_is_written(
    tiny, spikec: Command, tmp_path: Path, stage: str
) -> None:
    result = spikec("compile", tiny.source, "-n", 2, "-o", "out", "--dump", stage)
    assert result.exit_code == 0, result.output
    holds = {"plan": '"step_us"', "program": "def step(n, a, s):"}.get(stage, "# tiny: dt 0.001 s, seed 0")
    assert holds in result.stdout
    assert spikec("compile", tiny.source, "-n", 2, "-o", "out", "--dump", stage).stdout == result.stdout
    assert written(tmp_path) == []


def test_verbose_says_what_the_passes_did(tiny, commands: dict[str, str], tmp_path: Path) -> None:
    """In a process of its own: it sets up logging."""
    arguments = ["spikec", "compile", str(tiny.source), "--dump", "share", "--verbose"]
    ended = subprocess.run(
        arguments, env=commands, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.startswith("# tiny")


# A mistake, the text of the message, and what to do.
MISTAKES = [
    (("-n", "0"), "-n 0 is not a number of partitions", "give 1 or more, or auto"),
    (("-n", "two"), "-n two is not a number of partitions", "give 1 or more, or auto"),
    (("-n", "5"), "5 partitions are more than the model can be cut into", "use -n 2 or less, or -n auto"),
    (("--param", "n"), "--param n is not NAME=VALUE with a number", "for example --param n=200"),
    (("--param", "n=many"), "--param n=many is not NAME=VALUE with a number", "for example"),
    (("--param", "m=3"), "'m'", "help: "),
    (("--dt", "1"), "--dt: the time 1 has no unit", "write 1s or 1ms"),
    (("--host-profile", "none.json"), "cannot read the host profile none.json", "help: make one with"),
]


@pytest.mark.parametrize(("options", "message", "remedy"), MISTAKES)
def test_mistakes_in_options(
    tiny, spikec: Command, tmp_path: Path, options: tuple[str, ...], message: str, remedy: str
) -> None:
    refused(spikec("compile", tiny.source, "-o", "out", *options), message, remedy)
    assert written(tmp_path) == []


def test_a_model_that_is_not_there(spikec: Command, tmp_path: Path) -> None:
    refused(spikec("compile", "none.spk", "-o", "out"), "none.spk")
    assert written(tmp_path) == []


def test_a_mistake_in_the_model_has_its_place(spikec: Command, tmp_path: Path) -> None:
    (tmp_path / "m.spk").write_text("ensemble a(50)\nconnect b -> a\nprobe c\n")
    refused(spikec("compile", "m.spk", "-o", "out"), "m.spk:2:9: error:", "m.spk:3:7: error:", "^")
    assert written(tmp_path) == ["m.spk"]


def test_a_folder_with_something_else_is_not_replaced(tiny, spikec: Command, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("words")
    result = spikec("compile", tiny.source, "-o", "thesis")
    refused(result, "the folder thesis exists and holds no compiled model", "help: name another folder")
    refused(spikec("compile", tiny.source, "-o", "thesis/chapter.tex"), "chapter.tex is a file")
    assert written(tmp_path) == ["thesis", "thesis/chapter.tex"]


def test_an_unknown_option_or_command_is_bad_input(tiny, spikec: Command) -> None:
    refused(spikec("compile", tiny.source, "--partition", "2"), "No such option", "--partitions")
    refused(spikec("compil", tiny.source), "No such command")


# ------------------------------------------------------------------------------------- check, fmt, inspect


def test_check_says_what_is_in_a_model(tiny, spikec: Command, tmp_path: Path) -> None:
    result = spikec("check", tiny.source)
    assert result.exit_code == 0
    assert result.stdout.startswith("tiny: 180 neurons in 2 ensembles, 3 probes, dt 0.001 s")
    body = json.loads(spikec("check", tiny.source, "--json", "--param", "n=10").stdout)
    assert body.pop("compile_bytes") > 10_000
    assert body == {
        "model": "tiny",
        "neurons": 30,
        "ensembles": 2,
        "probes": 3,
        "dt_s": 0.001,
        "warnings": [],
    }
    assert written(tmp_path) == []


def test_fmt_formats_once_and_check_changes_nothing(spikec: Command, tmp_path: Path) -> None:
    untidy, tidy = "ensemble  a( 50 )\nprobe a  synapse 10ms\n", tmp_path / "m.spk"
    tidy.write_text(untidy)
    looked = spikec("fmt", "--check", "m.spk")
    assert (looked.exit_code, looked.stdout) == (1, "would format m.spk\n")
    assert tidy.read_text() == untidy
    done = spikec("fmt", "m.spk")
    assert (done.exit_code, done.stdout) == (0, "formatted m.spk\n")
    assert tidy.read_text() == "ensemble a(50)\nprobe a synapse 10ms\n"
    again = spikec("fmt", "--check", "m.spk")
    assert (again.exit_code, again.output) == (0, "")


def test_fmt_leaves_all_files_alone_where_one_has_a_mistake(spikec: Command, tmp_path: Path) -> None:
    (tmp_path / "good.spk").write_text("ensemble  a(50)\n")
    (tmp_path / "bad.spk").write_text("ensemble (\n")
    refused(spikec("fmt", "good.spk", "bad.spk"), "bad.spk:1:10: error:")
    assert (tmp_path / "good.spk").read_text() == "ensemble  a(50)\n"


def test_inspect_shows_the_plan_and_the_run(tiny, spikec: Command) -> None:
    result = spikec("inspect", tiny.compiled.path)
    assert result.exit_code == 0, result.output
    assert "tiny" in result.stdout
    plan = json.loads(spikec("inspect", tiny.compiled.path, "--json").stdout)
    both = json.loads(spikec("inspect", tiny.compiled.path, tiny.run.path, "--json").stdout)
    assert [p["measured"] for p in plan["partitions"]] == [None, None]
    for partition, measured in zip(both["partitions"], tiny.run.measured, strict=True):
        assert partition["measured"] == pytest.approx(measured, abs=0.01)


def test_inspect_draws(tiny, spikec: Command, tmp_path: Path) -> None:
    result = spikec("inspect", tiny.compiled.path, "--svg", "plan.svg")
    assert result.exit_code == 0, result.output
    assert "Written: plan.svg" in result.output
    assert "<svg" in (tmp_path / "plan.svg").read_text()


def test_inspect_of_something_else(tiny, spikec: Command, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[1]")
    refused(spikec("inspect", "none.json"), "cannot read none.json", "compile a model first")
    refused(spikec("inspect", "none.npz"), "cannot read none.npz", "make it with spike-run --save-state")
    refused(spikec("inspect", "x.json"), "x.json is not a manifest")
    (tmp_path / "bad.py").write_text("import nengo")
    refused(spikec("inspect", "bad.py"), "bad.py is Python", "spikec compile bad.py:NAME")
    refused(spikec("fmt", "bad.py"), "bad.py is Python", "name a .spk file")
    (tmp_path / "cut.npz").write_bytes(b"PK\3\4\x93")
    refused(spikec("inspect", "cut.npz"), "cut.npz is not a state of a model, or is damaged", "--save-state")
    refused(spikec("inspect", "cut.npz", "--svg", "a.svg"), "cut.npz is a saved state", "name the manifest")
    (tmp_path / "manifest.json").write_bytes(b"\x93")
    refused(spikec("inspect", "manifest.json"), "it is not text", "compile the model again")
    (tmp_path / "other.txt").write_text("no manifest")
    refused(spikec("inspect", "other.txt"), "not a manifest", "name the manifest.json that")
    refused(spikec("inspect", tiny.compiled.path, tmp_path), "is not a run", "make one with spike-run")


# ------------------------------------------------------------------------------------- damaged manifests


def edited(copy: Path) -> tuple[str, ...]:
    path = copy / "manifest.json"
    path.write_text(path.read_text().replace('"neurons": 180', '"neurons": 181'))
    return "manifest.json was changed after it was compiled (checksum)", "compile the model again"


def other_version(copy: Path) -> tuple[str, ...]:
    path = copy / "manifest.json"
    path.write_text(path.read_text().replace(f'"schema": {mf.SCHEMA}', '"schema": 99'))
    return f"has schema 99, this version reads schema {mf.SCHEMA}", "compile the model again"


def cut_off(copy: Path) -> tuple[str, ...]:
    path = copy / "manifest.json"
    path.write_bytes(path.read_bytes()[:500])
    return "manifest.json", "compile the model again"


def missing_program(copy: Path) -> tuple[str, ...]:
    (copy / "partition_1.py").unlink()
    return "partition_1.py is missing", "compile the model again"


def missing_array(copy: Path) -> tuple[str, ...]:
    (copy / "partition_0" / "lowpass_gain.npy").unlink()
    return "lowpass_gain.npy is missing", "compile the model again"


def edited_program(copy: Path) -> tuple[str, ...]:
    path = copy / "partition_1.py"
    path.write_text(path.read_text().replace("DT = 0.001", "DT = 0.002"))
    return "partition_1.py was changed after it was compiled (checksum)", "compile the model again"


def edited_array(copy: Path) -> tuple[str, ...]:
    path = copy / "partition_0" / "lowpass_gain.npy"
    np.save(path, np.load(path) * 2)
    return "lowpass_gain.npy was changed after it was compiled (checksum)", "compile the model again"


@pytest.mark.parametrize(
    "damage",
    [edited, other_version, cut_off, missing_program, missing_array, edited_program, edited_array],
)
def test_what_was_changed_is_not_run(
    copy: Path, spike_run: Command, tmp_path: Path, damage: Callable[[Path], tuple[str, ...]]
) -> None:
    messages = damage(copy)
    result = spike_run(copy / "manifest.json", "--time", "10ms", "-o", "run")
    refused(result, "error: ", *messages)
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", [edited, other_version, cut_off])
def test_a_damaged_manifest_is_not_inspected(
    copy: Path, spikec: Command, damage: Callable[[Path], tuple[str, ...]]
) -> None:
    messages = damage(copy)
    refused(spikec("inspect", copy / "manifest.json"), "error: ", *messages)


# ----------------------------------------------------------------------------------------------- spike-run


def test_what_is_not_finite_is_said(spikec: Command, spike_run: Command, tmp_path: Path) -> None:
    (tmp_path / "m.spk").write_text("input x(t) = 1 / (t - 0.005)\ninput y(t) = t\nprobe x\nprobe y\n")
    assert spikec("compile", "m.spk", "-q", "-o", "m").exit_code == 0
    said = spike_run("m", "--time", "10ms", "-o", "run").stdout
    assert "warning: x is not a finite number at 0.005 s; look for a division by 0" in said
    assert "y is not" not in said
    told = spike_run("m", "--time", "10ms", "-o", "run", "--overwrite", "--json").stdout
    assert json.loads(told)["not_finite_s"] == {"x": 0.005}
    with pytest.warns(ModelWarning, match=r"x is not a finite number at 0\.005 s; look for") as caught:
        open_manifest(tmp_path / "m").run("10ms")
    assert caught[0].filename == __file__


def test_run_writes_results_and_a_picture(tiny, spike_run: Command, tmp_path: Path) -> None:
    result = spike_run(tiny.compiled.path, "--time", "50ms", "-o", "run", "--plot", "p/run.png")
    assert result.exit_code == 0, result.output
    assert "tiny: 0.05 s simulated" in result.stdout
    assert "picture: p/run.png" in result.stdout
    assert (tmp_path / "p" / "run.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (("--time", "2"), ("has no unit", "2s")),
        (("--time", "soon"), ("'soon' is not a time", "2s")),
        (("--time", "-1s"), ("not positive",)),
        (("--time", "1us"), ("less than one step of 0.001 s",)),
        (("--time", "10ms", "--transport", "fax"), ("'fax'", "ring")),
        (("--time", "10ms", "--plot", "run.bmp"), (".bmp is not a picture", ".png")),
        ((), ("Missing option '--time'",)),
    ],
)
def test_mistakes_in_options_of_a_run(
    tiny, spike_run: Command, tmp_path: Path, options: tuple[str, ...], messages: tuple[str, ...]
) -> None:
    refused(spike_run(tiny.compiled.path, "-o", "run", *options), *messages)
    assert written(tmp_path) == []


def test_a_picture_that_cannot_be_drawn_leaves_the_results(tiny, spike_run: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = spike_run(tiny.compiled.path, "--time", "50ms", "-o", "run", "--plot", "file/run.png")
    assert result.exit_code == 1
    assert "cannot draw to file/run.png" in result.stderr
    assert "the results are in run" in result.stderr
    assert open_run(tmp_path / "run").status == "complete"
    drawn = ("--plot", "file/run.png", "--overwrite", "--json")
    told = json.loads(spike_run(tiny.compiled.path, "--time", "50ms", "-o", "run", *drawn).stdout)
    assert told["status"] == "complete"
    assert "cannot draw to file/run.png" in told["errors"][0]["message"]


def test_a_run_is_not_replaced_unasked(tiny, spike_run: Command) -> None:
    before = (tiny.run.path / "run.json").read_text()
    refused(spike_run(tiny.compiled.path, "-t", "10ms", "-o", tiny.run.path), "already holds a run")
    assert (tiny.run.path / "run.json").read_text() == before


def test_a_model_that_was_not_compiled(spike_run: Command) -> None:
    refused(spike_run("none/manifest.json", "--time", "1s"), "cannot read none/manifest.json", "compile")
