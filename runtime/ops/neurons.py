"""All neurons of one type in a partition, as one Op over ragged arrays.

For every atom (at most 256 neurons of one ensemble), while it is in cache:

    J = E x + b (+ injected current)          currents, dimensionless
    a, state = neuron(J, state)               activity: spikes in this step, or a rate in Hz
    y += round(D a)                           partial decoded sums, integers in units of 2 ** -exponent

Encoders E hold gain and radius, decoders D hold the scale of their sum (and amplitude / dt for spikes).  An
atom's arithmetic has the same shape wherever it runs, and integers add exactly, so the sums do not depend
on how atoms are spread over partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numba.extending import register_jitable
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops import simd
from spike_runtime.ops.converted import finisher, is_streamed
from spike_runtime.ops.kernel import KernelOp
from spike_runtime.ops.lif import VECTORS, by_line
from spike_runtime.ops.places import accumulate
from spike_runtime.ops.simd import every, fill, first, fma, load, pack, pointer, some, store, tile, total
from spike_runtime.ops.updates import UPDATES
from spike_runtime.status import NOT_FINITE

# Columns of the table of atoms.
COLUMNS = (
    "neuron",
    "count",
    "dims",
    "x",
    "encoder",
    "rows",
    "decoder",
    "sum",
    "gather",
    "current",
    "activity",
)
ATOM = len(COLUMNS)
# A partial sum must stay below this many units of its sum, so that some thousand of them fit 64 bits.
LIMIT = 2.0**52
# Atoms in the order of memory, which processors foresee.
RUN = 20


class Neurons(KernelOp):
    """(values, sums, state, status, atoms, parameters, encoders, bias, decoders, n[, keys[, drawn, streams]])
    -> (sums, state, status[, streams]).

    values: the signals of this step, floats.  sums: int64, added to.  state: (state variables) x neurons.
    status: int64[2], set to (NOT_FINITE, row) where a partial sum is not a number or out of range, or
    -1 - the place in `values` of an input that is not a number.  atoms: int64, atoms x len(COLUMNS).
    parameters: atoms x parameters of the neuron type.  encoders: dims x count per atom, bias: neurons.
    decoders: rows x count per atom, or count x rows where `gather` is set: at many rows it is cheaper to add
    the rows of the neurons that spiked than to multiply by zeros.  n: the step.  keys (uint64, one for each
    atom) are given to kinds that draw random numbers; drawn and streams (see `converted`) to those that take
    them from a stream.

    Every other step takes the atoms from the last to the first, in runs of `RUN`: what was used last is still
    in the cache.  Atoms that share a stream are always taken in their order.
    """

    __props__ = ("kind", "dtype")
    inplace: ClassVar[dict[int, int]] = {0: 1, 1: 2, 2: 3}
    # No reordering: the compiler may make other choices in another program.  (It would gain nothing: 1.19
    # ns a neuron-step with all liberties, 1.20 with this one.)
    fastmath = frozenset({"contract"})

    def __init__(self, kind: str, dtype: str) -> None:
        super().__init__()
        self.kind, self.dtype = kind, dtype
        if is_streamed(kind):
            self.destroy_map = {**self.destroy_map, 3: [12]}

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [inputs[source].type for (source,) in self.destroy_map.values()]

    def kernel(self) -> Callable[..., Any]:
        real = np.dtype(self.dtype).type
        if self.kind in VECTORS:
            return _by_turns(real, _in_vectors(real, VECTORS[self.kind]))
        update = register_jitable(UPDATES[self.kind](real))
        activities = _in_tiles(real, update, finisher(self.kind, real))
        return (_in_order if is_streamed(self.kind) else _by_turns)(real, activities)


def _in_order(real: type, activities: Any) -> Callable[..., Any]:
    """As `_by_turns`, but always from the first atom on, for those that share a stream."""
    check, decode = _checker(real), _decoder(real)

    def neurons(values, sums, state, status, atoms, parameters, E, B, D, n, keys, drawn, streams):  # type: ignore[no-untyped-def]
        values, A, J = np.ascontiguousarray(values), tile(B), tile(B)
        random = n.item(), (keys, drawn, streams)
        for a in range(atoms.shape[0]):
            t, scale = a * ATOM, parameters[a, 0]
            check(pointer(values), pointer(atoms), t, pointer(status))
            done = activities(A, J, values, state, atoms, parameters, E, B, D, a, random)
            decode(pointer(sums), pointer(A), pointer(D), pointer(atoms), t, scale, done, pointer(status))

    return neurons


def _by_turns(real: type, activities: Any) -> Callable[..., Any]:
    """All atoms, in a direction that changes from step to step: `activities` of each, then what they add."""
    check, decode = _checker(real), _decoder(real)

    def neurons(values, sums, state, status, atoms, parameters, E, B, D, n, keys=None):  # type: ignore[no-untyped-def]
        values, A, J = np.ascontiguousarray(values), tile(B), tile(B)
        count, step = atoms.shape[0], n.item()
        runs = (count + RUN - 1) // RUN
        for k in range(runs):
            begin = RUN * (k if step % 2 else runs - 1 - k)
            for a in range(begin, min(begin + RUN, count)):
                t, scale = a * ATOM, parameters[a, 0]
                check(pointer(values), pointer(atoms), t, pointer(status))
                done = activities(A, J, values, state, atoms, parameters, E, B, D, a, (step, keys))
                decode(pointer(sums), pointer(A), pointer(D), pointer(atoms), t, scale, done, pointer(status))

    return neurons


def _in_vectors(real: type, factory: Any) -> Any:
    """Activities A of atom a: currents and the next state of one vector of neurons after the other.

    Gives what four rows of dense decoders at most add to sums, computed on the way.
    """
    by_one, by_two = (_vectors(real, *factory(real, line)) for line in (True, False))

    @register_jitable(forceinline=True)
    def activities(A, J, values, state, atoms, parameters, E, B, D, a, random):  # type: ignore[no-untyped-def]  # noqa: ARG001
        p, q, t, count = pointer(parameters), a * parameters.shape[1], a * ATOM, state.shape[1]
        A, x, S, T = pointer(A), pointer(values), pointer(state), pointer(atoms)
        E, B, D = pointer(E), pointer(B), pointer(D)
        if by_line(p, q):
            return by_one(A, x, S, count, T, t, p, q, E, B, D)
        return by_two(A, x, S, count, T, t, p, q, E, B, D)

    return activities


def _vectors(real: type, constants: Any, advance: Any) -> Any:
    """The activities of the atom with the row atoms[t], atoms[t + 1], ..., by a factory of `lif`."""
    lanes, zero = simd.lanes(real), real(0)

    @register_jitable(forceinline=True)
    def all_vectors(A, values, state, count, atoms, t, p, q, E, B, D):  # type: ignore[no-untyped-def]
        n, m, rows, d, c = atoms[t], atoms[t + 1], atoms[t + 5], atoms[t + 6], constants(p, q)
        rows = 0 if atoms[t + 8] else rows
        nothing = fill(D, zero)
        partial = nothing, nothing, nothing, nothing
        rest = m % lanes
        whole = m - rest
        for i in range(0, whole, lanes):
            j = current(values, atoms, t, E, B, i, every(B))
            a = advance(j, state, n + i, count, every(B), c)
            store(A, i, a, every(B))
            partial = more(partial, D, d + i, m, rows, a, every(B))
        if rest:
            mask = first(B, rest)
            j = current(values, atoms, t, E, B, whole, mask)
            a = advance(j, state, n + whole, count, mask, c)
            store(A, whole, a, every(B))
            partial = more(partial, D, d + whole, m, rows, a, mask)
        return partial

    return all_vectors


def _in_tiles(real: type, update: Any, finish: Any) -> Any:
    """Activities A of atom a: all its currents, then the next state of all its neurons."""
    lanes = simd.lanes(real)

    @register_jitable
    def activities(A, J, values, state, atoms, parameters, E, B, D, a, random):  # type: ignore[no-untyped-def]  # noqa: ARG001
        t, n, m = a * ATOM, atoms[a, 0], atoms[a, 1]
        for i in range(0, m, lanes):
            mask = first(B, min(lanes, m - i))
            j = current(pointer(values), pointer(atoms), t, pointer(E), pointer(B), i, mask)
            store(J, i, j, every(B))
        update(J[:m], A[:m], state, n, parameters[a])
        finish(A[:m], a, parameters[a, 1], random)

    return activities


@register_jitable(forceinline=True)
def current(values, atoms, t, E, B, i, mask):  # type: ignore[no-untyped-def]
    """J = E x + b (+ injected current) of the vector of neurons from neuron i of an atom on."""
    n, m, dims, x, e, injected = (
        atoms[t],
        atoms[t + 1],
        atoms[t + 2],
        atoms[t + 3],
        atoms[t + 4],
        atoms[t + 9],
    )
    j = load(B, n + i, mask)
    if dims > 0:
        j = fma(load(E, e + i, mask), fill(B, values[x]), j)
    if dims > 1:
        j = fma(load(E, e + m + i, mask), fill(B, values[x + 1]), j)
    if dims > 2:
        j = fma(load(E, e + 2 * m + i, mask), fill(B, values[x + 2]), j)
    if dims > 3:
        for k in range(3, dims):
            j = fma(load(E, e + k * m + i, mask), fill(B, values[x + k]), j)
    if injected >= 0:
        j = j + load(values, injected + i, mask)
    return j


@cache
def _checker(real: type) -> Any:
    """Notice an input that is not a number: a spiking neuron would be silent for ever after."""
    lanes, zero = simd.lanes(real), real(0)

    @register_jitable(forceinline=True)
    def check(values, atoms, t, status):  # type: ignore[no-untyped-def]
        m, dims, x, injected, wrong = atoms[t + 1], atoms[t + 2], atoms[t + 3], atoms[t + 9], zero
        for k in range(dims):
            wrong += values[x + k] * zero
        if injected >= 0:
            nothing = partial = fill(values, zero)
            for i in range(0, m, lanes):
                partial = fma(load(values, injected + i, first(values, min(lanes, m - i))), nothing, partial)
            wrong += total(partial)
        if wrong != zero and status[0] == 0:
            status[0], status[1] = NOT_FINITE, -1 - (injected if injected >= 0 else x)

    return check


@cache
def _adder(real: type) -> Any:
    """sums[y] += partial, rounded once."""
    limit = real(LIMIT)

    @register_jitable(forceinline=True)
    def add(sums, y, partial, status):  # type: ignore[no-untyped-def]
        if abs(partial) < limit:
            sums[y] += np.int64(np.rint(partial))
        elif status[0] == 0:  # also where partial is NaN: the comparison is False
            status[0], status[1] = NOT_FINITE, y

    return add


@cache
def _decoder(real: type) -> Any:
    """Add the decoded activities A of an atom to sums, and the activities themselves.

    `done`: what the first four rows of dense decoders add, or None.
    """
    each, dense, gathered = _each(real), _dense(real), _gathered(real)

    @register_jitable(forceinline=True)
    def decode(sums, A, D, atoms, t, scale, done, status):  # type: ignore[no-untyped-def]
        m, rows, d, y, activity = atoms[t + 1], atoms[t + 5], atoms[t + 6], atoms[t + 7], atoms[t + 10]
        if atoms[t + 8]:
            gathered(sums, y, A, m, D, d, rows, status)
        else:
            dense(sums, y, A, m, D, d, rows, done, status)
        if activity >= 0:
            each(sums, activity, A, m, scale, status)

    return decode


@cache
def _each(real: type) -> Any:
    """sums[y + i] += scale A[i], rounded once, for all m neurons of an atom."""
    lanes, zero, add = simd.lanes(real), real(0), _adder(real)
    limit = real(LIMIT / 2)  # what `accumulate` rounds

    @register_jitable(forceinline=True)
    def vector(sums, y, A, k, count, scale, mask, status):  # type: ignore[no-untyped-def]
        most = fill(A, limit)
        x = load(A, k, mask) * fill(A, scale)
        if some(mask & ~((most > x) & (x > fill(A, zero) - most))):
            for i in range(k, k + count):
                add(sums, y + i, A[i] * scale, status)
        else:
            accumulate(sums, y + k, x, mask)

    @register_jitable(forceinline=True)
    def each(sums, y, A, m, scale, status):  # type: ignore[no-untyped-def]
        rest = m % lanes
        for k in range(0, m - rest, lanes):
            vector(sums, y, A, k, lanes, scale, every(A), status)
        if rest:
            vector(sums, y, A, m - rest, rest, scale, first(A, rest), status)

    return each


@register_jitable(forceinline=True)
def more(partial, D, at, m, rows, a, mask):  # type: ignore[no-untyped-def]
    """Partial products of four rows of decoders, or of all `rows`, with one vector more."""
    one, two, three, four = partial
    if rows > 0:
        one = fma(load(D, at, mask), a, one)
    if rows > 1:
        two = fma(load(D, at + m, mask), a, two)
    if rows > 2:
        three = fma(load(D, at + 2 * m, mask), a, three)
    if rows > 3:
        four = fma(load(D, at + 3 * m, mask), a, four)
    return one, two, three, four


@cache
def _dense(real: type) -> Any:
    """y = D a by products, four rows at a time."""
    zero, add, lanes = real(0), _adder(real), simd.lanes(real)

    @register_jitable(forceinline=True)
    def four(sums, y, rows, partial, status):  # type: ignore[no-untyped-def]
        if rows > 0:
            add(sums, y, total(partial[0]), status)
        if rows > 1:
            add(sums, y + 1, total(partial[1]), status)
        if rows > 2:
            add(sums, y + 2, total(partial[2]), status)
        if rows > 3:
            add(sums, y + 3, total(partial[3]), status)

    @register_jitable(forceinline=True)
    def decode(sums, y, A, m, D, d, rows, done, status):  # type: ignore[no-untyped-def]
        k, nothing = 0, fill(D, zero)
        if done is not None:
            four(sums, y, rows, done, status)
            k = 4
        while k < rows:
            partial = nothing, nothing, nothing, nothing
            for i in range(0, m, lanes):
                mask = first(D, min(lanes, m - i))
                partial = more(partial, D, d + k * m + i, m, rows - k, load(A, i, mask), mask)
            four(sums, y + k, rows - k, partial, status)
            k += 4

    return decode


@cache
def _gathered(real: type) -> Any:
    """y = D a by adding the decoders of the neurons that are active."""
    zero, add, lanes = real(0), _adder(real), simd.lanes(real)

    @register_jitable(forceinline=True)
    def columns(sums, y, A, D, d, rows, index, count, c, mask, status, partial):  # type: ignore[no-untyped-def]
        total = fill(D, zero)
        for q in range(count):
            k = index[q]
            total = fma(load(D, d + k * rows + c, mask), fill(D, A[k]), total)
        store(partial, 0, total, every(D))
        for k in range(min(lanes, rows - c)):
            add(sums, y + c + k, partial[k], status)

    @register_jitable
    def decode(sums, y, A, m, D, d, rows, status):  # type: ignore[no-untyped-def]
        index, partial, count = tile(np.int32(0)), tile(D), 0
        rest = m % lanes
        whole = m - rest
        for i in range(0, whole, lanes):
            count += pack(index, count, i, load(A, i, every(A)) != fill(A, zero))
        if rest:
            mask = first(A, rest)
            count += pack(index, count, whole, load(A, whole, mask) != fill(A, zero))
        rest = rows % lanes
        whole = rows - rest
        for c in range(0, whole, lanes):
            columns(sums, y, A, D, d, rows, index, count, c, every(D), status, partial)
        if rest:
            columns(sums, y, A, D, d, rows, index, count, whole, first(D, rest), status, partial)

    return decode
