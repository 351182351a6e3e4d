"""The graph of a model: a node for the value of every signal that a probe or a host call needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from nengo.builder import Model, Operator, Signal
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import DotInc
from nengo.connection import Connection
from nengo.ensemble import Ensemble

from spikec import changes as ch
from spikec import graph as g
from spikec import plasticity as pl
from spikec.expressions import Time, renumbered
from spikec.nef.converted import Converted
from spikec.nef.neurons import NeuronType
from spikec.nengo import weights
from spikec.nengo.calls import Call
from spikec.nengo.forms import Preset
from spikec.nengo.learning import Learning
from spikec.nengo.linear import Linear
from spikec.nengo.names import Names
from spikec.nengo.noise import Random
from spikec.nengo.populations import current, population, state
from spikec.nengo.processes import Synapse
from spikec.nengo.sides import Sides
from spikec.nengo.signals import Ints, is_time, places, plain, whole
from spikec.program.synapses import add_at_once
from spikec.sparse import multiply
from spikec.tracing.functions import Traced

# Neurons read these as they are; what other operators set need not stand in one piece.
IN_ONE_PIECE = (g.Sum, g.Filter, g.Delay)


class Values:
    """Makes nodes as they are asked for; `finish` connects what waits for its inputs (there are cycles)."""

    def __init__(
        self, model: Model, graph: g.Graph, sides: Sides, calls: Sequence[Call], names: Mapping[Any, str]
    ) -> None:
        """`names`: what the user calls objects, where that is known."""
        self.model, self.graph, self.sides, self.calls = model, graph, sides, calls
        self.names = Names(model, graph, names)
        self.known: dict[Any, str] = {}
        self.pending: list[Callable[[], None]] = []
        self._solutions = {
            signals["weights"].base
            for conn, signals in model.sig.items()
            if isinstance(conn, Connection) and isinstance(conn.pre_obj, Ensemble) and signals.get("weights")
        }
        self.hosts = [f"host.{k}" for k in range(len(calls))]
        for name, call in zip(self.hosts, calls, strict=True):
            self._host(name, call)

    def finish(self) -> None:
        """Connect all nodes to their inputs, which may ask for more nodes."""
        while self.pending:
            self.pending.pop()()
        ch.feed(self.graph)

    # ----------------------------------------------------------------------------------------- signals

    def read(self, signal: Signal) -> str:
        """The node of a signal, of the chosen elements where it is a view."""
        base = self.value(signal.base)
        if whole(signal):
            return base
        return self.product(self.names.of(signal), base, selection(places(signal).ravel(), signal.base.size))

    def read_after(self, signal: Signal, op: Operator) -> str:
        """The node of a signal, or of a view of it, when the synapse `op` has updated it in the step."""
        key = (op, "after")
        if key not in self.known:
            name = self.new(key, f"{self.names.of(signal.base)}.after", g.Sum(size=signal.base.size))
            form: Any = self.sides.native[op]
            self.pending.append(lambda: self._at_once(name, op, form))
        if whole(signal):
            return self.known[key]
        chosen = selection(places(signal).ravel(), signal.base.size)
        return self.product(self.names.of(signal), self.known[key], chosen)

    def value(self, base: Signal) -> str:
        """The node that gives the value of a base signal."""
        if base not in self.known:
            self._value(base)
        return self.known[base]

    def _value(self, base: Signal) -> None:
        table = self.sides.table
        if table.constant(base):
            numbers = np.asarray(base.initial_value, np.float64).ravel()
            self.new(base, self.names.of(base), constant(numbers))
            return
        uses = table.of[base]
        if any(is_time(op) for op in uses.writers):
            self.new(base, "time", g.TimeFunction(size=1, expressions=(Time(),)))
            return
        only: Any = uses.writers[0] if len(uses.writers) == 1 else None
        form = self.sides.native.get(only)
        if (neurons := self._driven(base)) is not None:
            self.known[base] = current(self, neurons)
        elif isinstance(form, NeuronType) and base is not only.output.base:
            self.known[base] = state(self, only, base)
        elif (learned := self.sides.learning(base)) is not None:
            self.known[base] = pl.entries(self.graph, weights.weights(self, learned))
        elif isinstance(form, Learning):
            self.known[base] = weights.change(self, only, form, base, late=True)
        elif isinstance(form, Synapse) and not form.at_once:
            self._filter(base, only, form)
        elif isinstance(form, (NeuronType, Traced, g.Table, Random, Synapse)):
            self.known[base] = self.source(only, form)
        else:
            name = self.new(base, self.names.of(base), g.Sum(size=base.size))
            self.pending.append(lambda: self.connect(name, self._terms(base)))

    def _driven(self, base: Signal) -> SimNeurons | None:
        """The neurons whose current J a signal is, where they are neurons of the graph."""
        readers = [op for op in self.sides.table.of[base].reads if isinstance(op, SimNeurons)]
        kind = self.sides.native.get(readers[0]) if len(readers) == 1 and readers[0].J is base else None
        # What others send spikes of are rates.
        return readers[0] if isinstance(kind, NeuronType) and not isinstance(kind, Converted) else None

    def _filter(self, base: Signal, op: Any, form: Synapse) -> None:
        """A synapse of a matrix is a matrix of a synapse: what comes from one source is filtered once."""
        before = self._matrix_before(op)
        if before is None:
            name = self.new(base, self.names.of(base), form.filter(base.size))
            self.pending.append(lambda: self.graph.connect(self.read(op.input), name))
            return
        source, matrix = before
        filtered = self.graph.add(
            self.names.unique(f"{self.names.of(base)}.filtered"), form.filter(source.size)
        )
        self.known[base] = self.product(self.names.of(base), filtered, matrix)
        self.pending.append(lambda: self.graph.connect(self.value(source), filtered))

    def _matrix_before(self, op: Any) -> tuple[Signal, g.Matrix] | None:
        """The signal and the matrix whose product a synapse filters; None where it is no such.

        What is decoded from neurons is the shorter vector.
        """
        read = op.input
        source = read.base
        matrix: Any = None if whole(read) else selection(places(read).ravel(), source.size)
        reader = op
        while (form := self._only(source, reader)) is not None:
            matrix = form.matrix() if matrix is None else multiply(matrix, form.matrix())
            reader, source = self.sides.table.of[source].writers[-1], form.source
        return None if matrix is None else (source, matrix)

    def _only(self, base: Signal, reader: Operator) -> Linear | None:
        """The linear operator that is all that makes a signal, for one reader; none for sums over neurons."""
        uses = self.sides.table.of[base] if not self.sides.table.constant(base) else None
        if uses is None or uses.reads != [reader] or uses.updates or np.any(base.initial_value):
            return None
        forms = [self.sides.native.get(writer) for writer in uses.writers]
        forms = [f for f in forms if not (isinstance(f, Preset) and f.value == 0)]
        if len(forms) != 1 or not isinstance(forms[0], Linear) or forms[0].identity():
            return None
        writers = self.sides.table.of[forms[0].source].writers
        neural = any(isinstance(self.sides.native.get(w), NeuronType) for w in writers)
        return None if neural and forms[0].block is not None else forms[0]

    def through(self, writer: Operator) -> Any:
        """The form of an operator; with that of what it copies, where one entry of each is all there is.

        So Nengo multiplies currents into a list of neurons by their gains, and adds them by a copy.
        """
        form = self.sides.native[writer]
        if not isinstance(form, Linear) or form.values is not None or form.block is not None:
            return form
        before = self._only(form.source, writer)
        if (
            before is None
            or before.values is None
            or not np.array_equal(before.rows, np.arange(len(before.rows)))
        ):
            return form
        columns, values = before.columns[form.columns], before.values[form.columns]
        return Linear(before.source, form.target, form.rows, columns, values)

    def new(self, key: Any, name: str, op: g.Operator) -> str:
        """A new node, known by `key`."""
        self.known[key] = self.graph.add(self.names.unique(name), op)
        return self.known[key]

    def connect(self, target: str, terms: Sequence[str], port: str = "x") -> None:
        """Connect all `terms` to a node."""
        for term in terms:
            self.graph.connect(term, target, port)

    def product(self, name: str, source: str, matrix: g.Matrix) -> str:
        """The node of matrix times source."""
        made = self.graph.add(self.names.unique(name), g.Product(size=matrix.shape[0], matrix=matrix))
        self.graph.connect(source, made)
        return made

    # ------------------------------------------------------------------------------------------- terms

    def _terms(self, base: Signal) -> list[str]:
        """The nodes whose sum is the value of a signal."""
        table = self.sides.table
        terms = [
            node for op in table.of[base].writers if op in self.sides.native for node in self.term(op, base)
        ]
        start = np.asarray(base.initial_value, np.float64).ravel()
        if table.of[base].updates:
            return self._late(base, start)
        terms += [self.part(k, base) for k, call in enumerate(self.calls) if base in call.gives]
        kept = np.where(table.covered(base), 0.0, start)
        if kept.any() and self.sides.in_graph(base):
            terms.append(self.graph.add(self.names.unique(f"{self.names.of(base)}.kept"), constant(kept)))
        return terms

    def term(self, op: Operator, base: Signal) -> list[str]:
        """What a native operator adds to a signal: a node of its size, or none where that is 0."""
        form = self.sides.native[op]
        if isinstance(form, Preset):
            if form.value == 0:
                return []
            numbers = np.zeros(base.size)
            numbers[form.rows] = form.value
            return [self.graph.add(self.names.unique(f"{self.names.of(base)}.preset"), constant(numbers))]
        if isinstance(form, Linear):
            return [self.linear(form, solved=self._solved(op))]
        if isinstance(form, Learning):
            return [weights.product(self, op, form)]
        return [self.source(op, form)]

    def _solved(self, op: Any) -> bool:
        """Whether an operator multiplies by weights that a solver found."""
        return isinstance(op, DotInc) and op.A.base in self._solutions

    def linear(self, form: Linear, solved: bool = False) -> str:
        """The node of what a linear operator adds to its target."""
        decoded = self._decoded(form, solved)
        if decoded is not None:
            return decoded
        source = self.value(form.source)
        return source if form.identity() else self.product(self.names.term(form), source, form.matrix())

    def _decoded(self, form: Linear, solved: bool) -> str | None:
        """Decoders, where the source is the output of neurons and the matrix is dense."""
        writers = self.sides.table.of[form.source].writers if form.block is not None else []
        if len(writers) != 1 or not isinstance(self.sides.native.get(writers[0]), NeuronType):
            return None
        matrix = form.dense()
        if len(matrix) > form.source.size and not solved:
            return None  # more rows than neurons: their activity is the shorter vector
        made = self.graph.add(
            self.names.unique(self.names.term(form)), g.Decoders(size=len(matrix), matrix=matrix)
        )
        self.graph.connect(self.neurons(writers[0]), made, "activity")
        return made

    def source(self, op: Operator, form: Any) -> str:
        """The node of what a neuron type, function or table sets."""
        if op in self.known:
            return self.known[op]
        base = op.output.base
        if isinstance(form, NeuronType):
            name = self.new(op, self.names.of(base), g.Decoders(size=base.size, matrix=None))
            self.graph.connect(self.neurons(op), name, "activity")
        elif isinstance(form, Traced) and getattr(op, "x", None) is not None:
            # A part of a signal is named by its components, and nothing is copied.
            taken, whole_x = places(op.x).ravel(), op.x.base
            expressions = tuple(renumbered(e, taken) for e in form.expressions)
            function = g.Function(
                size=base.size, expressions=expressions, arguments=whole_x.size, call=form.call
            )
            name = self.new(op, self.names.of(base), function)
            self.pending.append(lambda: self.graph.connect(self.value(whole_x), name))
        elif isinstance(form, Traced):
            name = self._of_time(op, form)
        elif isinstance(form, Synapse):
            name = self.new(op, self.names.of(base), g.Sum(size=base.size))
            self.pending.append(lambda: self._at_once(name, op, form))
        elif isinstance(form, Random):
            name = self._random(op, form)
        else:
            name = self.new(op, self.names.of(base), form)
        return name

    def _of_time(self, op: Operator, form: Traced) -> str:
        """A function of the time."""
        found = form.expressions
        name = self.names.of(op.output.base)
        return self.new(op, name, g.TimeFunction(size=len(found), expressions=found, call=form.call))

    def _at_once(self, name: str, op: Operator, form: Synapse) -> None:
        """A synapse that sets its output in the step of its input."""
        filtered = form.filter(op.input.size)
        add_at_once(self.graph, name, self.read(op.input), filtered, self.names.unique)

    def _random(self, op: Operator, form: Random) -> str:
        """What a process draws; several may add to one signal, and then each has a name by itself."""
        name = self.names.of(op.output.base) if op.mode == "set" else self.names.noise(op.output.base)
        if form.synapse is None:
            return self.new(op, name, form.draws)
        made = self.new(op, name, g.Sum(size=form.draws.size))
        source = self.graph.add(self.names.unique(f"{made}.samples"), form.draws)
        filtered = form.synapse.filter(form.draws.size)
        add_at_once(self.graph, made, source, filtered, self.names.unique)
        return made

    # ----------------------------------------------------------------------------------------- neurons

    def neurons(self, op: SimNeurons) -> str:
        """The population of an operator of neurons."""
        return population(self, op)

    def one_piece(self, terms: Sequence[str], size: int) -> str:
        """The sum of `terms` as a signal that stands in one piece."""
        if len(terms) == 1 and isinstance(self.graph.op(terms[0]), IN_ONE_PIECE):
            return terms[0]
        made = self.graph.add(self.names.unique(f"{terms[0]}.sum"), g.Sum(size=size))
        self.connect(made, terms)
        return made

    # ------------------------------------------------------------------------------------------- hosts

    def _host(self, name: str, call: Call) -> None:
        functions = max(1, sum(not plain(op) for op in call.operators))
        op = g.HostCall(
            size=call.size, call=name, arguments=call.arguments, functions=functions, family=call.family,
            learns=call.learns(self.model),
        )  # fmt: skip
        self.graph.add(name, op)
        place = self.hosts.index(name)
        if place and self.calls[place - 1].family == call.family:
            self.graph.connect(self.hosts[place - 1], name, "after")
        if call.loads:
            self.pending.append(lambda: self._load(name, call))

    def _load(self, name: str, call: Call) -> None:
        values = [self.value(base) for base in call.loads]
        if len(values) == 1:
            self.graph.connect(values[0], name)
            return
        argument = self.graph.add(self.names.unique(f"{name}.argument"), g.Sum(size=call.arguments))
        first = 0
        for base, value in zip(call.loads, values, strict=True):
            put = selection(np.arange(first, first + base.size), call.arguments).T.tocsr()
            self.graph.connect(self.product(f"{argument}.{value}", value, put), argument)
            first += base.size
        self.graph.connect(argument, name)

    def part(self, k: int, base: Signal) -> str:
        """What call k made of a signal."""
        key = (k, base)
        if key not in self.known:
            self.known[key] = self._result(k, self.calls[k].gives.index(base), self.names.of(base))
        return self.known[key]

    def shown(self, k: int, place: int) -> str:
        """What call k shows of the signal that has this place among its results."""
        return self._result(k, place, f"probed{place}")

    def _result(self, k: int, place: int, name: str) -> str:
        call, host = self.calls[k], self.hosts[k]
        columns = call.columns(place)
        if len(columns) == call.size:
            return host
        return self.product(f"{name}.{host}", host, selection(columns, call.size))

    def _late(self, base: Signal, start: g.Array) -> list[str]:
        """What hosts update in a step is read in the next: it begins as Nengo's memory does."""
        name = self.names.of(base)
        late = self.graph.add(self.names.unique(f"{name}.late"), g.Delay(size=base.size, steps=1))
        last = [self.part(k, base) for k, call in enumerate(self.calls) if base in call.gives]
        self.graph.connect(last[-1], late)
        if not start.any():
            return [late]
        samples, starts = np.stack([start, np.zeros_like(start)]), np.array([0, 2])
        table = g.Table(size=base.size, samples=samples, starts=starts)
        return [late, self.graph.add(self.names.unique(f"{name}.start"), table)]


def constant(numbers: g.Array) -> g.Constant:
    return g.Constant(size=len(numbers), value=tuple(float(v) for v in numbers))


def selection(chosen: Ints, size: int) -> sp.csr_array:
    """The matrix that picks the elements `chosen` of a vector of `size`."""
    rows = np.arange(len(chosen))
    return sp.csr_array((np.ones(len(chosen)), (rows, chosen)), shape=(len(chosen), size))
