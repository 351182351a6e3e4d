"""What the objects of a network are called, in what is compiled of it as in its text.

By variables of the program, attributes of networks and labels, or by what they are of; made legal in the
language, and different.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import nengo
from nengo.base import NengoObject, ObjView
from nengo.connection import LearningRule
from nengo.ensemble import Neurons
from nengo.networks import EnsembleArray

from spikec.expressions import FUNCTIONS
from spikec.language.builtins import ALSO_RECORDS, CONSTANTS, FUNCTIONS_OF_VALUES, RECORDS
from spikec.language.parser_messages import STATEMENT_WORDS

OBJECTS = (NengoObject, nengo.Network)
# What is recorded where nothing else is asked for: the name of the object says enough.
PLAIN = ("decoded_output", "output")
# What neurons send.
ACTIVITY = ("output", "spikes", "rates")
# Names that mean something else in the language.
TAKEN = frozenset(
    {*STATEMENT_WORDS, *CONSTANTS, *RECORDS, *ALSO_RECORDS, *FUNCTIONS, *FUNCTIONS_OF_VALUES}
    | {"x", "t", "dt", "in", "as", "via", "synapse", "transform", "delay", "solver", "learning", "every"}
    | {"else", "from", "linear", "repeat", "ideal", "eval_points", "neurons", "connection"}
    | {
        "spikes",
        "voltage",
        "refractory_time",
        "adaptation",
        "recovery",
        "rate_out",
        "input",
        "weights",
        "encoders",
    }
)
# What is called by its kind: words that begin statements cannot be names.
UNNAMED = {nengo.Ensemble: "ens", nengo.Node: "signal", nengo.Network: "part"}


def held(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, object) of Nengo's objects in variables: by itself, or `name[k]` in a list of them."""
    for name, value in values.items():
        if name.startswith("_"):
            continue
        if isinstance(value, OBJECTS):
            yield name, value
        elif isinstance(value, (list, tuple)):
            yield from ((f"{name}[{k}]", v) for k, v in enumerate(value) if isinstance(v, OBJECTS))


def lists(values: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[nengo.Ensemble]]]:
    """(name, ensembles) of lists of nothing but ensembles in variables."""
    for name, value in values.items():
        plain = isinstance(value, (list, tuple)) and len(value) > 1 and not name.startswith("_")
        if plain and all(isinstance(obj, nengo.Ensemble) for obj in value):
            yield name, value


