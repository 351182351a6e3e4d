"""Every example of the language reference parses, checks and lowers; the page names every word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spikec.expressions import FUNCTIONS
from spikec.frontend import loads
from spikec.language.builtins import CONSTANTS, FUNCTIONS_OF_VALUES, RECORDS
from spikec.language.format import format_text
from spikec.language.imports import standard_texts
from spikec.language.parser import parse
from spikec.language.parser_messages import STATEMENT_WORDS
from spikec.verify import verify

PAGE = (Path(__file__).parent.parent / "docs" / "language.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```spk\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tone.csv").write_text("0\n0.5\n1\n0.5\n", encoding="utf-8")
    (tmp_path / "synapses.csv").write_text("source,target,weight\n3,4,-0.5\n199,0,-0.25\n", encoding="utf-8")
    (tmp_path / "image.csv").write_text(",".join(["0.5"] * 16) + "\n", encoding="utf-8")
    (tmp_path / "points.csv").write_text("-1\n0\n0.5\n1\n", encoding="utf-8")
    (tmp_path / "squares.csv").write_text("1\n0\n0.25\n1\n", encoding="utf-8")
    return tmp_path


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 14


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(number: int, folder: Path) -> None:
    text = EXAMPLES[number]
    graph = verify(loads(text, "example.spk", folder))
    assert len(graph.nx) > 0
    assert parse(format_text(text, "m.spk"), "m.spk") == parse(text, "m.spk")


def test_the_page_names_every_word_of_the_language() -> None:
    words = {*STATEMENT_WORDS, *RECORDS, *FUNCTIONS_OF_VALUES, *CONSTANTS, *standard_texts()}
    words |= {name for name in FUNCTIONS if name.isidentifier() and name != "neg"}
    words -= {"hypersphere"}  # the longer name of sphere and ball
    missing = sorted(w for w in words if not re.search(rf"\b{w}\b", PAGE))
    assert missing == []
