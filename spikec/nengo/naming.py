"""What the objects of a network are called: by their labels, by the variables of the file, or by what they
are of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import nengo
from nengo.base import NengoObject, ObjView
from nengo.builder import Model
from nengo.connection import LearningRule
from nengo.ensemble import Neurons

from spikec.nengo.files import NetworkFile
from spikec.nengo.names import counted, label

# What is recorded where nothing else is asked for: the name of the object says enough.
PLAIN = ("decoded_output", "output")
OBJECTS = (NengoObject, nengo.Network)


def names(file: NetworkFile) -> dict[Any, str]:
    """What the objects of a network in a file are called."""
    return called(file.network, vars(file.module))


def called(network: nengo.Network, variables: Mapping[str, Any]) -> dict[Any, str]:
    """Objects by the variables, then by the attributes of networks, that hold them."""
    found: dict[Any, str] = {}
    _collect("", variables, found)
    _inside("", network, found)
    return found


def _inside(prefix: str, network: nengo.Network, found: dict[Any, str]) -> None:
    """Names of what a network holds in attributes of its own."""
    _collect(prefix, vars(network), found)
    for part in network.networks:
        if part in found:
            _inside(f"{found[part]}.", part, found)


def _collect(prefix: str, values: Mapping[str, Any], found: dict[Any, str]) -> None:
    for name, obj in held(values):
        found.setdefault(obj, f"{prefix}{name}")


def held(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, object) of Nengo's objects in variables: by itself, or `name[k]` in a list of them."""
    for name, value in values.items():
        if name.startswith("_"):
            continue
        if isinstance(value, OBJECTS):
            yield name, value
        elif isinstance(value, (list, tuple)):
            yield from ((f"{name}[{k}]", v) for k, v in enumerate(value) if isinstance(v, OBJECTS))


def probe_names(model: Model, given: Mapping[Any, str]) -> dict[Any, str]:
    """A name for every probe: its own, or that of what it records; the second of a name has a number."""
    counts: dict[str, int] = {}
    return {probe: counted(_probe_name(probe, given), counts) for probe in model.probes}


def _probe_name(probe: nengo.Probe, given: Mapping[Any, str]) -> str:
    return label(probe, given) if probe.label or probe in given else recorded(probe, given)


def recorded(probe: nengo.Probe, given: Mapping[Any, str]) -> str:
    """What a probe records, in words of the network."""
    target = probe.target.obj if isinstance(probe.target, ObjView) else probe.target
    if isinstance(target, Neurons):
        part = "neurons" if probe.attr == "output" else probe.attr
        return f"{label(target.ensemble, given)}.{part}"
    if isinstance(target, LearningRule):
        rule = type(target.learning_rule_type).__name__.lower()
        return f"{label(target.connection, given)}.{rule}.{probe.attr}"
    name = label(target, given)
    return name if probe.attr in PLAIN else f"{name}.{probe.attr}"
