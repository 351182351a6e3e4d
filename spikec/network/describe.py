"""Arguments of `Network.make` to the description of a population."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from spikec.graph import Array, Distribution, Noise
from spikec.graph import Ensemble as Population
from spikec.nef.neurons import LIF, LIFRate, NeuronType
from spikec.network.mistakes import here, mistake, nearest
from spikec.records import dataclass

MODES = ("spiking", "rate", "direct")
NEURONS: dict[str, type[LIFRate]] = {"lif": LIF, "lif-rate": LIFRate}


@dataclass(frozen=True)
class Description:
    """What `Network.make` is told of the neurons; see there."""

    tau_ref: float = 0.002
    tau_rc: float = 0.02
    max_rate: Any = (200, 300)
    intercept: Any = (-1.0, 1.0)
    radius: float = 1.0
    encoders: Any = None
    seed: int | None = None
    neuron_type: str | NeuronType = "lif"
    dt: float | None = None
    eval_points: Any = None
    decoder_noise: float = 0.1
    noise_type: str = "uniform"
    noise: float | None = None
    mode: str = "spiking"
    num_subs: int = 1

    def check(self, name: str, dt: float) -> None:
        """Raises `NetworkError` for what does not depend on the size of the population."""
        if self.mode not in MODES:
            mistake(
                f"the mode of {name!r} cannot be {self.mode!r}", nearest(str(self.mode), MODES, "modes are")
            )
        if self.dt is not None and self.dt != dt:
            mistake(
                f"{name!r} has a step of {self.dt} s, its network one of {dt} s",
                "leave dt out here, or give it to Network",
            )
        positive("radius", self.radius, name, "1.0")
        positive("tau_rc", self.tau_rc, name, "0.02")
        if not _real(self.tau_ref) or self.tau_ref < 0:
            mistake(
                f"tau_ref of {name!r} must be a time of 0 s or more, not {self.tau_ref!r}",
                "give tau_ref=0.002",
            )
        seed_of(self.seed, name)
        positive("decoder_noise", self.decoder_noise, name, "0.1")
        whole_number("num_subs", self.num_subs, name, 1)
        if self.noise is not None and not (isinstance(self.noise, Real) and self.noise >= 0):
            mistake(f"noise of {name!r} is a number of 0 or more, not {self.noise!r}", "give noise=0.1")
        if self.noise_type not in ("uniform", "gaussian"):
            mistake(f"noise cannot be {self.noise_type!r}", 'give noise_type="uniform" or "gaussian"')

    def population(self, path: str, key: str, neurons: int, dims: int, seed: int) -> Population:
        """One population; its random numbers are keyed by (seed, key)."""
        points = Distribution("hypersphere", (0, 0.0))
        if self.eval_points is not None:
            points = Distribution("samples", (self._points(dims, path).T,))
        encoders = Distribution("hypersphere", (1, 0.0))
        if self.encoders is not None:
            encoders = Distribution("samples", (self._encoders(neurons, dims, path),))
        return Population(
            size=neurons, span=here(), path=key, dims=dims, neuron=self._neuron(path), seed=seed,
            radius=float(self.radius), encoders=encoders,
            max_rates=Distribution("uniform", self._rates(path)),
            intercepts=Distribution("uniform", self._intercepts(path)), eval_points=points,
        )  # fmt: skip

    def _rates(self, name: str) -> tuple[float, float]:
        """The lowest and highest rate, which neurons with this refractory period can reach."""
        pair = _range("max_rate", self.max_rate, None, name)
        tau_ref = getattr(self._neuron(name), "tau_ref", 0.0)
        ceiling = 1 / tau_ref if tau_ref else np.inf
        if min(pair) <= 0:
            mistake(f"max_rate of {name!r} is not above 0 Hz: {self.max_rate!r}", "give max_rate=(200, 300)")
        if max(pair) > ceiling or min(pair) == ceiling:
            mistake(
                f"max_rate of {name!r} is not below {ceiling:g} Hz, the inverse of tau_ref: "
                f"{self.max_rate!r}",
                f"give rates below {ceiling:g}, such as max_rate={_example(ceiling)}, or a shorter tau_ref",
            )
        return pair

    def _intercepts(self, name: str) -> tuple[float, float]:
        """The lowest and highest intercept; neurons reach their maximum rate at 1."""
        pair = _range("intercept", self.intercept, 1.0, name)
        if max(pair) > 1 or min(pair) == 1:
            mistake(
                f"intercept of {name!r} is not below 1, where neurons have their maximum rate: "
                f"{self.intercept!r}",
                "give intercept=(-1, 1), or a narrower range",
            )
        return pair

    def noise_source(self, key: str, neurons: int, seed: int) -> Noise | None:
        """Noise in the current of every neuron: uniform within noise / sqrt(dt), or Gaussian of the variance
        noise / dt; independent in every step.
        """
        if not self.noise:
            return None
        gaussian, width = self.noise_type == "gaussian", float(self.noise)
        low, high = (0.0, float(np.sqrt(width))) if gaussian else (-width, width)
        return Noise(
            size=neurons,
            span=here(),
            distribution=self.noise_type,
            a=low,
            b=high,
            scale=True,
            key=key,
            seed=seed,
        )

    def _neuron(self, name: str) -> NeuronType:
        if isinstance(self.neuron_type, NeuronType):
            return self.neuron_type
        if self.neuron_type not in NEURONS:
            mistake(
                f"there are no neurons of type {self.neuron_type!r} for {name!r}",
                nearest(str(self.neuron_type), NEURONS, "types are"),
            )
        kind = LIFRate if self.mode == "rate" else NEURONS[self.neuron_type]
        return kind(tau_rc=float(self.tau_rc), tau_ref=float(self.tau_ref))

    def _encoders(self, neurons: int, dims: int, name: str) -> Array:
        """Directions, repeated until there is one for every neuron."""
        rows = np.atleast_2d(array(f"encoders of {name!r}", self.encoders))
        if rows.ndim != 2 or rows.shape[1] != dims:
            mistake(
                f"encoders of {name!r} have shape {rows.shape}, which are no vectors of {dims} numbers",
                "give a list of directions, each of as many numbers as there are dimensions",
            )
        if not rows.any(axis=1).all():
            mistake(f"encoders of {name!r} hold one of length 0", "give directions of any length above 0")
        return rows if len(rows) == 1 else np.resize(rows, (neurons, dims))

    def _points(self, dims: int, name: str) -> Array:
        points = array(f"eval_points of {name!r}", self.eval_points)
        points = points[None, :] if points.ndim == 1 else points
        if points.ndim != 2 or len(points) != dims:
            mistake(
                f"eval_points of {name!r} have shape {points.shape}; {dims} x points are needed",
                "give a row for every dimension, and a column for every point",
            )
        return points


def _range(what: str, given: Any, high: float | None, name: str) -> tuple[float, float]:
    """Two numbers; a single one is the lower of them where `high` is the upper by default."""
    values = list(given) if isinstance(given, (Sequence, np.ndarray)) else [given]
    if len(values) == 1:
        values.append(values[0] if high is None else high)
    if len(values) != 2 or not all(map(_real, values)):
        mistake(f"{what} of {name!r} cannot be {given!r}", f"give the lowest and the highest: {what}=(a, b)")
    return float(values[0]), float(values[1])


def _example(ceiling: float) -> tuple[int, int] | tuple[float, float]:
    """Rates below a ceiling: half of it, and four fifths."""
    low, high = ceiling / 2, 0.8 * ceiling
    return (int(low), int(high)) if low >= 1 else (low, high)


def _real(given: Any) -> bool:
    return isinstance(given, Real) and abs(float(given)) < float("inf")


def seed_of(given: Any, name: str, what: str = "seed") -> int | None:
    """A whole number of 0 or more, or None."""
    if given is not None and (not isinstance(given, Integral) or not 0 <= int(given) < 2**63):
        mistake(
            f"{what} of {name!r} must be a whole number from 0 to 2^63 - 1, not {given!r}", f"give {what}=1"
        )
    return None if given is None else int(given)


def whole_number(what: str, given: Any, name: str, example: int) -> int:
    """A whole number of 1 or more."""
    if not isinstance(given, Integral) or isinstance(given, bool) or given < 1:
        mistake(
            f"{what} of {name!r} must be a whole number of at least 1, not {given!r}",
            f"give {what}={example}",
        )
    return int(given)


def positive(what: str, given: Any, name: str, example: str) -> float:
    """A number above 0."""
    if not _real(given) or given <= 0:
        mistake(f"{what} of {name!r} must be a number above 0, not {given!r}", f"give {what}={example}")
    return float(given)


def array(what: str, given: Any) -> Array:
    """Finite numbers of any shape."""
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        mistake(f"{what} is no list of numbers: {given!r}", "give numbers, or rows of one length")
    if not np.isfinite(values).all():
        mistake(f"{what} holds numbers that are not finite", "give finite numbers")
    return values


def vector(what: str, given: Sequence[float] | float) -> tuple[float, ...]:
    """Numbers of a value that may be a single one."""
    values = array(what, given).ravel()
    if not len(values):
        mistake(f"{what} holds no numbers", "give one or more")
    return tuple(values.tolist())
