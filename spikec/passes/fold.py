"""Fold: what does not change in time is computed by the compiler, and neighbouring matrices become one.

    function of constants            ->  constant
    product of a constant            ->  constant
    product of a product             ->  one product, unless that has more entries than both
    sum with a single term           ->  the term itself, where it stands in one piece or need not
    sum of products into products    ->  products past the sum, unless that has more entries

The last two remove relays.  A sum of m terms into n readers stays, where removing it would make m x n
products of so many; that is seen from the numbers of entries, before any product is made.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.expressions import evaluate_all, uses_time
from spikec.records import dataclass
from spikec.sparse import multiply

log = logging.getLogger(__name__)

# Signals of these stand in one piece and in order, as neurons need their input.
IN_ONE_PIECE = (g.Sum, g.Filter, g.Delay)
# These read a signal component by component.
IN_ANY_PIECES = (g.Sum, g.Product, g.Filter, g.Delay, g.Function, g.Probe)
# What one rule leaves may be another's: sweeps end when nothing changes, long before this.
MAX_SWEEPS = 32

Counts = NDArray[np.int64]


def fold(graph: g.Graph) -> g.Graph:
    """Apply the rules above until none applies."""
    result = graph.copy()
    for _ in range(MAX_SWEEPS):
        changes = 0
        # What comes first is folded first: A (B C) whatever the order in which the graph was made.
        order = result.order()
        for rule in (_constants, _products, _single_terms, _relays):
            count = sum(rule(result, name) for name in order if name in result)
            if count:
                log.info("fold: %s applied %d times", rule.__name__.strip("_"), count)
            changes += count
        if not changes:
            break
    return result


def pass_on(graph: g.Graph) -> g.Graph:
    """Let sums with a single term be the term itself, as `fold` does: what is rounded first depends on it."""
    result = graph.copy()
    for name in result.order():
        if name not in result or _single_terms(result, name):
            continue
        if len(result.inputs(name)) == len(result.readers(name)) == 1:
            _relays(result, name)
    return result


def entries(matrix: g.Matrix) -> int:
    """Entries of a matrix that are not 0."""
    return int(np.count_nonzero(matrix) if isinstance(matrix, np.ndarray) else matrix.nnz)


@dataclass(frozen=True)
class Filled:
    """The rows or columns of a matrix that are not 0, and how many entries each has."""

    places: Counts
    counts: Counts


def columns(matrix: g.Matrix) -> Filled:
    """The columns of a matrix that are not 0."""
    if isinstance(matrix, np.ndarray):
        return _filled(np.count_nonzero(matrix, axis=0))
    return Filled(*np.unique(matrix.indices, return_counts=True))


def rows(matrix: g.Matrix) -> Filled:
    """The rows of a matrix that are not 0."""
    return _filled(
        np.count_nonzero(matrix, axis=1) if isinstance(matrix, np.ndarray) else np.diff(matrix.indptr)
    )


def _filled(counts: Counts) -> Filled:
    places = np.flatnonzero(counts)
    return Filled(places, counts[places])


def _constants(graph: g.Graph, name: str) -> bool:
    op = graph.op(name)
    if not isinstance(op, g.TimeFunction | g.Function | g.Product):
        return False
    if not isinstance(op, g.Product) and op.call:
        return False
    sources = graph.inputs(name)
    if not all(isinstance(graph.op(s), g.Constant) for s in sources):
        return False
    values = [np.array(graph.op(s).value) for s in sources]
    match op:
        case g.TimeFunction() | g.Function() if not any(uses_time(e) for e in op.expressions):
            x = values[0] if values else np.zeros(0)
            folded = evaluate_all(op.expressions, x[None, :])[0]
        case g.Product():
            folded = _applied(op.matrix, values[0])
        case _:
            return False
    _reconnect(graph, name, [])
    graph.replace(name, g.Constant(size=op.size, span=op.span, value=tuple(float(v) for v in folded)))
    return True


def _applied(matrix: g.Matrix, x: g.Array) -> g.Array:
    """matrix x, added up in the order of columns, whether the matrix is dense or not."""
    if isinstance(matrix, np.ndarray):
        r, c = np.nonzero(matrix)
        values = matrix[r, c]
    else:
        made = matrix.sorted_indices()
        r, c, values = np.repeat(np.arange(made.shape[0]), np.diff(made.indptr)), made.indices, made.data
    return np.asarray(np.bincount(r, values * x[c], matrix.shape[0]), np.float64)  # one after the other


def _products(graph: g.Graph, name: str) -> bool:
    op = graph.op(name)
    if not isinstance(op, g.Product):
        return False
    source = graph.inputs(name)[0]
    inner = graph.op(source)
    if not isinstance(inner, g.Product) or len(graph.readers(source)) > 1:
        return False
    most = entries(op.matrix) + entries(inner.matrix)
    if _at_least([columns(op.matrix)], [rows(inner.matrix)], inner.size) > most:
        log.info("fold: %s stays apart from %s: together they have more entries", name, source)
        return False
    matrix = multiply(op.matrix, inner.matrix)
    if entries(matrix) > most:
        log.info("fold: %s stays apart from %s: together they have %d entries", name, source, entries(matrix))
        return False
    _reconnect(graph, name, [(graph.inputs(source)[0], "x")])
    graph.replace(name, g.Product(size=op.size, span=op.span, matrix=matrix))
    graph.remove(source)
    return True


def _at_least(left: list[Filled], right: list[Filled], inner: int) -> int:
    """Entries that all products left[i] right[j] have together at the least.

    Column k of every left matrix by row k of every right one fills that many places, for any k below `inner`.
    """
    totals = [
        np.bincount(np.concatenate([f.places for f in side]), np.concatenate([f.counts for f in side]), inner)
        for side in (left, right)
    ]
    return int((totals[0] * totals[1]).max(initial=0))


def _single_terms(graph: g.Graph, name: str) -> bool:
    if not isinstance(graph.op(name), g.Sum):
        return False
    sources = graph.inputs(name)
    if len(sources) != 1:
        return False
    whole = isinstance(graph.op(sources[0]), IN_ONE_PIECE)
    ends = [end for end in graph.ends(name) if whole or isinstance(graph.op(end[0]), IN_ANY_PIECES)]
    if isinstance(graph.op(sources[0]), g.Product):
        # A product stays the term of sums, which relays are looked for by.
        alone = len(graph.readers(sources[0])) == 1
        if not alone or not _only_sums(graph, name):
            return False
    if not whole and not ends:
        return False
    for reader, port, place in ends:
        graph.connect(sources[0], reader, port, place)
    if len(ends) == len(graph.readers(name)):
        graph.remove(name)
    else:
        for reader in dict.fromkeys(reader for reader, _, _ in ends):
            graph.disconnect(name, reader)
    return True


def _relays(graph: g.Graph, name: str) -> bool:
    """Products read through a sum become products of the sum's own terms."""
    op = graph.op(name)
    if not isinstance(op, g.Sum) or not (readers := graph.readers(name)) or not graph.inputs(name):
        return False
    if not all(isinstance(graph.op(r), g.Product) and _only_sums(graph, r) for r, _ in readers):
        return False
    terms = [_term(graph, s) for s in graph.inputs(name)]
    matrices = [graph.op(r).matrix for r, _ in readers]
    before = sum(entries(m) for m, _ in terms) + sum(map(entries, matrices))
    needed, given = [columns(m) for m in matrices], [rows(m) for m, _ in terms]
    if _at_least(needed, given, op.size) > before:
        log.info("fold: relay %s stays: %d entries with it, more without", name, before)
        return False
    pairs = _that_meet(needed, given)
    products = sum(len(i) * len(j) for i, j in pairs)
    if products > len(terms) + len(readers):
        log.info("fold: relay %s stays: %d products would take its place", name, products)
        return False
    each = sorted(pair for i, j in pairs for pair in product(i, j))
    made = {(r, k): multiply(matrices[r], terms[k][0]) for r, k in each}
    after = sum(map(entries, made.values()))
    if after > before:
        log.info("fold: relay %s stays: %d entries with it, %d without", name, before, after)
        return False
    for (r, k), matrix in made.items():
        reader, source = readers[r][0], terms[k][1]
        if entries(matrix):
            span = graph.op(reader).span
            new = graph.add(f"{reader}~{k}", g.Product(size=matrix.shape[0], span=span, matrix=matrix))
            graph.connect(source, new)
            for target, port, place in graph.ends(reader):
                first = place if isinstance(place, tuple) else (place,)
                graph.connect(new, target, port, (*first, k))
    for reader, _ in readers:
        graph.remove(reader)
    _remove_with_terms(graph, name)
    return True


