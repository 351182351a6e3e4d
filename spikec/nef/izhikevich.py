"""Izhikevich's neuron: two variables, tuned by what its simulation shows.

E. M. Izhikevich, Simple model of spiking neurons, IEEE Transactions on Neural Networks 14:1569 (2003).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import ClassVar

import numpy as np

from spikec.nef.neurons import Array, NeuronType, TuningError, check_tuning
from spikec.records import dataclass

# Rates are those of a simulation in steps of 1 ms, of which the first is left out, as in Nengo.
_STEP, _SETTLE, _STEPS = 0.001, 1, 1000
# Currents below are taken as this one: with them the method of Euler diverges.
LEAST_CURRENT = -30.0
_SAMPLES, _DOUBLINGS = 101, 10
# Curves are sampled up to a multiple of this rate (Hz), so that few differ.
_GRID = 10.0


@dataclass(frozen=True)
class Izhikevich(NeuronType):
    """With v in mV, u the recovery and times in ms:

        dv/dt = 0.04 v^2 + 5 v + 140 - u + J,   du/dt = tau_recovery (coupling v - u)

    in one step of Euler, J at least -30; at v >= 30 a spike, v = reset_voltage and u grows by reset_recovery.
    """

    tau_recovery: float = 0.02
    coupling: float = 0.2
    reset_voltage: float = -65.0
    reset_recovery: float = 8.0
    amplitude: ClassVar[float] = 1.0
    kind: ClassVar[str] = "izhikevich"
    spiking: ClassVar[bool] = True
    state: ClassVar[tuple[str, ...]] = ("voltage", "recovery")

    def rates(self, J: Array, out: Array | None = None) -> Array:
        J = np.maximum(np.asarray(J, np.float64), LEAST_CURRENT)
        v, u, spikes = np.zeros_like(J), np.zeros_like(J), np.zeros_like(J)
        ms = 1000.0 * _STEP
        for step in range(_SETTLE + _STEPS):
            v += ms * ((0.04 * v + 5.0) * v + (140.0 + J) - u)
            fired = v >= 30.0
            v[fired] = self.reset_voltage
            u += ms * self.tau_recovery * (self.coupling * v - u)
            u[fired] += self.reset_recovery
            if step >= _SETTLE:
                spikes += fired
        return np.divide(spikes, _STEP * _STEPS, out=out)

    def gain_bias(self, max_rates: Array, intercepts: Array) -> tuple[Array, Array]:
        max_rates, intercepts = np.broadcast_arrays(*check_tuning(max_rates, intercepts, 0.0))
        if max_rates.ndim > 1:
            # Of several populations each for itself: none changes what another is tuned to.
            gains, biases = zip(*map(self.gain_bias, max_rates, intercepts), strict=True)
            return np.stack(gains), np.stack(biases)
        currents, rates = self._curve(_GRID * math.ceil(float(max_rates.max(initial=1.0)) / _GRID))
        J_max = np.interp(max_rates, rates, currents)
        gain = (J_max - currents[0]) / (1.0 - intercepts)
        return gain, J_max - gain

    def _curve(self, highest: float) -> tuple[Array, Array]:
        """Currents and their rates, both increasing, from the last silent current to one of rate `highest`.

        Raises `TuningError` where no current gives that rate.
        """
        return _curve(self, highest)

    def max_activity(self, dt: float, J_max: Array) -> Array:
        return np.full(np.shape(J_max), 1.0 / dt)


@lru_cache(maxsize=64)
def _curve(neuron: Izhikevich, highest: float) -> tuple[Array, Array]:
    reach = 10.0
    for _ in range(_DOUBLINGS):
        currents = np.linspace(-reach, reach, _SAMPLES)
        rates = neuron.rates(currents)
        if rates[-1] >= highest and rates[0] <= 0:
            break
        reach *= 2.0
    else:
        raise TuningError(
            f"no current gives a neuron of type izhikevich a rate of {highest:g} Hz",
            "lower the maximum rates, for example max_rates = uniform(20Hz, 100Hz)",
        )
    silent = currents[np.flatnonzero(rates <= 0)[-1]]
    currents = np.linspace(silent, currents[np.flatnonzero(rates >= highest)[0]], _SAMPLES)
    rates = np.maximum.accumulate(neuron.rates(currents))
    rates, first = np.unique(rates, return_index=True)
    return currents[first], rates
