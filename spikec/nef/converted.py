"""Neuron types that turn the rates of another into spikes, which stand for the same value on average.

`base` is a rate type with rate r(J) in Hz; in a step of dt seconds a neuron sends a number k of spikes, of
amplitude / dt each.  The equations are those of Nengo's types of the same names.  Rates contain the
amplitude, so that what is decoded is the value whatever the amplitude.
"""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

import numpy as np

from spikec.nef.neurons import Array, LIFRate, NeuronType
from spikec.records import dataclass


@dataclass(frozen=True)
class Converted(NeuronType):
    """Base of the three: tuning is that of the base type.

    stream: types that draw random numbers take those of NumPy's RandomState(stream), each population from the
    first one on, neuron by neuron; None: numbers of our own.
    """

    base: NeuronType = field(default_factory=LIFRate)
    amplitude: float = 1.0
    stream: int | None = None
    spiking: ClassVar[bool] = True
    how: ClassVar[str] = ""
    own_state: ClassVar[tuple[str, ...]] = ()

    @property
    def kind(self) -> str:  # type: ignore[override]
        return f"{self.how}{'' if self.stream is None else '_numpy'}_{self.base.kind}"

    @property
    def in_order(self) -> bool:
        """Whether how many numbers a neuron draws depends on its rate, so that all others come after it."""
        return False

    @property
    def state(self) -> tuple[str, ...]:  # type: ignore[override]
        return (*self.base.state, *self.own_state)

    @property
    def negative(self) -> bool:
        return self.base.negative

    @property
    def bounded(self) -> bool:
        return self.base.bounded

    def rates(self, J: Array, out: Array | None = None) -> Array:
        rates = self.base.rates(J, out)
        return np.asarray(np.multiply(rates, self.amplitude, out=out))

    def gain_bias(self, max_rates: Array, intercepts: Array) -> tuple[Array, Array]:
        return self.base.gain_bias(max_rates, intercepts)

    def max_activity(self, dt: float, J_max: Array) -> Array:
        # A fraction of a spike, kept or drawn, can become a whole one.
        return self.amplitude * (self.base.max_activity(dt, J_max) + 1.0 / dt)


@dataclass(frozen=True)
class RegularSpiking(Converted):
    """dV/dt = r, floor(V) spikes are emitted and taken from V: the time between spikes is regular."""

    how: ClassVar[str] = "regular_spiking"
    own_state: ClassVar[tuple[str, ...]] = ("voltage",)


@dataclass(frozen=True)
class StochasticSpiking(Converted):
    """k = r dt rounded at random, up with the probability of its fractional part."""

    how: ClassVar[str] = "stochastic_spiking"


@dataclass(frozen=True)
class PoissonSpiking(Converted):
    """k has a Poisson distribution with mean r dt."""

    how: ClassVar[str] = "poisson_spiking"

    @property
    def in_order(self) -> bool:
        return self.stream is not None

    @property
    def bounded(self) -> bool:
        return False
