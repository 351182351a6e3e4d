"""Populations at the level of synapses: every neuron of a partition in one Op, spikes as lists.

`spikes.py` says how lists of spikes are kept and delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numba.extending import register_jitable
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops.kernel import KernelOp
from spike_runtime.ops.sources import GOLDEN, mix
from spike_runtime.status import NOT_FINITE

TILE, HALF, BLOCK = 256, 128, 32
# Columns of the table of atoms: first neuron in the partition, count, first neuron in the population,
# population (-1: nobody reads its list) and its first place in a row of the history, place of the current in
# `values` (-1: none), row of sums for the activity (-1: none) and its units per spike, first row of the table
# of chances (-1: no drive) and log2 of its rows.
COLUMNS = (
    "neuron", "count", "start", "population", "first", "current", "activity", "units", "drive", "bits",
)  # fmt: skip
# Columns of the parameters: mV per unit of what arrives, exp(-dt / tau_m), threshold, reset, steps of the
# refractory time, mV that a constant current adds in a step, mV per spike of the drive.
PARAMETERS = ("unit", "decay", "threshold", "reset", "refractory", "constant", "weight")


class Cells(KernelOp):
    """(values, arriving, state, history, sums, status, atoms, parameters, keys, chances, aliases, n) ->
    (state, history, sums, status): one step of leaky integrate-and-fire neurons with delta synapses.

        V(n) = V(n - 1) exp(-dt / tau_m) + J (1 - exp(-dt / tau_m)) + what arrives + drive

    where the neuron is not refractory; then, where V >= threshold, a spike, and V = reset.  arriving: int64
    for each neuron, in units of parameters[:, 0].  state: (voltage in mV, steps left refractory) x neurons.

    The drive is a Poisson number for each neuron: a 32-bit random number, a pure function of (keys[atom], n,
    neuron), picks a row of `chances` with its first bits; the number is that row's, or its alias where the
    rest is not below the chance (Walker 1977, ACM Trans Math Softw 3:253).
    """

    __props__ = ("kind", "dtype")
    inplace: ClassVar[dict[int, int]] = {0: 2, 1: 3, 2: 4, 3: 5}
    fastmath = frozenset({"contract"})

    def __init__(self, kind: str, dtype: str) -> None:
        super().__init__()
        self.kind, self.dtype = kind, dtype

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [inputs[k].type for k in (2, 3, 4, 5)]

    def kernel(self) -> Callable[..., Any]:
        real = np.dtype(self.dtype).type
        update, draw, gather, add = (
            register_jitable(_UPDATES[self.kind](real)),
            _draw(real),
            _gather,
            _current,
        )

        def cells(  # type: ignore[no-untyped-def]
            values, arriving, state, history, sums, status, atoms, parameters, keys, chances, aliases, n
        ):
            X, fired = np.zeros(TILE, state.dtype), np.zeros(TILE, np.int32)
            step = n.item()
            row = history[step % history.shape[0]]
            for a in range(atoms.shape[0]):
                first, m, start, population, place = atoms[a, :5]
                current, activity, units, drive, bits = atoms[a, 5:]
                p = parameters[a]
                if drive >= 0:
                    rows = drive + (1 << bits)
                    draw(X, m, keys[a], step, chances[drive:rows], aliases[drive:rows], bits, p[6])
                else:
                    X[:m] = real(0)
                if current >= 0:
                    add(X, values[current : current + m], real(1) - p[1], status, current)
                update(X, fired, arriving[first : first + m], state, first, p)
                if population >= 0:
                    row[population] = gather(row, place, row[population], fired, m, start)
                if activity >= 0:
                    for i in range(m):
                        sums[activity + i] += fired[i] * units

        return cells


def _lif_delta(real: Any) -> Callable[..., None]:
    def update(X, fired, arriving, state, first, p):  # type: ignore[no-untyped-def]
        m = arriving.shape[0]
        voltage, refractory = state[0, first : first + m], state[1, first : first + m]
        unit, decay, threshold, reset, steps, constant = p[0], p[1], p[2], p[3], p[4], p[5]
        for i in range(m):
            left = refractory[i]
            v = voltage[i] * decay + (constant + X[i] + real(arriving[i]) * unit)
            v = voltage[i] if left > real(0) else v
            spiked = v >= threshold
            voltage[i] = reset if spiked else v
            refractory[i] = steps if spiked else max(left - real(1), real(0))
            fired[i] = spiked

    return update


# By kind of neuron; a kind gives the name of a program's stage too.
_UPDATES: dict[str, Callable[[Any], Callable[..., None]]] = {"lif_delta": _lif_delta}


@register_jitable
def _current(X, J, part, status, place):  # type: ignore[no-untyped-def]
    """Add what currents change the voltage by in a step."""
    total = part * 0
    for i in range(J.shape[0]):
        X[i] += J[i] * part
        total += J[i] * 0
    if total != 0 and status[0] == 0:  # NaN where one is NaN or infinite
        status[0], status[1] = NOT_FINITE, -1 - place


@register_jitable
def _gather(row, place, count, fired, m, start):  # type: ignore[no-untyped-def]
    """Append the neurons that fired to a row of the history; gives how many are there then."""
    for b in range(0, m, BLOCK):
        stop, any_fired = min(b + BLOCK, m), 0
        for i in range(b, stop):
            any_fired |= fired[i]
        if any_fired:
            for i in range(b, stop):
                if fired[i]:
                    row[place + count] = start + i
                    count += 1
    return count


def _draw(real: Any) -> Any:
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)

    @register_jitable
    def pick(u, chances, aliases, bits):  # type: ignore[no-untyped-def]
        # Numba makes 64-bit numbers of everything; the masks keep the arithmetic that of 32 bits.
        row = u >> (half - bits)
        rest = (u << bits) & low
        return row if rest < chances[row] else np.uint64(aliases[row])

    @register_jitable
    def draw(X, m, key, step, chances, aliases, bits, weight):  # type: ignore[no-untyped-def]
        """Poisson numbers times their weight for a run of neurons; one 64-bit hash serves two of them."""
        base, b = mix(key + GOLDEN * np.uint64(step)), np.uint64(bits)
        for j in range(min(m, HALF)):
            z = mix(base + GOLDEN * np.uint64(j + 1))
            X[j] = real(np.int64(pick(z & low, chances, aliases, b))) * weight
            X[j + HALF] = real(np.int64(pick(z >> half, chances, aliases, b))) * weight

    return draw
