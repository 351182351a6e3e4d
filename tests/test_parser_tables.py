"""The tables of the parser are read from their file, and made of the grammar where they are not its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from lark import Lark

from spikec.language import parser_tables

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted([*(ROOT / "models").rglob("*.spk"), *(ROOT / "grammar").glob("*.spk")])


def test_tables_that_are_read_parse_as_the_grammar_does(monkeypatch: pytest.MonkeyPatch) -> None:
    built = parser_tables._build(parser_tables._text(parser_tables.GRAMMAR))
    monkeypatch.setattr(parser_tables, "_build", None)  # not called
    read = parser_tables.load()
    assert len(FILES) > 20
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert read.parse(text) == built.parse(text)


@pytest.mark.parametrize("kept", ['{"made_of": "another grammar"}', "", "not JSON"])
def test_tables_of_another_grammar_are_not_used(monkeypatch: pytest.MonkeyPatch, kept: str) -> None:
    read, made = parser_tables._text, []

    def build(grammar: str) -> Lark:
        made.append(grammar)
        return Lark("start: NAME\nNAME: /[a-z]+/", parser="lalr")

    monkeypatch.setattr(
        parser_tables, "_text", lambda name: kept if name == parser_tables.TABLES else read(name)
    )
    monkeypatch.setattr(parser_tables, "_build", build)
    assert parser_tables.load().parse("word").children == ["word"]
    assert made == [read(parser_tables.GRAMMAR)]
