"""From Nengo's built model to the dataflow graph; `convert` reads like its table of contents.

Nengo's builder makes all parameters, so what is computed equals Nengo's own simulator.  An operator that has
a form in the graph becomes part of it; all others run as Nengo made them, in host calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from nengo.builder import Model, Operator, Signal
from nengo.builder.neurons import SimNeurons
from nengo.builder.signal import SignalDict
from nengo.ensemble import Neurons
from nengo.utils.graphs import toposort
from nengo.utils.simulator import operator_dependency_graph

from spikec import graph as g
from spikec.keeping import is_of_user
from spikec.nengo import following, hosts, weights
from spikec.nengo.calls import Call, Clock, HostFunction, Watch
from spikec.nengo.forms import forms, picks, states
from spikec.nengo.linear import Linear
from spikec.nengo.names import unit
from spikec.nengo.naming import recording
from spikec.nengo.noise import Random
from spikec.nengo.populations import keeper
from spikec.nengo.processes import Synapse
from spikec.nengo.recipes import Begun, Operations, operations
from spikec.nengo.sides import Sides, sides
from spikec.nengo.signals import Ints, Table, is_time, places, whole
from spikec.nengo.values import Values
from spikec.nengo.words import Words
from spikec.tracing.functions import Traced
from spikec.tracing.purity import Captured
from spikec.verify import circles

# The longest signals that the calls of a session give for nothing.
MOST_SHOWN = 4096


@dataclass(eq=False)
class Converted:
    """A model as a graph, with what its host calls run on.

    graph: host calls are named in it by `HostCall.call`.  calls: their functions, by that name.
    probes: the name of the graph's `Probe` that records a probe, flat; all others are in `recorded`, a list
    of arrays that the host calls append to.  signals: Nengo's memory.  unseen: base
    signals that live in the graph alone.  states: population and variable of signals that are the state of
    neurons.  places: the node of each base signal that has a value in the graph.  order: all operators that
    do something, in the order of Nengo's steps.  sides: what each is in the graph.  seeded: whether the graph
    holds random numbers drawn with the simulator's seed.  host_calls, host: the calls, and all operators that
    they run.  begun: the calls as they run now, once there was a `start`.
    """

    graph: g.Graph
    calls: dict[str, HostFunction]
    probes: dict[Any, str]
    recorded: dict[Any, list[Any]]
    signals: SignalDict
    unseen: frozenset[Signal]
    states: dict[Signal, tuple[str, str]]
    places: dict[Signal, str]
    order: tuple[Operator, ...]
    sides: Sides = field(repr=False)
    seeded: bool
    host_calls: tuple[Call, ...] = field(repr=False)
    host: frozenset[Operator] = field(repr=False)
    apart: bool
    _model: Model = field(repr=False)
    _captured: tuple[Captured, ...] = field(repr=False)
    _called: Mapping[Any, str] = field(repr=False)
    begun: Begun | None = field(default=None, repr=False)

    @property
    def clock(self) -> Clock:
        return Clock(self._model.step, self._model.time, self._model.dt)

    @property
    def what(self) -> Operations:
        """What the calls run."""
        return operations(self.host_calls, self.order, self.host, self.clock)

    def running(self) -> Begun:
        """The calls as they run now; there was a `start`."""
        assert self.begun is not None
        return self.begun

    def current(self) -> bool:
        """Whether all that compiled functions captured is still what it was when they were compiled."""
        return all(captured.same() for captured in self._captured)

    def changed(self) -> list[Operator]:
        """See `following.changed`."""
        return [] if self.current() else following.changed(self.sides.native)

    @property
    def followed(self) -> list[Operator]:
        """Compiled functions that became calls of Python."""
        native = self.sides.native
        return [op for op, form in native.items() if isinstance(form, Traced) and form.call]

    def following(self, functions: Sequence[Operator]) -> Converted:
        """The same with calls of these functions in place of their expressions, beside those that it has."""
        native = following.called(self.sides.native, {*functions, *self.followed})
        chosen = replace(self.sides, native=native)
        after = operator_dependency_graph(self._model.operators)
        new = _Conversion(
            self._model, self.graph.name, self.order, after, chosen, None, self._called, self.apart
        )
        graph, captured = new.graph, tuple(new.captured())
        calls = self.calls | following.functions(native, self.clock, self._said)
        made = replace(self, graph=graph, sides=chosen, calls=calls, _captured=captured)
        made.watch()
        return made

    def watch(self) -> None:
        """Note what functions that other processes call read here, as it is now."""
        if self.apart and self.begun is not None:
            self.begun.places = following.watched(self.sides.native)

    def _said(self, op: Operator) -> str:
        return Words(self._model, {}).of(op)

    def start(self, seed: int) -> None:
        """Begin again: memory as it was at first, new step functions, with random numbers by `seed`."""
        self.begun = self.what.begin(self.signals, seed, self._said, is_of_user, None)
        self.watch()
        self.calls |= self.begun.functions()
        for kept in self.recorded.values():
            kept.clear()


def convert(
    model: Model,
    seed: int,
    name: str = "nengo",
    names: Mapping[Any, str] | None = None,
    called: Mapping[Any, str] | None = None,
    apart: bool = False,
) -> Converted:
    """The graph of a built model, `seed` being that of the simulator; it is not begun yet.

    `names`: what the user calls objects, those of probes without repetition, where the graph is to be
    compiled: then it records all probes itself.  `called`: the same for a session; `apart`: of one
    whose calls run in other processes, so that the graph records all probes too.

    There what is a whole number of steps between samples but for rounding, as 3 * 0.1 is, is meant so; in a
    session it is as Nengo computes it.

    Raises Nengo's `BuildError` where operators depend on each other in a circle.
    """
    after = operator_dependency_graph(model.operators)
    order = [op for op in toposort(after) if hasattr(op, "make_step")]
    table = Table(order)
    known = forms(model, order, table, seed)
    kept_host: set[Operator] = set()
    while True:
        chosen = sides(order, table, known, kept_host)
        made = _Conversion(model, name, order, after, chosen, names, called or {}, apart)
        circle = made.circle()
        if not circle:
            return made.result()
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
        names: Mapping[Any, str] | None,
        called: Mapping[Any, str],
        apart: bool,
    ) -> None:
        self.called, self.apart = called, apart
        self.model, self.order, self.sides, self.names = model, order, chosen, names
        self.recorded: dict[Any, list[Any]] = {}
        self.probes: dict[Any, str] = {}
        self.watched: dict[Any, Watch] = {}
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
        self.values = Values(model, self.graph, chosen, self.calls, called if names is None else names)
        shown = {
            watch: self.values.shown(k, len(call.gives) + place)
            for k, call in enumerate(self.calls)
            for place, watch in enumerate(w for w in call.watches if w.into is None)
        }
        for k, probe in enumerate(model.probes):
            if probe in self.watched:
                self._add_probe(k, probe, "value", shown[self.watched[probe]], "x")
            elif probe not in self.recorded:
                self._probe(k, probe)
        self.values.finish()

    def _watches(self) -> tuple[list[Watch], list[Operator]]:
        """Probes that host calls record, and the filters that run as hosts for them.

        A probe sees a signal at the end of a step, when it has been updated: that is what the graph's filters
        give a step later.  Where one filter is all there is, it is made once more, for the probe (`_probe`).
        """
        watches, extra = [], []
        whole = self.apart or self.names is not None
        for probe in self.model.probes:
            base = self.model.sig[probe]["in"].base
            uses = self.sides.table.of.get(base)
            updated = [] if uses is None else uses.updates
            if self._filter_of(base) is not None or self.sides.change(base) is not None:
                continue
            if not updated and not self.sides.only_host(base):
                continue
            signal, kept = self.model.sig[probe]["in"], None if whole else list[Any]()
            # A session shows them too, though nobody looks: so its state is that of a compiled model.
            shown = kept is None or (signal.size <= MOST_SHOWN and not signal.sparse)
            watches.append(Watch(signal, self._period(probe), shown, kept))
            if kept is not None:
                self.recorded[probe] = kept
            else:
                self.watched[probe] = watches[-1]
            extra += [op for op in updated if op in self.sides.native]
        return watches, list(dict.fromkeys(extra))

    def _period(self, probe: Any) -> float:
        return 1.0 if probe.sample_every is None else float(probe.sample_every) / self.model.dt

    def _probe(self, number: int, probe: Any) -> None:
        """A probe of the graph: of a signal, or of a state of neurons."""
        signal = self.model.sig[probe]["in"]
        learned, state = self.sides.learning(signal.base), self._state(signal)
        if learned is not None:
            self._add_probe(number, probe, "value", weights.weights(self.values, learned), "weights")
        elif (change := self.sides.change(signal.base)) is not None:
            self._add_probe(number, probe, "value", weights.change(self.values, *change, signal), "x")
        elif state is not None:
            neurons, variable, chosen = state
            population = self.values.neurons(keeper(self.values, neurons))
            self._add_probe(number, probe, variable, population, "neurons", chosen)
        elif (op := self._filter_of(signal.base)) is not None:
            self._add_probe(number, probe, "value", self.values.read_after(signal, op), "x")
        else:
            node = self.values.read(signal)
            if probe.attr == "input" and not whole(signal):
                # Elements chosen of a sum are chosen of its terms, where that is less.
                picked = self.graph.add(f"probe.{number}.picked", g.Sum(size=signal.size))
                self.graph.connect(node, picked)
                node = picked
            self._add_probe(number, probe, "value", node, "x")

    def _filter_of(self, base: Signal) -> Operator | None:
        """The synapse of the graph that alone updates a signal."""
        uses = self.sides.table.of.get(base)
        updated = [] if uses is None else uses.updates
        alone = len(updated) == 1 and isinstance(self.sides.native.get(updated[0]), Synapse)
        return updated[0] if alone else None

    def _state(self, signal: Signal) -> tuple[SimNeurons, str, Ints | None] | None:
        """Neurons, the name of their state, and which of them (all: None), where a signal is that."""
        base, chosen = signal.base, None if whole(signal) else places(signal).ravel()
        setter = self._setter(base)
        form = self.sides.native.get(setter) if setter is not None else None
        if setter is not None and isinstance(form, Linear) and picks(setter, self.sides.table):
            base, chosen = form.source, form.columns if chosen is None else form.columns[chosen]
            setter = self._setter(base)
        if not isinstance(setter, SimNeurons):
            return None
        return next(((setter, key, chosen) for key, s in setter.state.items() if s is base), None)

    def _setter(self, base: Signal) -> Operator | None:
        """The operator that sets a signal first."""
        setters = self.sides.table.of[base].sets if base in self.sides.table.of else []
        return setters[0] if setters else None

    def _add_probe(
        self,
        number: int,
        probe: Any,
        attribute: str,
        source: str,
        port: str,
        neurons: Ints | None = None,
    ) -> None:
        signal, node = self.model.sig[probe]["in"], f"probe.{number}"
        name = self.called.get(probe, node)
        target, every = node, max(1.0, self._period(probe))
        if self.names is not None:
            name, target = self.names[probe], recording(probe, self.names)
            every = g.interval(every)
        if float(every).is_integer():
            every = int(every)
        op = g.Probe(
            size=signal.size, name=name, attribute=attribute, every=every, target=target,
            unit=unit(probe), neurons=_some(probe) if neurons is None else neurons,
            shape=signal.shape if signal.ndim > 1 else (),
        )  # fmt: skip
        self.graph.connect(source, self.graph.add(node, op), port)
        self.probes[probe] = name if self.names is None else node

    def circle(self) -> set[Operator]:
        """Operators to be hosts, since their signals depend on each other in a circle within a step.

        Nengo looks at the elements of a signal, the graph at whole signals.
        """
        inside = set() if self.graph.is_acyclic() else circles(self.graph)
        known = self.values.known.items()
        bases = [base for base, node in known if node in inside and isinstance(base, Signal)]
        return {op for base in bases for op in self.sides.table.of[base].writers if op in self.sides.native}

    def result(self) -> Converted:
        signals = SignalDict()
        for op in self.order:
            op.init_signals(signals)
        for signal in (self.model.step, self.model.time):
            if signal not in signals:
                signals.init(signal)
        native = self.sides.native
        seeded = any(
            isinstance(form, (g.Table, Random)) and op.process.seed is None for op, form in native.items()
        )
        places = {b: node for b, node in self.values.known.items() if isinstance(b, Signal)}
        return Converted(
            self.graph,
            {},
            self.probes,
            self.recorded,
            signals,
            self._unseen(),
            {
                signal: (op.path, variable)
                for key, op in self._populations()
                for variable, signal in states(key, self.sides.table).items()
            },
            places,
            tuple(self.order),
            self.sides,
            seeded,
            self.calls,
            self.host,
            self.apart,
            self.model,
            tuple(self.captured()),
            self.called,
        )

    def captured(self) -> Iterator[Captured]:
        """What compiled functions found outside of themselves."""
        forms = self.sides.native.values()
        return (c for form in forms if isinstance(form, Traced) and not form.call for c in form.captured)

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


def _some(probe: Any) -> Ints | None:
    """The neurons that are recorded, where a probe is of some of a population."""
    if not isinstance(probe.obj, Neurons) or probe.slice is None:
        return None
    numbers = np.arange(probe.obj.size_out)
    chosen = numbers[probe.slice]
    return None if np.array_equal(chosen, numbers) else chosen
