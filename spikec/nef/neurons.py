"""Neuron types of the field: response curves, and gains and biases from tuning.

Equations follow Eliasmith and Anderson, Neural Engineering (2003), and the descriptions of the same names in
Nengo.  `J` is input current (dimensionless, threshold 1), rates are in Hz, times in seconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spikec.records import dataclass

Array = NDArray[np.float64]
Single = NDArray[np.float32]

_ONE, _TINY = np.float32(1.0), np.float32(5e-31)


@dataclass(frozen=True)
class NeuronType(ABC):
    """Base: a frozen set of parameters with a response curve.

    `kind` names the kernel; `spiking` says that the output is amplitude / dt at a spike and 0 otherwise;
    `state` names the state variables, one number per neuron each, in the order the kernel takes them;
    `amplitude` scales the output; `onset` is the current from which `rates_in_float32` counts.
    """

    kind: ClassVar[str]
    spiking: ClassVar[bool] = False
    state: ClassVar[tuple[str, ...]] = ()
    onset: ClassVar[float] = 0.0

    @property
    def negative(self) -> bool:
        """Whether the activity can be below 0: such spikes are recorded as activity, not as events."""
        return False

    @property
    def bounded(self) -> bool:
        """Whether there is a largest activity whatever the current, so that none is beyond `max_activity`."""
        return True

    @abstractmethod
    def rates(self, J: Array, out: Array | None = None) -> Array:
        """Steady-state firing rate (Hz, or activity for rate neurons) for input current J, of the shape of J.

        With `out` (which may be J itself) it is written there and no memory is allocated for it.
        """

    def rates_in_float32(self, below: Array, out: Single) -> None:
        """Rates for J = onset - below in `out`; `below` is memory to work in.

        The distance from the onset has the precision of float64, the rest of the curve may have less.
        """
        out[...] = self.rates(np.subtract(self.onset, below, out=below), below)

    @abstractmethod
    def gain_bias(self, max_rates: Array, intercepts: Array) -> tuple[Array, Array]:
        """Gain and bias: rates(gain + bias) = max_rates at amplitude 1, and J at threshold at x = intercept.

        Raises `TuningError` where no neuron of this type can have them.
        """

    @abstractmethod
    def max_activity(self, dt: float, J_max: Array) -> Array:
        """Bound of |activity| in one step of dt seconds, in Hz, for input currents up to J_max."""


def unit(neuron: NeuronType, dt: float) -> float:
    """Activity in Hz of one unit of the kernel's activity: amplitude / dt per spike, 1 for rates."""
    return neuron.amplitude / dt if neuron.spiking else 1.0  # type: ignore[attr-defined]


