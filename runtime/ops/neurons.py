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
from spike_runtime.ops.converted import finisher, is_streamed
from spike_runtime.ops.currents import ahead, checker, current, inputs
from spike_runtime.ops.decoders import decoder, finder, gatherer, more
from spike_runtime.ops.kernel import KernelOp
from spike_runtime.ops.lif import VECTORS, by_line
from spike_runtime.ops.simd import every, fill, first, pointer, store, tile
from spike_runtime.ops.updates import UPDATES

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
# Atoms in the order of memory, which processors foresee.
RUN = 20


class Neurons(KernelOp):
    """(values, sums, state, status, atoms, parameters, encoders, bias, decoders, n[, keys[, drawn, streams]])
    -> (sums, state, status[, streams]).

    values: the signals of this step, floats.  sums: int64, added to.  state: (state variables) x neurons.
    status: int64[2], set to (NOT_FINITE, row) where a partial sum is not a number or out of range, or
    -1 - the place in `values` of an input that is not a number.  atoms: int64, atoms x len(COLUMNS).
    parameters: atoms x parameters of the neuron type.  encoders: dims x neurons for each vector of an
    atom, the last of which has those that are left; bias: neurons.
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
    check, decode, find, gather = checker(real), decoder(real), finder(real), gatherer(real)

    def neurons(values, sums, state, status, atoms, parameters, E, B, D, n, keys, drawn, streams):  # type: ignore[no-untyped-def]
        values, A, J = np.ascontiguousarray(values), tile(B), tile(B)
        places, active, T, S = pointer(tile(np.uint8(0))), pointer(tile(B)), pointer(atoms), pointer(sums)
        random = n.item(), (keys, drawn, streams)
        for a in range(atoms.shape[0]):
            t, scale = a * ATOM, parameters[a, 0]
            check(pointer(values), T, t, pointer(status))
            done = activities(A, J, values, state, atoms, parameters, E, B, D, a, random)
            decode(S, pointer(A), pointer(D), T, t, scale, done, pointer(status))
            if T[t + 8]:
                count = find(pointer(A), pointer(D), T, t, places, active)
                gather(S, pointer(D), T, t, places, active, count, pointer(status))

    return neurons


def _by_turns(real: type, activities: Any) -> Callable[..., Any]:
    """All atoms, in a direction that changes from step to step: `activities` of each, then what they add;
    where that is gathered, after the activities of the next.
    """
    check, decode, find, gather = checker(real), decoder(real), finder(real), gatherer(real)

    def neurons(values, sums, state, status, atoms, parameters, E, B, D, n, keys=None):  # type: ignore[no-untyped-def]
        values, A, J = np.ascontiguousarray(values), tile(B), tile(B)
        places, active, T, S = pointer(tile(np.uint8(0))), pointer(tile(B)), pointer(atoms), pointer(sums)
        old_places, old_active, old, old_count = pointer(tile(np.uint8(0))), pointer(tile(B)), -1, 0
        count, step = atoms.shape[0], n.item()
        runs = (count + RUN - 1) // RUN
        for k in range(runs):
            begin = RUN * (k if step % 2 else runs - 1 - k)
            for a in range(begin, min(begin + RUN, count)):
                t, scale = a * ATOM, parameters[a, 0]
                check(pointer(values), T, t, pointer(status))
                done = activities(A, J, values, state, atoms, parameters, E, B, D, a, (step, keys))
                decode(S, pointer(A), pointer(D), T, t, scale, done, pointer(status))
                if T[t + 8]:
                    found = find(pointer(A), pointer(D), T, t, places, active)
                    if old >= 0:
                        gather(S, pointer(D), T, old, old_places, old_active, old_count, pointer(status))
                    old, old_count = t, found
                    places, old_places, active, old_active = old_places, places, old_active, active
        if old >= 0:
            gather(S, pointer(D), T, old, old_places, old_active, old_count, pointer(status))

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
        atom, c = inputs(atoms, t), constants(p, q)
        n, m, rows, d = atoms[t], atoms[t + 1], atoms[t + 5], atoms[t + 6]
        rows = 0 if atoms[t + 8] else rows
        nothing = fill(D, zero)
        partial = nothing, nothing, nothing, nothing
        rest = m % lanes
        whole = m - rest
        for i in range(0, whole, lanes):
            j = current(values, atom, E, B, i, lanes, every(B))
            ahead(atom, E, B, i, state)
            a = advance(j, state, n + i, count, every(B), c)
            store(A, i, a, every(B))
            partial = more(partial, D, d + i, m, rows, a, every(B))
        if rest:
            mask = first(B, rest)
            j = current(values, atom, E, B, whole, rest, mask)
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
        atom, n, m = inputs(pointer(atoms), a * ATOM), atoms[a, 0], atoms[a, 1]
        for i in range(0, m, lanes):
            width = min(lanes, m - i)
            j = current(pointer(values), atom, pointer(E), pointer(B), i, width, first(B, width))
            store(J, i, j, every(B))
        update(J[:m], A[:m], state, n, parameters[a])
        finish(A[:m], a, parameters[a, 1], random)

    return activities
