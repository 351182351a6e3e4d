"""One step of each neuron type, for a tile of neurons; equations as in Nengo's types of the same names.

A factory takes the scalar type and `exact`, and returns update(J, A, state, n, p): currents J and activity
A of the tile's neurons, their state in state[:, n : n + len(J)], and p the parameters of the type: p[0] is
the scale of a recorded activity (units of its sum per spike or Hz), p[1] is dt, the rest is named below.
Loops have no branches, so that they vectorise.
"""

# ruff: noqa: ARG001 - every factory and kernel takes the same arguments, whether it needs them or not

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from typing import Any

import numpy as np
from numba.extending import register_jitable
from numpy.polynomial import Chebyshev, Polynomial
from spike_runtime.ops import simd
from spike_runtime.ops.converted import RANDOM, regular_spiking
from spike_runtime.ops.simd import every, fill, first, fma, load, maximum, minimum, polynomial, store, where

# Largest dt / tau_rc for which the polynomials below are used, and how many terms each needs for it.
SERIES_BOUND = 0.06
EXPM1_TERMS = {np.float32: 4, np.float64: 7}
ATANH_TERMS = {np.float32: 2, np.float64: 5}


def decay_terms(real: Any) -> tuple[Any, ...]:
    """Polynomial of (1 - exp(-u)) / u for 0 <= u <= SERIES_BOUND; its relative error is below rounding."""
    taylor = [(-1) ** k / factorial(k + 1) for k in range(20)]
    return tuple(map(real, _economized(taylor, EXPM1_TERMS[real], SERIES_BOUND)))


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


def _library(real: Any) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
    zero, one = real(0), real(1)

    def expm1(u):  # type: ignore[no-untyped-def]
        return np.expm1(u)

    def log_ratio(v, j):  # type: ignore[no-untyped-def]
        return np.log1p(-v / j) if v > zero and j > zero else zero * one

    return register_jitable(expm1), register_jitable(log_ratio)


def lif(real: Any, exact: bool) -> Callable[..., None]:
    """Leaky integrate-and-fire: dv/dt = (J - v) / tau_rc, spike at v = 1, then 0 for tau_ref.

    p: scale, dt, tau_rc, tau_ref, min_voltage.  state: voltage, refractory_time (s left, at the step's
    start).
    """
    return _lif_exact(real) if exact else _lif_series(real)


def _lif_exact(real: Any) -> Callable[..., None]:
    zero, one = real(0), real(1)
    expm1, log_ratio = _library(real)

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        m = J.shape[0]
        voltage, refractory = state[0, n : n + m], state[1, n : n + m]
        dt, tau_rc, tau_ref, v_min = p[1], p[2], p[3], p[4]
        rate = one / tau_rc
        for i in range(m):
            r = refractory[i] - dt
            active = min(max(dt - r, zero), dt)
            v = voltage[i] - (J[i] - voltage[i]) * expm1(-active * rate)
            spiked = v > one
            # Time of the spike after the start of the step, where the trajectory crosses 1.
            t = dt + tau_rc * log_ratio(v - one, J[i] - one)
            voltage[i] = zero if spiked else max(v, v_min)
            refractory[i] = tau_ref + t if spiked else r
            A[i] = one if spiked else zero

    return update


def _lif_series(real: Any) -> Callable[..., None]:
    lanes, zero, one = simd.lanes(real), real(0), real(1)
    decay, log_ratio = decay_terms(real), log_ratio_terms(real)

    @register_jitable(forceinline=True)
    def block(J, A, voltage, refractory, i, n, mask, dt, tau_rc, tau_ref, v_min, rate):  # type: ignore[no-untyped-def]
        j, v = load(J, i, every(J)), load(voltage, n, mask)
        r = load(refractory, n, mask) - fill(J, dt)
        u = minimum(maximum(fill(J, dt) - r, fill(J, zero)), fill(J, dt)) * fill(J, rate)
        v = fma((j - v) * u, polynomial(u, decay), v)
        spiked = v > fill(J, one)
        # Where the trajectory crosses 1: tau_rc log((J - 1) / (J - v)) s before the end of the step, and
        # log((1 + s) / (1 - s)) = 2 atanh(s).
        s = (v - fill(J, one)) / ((j - fill(J, one)) + (j - v))
        t = fill(J, tau_rc) * s * polynomial(s * s, log_ratio)
        store(voltage, n, where(spiked, fill(J, zero), maximum(v, fill(J, v_min))), mask)
        store(refractory, n, where(spiked, fill(J, tau_ref + dt) - t, r), mask)
        store(A, i, where(spiked, fill(J, one), fill(J, zero)), every(J))

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        voltage, refractory = state[0], state[1]
        dt, tau_rc, tau_ref, v_min = p[1], p[2], p[3], p[4]
        rate, rest = one / tau_rc, J.shape[0] % lanes
        whole = J.shape[0] - rest
        for i in range(0, whole, lanes):
            block(J, A, voltage, refractory, i, n + i, every(J), dt, tau_rc, tau_ref, v_min, rate)
        if rest:
            mask = first(J, rest)
            block(J, A, voltage, refractory, whole, n + whole, mask, dt, tau_rc, tau_ref, v_min, rate)

    return update


