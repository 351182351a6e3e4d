"""What objects are called in the text: by the user's own names, made legal and different."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import nengo

from spikec.expressions import FUNCTIONS
from spikec.language.builtins import ALSO_RECORDS, CONSTANTS, FUNCTIONS_OF_VALUES, RECORDS
from spikec.language.parser_messages import STATEMENT_WORDS
from spikec.nengo.naming import held

# Names that mean something else in the language.
TAKEN = frozenset(
    {*STATEMENT_WORDS, *CONSTANTS, *RECORDS, *ALSO_RECORDS, *FUNCTIONS, *FUNCTIONS_OF_VALUES}
    | {"x", "t", "dt", "in", "as", "via", "synapse", "transform", "delay", "solver", "learning", "every"}
    | {"else", "from", "linear", "repeat", "ideal", "eval_points", "neurons", "connection"}
    | {"spikes", "voltage", "refractory_time", "adaptation", "recovery", "input", "weights", "encoders"}
)
# What is called by its kind: words that begin statements cannot be names.
UNNAMED = {nengo.Ensemble: "ens", nengo.Node: "signal", nengo.Network: "part"}


class Labels:
    """The name of every object of a network, and of what the text adds."""

    def __init__(self, network: nengo.Network, given: Mapping[str, Any]) -> None:
        """`given`: names of the user's program, such as those of a module: the first of an object counts."""
        self._taken: set[str] = set()
        self._recorded: set[str] = set()
        self._entered: set[nengo.Network] = set()
        self._names: dict[Any, str] = {}
        self._given = {id(obj): name for name, obj in reversed(list(held(given)))}
        self._enter(network, "")

    def __getitem__(self, obj: Any) -> str:
        return self._names[obj]

    def get(self, obj: Any, otherwise: str) -> str:
        """The name of an object, or another where it has none."""
        return self._names.get(obj, otherwise)

    def note(self, obj: Any, name: str) -> None:
        """Call an object by a name that is part of another's."""
        self._names[obj] = name

    def _enter(self, network: nengo.Network, prefix: str) -> None:
        if network in self._entered:
            return  # SPA holds some networks twice
        self._entered.add(network)
        attributes = {id(obj): name for name, obj in held(vars(network))}
        for obj in dict.fromkeys((*network.ensembles, *network.nodes, *network.networks)):
            name = prefix + self._own(obj, attributes)
            if isinstance(obj, nengo.Network):
                self._enter(obj, self.new(name) + "_")
            else:
                self._names[obj] = self.new(name)
        for obj in (*network.connections, *network.probes):
            written = self._given.get(id(obj)) or attributes.get(id(obj)) or obj.label
            if isinstance(obj, nengo.Probe):  # as `spikec compile` names it
                written = obj.label or written
            if written and prefix + _legal(written) not in TAKEN:
                self._names[obj] = prefix + _legal(written)

    def _own(self, obj: Any, attributes: Mapping[int, str]) -> str:
        written = self._given.get(id(obj)) or obj.label or attributes.get(id(obj))
        return _legal(written or UNNAMED.get(type(obj), type(obj).__name__.lower()))

    def named(self, obj: Any, otherwise: str) -> str:
        """The name of a connection or probe, which needs one now."""
        if obj in self._names and self._names[obj] not in self._taken:
            otherwise = self._names[obj]
        self._names[obj] = self.new(otherwise)
        return self._names[obj]

    def recorded(self, obj: Any, plain: str, otherwise: str) -> bool:
        """Name a probe; whether it needs one: not where what it records is recorded once (`plain`)."""
        if obj not in self._names and plain and plain not in self._recorded:
            self._recorded.add(plain)
            self._names[obj] = plain
            return False
        self.named(obj, otherwise)
        return True

    def new(self, name: str) -> str:
        """`name`, with a number where it is taken."""
        found, count = name, 1
        while found in self._taken or found in TAKEN:
            count += 1
            found = f"{name}_{count}"
        self._taken.add(found)
        return found


def _legal(text: str) -> str:
    """A text in letters, digits and `_`, not beginning with a digit."""
    found = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")
    return found if found and not found[0].isdigit() else f"n{found}"
