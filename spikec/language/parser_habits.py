"""What people who know Python or Nengo write out of habit: what the way of this language is instead.

A habit is recognised by the text before the place where the parser stopped and by the text that follows.
"""

from __future__ import annotations

import re

from spikec.records import dataclass

MOST_BEFORE = 200

_CLAUSE = "via|synapse|transform|delay|solver|eval_points|learning|every|ideal"
_UNIT = "s|ms|us|µs|μs|Hz|kHz"
_DECLARING = "param|let|input|ensemble|array|node|relay|port|function|module|as|for"
_KEYWORD = (
    "model|param|let|seed|dt|import|defaults|input|ensemble|array|node|relay|port|function|connect|probe|use"
    "|module|for|if|else"
)

_NENGO = {
    "Ensemble": "write ensemble name(100, dims=1)",
    "Connection": "write connect a -> b synapse 5ms",
    "Probe": "write probe a synapse 10ms as name",
    "Node": "write input u(t) = sin(t), or node f(x) = x^2",
    "Network": "statements stand by themselves; write module m() { ... } for a part that is used again",
}


@dataclass(frozen=True)
class Habit:
    """What is wrong from `start` to `stop` of the text, and what to write instead."""

    message: str
    hint: str
    start: int
    stop: int


# (text that ends where the parser stopped, text from there on, terminal that may stand there or "", message,
# remedy).  The mistake is shown from the group "from" of either on, else where the parser stopped; \\1 in the
# remedy is the group "word".
_HABITS: tuple[tuple[str, str, str, str, str], ...] = (
    (r"(?P<from>\*)$", r"\*", "", "'**' is not an operator", "powers are written with ^, such as x^2"),
    (
        r"\b(?P<from>np|numpy|math|scipy)$",
        r"\.(?P<word>\w+)",
        "",
        "functions stand by themselves, without a module",
        r"write \1(...)",
    ),
    (r"\b(?P<from>lambda)\b[^;\n]*$", r"", "", "there is no lambda", "write via x^2, or input u(t) = sin(t)"),
    (r"", r"(?P<from>if)\b", "NUMBER", "if chooses statements, not values", "write select(x > 0, yes, no)"),
    (r"\b(?P<from>if)\b[^{;\n]*$", r"else\b|then\b", "", "if chooses statements, not values",
     "write select(x > 0, yes, no)"),
    (r"[\w)\]][ \t]+$", r"(?P<from>if)\b[^{\n]*\belse\b", "", "if chooses statements, not values",
     "write select(x > 0, yes, no)"),
    (r"\[[^\]\n]*$", r"if\b", "RSQB", "a list takes no if", "write select(condition, yes, no) for its items"),
    (r"\b(?P<from>[fbru])$", r"[\"']", "", "a text takes nothing before it and no values in it",
     'write the text as it is, such as "tone.csv"'),
    (r"", r"'(?P<word>[^'\n]*)'?", "", "texts and names stand in double quotes or none, not in single quotes",
     r'write "\1" for a file, the bare word for a name'),
    (r"", r'"(?P<word>[^\W\d]\w*)"', "NAME", "a name stands without quotes", r"write \1"),
    (r"", r'"[^"\n]*"', "NAME", "a name is one word without quotes", "write letters, digits and _"),
    (r"\brange\s*\((?P<word>\s*\w+\s*)\)\s*$", r"", "__ANON_1", "a range is written with two dots",
     r"write 0..\1"),
    (r"\brange\s*\(.*$", r"", "__ANON_1", "a range is written with two dots", "write 0..10"),
    (r"", r":", "LBRACE", "a block stands in braces", "write { ... } instead of the colon"),
    (r"^\s*import\s+$", r"\w+", "", "import takes a file of this language",
     'functions such as sin need no import; for modules of your own write import "file.spk"'),
    (r"^\s*$", r"from\s+\w+\s+import\b", "", "import takes a file of this language",
     'functions such as sin need no import; for modules of your own write import "file.spk"'),
    (r"^\s*$", r"def\b", "", "functions are defined by function", "write function f(x) = x^2"),
    (r"^\s*$", r"while\b", "", "there is no while", "write for i in 0..10 { ... }"),
    (r"^\s*$", r"with\b", "", "there is no with", "statements stand by themselves, or in module m() { ... }"),
    (r"^\s*$", r"class\b", "", "there is no class", "write module m(neurons) { ... } and use m(100) as name"),
    (r"^\s*$", r"(try|except|raise|assert|return|yield|del|pass)\b", "", "there are no such statements",
     "a model says what there is, not what to do; see the reference"),
    (r"function\s+\w+\s*\([^)]*\)\s*$", r"return\b|\{|:", "", "the value of a function follows =",
     "write function f(x) = x^2"),
    (r"^\s*$", r"print\b", "", "there is no print", "write probe a as name to record a value"),
    (r"^\s*$", r"\w+(\[[^\]\n]*\])?\s*->", "", "a connection begins with connect", "write connect a -> b"),
    (r"\bconnect\s*$", r"\(", "", "connect takes no brackets", "write connect a -> b"),
    (r"\bconnect\b[^\n>]*$", r"-\s+>|=>|→|to\b", "", "the arrow is ->", "write connect a -> b"),
    (r"\bconnect\b[^\n>;]*$", r",", "", "a connection has one source and one target",
     "write one connect for each of them"),
    (r"", rf",(?=\s*({_CLAUSE}|as)\b)", "", "clauses follow one another without commas",
     "leave the comma out"),
    (rf"\b(?P<word>{_CLAUSE})\s*$", r"=(?!=)", "", "clauses take no =", r"leave it out: \1 ..."),
    (r"\bconnect\b[^\n;]*\b(?P<from>function)\s+\w+\s*$", r"", "", "the function of a connection follows via",
     "write via x^2"),
    (r"^\s*$", r"(?P<word>\w+)\s*[-+*/]?=(?!=)", "", "a value is named by let, once",
     r"write let \1 = 5, or param \1 = 5 for what may be set from outside"),
    (r"[\w)\]]\s+$", r"and\b|&&?", "", "there is no 'and'", "multiply: (a > 0) * (b > 0)"),
    (r"[\w)\]]\s+$", r"or\b|\|\|?", "", "there is no 'or'", "write max(a > 0, b > 0)"),
    (r"\b(?P<from>not)\s+$", r"", "", "there is no 'not'", "write 1 - a, or compare the other way round"),
    (r"", r"!(?!=)", "", "there is no '!'", "write 1 - a, or compare the other way round"),
    (r"", r"\?", "", "'?' is not an operator", "write select(x > 0, yes, no)"),
    (r"^\s*(?P<from>/?)$", r"/|\*", "", "comments begin with #", "write # at their beginning"),
    (r"(?P<from>/)$", r"/", "", "'//' is not an operator", "write floor(a / b)"),
    (r"=\s*\([^()\n]*$", r",", "RPAR", "lists stand in square brackets", "write [1, 2]"),
    (r"[=,(\[]\s*$", r"\{", "NUMBER", "there are no sets or dictionaries",
     "lists stand in square brackets: [1, 2]"),
    (r"\b(?P<from>\d[\d.eE+-]*)[ \t]+$", rf"(?P<word>{_UNIT})\b", "",
     "a unit stands at its number, without a space", r"write 5\1"),
    (r"\b(?P<from>\d[\d.]*)[ \t]+$", r"(?P<word>[a-z]{1,3}|[mk]?hz)\b(?!\s*[-(\[])", "",
     "a unit stands at its number, without a space, and is one of s, ms, us, Hz, kHz", "write 5ms or 5Hz"),
    (r"\b(?P<from>0[xX]|\d+_)$", r"[\da-fA-F_]+", "", "numbers are written in decimal digits", "write 1000"),
    (r"\b(ensemble|array)\s+\w+\s*$", r"\d", "LPAR", "the number of neurons stands in brackets",
     "write ensemble a(100)"),
    (rf"\b({_DECLARING})\s+$", rf"(?P<word>{_KEYWORD})\b(?=\s*[\[(={{;,]|\s*$|\s+(in|->)\b)", "NAME",
     "a word of the language cannot be a name", r"choose another, such as \1_1"),
)  # fmt: skip

