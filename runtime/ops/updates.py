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

# Largest dt / tau_rc for which the series below are used, and how many terms each needs at that argument.
SERIES_BOUND = 0.06
EXPM1_TERMS = {np.float32: 5, np.float64: 9}
ATANH_TERMS = {np.float32: 3, np.float64: 6}


def expm1_series(real: Any) -> Callable[[Any], Any]:
    """exp(u) - 1 = u (1 + u/2 (1 + u/3 (...))) for |u| <= SERIES_BOUND: relative error below rounding."""
    c = tuple(real(1 / factorial(k)) for k in range(1, 11))
    if real is np.float32:

        def expm1(u):  # type: ignore[no-untyped-def]
            return u * (c[0] + u * (c[1] + u * (c[2] + u * (c[3] + u * c[4]))))
    else:

        def expm1(u):  # type: ignore[no-untyped-def]
            return u * (
                c[0]
                + u
                * (
                    c[1]
                    + u * (c[2] + u * (c[3] + u * (c[4] + u * (c[5] + u * (c[6] + u * (c[7] + u * c[8]))))))
                )
            )

    series: Callable[[Any], Any] = register_jitable(expm1)
    return series


def log_ratio_series(real: Any) -> Callable[[Any, Any], Any]:
    """log(1 - v / j) = -2 atanh(v / (2 j - v)) by its odd series, for 0 <= v / j <= SERIES_BOUND."""
    two, c = real(2), tuple(real(1 / k) for k in (3, 5, 7, 9, 11))
    if real is np.float32:

        def log_ratio(v, j):  # type: ignore[no-untyped-def]
            s = v / (two * j - v)
            z = s * s
            return -two * s * (real(1) + z * (c[0] + z * c[1]))
    else:

        def log_ratio(v, j):  # type: ignore[no-untyped-def]
            s = v / (two * j - v)
            z = s * s
            return -two * s * (real(1) + z * (c[0] + z * (c[1] + z * (c[2] + z * (c[3] + z * c[4])))))

    series: Callable[[Any, Any], Any] = register_jitable(log_ratio)
    return series


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
    zero, one = real(0), real(1)
    expm1, log_ratio = _library(real) if exact else (expm1_series(real), log_ratio_series(real))

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
    "sigmoid": sigmoid,
    "tanh": tanh,
}
