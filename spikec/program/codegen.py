"""Programs: the layout of a partition as readable PyTensor source.

A program defines `step(n, a, s)`: one step as PyTensor expressions of its number `n`, the constant arrays `a`
and the state `s`; it returns what every state becomes.  `a` and `s` give each array by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from spikec.program import layout as la

HEADER = '''"""Partition {index} of {count} of model "{model}": {neurons} neurons in {atoms}.

Written by spikec.  `step` builds step n from the constant arrays `a` and the state `s`, and
returns the new state.
"""

import pytensor.tensor as pt
from spike_runtime.ops import {ops}

DT = {dt!r}  # s
REAL = "{dtype}"


def step(n, a, s):
'''


def program(layout: la.Layout, model: str, count: int) -> str:
    """Source of the program of one of `count` partitions."""
    writer = _Writer(layout)
    writer.step()
    body = "\n".join(f"    {line}" if line else "" for line in writer.lines)
    used = sorted(writer.ops)
    # The name of a model without one is that of its file, which may hold anything.
    model = "".join(c if c.isalnum() or c in "_-. " else "_" for c in model)
    atoms = f"{layout.atom_count} atom{'s' * (layout.atom_count != 1)}"
    header = HEADER.format(
        index=layout.partition, count=count, model=model, neurons=layout.neuron_count,
        atoms=atoms, ops=", ".join(used), dt=layout.dt, dtype=layout.dtype,
    )  # fmt: skip
    source = header + body + "\n"
    return source if "pt." in body else source.replace("import pytensor.tensor as pt\n", "")


class _Writer:
    """Writes the lines of one step; `values` and `before` are lists of vectors not joined yet."""

    def __init__(self, layout: la.Layout) -> None:
        self.layout = layout
        self.lines: list[str] = []
        self.ops: set[str] = set()
        self.updates: list[tuple[str, str]] = []
        self.vectors: list[str] = []
        # The memory of this partition's sums, when those of the step before have been read.
        self.own = "s.sums"

    def op(self, name: str) -> str:
        self.ops.add(name)
        return name

    def say(self, line: str = "") -> None:
        self.lines.append(line)

    def step(self) -> None:
        layout = self.layout
        self.say("t = n * DT")
        self.say("status = s.status")
        self._collect()
        self._known()
        self.say()
        calls = any(isinstance(stage, la.HostCalls) for stage in layout.stages)
        if layout.sums or layout.neurons or layout.rest or layout.cells or calls:
            self.say("# Partial sums of this step: whole numbers, added to by every atom.")
            self.say(f"sums = {self.op('clear')}({self.own})")
        if layout.levels and not self.vectors:
            # Sums whose terms are all 0 read nothing.
            self.say("values = pt.zeros(0, dtype=REAL)")
            self.vectors = ["values"]
        for level in layout.levels:
            self._join("values")
            for stage in level:
                self._stage(stage)
        self._join("values")
        for stage in layout.neurons:
            self._stage(stage)
        self._cells()
        self._publish()
        if layout.rest:
            self.say("# What no message waits for.")
        for stage in layout.rest:
            self._stage(stage)
        self._record()
        self._finish()

    def _join(self, name: str) -> None:
        if len(self.vectors) > 1 or (self.vectors and self.vectors[0] != name):
            self.say(f"{name} = {self._joined(self.vectors)}")
            self.vectors = [name]

    def _joined(self, vectors: list[str]) -> str:
        return f"{self.op('join')}({', '.join(vectors)})" if len(vectors) > 1 else vectors[0]

    def _collect(self) -> None:
        layout = self.layout
        self.say()
        totals = "s.sums"
        if layout.receive:
            late = f"; what others send is {layout.window} steps old" if layout.window > 1 else ""
            self.say(f"# Partial sums of the step before, from all partitions{late}; exact in any order.")
            totals = "totals"
            own = self.own
            if len(layout.late):
                self.say(f"own, {totals} = {self.op('late')}(s.own, s.sums, a.late, n)")
                self.updates.append(("s.own", "own"))
                own = totals
            else:
                self.own = totals
            arguments = f"{own}, status, s.segment, a.receive_wires, a.receive_rows, n"
            self.say(f"{totals}, status = {self.op('collect')}({arguments})")
        vectors = []
        if layout.decoded:
            self.say(self._decoded(layout.decoded, totals))
            vectors.append("decoded")
        if len(layout.carried):
            vectors.append("s.carried")
        if layout.memory or layout.learning:
            self.say("# Synapses and delays: what they give now depends on signals of the step before.")
            self.say(f"before = {self._joined(vectors)}")
        if layout.late_products:
            weights = "s.learned_weights"
            self.say(self._learned(layout.late_products, weights, "before"))
            self.say(f"before = {self.op('join')}(before, {layout.late_products.name})")

    def _known(self) -> None:
        """What does not depend on signals of this step, and sources."""
        layout = self.layout
        for stage in layout.memory:
            self._stage(stage)
        if layout.learning:
            self._learning(layout.learning)
        for stage in layout.sources:
            self._stage(stage)

    def _learning(self, stage: la.Learning) -> None:
        weights, inverse = stage.reference("weights"), stage.reference("inverse")
        listed = self._listed(stage, "matrices", "rules", "constants", "places", "scales")
        known = ", ".join(("before", *self.vectors))
        self.say("# What was learned from the step before.")
        self.say(f"known = {self.op('join')}({known})")
        self.say(f"weights, inverse = {self.op('learn')}({weights}, {inverse}, known, {listed})")
        self.updates += [(weights, "weights"), (inverse, "inverse")]

    def _decoded(self, stage: la.Decoded, sums: str) -> str:
        return f"{stage.name} = {self.op('decode')}({sums}, {self._listed(stage, 'rows', 'scale')}, REAL)"

    def _stage(self, stage: la.Stage) -> None:
        for line in self._statement(stage):
            self.say(line)
        apart = (la.NeuronGroup, la.StateValues, la.Linear, la.HostCalls, la.Traces)
        if not isinstance(stage, apart):
            self.vectors.append(stage.name)

    def _statement(self, stage: la.Stage) -> Iterator[str]:
        writers: dict[type[la.Stage], Callable[[Any], Iterator[str]]] = {
            la.Decoded: self._decoded_now,
            la.Lowpass: self._lowpass,
            la.Traces: self._traces,
            la.StateSpace: self._state_space,
            la.Delays: self._delays,
            la.Constants: self._constants,
            la.Tables: self._tables,
            la.NoiseSources: self._noise,
            la.Draws: self._draws,
            la.Linear: self._linear,
            la.LearnedProducts: self._learned_products,
            la.Changes: self._changes,
            la.Expressions: self._expressions,
            la.NeuronGroup: self._neurons,
            la.StateValues: self._state_values,
            la.HostCalls: self._host_calls,
        }
        return writers[type(stage)](stage)

    def _decoded_now(self, stage: la.Decoded) -> Iterator[str]:
        yield self._decoded(stage, "sums")

    def _lowpass(self, stage: la.Lowpass) -> Iterator[str]:
        r = stage.reference
        listed = self._listed(stage, "source", "decay", "gain")
        yield f"{stage.name} = {self.op('first_order')}({r('value')}, before, {listed})"
        self.updates.append((r("value"), stage.name))

    def _traces(self, stage: la.Traces) -> Iterator[str]:
        value, listed = stage.reference("value"), self._listed(stage, "runs", "coefficients")
        yield f"{stage.name} = {self.op('first_order_runs')}({value}, s.learned_weights, before, {listed})"
        self.updates.append((value, stage.name))

    def _state_space(self, stage: la.StateSpace) -> Iterator[str]:
        name, listed = stage.name, self._listed(stage, "sources", "filters", "coefficients")
        state = stage.reference("x")
        yield f"{name}_x, {name} = {self.op('state_space')}({state}, before, {listed})"
        self.updates.append((state, f"{name}_x"))

    def _delays(self, stage: la.Delays) -> Iterator[str]:
        name, listed = stage.name, self._listed(stage, "sources", "lengths")
        state = stage.reference("buffer")
        yield f"{name}_buffer, {name} = {self.op('delay')}({state}, before, {listed}, n)"
        self.updates.append((state, f"{name}_buffer"))

    def _constants(self, stage: la.Constants) -> Iterator[str]:
        yield f"{stage.name} = {stage.reference('value')}"

    def _tables(self, stage: la.Tables) -> Iterator[str]:
        listed = self._listed(stage, "samples", "starts", "tables", "columns")
        yield f"{stage.name} = {self.op('lookup')}({listed}, n)"

    def _noise(self, stage: la.NoiseSources) -> Iterator[str]:
        yield f"{stage.name} = {self.op('noise')}({self._listed(stage, 'parameters', 'keys')}, n)"

    def _draws(self, stage: la.Draws) -> Iterator[str]:
        r, name = stage.reference, stage.name
        listed = self._listed(stage, "keys", "table", "parameters", "columns")
        yield f'draw = {self.op("draws")}("{stage.kind}", REAL)'
        yield f"{name}_streams, {name} = draw({r('streams')}, {listed}, n)"
        self.updates.append((r("streams"), f"{name}_streams"))

    def _linear(self, stage: la.Linear) -> Iterator[str]:
        listed = self._listed(stage, "values", "columns", "panels", "order")
        yield f"values = {self.op('append_products')}(values, {listed})"

    def _learned_products(self, stage: la.LearnedProducts) -> Iterator[str]:
        yield self._learned(stage, "weights", "values")

    def _changes(self, stage: la.Changes) -> Iterator[str]:
        listed = self._listed(stage, "matrices", "rules", "constants", "places", "scales")
        yield f"{stage.name} = {self.op('change')}(weights, inverse, values, {listed})"

    def _learned(self, stage: la.LearnedProducts, weights: str, signals: str) -> str:
        return (
            f"{stage.name} = {self.op('learned_product')}({weights}, {stage.reference('table')}, {signals})"
        )

    def _listed(self, stage: la.Stage, *arrays: str) -> str:
        return ", ".join(stage.reference(array) for array in arrays)

    def _expressions(self, stage: la.Expressions) -> Iterator[str]:
        like = "t.reshape((1,))"
        if "constants" in stage.arrays:
            yield f"c = {stage.reference('constants')}"
            like = "c[0]"
        if stage.arguments:
            places = stage.reference("arguments")
            yield f"x = values[{places}].reshape(({stage.arguments}, -1)).astype('float64')"
            like = "x[0]"
        listed = ", ".join(stage.outputs)
        if "steps" in stage.arrays:
            yield f"row = {self.op('outputs')}([{listed}], {like}, 'int64')"
            places = f"({stage.reference('steps')}[:, None] + row[None, :]).ravel()"
            yield f"{stage.name} = a.tables[{places}.clip(0, a.tables.size - 1)].astype(REAL)"
            return
        yield f"{stage.name} = {self.op('outputs')}([{listed}], {like}, REAL)"

    def _neurons(self, stage: la.NeuronGroup) -> Iterator[str]:
        r = stage.reference
        values = "values" if self.vectors else "s.status.astype(REAL)"
        streams = f", {stage.name}_streams" if stage.streams else ""
        yield f'update = {self.op("neurons")}("{stage.kind}", REAL)'
        yield f"sums, {stage.name}, status{streams} = update("
        yield f"    {values}, sums, {r('neurons')}, status, {r('atoms')}, {r('parameters')},"
        random = f" {r('keys')}," if "keys" in stage.arrays else ""
        if stage.streams:
            random += f" {r('drawn')}, {r('streams')},"
            self.updates.append((r("streams"), f"{stage.name}_streams"))
        yield f"    {r('encoders')}, {r('bias')}, {r('decoders')}, n,{random}"
        yield ")"
        self.updates.append((r("neurons"), stage.name))

    def _state_values(self, stage: la.StateValues) -> Iterator[str]:
        yield f"sums = {self.op('show_state')}(sums, {stage.of}, {self._listed(stage, 'table', 'scales')})"

    def _host_calls(self, stage: la.HostCalls) -> Iterator[str]:
        r, name = stage.reference, stage.name
        values = "values" if self.vectors else "s.status.astype(REAL)"
        yield f"sums, status, {name} = {self.op('host')}("
        yield f"    {values}, sums, status, {r('memory')}, {r('calls')}, {r('places')}, a.callback, n"
        yield ")"
        self.updates.append((r("memory"), name))

    def _cells(self) -> None:
        """Populations: deliver the spikes that arrive, then the neurons, whose spikes join the history."""
        if not self.layout.cells:
            return
        lists, projections, group, *states = self.layout.cells
        assert isinstance(group, la.CellGroup)
        history, arriving = lists.reference("history"), projections.reference("arriving")
        r, name, firsts = group.reference, group.name, lists.reference("firsts")
        synapses = ", ".join(f"a.{projections.name}_{x}" for x in ("table", "pointers", "targets", "weights"))
        if self.layout.spikes.receives:
            self.say(f"# Lists of spikes from other partitions, every {self.layout.spikes.window} steps.")
            arguments = f"{history}, status, s.segment, a.spikes_in, {firsts}, a.spikes_window, n"
            self.say(f"history, status = {self.op('collect_spikes')}({arguments})")
            history = "history"
        self.say("# Spikes that arrive in this step, each after its delay, at the targets of each.")
        self.say(f"arriving, history = {self.op('deliver')}({arriving}, {history}, {firsts}, {synapses}, n)")
        values = "values" if self.vectors else "s.status.astype(REAL)"
        self.say(f'update = {self.op("cells")}("{group.kind}", REAL)')
        self.say(f"{name}, history, sums, status = update(")
        self.say(
            f"    {values}, arriving, {r('neurons')}, history, sums, status, {r('atoms')}, {r('parameters')},"
        )
        self.say(f"    {r('keys')}, {r('chances')}, {r('aliases')}, n,")
        self.say(")")
        for shown in states:
            self._stage(shown)
        if self.layout.spikes.send:
            arguments = f"status, s.segment, a.spikes_out, history, {firsts}, a.spikes_window, n"
            self.say(f"status = {self.op('publish_spikes')}({arguments})")
        state = lists.reference("history")
        self.updates += [(r("neurons"), name), (state, "history"), (arriving, "arriving")]

    def _publish(self) -> None:
        if self.layout.send:
            self.say(f"status = {self.op('publish')}(status, s.segment, a.send_wires, a.send_rows, sums, n)")

    def _record(self) -> None:
        if self.layout.recordings:
            self.say()
            self.say("# Probes.")
        for stage in self.layout.recordings:
            r, name = stage.reference, stage.name
            if isinstance(stage, (la.Events, la.SpikeEvents)):
                self._events(stage)
                continue
            assert isinstance(stage, la.Recording)
            if stage.of in ("values", "sums", "weights", "trace"):
                arguments = f"s.{name}_buffer, {stage.of}, {r('columns')}, {r('starts')}, n, {r('every')}"
                self.say(f"{name} = {self.op('record')}({arguments})")
            else:
                group = stage.of.removesuffix("_neurons")
                op, scales = "record_state", ""
                if "scales" in stage.arrays:
                    op, scales = "record_rest", f" {r('scales')},"
                places = f"{r('variables')}, {r('neurons')},{scales}"
                arguments = f"s.{name}_buffer, {group}, {places} {r('starts')}, n, {r('every')}"
                self.say(f"{name} = {self.op(op)}({arguments})")
            self.updates.append((f"s.{name}_buffer", name))

    def _events(self, stage: la.Stage) -> None:
        """Spikes of neurons that are decoded, then those of populations, into one buffer."""
        updates = dict(self.updates)
        before = [updates.get(name, name) for name in ("s.events_buffer", "s.events_count")]
        if isinstance(stage, la.Events):
            op, arguments = "record_events", f"sums, {stage.reference('sources')}"
        else:
            op, arguments = (
                "record_spikes",
                f"history, a.spikes_firsts, {self._listed(stage, 'probes', 'pointers', 'columns')}",
            )
        self.say(f"events, count, status = {self.op(op)}({', '.join(before)}, status, {arguments}, n)")
        self.updates = [u for u in self.updates if u[1] not in ("events", "count")]
        self.updates += [("s.events_buffer", "events"), ("s.events_count", "count")]

    def _finish(self) -> None:
        if self.layout.sums:
            self.updates.append(("s.sums", "sums"))
        if len(self.layout.carried):
            self.updates.append(("s.carried", f"{self.op('keep')}(s.carried, values, a.carried)"))
        self.updates.append(("s.status", "status"))
        self.say()
        self.say("return {")
        for state, value in self.updates:
            self.say(f"    {state}: {value},")
        self.say("}")
