"""Where the state of every object of a model is in the partitions.

A run can save its state, and another one, cut otherwise, go on from it: what is saved are arrays of the
model, named after its objects and the same for every number of partitions.  This module says which these are,
and which of their numbers each partition holds, and where.  `spike_runtime.statemap` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from spikec import graph as g
from spikec import plasticity as pl
from spikec import projections as pj
from spikec.program import layout as la
from spikec.program.membranes import APART, MEMBRANE
from spikec.program.stages import Ints

# In place of the exponent of a sum whose whole numbers are the bits of float64 numbers.
BITS = "bits"
# Of an array: what it is the state of, and the name of that.
Key = tuple[str, str]


def state_map(graph: g.Graph, layouts: Sequence[la.Layout]) -> dict[str, Any]:
    """Arrays of the model, and what of them is where, as `spike_runtime.statemap.StateMap` describes it."""
    found = _Found(graph)
    for layout in layouts:
        found.add(layout)
    keys = sorted(found.arrays)
    number = {key: k for k, key in enumerate(keys)}
    return {
        "arrays": [[*key, *found.arrays[key]] for key in keys],
        "delays": [
            [number[delay], number[total], _spans(np.flatnonzero(mask))]
            for (delay, total), mask in sorted(found.delays.items())
        ],
        "lists": [[number["spikes", name], first] for name, first in found.lists],
        "partitions": [
            {
                "runs": {
                    array: [[number[key], *run] for key, *run in runs] for array, runs in sorted(part.items())
                },
                "membranes": {
                    array: [[*(number[key] for key in keys), *run] for keys, run in runs]
                    for array, runs in sorted(membranes.items())
                },
                "own": own,
            }
            for part, membranes, own in zip(found.runs, found.membranes, found.own, strict=True)
        ],
    }


class _Found:
    """The map under construction."""

    def __init__(self, graph: g.Graph) -> None:
        self.graph = graph
        # Shape and, of exact sums, exponent, or `BITS`.
        self.arrays: dict[Key, tuple[list[int], int | str | None]] = {}
        # By partition and array of it: (key, first of the model's array, first here, how many).
        self.runs: list[dict[str, list[tuple[Any, ...]]]] = []
        # Of numbers that stand for several variables: (keys, (first of each, first here, how many)).
        self.membranes: list[dict[str, list[tuple[tuple[Key, ...], tuple[int, int, int]]]]] = []
        # Components of exact sums that delays read.
        self.delays: dict[tuple[Key, Key], Any] = {}
        self.lists: list[tuple[str, int]] = []
        # By partition: (number of a list of spikes, first neuron, how many).
        self.own: list[list[tuple[int, int, int]]] = []
        self.sums: set[str] = set()

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
                for name in layout.sum_rows:
                    if isinstance(self.graph.op(name), g.HostValue):
                        self._sum(layout, name)
        self._vector("carried", "signal", layout.held.carried)

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
        self.arrays[key] = (list(shape), exponent)
        if run[2]:
            self.runs[-1].setdefault(array, []).append((key, *run))

    def _vector(self, array: str, kind: str, held: Sequence[tuple[str, Ints]]) -> None:
        """A number for every component, node after node."""
        first = 0
        for name, rows in held:
            self._put(array, (kind, name), (self.graph.op(name).size,), first, rows)
            first += len(rows)

    def _memory(self, layout: la.Layout) -> None:
        """Synapses and delays."""
        left = list(layout.held.memory)
        for stage in layout.memory:
            mine, left = left[: stage.operators], left[stage.operators :]
            if isinstance(stage, la.Lowpass):
                self._vector(f"{stage.name}_value", "filter", mine)
            elif isinstance(stage, la.StateSpace):
                filters = stage.arrays["filters"].tolist()
                for (name, rows), (order, count, first, *_) in zip(mine, filters, strict=True):
                    size = self.graph.op(name).size
                    for k in range(order):
                        places, start = k * size + rows, first + k * count
                        self._put(f"{stage.name}_x", ("filter", name), (order, size), start, places)
            else:
                self._delays(f"{stage.name}_buffer", mine, stage.arrays["lengths"])

    def _delays(self, array: str, mine: Sequence[tuple[str, Ints]], lengths: Ints) -> None:
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
                self._put_run(array, ("delay", name), (op.size, kept), (there, first, length))
                first += length
            if isinstance(self.graph.op(source), g.ExactSum):
                between = (("delay", name), ("signal", source))
                self.delays.setdefault(between, np.zeros(op.size, bool))[rows] = True

    def _neurons(self, layout: la.Layout, stage: la.NeuronGroup | la.CellGroup) -> None:
        """The variables of every atom, and the sums that it adds to, where something reads them later."""
        array, count = f"{stage.name}_neurons", stage.state["neurons"].shape[1]
        for path, first in stage.members.items():
            atom: g.Atom = self.graph.op(path)
            neurons, population = atom.neurons, path.rpartition("#")[0]
            keys = {name: ("neurons", f"{population}.{name}") for name in neurons.neuron.state}
            self.arrays |= {key: ([neurons.size], None) for key in keys.values()}
            for k, row in enumerate(stage.rows):
                here = k * count + first
                if row == MEMBRANE:
                    both, run = tuple(keys[name] for name in APART), (atom.start, here, atom.size)
                    self.membranes[-1].setdefault(array, []).append((both, run))
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
            exponent = BITS if isinstance(op, g.HostValue) else op.exponent
            self._put_run("sums", ("signal", name), (op.size,), (0, first, op.size), exponent)

    def _spikes(self, name: str, atom: g.Atom, layout: la.Layout) -> None:
        lists = next(stage for stage in layout.cells if isinstance(stage, la.SpikeLists))
        rows = lists.state["history"].shape[0]
        self.arrays["spikes", name] = ([rows, self.graph.op(name).size], None)
        self.own[-1].append((lists.numbers[name], atom.start, atom.size))

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
            self._put(array, ("weights", name), (op.size, op.columns), first, places)
            for k, rule in enumerate(op.rules):
                if isinstance(rule, pl.RLS):
                    shape = (op.columns, op.columns)
                    key = ("inverse", f"{name}.{k}")
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
