"""One step of each neuron type, for a tile of neurons; equations as in Nengo's types of the same names.

LIF neurons have kernels of their own: see `lif`.  A factory takes the scalar type, and returns update(J, A,
state, n, p): currents J and activity A of the tile's neurons, their state in state[:, n : n + len(J)], and p
the parameters of the type: p[0] is the scale of a recorded activity (units of its sum per spike or Hz), p[1]
is dt, the rest is named below.
Loops have no branches, so that they vectorise.
"""

# ruff: noqa: ARG001 - every factory and kernel takes the same arguments, whether it needs them or not

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import register_jitable
from spike_runtime.ops.converted import RANDOM, STREAMED, regular_spiking

Factory = Callable[[Any], Callable[..., None]]


def adapting(base: Factory, row: int) -> Factory:
    """The factory of `base` driven by J - n, with adaptation dn/dt = (inc_n * output - n) / tau_n.

    p: five as `base`, tau_n, inc_n (times amplitude / dt where the output is spikes).  state: as `base`, then
    adaptation in that row.
    """

    def factory(real: Any) -> Callable[..., None]:
        inner = register_jitable(base(real))

        def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
            m = J.shape[0]
            adaptation = state[row, n : n + m]
            for i in range(m):
                J[i] -= adaptation[i]
            inner(J, A, state, n, p)
            rate, increment = p[1] / p[5], p[6]
            for i in range(m):
                adaptation[i] += rate * (increment * A[i] - adaptation[i])

        return update

    return factory


def spiking_rectified_linear(real: Any) -> Callable[..., None]:
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


def rectified_linear(real: Any) -> Callable[..., None]:
    """a = amplitude max(J, 0).  p: scale, dt, amplitude."""
    zero = real(0)

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        for i in range(J.shape[0]):
            A[i] = p[2] * max(J[i], zero)

    return update


def lif_rate(real: Any) -> Callable[..., None]:
    """a = amplitude / (tau_ref + tau_rc log(1 + 1 / (J - 1))) for J > 1, else 0.  p: scale, dt, tau_rc,
    tau_ref, amplitude.
    """
    zero, one = real(0), real(1)

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        for i in range(J.shape[0]):
            j = J[i] - one
            A[i] = p[4] / (p[3] + p[2] * np.log1p(one / j)) if j > zero else zero

    return update


def izhikevich(real: Any) -> Callable[..., None]:
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


def sigmoid(real: Any) -> Callable[..., None]:
    """a = 1 / (tau_ref (1 + exp(-J))).  p: scale, dt, tau_ref."""
    one = real(1)

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        for i in range(J.shape[0]):
            A[i] = one / (p[2] * (one + np.exp(-J[i])))

    return update


def tanh(real: Any) -> Callable[..., None]:
    """a = tanh(J) / tau_ref.  p: scale, dt, tau_ref."""

    def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
        for i in range(J.shape[0]):
            A[i] = np.tanh(J[i]) / p[2]

    return update


UPDATES: dict[str, Factory] = {
    "spiking_rectified_linear": spiking_rectified_linear,
    "rectified_linear": rectified_linear,
    "lif_rate": lif_rate,
    "adaptive_lif_rate": adapting(lif_rate, 0),
    "izhikevich": izhikevich,
    "sigmoid": sigmoid,
    "tanh": tanh,
}
# State variables of the rate types, around which others send spikes.
_RATES = {"rectified_linear": 0, "lif_rate": 0, "adaptive_lif_rate": 1, "sigmoid": 0, "tanh": 0}
for _base, _rows in _RATES.items():
    UPDATES[f"regular_spiking_{_base}"] = regular_spiking(UPDATES[_base], _rows)
    UPDATES |= {f"{_random}_{_base}": UPDATES[_base] for _random in RANDOM + STREAMED}
