"""Mistakes as data, for programs that call `spikec`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

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


def test_what_has_no_place_is_json_too(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["inspect", str(tmp_path), "--json"])
    assert result.exit_code == 2
    (found,) = json.loads(result.stdout)["errors"]
    assert found["message"] in result.stderr


def test_models_that_are_right_are_told_beside_others(models: list[str]) -> None:
    result = CliRunner().invoke(main, ["check", *models])
    assert result.exit_code == 2
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == ["good", "fine"]