class Labels:
    """The name of every object of a network, and of what a text adds.

    Connections have one where they learn or are recorded.  Names of probes are counted by themselves.
    `arrays`: ensembles side by side, which are called `name[0]`, `name[1]` and so on.
    """

    def __init__(self, network: nengo.Network, given: Mapping[str, Any]) -> None:
        """`given`: names of the user's program, such as those of a module: the first of an object counts."""
        self._taken: set[str] = set(TAKEN)
        self._recorded: set[str] = set(STATEMENT_WORDS)
        self._entered: dict[nengo.Network, str] = {}
        self._attributes: dict[nengo.Network, dict[int, str]] = {}
        self._names: dict[Any, str] = {}
        self.arrays: dict[str, tuple[nengo.Ensemble, ...]] = {}
        self._lists = list(lists(given))
        self._given = {id(obj): name for name, obj in reversed(list(held(given)))}
        self._enter(network, "")
        recorded = {_owner(probe.obj) for probe in network.all_probes}
        for part, prefix in self._entered.items():
            for conn in part.connections:
                if conn.learning_rule is not None or conn in recorded:
                    self._connection(conn, part, prefix)
        for part, prefix in self._entered.items():
            for probe in dict.fromkeys(part.probes):
                own = _legal(probe.label) or _legal(self._written(probe, part))
                name = prefix + own if own else recording(probe, self._names)
                self._names[probe] = _unlike(name, self._recorded)

    def __getitem__(self, obj: Any) -> str:
        return self._names[obj]

    def get(self, obj: Any, otherwise: str) -> str:
        """The name of an object, or another where it has none."""
        return self._names.get(obj, otherwise)

    @property
    def all(self) -> dict[Any, str]:
        """Names by objects."""
        return dict(self._names)

    def note(self, obj: Any, name: str) -> None:
        """Call an object by a name that is part of another's."""
        self._names[obj] = name

    def new(self, name: str) -> str:
        """`name` in letters, digits and `_`, with a number where it is taken."""
        return _unlike(_legal(name), self._taken)

    def _enter(self, network: nengo.Network, prefix: str) -> None:
        if network in self._entered:
            return  # SPA holds some networks twice
        self._entered[network] = prefix
        if isinstance(network, EnsembleArray) and network in self._names:
            self._array(self._names[network], network.ea_ensembles)
        for name, ensembles in (*self._lists, *lists(vars(network))):
            self._list(network, prefix, name, ensembles)
        for obj in dict.fromkeys((*network.ensembles, *network.nodes, *network.networks)):
            if obj in self._names:
                continue
            own = _legal(self._given.get(id(obj))) or _legal(obj.label) or _legal(self._written(obj, network))
            own = own or UNNAMED.get(type(obj)) or _legal(type(obj).__name__.lower())
            self._names[obj] = self.new(prefix + own)
            if isinstance(obj, nengo.Network):
                self._enter(obj, self._names[obj] + "_")

    def _list(
        self, network: nengo.Network, prefix: str, name: str, ensembles: Sequence[nengo.Ensemble]
    ) -> None:
        """Name the ensembles of a list, where that is what they are called, and all are of one network."""
        unnamed = [obj for obj in network.ensembles if obj not in self._names]
        own = {id(obj) for obj in unnamed if id(obj) in self._given or not obj.label}
        written = [self._written(obj, network) for obj in ensembles]
        if written == [f"{name}[{k}]" for k in range(len(ensembles))] and own.issuperset(map(id, ensembles)):
            self._array(self.new(prefix + name), ensembles)

    def _array(self, name: str, ensembles: Sequence[nengo.Ensemble]) -> None:
        self.arrays[name] = tuple(ensembles)
        self._names.update((obj, f"{name}[{k}]") for k, obj in enumerate(ensembles))

    def _written(self, obj: Any, network: nengo.Network) -> str:
        """The variable that holds an object, or the attribute of its network."""
        if network not in self._attributes:
            self._attributes[network] = {id(it): name for name, it in held(vars(network))}
        return self._given.get(id(obj)) or self._attributes[network].get(id(obj), "")

    def _connection(self, conn: nengo.Connection, part: nengo.Network, prefix: str) -> None:
        if conn in self._names:
            return
        own = _legal(self._written(conn, part)) or _legal(conn.label)
        ends = (self.get(_owner(end), "rule") for end in (conn.pre_obj, conn.post_obj))
        self._names[conn] = self.new(prefix + own if own else "_to_".join(ends))


def called(network: nengo.Network | None, variables: Mapping[str, Any]) -> dict[Any, str]:
    """What the objects of a network are called, by these variables first; nothing where there is none."""
    return {} if network is None else Labels(network, variables).all


def _owner(obj: Any) -> Any:
    """The ensemble of neurons, the connection of a rule; every other object itself."""
    target = obj.obj if isinstance(obj, ObjView) else obj
    return getattr(target, "ensemble", None) or getattr(target, "connection", None) or target


def recording(probe: nengo.Probe, names: Mapping[Any, str]) -> str:
    """What a probe records, in words of the network: `b`, `b.neurons`, `b.voltage`, `learned.pes.error`."""
    target, attr = probe.obj, probe.attr
    name = names.get(_owner(target)) or type(_owner(target)).__name__.lower()
    name = re.sub(r"\[(\d+)\]", r"_\1", name)
    if isinstance(target, Neurons) and attr in (*ACTIVITY, "input"):
        return f"{name}.neurons" + ("" if attr in ACTIVITY else f".{attr}")
    if isinstance(target, LearningRule):
        return f"{name}.{type(target.learning_rule_type).__name__.lower()}.{attr}"
    return name if attr in PLAIN else f"{name}.{attr}"


def _legal(text: str | None) -> str:
    """A text in letters, digits and `_`, not beginning with a digit; "" where nothing of that is in it."""
    found = re.sub(r"[^A-Za-z0-9_]+", "_", text or "").strip("_")
    return f"n{found}" if found[:1].isdigit() else found


def _unlike(name: str, taken: set[str]) -> str:
    """`name`, with a number where it is among `taken`; then it is too."""
    found, count = name, 1
    while found in taken:
        count += 1
        found = f"{name}_{count}"
    taken.add(found)
    return found
