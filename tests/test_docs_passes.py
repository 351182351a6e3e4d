"""The guide to writing passes: its example is a pass, and its tests pass."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from spikec import pipeline
from spikec.pipeline import Options

PAGE = Path(__file__).resolve().parent.parent / "docs" / "passes.md"


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the blocks of the page define, one after the other."""
    found: dict[str, Any] = {"__name__": "example"}
    text = PAGE.read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        exec(compile(block.replace("from __future__ import annotations\n", ""), str(PAGE), "exec"), found)
    return found


TESTS = re.findall(r"^def (test_\w+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.usefixtures("reference_host")
@pytest.mark.parametrize("test", TESTS)
def test_the_tests_of_the_guide_pass(
    names: dict[str, Any], test: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names[test](*[monkeypatch] * ("monkeypatch" in names[test].__code__.co_varnames))


@pytest.mark.usefixtures("reference_host")
def test_partitions_exchange_less_often(names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def windows() -> set[int]:
        return {wire.window for wire in names["spikec"].compile_text(text, 2).manifest.wires}

    text = names["MODEL"]
    before, passes = windows(), pipeline.passes
    monkeypatch.setattr(pipeline, "passes", lambda *given: names["with_it"](passes(*given)))
    assert max(windows()) > max(before)


def test_the_guide_names_the_stages_that_there_are(names: dict[str, Any]) -> None:
    stages = [stage for stage, _ in names["with_it"](pipeline.passes(Options()))]
    assert stages.index("together") == stages.index("advance") + 1
    assert len(TESTS) == 3
