"""Mistakes as data, for programs that call `spikec`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from spike_runtime.cli import main as spike_run

from spikec.cli import main


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    texts = {
        "good": "ensemble a(20)\nprobe a",
        "bad": "ensemble a(20)\nconnect b -> a",
        "fine": "ensemble b(9)\nprobe b",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.spk").write_text(text)
    return [str(tmp_path / f"{name}.spk") for name in texts]


@pytest.mark.parametrize("command", ["check", "compile"])
def test_mistakes_are_json_where_that_is_asked_for(command: str, models: list[str]) -> None:
    result = CliRunner().invoke(main, [command, models[1], "--json"])
    assert result.exit_code == 2
    (found,) = json.loads(result.stdout)["errors"]
    assert found["file"].endswith("bad.spk")
    assert (found["line"], found["column"], found["end_line"], found["end_column"]) == (2, 9, 2, 10)
    assert found["message"] == "unknown name 'b'"
    assert "error: unknown name 'b'" in result.stderr


def test_neurons_that_cannot_exist_are_found_by_checking(tmp_path: Path) -> None:
    lines = {
        "ensemble a(20, max_rates=600Hz)": "ensemble a: a maximum rate of 600 Hz is not below 500 Hz",
        "ensemble b(20, intercepts=2)": "ensemble b: an intercept of 2 leaves no room below 1",
        "ensemble c(20, initial_voltage=2)": "ensemble c: an initial voltage of 2 is not below the threshold",
        "ensemble d(20, gain=2)": "ensemble d: gain is given without bias",
        "ensemble e(2, encoders=[[0], [1]])": "ensemble e: encoder 0 has length 0",
    }
    model = tmp_path / "model.spk"
    model.write_text("\n".join(lines))
    result = CliRunner().invoke(main, ["check", str(model), "--json"])
    assert result.exit_code == 2
    found = json.loads(result.stdout)["errors"]
    assert [one["line"] for one in found] == [1, 2, 3, 4, 5]
    for one, message in zip(found, lines.values(), strict=True):
        assert one["message"].startswith(message)


def test_what_has_no_place_is_json_too(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["inspect", str(tmp_path), "--json"])
    assert result.exit_code == 2
    (found,) = json.loads(result.stdout)["errors"]
    assert found["message"] in result.stderr


def test_models_that_are_right_are_told_beside_others(models: list[str]) -> None:
    result = CliRunner().invoke(main, ["check", *models])
    assert result.exit_code == 2
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == ["good", "fine"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "--json"], "Missing argument 'MODELS...'."),
        (["compile", "--json", "m.spk", "--precision", "float16"], "'float16' is not one of"),
        (["compile", "m.spk", "--jsn", "--json"], "'--jsn'"),
        (["comple", "--json"], "No such command 'comple'."),
        (["inspect", "--json", "a", "b", "c"], "Got unexpected extra argument (c)"),
    ],
)
def test_wrong_arguments_are_json_too(words: list[str], message: str) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    (found,) = json.loads(result.stdout)["errors"]
    assert message in found["message"]
    assert f"Error: {found['message']}" in result.stderr
    others = CliRunner().invoke(main, [word for word in words if word != "--json"])
    assert (others.exit_code, others.stdout) == (2, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["m", "--json"], "Missing option '--time' / '-t'."),
        (["m", "--time", "5", "--json"], "Invalid value for '--time' / '-t'"),
        (["m", "--json", "--time", "1s", "--save-every", "1s"], "--save-every needs --save-state FILE"),
    ],
)
def test_wrong_arguments_of_runs_are_json_too(words: list[str], message: str) -> None:
    result = CliRunner().invoke(spike_run, words)
    assert result.exit_code == 2
    (found,) = json.loads(result.stdout)["errors"]
    assert found["message"].startswith(message)
    assert f"Error: {found['message']}" in result.stderr


def test_what_was_formatted_is_told_as_json(models: list[str]) -> None:
    told = [{"file": path, "changed": False} for path in models]
    (Path(models[1])).write_text("ensemble a( 20 )\n")
    for path in (models[0], models[2]):
        CliRunner().invoke(main, ["fmt", path])
    changed = [one | {"changed": one["file"] == models[1]} for one in told]
    looked = CliRunner().invoke(main, ["fmt", "--json", "--check", *models])
    assert (looked.exit_code, json.loads(looked.stdout)) == (1, changed)
    written = CliRunner().invoke(main, ["fmt", "--json", *models])
    assert (written.exit_code, json.loads(written.stdout)) == (0, changed)
    assert Path(models[1]).read_text() == "ensemble a(20)\n"
    again = CliRunner().invoke(main, ["fmt", "--json", *models])
    assert json.loads(again.stdout) == told
    typed = CliRunner().invoke(main, ["fmt", "--json", "-"], input="ensemble a( 20 )")
    assert json.loads(typed.stdout) == [{"file": "-", "changed": True, "text": "ensemble a(20)\n"}]
    wrong = CliRunner().invoke(main, ["fmt", "--json", "-"], input="ensemble a( 20")
    assert wrong.exit_code == 2
    assert json.loads(wrong.stdout)["errors"][0]["line"] == 1
