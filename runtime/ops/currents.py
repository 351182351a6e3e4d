"""Currents of the neurons of an atom, a vector at a time: J = E x + b (+ injected current)."""

from __future__ import annotations

from functools import cache
from typing import Any

from numba.extending import register_jitable
from spike_runtime.ops import simd
from spike_runtime.ops.simd import fetch_ahead, fill, first, fma, load, total, width
from spike_runtime.status import NOT_FINITE


@register_jitable(forceinline=True)
def inputs(atoms, t):  # type: ignore[no-untyped-def]
    """What `current` needs to know of the atom with the row atoms[t], atoms[t + 1], ...

    Read once: within a loop that stores anything, LLVM would read it again for every vector.
    """
    return atoms[t], atoms[t + 2], atoms[t + 3], atoms[t + 4], atoms[t + 9]


@register_jitable(forceinline=True)
def current(values, atom, E, B, i, count, mask):  # type: ignore[no-untyped-def]
    """J of the vector of `count` neurons from neuron i of an atom on.

    What there is of encoders for it stands together.  Eight dimensions are without a loop: that, and to read
    what is known of an atom once, took a quarter of the time of atoms in 8-D on an AMD EPYC of 2021 (Zen 3).
    """
    n, dims, x, e, injected = atom
    e += i * dims
    j = _four(values, x, dims, E, e, count, load(B, n + i, mask), mask)
    if dims > 4:
        j = _four(values, x + 4, dims - 4, E, e + 4 * count, count, j, mask)
        for k in range(8, dims):
            j = fma(load(E, e + k * count, mask), fill(B, values[x + k]), j)
    if injected >= 0:
        j = j + load(values, injected + i, mask)
    return j


@register_jitable(forceinline=True)
def _four(values, x, dims, E, e, count, j, mask):  # type: ignore[no-untyped-def]
    """Add the first four of these dimensions, or all where there are less."""
    if dims > 0:
        j = fma(load(E, e, mask), fill(E, values[x]), j)
    if dims > 1:
        j = fma(load(E, e + count, mask), fill(E, values[x + 1]), j)
    if dims > 2:
        j = fma(load(E, e + 2 * count, mask), fill(E, values[x + 2]), j)
    if dims > 3:
        j = fma(load(E, e + 3 * count, mask), fill(E, values[x + 3]), j)
    return j


@register_jitable(forceinline=True)
def ahead(atom, E, B, i, state):  # type: ignore[no-untyped-def]
    """Ask for what neurons of many dimensions will need, some vectors after neuron i of an atom.

    Processors foresee addresses within a page of memory, which these leave every few vectors: beyond level 2
    it takes 5 % less in float32, 10 % in float64, and no more within it.
    """
    n, dims, _, e, _ = atom
    if dims > 7:
        later = i + 6 * width(E)
        for k in range(8):
            fetch_ahead(E, e + later * dims + k * width(E))
        fetch_ahead(B, n + later)
        fetch_ahead(state, n + later)


@cache
def checker(real: type) -> Any:
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