def adaptive_lif(real: Any, exact: bool) -> Callable[..., None]:
    """LIF with a current n subtracted: dn/dt = (inc_n * output - n) / tau_n.

    p: scale, dt, tau_rc, tau_ref, min_voltage, tau_n, inc_n * amplitude / dt.  state: voltage,
    refractory_time, adaptation.
    """
    base = register_jitable(lif(real, exact))

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        m = J.shape[0]
        adaptation = state[2, n : n + m]
        for i in range(m):
            J[i] -= adaptation[i]
        base(J, A, state, n, p)
        rate, increment = p[1] / p[5], p[6]
        for i in range(m):
            adaptation[i] += rate * (increment * A[i] - adaptation[i])

    return update


def spiking_rectified_linear(real: Any, exact: bool) -> Callable[..., None]:
    """Integrates max(J, 0) and spikes at every whole number crossed.  p: scale, dt.  state: voltage."""
    zero = real(0)

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        m = J.shape[0]
        voltage, dt = state[0, n : n + m], p[1]
        for i in range(m):
            v = voltage[i] + max(J[i], zero) * dt
            spikes = np.floor(v)
            voltage[i] = v - spikes
            A[i] = spikes

    return update


def rectified_linear(real: Any, exact: bool) -> Callable[..., None]:
    """a = amplitude max(J, 0).  p: scale, dt, amplitude."""
    zero = real(0)

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        for i in range(J.shape[0]):
            A[i] = p[2] * max(J[i], zero)

    return update


def lif_rate(real: Any, exact: bool) -> Callable[..., None]:
    """a = amplitude / (tau_ref + tau_rc log(1 + 1 / (J - 1))) for J > 1, else 0.  p: scale, dt, tau_rc,
    tau_ref, amplitude.
    """
    zero, one = real(0), real(1)

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        for i in range(J.shape[0]):
            j = J[i] - one
            A[i] = p[4] / (p[3] + p[2] * np.log1p(one / j)) if j > zero else zero

    return update


def adaptive_lif_rate(real: Any, exact: bool) -> Callable[..., None]:
    """`lif_rate` of J - n with dn/dt = (inc_n * output - n) / tau_n.

    p: scale, dt, tau_rc, tau_ref, amplitude, tau_n, inc_n.  state: adaptation.
    """
    base = register_jitable(lif_rate(real, exact))

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        m = J.shape[0]
        adaptation = state[0, n : n + m]
        for i in range(m):
            J[i] -= adaptation[i]
        base(J, A, state, n, p)
        rate, increment = p[1] / p[5], p[6]
        for i in range(m):
            adaptation[i] += rate * (increment * A[i] - adaptation[i])

    return update


def izhikevich(real: Any, exact: bool) -> Callable[..., None]:
    """Two variables in one step of Euler, spike at v = 30 (Izhikevich 2003, IEEE Trans Neural Netw 14:1569).

    p: scale, dt, tau_recovery, coupling, reset_voltage, reset_recovery.  state: voltage, recovery.
    """
    zero, one, least = real(0), real(1), real(-30)

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        m = J.shape[0]
        voltage, recovery = state[0, n : n + m], state[1, n : n + m]
        ms = real(1000) * p[1]
        for i in range(m):
            v, u = voltage[i], recovery[i]
            v += ms * ((real(0.04) * v + real(5)) * v + real(140) - u + max(J[i], least))
            spiked = v >= real(30)
            v = p[4] if spiked else v
            u += ms * p[2] * (p[3] * v - u)
            voltage[i], recovery[i] = v, u + p[5] if spiked else u
            A[i] = one if spiked else zero

    return update


def sigmoid(real: Any, exact: bool) -> Callable[..., None]:
    """a = 1 / (tau_ref (1 + exp(-J))).  p: scale, dt, tau_ref."""
    one = real(1)

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        for i in range(J.shape[0]):
            A[i] = one / (p[2] * (one + np.exp(-J[i])))

    return update


def tanh(real: Any, exact: bool) -> Callable[..., None]:
    """a = tanh(J) / tau_ref.  p: scale, dt, tau_ref."""

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        for i in range(J.shape[0]):
            A[i] = np.tanh(J[i]) / p[2]

    return update


UPDATES: dict[str, Callable[[Any, bool], Callable[..., None]]] = {
    "lif": lif,
    "adaptive_lif": adaptive_lif,
    "spiking_rectified_linear": spiking_rectified_linear,
    "rectified_linear": rectified_linear,
    "lif_rate": lif_rate,
    "adaptive_lif_rate": adaptive_lif_rate,
    "izhikevich": izhikevich,
    "sigmoid": sigmoid,
    "tanh": tanh,
}
# State variables of the rate types, around which others send spikes.
_RATES = {"rectified_linear": 0, "lif_rate": 0, "adaptive_lif_rate": 1, "sigmoid": 0, "tanh": 0}
for _base, _rows in _RATES.items():
    UPDATES[f"regular_spiking_{_base}"] = regular_spiking(UPDATES[_base], _rows)
    UPDATES |= {f"{_random}_{_base}": UPDATES[_base] for _random in RANDOM}
