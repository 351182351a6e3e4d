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
from spike_runtime.ops.kernel import KernelOp
from spike_runtime.ops.updates import UPDATES
from spike_runtime.status import NOT_FINITE

TILE = 256
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


class Neurons(KernelOp):
    """(values, sums, state, status, atoms, parameters, encoders, bias, decoders) -> (sums, state, status).

    values: the signals of this step, floats.  sums: int64, added to.  state: (state variables) x neurons.
    status: int64[2], set to (NOT_FINITE, row) where a partial sum is not a number or out of range, or row
    -1 where an input is not a number. atoms: int64, atoms x len(COLUMNS).  parameters: atoms x parameters
    of the neuron type.  encoders: dims x count per atom, bias: neurons.  decoders: rows x count per atom,
    or count x rows where `gather` is set: at many rows it is cheaper to add the rows of the neurons that
    spiked than to multiply by zeros.
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
        return _fused(real, register_jitable(update))


def _fused(real: type, update: Callable[..., None]) -> Callable[..., Any]:
    check = _checker(real)
    currents, add, decode = _currents(), _adder(real), _dense(real)
    decode_gathered = _gathered(real)

    def neurons(values, sums, state, status, atoms, parameters, E, B, D):  # type: ignore[no-untyped-def]
        tile_J, tile_A = np.empty(TILE, B.dtype), np.empty(TILE, B.dtype)
        index, partial = np.empty(TILE + 1, np.int64), np.empty(TILE, B.dtype)
        for a in range(atoms.shape[0]):
            n, m, dims, x, e = atoms[a, 0], atoms[a, 1], atoms[a, 2], atoms[a, 3], atoms[a, 4]
            rows, d, y, gather = atoms[a, 5], atoms[a, 6], atoms[a, 7], atoms[a, 8]
            current, activity = atoms[a, 9], atoms[a, 10]
            J, A = tile_J[:m], tile_A[:m]
            if dims > 0:
                currents(J, values, x, E, e, dims, B[n : n + m])
            else:
                J[:] = B[n : n + m]
            if current >= 0:
                for i in range(m):
                    J[i] += values[current + i]
            check(J, status)
            update(J, A, state, n, parameters[a])
            if gather:
                if partial.shape[0] < rows:
                    partial = np.empty(rows, B.dtype)
                decode_gathered(sums, y, A, D, d, partial[:rows], index, status)
            else:
                decode(sums, y, A, D, d, rows, status)
            if activity >= 0:
                scale = parameters[a, 0]
                for i in range(m):
                    add(sums, activity + i, A[i] * scale, status)
        return sums, state, status

    return neurons


def _currents() -> Any:
    """J = E x + B, one dimension after the other so that the loop over neurons vectorises at any number of
    dimensions.
    """

    @register_jitable
    def currents(J, values, x, E, e, dims, B):  # type: ignore[no-untyped-def]
        m = J.shape[0]
        x0, E0 = values[x], E[e : e + m]
        for i in range(m):
            J[i] = B[i] + E0[i] * x0
        for k in range(1, dims):
            xk, Ek = values[x + k], E[e + k * m : e + (k + 1) * m]
            for i in range(m):
                J[i] += Ek[i] * xk

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
    zero, add = real(0), _adder(real)

    # A sum vectorises only where it may be reordered; its order then depends on the number of neurons alone.
    @register_jitable(fastmath={"contract", "nsz", "reassoc"})
    def decode(sums, y, A, D, d, rows, status):  # type: ignore[no-untyped-def]
        m = A.shape[0]
        for k in range(rows):
            partial, Dk = zero, D[d + k * m : d + (k + 1) * m]
            for i in range(m):
                partial += Dk[i] * A[i]
            add(sums, y + k, partial, status)

    return decode


def _gathered(real: type) -> Any:
    """y = D a by adding the decoders of the neurons that are active."""
    zero, add = real(0), _adder(real)

    @register_jitable
    def decode(sums, y, A, D, d, partial, index, status):  # type: ignore[no-untyped-def]
        rows, count = partial.shape[0], 0
        for i in range(A.shape[0]):
            index[count] = i
            count += A[i] != zero
        partial[:] = zero
        for q in range(count):
            weight, row = A[index[q]], D[d + index[q] * rows : d + (index[q] + 1) * rows]
            for k in range(rows):
                partial[k] += weight * row[k]
        for k in range(rows):
            add(sums, y + k, partial[k], status)

    return decode
