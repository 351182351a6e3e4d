"""What a partition must compute: which components of which signals its atoms and probes need.

Everything but the atoms is computed wherever it is needed, in several partitions if need be: it is cheap,
and a function of exact sums and of time alone, so that every copy has the same value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spikec import changes as ch
from spikec import graph as g
from spikec import plasticity as pl
from spikec import projections as pj
from spikec.records import dataclass

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Demand:
    """Nodes with the components (a mask each) that are needed, in the order of the graph."""

    masks: dict[str, Mask]

    def __contains__(self, name: str) -> bool:
        return name in self.masks


def demand(graph: g.Graph, atoms: Iterable[str], probes: Iterable[str]) -> Demand:
    """Components needed to compute `atoms` and to record `probes`, back to exact sums and sources."""
    masks: dict[str, Mask] = {}
    changed: set[str] = set()

    def want(name: str, mask: Mask) -> None:
        known = masks.get(name)
        if known is None and mask.any():
            masks[name] = _whole(len(mask)) if mask.all() else mask.copy()
        elif known is not None and (mask > known).any():
            known |= mask
        else:
            return
        if not isinstance(graph.op(name), g.ExactSum):
            changed.add(name)

    _roots(graph, atoms, probes, want)
    order = _readers_first(graph, list(masks))
    while changed:  # once, but for loops of filters without neurons
        for name in order:
            if name in changed:
                changed.discard(name)
                for source, port in dict.fromkeys(graph.input_ports(name)):
                    want(source, _needed(graph.op(name), port, masks[name], graph.op(source).size))
    return Demand({name: masks[name] for name in graph if name in masks})


@lru_cache(maxsize=256)
def _whole(size: int) -> Mask:
    """All components of a signal: one mask for all that are so long.  Nothing can be added to it."""
    made = np.ones(size, bool)
    made.flags.writeable = False
    return made


def is_whole(mask: Mask) -> bool:
    """Whether all components are needed: most often that is known of the mask."""
    return not mask.flags.writeable or bool(mask.all())


def _readers_first(graph: g.Graph, roots: list[str]) -> list[str]:
    """What leads to `roots`, but exact sums: readers before what they read, except around loops."""
    found: list[str] = []
    seen: set[str] = set()
    work = [(name, False) for name in roots]
    while work:  # depth first: a name is found after all that it reads
        name, done = work.pop()
        if done:
            found.append(name)
        elif name not in seen and not isinstance(graph.op(name), g.ExactSum):
            seen.add(name)
            work.append((name, True))
            work += [(source, False) for source in graph.inputs(name)]
    found.reverse()
    return found


def _roots(
    graph: g.Graph, atoms: Iterable[str], probes: Iterable[str], want: Callable[[str, Mask], None]
) -> None:
    """Want what the atoms and probes read themselves; lists of spikes are no signals with components."""
    for atom in atoms:
        op = graph.op(atom)
        for source, port in graph.input_ports(atom):
            if port in ("arriving", "after"):
                continue
            mask = np.zeros(graph.op(source).size, bool)
            mask[slice(None) if port == "x" else slice(op.start, op.start + op.size)] = True
            want(source, mask)
    for probe in probes:
        for source in (*graph.inputs(probe, "x"), *graph.inputs(probe, "weights")):
            if not isinstance(graph.op(source), pj.Spikes):
                want(source, np.ones(graph.op(source).size, bool))


def _needed(op: g.Operator, port: str, mask: Mask, size: int) -> Mask:
    """Components of the input on a port (of length `size`) that the components `mask` of the output need."""
    if isinstance(op, (pl.Weights, pl.Learned)):
        return pl.needed(op, port, mask, size)
    if isinstance(op, g.Product):
        if isinstance(op.matrix, np.ndarray):
            return np.asarray(op.matrix[mask].any(axis=0))
        columns = np.zeros(size, bool)
        columns[op.matrix.indices[np.repeat(mask, np.diff(op.matrix.indptr))]] = True
        return columns
    if isinstance(op, (g.Function, ch.Change)):
        return np.ones(size, bool)
    return mask


def absorbed(graph: g.Graph) -> Collection[str]:
    """Products that are terms of sums and nothing else: they need no signal of their own.

    Where several sums read one, it is computed in each, which costs nothing where it has one entry a row.
    """
    found = []
    for name, op in graph.nodes(g.Product):
        readers = graph.readers(name)
        only_sums = all(isinstance(graph.op(reader), g.Sum) for reader, _ in readers)
        if only_sums and (len(readers) == 1 or _selects(op.matrix)):
            found.append(name)
    return dict.fromkeys(found)  # a set would take three times the memory


def _selects(matrix: g.Matrix) -> bool:
    """Whether no row of a matrix has more than one entry."""
    if isinstance(matrix, np.ndarray):
        return bool((np.count_nonzero(matrix, axis=1) <= 1).all())
    return bool((np.diff(matrix.indptr) <= 1).all())
