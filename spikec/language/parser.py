"""Text to abstract syntax; the only importer of Lark.

The grammar is `spike.lark` of the package `spike_grammar`.  After a syntax error a misspelt keyword is put
right, or else the faulty statement blanked, and the rest is read again, so that all mistakes of a file, also
those of meaning, are reported together.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from lark import Token, UnexpectedCharacters, UnexpectedInput
from lark.exceptions import UnexpectedEOF, VisitError

from spikec.errors import Diagnostic, ModelError, Span
from spikec.language import parser_tables, syntax
from spikec.language.parser_messages import (
    BRACKETS,
    STATEMENT_WORDS,
    describe,
    never_closed,
    open_bracket,
    stands_alone,
    unfinished,
)
from spikec.language.parser_tree import BadStatement, Builder, Shifts
from spikec.records import dataclass

MAX_CHARACTERS = 4_000_000
MAX_LINE = 100_000
MAX_BRACKETS = 64
MAX_ERRORS = 20
KNOWN_CHARACTERS = frozenset('_"()[]{}+-*/%@^<>=!.,:;#')

# Also a connection without its keyword, where it cannot be the rest of a statement.
_STATEMENT = re.compile(rf"[ \t]*(?:({'|'.join(STATEMENT_WORDS)})\b|}})|[^\W\d]\w*(\[[^\]\n]*\])?[ \t]*->")


@dataclass(frozen=True)
class Parsed:
    """What could be read of a text: mistakes, and names whose declarations could not be read ("*": any).

    `model` is None where so little is left that looking for mistakes of meaning would only mislead.
    """

    model: syntax.Model | None
    diagnostics: tuple[Diagnostic, ...] = ()
    unread: frozenset[str] = frozenset()


def parse(text: str, file: str) -> syntax.Model:
    """The abstract syntax of `text`; `file` names it in spans and messages.

    Raises `ModelError` with all syntax errors found (up to 20).
    """
    parsed = read(text, file)
    if parsed.diagnostics or parsed.model is None:
        raise ModelError(list(parsed.diagnostics), {file: text})
    return parsed.model


def read(text: str, file: str) -> Parsed:
    """As `parse`, with what can be read of a text that has mistakes.

    A misspelt keyword is taken for what it was meant to be; any other statement with a mistake is left out.
    """
    refused = _too_large(text, file)
    if refused:
        return Parsed(None, (refused,))
    rest, shifts = text, Shifts()
    diagnostics: list[Diagnostic] = []
    unread: set[str] = set()
    model: syntax.Model | None = None
    while model is None and len(diagnostics) < MAX_ERRORS:
        try:
            model = _parse_once(rest, file, shifts)
        except _SyntaxError as error:
            found = error.diagnostic
            place = found.span
            found = replace(found, span=shifts.original(place))
            guess_was_wrong = place is not None and shifts.ends_before(place, rest)
            if found in diagnostics:
                break
            if not guess_was_wrong:
                diagnostics.append(found)
            if error.meant and place is not None and not guess_was_wrong:
                rest = _respelt(rest, place, error.meant, shifts)
                continue
            left = _without_statement(rest, place)
            if left is None:
                break
            rest, removed = left
            unread |= declared(removed)
    diagnostics.sort(key=lambda d: (d.span.line, d.span.column) if d.span else (0, 0))
    return Parsed(model, tuple(diagnostics), frozenset(unread))


class _SyntaxError(Exception):
    """A mistake, at its place in the text that was parsed; `meant`: what a misspelt keyword was to be."""

    def __init__(self, diagnostic: Diagnostic, meant: str = "") -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic
        self.meant = meant


def _respelt(text: str, place: Span, word: str, shifts: Shifts) -> str:
    """`text` with `word` in the place of another."""
    lines = text.split("\n")
    line = lines[place.line - 1]
    lines[place.line - 1] = line[: place.column - 1] + word + line[place.end_column - 1 :]
    shifts.add(place, len(word))
    return "\n".join(lines)


_parser = cache(parser_tables.load)


def _parse_once(text: str, file: str, shifts: Shifts) -> syntax.Model:
    try:
        tree = _parser().parse(text)
        model: syntax.Model = Builder(file, shifts).transform(tree)
    except UnexpectedInput as error:
        raise _unexpected(error, text, file) from None
    except VisitError as error:
        if isinstance(error.orig_exc, BadStatement):
            raise _SyntaxError(error.orig_exc.diagnostic) from None
        raise
    return model


def _unexpected(error: UnexpectedInput, text: str, file: str) -> _SyntaxError:
    token = getattr(error, "token", None)
    if isinstance(error, UnexpectedEOF) or (isinstance(token, Token) and token.type == "$END"):
        position = len(text.rstrip())
    else:
        position = error.pos_in_stream or 0
    word = _word_at(text, position)
    expected = _expected(error)
    from spikec.language.parser_habits import from_elsewhere  # many patterns, for mistakes only

    unclosed = never_closed(text, position, expected)
    end = None if unclosed else unfinished(text, position, expected)
    if end is not None:
        position, word = end, ""
    if habit := from_elsewhere(text, position, expected):
        span = _span(text, habit.start, max(1, habit.stop - habit.start), file)
        return _SyntaxError(Diagnostic(habit.message, span, habit.hint))
    if end is not None:
        start = text.rfind("\n", 0, end) + 1
        start += len(text[start:end]) - len(text[start:end].lstrip())
        message, hint, _ = describe(word, expected, unfinished=True)
        return _SyntaxError(Diagnostic(message, _span(text, start, end - start, file), hint))
    if unclosed:
        place, message, hint = unclosed
        return _SyntaxError(Diagnostic(message, _span(text, place, 1, file), hint))
    span = _span(text, position, max(1, len(word)), file)
    if (
        isinstance(error, UnexpectedCharacters)
        and not word[:1].isalnum()
        and word[:1] not in KNOWN_CHARACTERS
    ):
        return _SyntaxError(Diagnostic(f"unexpected character {word!r}", span, "remove it"))
    message, hint, meant = describe(word, expected, stands_alone(text, position))
    return _SyntaxError(Diagnostic(message, span, hint, _opened(text, position, file)), meant)


def _opened(text: str, position: int, file: str) -> tuple[tuple[str, Span], ...]:
    """A note about the bracket that is open at a place, where that is on a line before."""
    place = open_bracket(text, position)
    if place is None or text[place] == "{" or "\n" not in text[place:position]:
        return ()
    return ((f"the bracket {text[place]!r} is open since here", _span(text, place, 1, file)),)


def _expected(error: UnexpectedInput) -> set[str]:
    """The terminals that may stand where the error is."""
    for name in ("accepts", "expected", "allowed"):
        found = getattr(error, name, None)
        if found:
            return set(found)
    return set()


def _word_at(text: str, position: int) -> str:
    match = re.compile(r"[^\W\d]\w*|\d[\w.]*|->|\.\.|\S").match(text, position)
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
    for match in BRACKETS.finditer(text):
        bracket = match.group(0)
        depth += (bracket in "([{") - (bracket in ")]}")
        if depth > MAX_BRACKETS:
            return Diagnostic(
                f"brackets are nested more than {MAX_BRACKETS} deep",
                _span(text, match.start(), 1, file),
                "close a bracket, or give a part of the expression a name with `let`",
            )
    return None


def _without_statement(text: str, span: Span | None) -> tuple[str, str] | None:
    """`text` with the statement around `span` blanked, and that statement; None where it opens a block."""
    if span is None:
        return None
    lines = text.split("\n")
    first = last = span.line - 1
    bracket = open_bracket("\n".join(lines[: first + 1]), len("\n".join(lines[:first])) + span.column)
    if (
        first > 0
        and bracket is not None
        and text[bracket] != "{"
        and _STATEMENT.match(lines[first])
        and not lines[first][: span.column - 1].strip()
    ):
        # It is in a bracket of the statement before, which goes with it.
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
    return "\n".join(lines[:first] + [""] * len(removed) + lines[last + 1 :]), "\n".join(removed)


_DECLARED = re.compile(
    r"\b(?:param|let|input|ensemble|array|node|relay|port|function|module|as)\s+([^\W\d]\w*)"
)


def declared(statement: str) -> set[str]:
    """Names that a statement which cannot be parsed would have declared; "*" where that cannot be known."""
    return {*_DECLARED.findall(statement), *(["*"] if re.search(r"\bimport\b", statement) else [])}
