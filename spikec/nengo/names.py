"""Names of nodes: those that the user gave to objects, and numbers; no addresses, so that they are the same
in every run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nengo.builder import Model, Signal
from nengo.builder.neurons import SimNeurons
from nengo.connection import Connection, LearningRule
from nengo.ensemble import Ensemble, Neurons

from spikec.dataflow import Graph
from spikec.nengo.linear import Linear

# Of what is probed of neurons.
UNITS = {"output": "Hz", "spikes": "Hz", "refractory_time": "s"}


class Names:
    """`of(signal)`: what a signal is called, by the object that it belongs to."""

    def __init__(self, model: Model, graph: Graph, given: Mapping[Any, str]) -> None:
        """`given`: what the user calls objects, where that is known."""
        self.graph = graph
        self.ensembles: dict[Signal, Any] = {}  # by the input current of their neurons
        self._known: dict[Signal, str] = {}
        self._last: dict[str, int] = {}
        counts: dict[str, int] = {}
        objects: dict[Any, str] = {}
        for obj, signals in model.sig.items():
            owner = obj.ensemble if isinstance(obj, Neurons) else obj
            if owner not in objects:
                objects[owner] = _label(owner, given, counts)
            name = objects[owner] + (".neurons" if isinstance(obj, Neurons) else "")
            if isinstance(obj, Neurons) and "in" in signals:
                self.ensembles[signals["in"].base] = owner
            for key, signal in signals.items():
                if isinstance(signal, Signal):
                    self._known.setdefault(signal.base, _of_object(obj, name, key))
        self._objects = objects
        self._others = 0

    def of(self, signal: Signal) -> str:
        """The name of a signal's base."""
        if signal.base not in self._known:
            self._others += 1
            self._known[signal.base] = f"~signal{self._others}"
        return self._known[signal.base]

    def population(self, op: SimNeurons, current: Signal) -> str:
        """The path of a population with this input current: that of its ensemble."""
        ensemble = self.ensembles.get(current.base)
        return self.unique(self._objects[ensemble] if ensemble is not None else self.of(op.output))

    def noise(self, current: Signal) -> str:
        """What is added at random to the current of neurons."""
        ensemble = self.ensembles.get(current.base)
        return f"{self.of(current) if ensemble is None else self._objects[ensemble]}.noise"

    def term(self, form: Linear) -> str:
        """A term of a sum: what it goes to, and what it comes from."""
        return f"{self.of(form.target)}~{self.of(form.source)}"

    def unique(self, name: str) -> str:
        """`name`, with a number where there is one of that name already."""
        if name not in self.graph and name not in self._last:
            return name
        number = self._last.get(name, 1) + 1
        while f"{name}.{number}" in self.graph:
            number += 1
        self._last[name] = number
        return f"{name}.{number}"


def unit(probe: Any) -> str:
    """The unit of what a probe records, "" where it has none or is not known."""
    if isinstance(probe.obj, Neurons) and probe.synapse is None:
        return UNITS.get(probe.attr, "")
    return ""


def _of_object(obj: Any, name: str, key: Any) -> str:
    if key != "out":
        return f"{name}.{key}"
    return f"{name}.activity" if isinstance(obj, (Ensemble, Neurons)) else name


def _label(obj: Any, given: Mapping[Any, str], counts: dict[str, int]) -> str:
    """The name of an object; the second of a name has a number."""
    return counted(label(obj, given), counts)


def label(obj: Any, given: Mapping[Any, str]) -> str:
    """The name that is given to an object; else its label in letters, digits and dots, or its kind, or the
    ends of a connection.
    """
    if obj in given:
        return given[obj]
    if isinstance(obj, LearningRule):
        return f"{label(obj.connection, given)}.{type(obj.learning_rule_type).__name__.lower()}"
    text = str(getattr(obj, "label", None) or "")
    if isinstance(obj, Connection) and not text:
        ends = (getattr(end, "ensemble", end) for end in (obj.pre_obj, obj.post_obj))
        return "->".join(label(end, given) for end in ends)
    return re.sub(r"[^A-Za-z0-9_.\[\]-]+", "_", text).strip("_.") or type(obj).__name__.lower()


def counted(name: str, counts: dict[str, int]) -> str:
    """`name`, with a number where it is taken; `counts` holds all that are, with their last numbers."""
    made = name
    while made in counts:
        counts[name] += 1
        made = f"{name}.{counts[name]}"
    counts[made] = 1
    return made
