"""From Nengo's built model to the dataflow graph; `convert` reads like its table of contents.

Nengo's builder makes all parameters, so what is computed equals Nengo's own simulator.  An operator that has
a form in the graph becomes part of it; all others run as Nengo made them, in host calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from nengo.builder import Model, Operator, Signal
from nengo.builder.neurons import SimNeurons
from nengo.builder.processes import SimProcess
from nengo.builder.signal import SignalDict
from nengo.utils.graphs import toposort
from nengo.utils.simulator import operator_dependency_graph
from numpy.typing import NDArray

from spikec import graph as g
from spikec.nengo import hosts, weights
from spikec.nengo.forms import forms
from spikec.nengo.hosts import Watch
from spikec.nengo.processes import Synapse
from spikec.nengo.sides import Sides, sides
from spikec.nengo.signals import Table, is_time
from spikec.nengo.values import Values
from spikec.tracing.functions import Traced
from spikec.tracing.purity import Captured
from spikec.verify import circles

HostFunction: TypeAlias = Callable[[int, NDArray[np.float64]], NDArray[np.float64]]


@dataclass(eq=False)
class Converted:
    """A model as a graph, with what its host calls run on.

    graph: host calls are named in it by `HostCall.call`.  calls: their functions, by that name.
    probes: the name of the graph's `Probe` that records a probe, flat; all others are in `recorded`, a list
    of arrays that the host calls append to.  ahead: names of those that record at every step what a filter
    gives, and of which what it gives in the step after is meant.  signals: Nengo's memory.  unseen: base
    signals that live in the graph alone.  states: population and variable of signals that are the state of
    neurons.  places: the node of each base signal that has a value in the graph.  order: all operators that
    do something, in the order of Nengo's steps.  seeded: whether the graph holds random numbers drawn with
    the simulator's seed.
    """

    graph: g.Graph
    calls: dict[str, HostFunction]
    probes: dict[Any, str]
    ahead: frozenset[str]
    recorded: dict[Any, list[Any]]
    signals: SignalDict
    unseen: frozenset[Signal]
    states: dict[Signal, tuple[str, str]]
    places: dict[Signal, str]
    order: tuple[Operator, ...]
    seeded: bool
    _model: Model = field(repr=False)
    _host: frozenset[Operator] = field(repr=False)
    _calls: tuple[hosts.Call, ...] = field(repr=False)
    _captured: tuple[Captured, ...] = field(repr=False)

    def current(self) -> bool:
        """Whether all that compiled functions captured is still what it was when they were compiled."""
        return all(captured.same() for captured in self._captured)

    def again(self, seed: int) -> Converted | None:
        """The same with what functions capture now; None where more than their numbers has changed."""
        new = convert(self._model, seed)
        if new.probes != self.probes or [c.parts for c in new._calls] != [c.parts for c in self._calls]:
            return None
        return replace(self, graph=new.graph, _captured=new._captured)

    def start(self, seed: int) -> None:
        """Begin again: memory as it was at first, new step functions, with random numbers by `seed`.

        All host operators are made in the order of Nengo's steps, and each process draws its seed, as in
        Nengo's simulator (without its optimizer, which changes that order).
        """
        for signal in self.signals:
            self.signals.reset(signal)
        rng = np.random.RandomState(seed)
        steps: dict[Operator, hosts.Step] = {}
        for op in self.order:
            if op in self._host:
                steps[op] = op.make_step(self.signals, self._model.dt, rng)
            elif isinstance(op, SimProcess):
                op.process.get_rng(rng)
        for k, call in enumerate(self._calls):
            self.calls[f"host.{k}"] = call.function(self._model, self.signals, steps)
        for kept in self.recorded.values():
            kept.clear()


def convert(model: Model, seed: int, name: str = "nengo") -> Converted:
    """The graph of a built model, `seed` being that of the simulator.

    Raises Nengo's `BuildError` where operators depend on each other in a circle.
    """
    after = operator_dependency_graph(model.operators)
    order = [op for op in toposort(after) if hasattr(op, "make_step")]
    table = Table(order)
    known = forms(model, order, table, seed)
    kept_host: set[Operator] = set()
    while True:
        chosen = sides(order, table, known, kept_host)
        made = _Conversion(model, name, order, after, chosen)
        circle = made.circle()
        if not circle:
            return made.result(seed)
        kept_host |= circle


class _Conversion:
    """One attempt: the graph for operators whose sides are known."""

    def __init__(
        self,
        model: Model,
        name: str,
        order: Sequence[Operator],
        after: dict[Operator, Sequence[Operator]],
        chosen: Sides,
    ) -> None:
        self.model, self.order, self.sides = model, order, chosen
        self.recorded: dict[Any, list[Any]] = {}
        self.probes: dict[Any, str] = {}
        self.ahead: set[Any] = set()
        watches, extra = self._watches()
        given = {
            base
            for base, uses in chosen.table.of.items()
            if chosen.hosts(uses.writers)
            and not any(is_time(op) for op in uses.writers)
            and (chosen.in_graph(base) or any(op in chosen.native for op in uses.reads))
        }
        self.host = frozenset({*chosen.host, *extra})
        self.calls = tuple(hosts.calls(order, after, chosen, given, extra, watches))
        self.graph = g.Graph(name, model.dt, 0)
        self.values = Values(model, self.graph, chosen, self.calls)
        for k, probe in enumerate(model.probes):
            if probe not in self.recorded:
                self._probe(k, probe)
        self.values.finish()

    def _watches(self) -> tuple[list[Watch], list[Operator]]:
        """Probes that host calls record, and the filters that run as hosts for them.

        A probe sees a signal at the end of a step, when it has been updated: that is what the graph's filters
        give a step later.  Where one filter is all there is, the session looks ahead.
        """
        watches, extra = [], []
        for probe in self.model.probes:
            base = self.model.sig[probe]["in"].base
            uses = self.sides.table.of.get(base)
            updated = [] if uses is None else uses.updates
            if len(updated) == 1 and isinstance(self.sides.native.get(updated[0]), Synapse):
                self.ahead.add(probe)
                continue
            if not updated and not self.sides.only_host(base) and _whole_number(self._period(probe)):
                continue
            watches.append(Watch(self.model.sig[probe]["in"], self._period(probe)))
            self.recorded[probe] = watches[-1].into
            extra += [op for op in updated if op in self.sides.native]
        return watches, list(dict.fromkeys(extra))

    def _period(self, probe: Any) -> float:
        return 1.0 if probe.sample_every is None else float(probe.sample_every) / self.model.dt

    def _probe(self, number: int, probe: Any) -> None:
        """A probe of the graph: of a signal, or of a state of neurons."""
        signal = self.model.sig[probe]["in"]
        every = 1 if probe in self.ahead else max(1, round(self._period(probe)))
        name = f"probe.{number}"
        setters = self.sides.table.of[signal.base].sets if signal.base in self.sides.table.of else []
        neurons = setters[0] if setters and isinstance(setters[0], SimNeurons) else None
        state = [key for key, s in neurons.state.items() if s is signal] if neurons is not None else []
        attribute = state[0] if state else "value"
        made = self.graph.add(
            name, g.Probe(size=signal.size, name=name, attribute=attribute, every=every, target=name)
        )
        learned = self.sides.learning(signal.base)
        if learned is not None:
            self.graph.connect(weights.weights(self.values, learned), made, "weights")
        elif state:
            self.graph.connect(self.values.neurons(neurons), made, "neurons")
        else:
            self.graph.connect(self.values.read(signal), made)
        self.probes[probe] = name

    def circle(self) -> set[Operator]:
        """Operators to be hosts, since their signals depend on each other in a circle within a step.

        Nengo looks at the elements of a signal, the graph at whole signals.
        """
        inside = set() if self.graph.is_acyclic() else circles(self.graph)
        known = self.values.known.items()
        bases = [base for base, node in known if node in inside and isinstance(base, Signal)]
        return {op for base in bases for op in self.sides.table.of[base].writers if op in self.sides.native}

    def result(self, seed: int) -> Converted:
        signals = SignalDict()
        for op in self.order:
            op.init_signals(signals)
        for signal in (self.model.step, self.model.time):
            if signal not in signals:
                signals.init(signal)
        native = self.sides.native
        seeded = any(isinstance(form, g.Table) and op.process.seed is None for op, form in native.items())
        places = {b: node for b, node in self.values.known.items() if isinstance(b, Signal)}
        converted = Converted(
            self.graph,
            {},
            self.probes,
            frozenset(self.probes[probe] for probe in self.ahead),
            self.recorded,
            signals,
            self._unseen(),
            {
                signal: (op.path, variable)
                for key, op in self._populations()
                for variable, signal in key.state.items()
            },
            places,
            tuple(self.order),
            seeded,
            self.model,
            self.host,
            self.calls,
            tuple(c for form in native.values() if isinstance(form, Traced) for c in form.captured),
        )
        converted.start(seed)
        return converted

    def _unseen(self) -> frozenset[Signal]:
        """Base signals that operators of the graph write, and that no host call has in its memory."""
        loaded = {base for call in self.calls for base in call.loads}
        table, native = self.sides.table, self.sides.native
        written = {base for base, uses in table.of.items() if any(op in native for op in uses.writers)}
        return frozenset(
            base for base in written - loaded if not any(is_time(op) for op in table.of[base].writers)
        )

    def _populations(self) -> Iterator[tuple[SimNeurons, g.Neurons]]:
        """Operators of neurons with their populations."""
        for key, node in self.values.known.items():
            if isinstance(key, tuple) and isinstance(key[0], SimNeurons) and key[1] == "neurons":
                yield key[0], self.graph.op(node)


def _whole_number(period: float) -> bool:
    """Whether samples where n modulo the period is below 1, as Nengo takes them, are evenly spaced."""
    return period <= 1.0 or float(period).is_integer()
