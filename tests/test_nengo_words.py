"""The table of Nengo's classes in docs/language.md: it lacks none, its words are those of the language."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest
from oracle import nengo

from spikec.language.builtins import FUNCTIONS_OF_VALUES, RECORDS
from spikec.language.imports import standard_texts
from spikec.language.parser_messages import STATEMENT_WORDS

PAGE = (Path(__file__).parent.parent / "docs" / "language.md").read_text(encoding="utf-8")
TABLE = PAGE.split("| Nengo | in a model |\n|---|---|\n")[1].split("\n\n")[0]
ROWS = [line.strip("| ").split(" | ", 1) for line in TABLE.splitlines()]
NAMED = {name for left, _ in ROWS for name in re.findall(r"`([\w.]+)`", left)}

KINDS = ("neurons", "synapses", "processes", "dists", "solvers", "transforms", "learning_rules")
# What the modules hold to build themselves: parameters of classes, not things of a model.
INTERNAL = re.compile(r".*(Param|Mixin|Error|_betaincinv22)$|_.*|FrozenObject|Parameter|.*TypeSizeIn.*")


def _own_classes(module: str) -> set[str]:
    found = importlib.import_module(module)
    names = {n for n, o in vars(found).items() if inspect.isclass(o) and o.__module__ == module}
    return {n for n in names if not INTERNAL.fullmatch(n)}


def _public() -> set[str]:
    names = {n for n, o in vars(nengo).items() if inspect.isclass(o) and not n.startswith("_")}
    for kind in KINDS:
        names |= _own_classes(f"nengo.{kind}")
    networks = {n for n, o in vars(nengo.networks).items() if n[0].isupper() and callable(o)}
    presets = {n for n, o in vars(nengo.presets).items() if inspect.isfunction(o)}
    importlib.import_module("nengo.spa")
    spa = {n for n, o in vars(nengo.spa).items() if inspect.isclass(o)}
    names |= {f"networks.{n}" for n in networks}
    return names | {f"presets.{n}" for n in presets} | {f"spa.{n}" for n in spa}


def test_nengo_has_what_is_looked_for() -> None:
    assert {"LIF", "PES", "Convolution", "NnlsL2nz", "networks.BasalGanglia", "spa.State"} < _public()
    assert len(_public()) > 90


def test_the_table_lacks_nothing_of_nengo() -> None:
    assert sorted(_public() - NAMED) == []


def test_the_table_names_nothing_else() -> None:
    assert sorted(NAMED - _public()) == []


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_the_words_are_those_of_the_language(number: int) -> None:
    """The first word of a spelling that is one word is known: a record, statement, module or function."""
    spelled = re.findall(r"`([a-z_0-9]+)`", ROWS[number][1].split(";")[0])
    known = {*RECORDS, *FUNCTIONS_OF_VALUES, *STATEMENT_WORDS, *standard_texts(), "defaults"}
    known |= {"via", "transform", "synapse", "tanh", "identity", "in", "out", "interpolation", "amplitude"}
    known |= {"input_shape", "channels_last", "noise", "direct", "initial_voltage", "select"}
    assert not [word for word in spelled if word not in known]
