"""Leaky integrate-and-fire neurons, a step at a time: dv/dt = (J - v) / tau_rc, spike at v = 1, then 0 for
tau_ref.

Time is counted by what it does to a voltage.  In a time t it goes the part g = 1 - exp(-t / tau_rc) of the
way from v to J, and in a whole step G of it:

    v += (J - v) g                       g = G where the neuron does not rest
    h = (v - 1) / (J - 1)  where v > 1   the part for the time since the spike: v was 1 then

So the time since a spike is known by a division, and neither exp nor log is computed in a step.  What a
neuron still has to rest at the end of a step is kept on the same scale: k whole steps and a part of one,
after which it is active for a time t, are a `rest` of (k + 1) G - g(t).  A step takes G of it, and the part
by which G is more than what was left is the g of that step.  With tau_ref = m dt + phi, 0 <= phi < dt, the
rest after a spike is the lesser of two lines in h, for neurons that wake in the m-th step and in the one
after (exp(-t / tau_rc) is 1 - h times a factor):

    m G + exp(phi / tau_rc) - 1 - exp(phi / tau_rc) h
    (m + 1) G + exp((phi - dt) / tau_rc) - 1 - exp((phi - dt) / tau_rc) h

The voltage is 0 while a neuron rests, if min_voltage is 0: one number says both.

    state >= 0    the voltage
    state < 0     minus the rest; the voltage is 0

`lif` keeps that number.  `wide_lif` keeps both, for neurons of which they are recorded, or where one number
does not do; it computes the same numbers, bit for bit.

A factory, which is told whether one line is enough (see `by_line`), gives (constants, advance):
constants(p, q) are the parameters from p[q] on as vectors; and advance(j, state, n, count, mask, constants)
gives the spikes of the neurons from n on, of `count`, under the mask, and changes their state.  p: scale, dt,
G, minus the first line at 0, minus its slope, the same of the second, and min_voltage.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba.extending import register_jitable
from spike_runtime.ops.simd import fill, fma, load, maximum, minimum, store, where

# What a factory gives.
Vectors = tuple[Callable[..., Any], Callable[..., Any]]


@register_jitable(forceinline=True)
def _constants(p, q):  # type: ignore[no-untyped-def]
    return fill(p, p[q + 2]), fill(p, p[q + 3]), fill(p, p[q + 4]), fill(p, p[q + 5]), fill(p, p[q + 6])


@cache
def _due(line: bool) -> Any:
    """Minus the rest of neurons that spiked, of h; above 0 where it is over already."""

    @register_jitable(forceinline=True)
    def due(h, c):  # type: ignore[no-untyped-def]
        return maximum(fma(h, c[2], c[1]), fma(h, c[4], c[3]))

    @register_jitable(forceinline=True)
    def due_by_line(h, c):  # type: ignore[no-untyped-def]
        return fma(h, c[2], c[1])

    return due_by_line if line else due


@register_jitable
def by_line(p, q):  # type: ignore[no-untyped-def]
    """Whether the rest after a spike is that of one line: tau_ref is two or more whole steps."""
    return p[q + 3] == p[q + 5] and p[q + 4] == p[q + 6]


def lif(real: Any, line: bool) -> Vectors:
    """state: the one number of every neuron."""
    zero, one, due = real(0), real(1), _due(line)

    @register_jitable(forceinline=True)
    def advance(j, state, n, count, mask, c):  # type: ignore[no-untyped-def]  # noqa: ARG001
        s = load(state, n, mask)
        active = s + c[0]
        v = maximum(s, fill(s, zero))
        v = fma(j - v, minimum(maximum(active, fill(s, zero)), c[0]), v)
        spiked = v > fill(s, one)
        h = (v - fill(s, one)) / (j - fill(s, one))
        after = where(fill(s, zero) > active, active, maximum(v, fill(s, zero)))
        left = due(h, c) if line else minimum(due(h, c), fill(s, zero))
        store(state, n, where(spiked, left, after), mask)
        return where(spiked, fill(s, one), fill(s, zero))

    return _constants, advance


def wide_lif(real: Any, line: bool) -> Vectors:
    """state: voltage, rest, which goes on below 0: it says how long ago it ended.

    A voltage that was above 1 from the beginning spikes in the first step: at its end, where J < 1.
    """
    zero, one, due = real(0), real(1), _due(line)

    @register_jitable(forceinline=True)
    def constants(p, q):  # type: ignore[no-untyped-def]
        return _constants(p, q), fill(p, p[q + 7])

    @register_jitable(forceinline=True)
    def advance(j, state, n, count, mask, own):  # type: ignore[no-untyped-def]
        c, least = own
        v, active = load(state, n, mask), c[0] - load(state, count + n, mask)
        v = fma(j - v, minimum(maximum(active, fill(v, zero)), c[0]), v)
        spiked = v > fill(v, one)
        h = maximum((v - fill(v, one)) / (j - fill(v, one)), fill(v, zero))
        left = where(spiked, due(h, c), active)
        store(state, count + n, fill(v, zero) - left, mask)
        store(state, n, where(spiked, fill(v, zero), maximum(v, least)), mask)
        return where(spiked, fill(v, one), fill(v, zero))

    return constants, advance


def adapting(base: Callable[[Any, bool], Vectors], row: int) -> Callable[[Any, bool], Vectors]:
    """The factory of `base` driven by J - n, with adaptation dn/dt = (inc_n * output - n) / tau_n.

    p: as `base`, then tau_n and inc_n times amplitude / dt.  state: as `base`, then adaptation in that row.
    """

    def factory(real: Any, line: bool) -> Vectors:
        inner, forward = base(real, line)

        @register_jitable(forceinline=True)
        def constants(p, q):  # type: ignore[no-untyped-def]
            return inner(p, q), fill(p, p[q + 1] / p[q + 8]), fill(p, p[q + 9])

        @register_jitable(forceinline=True)
        def advance(j, state, n, count, mask, c):  # type: ignore[no-untyped-def]
            own, rate, increment = c
            adaptation = load(state, row * count + n, mask)
            a = forward(j - adaptation, state, n, count, mask, own)
            store(
                state,
                row * count + n,
                fma(rate, fma(increment, a, fill(a, real(0)) - adaptation), adaptation),
                mask,
            )
            return a

        return constants, advance

    return factory


VECTORS: dict[str, Callable[[Any, bool], Vectors]] = {
    "lif": lif,
    "wide_lif": wide_lif,
    "adaptive_lif": adapting(lif, 1),
    "wide_adaptive_lif": adapting(wide_lif, 2),
}
