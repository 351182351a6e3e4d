"""The graph of a network under construction, with the Python functions that it calls."""

from __future__ import annotations

import numpy as np
from spike_runtime.calls import Call

from spikec import graph as g
from spikec.language.lower_matrices import Part, gather, matrix, route
from spikec.language.lower_nodes import Nodes
from spikec.network.mistakes import here, text_of
from spikec.network.nodes import whole
from spikec.tracing.purity import Captured


class Builder:
    """Adds operators; each is in the line of the caller's file that asked for it.

    Names that are not those of nodes hold a ":", which names of nodes do not.
    """

    def __init__(self, name: str, dt: float, seed: int) -> None:
        self.graph = g.Graph(name, dt, seed)
        self.calls: dict[str, Call] = {}
        # Values that compiled functions found outside of themselves, by the operator that computes them.
        self.captured: list[tuple[str, Captured]] = []
        self._links: dict[str, int] = {}

    def changed(self) -> str | None:
        """The operator whose function captured a value that is another one now, None where there is none."""
        return next((name for name, captured in self.captured if not captured.same()), None)

    def unique(self, name: str) -> str:
        """The name, or another one where that is taken."""
        made, count = name, 1
        while made in self.graph:
            count += 1
            made = f"{name} #{count}"
        return made

    def add(self, name: str, op: g.Operator, **ports: str) -> str:
        """Add an operator with its inputs by port ("_" stands for "."); gives its name."""
        node = self.graph.add(self.unique(name), op)
        for port, source in ports.items():
            self.graph.connect(source, node, port.replace("_", "."))
        if op.span and op.span.file not in self.graph.sources:
            self.graph.sources.update(text_of(op.span))
        return node

    def sum(self, name: str, size: int) -> str:
        """Add a sum that connections end in."""
        return self.add(name, g.Sum(size=size, span=here()))

    def call(self, name: str, size: int, arguments: int, call: Call, **ports: str) -> str:
        """Add a host call of a Python function."""
        node = self.unique(name)
        self.calls[node] = call
        op = g.HostCall(size=size, span=here(), call=node, arguments=arguments)
        return self.add(node, op, **ports)

    def product(self, name: str, factors: g.Matrix, source: str) -> str:
        """Add the product of a matrix with a signal."""
        return self.add(name, g.Product(size=factors.shape[0], span=here(), matrix=factors), x=source)

    def lowpass(self, name: str, source: str, pstc: float, delayed: bool = True) -> str:
        """Add a synapse of a time constant (s); one shorter than a step is one step of delay, or nothing."""
        size, span = self.graph.op(source).size, here()
        if pstc >= self.graph.dt:
            op = g.Filter(size=size, span=span, num=(1.0,), den=(float(pstc), 1.0))
            return self.add(name, op, x=source)
        return self.add(name, g.Delay(size=size, span=span, steps=1), x=source) if delayed else source

    def connect(
        self,
        name: str,
        sources: tuple[Part, ...],
        targets: tuple[Part, ...],
        pstc: float,
        transform: float | g.Array,
    ) -> None:
        """Add a connection: a synapse for every part of the source, the transform, sums of the targets."""
        name = self.link(name)
        several = len(sources) > 1
        filtered = [
            Part(self.lowpass(f"{name}.filter" + f".{k}" * several, p.node, pstc), p.taken, p.size)
            for k, p in enumerate(sources)
        ]
        route(Nodes(self.graph), name, filtered, list(targets), transform, here())

    def link(self, name: str) -> str:
        """The name of a connection, or another one where that is taken."""
        count = self._links[name] = self._links.get(name, 0) + 1
        return name if count == 1 else f"{name} #{count}"

    def gathered(self, name: str, parts: list[Part]) -> tuple[str, int]:
        """A signal that is the parts one after the other, and its length."""
        return gather(Nodes(self.graph), name, parts, here())

    def activity(self, path: str, neurons: int) -> str:
        """The activity of all neurons of a population (Hz): one node for all who read it."""
        name = f"{path}::activity"
        if name not in self.graph:
            self.add(name, g.Decoding(size=neurons, span=here(), expressions=()), activity=path)
        return name

    def currents(self, path: str, neurons: int) -> Part:
        """The sum of currents into the neurons of a population, which their gains multiply."""
        name = f"{path}::neurons"
        if name not in self.graph:
            self.sum(name, neurons)
            self.graph.connect(name, path, "J")
        return whole(name, neurons)

    def slice(self, name: str, source: str, first: int, count: int, factor: float = 1.0) -> str:
        """Some components of a signal, one after the other, times a factor."""
        size = self.graph.op(source).size
        if factor == 1.0 and count == size:
            return source
        rows = np.arange(count)
        return self.product(name, matrix(count, size, rows, rows + first, np.full(count, factor)), source)
