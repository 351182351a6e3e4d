"""What is set from outside of a model, from Python or the command line; `fmt`, `check` of several files."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import Tiny
from spike_runtime import manifest as mf

import spikec
from spikec import cli, pipeline
from spikec.errors import ModelError
from spikec.frontend import load, loads
from spikec.pipeline import Options
from spikec.program import emit

TEXT = "param n = 20\nparam tau = 20ms\nparam f = 2Hz\nensemble a(n)\nconnect a -> a synapse tau\nprobe a\n"


def message(**given: Any) -> str:
    with pytest.raises(ModelError) as caught:
        loads(TEXT, "m.spk", **given)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "neurons", "tau"),
    [
        ({"n": 30, "tau": 0.05}, 30, 0.05),
        ({"n": "30", "tau": "50ms"}, 30, 0.05),
        ({"n": np.int64(30), "tau": np.float32(0.5)}, 30, 0.5),
        ({"n": Fraction(30), "tau": " 5e4 us "}, 30, 0.05),
        (None, 20, 0.02),
    ],
)
def test_parameters_are_numbers_or_texts_with_units(parameters: Any, neurons: int, tau: float) -> None:
    graph = loads(TEXT, parameters=parameters)
    assert graph.op("a").size == neurons
    assert graph.op("a->a.filter").den[0] == pytest.approx(tau, rel=1e-12)


@pytest.mark.parametrize("dt", ["0.5ms", "500us", 0.0005, np.float64(0.0005)])
def test_the_step_is_seconds_or_text(dt: Any) -> None:
    assert loads(TEXT, dt=dt).dt == pytest.approx(0.0005, rel=1e-12)


MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "list": ({"parameters": {"n": [1]}}, "'n' is not a number: [1]", '"20ms"'),
    "none": ({"parameters": {"n": None}}, "'n' is not a number: None", '"20ms"'),
    "complex": ({"parameters": {"n": 1j}}, "'n' is not a number: 1j", '"20ms"'),
    "word": ({"parameters": {"n": "many"}}, "'n': 'many' is not a number", "20ms"),
    "unknown unit": ({"parameters": {"tau": "5mz"}}, "'tau': unknown unit 'mz'", "units are s, ms"),
    "no unit": ({"parameters": {"tau": "50"}}, "'tau' must be a time, not the plain number 50", "write 50ms"),
    "wrong unit": (
        {"parameters": {"tau": "5Hz"}},
        "'tau' must be a time, not the frequency 5 Hz",
        "such as 5ms",
    ),
    "no unit belongs": (
        {"parameters": {"n": "5ms"}},
        "'n' must be a plain number, not the time 0.005 s",
        "plain",
    ),
    "not a dictionary": ({"parameters": [("n", 5)]}, "parameters are numbers by their names", "parameters={"),
    "seed": ({"seed": 1.5}, "a seed is a whole number, not 1.5", "such as 7"),
    "seed as text": ({"seed": "7"}, "a seed is a whole number, not '7'", "such as 7"),
    "dt without unit": ({"dt": "1"}, "dt must be a time, not '1'", '"1ms"'),
    "dt as a frequency": ({"dt": "1kHz"}, "dt must be a time, not '1kHz'", '"1ms"'),
    "dt of another type": ({"dt": [1]}, "'dt' is not a number: [1]", '"20ms"'),
    "flag": ({"allow_outside": "yes"}, "allow_outside is True or False, not 'yes'", "allow_outside=True"),
    "memory": ({"memory_limit": "lots"}, "a memory limit is a size, not 'lots'", '"8GB"'),
    "no memory": ({"memory_limit": float("nan")}, "a memory limit is a size, not nan", '"8GB"'),
    "less memory": ({"memory_limit": "-1GB"}, "a memory limit is a size, not '-1GB'", '"8GB"'),
    "unknown option": ({"parameter": {}}, "there is no option 'parameter'", "did you mean 'parameters'?"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_setting_of_a_wrong_type_or_unit_is_one_clear_error(name: str) -> None:
    given, what, remedy = MISTAKES[name]
    text = message(**given)
    assert text.count("error: ") == 1
    assert what in text
    assert remedy in text


def test_all_mistakes_in_settings_are_reported_together() -> None:
    text = message(seed="7", dt="1", parameters={"n": [1], "tau": "5mz"}, folders=3)
    assert text.count("error: ") == 5


def test_a_memory_limit_is_bytes_or_text() -> None:
    for limit in (1e4, "10kB", "0.01 MB"):
        assert "the limit is 10 kB" in message(memory_limit=limit)
    assert loads(TEXT, memory_limit="2GB").memory > 1e4


def test_what_is_no_text_or_path_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a model is text, not PosixPath"):
        spikec.compile_text(tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="the path of a model is text, not int"):
        spikec.compile(5)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"there is no option 'partition'"):
        spikec.compile_text(TEXT, partition=2)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"partitions": 1.5}, "1.5 is not a number of partitions"),
        ({"partitions": True}, "True is not a number of partitions"),
        ({"jobs": 0}, "0 is not a number of jobs"),
        ({"jobs": "2"}, "'2' is not a number of jobs"),
        ({"cache": "no"}, "cache is True or False, not 'no'"),
    ],
)
def test_options_of_a_wrong_type(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ModelError, match=what):
        Options(**options)
    assert Options(partitions=np.int64(2)).partitions == 2  # type: ignore[arg-type]


@pytest.mark.usefixtures("reference_host")
def test_compiling_takes_settings_as_the_command_does(tmp_path: Path) -> None:
    (tmp_path / "m.spk").write_text(TEXT, encoding="utf-8")
    given: dict[str, Any] = {"dt": "0.5ms", "parameters": {"n": "30"}, "seed": 4}
    for made in (spikec.compile(tmp_path / "m.spk", **given), spikec.compile_text(TEXT, **given)):
        assert (made.manifest.dt, made.manifest.neurons, made.manifest.seed) == (0.0005, 30, 4)


# ----------------------------------------------------------------------------------------------- commands


def invoke(*arguments: Any, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli.main, [*map(str, arguments)], input=stdin)


def test_check_of_several_files_reports_the_mistakes_of_all(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.spk", "b.spk", "c.spk")]
    for path, text in zip(files, (TEXT, "probe b", "let x = y"), strict=True):
        path.write_text(text, encoding="utf-8")
    result = invoke("check", *files)
    assert result.exit_code == 2
    assert "b.spk:1:7: error: unknown name 'b'" in result.output
    assert "c.spk:1:9: error: unknown name 'y'" in result.output
    good = invoke("check", files[0], files[0])
    assert (good.exit_code, good.output.count("no mistakes")) == (0, 2)
    assert "the limit is 10 kB" in invoke("check", files[0], "--memory-limit", "10kB").output
    assert "must be a time, not the frequency" in invoke("check", files[0], "--param", "tau=5Hz").output


def test_check_counts_populations_and_warns_where_nothing_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "p.spk").write_text("population p(70)\nensemble a(30)\n", encoding="utf-8")
    result = invoke("check", tmp_path / "p.spk")
    assert result.exit_code == 0
    assert "p: 100 neurons in 2 ensembles, 0 probes" in result.stdout
    assert "p: warning: it records nothing: it has no probe" in result.stderr


def test_fmt_of_the_standard_input() -> None:
    result = invoke("fmt", "-", stdin="ensemble   a( 5 )")
    assert (result.exit_code, result.stdout) == (0, "ensemble a(5)\n")
    assert invoke("fmt", "--check", "-", stdin="ensemble   a( 5 )").exit_code == 1
    assert invoke("fmt", "--check", "-", stdin="ensemble a(5)\n").exit_code == 0
    assert "-:1:10: error:" in invoke("fmt", "-", stdin="ensemble 5").output


def test_fmt_keeps_modes_and_links(tmp_path: Path) -> None:
    path, link = tmp_path / "m.spk", tmp_path / "link.spk"
    path.write_text("ensemble   a( 5 )", encoding="utf-8")
    path.chmod(0o640)
    link.symlink_to(path)
    assert invoke("fmt", link).exit_code == 0
    assert link.is_symlink()
    assert path.read_text(encoding="utf-8") == "ensemble a(5)\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_fmt_never_loses_a_file_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.spk"
    path.write_text("ensemble   a( 5 )", encoding="utf-8")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    result = invoke("fmt", path)
    assert result.exit_code == 1
    assert result.output == (
        f"error: cannot write {path}: No space left on device\n"
        "  help: make room there, or make the file and its folder writable, or format it with: fmt -\n"
    )
    assert path.read_text(encoding="utf-8") == "ensemble   a( 5 )"
    assert [p.name for p in tmp_path.iterdir()] == ["m.spk"]


@pytest.mark.usefixtures("reference_host")
@pytest.mark.parametrize(
    ("number", "help_", "code"),
    [
        (errno.EROFS, "name another folder with -o", 2),
        (errno.ENOSPC, "make room there, or name another folder with -o", 1),
    ],
)
def test_compile_names_the_folder_that_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, help_: str, code: int
) -> None:
    def refuses(*_: object, **__: object) -> str:
        raise OSError(number, os.strerror(number), str(tmp_path / ".out-hidden"))

    (tmp_path / "m.spk").write_text("ensemble a(5)\nprobe a\n", encoding="utf-8")
    monkeypatch.setattr(emit.tempfile, "mkdtemp", refuses)
    result = invoke("compile", tmp_path / "m.spk", "-o", tmp_path / "out")
    cause = os.strerror(number)
    assert result.output == f"error: cannot write {tmp_path / 'out'}: {cause}\n  help: {help_}\n"
    assert result.exit_code == code


def test_compile_looks_at_its_folder_before_it_solves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.spk").write_text("ensemble a(5)\nprobe a\n", encoding="utf-8")
    monkeypatch.setattr(pipeline, "compile_graph", None)
    below = tmp_path / "m.spk" / "x" / "out"
    result = invoke("compile", tmp_path / "m.spk", "-o", below)
    cause = f"{tmp_path / 'm.spk'} is a file"
    assert result.output == f"error: cannot write {below}: {cause}\n  help: name another folder with -o\n"
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    result = invoke("compile", tmp_path / "m.spk", "-o", ".")
    cause = "the folder . would be replaced as a whole, and you are in it"
    assert result.output == f"error: {cause}\n  help: name another folder with -o\n"
    monkeypatch.setattr(os, "access", lambda _, mode: mode == os.R_OK)
    result = invoke("compile", tmp_path / "m.spk", "-o", tmp_path / "out")
    cause = f"{tmp_path} is read-only"
    assert f"cannot write {tmp_path / 'out'}: {cause}\n" in result.output
    assert result.exit_code == 2


def test_inspect_of_a_run_finds_what_it_was_run_from(tiny: Tiny, tmp_path: Path) -> None:
    both = invoke("inspect", tiny.compiled.path, tiny.run.path).output
    assert "measured" in both
    assert invoke("inspect", tiny.run.path).output == both
    run, about = tmp_path / "run", tiny.run.path / "run.json"
    run.mkdir()
    for change, what in (
        (("manifest.json", "none.json"), "is no longer there"),
        (('256": "', '256": "0'), "was compiled again"),
    ):
        (run / "run.json").write_text(about.read_text().replace(*change))
        result = invoke("inspect", run)
        assert f"which {run} was run from, {what}" in result.output
        assert result.exit_code == 2


def test_a_picture_that_cannot_be_written(tiny: Tiny, tmp_path: Path) -> None:
    below = tmp_path / "none" / "plan.svg"
    result = invoke("inspect", tiny.compiled.path, "--svg", below)
    assert result.output.endswith(
        f"error: cannot write {below}: No such file or directory\n  help: name another file with --svg\n"
    )
    assert result.exit_code == 2


def test_fmt_reports_the_mistakes_of_all_files(tmp_path: Path) -> None:
    for name in ("a.spk", "b.spk"):
        (tmp_path / name).write_text("ensemble 5", encoding="utf-8")
    output = invoke("fmt", tmp_path / "a.spk", tmp_path / "b.spk").output
    assert "a.spk:1:10: error:" in output
    assert "b.spk:1:10: error:" in output


# ---------------------------------------------------------------------------------------- two compilers


def test_two_compilers_that_write_one_folder_leave_one_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one has moved the older folder away, another puts its own there."""

    def made(name: str, content: str) -> Path:
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text(content, encoding="utf-8")
        return tmp_path / name

    folder, draft, rival = made("out", "old"), made(".mine", "mine"), made(".rival", "rival")
    replace = os.replace
    moves = io.StringIO()

    def raced(source: Path, target: Path) -> None:
        replace(source, target)
        moves.write(".")
        if rival.exists() and source == folder:
            replace(rival, folder)

    monkeypatch.setattr(emit.os, "replace", raced)
    emit._replace(draft, folder)
    assert not rival.exists()
    assert len(moves.getvalue()) == 3
    assert (folder / "content").read_text(encoding="utf-8") == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_interrupted_replacement_leaves_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, draft = tmp_path / "out", tmp_path / ".draft"
    for path in (folder, draft):
        path.mkdir()
        (path / path.name.strip(".")).touch()
    replace = os.replace

    def interrupted(source: Path, target: Path) -> None:
        if source == draft and not folder.exists():
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(emit.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        emit._replace(draft, folder)
    assert (folder / "out").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".draft", "out"]