_COMPILED = tuple((re.compile(b), re.compile(a), t, m, h) for b, a, t, m, h in _HABITS)
_NENGO_CALL = re.compile(r"(?:\w+\s*=\s*)?nengo\.(?:networks\.|dists\.)?(\w+)")


def from_elsewhere(text: str, position: int, expected: set[str]) -> Habit | None:
    """The habit that shows at `position`, where one of the terminals `expected` may stand, if any does."""
    first = text.rfind("\n", 0, position) + 1
    first = max(first, position - MOST_BEFORE)
    if nengo := _nengo(text, first, position):
        return nengo
    before = text[first:position]
    for ending, following, terminal, message, hint in _COMPILED:
        if terminal and terminal not in expected:
            continue
        left, right = ending.search(before), following.match(text, position)
        if left is None or right is None:
            continue
        groups = {**left.groupdict(), **right.groupdict()}
        start = first + left.start("from") if groups.get("from") and "from" in left.groupdict() else position
        stop = max(right.end(), start + 1)
        word = (groups.get("word") or "").strip()
        return Habit(message, hint.replace("\\1", word), start, stop)
    return None


def _nengo(text: str, first: int, position: int) -> Habit | None:
    """A call such as `a = nengo.Ensemble(...)`, in whose place a statement belongs."""
    match = _NENGO_CALL.match(text, first + len(text[first:position]) - len(text[first:position].lstrip()))
    if match is None or not match.start() <= position <= match.end():
        return None
    hint = _NENGO.get(match[1], "see the reference for the statements of this language")
    return Habit(f"nengo.{match[1]} is Python; here it is a statement", hint, match.start(), match.end())
