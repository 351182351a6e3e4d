"""Every example of the reference with one token dropped, doubled, swapped or replaced: a model, or errors."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from test_docs_language import EXAMPLES

from spikec.errors import ModelError
from spikec.frontend import loads

TOKEN = re.compile(r'#[^\n]*|"[^"\n]*"|[A-Za-z_]\w*|\d[\w.]*|->|\.\.|[<>=!]=|\S')
EDITS = ("drop", "double", "swap", "replace", "join")
EACH = 60


def edited(text: str, rng: random.Random, vocabulary: list[str]) -> tuple[str, str]:
    """The text with one edit, and what it was."""
    places = [m for m in TOKEN.finditer(text) if not m.group().startswith("#")]
    k = rng.randrange(len(places) - 1)
    here, after = places[k], places[k + 1]
    kind = rng.choice(EDITS)
    before, token, between, rest = (
        text[: here.start()],
        here.group(),
        text[here.end() : after.start()],
        text[after.end() :],
    )
    made = {
        "drop": between + after.group(),
        "double": token + " " + token + between + after.group(),
        "swap": after.group() + between + token,
        "replace": rng.choice(vocabulary) + between + after.group(),
        "join": token + after.group(),
    }[kind]
    return before + made + rest, f"{kind} token {k} ({token!r})"


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_one_edit_gives_a_model_or_located_errors(number: int, tmp_path: Path) -> None:
    (tmp_path / "tone.csv").write_text("0\n0.5\n1\n0.5\n", encoding="utf-8")
    vocabulary = sorted({m.group() for e in EXAMPLES for m in TOKEN.finditer(e) if m.group()[0] not in "#"})
    rng = random.Random(number)
    models = mistaken = 0
    for _ in range(EACH):
        text, edit = edited(EXAMPLES[number], rng, vocabulary)
        try:
            loads(text, "example.spk", tmp_path, memory_limit=10**9)
            models += 1
        except ModelError as error:
            mistaken += 1
            located(error, text, edit)
    assert models + mistaken == EACH
    assert mistaken > 0


def located(error: ModelError, text: str, edit: str) -> None:
    """Every mistake has a message, a remedy, and a caret under a place that is in the text."""
    assert error.exit_code == 2
    lines = text.splitlines()
    for diagnostic in error.diagnostics:
        span = diagnostic.span
        assert span is not None, (edit, diagnostic.message)
        assert span.file == "example.spk", (edit, diagnostic.message)
        assert 1 <= span.line <= len(lines), (edit, diagnostic.message)
        assert 1 <= span.column <= len(lines[span.line - 1]) + 1, (edit, diagnostic.message)
        assert diagnostic.message, edit
        assert diagnostic.hint, (edit, diagnostic.message)
        rendered = diagnostic.render({"example.spk": text})
        assert re.search(r"^ +\d* *\| +\^+", rendered, re.MULTILINE), (edit, rendered)
    places = [(d.span.line, d.span.column) for d in error.diagnostics if d.span]
    assert places == sorted(places), edit
