"""From the graph and an assignment of atoms to the layout of every partition.

demand      which components of which signals each partition needs
sums        where every exact sum stands in a partition's vector of partial sums
stages      one for each kind of operator (and level of undelayed operators), with the places they read
wires       rows of partial sums that one partition has and another needs; atoms that make them come first
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from spikec import changes as ch
from spikec import graph as g
from spikec import plasticity as pl
from spikec import projections as pj
from spikec.program import calls, cells, learned, stages, streams, synapses
from spikec.program import layout as la
from spikec.program.atoms import neuron_group
from spikec.program.demand import Demand, absorbed, demand, is_whole
from spikec.program.forms import Form, forms
from spikec.program.membranes import Kept, kept
from spikec.program.places import Assignment as Assignment
from spikec.program.places import Places
from spikec.program.places import Recorded as Recorded
from spikec.program.rates import rates
from spikec.program.recordings import Recorder
from spikec.program.shown import state_values
from spikec.program.stages import Ints, ints, whole
from spikec.program.wires import LONGEST_WINDOW, Crossing, SpikeWires, Wires, spike_wires, wires
from spikec.records import dataclass

SOURCES = (g.Constant, g.TimeFunction, g.Table, g.Noise, g.Draws)
MEMORY = (g.Filter, g.Delay)
NO_LEVEL = (*SOURCES, *MEMORY, pl.Weights)
# Neurons that take longer than a call of their own costs.
LEAST_OVERLAP = 1000


def schedule(graph: g.Graph, assignment: Assignment, dtype: str) -> tuple[list[la.Layout], list[Recorded]]:
    """Layouts of all partitions, and which of them records what."""
    shared = _Model(graph, dtype, forms(graph), graph.order(), absorbed(graph), rates(graph))
    members = [_Partition(shared, assignment, p) for p in range(assignment.partitions)]
    crossing, lists = wires(members), spike_wires(graph, assignment.atoms)
    # Each goes, with what it took, before the next is laid out.
    found = [(members[0].layout(crossing, lists), members.pop(0).recorded) for _ in range(len(members))]
    return [layout for layout, _ in found], [r for _, recorded in found for r in recorded]


@dataclass(frozen=True)
class _Model:
    """What all partitions share."""

    graph: g.Graph
    dtype: str
    forms: dict[str, Form]
    order: Sequence[str]
    absorbed: Collection[str]
    rates: dict[str, float]


class _Partition:
    """Builds the layout of one partition."""

    def __init__(self, model: _Model, assignment: Assignment, index: int) -> None:
        self.model, self.graph, self.index = model, model.graph, index
        self.op = model.graph.op
        self.atoms = dict.fromkeys(name for name, p in assignment.atoms.items() if p == index)
        self.calls = calls.numbers(model.graph)
        neurons = [n for n in model.order if n in self.atoms and n not in self.calls]
        self.cells = [n for n in neurons if isinstance(self.op(n).neurons, pj.Cells)]
        self.probes = [n for n, p in assignment.probes.items() if p == index]
        self.demand: Demand = demand(self.graph, [n for n in model.order if n in self.atoms], self.probes)
        self.produced = dict.fromkeys(
            t
            for n in model.order
            if n in self.atoms
            for t in sorted(self.op(n).targets, key=self._is_activity)
        )
        self.needed_sums = [n for n in self.demand.masks if isinstance(self.op(n), g.ExactSum)]
        self.sum_rows: dict[str, int] = {}
        self.sums = 0
        for name in (*self.produced, *(n for n in self.needed_sums if n not in self.produced)):
            self.sum_rows[name] = self.sums
            self.sums += self.op(name).size
        sizes = model.graph.size
        self.now, self.before, self.traces = Places(sizes), Places(sizes), Places(sizes)
        self.recorded: list[Recorded] = []
        # By how many steps more than one a sum is late, where it is at all.
        self.lag: dict[str, int] = {}

    def rows(self, name: str) -> Ints:
        """Components of a signal that this partition needs."""
        mask = self.demand.masks[name]
        return whole(len(mask)) if is_whole(mask) else np.flatnonzero(mask)

    def _is_activity(self, target: str) -> bool:
        """Sums of activity, and state, come last, so that what an atom decodes stands side by side."""
        atom = self.op(self.graph.inputs(target, "activity")[0])
        return not isinstance(atom, g.HostCall) and not atom.rows[atom.targets.index(target)]

    def needed(self, kinds: type | tuple[type, ...]) -> list[str]:
        """Nodes of a kind that are needed, in an order that respects undelayed edges."""
        return [n for n in self.model.order if n in self.demand and isinstance(self.op(n), kinds)]

    # ------------------------------------------------------------------------------------------ layout

    def layout(self, wires: Wires, lists: SpikeWires) -> la.Layout:
        sent, received = wires.sent(self.index), wires.received(self.index)
        if wires.window > 1:
            self.lag = {name: wires.window - 1 for sums in received.values() for name, _ in sums}
        decoded = self._decoded_before()
        carried = self._carried_names()
        for name in carried:
            self.before.append(name, self.rows(name))
        self.weights = learned.held(self.graph, {n: self.rows(n) for n in self.needed(pl.Weights)})
        self.traced = learned.traced(self.graph, self.needed(g.Filter))
        read_late = learned.read_late(self.graph, self.needed(pl.Learned), self.traced)
        late = self._products("late", read_late, self.before)
        memory = self._memory()
        learning = None
        if self.weights:
            learning = learned.learning(self.graph, self.weights, self.before, self.now, self.model.dtype)
        sources = self._sources()
        levels, early = self._levels()
        # Who waits for nobody is ahead of others as it is (see `spikec.planning.flow`).
        awaited = {name for sums in sent.values() for name, _ in sums} if received else set()
        neurons, rest = self._overlapped(early, awaited)
        populations = cells.stages(
            [(n, self.op(n)) for n in self.cells],
            self.graph,
            self.now.__getitem__,
            self.sum_rows,
            self.model.dtype,
            self.model.rates,
        )
        return la.Layout(
            partition=self.index,
            dtype=self.model.dtype,
            dt=self.graph.dt,
            sums=self.sums,
            sum_rows=self.sum_rows,
            decoded=decoded,
            late_products=late,
            memory=memory,
            learning=learning,
            sources=sources,
            levels=levels,
            neurons=neurons,
            rest=rest,
            cells=populations,
            carried=stages.joined((self.now[n][self.rows(n)] for n in carried), np.int64),
            recordings=self._recordings(
                [*(s for level in levels for s in level), *neurons, *rest, *populations]
            ),
            send={target: self._wire_rows(sums) for target, sums in sent.items()},
            receive={source: self._wire_rows(sums) for source, sums in received.items()},
            window=wires.window,
            spikes=la.SpikeExchange(lists.window, lists.sent(self.index), lists.receives(self.index)),
            late=self._wire_rows((n, self.rows(n)) for n in self.lag if n in self.produced),
            held=la.Held(self.memory, {n: self.rows(n) for n in carried}, self.weights),
        )

    def _wire_rows(self, wire: Iterable[Crossing]) -> Ints:
        return stages.joined((self.sum_rows[name] + rows for name, rows in wire), np.int64)

    def _readers(self, name: str, delayed: bool) -> bool:
        """Whether something needed reads `name` in the step after (`delayed`) or in the same step."""
        return any(
            (r in self.demand or r in self.atoms) and bool(pl.reads_after(self.graph, r)) == delayed
            for r, _ in self.graph.readers(name)
        )

    def least_delay(self, name: str) -> int:
        """The least delay, in steps, of the needed filters and delays that read a signal."""
        readers = [r for r, _ in self.graph.readers(name) if r in self.demand]
        delays = [pl.reads_after(self.graph, r) for r in readers]
        return min(delays, default=LONGEST_WINDOW)

    def _decoded_before(self) -> la.Decoded | None:
        names = [n for n in self.needed_sums if self._readers(n, delayed=True)]
        return self._decoded("decoded", names, self.before) if names else None

    def _decoded(self, name: str, sums: list[str], places: Places) -> la.Decoded:
        for n in sums:
            places.append(n, self.rows(n))
        scale = np.repeat([calls.scale(self.op(n)) for n in sums], [len(self.rows(n)) for n in sums])
        rows = self._wire_rows((n, self.rows(n)) for n in sums)
        return la.Decoded(name, {"rows": rows, "scale": scale}, {}, len(sums))

    def _carried_names(self) -> list[str]:
        """Signals other than exact sums, and what is late already, that are read in the step after."""
        return learned.carried(self.graph, self.needed((*MEMORY, pl.Weights, pl.Learned)))

    def _memory(self) -> tuple[la.Stage, ...]:
        low, general, late = list[str](), list[str](), list[str]()
        for name in (n for n in self.needed(MEMORY) if n not in self.traced):
            synapse = None if isinstance(self.op(name), g.Delay) else self._discrete(name)
            if synapse is None or synapse.plain:
                late.append(name)
            else:
                (low if synapse.order == 1 and not synapse.direct else general).append(name)
        made, dtype = list[la.Stage](), self.model.dtype
        if low:
            made.append(stages.lowpass([self._discrete(n) for n in low], *self._read_before(low), dtype))
        if general:
            found = [self._discrete(n) for n in general]
            made.append(stages.state_space(found, *self._read_before(general), dtype))
        if late:
            made.append(stages.delays([self._steps(n) for n in late], *self._read_before(late), dtype))
        self.memory = {n: self.rows(n) for names in (low, general, late, self.traced) for n in names}
        self._append([*low, *general, *late])
        if self.traced:
            made.append(learned.traces(self.graph, self.traced, self.before, self.weights, dtype))
            for name in self.traced:
                self.traces.append(name, self.memory[name])
        return tuple(made)

    def _discrete(self, name: str) -> synapses.Discrete:
        return synapses.of(self.op(name), self.graph.dt)

    def _steps(self, name: str) -> int:
        """Steps by which a delay, or a synapse that is none, is late."""
        op = self.op(name)
        return op.steps - self.lag.get(self.graph.inputs(name)[0], 0) if isinstance(op, g.Delay) else 1

    def _read_before(self, names: list[str]) -> tuple[list[int], Ints]:
        """How many components are needed of each synapse or delay, and the places that they read."""
        places = (self.before[self.graph.inputs(n)[0]][self.rows(n)] for n in names)
        return [len(self.rows(n)) for n in names], stages.joined(places, np.int64)

    def _append(self, names: Iterable[str]) -> None:
        for name in names:
            self.now.append(name, self.rows(name))

    def _sources(self) -> tuple[la.Stage, ...]:
        made: list[la.Stage] = []
        dtype = self.model.dtype
        if names := self.needed(g.Constant):
            made.append(stages.constants([(self.op(n), self.rows(n)) for n in names], dtype))
            self._append(names)
        if names := self.needed(g.Table):
            made.append(stages.tables([(self.op(n), self.rows(n)) for n in names], dtype))
            self._append(names)
        if names := self.needed(g.Noise):
            made.append(stages.noise([(self.op(n), self.rows(n)) for n in names], self.graph.dt, dtype))
            self._append(names)
        drawn = [(n, self.op(n), self.rows(n)) for n in self.needed(g.Draws)]
        for stage, members in streams.draws(drawn, self.graph.dt):
            made.append(stage)
            self._append(members)
        return (*made, *self._expressions("input", self.needed(g.TimeFunction)))

    def _expressions(self, prefix: str, names: list[str]) -> list[la.Stage]:
        groups: dict[tuple[object, ...], list[str]] = {}
        for name in names:
            form = self.model.forms[name]
            groups.setdefault(
                (form.outputs, form.steps, form.reads, len(form.constants), self._arguments(name)), []
            ).append(name)
        made: list[la.Stage] = []
        for k, members in enumerate(groups.values()):
            form = self.model.forms[members[0]]
            # Functions of time alone without constants of their own are one function.
            computed = members if form.reads or form.constants else members[:1]
            entries = [(self.model.forms[n], self._argument_places(n)) for n in computed]
            made.append(stages.expressions(f"{prefix}_{k}", entries))
            count, size = len(computed), self.op(members[0]).size
            for j, name in enumerate(members):
                self.now.append(name, np.arange(size), min(j, count - 1) + count * np.arange(size))
            self.now.length += count * size
        return made

    def _arguments(self, name: str) -> int:
        return getattr(self.op(name), "arguments", 0)

    def _argument_places(self, name: str) -> Ints:
        return self.now[self.graph.inputs(name, "x")[0]] if self._arguments(name) else ints([])

    # ------------------------------------------------------------------------------------------ levels

    def _by_level(self) -> dict[int, list[str]]:
        """Needed nodes by how many undelayed operators lead to them, where any do; an absorbed product is
        part of its sum, and not there.
        """
        level, found = dict[str, int](), dict[int, list[str]]()
        for name in self.model.order:
            if name not in self.demand and name not in self.atoms:
                continue
            depth = max((level[s] for s in self.graph.inputs(name) if s in level), default=0)
            depth += name not in self.model.absorbed
            if depth and not isinstance(self.op(name), NO_LEVEL):
                level[name] = depth
                if name not in self.model.absorbed:
                    found.setdefault(depth, []).append(name)
        return found

    def _levels(self) -> tuple[tuple[tuple[la.Stage, ...], ...], set[str]]:
        """Undelayed stages, level after level, and the atoms among them: those read in the same step."""
        immediate = {n for n in self.needed_sums if self._readers(n, delayed=False)}
        early = {a for n in immediate for a in self.graph.inputs(n, "activity")}
        early |= self.atoms.keys() & self.calls.keys()
        levels = []
        for k, names in sorted(self._by_level().items()):
            made: list[la.Stage] = []
            if members := [n for n in names if isinstance(self.op(n), (g.Sum, g.Product))]:
                made.append(self._linear(f"linear_{k}", members))
            made += self._expressions(
                f"function_{k}", [n for n in names if isinstance(self.op(n), g.Function)]
            )
            at_once = [n for n in names if isinstance(self.op(n), pl.Learned) and not pl.late(self.graph, n)]
            if products := self._products(f"learned_{k}", at_once, self.now):
                made.append(products)
            if members := [n for n in names if isinstance(self.op(n), ch.Change)]:
                held = (self.graph, self.weights, self.now, self.model.dtype)
                made.append(learned.changes(f"changed_{k}", members, *held))
            if members := [n for n in names if n in self.calls]:
                made.append(calls.stage(f"host_{k}", members, self.graph, self.now, self.sum_rows))
            made += self._neurons(f"level_{k}", [n for n in names if n in early and n not in self.calls])
            if members := [n for n in names if n in immediate]:
                made.append(self._decoded(f"decoded_{k}", members, self.now))
            if made:
                levels.append(tuple(made))
        return tuple(levels), early

    def _overlapped(
        self, early: set[str], awaited: set[str]
    ) -> tuple[tuple[la.Stage, ...], tuple[la.Stage, ...]]:
        """Atoms that are not early: those that add to awaited sums, and those that no message waits for."""
        done = early.union(self.cells)
        last = [n for n in self.model.order if n in self.atoms and n not in done]
        rest = [n for n in last if awaited and awaited.isdisjoint(self.op(n).targets)]
        if sum(self.op(n).size for n in rest) < LEAST_OVERLAP:
            return self._neurons("last", last), ()
        return self._neurons("sent", [n for n in last if n not in set(rest)]), self._neurons("last", rest)

    def _products(self, name: str, members: list[str], signals: Places) -> la.LearnedProducts | None:
        """Products of learned weights with `signals`, which they join."""
        if not members:
            return None
        rows = {n: self.rows(n) for n in members}
        made = learned.products(name, self.graph, rows, signals, self.weights, self.model.dtype)
        for n in members:
            signals.append(n, rows[n])
        return made

    def _linear(self, name: str, members: list[str]) -> la.Linear:
        made = stages.linear(name, ((self._terms(n), self.rows(n)) for n in members), self.model.dtype)
        self._append(members)
        return made

    def _terms(self, name: str) -> list[tuple[g.Matrix | None, Ints]]:
        """Matrix (None: the identity) and places of the argument, for every term of a sum or product.

        A term of which no component is needed, its matrix being 0 there, has no place and is left out.
        """
        found = []
        for source in [name] if isinstance(self.op(name), g.Product) else self.graph.inputs(name):
            absorbed = source == name or source in self.model.absorbed
            argument = self.graph.inputs(source)[0] if absorbed else source
            if argument in self.now:
                found.append((self.op(source).matrix if absorbed else None, self.now[argument]))
        return found

    def _neurons(self, prefix: str, names: list[str]) -> tuple[la.Stage, ...]:
        groups: dict[Kept, list[str]] = {}
        for name in names:
            groups.setdefault(kept(name, self.graph, self.model.dtype), []).append(name)
        made = [
            neuron_group(
                f"{how.kind}_{prefix}",
                how,
                [(n, self.op(n)) for n in members],
                self.graph,
                self.now.__getitem__,
                self.sum_rows,
                self.model.dtype,
            )
            for how, members in sorted(groups.items())
        ]
        return *made, *state_values(made, self.graph, self.sum_rows)

    # -------------------------------------------------------------------------------------- recordings

    def _recordings(self, made_before: list[la.Stage]) -> tuple[la.Stage, ...]:
        groups = [s for s in made_before if isinstance(s, (la.NeuronGroup, la.CellGroup))]
        lists = next((s.numbers for s in made_before if isinstance(s, la.SpikeLists)), {})
        recorder = Recorder(self.graph, self.now, self.sum_rows, self.traces)
        made = recorder.record(self.probes, self.atoms, self.produced, groups, lists, self.weights)
        self.recorded += [
            Recorded(name, self.index, slot, columns) for name, slot, columns in recorder.recorded
        ]
        return made
