"""Slices and transforms to sparse products: from parts of source signals to parts of target sums.

Vectors of many pieces (arrays) are never joined by one wide matrix per piece: pieces are connected one by
one, and where a matrix needs the whole vector it is gathered in a tree.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.errors import Span
from spikec.language.lower_nodes import Nodes
from spikec.records import dataclass
from spikec.sparse import SMALL, compact, pointers, shared, single

if TYPE_CHECKING:
    import scipy.sparse as sp

# Pieces joined by one sum; each costs a sparse matrix with as many rows as the sum.
FAN_IN = 128

Edge = tuple[str, str]
Components: TypeAlias = range | tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """Components `taken` of the signal of `node`, which has `size`."""

    node: str
    taken: Components
    size: int

    @property
    def whole(self) -> bool:
        return self.taken == range(self.size)


def matrix(rows: int, columns: int, i: NDArray[np.int64], j: NDArray[np.int64], values: g.Array) -> g.Matrix:
    """A matrix from its entries (equal places add): dense, or CSR where mostly zero."""
    if rows * columns < SMALL:
        if len(i) == 1 == min(rows, columns):
            return single(rows, columns, int(i[0] + j[0]), float(values[0]))
        small = np.zeros((rows, columns))
        np.add.at(small, (i, j), values)
        return small
    import scipy.sparse as sp

    if len(i) == 1 or (np.diff(i) > 0).all():
        # One entry in a row at most, in order: this is CSR already, and there may be very many of these.
        if i[-1] - i[0] == len(i) - 1:
            ends = pointers(rows, int(i[0]), len(i))
        else:
            ends = np.searchsorted(i, np.arange(rows + 1)).astype(np.int32)
        return compact(sp.csr_array((values, j.astype(np.int32), ends), shape=(rows, columns)))
    sparse = sp.csr_array(sp.coo_array((values, (i, j)), shape=(rows, columns)))
    sparse.sum_duplicates()
    return compact(shared(sparse))


def route(
    nodes: Nodes,
    name: str,
    sources: list[Part],
    targets: list[Part],
    transform: float | g.Matrix | None,
    span: Span | None,
) -> list[Edge]:
    """Connect sources, side by side, through a transform to targets; gives the edges into targets."""
    if isinstance(transform, np.ndarray):
        return _dense(nodes, name, sources, targets, transform, span)
    if transform is not None and not isinstance(transform, float | int):
        return _sparse(nodes, name, sources, targets, transform, span)
    return _aligned(nodes, name, sources, targets, 1.0 if transform is None else transform, span)


def dense(transform: float | g.Matrix | None) -> float | g.Array | None:
    """A transform whose matrix, if it is one, is dense."""
    if transform is None or isinstance(transform, float | int | np.ndarray):
        return transform
    return np.asarray(transform.toarray())


def _sparse(
    nodes: Nodes, name: str, sources: list[Part], targets: list[Part], m: sp.csr_array, span: Span | None
) -> list[Edge]:
    """A sparse matrix over all sources and targets, in one product."""
    node, _ = gather(nodes, f"{name}.gathered", sources, span)
    product = nodes.graph.add(f"{name}.matrix", g.Product(size=m.shape[0], span=span, matrix=compact(m)))
    nodes.graph.connect(node, product)
    return _aligned(nodes, name, [Part(product, range(m.shape[0]), m.shape[0])], targets, 1.0, span)


def _aligned(
    nodes: Nodes, name: str, sources: list[Part], targets: list[Part], factor: float, span: Span | None
) -> list[Edge]:
    """Entry k of the sources goes to entry k of the targets, times `factor`."""
    edges = []
    several = len(sources) > 1 or len(targets) > 1
    for s, a, t, b, count in _overlaps(sources, targets):
        source, target = sources[s], targets[t]
        taken, put = source.taken[a : a + count], target.taken[b : b + count]
        node = source.node
        if factor != 1.0 or not (taken == range(source.size) and put == range(target.size)):
            label = f"{name}.product.{s}.{t}" if several else f"{name}.product"
            # By sizes and components: pieces are many, and most of them alike.
            what = ("product", target.size, source.size, put, taken, factor)
            node = nodes.after(source.node, label, nodes.operator(what, partial(_placing, *what[1:], span)))
        nodes.graph.connect(node, target.node)
        edges.append((node, target.node))
    return edges


def _placing(
    rows: int, columns: int, i: Components, j: Components, factor: float, span: Span | None
) -> g.Product:
    """Component j[k], times `factor`, at place i[k]."""
    m = matrix(rows, columns, np.array(i), np.array(j), np.full(len(i), factor))
    return g.Product(size=rows, span=span, matrix=m)


def _overlaps(sources: list[Part], targets: list[Part]) -> list[tuple[int, int, int, int, int]]:
    """(source, offset in it, target, offset in it, length) of every run that lies in one of each."""
    runs = []
    s = t = a = b = 0
    while s < len(sources) and t < len(targets):
        count = min(len(sources[s].taken) - a, len(targets[t].taken) - b)
        if count:
            runs.append((s, a, t, b, count))
        a, b = a + count, b + count
        if a == len(sources[s].taken):
            s, a = s + 1, 0
        if b == len(targets[t].taken):
            t, b = t + 1, 0
    return runs


def _dense(
    nodes: Nodes, name: str, sources: list[Part], targets: list[Part], m: g.Array, span: Span | None
) -> list[Edge]:
    """A matrix over all sources and targets: block by block where few hold anything, else gathered first."""
    row_ends = np.cumsum([0, *(len(t.taken) for t in targets)])
    column_ends = np.cumsum([0, *(len(s.taken) for s in sources)])
    # All blocks may be filled: their numbers are listed only where they are few.
    blocks = _blocks_filled(m, row_ends[:-1], column_ends[:-1])
    if len(blocks) > len(sources) + len(targets):
        node, _ = gather(nodes, f"{name}.gathered", sources, span)
        product = nodes.graph.add(f"{name}.matrix", g.Product(size=m.shape[0], span=span, matrix=compact(m)))
        nodes.graph.connect(node, product)
        return _aligned(nodes, name, [Part(product, range(m.shape[0]), m.shape[0])], targets, 1.0, span)
    edges = []
    for s, t in blocks.tolist():
        block = m[row_ends[t] : row_ends[t + 1], column_ends[s] : column_ends[s + 1]]
        label = f"{name}.product.{s}.{t}" if len(sources) + len(targets) > 2 else f"{name}.product"
        node = nodes.graph.add(
            label, g.Product(size=targets[t].size, span=span, matrix=_placed(block, sources[s], targets[t]))
        )
        nodes.graph.connect(sources[s].node, node)
        nodes.graph.connect(node, targets[t].node)
        edges.append((node, targets[t].node))
    return edges


def _blocks_filled(m: g.Array, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """(column block, row block), in order, of the blocks that hold anything; `rows`, `columns`: their starts.

    A byte for each entry is all that it takes: a matrix between neurons may be most of the memory there is.
    """
    filled = np.logical_or.reduceat(np.logical_or.reduceat(m != 0, rows, axis=0), columns, axis=1)
    return np.argwhere(filled.T)


def _placed(block: g.Array, source: Part, target: Part) -> g.Matrix:
    """`block` with its columns at the components taken of the source and its rows at those of the target."""
    if source.whole and target.whole:
        return compact(np.ascontiguousarray(block))
    i, j = np.nonzero(block)
    rows, columns = np.array(target.taken)[i], np.array(source.taken)[j]
    return matrix(target.size, source.size, rows, columns, block[i, j])


def gather(nodes: Nodes, name: str, parts: list[Part], span: Span | None) -> tuple[str, int]:
    """A node whose signal is the parts one after the other, and its size."""
    total = sum(len(p.taken) for p in parts)
    if len(parts) == 1 and parts[0].whole:
        return parts[0].node, total
    level = 0
    while len(parts) > FAN_IN:
        groups = [parts[k : k + FAN_IN] for k in range(0, len(parts), FAN_IN)]
        parts = [_joined(nodes, f"{name}.join.{level}.{k}", group, span) for k, group in enumerate(groups)]
        level += 1
    joined = _joined(nodes, f"{name}.join", parts, span)
    return joined.node, total


def pick(nodes: Nodes, name: str, parts: list[Part], span: Span | None) -> tuple[str, int]:
    """The same of sums: numbers picked of one are then picked of its terms, where that is less."""
    node, size = gather(nodes, name, parts, span)
    if not isinstance(nodes.graph.op(node), g.Product):
        return node, size
    picked = nodes.graph.add(f"{name}.picked", g.relay(size, span))
    nodes.graph.connect(node, picked)
    return picked, size


def _joined(nodes: Nodes, name: str, parts: list[Part], span: Span | None) -> Part:
    total = sum(len(p.taken) for p in parts)
    if len(parts) == 1:
        part = parts[0]
        m = matrix(total, part.size, np.arange(total), np.array(part.taken), np.ones(total))
        node = nodes.graph.add(name, g.Product(size=total, span=span, matrix=m))
        nodes.graph.connect(part.node, node)
        return Part(node, range(total), total)
    node = nodes.graph.add(name, g.Sum(size=total, span=span))
    _aligned(nodes, name, parts, [Part(node, range(total), total)], 1.0, span)
    return Part(node, range(total), total)
