"""`kinds`: which of Nengo's classes a network is made of, by the names of the table in docs/language.md."""

from __future__ import annotations

from typing import Any

from converted import nengo
from nengo.params import FrozenObject, iter_params

PARTS = (FrozenObject, nengo.transforms.ChannelShape)


def kinds(network: nengo.Network) -> set[str]:
    """Classes of a network, its parts and all that they are given: `Ensemble`, `LIF`, `networks.Product`."""
    objects = [obj for obj in network.all_objects if not isinstance(obj, nengo.Network)]
    found = {_called(type(part)) for part in (network, *network.all_networks)}
    work: list[Any] = [*objects]
    while work:
        obj = work.pop()
        found.add(type(obj).__name__)
        work += [value for given in _given(obj) for value in _each(given) if isinstance(value, PARTS)]
    return found


def _given(obj: Any) -> list[Any]:
    return [getattr(obj, name) for name in iter_params(obj)]


def _each(given: Any) -> list[Any]:
    """The values of a parameter that may hold several."""
    if isinstance(given, dict):
        return list(given.values())
    return list(given) if isinstance(given, list | tuple) else [given]


def _called(kind: type) -> str:
    """`networks.Product`, `spa.State`, and `Network` of all that Nengo does not ship."""
    module = kind.__module__.split(".")
    return f"{module[1]}.{kind.__name__}" if module[1:2] in (["networks"], ["spa"]) else "Network"


__all__ = ["kinds"]