def _only_sums(graph: g.Graph, name: str) -> bool:
    """Whether sums read a signal, and nobody else."""
    readers = graph.readers(name)
    return bool(readers) and all(isinstance(graph.op(r), g.Sum) for r, _ in readers)


def _that_meet(left: list[Filled], right: list[Filled]) -> list[tuple[list[int], list[int]]]:
    """Pairs of lists: left[i] right[j] is not 0 where i is in the first of one, and j in the second."""
    alike = _alike(right)
    at: dict[int, list[bytes]] = {}
    for key, members in alike.items():
        for place in right[members[0]].places.tolist():
            at.setdefault(place, []).append(key)
    pairs = []
    for members in _alike(left).values():
        met = {key for place in left[members[0]].places.tolist() for key in at.get(place, ())}
        pairs += [(members, alike[key]) for key in met]
    return pairs


def _alike(side: list[Filled]) -> dict[bytes, list[int]]:
    """Numbers of those that are filled at the same places, as most are where they are many."""
    found: dict[bytes, list[int]] = {}
    for k, filled in enumerate(side):
        found.setdefault(filled.places.tobytes(), []).append(k)
    return found


def _term(graph: g.Graph, source: str) -> tuple[g.Matrix, str]:
    """A term of a sum as matrix and argument."""
    op = graph.op(source)
    if isinstance(op, g.Product):
        return op.matrix, graph.inputs(source)[0]
    import scipy.sparse as sp

    return sp.eye_array(op.size, format="csr"), source


def _remove_with_terms(graph: g.Graph, name: str) -> None:
    sources = graph.inputs(name)
    graph.remove(name)
    for source in dict.fromkeys(sources):
        if isinstance(graph.op(source), g.Product) and not graph.readers(source):
            graph.remove(source)


def _reconnect(graph: g.Graph, name: str, sources: Iterable[tuple[str, str]]) -> None:
    for source in dict.fromkeys(graph.inputs(name)):
        graph.disconnect(source, name)
    for source, port in sources:
        graph.connect(source, name, port)
