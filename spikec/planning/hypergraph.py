"""The hypergraph to be partitioned: groups of atoms that must stay together, and what they read of each
other.

Which atoms need which components of which signals is found for all at once: component i of a signal depends
on components j of the operator's inputs, back to exact sums (see `reach`).  Where an exact sum is read in the
step that makes it (no synapse in between), all atoms that make it and all that need it so must share a
partition.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache, cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spikec import changes as ch
from spikec import graph as g
from spikec import plasticity as pl
from spikec import projections as pj
from spikec.nef.converted import Converted
from spikec.planning.reach import Numbers, Places, Sets, needs, reach
from spikec.planning.replicas import Floats, signals
from spikec.program.stages import Vector
from spikec.program.wires import LONGEST_WINDOW
from spikec.records import dataclass

Ints = NDArray[np.int64]
# What is read of a signal: its name, the first component and the one after the last.
Input: TypeAlias = tuple[str, int, int]
MEMORY = (g.Filter, g.Delay)
# Each is planned in full.
MOST_WINDOWS = 3
# Components that are looked at together: what is made of them for a moment stays small.
BLOCK = 1 << 12


@dataclass(frozen=True, eq=False)
class Reads:
    """Who needs which components of the exact sums.

    readers: atoms that read the same (an entry lists their names; there are `atoms` of these), then one entry
    for every probe of a value.
    sums: names; firsts: column of each one's first component, with the number of columns at the end.
    later: for each column the number, in `sets`, of those who need it a step (or a window) later; now: of
    those who need it before, in the step that makes it as a rule.  computed: for each component of all other
    signals (`replicas.signals`, one after the other), who needs it on the way.
    """

    readers: tuple[tuple[str, ...], ...]
    atoms: int
    sums: tuple[str, ...]
    firsts: Ints
    sets: Sets
    later: Places
    now: Places
    computed: Places

    @property
    def owner(self) -> Numbers:
        """Number of the exact sum to which each column belongs."""
        return np.repeat(np.arange(len(self.sums), dtype=np.int32), np.diff(self.firsts))

    @cached_property
    def sums_later(self) -> SumsRead:
        """What probes read of `later`."""
        return self._sums_read(self.later, self.atoms)

    @cached_property
    def sums_now(self) -> SumsRead:
        """What atoms and probes read of `now`, most often nothing."""
        return self._sums_read(self.now, 0)

    def _sums_read(self, columns: Places, first: int) -> SumsRead:
        """What readers from `first` on read of some columns."""
        chosen = self.sets.members >= first
        firsts = np.concatenate([[0], np.cumsum(chosen)])[self.sets.firsts]
        counts = np.diff(firsts)[columns]
        places = np.arange(counts.sum()) + np.repeat(firsts[columns] - np.cumsum(counts) + counts, counts)
        reader = self.sets.members[chosen][places].astype(np.int64)
        pairs, words = np.unique(reader * len(self.sums) + np.repeat(self.owner, counts), return_counts=True)
        reader, sums = np.divmod(pairs, max(1, len(self.sums)))
        return SumsRead(np.searchsorted(reader, np.arange(len(self.readers) + 1)), sums, words)


@dataclass(frozen=True, eq=False)
class SumsRead:
    """Reader k reads words[i] components of sum sums[i], for i from firsts[k] on below firsts[k + 1]."""

    firsts: Ints
    sums: Ints
    words: Ints

    def of(self, reader: int) -> list[tuple[int, int]]:
        """(sum, components) of all that a reader reads."""
        own = slice(self.firsts[reader], self.firsts[reader + 1])
        return list(zip(self.sums[own].tolist(), self.words[own].tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class Hypergraph:
    """Vertices are groups of atoms.  Hyperedge e joins vertices pins[e]: in every partition that has one of
    them beside the first, words[e] numbers more per step cross the cut, and work[e] ns are computed again.
    """

    groups: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...]
    pins: Sequence[Sequence[int]]
    words: tuple[int, ...]
    work: tuple[float, ...]

    def prices(self, word: float) -> list[float]:
        """ns per step of every hyperedge, where a number on a wire takes `word` ns."""
        return [word * words + work for words, work in zip(self.words, self.work, strict=True)]


def windows(graph: g.Graph) -> tuple[int, ...]:
    """Exchange windows that a cut could have besides 1: the longest delays with which exact sums are read."""
    delays = {
        min(op.delay, LONGEST_WINDOW)
        for name, op in graph.nodes(MEMORY)
        if isinstance(graph.op(graph.inputs(name)[0]), g.ExactSum)
    }
    return tuple(sorted(delays - {1})[-MOST_WINDOWS:])


def reads(graph: g.Graph, window: int = 1) -> Reads:
    """Who reads what, found by following every reader's inputs back to exact sums.

    What is read less than `window` steps later counts as read now, so that it is not cut.
    """
    columns = _Columns(graph, window)
    readers, inputs = _readers(graph)
    sets, needed = reach(needs(columns.total, len(readers), *columns.depends(graph, inputs)))
    computed, later, now = np.split(needed, [columns.size, columns.size + columns.sums_size])
    atoms = len(readers) - len(value_probes(graph))
    return Reads(tuple(readers), atoms, tuple(columns.sums), columns.firsts, sets, later, now, computed)


class _Columns:
    """Numbers for components: those of all other signals, then of exact sums read later, then of those read
    now.
    """

    def __init__(self, graph: g.Graph, window: int) -> None:
        self.window = window
        self.first: dict[str, int] = {}
        self.size = 0
        self.sums = [name for name, _ in graph.nodes(g.ExactSum)]
        for name, op in signals(graph):
            self.first[name] = self.size
            self.size += op.size
        sizes = [graph.op(name).size for name in self.sums]
        self.firsts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        self.sums_size = int(self.firsts[-1])
        self.sum_first = dict(zip(self.sums, self.firsts.tolist(), strict=False))
        self.total = self.size + 2 * self.sums_size

    def place(self, source: str, delayed: bool) -> int:
        """Number of the first component of `source`, as read by an operator with or without a delay."""
        if source in self.first:
            return self.first[source]
        first: int = self.sum_first[source]
        return self.size + first + (0 if delayed else self.sums_size)

    def depends(self, graph: g.Graph, inputs: Collection[tuple[Input, ...]]) -> tuple[Numbers, Numbers]:
        """Which component, or which of the readers behind all of these, by their `inputs`, needs which
        component.
        """
        rows, columns = Vector(np.int32), Vector(np.int32)
        for name, op in graph.nodes():
            if name not in self.first:
                continue
            delayed = pl.reads_after(graph, name) >= self.window
            if isinstance(op, ch.Change):  # all depends on the first, and that on all that it reads
                rows.add(np.arange(1, op.size) + self.first[name])
                columns.add(np.full(op.size - 1, self.first[name]))
            for source, port in dict.fromkeys(graph.input_ports(name)):
                r, c = _pattern(op, port, graph.op(source).size)
                rows.add(r + self.first[name])
                columns.add(c + self.place(source, delayed))
        for reader, own in enumerate(inputs, self.total):
            for source, first, stop in own:
                columns.add(np.arange(first, stop) + self.place(source, delayed=False))
                rows.add(np.full(stop - first, reader))
        return rows.whole(), columns.whole()


def _pattern(op: g.Operator, port: str, size: int) -> tuple[Ints, Ints]:
    """(output component, input component) of every dependence of an operator on an input of `size`
    components.
    """
    if isinstance(op, (pl.Weights, pl.Learned)) and pl.needed(op, port, np.zeros(op.size, bool), size).all():
        return _all_on_all(op.size, size)
    if isinstance(op, ch.Change):
        return np.zeros(size, np.int64), np.arange(size)
    if isinstance(op, g.Product):
        if isinstance(op.matrix, np.ndarray):
            r, c = np.nonzero(op.matrix)
        else:
            coo = op.matrix.tocoo()
            r, c = coo.row[coo.data != 0], coo.col[coo.data != 0]
        return r.astype(np.int64), c.astype(np.int64)
    if isinstance(op, g.Function):
        return _all_on_all(op.size, size)
    if isinstance(op, pl.Entries):
        return np.arange(op.size), np.arange(op.size) // op.columns
    return np.arange(op.size), np.arange(op.size)


def _all_on_all(rows: int, columns: int) -> tuple[Ints, Ints]:
    return np.repeat(np.arange(rows), columns), np.tile(np.arange(columns), rows)


def _readers(graph: g.Graph) -> tuple[list[tuple[str, ...]], list[tuple[Input, ...]]]:
    """Atoms grouped by what they read, then probes of values; and what each reads."""
    shared: dict[tuple[Input, ...], list[str]] = {}
    for name, op in graph.nodes(g.PLACED):
        inputs = []
        for source, port in graph.input_ports(name):
            if port in ("arriving", "after"):
                continue
            first, stop = (0, graph.op(source).size) if port == "x" else (op.start, op.start + op.size)
            inputs.append((source, first, stop))
        shared.setdefault(tuple(inputs), []).append(name)
    names, keys = [tuple(members) for members in shared.values()], list(shared)
    for name in value_probes(graph):
        names.append((name,))
        keys.append(tuple((source, 0, graph.op(source).size) for source in graph.inputs(name)))
    return names, keys


def value_probes(graph: g.Graph) -> list[str]:
    """Probes of a value that one partition must record: not of an exact sum, nor of the state of neurons."""
    return [
        name
        for name, _ in graph.nodes(g.Probe)
        if any(not isinstance(graph.op(s), (g.ExactSum, pj.Spikes, g.Atom)) for s in graph.inputs(name))
    ]


def separable(graph: g.Graph) -> bool:
    """Whether no exact sum is needed in the step that makes it, so that every atom can be anywhere."""
    alone = not _relatives(graph) and not _in_order(graph)
    return alone and all(
        isinstance(graph.op(reader), g.Probe) or pl.reads_after(graph, reader)
        for name, _ in graph.nodes(g.ExactSum)
        for reader, _ in graph.readers(name)
    )


def _in_order(graph: g.Graph) -> list[tuple[str, str]]:
    """Pairs of atoms of one population that must be together, since the second draws numbers after the
    first.
    """
    first: dict[str, str] = {}
    pairs = []
    for name, op in graph.nodes(g.Atom):
        if isinstance(op.neurons.neuron, Converted) and op.neurons.neuron.in_order:
            of_all = first.setdefault(name.rpartition("#")[0], name)
            pairs += [(of_all, name)] * (of_all != name)
    return pairs


def _relatives(graph: g.Graph) -> list[tuple[str, str]]:
    """Pairs of host calls of one family."""
    first: dict[int, str] = {}
    found = [(first.setdefault(op.family, name), name) for name, op in graph.nodes(g.HostCall)]
    return [(a, b) for a, b in found if a != b]


def groups(graph: g.Graph, who: Reads) -> tuple[tuple[str, ...], ...]:
    """Atoms that must share a partition, as groups in the order of the graph."""
    atoms = [name for name, _ in graph.nodes(g.PLACED)]
    number = {name: k for k, name in enumerate(atoms)}
    pairs = [(number[a], number[b]) for a, b in (*_relatives(graph), *_in_order(graph))]
    for k, names in enumerate(who.readers):
        sums = who.sums_now.of(k)
        together = [number[n] for n in names if n in number] if sums else []
        for s, _ in sums:
            together += [number[a] for a in graph.inputs(who.sums[s], "activity")]
        pairs += [(together[0], other) for other in together[1:]]
    members: dict[int, list[str]] = {}
    for name, k in zip(atoms, _joined(len(atoms), pairs), strict=True):
        members.setdefault(k, []).append(name)
    return tuple(tuple(names) for names in members.values())


def _joined(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """For each of so many the first of all that pairs lead to from it.

    SciPy's graphs have this too, but take 11 MB and 40 ms to load.
    """
    first = list(range(count))

    def found(k: int) -> int:
        while first[k] != k:
            first[k] = first[first[k]]
            k = first[k]
        return k

    for a, b in pairs:
        one, other = sorted((found(a), found(b)))
        first[other] = one
    return [found(k) for k in range(count)]


def hypergraph(
    graph: g.Graph, who: Reads, costs: dict[str, float], replicas: Floats | None = None
) -> Hypergraph:
    """Vertices weighted by the ns of their atoms; a hyperedge for components of a sum that the same readers
    need, and for other signals that they need, of which `replicas` has the ns of every component, if given.
    """
    members = groups(graph, who)
    vertex = {name: k for k, names in enumerate(members) for name in names}
    edges: dict[tuple[int, ...], int] = {}
    reading = [sorted({vertex[n] for n in names if n in vertex}) for names in who.readers]
    read_by = cache(lambda number: tuple(sorted({v for r in who.sets.of(number) for v in reading[r]})))
    owner, last, made_by = who.owner, -1, set[int]()
    pins_of: dict[int, tuple[int, ...]] = {}  # of components of one sum
    for column in np.flatnonzero(who.later).tolist():
        if owner[column] != last:
            last = int(owner[column])
            made_by = {vertex[a] for a in graph.inputs(who.sums[last], "activity")}
            pins_of.clear()
        readers = int(who.later[column])
        if readers not in pins_of:
            pins_of[readers] = tuple(sorted({*made_by, *read_by(readers)}))
        pins = pins_of[readers]
        edges[pins] = edges.get(pins, 0) + 1
    _add_spikes(graph, vertex, edges)
    work = {} if replicas is None else _replicated(who, replicas, read_by)
    kept = [pins for pins in {**edges, **work} if len(pins) > 1]
    weights = tuple(sum(costs[a] for a in names) for names in members)
    words, again = tuple(edges.get(p, 0) for p in kept), tuple(work.get(p, 0.0) for p in kept)
    return Hypergraph(members, weights, [array(kind(len(members)), pins) for pins in kept], words, again)


def kind(count: int) -> str:
    """Of arrays of numbers below `count`: there are many pins, and most models need two bytes for each."""
    return "H" if count <= 1 << 16 else "i"


def _replicated(
    who: Reads, cost: Floats, read_by: Callable[[int], tuple[int, ...]]
) -> dict[tuple[int, ...], float]:
    """By all vertices that need the same signals: ns of computing these, which each of their partitions
    does.
    """
    sizes = who.sets.sizes
    number: dict[tuple[int, ...], int] = {}
    own, work, numbers = np.zeros(len(sizes)), np.zeros(len(sizes)), np.zeros(len(sizes), np.int64)

    def add(sets: NDArray[Any], parts: Floats) -> None:
        for k in dict.fromkeys(sets.tolist()):
            numbers[k] = number.setdefault(read_by(k), len(number))
        np.add.at(work, numbers[sets], parts)

    blocks = [slice(first, first + BLOCK) for first in range(0, len(cost), BLOCK)]
    # What one reader needs alone is nearly everything, as a rule.
    for sets, parts in ((who.computed[block], cost[block]) for block in blocks):
        alone = sizes[sets] == 1
        np.add.at(own, sets[alone], parts[alone])
    add(np.flatnonzero(own), own[own > 0])
    for sets, parts in ((who.computed[block], cost[block]) for block in blocks):
        several = (sizes[sets] > 1) & (parts > 0)
        add(sets[several], parts[several])
    return dict(zip(number, work.tolist(), strict=False))


def _add_spikes(graph: g.Graph, vertex: dict[str, int], edges: dict[tuple[int, ...], int]) -> None:
    """A hyperedge from every atom of cells to all atoms that its spikes may reach: a word for each spike.

    Spikes are few: one word stands for those of a step.
    """
    for name, _ in graph.nodes(pj.Spikes):
        projections = [r for r, _ in graph.readers(name) if isinstance(graph.op(r), pj.Projection)]
        reached = {vertex[atom] for p in projections for atom, _ in graph.readers(p)}
        for atom in graph.inputs(name, "activity") if reached else []:
            pins = tuple(sorted(reached | {vertex[atom]}))
            edges[pins] = edges.get(pins, 0) + 1
