"""Text to abstract syntax; the only importer of Lark.

The grammar is `spike.lark` of the package `spike_grammar`.  After a syntax error the faulty statement is
blanked and the rest is read again, so that several mistakes of one file are reported together.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from lark import Lark, Token, UnexpectedCharacters, UnexpectedInput
from lark.exceptions import UnexpectedEOF, VisitError

from spikec.errors import Diagnostic, ModelError, Span
from spikec.language import syntax
from spikec.language.parser_messages import STATEMENT_WORDS, describe
from spikec.language.parser_tree import Builder, TooDeep

MAX_CHARACTERS = 4_000_000
MAX_LINE = 100_000
MAX_BRACKETS = 64
MAX_ERRORS = 20
KNOWN_CHARACTERS = frozenset('_"()[]{}+-*/%@^<>=!.,:;#')

_SKIPPED_OR_BRACKET = re.compile(r'#[^\n]*|"[^"\n]*"|[()\[\]{}]')
_STATEMENT = re.compile(rf"[ \t]*(?:({'|'.join(STATEMENT_WORDS)})\b|}})")


def parse(text: str, file: str) -> syntax.Model:
    """The abstract syntax of `text`; `file` names it in spans and messages.

    Raises `ModelError` with all syntax errors found (up to 20).
    """
    refused = _too_large(text, file)
    if refused:
        raise ModelError([refused], {file: text})
    diagnostics: list[Diagnostic] = []
    rest = text
    while len(diagnostics) < MAX_ERRORS:
        try:
            model = _parse_once(rest, file)
        except _SyntaxError as error:
            if error.diagnostic in diagnostics:
                break
            diagnostics.append(error.diagnostic)
            shortened = _without_statement(rest, error.diagnostic.span)
            if shortened is None:
                break
            rest = shortened
            continue
        if not diagnostics:
            return model
        break
    diagnostics.sort(key=lambda d: (d.span.line, d.span.column) if d.span else (0, 0))
    raise ModelError(diagnostics, {file: text})


class _SyntaxError(Exception):
    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@cache
def _lark() -> Lark:
    grammar = files("spike_grammar").joinpath("spike.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=True, maybe_placeholders=True)


def _parse_once(text: str, file: str) -> syntax.Model:
    try:
        tree = _lark().parse(text)
        model: syntax.Model = Builder(file).transform(tree)
    except UnexpectedInput as error:
        raise _SyntaxError(_unexpected(error, text, file)) from None
    except VisitError as error:
        if isinstance(error.orig_exc, TooDeep):
            raise _SyntaxError(error.orig_exc.diagnostic) from None
        raise
    return model


def _unexpected(error: UnexpectedInput, text: str, file: str) -> Diagnostic:
    token = getattr(error, "token", None)
    if isinstance(error, UnexpectedEOF) or (isinstance(token, Token) and token.type == "$END"):
        position = len(text.rstrip())
    else:
        position = error.pos_in_stream or 0
    word = _word_at(text, position)
    span = _span(text, position, max(1, len(word)), file)
    if (
        isinstance(error, UnexpectedCharacters)
        and not word[:1].isalnum()
        and word[:1] not in KNOWN_CHARACTERS
    ):
        return Diagnostic(f"unexpected character {word!r}", span, "remove it")
    message, hint = describe(word, _expected(error))
    return Diagnostic(message, span, hint)


def _expected(error: UnexpectedInput) -> set[str]:
    """The terminals that may stand where the error is."""
    for name in ("accepts", "expected", "allowed"):
        found = getattr(error, name, None)
        if found:
            return set(found)
    return set()


def _word_at(text: str, position: int) -> str:
    match = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|->|\.\.|\S").match(text, position)
    return match.group(0)[:40] if match else ""


def _span(text: str, position: int, width: int, file: str) -> Span:
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    return Span(file, line, column, line, column + width)


def _too_large(text: str, file: str) -> Diagnostic | None:
    """A reason not to parse at all: what no person writes would only cost time and memory."""
    if len(text) > MAX_CHARACTERS and "\n" in text:
        return Diagnostic(
            f"the file has {len(text)} characters; the limit is {MAX_CHARACTERS}",
            Span(file, 1, 1, 1, 2),
            "keep data in a .csv or .npy file and read it with `load(...)` or `input ... from`",
        )
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE:
            return Diagnostic(
                f"line {number} has {len(line)} characters; the limit is {MAX_LINE}",
                Span(file, number, 1, number, 2),
                "break the line, or keep data in a .csv or .npy file and read it with `load(...)`",
            )
    return _too_nested(text, file)


def _too_nested(text: str, file: str) -> Diagnostic | None:
    depth = 0
    for match in _SKIPPED_OR_BRACKET.finditer(text):
        bracket = match.group(0)
        depth += (bracket in "([{") - (bracket in ")]}")
        if depth > MAX_BRACKETS:
            return Diagnostic(
                f"brackets are nested more than {MAX_BRACKETS} deep",
                _span(text, match.start(), 1, file),
                "close a bracket, or give a part of the expression a name with `let`",
            )
    return None


def _without_statement(text: str, span: Span | None) -> str | None:
    """`text` with the statement around `span` blanked, or None where it opens a block."""
    if span is None:
        return None
    lines = text.split("\n")
    first = last = span.line - 1
    if (
        first > 0
        and _STATEMENT.match(lines[first][: span.column + 20])
        and not lines[first][: span.column - 1].strip()
    ):
        # What is wrong is that the statement before it is not complete.
        last = first = first - 1
    while first > 0 and not _STATEMENT.match(lines[first]):
        first -= 1
    while last + 1 < len(lines) and not _STATEMENT.match(lines[last + 1]):
        last += 1
    removed = lines[first : last + 1]
    if sum(line.count("{") - line.count("}") for line in removed) or not any(
        line.strip() for line in removed
    ):
        return None
    return "\n".join(lines[:first] + [""] * len(removed) + lines[last + 1 :])
