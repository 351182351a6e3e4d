"""The LALR tables of the grammar: read from a file beside it, which takes a twentieth of making them.

`spike.tables.json` of the package `spike_grammar` holds what Lark makes of `spike.lark`, as JSON, so that
reading it can run nothing.  It names the grammar and the version of Lark that it was made of; where those are
others, as for a grammar that is being worked on, the tables are made anew and not kept.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import Any

import lark
from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

GRAMMAR, TABLES = "spike.lark", "spike.tables.json"


def load() -> Lark:
    """The parser of the language."""
    grammar = _text(GRAMMAR)
    try:
        kept = json.loads(_text(TABLES))
    except (OSError, ValueError):
        return _build(grammar)
    if kept["made_of"] != _made_of(grammar):
        return _build(grammar)
    table = kept["data"]["parser"]["parser"]
    table["tokens"] = _numbered(table["tokens"])
    table["states"] = {state: _numbered(actions) for state, actions in _numbered(table["states"]).items()}
    return Lark.load({"data": kept["data"], "memo": _numbered(kept["memo"])})


def dumps() -> str:
    """What the file of tables has to hold, in short lines; Lark numbers the states as it comes."""
    grammar = _text(GRAMMAR)
    data, memo = _build(grammar).memo_serialize([TerminalDef, Rule])
    kept = {"made_of": _made_of(grammar), "data": data, "memo": memo}
    return json.dumps(kept, sort_keys=True, separators=(",", ":")).replace("},", "},\n") + "\n"


def _text(name: str) -> str:
    return files("spike_grammar").joinpath(name).read_text(encoding="utf-8")


def _made_of(grammar: str) -> str:
    return hashlib.sha256(f"lark {lark.__version__}\n{grammar}".encode()).hexdigest()


def _build(grammar: str) -> Lark:
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=True, maybe_placeholders=True)


def _numbered(table: dict[str, Any]) -> dict[int, Any]:
    return {int(key): value for key, value in table.items()}
