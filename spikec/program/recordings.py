"""Which partition records what of each probe."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from spikec import graph as g
from spikec import projections as pj
from spikec.nef.neurons import unit
from spikec.program import layout as la
from spikec.program.shown import variable
from spikec.program.stages import Ints, ints, joined


class Recorder:
    """Makes the recording stages of one partition; `recorded` lists (probe, slot, columns) of each.

    `now`, `sum_rows`, `traces`: places of signals, of sums, and of synapses of weights.
    """

    def __init__(
        self,
        graph: g.Graph,
        now: Mapping[str, Ints],
        sum_rows: Mapping[str, int],
        traces: Mapping[str, Ints],
    ) -> None:
        self.graph, self.now, self.sum_rows, self.traces = graph, now, sum_rows, traces
        self.recorded: list[tuple[str, int, Ints]] = []
        # Arrays of recordings by what they are of and their interval, with their slots: one stage for each.
        self.alike: dict[tuple[str, float, bool], list[tuple[int, dict[str, Ints]]]] = {}
        self.spikes: list[tuple[int, ...]] = []
        self.listed: list[tuple[str, int, int, g.Probe]] = []

    def record(
        self,
        owned: Iterable[str],
        local: Collection[str],
        produced: Mapping[str, None],
        groups: Sequence[la.NeuronGroup | la.CellGroup],
        lists: Mapping[str, int],
        learned: Mapping[str, tuple[int, Ints]],
    ) -> tuple[la.Stage, ...]:
        """Stages for `owned` probes of values, and for this partition's share of all others.

        local: atoms of the partition; produced: exact sums that they add to; lists: numbers of lists of
        spikes; learned: places of learned weights, whole where they are recorded.
        """
        owned = set(owned)
        for name, probe in self.graph.nodes(g.Probe):
            if probe.attribute == "spikes":
                self._events(name, local)
            elif sources := self.graph.inputs(name, "weights"):
                if name in owned:
                    columns = np.arange(probe.size)
                    self._add(name, probe, "weights", {"columns": learned[sources[0]][0] + columns}, columns)
            elif sources := self.graph.inputs(name, "x"):
                if isinstance(self.graph.op(sources[0]), g.ExactSum):
                    self._sums(name, probe, sources, produced)
                elif name in owned:
                    of, places = ("trace", self.traces) if sources[0] in self.traces else ("values", self.now)
                    self._add(name, probe, of, {"columns": places[sources[0]]}, np.arange(probe.size))
            else:
                self._state(name, probe, local, groups)
        made: list[la.Stage] = self._stages()
        if self.spikes:
            made.append(la.Events("events", {"sources": ints(self.spikes)}, {}, 1))
        if self.listed:
            made.append(self._spike_events(lists))
        return tuple(made)

    def _add(self, name: str, probe: g.Probe, of: str, arrays: dict[str, Ints], columns: Ints) -> None:
        slot = len(self.recorded)
        self.alike.setdefault((of, probe.every, "scales" in arrays), []).append((slot, arrays))
        self.recorded.append((name, slot, columns))

    def _stages(self) -> list[la.Stage]:
        """A program grows with the intervals of recordings, not their number: with 1,000 kernels it takes
        minutes to compile.
        """
        made: list[la.Stage] = []
        for (of, every, _), members in self.alike.items():
            lengths = [len(next(iter(arrays.values()))) for _, arrays in members]
            arrays = {k: np.concatenate([arrays[k] for _, arrays in members]) for k in members[0][1]}
            arrays |= {
                "starts": np.concatenate([[0], np.cumsum(lengths)]),
                "slots": ints([slot for slot, _ in members]),
                "every": np.array([every]),
            }
            made.append(la.Recording(f"record_{len(made)}", arrays, {}, len(members), of))
        return made

    def _sums(self, name: str, probe: g.Probe, sources: list[str], produced: Mapping[str, None]) -> None:
        everything = np.arange(probe.size)
        picks = probe.picks or (g.Pick(everything, everything),)
        here = [(s, pick) for s, pick in zip(sources, picks, strict=True) if s in produced]
        if here:
            rows = np.concatenate([self.sum_rows[s] + pick.components for s, pick in here])
            columns = np.concatenate([pick.columns for _, pick in here])
            order = np.argsort(columns)
            self._add(name, probe, "sums", {"columns": rows[order]}, columns[order])

    def _events(self, name: str, local: Collection[str]) -> None:
        source, probe = self.graph.inputs(name, "x")[0], self.graph.op(name)
        atoms = [a for a in self.graph.inputs(source, "activity") if a in local]
        here = self._columns(probe, atoms)
        if not here:
            return
        slot, operator = len(self.recorded), self.graph.op(source)
        for atom, columns, neurons in here:
            if isinstance(operator, g.ExactSum):
                units = round(
                    unit(self.graph.op(atom).neurons.neuron, self.graph.dt) * 2.0**operator.exponent
                )
                for run in runs(neurons, columns):
                    first = self.sum_rows[source] + int(neurons[run][0])
                    column, length = int(columns[run][0]), len(neurons[run])
                    self.spikes.append((first, length, units, slot, column, probe.size))
        if isinstance(operator, pj.Spikes):
            self.listed.append((source, slot, operator.size, probe))
        self.recorded.append((name, slot, np.concatenate([columns for _, columns, _ in here])))

    def _spike_events(self, lists: Mapping[str, int]) -> la.SpikeEvents:
        """Of probes of a part, the columns of every neuron of the population."""
        rows, start, first = [], 0, 0
        pointers: list[Ints] = []
        columns: list[Ints] = []
        for source, slot, size, probe in self.listed:
            row = (lists[source], slot, probe.size)
            if probe.neurons is None:
                rows.append((*row, -1))
                continue
            rows.append((*row, start))
            counts = np.bincount(probe.neurons, minlength=size)
            pointers.append(first + np.concatenate([[0], np.cumsum(counts)]))
            start += len(pointers[-1])
            columns.append(np.argsort(probe.neurons, kind="stable"))
            first += len(probe.neurons)
        arrays = {
            "probes": ints(rows),
            "pointers": joined(pointers, np.int64),
            "columns": joined(columns, np.int64),
        }
        return la.SpikeEvents("listed", arrays, {}, 1)

    def _columns(self, probe: g.Probe, atoms: Iterable[str]) -> list[tuple[str, Ints, Ints]]:
        """(atom, columns, numbers of neurons in the population) of atoms of which something is recorded."""
        runs = ((a, self.graph.op(a).start, self.graph.op(a).size) for a in atoms)
        if probe.neurons is not None:  # most atoms are not looked at, where many probes record parts
            least, most = int(probe.neurons.min()), int(probe.neurons.max())
            runs = ((a, start, size) for a, start, size in runs if start <= most and least < start + size)
        found = [(a, *probe.columns_of(start, size)) for a, start, size in runs]
        return [entry for entry in found if len(entry[1])]

    def _state(
        self,
        name: str,
        probe: g.Probe,
        local: Collection[str],
        groups: Sequence[la.NeuronGroup | la.CellGroup],
    ) -> None:
        """A state variable of the atoms that are here; all atoms of one population are in one group."""
        atoms = [a for a in self.graph.inputs(name, "neurons") if a in local]
        here = self._columns(probe, atoms)
        if not here:
            return
        group = next(s for s in groups if here[0][0] in s.members)
        place, scale = variable(group, probe.attribute, self.graph.op(here[0][0]), self.graph.dt)
        columns = np.concatenate([columns for _, columns, _ in here])
        places = [numbers - self.graph.op(a).start + group.members[a] for a, _, numbers in here]
        # Who puts a recording together takes columns in increasing order.
        order = np.argsort(columns)
        arrays = {"variables": np.full(len(columns), place), "neurons": np.concatenate(places)[order]}
        if scale is not None:
            arrays["scales"] = np.tile(scale, (len(columns), 1))
        self._add(name, probe, f"{group.name}_neurons", arrays, columns[order])


def runs(neurons: Ints, columns: Ints) -> list[slice]:
    """Slices of both in which each increases by 1 from entry to entry."""
    breaks = np.flatnonzero((np.diff(neurons) != 1) | (np.diff(columns) != 1)) + 1
    edges = [0, *breaks.tolist(), len(neurons)]
    return [slice(a, b) for a, b in pairwise(edges)]