class TuningError(ValueError):
    """Gains and biases that cannot be; `hint` says what to change.  The builder adds the place."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def check_tuning(max_rates: Array, intercepts: Array, tau_ref: float) -> tuple[Array, Array]:
    """Both as float64 arrays; raises `TuningError` where no neuron can have them."""
    max_rates, intercepts = np.asarray(max_rates, np.float64), np.asarray(intercepts, np.float64)
    if not np.all(intercepts < 1.0):
        worst = float(np.max(intercepts))
        raise TuningError(
            f"an intercept of {worst:g} leaves no room below 1, where the neuron reaches its maximum rate",
            "keep every intercept below 1, for example intercepts = uniform(-1, 0.9)",
        )
    if not np.all(max_rates > 0.0):
        worst = float(np.min(max_rates))
        raise TuningError(f"a maximum rate of {worst:g} Hz is not positive", "give maximum rates above 0 Hz")
    ceiling = 1.0 / tau_ref if tau_ref > 0 else np.inf
    if not np.all(max_rates < ceiling):
        worst = float(np.max(max_rates))
        raise TuningError(
            f"a maximum rate of {worst:g} Hz is not below {ceiling:g} Hz, the inverse of tau_ref",
            f"keep every maximum rate below {ceiling:g} Hz, or make tau_ref shorter",
        )
    return max_rates, intercepts


def _log1p(x: Single, sum_: Single, rounded: Single) -> None:
    """log(1 + x) in the place of x, which is finite; `sum_` and `rounded` are memory to work in.

    log(s) + (x - (s - 1)) / s, where s is 1 + x rounded.  NumPy has vectors for log everywhere, for log1p
    with AVX-512 alone: without, that takes 11.6 ns a number, and this 2.6.
    """
    np.add(x, _ONE, out=sum_)
    np.subtract(sum_, _ONE, out=rounded)
    np.subtract(x, rounded, out=x)
    np.divide(x, sum_, out=x)
    np.add(x, np.log(sum_, out=sum_), out=x)


@dataclass(frozen=True)
class LIFRate(NeuronType):
    """Rate of leaky integrate-and-fire: a = amplitude / (tau_ref + tau_rc log1p(1 / (J - 1))), 0 for J <= 1.

    Tuning is that of the rate at amplitude 1, as in Nengo: amplitude scales the output only.
    """

    tau_rc: float = 0.02
    tau_ref: float = 0.002
    amplitude: float = 1.0
    kind: ClassVar[str] = "lif_rate"
    onset: ClassVar[float] = 1.0

    def rates(self, J: Array, out: Array | None = None) -> Array:
        excess = np.subtract(J, 1.0, out=out, dtype=np.float64)
        fires = np.asarray(excess) > 0.0
        # For J > 1 the excess is at least 2^-52, so the floor changes only silent neurons; with it the
        # logarithm keeps off its slow path for infinities.
        period = np.maximum(excess, 2.0**-53, out=out)
        period = np.divide(1.0, period, out=out)
        period = np.log1p(period, out=out)
        period = np.multiply(period, self.tau_rc, out=out)
        period = np.add(period, self.tau_ref, out=out)
        rate = np.divide(self.amplitude, period, out=out)
        return np.asarray(np.multiply(rate, fires, out=out))

    def rates_in_float32(self, below: Array, out: Single) -> None:
        # Fewer passes over the numbers than above: solving for decoders, this is a third of the time.
        out[...] = below
        np.add(out, _TINY, out=out)  # what is not further above the onset is silent, and 1 / 0 nowhere
        bits = out.view(np.int32)
        fires = np.right_shift(bits, 31)  # all bits of a number below 0, none of others
        np.bitwise_and(bits, 0x7FFFFFFF, out=bits)  # without the sign, for the logarithm of a silent neuron
        np.divide(_ONE, out, out=out)
        _log1p(out, *below.reshape(-1).view(np.float32).reshape(2, *out.shape))
        np.add(out, np.float32(self.tau_ref / self.tau_rc), out=out)
        np.divide(np.float32(self.amplitude / self.tau_rc), out, out=out)
        np.bitwise_and(bits, fires, out=bits)

    def gain_bias(self, max_rates: Array, intercepts: Array) -> tuple[Array, Array]:
        max_rates, intercepts = check_tuning(max_rates, intercepts, self.tau_ref)
        J_max = 1.0 / (1.0 - np.exp((self.tau_ref - 1.0 / max_rates) / self.tau_rc))
        gain = (1.0 - J_max) / (intercepts - 1.0)
        return gain, 1.0 - gain * intercepts

    @property
    def bounded(self) -> bool:
        return self.tau_ref > 0

    def max_activity(self, dt: float, J_max: Array) -> Array:  # noqa: ARG002
        if self.tau_ref > 0:
            return np.full(np.shape(J_max), self.amplitude / self.tau_ref)
        return self.rates(J_max)


@dataclass(frozen=True)
class LIF(LIFRate):
    """Leaky integrate-and-fire neuron: tau_rc dV/dt = J - V, a spike at V = 1, then silence for tau_ref.

    V stays above `min_voltage`.  At most one spike per step.  `rates` is that of `LIFRate`.
    """

    min_voltage: float = 0.0
    kind: ClassVar[str] = "lif"
    spiking: ClassVar[bool] = True
    state: ClassVar[tuple[str, ...]] = ("voltage", "refractory_time")

    def max_activity(self, dt: float, J_max: Array) -> Array:
        return np.full(np.shape(J_max), self.amplitude / dt)


@dataclass(frozen=True)
class AdaptiveLIF(LIF):
    """LIF neuron driven by J - n, with adaptation tau_n dn/dt = inc_n a - n.

    `rates` and tuning are those before adaptation sets in (n = 0), as in Nengo.
    """

    tau_n: float = 1.0
    inc_n: float = 0.01
    kind: ClassVar[str] = "adaptive_lif"
    state: ClassVar[tuple[str, ...]] = ("voltage", "refractory_time", "adaptation")


@dataclass(frozen=True)
class AdaptiveLIFRate(LIFRate):
    """`LIFRate` driven by J - n, with adaptation tau_n dn/dt = inc_n a - n; tuning as of `AdaptiveLIF`."""

    tau_n: float = 1.0
    inc_n: float = 0.01
    kind: ClassVar[str] = "adaptive_lif_rate"
    state: ClassVar[tuple[str, ...]] = ("adaptation",)


@dataclass(frozen=True)
class RectifiedLinear(NeuronType):
    """a = amplitude max(J, 0).  Tuning at amplitude 1: amplitude scales the output only."""

    amplitude: float = 1.0
    kind: ClassVar[str] = "rectified_linear"

    @property
    def bounded(self) -> bool:
        return False

    def rates(self, J: Array, out: Array | None = None) -> Array:
        rectified = np.maximum(0.0, J, out=out, dtype=np.float64)
        return np.asarray(np.multiply(rectified, self.amplitude, out=out))

    def gain_bias(self, max_rates: Array, intercepts: Array) -> tuple[Array, Array]:
        max_rates, intercepts = check_tuning(max_rates, intercepts, 0.0)
        gain = max_rates / (1.0 - intercepts)
        return gain, -intercepts * gain

    def max_activity(self, dt: float, J_max: Array) -> Array:  # noqa: ARG002
        return self.rates(J_max)


@dataclass(frozen=True)
class SpikingRectifiedLinear(RectifiedLinear):
    """Integrate-and-fire without leak: dV/dt = max(J, 0), floor(V) spikes are emitted and taken from V."""

    kind: ClassVar[str] = "spiking_rectified_linear"
    spiking: ClassVar[bool] = True
    state: ClassVar[tuple[str, ...]] = ("voltage",)

    def max_activity(self, dt: float, J_max: Array) -> Array:
        # The voltage left over from the steps before can add one spike.
        return self.rates(J_max) + self.amplitude / dt


@dataclass(frozen=True)
class Sigmoid(NeuronType):
    """a = 1 / (tau_ref (1 + exp(-J))).  `intercepts`: where J = 0, that is half of the largest rate."""

    tau_ref: float = 0.0025
    kind: ClassVar[str] = "sigmoid"

    def rates(self, J: Array, out: Array | None = None) -> Array:
        with np.errstate(over="ignore"):  # exp(-J) = inf is a rate of 0
            decay = np.exp(np.negative(J, out=out, dtype=np.float64), out=out)
            return np.asarray(np.divide(1.0 / self.tau_ref, np.add(decay, 1.0, out=out), out=out))

    def gain_bias(self, max_rates: Array, intercepts: Array) -> tuple[Array, Array]:
        max_rates, intercepts = check_tuning(max_rates, intercepts, self.tau_ref)
        J_max = -np.log(1.0 / (self.tau_ref * max_rates) - 1.0)
        gain = J_max / (1.0 - intercepts)
        if not np.all(gain > 0.0):
            half = 0.5 / self.tau_ref
            raise TuningError(
                f"a sigmoid of maximum rate {float(np.min(max_rates)):g} Hz would have a negative gain",
                f"keep every maximum rate above {half:g} Hz, half of the inverse of tau_ref",
            )
        return gain, J_max - gain

    def max_activity(self, dt: float, J_max: Array) -> Array:  # noqa: ARG002
        return np.full(np.shape(J_max), 1.0 / self.tau_ref)


@dataclass(frozen=True)
class Tanh(NeuronType):
    """a = tanh(J) / tau_ref, between -1 / tau_ref and 1 / tau_ref."""

    tau_ref: float = 0.0025
    kind: ClassVar[str] = "tanh"

    @property
    def negative(self) -> bool:
        return True

    def rates(self, J: Array, out: Array | None = None) -> Array:
        return np.asarray(np.multiply(np.tanh(J, out=out, dtype=np.float64), 1.0 / self.tau_ref, out=out))

    def gain_bias(self, max_rates: Array, intercepts: Array) -> tuple[Array, Array]:
        max_rates, intercepts = check_tuning(max_rates, intercepts, self.tau_ref)
        gain = np.arctanh(max_rates * self.tau_ref) / (1.0 - intercepts)
        return gain, -gain * intercepts

    def max_activity(self, dt: float, J_max: Array) -> Array:  # noqa: ARG002
        return np.full(np.shape(J_max), 1.0 / self.tau_ref)


@dataclass(frozen=True)
class DeltaLIF(NeuronType):
    """Leaky integrate-and-fire at the level of synapses: tau_m dV/dt = J - V, and V jumps with every spike
    that arrives (delta synapses; model A of Brunel 2000, J Comput Neurosci 8:183).

    A spike at V >= threshold, then V = reset for tau_ref, in which nothing arrives.  V, J, threshold and
    reset are in mV, with the resting potential at 0.  Populations of these are not tuned: they have no
    gains.
    """

    tau_m: float = 0.02
    tau_ref: float = 0.002
    threshold: float = 20.0
    reset: float = 10.0
    amplitude: ClassVar[float] = 1.0
    kind: ClassVar[str] = "lif_delta"
    spiking: ClassVar[bool] = True
    state: ClassVar[tuple[str, ...]] = ("voltage", "refractory_steps")

    def rates(self, J: Array, out: Array | None = None) -> Array:
        above = np.maximum(np.asarray(J, np.float64) - self.threshold, 1e-300)
        with np.errstate(over="ignore"):
            period = self.tau_ref + self.tau_m * np.log1p((self.threshold - self.reset) / above)
        rate = np.where(np.asarray(J) > self.threshold, 1.0 / period, 0.0)
        if out is None:
            return rate
        out[...] = rate
        return out

    def gain_bias(self, max_rates: Array, intercepts: Array) -> tuple[Array, Array]:  # noqa: ARG002
        raise TuningError("neurons of type lif_delta represent no value", "use them in a `population`")

    def max_activity(self, dt: float, J_max: Array) -> Array:
        return np.full(np.shape(J_max), 1.0 / dt)
