"""From Nengo's built model to the dataflow graph: every operator runs as Nengo made it, in one host call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from nengo.builder import Model, Operator, Signal
from nengo.builder.signal import SignalDict
from nengo.utils.graphs import toposort
from nengo.utils.simulator import operator_dependency_graph
from numpy.typing import NDArray

from spikec import graph as g

HostFunction: TypeAlias = Callable[[int, NDArray[np.float64]], Any]


@dataclass(eq=False)
class Converted:
    """A model as a graph, with what its host calls run on.

    graph: host calls are named in it by `HostCall.call`.  calls: their functions, by that name.
    probes: the name of the graph's `Probe` that records a probe, flat; all others are in `recorded`, a list
    of arrays that the host calls append to.  signals: Nengo's memory.  places: the node of each base signal
    that has a value in the graph.  order: all operators that do something, in the order of Nengo's steps.
    seeded: whether the graph holds random numbers drawn with the simulator's seed.
    """

    graph: g.Graph
    calls: dict[str, HostFunction]
    probes: dict[Any, str]
    recorded: dict[Any, list[Any]]
    signals: SignalDict
    places: dict[Signal, str]
    order: tuple[Operator, ...]
    seeded: bool
    _model: Model = field(repr=False)

    def start(self, seed: int) -> None:
        """Begin again: memory as it was at first, new step functions, with random numbers by `seed`."""
        for signal in self.signals:
            self.signals.reset(signal)
        rng = np.random.RandomState(seed)
        steps = [op.make_step(self.signals, self._model.dt, rng) for op in self.order]
        probes = [
            (1 if p.sample_every is None else p.sample_every / self._model.dt, self._model.sig[p]["in"], kept)
            for p, kept in self.recorded.items()
        ]

        def call(n: int, _: NDArray[np.float64]) -> None:
            for step in steps:
                step()
            for period, signal, kept in probes:
                if n % period < 1:
                    kept.append(self.signals[signal].copy())

        self.calls["host.0"] = call
        for kept in self.recorded.values():
            kept.clear()


def convert(model: Model, seed: int, name: str = "nengo") -> Converted:
    """The graph of a built model, `seed` being that of the simulator."""
    after = operator_dependency_graph(model.operators)
    order = tuple(op for op in toposort(after) if hasattr(op, "make_step"))
    graph = g.Graph(name, model.dt, 0)
    graph.add("host.0", g.HostCall(size=0, call="host.0", arguments=0))
    signals = SignalDict()
    for op in model.operators:
        op.init_signals(signals)
    recorded: dict[Any, list[Any]] = {probe: [] for probe in model.probes}
    made = Converted(graph, {}, {}, recorded, signals, {}, order, False, model)
    made.start(seed)
    return made
