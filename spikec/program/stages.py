"""Stages from operators: the ragged arrays of each kind.

`at(name)` gives the places (in `values` or `before`) of the needed components of a signal; every builder
takes the operators of its stage as (name, operator) pairs in the order of the graph.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.program import layout as la
from spikec.program.forms import Form
from spikec.program.panels import panels
from spikec.program.synapses import Discrete

Ints = NDArray[np.int64]
Places = Callable[[str], Ints]


def ints(values: Sequence[Any]) -> Ints:
    return np.asarray(values, dtype=np.int64)


# So many are put together at a time: each is an object of a hundred bytes beside its numbers.
PIECES = 256


class Vector:
    """A vector under construction, of many small pieces."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = dtype
        self._pieces: list[NDArray[Any]] = []
        self._long: list[NDArray[Any]] = []

    def add(self, piece: NDArray[Any]) -> None:
        self._pieces.append(np.ravel(piece))
        if len(self._pieces) == PIECES:
            self._join()

    def _join(self) -> None:
        self._long.append(np.concatenate(self._pieces, dtype=self._dtype, casting="unsafe"))
        self._pieces.clear()

    def whole(self) -> NDArray[Any]:
        """All pieces, one after the other; empty where there are none."""
        if self._pieces:
            self._join()
        if len(self._long) == 1:
            return self._long[0]
        return np.concatenate(self._long) if self._long else np.zeros(0, self._dtype)


