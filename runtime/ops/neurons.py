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
from typing import Any, ClassVar

import numpy as np
from numba.extending import register_jitable
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops import simd
from spike_runtime.ops.converted import finisher
from spike_runtime.ops.kernel import KernelOp
from spike_runtime.ops.lif import apart
from spike_runtime.ops.simd import TILE, every, fill, first, fma, load, pack, store, tile, total
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
# A partial sum must stay below this many units of its sum, so that some thousand of them fit 64 bits.
LIMIT = 2.0**52
# Atoms in the order of memory, which processors foresee.
RUN = 20


class Neurons(KernelOp):
    """(values, sums, state, status, atoms, parameters, encoders, bias, decoders, n[, keys]) -> (sums, state,
    status).

    values: the signals of this step, floats.  sums: int64, added to.  state: (state variables) x neurons.
    status: int64[2], set to (NOT_FINITE, row) where a partial sum is not a number or out of range, or row
    -1 where an input is not a number. atoms: int64, atoms x len(COLUMNS).  parameters: atoms x parameters
    of the neuron type.  encoders: dims x count per atom, bias: neurons.  decoders: rows x count per atom,
    or count x rows where `gather` is set: at many rows it is cheaper to add the rows of the neurons that
    spiked than to multiply by zeros.  n: the step.  keys (uint64, one for each atom) are given to kinds that
    draw random numbers.

    Every other step takes the atoms from the last to the first, in runs of `RUN`: what was used last is still
    in the cache.
    """

    __props__ = ("kind", "dtype", "exact")
    inplace: ClassVar[dict[int, int]] = {0: 1, 1: 2, 2: 3}
    # No reordering: the compiler may make other choices in another program.  (It would gain nothing: 1.19
    # ns a neuron-step with all liberties, 1.20 with this one.)
    fastmath = frozenset({"contract"})

    def __init__(self, kind: str, dtype: str, exact: bool = False) -> None:
        """`exact`: call the library's exp and log instead of short series (for dt / tau_rc that is not
        small).
        """
        super().__init__()
        self.kind, self.dtype, self.exact = kind, dtype, exact

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [inputs[1].type, inputs[2].type, inputs[3].type]

    def kernel(self) -> Callable[..., Any]:
        real = np.dtype(self.dtype).type
        update = UPDATES[self.kind](real, self.exact)
        finish, together = finisher(self.kind, real), apart(self.kind, real)
        return _by_turns(_fused(real, register_jitable(update), finish, together))


def _by_turns(compute: Any) -> Callable[..., Any]:
    """All atoms, in a direction that changes from step to step."""

    def neurons(values, sums, state, status, atoms, parameters, E, B, D, n, *keys):  # type: ignore[no-untyped-def]
        count, step = atoms.shape[0], n.item()
        runs = (count + RUN - 1) // RUN
        for k in range(runs):
            begin = RUN * (k if step % 2 else runs - 1 - k)
            stop = min(begin + RUN, count)
            compute(values, sums, state, status, atoms, parameters, E, B, D, begin, stop, (step, keys))
        return sums, state, status

    return neurons


def _fused(real: type, update: Callable[..., None], finish: Callable[..., None], together: bool) -> Any:
    """Atoms from `begin` to `stop`.  `together`: small ones are updated at once, as many as fit a tile."""
    joins, check = _joiner(together), _checker(real)
    currents, add, decode = _currents(real), _adder(real), _dense(real)
    decode_gathered = _gathered(real)

    @register_jitable
    def compute(values, sums, state, status, atoms, parameters, E, B, D, begin, stop, random):  # type: ignore[no-untyped-def]
        tile_J, tile_A = tile(B), tile(B)
        while begin < stop:
            end, size = begin, 0
            while joins(atoms, parameters, begin, end, stop, size):
                n, m, dims, x, e = atoms[end, 0], atoms[end, 1], atoms[end, 2], atoms[end, 3], atoms[end, 4]
                J, current = tile_J[size : size + m], atoms[end, 9]
                currents(J, values, x, E, e, dims, B, n)
                if current >= 0:
                    whole = values[current] * 0
                    for i in range(m):
                        J[i] += values[current + i]
                        whole += J[i] * 0  # not a number once one J is none
                    J[0] += whole
                check(J, status)
                end, size = end + 1, size + m
            update(tile_J[:size], tile_A[:size], state, atoms[begin, 0], parameters[begin])
            size = 0
            for a in range(begin, end):
                m, rows, d, y = atoms[a, 1], atoms[a, 5], atoms[a, 6], atoms[a, 7]
                A, activity = tile_A[size : size + m], atoms[a, 10]
                finish(A, a, parameters[a, 1], random)
                if atoms[a, 8]:
                    decode_gathered(sums, y, A, D, d, rows, status)
                else:
                    decode(sums, y, A, D, d, rows, status)
                if activity >= 0:
                    scale = parameters[a, 0]
                    for i in range(m):
                        add(sums, activity + i, A[i] * scale, status)
                size += m
            begin = end

    return compute


