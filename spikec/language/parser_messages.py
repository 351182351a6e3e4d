"""What a syntax error says: names for the grammar's terminals, and suggestions for misspelt words."""

from __future__ import annotations

import re
from difflib import get_close_matches

STATEMENT_WORDS = (
    "model", "param", "let", "seed", "dt", "import", "defaults", "input", "ensemble", "array",
    "population", "node", "relay", "port", "function", "connect", "probe", "use", "module", "for", "if",
)  # fmt: skip

_GROUPS = {
    "SETTING": ("seed", "dt"),
    "POPULATION": ("ensemble", "array", "population"),
    "RELAY": ("relay", "port"),
    "DEFAULT_KIND": ("ensemble", "connection", "probe"),
    "INPUT_OPTION": ("linear", "repeat"),
    "PROBED": ("spikes", "voltage", "refractory_time", "adaptation", "recovery", "rate_out"),
}

_DESCRIPTIONS = {
    "NAME": "a name",
    "STRING": 'a file name in "..."',
    "ATTRIBUTE": "the name of a part",
    "EQUAL": '"="',
    "LPAR": '"("',
    "RPAR": '")"',
    "LSQB": '"["',
    "RSQB": '"]"',
    "LBRACE": '"{"',
    "RBRACE": '"}"',
    "COMMA": '","',
    "COLON": '":"',
    "__ANON_0": '"->"',
    "__ANON_1": '".."',
}

# Words of Nengo, and others for the same.
_ALIASES = {
    "sample_every": "every", "function": "via", "filter": "synapse", "weights": "transform", "name": "as",
    "record": "probe", "population": "ensemble", "const": "let", "network": "module", "connection": "connect",
}  # fmt: skip

_STATEMENT = "a statement such as connect, ensemble or probe"
_OPERATORS = {"ADD", "MULTIPLY", "POWER", "COMPARE", "SIGN", "DOT", "SEMICOLON"}


def describe(
    word: str, expected: set[str], alone: bool = False, unfinished: bool = False
) -> tuple[str, str, str]:
    """Message and remedy for `word` ("" at the end of the file) where `expected` terminals may stand.

    `alone`: it stands where a statement begins, so that clauses of the one before are not meant;
    `unfinished`: the one before is not complete.  The third is the keyword that a misspelt one was meant to
    be, "" where none is near.
    """
    words = _words(expected)
    wanted = "a name for it: as NAME" if words == ["as"] else _wanted(expected, words)
    if unfinished:
        return "the statement is not complete", f"expected {wanted}", ""
    if not word:
        message = f"the file ends in the middle of a statement; expected {wanted}"
        return message, "complete the last statement", ""
    if _is_word(word) and "NAME" not in expected and words:
        meant = _ALIASES.get(word, "")
        near = [meant] if meant in words else get_close_matches(word, words, n=1)
        if alone and {"connect", "probe"} <= set(words):
            wanted = _STATEMENT
        hint = f"did you mean {near[0]!r}?" if near else f"expected {wanted}"
        return f"unknown keyword {word!r}", hint, "".join(near)
    if word == '"':
        return "a text is not closed", 'end it with " on the same line', ""
    return f"unexpected {word!r}", f"expected {wanted}", ""


BRACKETS = re.compile(r'#[^\n]*|"[^"\n]*"|[()\[\]{}]')
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def open_bracket(text: str, position: int) -> int | None:
    """Where the innermost bracket stands that is still open at `position`."""
    found: list[int] = []
    for match in BRACKETS.finditer(text, 0, position):
        bracket = match[0]
        if bracket in _CLOSING:
            found.append(match.start())
        elif bracket in _CLOSING.values() and found:
            found.pop()
    return found[-1] if found else None


def never_closed(text: str, position: int, expected: set[str]) -> tuple[int, str, str] | None:
    """A bracket that is open where the parser stopped and that nothing closes: its place, message and remedy.

    That is so at the end of the file, and where a line begins another statement or ends a block.
    """
    place = open_bracket(text, position)
    if place is None:
        return None
    bracket = text[place]
    ends = position >= len(text.rstrip())
    if not (ends and "RBRACE" in expected if bracket == "{" else ends or _begins_statement(text, position)):
        return None
    return place, f"the bracket {bracket!r} is never closed", f"close it with {_CLOSING[bracket]!r}"


_CODE = re.compile(r'(?:"[^"\n]*"|[^#"\n])*')


def unfinished(text: str, position: int, expected: set[str]) -> int | None:
    """Where a statement ends that is not complete, of which the parser stopped where the next one begins."""
    if {"_CONNECT", "_PROBE"} & expected or not _begins_statement(text, position):
        return None
    if (bracket := open_bracket(text, position)) is not None and text[bracket] != "{":
        return None
    while position > 0:
        first = text.rfind("\n", 0, position) + 1
        code = _CODE.match(text, first, position)
        if code and code[0].strip():
            return first + len(code[0].rstrip())
        position = first - 1
    return None


def _begins_statement(text: str, position: int) -> bool:
    """Whether a line begins here that is a statement, or ends a block: not an argument such as seed=3, nor in
    a bracket that is closed on this line.
    """
    first, last = text.rfind("\n", 0, position) + 1, text.find("\n", position)
    line = text[position : len(text) if last < 0 else last]
    begins = re.match(rf"(?:(?:{'|'.join(STATEMENT_WORDS)})\b(?!\s*=)|}})", line)
    if text[first:position].strip() or not begins:
        return False
    depth = 0
    for match in BRACKETS.finditer(line, line[0] == "}"):
        depth += (match[0] in _CLOSING) - (match[0] in _CLOSING.values())
        if depth < 0:
            return False
    return True


def stands_alone(text: str, position: int) -> bool:
    """Whether a word begins a line that is indented no more than the line before: a statement, no clause."""
    first = text.rfind("\n", 0, position) + 1
    indent, lines = text[first:position], text[:first].splitlines()
    before = next((line for line in reversed(lines) if line.strip()), "")
    return not indent.strip() and len(indent) <= len(before) - len(before.lstrip())


def _is_word(word: str) -> bool:
    return word.replace("_", "a").isalnum() and not word[0].isdigit()


def _words(expected: set[str]) -> list[str]:
    """The keywords among `expected`."""
    words: set[str] = set()
    for terminal in expected:
        if terminal.startswith("_") and terminal[1:].isupper() and "ANON" not in terminal:
            words.add(terminal[1:].lower())
        words.update(_GROUPS.get(terminal, ()))
    return sorted(words)


def _wanted(expected: set[str], words: list[str]) -> str:
    if "NUMBER" in expected:
        return "a value"
    if set(words) >= {"connect", "probe"}:
        clauses = [w for w in words if w not in STATEMENT_WORDS and w != "else"]
        parts = [*clauses, _STATEMENT]
    else:
        parts = list(words)
    parts += sorted(_DESCRIPTIONS[t] for t in expected if t in _DESCRIPTIONS)
    if not parts and expected & _OPERATORS:
        parts = ["an operator"]
    return _either(parts) if parts else "the end of the statement"


def _either(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " or " + parts[-1]
