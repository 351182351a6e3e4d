"""What a network is made of: nodes, and origins that give their values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from spikec.graph import Ensemble as Population
from spikec.language.lower_matrices import Part

Function: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Origin:
    """A value that connections start from: `dimensions` numbers, those of its `parts` one after the other."""

    name: str
    parts: tuple[Part, ...]
    func: Function | None = None

    @property
    def dimensions(self) -> int:
        return sum(len(part.taken) for part in self.parts)


@dataclass(eq=False)
class Node:
    """A node of a network by its full name; `origin` holds its values by name, "X" that without a function.

    `targets`: sums that connections end in, by the name of the input; "" is the only one of most nodes.
    """

    name: str
    origin: dict[str, Origin] = field(default_factory=dict)
    targets: dict[str, tuple[Part, ...]] = field(default_factory=dict)
    array_size: int = 1


@dataclass(eq=False)
class Input(Node):
    """A value that comes from outside."""

    @property
    def dimensions(self) -> int:
        return self.origin["X"].dimensions


@dataclass(eq=False)
class Ensemble(Node):
    """An array of `array_size` populations of `neurons_num` neurons, each for a vector of `dimensions`.

    In mode "direct" there are no neurons (`populations` is empty), and functions are computed as they are.
    """

    dimensions: int = 1
    neurons_num: int = 0
    mode: str = "spiking"
    radius: float = 1.0
    decoder_noise: float = 0.1
    populations: tuple[Population, ...] = ()

    @property
    def paths(self) -> list[str]:
        """Names of its members in the graph."""
        return members(self.name, self.array_size)


def members(name: str, count: int) -> list[str]:
    """Names of the members of an array; one alone has the name of the array."""
    return [name] if count == 1 else [f"{name}[{i}]" for i in range(count)]


def entry(path: str) -> str:
    """The sum of what comes to a member of an ensemble."""
    return f"{path}::in"


def whole(node: str, size: int) -> Part:
    """All components of a signal."""
    return Part(node, range(size), size)
