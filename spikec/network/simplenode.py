"""`SimpleNode`: Python code as a node, with inputs and values of its own."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikec.language.lower_matrices import Part
from spikec.network.builder import Builder
from spikec.network.describe import whole_number
from spikec.network.functions import result
from spikec.network.nodes import Node, Origin, whole

_PREFIX = "origin_"


class Termination:
    """An input of a node; `value` is what comes to it in this step."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.value: NDArray[np.float64] = np.zeros(dimensions)


class SimpleNode(Node):
    """A node that is subclassed: a method `origin_NAME()` gives the value of the origin "NAME" in each step.

    `init()` sets its variables and adds inputs, `tick()` runs at the beginning of each step; `self.t` is the
    time (s), `self.input[name].value` what comes to an input.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.t = 0.0
        self.input: dict[str, Termination] = {}
        self.init()
        methods = inspect.getmembers(self, inspect.ismethod)
        self._methods = {n.removeprefix(_PREFIX): m for n, m in methods if n.startswith(_PREFIX)}
        self._sizes = {n: len(self._given(n)) for n in self._methods}

    def init(self) -> None:
        """Set variables, add inputs: to be overridden."""

    def tick(self) -> None:
        """What is done at the beginning of each step: to be overridden."""

    def add_input(self, name: str, dimensions: int) -> None:
        """Add an input, which connections find as "node:name"."""
        self.input[name] = Termination(whole_number("dimensions", dimensions, name, 1))

    def build(self, builder: Builder) -> None:
        """Add the node to a graph: one host call for all that it gives."""
        sums = {n: builder.sum(f"{self.name}:{n}::in", t.dimensions) for n, t in self.input.items()}
        parts = [whole(node, self.input[n].dimensions) for n, node in sums.items()]
        self.targets = {n: (part,) for n, part in zip(sums, parts, strict=True)}
        size, arguments = sum(self._sizes.values()), sum(p.size for p in parts)
        source = {"x": builder.gathered(f"{self.name}::input", parts)[0]} if parts else {}
        dt = builder.graph.dt
        call = lambda n, x: self._step(n * dt, x)  # noqa: E731
        node = builder.call(self.name, size, arguments, call, **source)
        first = 0
        for name, count in self._sizes.items():
            self.origin[name] = Origin(name, (Part(node, range(first, first + count), size),))
            first += count

    def _step(self, t: float, x: NDArray[np.float64]) -> Any:
        self.t, first = t, 0
        for termination in self.input.values():
            termination.value = x[first : first + termination.dimensions].copy()
            first += termination.dimensions
        self.tick()
        given = [self._given(n, size) for n, size in self._sizes.items()]
        return np.concatenate(given) if given else None

    def _given(self, name: str, size: int | None = None) -> NDArray[np.float64]:
        """What an origin gives now."""
        return result(lambda _: self._methods[name](), f"{self.name}:{name}", None, size)