def test_a_path_may_be_text(tmp_path: Path) -> None:
    (tmp_path / "m.spk").write_text(TEXT, encoding="utf-8")
    assert load(str(tmp_path / "m.spk")).op("a").size == 20


def test_what_parameters_were_given_is_kept_and_shown(tmp_path: Path) -> None:
    """In the manifest, in `inspect` and in a run, as text that gives them again; where none is, nothing."""
    (tmp_path / "m.spk").write_text(TEXT)
    made = spikec.compile(tmp_path / "m.spk", 1, tmp_path / "b", parameters={"n": 30, "f": 5, "tau": "7ms"})
    given = {"f": "5Hz", "n": "30", "tau": "0.007s"}
    assert mf.load(tmp_path / "b" / mf.NAME).parameters == given
    assert loads(TEXT, parameters=given).parameters == given
    assert made.run("2ms", tmp_path / "r").about.parameters == given
    shown = CliRunner().invoke(cli.main, ["inspect", str(tmp_path / "b")])
    assert "with f=5Hz, n=30, tau=0.007s\n" in shown.stdout
    shown = CliRunner().invoke(cli.main, ["inspect", "--json", str(tmp_path / "b")])
    assert json.loads(shown.stdout)["parameters"] == given
    spikec.compile(tmp_path / "m.spk", 1, tmp_path / "b")
    assert mf.load(tmp_path / "b" / mf.NAME).parameters == {}
    assert (
        "with" not in CliRunner().invoke(cli.main, ["inspect", str(tmp_path / "b")]).stdout.split("\n\n")[0]
    )
