"""`spikec fmt`: what it formats parses to the same model, formatting again changes nothing, comments stay."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.errors import ModelError
from spikec.language.format import format_text
from spikec.language.parser import parse

ROOT = Path(__file__).parent.parent
MODELS = sorted([*ROOT.glob("models/**/*.spk"), *ROOT.glob("grammar/*.spk")])


def comments(text: str) -> list[str]:
    return sorted(line[line.index("#") :].rstrip() for line in text.splitlines() if "#" in line)


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.name)
def test_every_shipped_model_keeps_its_meaning(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    formatted = format_text(text, "m.spk")
    assert parse(formatted, "m.spk") == parse(text, "m.spk")
    assert format_text(formatted, "m.spk") == formatted
    assert comments(formatted) == comments(text)


def test_the_standard_library_is_formatted() -> None:
    found = [f for f in files("spike_grammar").iterdir() if f.name.endswith(".spk")]
    assert len(found) >= 8
    for file in found:
        text = file.read_text(encoding="utf-8")
        assert format_text(text, file.name) == text, file.name


def test_spaces_brackets_and_lines() -> None:
    text = (
        "model   m\n\n\n\nparam a=(1+2)*3-(4-5)-((6))\n"
        "let b=-(a^2)^-2  # why\nensemble x( 9,dims = 2 ) ; relay r [2]  synapse   5ms\n"
        "for i in 0..2{connect x[i]->r[ i : ]}\n"
    )
    assert format_text(text, "m.spk") == (
        "model m\n\nparam a = (1 + 2) * 3 - (4 - 5) - 6\nlet b = -(a^2)^-2  # why\n"
        "ensemble x(9, dims=2)\nrelay r[2] synapse 5ms\nfor i in 0..2 {\n  connect x[i] -> r[i:]\n}\n"
    )


def test_comments_stay_where_they_were() -> None:
    text = (
        "# first\n\n# second\nmodel m # after\nmodule q() {  # opened\n"
        "  # inside\n  relay r\n  # last inside\n}\n"
        'input u from "a#b.csv" every 1ms # "quoted"\n# end'
    )
    formatted = format_text(text, "m.spk")
    assert formatted.startswith("# first\n\n# second\nmodel m  # after\n")
    assert formatted.endswith('every 1ms  # "quoted"\n# end\n')
    assert "  # inside\n  relay r\n  # last inside\n}\n" in formatted
    assert formatted.count("#") == text.count("#")
    assert format_text(formatted, "m.spk") == formatted


def test_long_statements_are_broken_at_commas_and_clauses() -> None:
    row = "[" + ", ".join(f"0.{i:03}" for i in range(12)) + "]"
    text = (
        f"relay a[12]\nrelay b[3]\nconnect a -> b transform [{row}, {row}, {row}]"
        " synapse lowpass(5ms) delay 3ms"
    )
    formatted = format_text(text, "m.spk")
    assert max(map(len, formatted.splitlines())) <= 100
    assert "\n  transform [\n    [0.000" in formatted
    assert parse(formatted, "m.spk") == parse(text, "m.spk")


def test_what_does_not_parse_is_not_formatted() -> None:
    with pytest.raises(ModelError, match="unknown keyword 'modle'"):
        format_text("modle m", "m.spk")


# --------------------------------------------------------------------------------------- any expression

names = st.sampled_from(["x", "alpha", "t", "n2"])
numbers = st.sampled_from(["0", "1", "2.5", "1e-3", "5ms", "0.2kHz", ".5", "3."])
operators = st.sampled_from(["+", "-", "*", "/", "%", "@", "^", "<", "<=", "==", "!="])


def _extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, operators, inner).map(lambda p: f"({p[0]}){p[1]}({p[2]})"),
        st.tuples(inner, operators, inner).map(lambda p: f"{p[0]} {p[1]} {p[2]}"),
        inner.map(lambda e: f"-({e})"),
        inner.map(lambda e: f"- {e}"),
        st.lists(inner, max_size=3).map(lambda es: f"[{','.join(es)}]"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]})[{p[1]}]"),
        st.tuples(inner, inner).map(lambda p: f"x[{p[0]}:{p[1]}:2]"),
        st.tuples(names, inner, inner).map(lambda p: f"{p[0]}({p[1]}, k={p[2]})"),
        st.tuples(inner, names, inner, inner).map(lambda p: f"[{p[0]} for {p[1]} in {p[2]} .. {p[3]}]"),
    )


expressions = st.recursive(st.one_of(names, numbers), _extend, max_leaves=12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(expressions)
def test_any_expression_keeps_its_meaning(expression: str) -> None:
    text = f"let y = {expression}"
    formatted = format_text(text, "m.spk")
    assert parse(formatted, "m.spk") == parse(text, "m.spk")
    assert format_text(formatted, "m.spk") == formatted