def joined(parts: Iterable[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    """One vector of all `parts`; empty where there are none."""
    made = Vector(dtype)
    for part in parts:
        made.add(part)
    return made.whole()


@lru_cache(maxsize=256)
def whole(size: int) -> Ints:
    """All components of a signal: one array for all that are so long, not to be changed."""
    made = np.arange(size)
    made.flags.writeable = False
    return made


def lowpass(synapses: Sequence[Discrete], counts: Sequence[int], sources: Ints, dtype: str) -> la.Lowpass:
    """value = decay * value + gain * before[source].

    counts: components of each synapse; sources: the places that these read, synapse after synapse.
    """
    decay = np.repeat([s.A[0] for s in synapses], counts)
    gain = np.repeat([s.B[0] * s.C[0] for s in synapses], counts)
    arrays = {"source": sources, "decay": decay.astype(dtype), "gain": gain.astype(dtype)}
    return la.Lowpass("lowpass", arrays, {"value": la.zeros(len(sources), dtype)}, len(synapses))


def state_space(
    synapses: Sequence[Discrete], counts: Sequence[int], sources: Ints, dtype: str
) -> la.StateSpace:
    """Filters of any order, for `StateSpace` of the runtime; the rest as in `lowpass`."""
    rows, coefficients, state = [], [], 0
    start = 0
    for s, count in zip(synapses, counts, strict=True):
        rows.append((s.order, count, state, start, s.direct))
        block = np.array([*s.A, *s.B, *s.C, s.D])
        coefficients.append(block)
        start, state = start + len(block), state + s.order * count
    arrays = {
        "sources": sources,
        "filters": ints(rows).reshape(-1, 5),
        "coefficients": joined(coefficients, dtype),
    }
    return la.StateSpace("synapse", arrays, {"x": la.zeros(state, dtype)}, len(synapses))


def delays(steps: Sequence[int], counts: Sequence[int], sources: Ints, dtype: str) -> la.Delays:
    """Delays of so many steps; the rest as in `lowpass`."""
    lengths = np.repeat(ints(steps) - 1, counts)
    arrays = {"sources": sources, "lengths": lengths}
    return la.Delays("delayed", arrays, {"buffer": la.zeros(int(lengths.sum()), dtype)}, len(steps))


def constants(operators: Sequence[tuple[g.Constant, Ints]], dtype: str) -> la.Constants:
    values = [np.asarray(op.value)[rows] for op, rows in operators]
    return la.Constants("constant", {"value": joined(values, dtype)}, {}, len(operators))


def expressions(name: str, operators: Sequence[tuple[Form, Ints]]) -> la.Expressions:
    """Functions of one form; each with the places of its argument.  Output i of function j is at i *
    functions + j.
    """
    form = operators[0][0]
    arrays: dict[str, NDArray[Any]] = {}
    if form.steps:
        arrays["steps"] = np.arange(form.steps[0]) * form.steps[1]
    if form.constants:
        arrays["constants"] = np.array([f.constants for f, _ in operators], np.float64).T.copy()
    if form.reads:
        arrays["arguments"] = np.stack([places for _, places in operators], axis=1).ravel()
    arguments = len(operators[0][1])
    return la.Expressions(name, arrays, {}, len(operators), form.outputs, arguments, form.tables)


def tables(operators: Sequence[tuple[g.Table, Ints]], dtype: str) -> la.Tables:
    """Tables with the components of each that are needed."""
    rows, first, sample = [], 0, 0
    for op, chosen in operators:
        rows.append((first, len(op.starts), op.period, sample, op.size, len(chosen)))
        first, sample = first + len(op.starts), sample + op.samples.size
    arrays = {
        "samples": joined([op.samples for op, _ in operators], dtype),
        "starts": joined([op.starts for op, _ in operators], np.int64),
        "tables": ints(rows).reshape(-1, 6),
        "columns": joined([chosen for _, chosen in operators], np.int64),
    }
    return la.Tables("table", arrays, {}, len(operators))


def noise(operators: Sequence[tuple[g.Noise, Ints]], dt: float, dtype: str) -> la.NoiseSources:
    parameters, keys = [], []
    for op, chosen in operators:
        scale = dt**-0.5 if op.scale else 1.0
        parameters += [(op.distribution == "gaussian", op.a * scale, op.b * scale)] * len(chosen)
        keys += [_key(op, int(component)) for component in chosen]
    arrays = {"parameters": np.array(parameters, dtype), "keys": np.array(keys, np.uint64)}
    return la.NoiseSources("random", arrays, {}, len(operators))


def _key(op: g.Noise, component: int) -> int:
    digest = hashlib.sha256(f"{op.seed}\0{op.key}\0{component}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


# Bytes of a vector of the kernels.
VECTOR = 64
# Entries of a matrix that are looked at together: what is made of them for a moment stays small.
BLOCK_ENTRIES = 1 << 13


Terms: TypeAlias = "Sequence[tuple[g.Matrix | None, Ints]]"


def linear(name: str, sums: Iterable[tuple[Terms, Ints]], dtype: str) -> la.Linear:
    """One sparse matrix for many sums of products.

    sums: of each node its terms (matrix or None for the identity, places of its argument by component) and
    the components that are needed.  Terms of a row stay in the order in which they were connected.  An entry
    takes 4 bytes in float32, and 4 for its column where these do not follow each other.
    """
    counts, columns, values = Vector(np.int64), Vector(np.int32), Vector(dtype)
    operators = 0
    for terms, needed in sums:
        operators += 1
        entries = sum(_count(matrix, len(needed)) for matrix, _ in terms)
        height = max(1, BLOCK_ENTRIES * len(needed) // max(1, entries))
        for first in range(0, len(needed), height):
            block = needed[first : first + height]
            r, c, v = _block(terms, block)
            counts.add(np.bincount(r, minlength=len(block)))
            columns.add(c.astype(np.int32))
            values.add(v.astype(dtype))
    lanes = VECTOR // np.dtype(dtype).itemsize
    arrays = panels(counts.whole(), columns.whole(), values.whole(), lanes)
    return la.Linear(name, arrays, {}, operators)


def _count(matrix: g.Matrix | None, rows: int) -> int:
    """Entries stored of a matrix, or of the identity of so many rows."""
    if matrix is None:
        return rows
    return matrix.size if isinstance(matrix, np.ndarray) else matrix.nnz


def _block(terms: Terms, needed: Ints) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Row (among the needed), place and value of every entry of all `terms`, row after row."""
    found = [(places, *_entries(matrix, needed)) for matrix, places in terms]
    r = joined([rows for _, rows, _, _ in found], np.int64)
    c = joined([places[columns] for places, _, columns, _ in found], np.int64)
    v = joined([values for _, _, _, values in found], np.float64)
    if len(terms) < 2:
        return r, c, v
    order = np.argsort(r, kind="stable")
    return r[order], c[order], v[order]


def _entries(matrix: g.Matrix | None, needed: Ints) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Row (among the needed), column and value of every entry that is not 0, row after row."""
    if matrix is None:
        return np.arange(len(needed)), needed, np.ones(len(needed))
    if isinstance(matrix, np.ndarray):
        chosen = matrix[needed]
        r, c = np.nonzero(chosen)
        return r, c, chosen[r, c]
    chosen = matrix if len(needed) == matrix.shape[0] else matrix[needed]
    r = np.repeat(np.arange(len(needed)), np.diff(chosen.indptr))
    return r, chosen.indices.astype(np.int64), chosen.data
