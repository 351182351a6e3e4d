"""The hypergraph to be partitioned: groups of atoms that must stay together, and what they read of each
other.

Which components of which exact sums an atom needs is found for all atoms at once, by sparse boolean
products: component i of a signal depends
on components j of the operator's inputs, back to exact sums.  Where an exact sum is read in the step that
makes it (no
synapse in between), all atoms that make it and all that need it so must share a partition.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec import plasticity as pl
from spikec import projections as pj
from spikec.nef.converted import Converted
from spikec.planning.replicas import Floats, signals
from spikec.program.stages import Vector
from spikec.program.wires import LONGEST_WINDOW
from spikec.records import dataclass

if TYPE_CHECKING:
    import scipy.sparse as sp

Ints = NDArray[np.int64]
# What is read of a signal: its name, the first component and the one after the last.
Input: TypeAlias = tuple[str, int, int]
MEMORY = (g.Filter, g.Delay)
# Each is planned in full.
MOST_WINDOWS = 3


@dataclass(frozen=True, eq=False)
class Reads:
    """Who needs which components of the exact sums.

    readers: atoms that read the same (an entry lists their names), then one entry for every probe of a value.
    sums: names; firsts: column of each one's first component, with the number of columns at the end.
    later: readers x columns, components needed a step (or a window) later; now: those needed before, in the
    step that makes them as a rule.  computed: readers x components of all other signals (`replicas.signals`,
    one after the other), those needed on the way.
    """

    readers: tuple[tuple[str, ...], ...]
    sums: tuple[str, ...]
    firsts: Ints
    later: sp.csr_array
    now: sp.csr_array
    computed: sp.csr_array


@dataclass(frozen=True, eq=False)
class Hypergraph:
    """Vertices are groups of atoms.  Hyperedge e joins vertices pins[e]: in every partition that has one of
    them beside the first, words[e] numbers more per step cross the cut, and work[e] ns are computed again.
    """

    groups: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...]
    pins: tuple[tuple[int, ...], ...]
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
    frontier = columns.wanted(inputs)
    size = columns.size
    reached = frontier
    while frontier.nnz:
        frontier = frontier @ columns.depends > reached
        reached = reached + frontier  # or: they are boolean
    later = reached[:, size : size + columns.sums_size]
    now = reached[:, size + columns.sums_size :]
    names = tuple(readers)
    return Reads(names, tuple(columns.sums), columns.firsts, later, now, reached[:, :size])


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
        self.depends = self._depends(graph)

    def place(self, source: str, delayed: bool) -> int:
        """Number of the first component of `source`, as read by an operator with or without a delay."""
        if source in self.first:
            return self.first[source]
        first: int = self.sum_first[source]
        return self.size + first + (0 if delayed else self.sums_size)

    def _depends(self, graph: g.Graph) -> sp.csr_array:
        rows, columns = Vector(np.int64), Vector(np.int64)
        for name, op in graph.nodes():
            if name not in self.first:
                continue
            delayed = pl.reads_after(graph, name) >= self.window
            for source, port in dict.fromkeys(graph.input_ports(name)):
                r, c = _pattern(op, port, graph.op(source).size)
                rows.add(r + self.first[name])
                columns.add(c + self.place(source, delayed))
        return _matrix(rows, columns, (self.total, self.total))

    def wanted(self, inputs: Collection[tuple[Input, ...]]) -> sp.csr_array:
        """readers x components: what each reads itself."""
        rows, columns = Vector(np.int64), Vector(np.int64)
        for k, own in enumerate(inputs):
            for source, first, stop in own:
                columns.add(np.arange(first, stop) + self.place(source, delayed=False))
                rows.add(np.full(stop - first, k, np.int64))
        return _matrix(rows, columns, (len(inputs), self.total))


def _matrix(rows: Vector, columns: Vector, shape: tuple[int, int]) -> sp.csr_array:
    r, c = rows.whole(), columns.whole()
    import scipy.sparse as sp

    return sp.csr_array((np.ones(len(r), bool), (r, c)), shape=shape)


def _pattern(op: g.Operator, port: str, size: int) -> tuple[Ints, Ints]:
    """(output component, input component) of every dependence of an operator on an input of `size`
    components.
    """
    if isinstance(op, (pl.Weights, pl.Learned)) and pl.needed(op, port, np.zeros(op.size, bool), size).all():
        return _all_on_all(op.size, size)
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
    owner = _owner_of_columns(who)
    for k, names in enumerate(who.readers):
        columns = who.now.indices[who.now.indptr[k] : who.now.indptr[k + 1]]
        together = [number[n] for n in names if n in number] if len(columns) else []
        for s in np.unique(owner[columns]):
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


def _owner_of_columns(who: Reads) -> Ints:
    """Number of the exact sum to which each column belongs."""
    return np.repeat(np.arange(len(who.sums)), np.diff(who.firsts))


def hypergraph(
    graph: g.Graph, who: Reads, costs: dict[str, float], replicas: Floats | None = None
) -> Hypergraph:
    """Vertices weighted by the ns of their atoms; a hyperedge for components of a sum that the same readers
    need, and for other signals that they need, of which `replicas` has the ns of every component, if given.
    """
    members = groups(graph, who)
    vertex = {name: k for k, names in enumerate(members) for name in names}
    readers = who.later.tocsc()
    owner = _owner_of_columns(who)
    edges: dict[tuple[int, ...], int] = {}
    reading = [tuple(sorted({vertex[n] for n in names if n in vertex})) for names in who.readers]
    last, made_by = -1, set[int]()
    pins_of: dict[bytes, tuple[int, ...]] = {}  # of components of one sum
    for column in np.flatnonzero(np.diff(readers.indptr)).tolist():
        who_reads = readers.indices[readers.indptr[column] : readers.indptr[column + 1]]
        if owner[column] != last:
            last = int(owner[column])
            made_by = {vertex[a] for a in graph.inputs(who.sums[last], "activity")}
            pins_of.clear()
        key = who_reads.tobytes()
        if key not in pins_of:
            pins_of[key] = tuple(sorted({*made_by, *(v for r in who_reads.tolist() for v in reading[r])}))
        pins = pins_of[key]
        edges[pins] = edges.get(pins, 0) + 1
    _add_spikes(graph, vertex, edges)
    work = {} if replicas is None else _replicated(who, replicas, reading)
    kept = [pins for pins in {**edges, **work} if len(pins) > 1]
    weights = tuple(sum(costs[a] for a in names) for names in members)
    words, again = tuple(edges.get(p, 0) for p in kept), tuple(work.get(p, 0.0) for p in kept)
    return Hypergraph(members, weights, tuple(kept), words, again)


def _replicated(who: Reads, cost: Floats, reading: Sequence[Sequence[int]]) -> dict[tuple[int, ...], float]:
    """By all vertices that need the same signals: ns of computing these, which each of their partitions
    does.
    """
    needed = who.computed.tocsc()
    count = np.diff(needed.indptr) * (cost > 0)
    work: dict[tuple[int, ...], float] = {}
    # What one reader needs alone is nearly everything, as a rule.
    alone = np.flatnonzero(count == 1)
    own = np.bincount(needed.indices[needed.indptr[alone]], cost[alone], len(reading))
    for reader in np.flatnonzero(own).tolist():
        pins = tuple(reading[reader])
        work[pins] = work.get(pins, 0.0) + float(own[reader])
    for column in np.flatnonzero(count > 1).tolist():
        readers = needed.indices[needed.indptr[column] : needed.indptr[column + 1]]
        pins = tuple(sorted({v for r in readers.tolist() for v in reading[r]}))
        work[pins] = work.get(pins, 0.0) + float(cost[column])
    return work


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
