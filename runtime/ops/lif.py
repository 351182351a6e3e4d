"""Leaky integrate-and-fire neurons, a step at a time: dv/dt = (J - v) / tau_rc, spike at v = 1, then 0 for
tau_ref.  As in `updates`, a factory gives update(J, A, state, n, p); p: scale, dt, tau_rc, tau_ref,
min_voltage.

The refractory time matters while it is more than dt, and the voltage is 0 then, if min_voltage is 0: it has
been 0 since the spike.  So one number says both:

    state >= 0    the voltage; nothing is left of the refractory time that a step would notice
    state < 0     minus the refractory time in s, more than dt; the voltage is 0

`lif` keeps that number.  `wide_lif` keeps both, for neurons of which they are recorded, or where one number
does not do; it computes the same numbers, bit for bit.

`exact` calls the library's exp and log.  Otherwise they are series, in vectors: neuron by neuron

    r = refractory_time - dt,  u = clip(dt - r, 0, dt) / tau_rc,  v += (J - v) (1 - exp(-u))

and where v > 1 the trajectory crossed 1 tau_rc log((J - 1) / (J - v)) s before the end of the step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import factorial
from typing import Any

import numpy as np
from numba.extending import register_jitable
from numpy.polynomial import Chebyshev, Polynomial
from spike_runtime.ops import simd
from spike_runtime.ops.simd import (
    every,
    fill,
    first,
    fma,
    gather,
    load,
    maximum,
    minimum,
    pack,
    polynomial,
    scatter,
    some,
    store,
    tile,
    where,
)

# Largest dt / tau_rc for which the series are used, and how many terms each needs for it.
SERIES_BOUND = 0.06
EXPM1_TERMS = {np.float32: 4, np.float64: 7}
ATANH_TERMS = {np.float32: 2, np.float64: 5}


@cache
def decay_terms(real: Any) -> tuple[Any, ...]:
    """Polynomial of (1 - exp(-u)) / u for 0 <= u <= SERIES_BOUND; its relative error is below rounding."""
    taylor = [(-1) ** k / factorial(k + 1) for k in range(20)]
    return tuple(map(real, _economized(taylor, EXPM1_TERMS[real], SERIES_BOUND)))


@cache
def log_ratio_terms(real: Any) -> tuple[Any, ...]:
    """Polynomial in s * s of log((1 + s) / (1 - s)) / s = 2 atanh(s) / s, s = x / (2 - x) for 0 <= x <=
    SERIES_BOUND; its relative error is below rounding.
    """
    bound = (SERIES_BOUND / (2 - SERIES_BOUND)) ** 2
    return tuple(map(real, _economized([2 / (2 * k + 1) for k in range(20)], ATANH_TERMS[real], bound)))


def _economized(taylor: list[float], terms: int, bound: float) -> list[float]:
    """The first `terms` coefficients of a power series, changed so that the rest, for arguments from 0 to
    `bound`, is spread evenly (Lanczos 1938): each highest term is replaced by the lower ones of its multiple
    of a Chebyshev polynomial.
    """
    series = Polynomial(taylor)
    for degree in range(len(taylor) - 1, terms - 1, -1):
        even = Chebyshev.basis(degree, domain=[0.0, bound]).convert(kind=Polynomial)
        series = (series - even * (series.coef[degree] / even.coef[degree])).truncate(degree)
    return [float(c) for c in series.coef]


def apart(kind: str, real: Any) -> bool:
    """Whether a kernel computes those neurons apart that spike or end their rest: it likes many at once.

    In float64, where series are longer and vectors shorter, 256 neurons take 0.8 to 1.1 ns each and not 1.3;
    in float32 0.45 to 0.75 and not 0.55, the former while all are silent.
    """
    return real is np.float64 and kind in ("lif", "adaptive_lif")


def lif(real: Any, exact: bool) -> Callable[..., None]:
    """state: the one number of every neuron."""
    if exact:
        return _exact(real)
    return _apart(real) if apart("lif", real) else _in_order(real)


def wide_lif(real: Any, exact: bool) -> Callable[..., None]:
    """state: voltage, refractory_time (s left, at the step's start)."""
    return _wide_exact(real) if exact else _wide(real)


# ------------------------------------------------------------------------------------------ in vectors


@cache
def _risen(real: Any) -> Any:
    """v + (j - v) (1 - exp(-u)): the voltage after the active part of a step."""
    decay = decay_terms(real)

    @register_jitable(forceinline=True)
    def risen(j, v, u):  # type: ignore[no-untyped-def]
        return fma((j - v) * u, polynomial(u, decay), v)

    return risen


@cache
def _due(real: Any) -> Any:
    """Minus the refractory time of neurons that went up to v > 1: tau_ref + dt, less the time since then.

    log((j - 1) / (j - v)) = log((1 + s) / (1 - s)) = 2 atanh(s).
    """
    one, log_ratio = real(1), log_ratio_terms(real)

    @register_jitable(forceinline=True)
    def due(j, v, dt, tau_rc, tau_ref):  # type: ignore[no-untyped-def]
        s = (v - fill(v, one)) / ((j - fill(v, one)) + (j - v))
        return fma(fill(v, tau_rc) * s, polynomial(s * s, log_ratio), fill(v, -(tau_ref + dt)))

    return due


@cache
def _advance(real: Any) -> Any:
    """(spiked, state after the step) of currents j and state s."""
    zero, one, risen, due = real(0), real(1), _risen(real), _due(real)

    @register_jitable(forceinline=True)
    def advance(j, s, dt, tau_rc, tau_ref):  # type: ignore[no-untyped-def]
        # r = -later, where neurons rest; where they do not, it is more than dt that is clipped.
        later = s + fill(s, dt)
        u = minimum(maximum(later + fill(s, dt), fill(s, zero)), fill(s, dt)) * fill(s, one / tau_rc)
        v = risen(j, maximum(s, fill(s, zero)), u)
        spiked = v > fill(s, one)
        later = where(spiked, due(j, v, dt, tau_rc, tau_ref), later)
        v = where(spiked, fill(s, zero), maximum(v, fill(s, zero)))
        return spiked, where(fill(s, -dt) > later, later, v)

    return advance


def _in_order(real: Any) -> Callable[..., None]:
    lanes, zero, one, advance = simd.lanes(real), real(0), real(1), _advance(real)

    @register_jitable(forceinline=True)
    def block(J, A, S, i, n, mask, dt, tau_rc, tau_ref):  # type: ignore[no-untyped-def]
        spiked, s = advance(load(J, i, every(J)), load(S, n, mask), dt, tau_rc, tau_ref)
        store(S, n, s, mask)
        store(A, i, where(spiked, fill(J, one), fill(J, zero)), every(J))

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        S, dt, tau_rc, tau_ref = state[0], p[1], p[2], p[3]
        rest = J.shape[0] % lanes
        whole = J.shape[0] - rest
        for i in range(0, whole, lanes):
            block(J, A, S, i, n + i, every(J), dt, tau_rc, tau_ref)
        if rest:
            block(J, A, S, whole, n + whole, first(J, rest), dt, tau_rc, tau_ref)

    return update


def _apart(real: Any) -> Callable[..., None]:
    """All neurons as if they neither spiked nor began to move in this step; then those that did, together.

    Of the others, those that rest go on to, and for the rest u, and so its polynomial, is one number.
    """
    lanes, zero, one = simd.lanes(real), real(0), real(1)
    advance, decay = _advance(real), decay_terms(real)

    @register_jitable(forceinline=True)
    def block(J, A, S, i, n, mask, dt, u, part, index, count):  # type: ignore[no-untyped-def]
        j, s = load(J, i, every(J)), load(S, n, mask)
        v, later = fma((j - s) * u, part, s), s + fill(s, dt)
        rests, goes_on = fill(s, zero) > s, fill(s, -dt) > later
        spiked = (v > fill(s, one)) & ~rests
        others = (spiked | rests) & ~goes_on
        after = where(goes_on, later, maximum(v, fill(s, zero)))
        store(S, n, where(others, s, after), mask)
        store(A, i, where(spiked, fill(J, one), fill(J, zero)), every(J))
        return pack(index, count, i, others & mask)

    @register_jitable(forceinline=True)
    def sparse(J, A, S, index, k, mask, dt, tau_rc, tau_ref):  # type: ignore[no-untyped-def]
        j, s = gather(J, index, k, mask), gather(S, index, k, mask)
        spiked, after = advance(j, s, dt, tau_rc, tau_ref)
        scatter(S, index, k, after, mask)
        at_once = spiked & (fill(s, zero) > s) & mask
        if some(at_once):
            scatter(A, index, k, fill(s, one), at_once)

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        S, dt, tau_rc, tau_ref = state[0][n:], p[1], p[2], p[3]
        index, count, rest = tile(np.int32(0)), 0, J.shape[0] % lanes
        whole = J.shape[0] - rest
        u = fill(J, dt) * fill(J, one / tau_rc)
        part = polynomial(u, decay)
        for i in range(0, whole, lanes):
            count += block(J, A, S, i, i, every(J), dt, u, part, index, count)
        if rest:
            count += block(J, A, S, whole, whole, first(J, rest), dt, u, part, index, count)
        for k in range(0, count, lanes):
            sparse(J, A, S, index, k, first(J, min(lanes, count - k)), dt, tau_rc, tau_ref)

    return update


def _wide(real: Any) -> Callable[..., None]:
    lanes, zero, one, risen, due = simd.lanes(real), real(0), real(1), _risen(real), _due(real)

    @register_jitable(forceinline=True)
    def block(J, A, voltage, refractory, i, n, mask, dt, tau_rc, tau_ref, v_min):  # type: ignore[no-untyped-def]
        j, v = load(J, i, every(J)), load(voltage, n, mask)
        r = load(refractory, n, mask) - fill(J, dt)
        u = minimum(maximum(fill(J, dt) - r, fill(J, zero)), fill(J, dt)) * fill(J, one / tau_rc)
        v = risen(j, v, u)
        spiked = v > fill(J, one)
        left = fill(J, zero) - due(j, v, dt, tau_rc, tau_ref)
        store(voltage, n, where(spiked, fill(J, zero), maximum(v, fill(J, v_min))), mask)
        store(refractory, n, where(spiked, left, r), mask)
        store(A, i, where(spiked, fill(J, one), fill(J, zero)), every(J))

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        V, R, dt, tau_rc, tau_ref, v_min = state[0], state[1], p[1], p[2], p[3], p[4]
        rest = J.shape[0] % lanes
        whole = J.shape[0] - rest
        for i in range(0, whole, lanes):
            block(J, A, V, R, i, n + i, every(J), dt, tau_rc, tau_ref, v_min)
        if rest:
            block(J, A, V, R, whole, n + whole, first(J, rest), dt, tau_rc, tau_ref, v_min)

    return update


# -------------------------------------------------------------------------------------- by the library


@cache
def _moved(real: Any) -> Any:
    """(v, refractory time if v > 1) after `active` s of a step."""
    zero, one = real(0), real(1)

    @register_jitable
    def moved(j, v, part, dt, tau_rc, tau_ref):  # type: ignore[no-untyped-def]
        v = v - (j - v) * part
        # Time of the spike after the start of the step, where the trajectory crosses 1.
        crosses = v > one and j > one
        late = np.log1p(-(v - one) / (j - one)) if crosses else zero
        return v, tau_ref + (dt + tau_rc * late)

    return moved


def _exact(real: Any) -> Callable[..., None]:
    zero, one, moved = real(0), real(1), _moved(real)

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        m, dt, tau_rc, tau_ref = J.shape[0], p[1], p[2], p[3]
        S, rate = state[0, n : n + m], one / tau_rc
        all_of_it = np.expm1(-dt * rate)
        for i in range(m):
            s, later, A[i] = S[i], S[i] + dt, zero
            if later < -dt:
                S[i] = later
                continue
            active = min(max(later + dt, zero), dt)
            part = np.expm1(-active * rate) if active < dt else all_of_it
            v, left = moved(J[i], max(s, zero), part, dt, tau_rc, tau_ref)
            if v > one:
                S[i], A[i] = -left if left > dt else zero, one
            else:
                S[i] = max(v, zero)

    return update


def _wide_exact(real: Any) -> Callable[..., None]:
    zero, one, moved = real(0), real(1), _moved(real)

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        m, dt, tau_rc, tau_ref, v_min = J.shape[0], p[1], p[2], p[3], p[4]
        voltage, refractory, rate = state[0, n : n + m], state[1, n : n + m], one / tau_rc
        for i in range(m):
            r = refractory[i] - dt
            part = np.expm1(-min(max(dt - r, zero), dt) * rate)
            v, left = moved(J[i], voltage[i], part, dt, tau_rc, tau_ref)
            spiked = v > one
            voltage[i] = zero if spiked else max(v, v_min)
            refractory[i] = left if spiked else r
            A[i] = one if spiked else zero

    return update
