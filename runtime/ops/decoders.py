"""What the activities of an atom add to sums: y += round(D a), and the activities themselves.

Decoders D hold the scale of their sum.  At many rows, those of the neurons that are active are added, where
others are multiplied by zeros (`gather`).  Beyond level 2 they are waited for, a line each at an address that
no processor foresees, so they are asked for first, and added after the next atom: in float64, 64,000 neurons
in 8-D take 158 us that way on an AMD EPYC of 2021 (Zen 3), and 178 without; within level 2 4 % more.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba.extending import register_jitable
from spike_runtime.ops import simd
from spike_runtime.ops.places import accumulate
from spike_runtime.ops.simd import (
    every,
    fetch_ahead,
    fill,
    first,
    fma,
    load,
    pack,
    some,
    store,
    swapped,
    tile,
    total,
    where,
)
from spike_runtime.status import NOT_FINITE

# A partial sum must stay below this many units of its sum, so that some thousand of them fit 64 bits.
LIMIT = 2.0**52


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
def decoder(real: type) -> Any:
    """Add decoded activities A of an atom to sums, unless they are gathered, and the activities themselves.

    `done`: what the first four rows of dense decoders add, or None.
    """
    each, dense = _each(real), _dense(real)

    @register_jitable(forceinline=True)
    def decode(sums, A, D, atoms, t, scale, done, status):  # type: ignore[no-untyped-def]
        m, rows, d, y, activity = atoms[t + 1], atoms[t + 5], atoms[t + 6], atoms[t + 7], atoms[t + 10]
        if not atoms[t + 8]:
            dense(sums, y, A, m, D, d, rows, done, status)
        if activity >= 0:
            each(sums, activity, A, m, scale, status)

    return decode


@cache
def _vector_adder(real: type) -> Any:
    """sums[y + i] += x[i], rounded once, for `count` numbers of a vector x, those under the mask."""
    add, zero = _adder(real), real(0)
    limit = real(LIMIT / 2)  # what `accumulate` rounds

    @register_jitable(forceinline=True)
    def add_vector(sums, y, x, count, mask, status):  # type: ignore[no-untyped-def]
        most = fill(x, limit)
        if some(mask & ~((most > x) & (x > fill(x, zero) - most))):
            numbers = tile(zero)
            store(numbers, 0, x, mask)
            for i in range(count):
                add(sums, y + i, numbers[i], status)
        else:
            accumulate(sums, y, x, mask)

    return add_vector


@cache
def _each(real: type) -> Any:
    """sums[y + i] += scale A[i], rounded once, for all m neurons of an atom."""
    lanes, add = simd.lanes(real), _vector_adder(real)

    @register_jitable(forceinline=True)
    def each(sums, y, A, m, scale, status):  # type: ignore[no-untyped-def]
        rest, scales = m % lanes, fill(A, scale)
        for k in range(0, m - rest, lanes):
            add(sums, y + k, load(A, k, every(A)) * scales, lanes, every(A), status)
        if rest:
            mask = first(A, rest)
            add(sums, y + m - rest, load(A, m - rest, mask) * scales, rest, mask, status)

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
def finder(real: type) -> Any:
    """Find the active neurons of an atom, for `gatherer`: their places in it as bytes, and their activities.

    Gives how many there are; their decoders are on their way then.
    """
    lanes = simd.lanes(real)

    @register_jitable(forceinline=True)
    def find(A, D, atoms, t, places, active):  # type: ignore[no-untyped-def]
        m, rows, d, count = atoms[t + 1], atoms[t + 5], atoms[t + 6], 0
        rest = m % lanes
        for i in range(0, m - rest, lanes):
            count += pack(places, count, i, load(A, i, every(A)))
        if rest:
            count += pack(places, count, m - rest, load(A, m - rest, first(A, rest)))
        for q in range(count):
            k = np.int64(places[q])
            fetch_ahead(D, d + k * rows)
            active[q] = A[k]
        return count

    return find


@cache
def gatherer(real: type) -> Any:
    """y = D a by adding the decoders of `count` neurons of an atom that are active (see `finder`)."""
    lanes, columns, halves = simd.lanes(real), _columns(real), _halves(real)

    @register_jitable
    def gather(sums, D, atoms, t, places, active, count, status):  # type: ignore[no-untyped-def]
        rows, d, y = atoms[t + 5], atoms[t + 6], atoms[t + 7]
        if rows == lanes // 2:
            halves(sums, y, D, d, places, active, count, status)
            return
        rest = rows % lanes
        whole = rows - rest
        for c in range(0, whole, lanes):
            columns(sums, y + c, D, d + c, rows, places, active, count, lanes, every(D), status)
        if rest:
            mask = first(D, rest)
            columns(sums, y + whole, D, d + whole, rows, places, active, count, rest, mask, status)

    return gather


@cache
def _columns(real: type) -> Any:
    """`width` rows, those under the mask."""
    zero, add = real(0), _vector_adder(real)

    @register_jitable(forceinline=True)
    def columns(sums, y, D, d, rows, places, active, count, width, mask, status):  # type: ignore[no-untyped-def]
        partial = fill(D, zero)
        for q in range(count):
            k = np.int64(places[q])
            partial = fma(load(D, d + k * rows, mask), fill(D, active[q]), partial)
        add(sums, y, partial, width, mask, status)

    return columns


@cache
def _halves(real: type) -> Any:
    """Half as many rows as a vector has numbers: of two neurons at a time."""
    zero, half, add = real(0), simd.lanes(real) // 2, _vector_adder(real)

    @register_jitable(forceinline=True)
    def halves(sums, y, D, d, places, active, count, status):  # type: ignore[no-untyped-def]
        partial, low = fill(D, zero), first(D, half)
        for q in range(0, count - 1, 2):
            one, other = np.int64(places[q]), np.int64(places[q + 1])
            rows = where(low, load(D, d + one * half, low), swapped(load(D, d + other * half, low)))
            partial = fma(rows, where(low, fill(D, active[q]), fill(D, active[q + 1])), partial)
        if count % 2:
            last = np.int64(places[count - 1])
            partial = fma(load(D, d + last * half, low), fill(D, active[count - 1]), partial)
        add(sums, y, partial + swapped(partial), half, low, status)

    return halves