def _joiner(together: bool) -> Any:
    """Whether atom `end` is updated with those from `begin` on, the `size` neurons before it."""

    @register_jitable
    def joins(atoms, parameters, begin, end, stop, size):  # type: ignore[no-untyped-def]
        if end == begin or not together:
            return end == begin
        if end == stop or size + atoms[end, 1] > TILE or atoms[end, 0] != atoms[begin, 0] + size:
            return False
        same = True
        for k in range(1, parameters.shape[1]):
            same &= parameters[end, k] == parameters[begin, k]
        return same

    return joins


def _currents(real: type) -> Any:
    """J = E x + B, for one vector of neurons after the other; lanes of J beyond its end are set too."""
    lanes = simd.lanes(real)

    @register_jitable(forceinline=True)
    def block(J, values, x, E, e, dims, B, n, i, mask):  # type: ignore[no-untyped-def]
        m, j = J.shape[0], load(B, n + i, mask)
        for k in range(dims):
            j = fma(load(E, e + k * m + i, mask), fill(B, values[x + k]), j)
        store(J, i, j, every(B))

    @register_jitable
    def currents(J, values, x, E, e, dims, B, n):  # type: ignore[no-untyped-def]
        rest = J.shape[0] % lanes
        whole = J.shape[0] - rest
        for i in range(0, whole, lanes):
            block(J, values, x, E, e, dims, B, n, i, every(B))
        if rest:
            block(J, values, x, E, e, dims, B, n, whole, first(B, rest))

    return currents


def _checker(real: type) -> Any:
    """Notice an input that is not a number: a spiking neuron would be silent for ever after."""
    infinite = real(np.inf)

    @register_jitable
    def check(J, status):  # type: ignore[no-untyped-def]
        if not abs(J[0]) < infinite and status[0] == 0:
            status[0], status[1] = NOT_FINITE, -1

    return check


def _adder(real: type) -> Any:
    """sums[y] += partial, rounded once."""
    limit = real(LIMIT)

    @register_jitable
    def add(sums, y, partial, status):  # type: ignore[no-untyped-def]
        if abs(partial) < limit:
            sums[y] += np.int64(np.rint(partial))
        elif status[0] == 0:  # also where partial is NaN: the comparison is False
            status[0], status[1] = NOT_FINITE, y

    return add


def _dense(real: type) -> Any:
    """y = D a by a product for each row."""
    zero, add, lanes = real(0), _adder(real), simd.lanes(real)

    @register_jitable
    def decode(sums, y, A, D, d, rows, status):  # type: ignore[no-untyped-def]
        m = A.shape[0]
        rest = m % lanes
        whole = m - rest
        for k in range(rows):
            partial = fill(D, zero)
            for i in range(0, whole, lanes):
                partial = fma(load(D, d + k * m + i, every(D)), load(A, i, every(D)), partial)
            if rest:
                mask = first(D, rest)
                partial = fma(load(D, d + k * m + whole, mask), load(A, whole, mask), partial)
            add(sums, y + k, total(partial), status)

    return decode


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
    def decode(sums, y, A, D, d, rows, status):  # type: ignore[no-untyped-def]
        index, partial, count = tile(np.int32(0)), tile(D), 0
        rest = A.shape[0] % lanes
        whole = A.shape[0] - rest
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
