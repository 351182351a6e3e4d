"""What a syntax error says: names for the grammar's terminals, and suggestions for misspelt words."""

from __future__ import annotations

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
    "PROBED": ("spikes", "voltage", "refractory_time", "adaptation", "recovery"),
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

_OPERATORS = {"ADD", "MULTIPLY", "POWER", "COMPARE", "SIGN", "DOT", "SEMICOLON"}


def describe(word: str, expected: set[str]) -> tuple[str, str, str]:
    """Message and remedy for `word` ("" at the end of the file) where `expected` terminals may stand.

    The third is the keyword that a misspelt one was meant to be, "" where none is near.
    """
    words = _words(expected)
    wanted = _wanted(expected, words)
    if not word:
        message = f"the file ends in the middle of a statement; expected {wanted}"
        return message, "complete the last statement", ""
    if _is_word(word) and "NAME" not in expected and words:
        meant = _ALIASES.get(word, "")
        near = [meant] if meant in words else get_close_matches(word, words, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected {wanted}"
        return f"unknown keyword {word!r}", hint, "".join(near)
    if word in STATEMENT_WORDS and "NAME" in expected:
        return f"the statement before {word!r} is not complete", f"expected {wanted}", ""
    if word == '"':
        return "a text is not closed", 'end it with " on the same line', ""
    return f"unexpected {word!r}", f"expected {wanted}", ""


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
        parts = [*clauses, "a statement such as connect, ensemble or probe"]
    else:
        parts = list(words)
    parts += sorted(_DESCRIPTIONS[t] for t in expected if t in _DESCRIPTIONS)
    if not parts and expected & _OPERATORS:
        parts = ["an operator"]
    return _either(parts) if parts else "the end of the statement"


def _either(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " or " + parts[-1]
