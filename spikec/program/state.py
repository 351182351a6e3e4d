"""Where the state of every object of a model is in the partitions.

A run can save its state, and another one, cut otherwise, go on from it: what is saved are arrays of the
model, named after its objects and the same for every number of partitions.  This module says which these are,
and which of their numbers each partition holds, and where.  `spike_runtime.statemap` reads it.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any

import numpy as np

from spikec import graph as g
from spikec import plasticity as pl
from spikec import projections as pj
from spikec.program import layout as la
from spikec.program.membranes import APART, MEMBRANE, variables
from spikec.program.stages import Ints
from spikec.program.state_names import state_names
from spikec.program.streams import LENGTH

# In place of the exponent of a sum whose whole numbers are the bits of float64 numbers.
BITS = "bits"
# Of an array: what it is the state of, and the name of that.
Key = tuple[str, str]


# Entries of a list that are one piece of text.
PIECE = 1 << 8


def state_map(graph: g.Graph, layouts: Sequence[la.Layout]) -> Iterator[str]:
    """Arrays of the model, and what of them is where, as `spike_runtime.statemap.StateMap` describes it:
    JSON, in pieces, for there are several entries for every ensemble.
    """
    found = _Found(graph)
    for layout in layouts:
        found.add(layout)
    keys = {kind: sorted(found.number[kind]) for kind in sorted(found.number)}
    rank = np.empty(len(found.about), np.int64)
    order = [found.number[kind][name] for kind, names in keys.items() for name in names]
    rank[order] = np.arange(len(order))
    yield '{"arrays":'
    named = ([kind, name] for kind, names in keys.items() for name in names)
    yield from _listed([*key, *found.about[number]] for key, number in zip(named, order, strict=True))
    delays = [
        [*(int(rank[found.number[kind][name]]) for kind, name in both), _spans(np.flatnonzero(mask))]
        for both, mask in sorted(found.delays.items())
    ]
    lists = [[int(rank[found.number["spikes"][name]]), first] for name, first in found.lists]
    yield f',"delays":{_text(delays)},"lists":{_text(lists)},"partitions":['
    for k, (runs, membranes, own) in enumerate(zip(found.runs, found.membranes, found.own, strict=True)):
        yield '{"runs":' if k == 0 else ',{"runs":'
        yield from _tables(runs, rank, 1)
        yield ',"membranes":'
        yield from _tables(membranes, rank, len(APART))
        yield f',"own":{_text(own)}}}'
    yield "]}"


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _listed(entries: Iterable[Any]) -> Iterator[str]:
    """A list as JSON, piece after piece."""
    yield "["
    left, comma = iter(entries), ""
    while piece := list(islice(left, PIECE)):
        yield comma + _text(piece)[1:-1]
        comma = ","
    yield "]"


def _tables(tables: Mapping[str, array[int]], rank: Ints, keys: int) -> Iterator[str]:
    """By the name of an array, rows of numbers of keys, (there, here, how many)."""
    yield "{"
    for k, (name, numbers) in enumerate(sorted(tables.items())):
        table = np.array(numbers, np.int64).reshape(-1, keys + 3)
        table[:, :keys] = rank[table[:, :keys]]
        yield f"{',' * (k > 0)}{_text(name)}:"
        yield from _listed(row.tolist() for row in table)
    yield "}"


class _Found:
    """The map under construction."""

    def __init__(self, graph: g.Graph) -> None:
        self.graph, self.called = graph, state_names(graph)
        # By kind and name the number of every array, as they came; by that its shape and, of exact sums,
        # exponent, or `BITS`.
        self.number: dict[str, dict[str, int]] = {}
        self.about: list[tuple[tuple[int, ...], int | str | None]] = []
        # By partition and array of it: number, first of the model's array, first here, how many.
        self.runs: list[dict[str, array[int]]] = []
        # Of numbers that stand for several variables: numbers, first of each, first here, how many.
        self.membranes: list[dict[str, array[int]]] = []
        # Components of exact sums that delays read.
        self.delays: dict[tuple[Key, Key], Any] = {}
        self.alike: dict[tuple[Any, ...], Any] = {}
        self.lists: list[tuple[str, int]] = []
        # By partition: (number of a list of spikes, first neuron, how many).
        self.own: list[list[tuple[int, int, int]]] = []
        self.sums: set[str] = set()
        # What each host call gives, by its number.
        self.targets = [op.targets for _, op in graph.nodes(g.HostCall)]

    def add(self, layout: la.Layout) -> None:
        """Note the state of one partition."""
        self.runs.append({})
        self.membranes.append({})
        self.own.append([])
        self.sums.clear()
        self._memory(layout)
        for stage in layout.stages:
            if isinstance(stage, (la.NeuronGroup, la.CellGroup)):
                self._neurons(layout, stage)
            elif isinstance(stage, la.SpikeLists):
                self._lists(stage)
            elif isinstance(stage, la.Learning):
                self._learned(layout, stage)
            elif isinstance(stage, la.HostCalls):
                for name in (target for k in stage.arrays["calls"][:, 0] for target in self.targets[k]):
                    self._sum(layout, name)
            if isinstance(stage, (la.Draws, la.NeuronGroup)):
                self._streams(stage)
        self._vector("carried", "signal", layout.held.carried.items())

    def _put(self, array: str, key: Key, shape: Sequence[int], first: int, places: Ints) -> None:
        """What stands in `array` from `first` on has these places in the array `key` of the model."""
        for start, stop in _spans(places):
            self._put_run(array, key, shape, (start, first, stop - start))
            first += stop - start

    def _put_run(
        self,
        array: str,
        key: Key,
        shape: Sequence[int],
        run: tuple[int, int, int],
        exponent: int | str | None = None,
    ) -> None:
        """As `_put`, for numbers that stand in one piece in both: first there, first here, how many."""
        number = self._numbered(key, shape, exponent)
        if run[2]:
            self._note(self.runs[-1], array, number, *run)

    def _numbered(self, key: Key, shape: Sequence[int], exponent: int | str | None = None) -> int:
        """The number of an array of the model; what many are alike in is one object."""
        kind, name = key
        number = self.number.setdefault(kind, {}).setdefault(name, len(self.about))
        about = (tuple(shape), exponent)
        about = self.alike.setdefault(about, about)
        if number == len(self.about):
            self.about.append(about)
        # An exact sum that another node passes on is still one.
        elif exponent is not None:
            self.about[number] = about
        return number

    def _note(self, tables: dict[str, array[int]], name: str, *numbers: int) -> None:
        if name not in tables:
            tables[name] = array("q")
        tables[name].extend(numbers)

    def _vector(self, array: str, kind: str, held: Iterable[tuple[str, Ints]]) -> None:
        """A number for every component, node after node."""
        first = 0
        for name, rows in held:
            self._put(array, (kind, self.called[name]), (self.graph.op(name).size,), first, rows)
            first += len(rows)

    def _memory(self, layout: la.Layout) -> None:
        """Synapses and delays."""
        left = iter(layout.held.memory.items())
        for stage in layout.memory:
            mine = islice(left, stage.operators)
            if isinstance(stage, (la.Lowpass, la.Traces)):
                self._vector(f"{stage.name}_value", "filter", mine)
            elif isinstance(stage, la.StateSpace):
                filters = stage.arrays["filters"].tolist()
                for (name, rows), (order, count, first, *_) in zip(mine, filters, strict=True):
                    size = self.graph.op(name).size
                    for k in range(order):
                        places, start = k * size + rows, first + k * count
                        self._put(
                            f"{stage.name}_x", ("filter", self.called[name]), (order, size), start, places
                        )
            else:
                self._delays(f"{stage.name}_buffer", mine, stage.arrays["lengths"])

    def _delays(self, array: str, mine: Iterable[tuple[str, Ints]], lengths: Ints) -> None:
        """Of every component the values of the last steps, the newest first; where several partitions make a
        sum, the newest of them are still on their way.
        """
        entry = first = 0
        for name, rows in mine:
            op, source = self.graph.op(name), self.graph.inputs(name)[0]
            kept, own = op.delay - 1, lengths[entry : entry + len(rows)].tolist()
            entry += len(rows)
            if not kept:  # what it reads is all
                continue
            for row, length in zip(rows.tolist(), own, strict=True):
                there = (row + 1) * kept - length
                self._put_run(array, ("delay", self.called[name]), (op.size, kept), (there, first, length))
                first += length
            if isinstance(self.graph.op(source), g.ExactSum):
                between = (("delay", self.called[name]), ("signal", self.called[source]))
                self.delays.setdefault(between, np.zeros(op.size, bool))[rows] = True

    def _neurons(self, layout: la.Layout, stage: la.NeuronGroup | la.CellGroup) -> None:
        """The variables of every atom, and the sums that it adds to, where something reads them later."""
        array, count = f"{stage.name}_neurons", stage.state["neurons"].shape[1]
        for path, first in stage.members.items():
            atom: g.Atom = self.graph.op(path)
            neurons, population = atom.neurons, path.rpartition("#")[0]
            keys = {name: ("neurons", f"{population}.{name}") for name in variables(neurons.neuron)}
            numbers = {name: self._numbered(key, (neurons.size,)) for name, key in keys.items()}
            for k, row in enumerate(stage.rows):
                here = k * count + first
                if row == MEMBRANE:
                    both = [numbers[name] for name in APART]
                    self._note(self.membranes[-1], array, *both, atom.start, here, atom.size)
                else:
                    self._put_run(array, keys[row], (neurons.size,), (atom.start, here, atom.size))
            for name in atom.targets:
                self._sum(layout, name)
            for name, _ in self.graph.readers(path):
                if isinstance(self.graph.op(name), pj.Spikes):
                    self._spikes(name, atom, layout)

    def _sum(self, layout: la.Layout, name: str) -> None:
        if name in self.sums:
            return
        self.sums.add(name)
        if any(pl.reads_after(self.graph, reader) for reader, _ in self.graph.readers(name)):
            op, first = self.graph.op(name), layout.sum_rows[name]
            exponent = BITS if isinstance(op, g.Bits) else op.exponent
            key = ("signal", self.called[name])
            self._put_run("sums", key, (op.size,), (0, first, op.size), exponent)

    def _spikes(self, name: str, atom: g.Atom, layout: la.Layout) -> None:
        lists = next(stage for stage in layout.cells if isinstance(stage, la.SpikeLists))
        rows = lists.state["history"].shape[0]
        self._numbered(("spikes", name), (rows, self.graph.op(name).size))
        self.own[-1].append((lists.numbers[name], atom.start, atom.size))

    def _streams(self, stage: la.Draws | la.NeuronGroup) -> None:
        """Streams of random numbers: every partition that draws from one has all of it."""
        for name, first in stage.streams.items():
            self._put_run(f"{stage.name}_streams", ("stream", name), (LENGTH,), (0, first, LENGTH))

    def _lists(self, stage: la.SpikeLists) -> None:
        """Every partition has the lists of all populations in the same places."""
        firsts = stage.arrays["firsts"].tolist()
        self.lists = [(name, firsts[number]) for name, number in stage.numbers.items()]

    def _learned(self, layout: la.Layout, stage: la.Learning) -> None:
        inverse = 0
        for name, (first, rows) in layout.held.weights.items():
            op: pl.Weights = self.graph.op(name)
            places = (rows[:, None] * op.columns + np.arange(op.columns)).ravel()
            array = f"{stage.name}_weights"
            self._put(array, ("weights", self.called[name]), (op.size, op.columns), first, places)
            for k, rule in enumerate(op.rules):
                if isinstance(rule, pl.RLS):
                    shape = (op.columns, op.columns)
                    key = ("inverse", f"{self.called[name]}.{k}")
                    self._put_run(f"{stage.name}_inverse", key, shape, (0, inverse, op.columns**2))
                    inverse += op.columns**2


def _spans(places: Ints) -> list[tuple[int, int]]:
    """(start, stop) of runs of consecutive places, which increase."""
    if not len(places):
        return []
    if places[-1] - places[0] == len(places) - 1:  # most often there is one
        return [(int(places[0]), int(places[-1]) + 1)]
    edges = np.concatenate([[0], np.flatnonzero(np.diff(places) != 1) + 1, [len(places)]])
    return [(int(places[a]), int(places[b - 1]) + 1) for a, b in pairwise(edges.tolist())]
