"""Networks at the level of synapses: populations of spiking neurons, and projections between them.

    Cells -> Spikes -> Projection -> Cells      (Cells are split into atoms as all neurons are)

A neuron of a population has no encoders and stands for no value: what changes its voltage are single spikes,
each after the delay of its projection.  Weights and voltages are in mV.
"""

from __future__ import annotations

from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.nef.sampling import generator
from spikec.records import dataclass

Ints = NDArray[np.int64]

# Sources of synapses are drawn for so many targets at once, whatever the cut: the size of an atom.
RUN = 256
# Of whole multiples: 2 ** exponent must be a float.  What is less than 1e-280 mV counts as nothing.
MOST_EXPONENT = 960


@dataclass(frozen=True)
class Poisson:
    """To every neuron a Poisson process of its own: `rate` (Hz) spikes of `weight` (mV)."""

    rate: float
    weight: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Cells(g.Neurons):
    """A population of spiking neurons whose input are single spikes, on port "arriving".

    Port "J" takes a current in the unit of the voltage (R I, mV).  `bias` is a constant current.
    """

    drive: Poisson | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Spikes(g.Operator):
    """Which neurons of a population spiked in this step: the union over its atoms, a list and not a
    vector."""


# ------------------------------------------------------------------------------------------------ rules


@dataclass(frozen=True)
class FixedIndegree:
    """Every target has `count` synapses, their sources drawn uniformly with replacement."""

    count: int


@dataclass(frozen=True)
class FixedProbability:
    """Every pair of a source and a target has a synapse with probability p."""

    p: float


@dataclass(frozen=True, eq=False)
class Pairs:
    """Synapse k leads from sources[k] to targets[k] with weights[k]; sorted by target."""

    sources: Ints
    targets: Ints
    weights: NDArray[np.float64]


Rule: TypeAlias = FixedIndegree | FixedProbability | Pairs


@dataclass(frozen=True, eq=False)
class Drawn:
    """Synapses of a run of targets: `counts` of each, their `sources`, and `weights` where these differ."""

    counts: Ints
    sources: NDArray[np.integer]
    weights: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Projection(g.Operator):
    """y_i(n) = sum over its synapses of weight x spikes of the source at step n - steps; y in mV.

    `size` targets, `sources` neurons on port "spikes".  Random rules are keyed by (seed, path) and the first
    target of a run, so that any part of the targets can be drawn by itself.
    """

    path: str
    seed: int
    sources: int
    rule: Rule
    weight: float
    steps: int

    @property
    def delay(self) -> int:
        return self.steps

    @property
    def per_target(self) -> float:
        """Synapses of a target on average."""
        match self.rule:
            case FixedIndegree():
                return float(self.rule.count)
            case FixedProbability():
                return self.rule.p * self.sources
        return len(self.rule.sources) / self.size

    @cached_property
    def bound(self) -> float:
        """The most that can arrive at one target in a step: every source spikes at most once."""
        match self.rule:
            case FixedIndegree():
                return self.rule.count * abs(self.weight)
            case FixedProbability():
                return self.sources * abs(self.weight)
        return float(np.bincount(self.rule.targets, np.abs(self.rule.weights)).max(initial=0.0))

    @property
    def largest(self) -> float:
        """The largest |weight|."""
        weights = self.rule.weights if isinstance(self.rule, Pairs) else np.array([self.weight])
        return float(np.abs(weights).max(initial=0.0))

    def draw(self, start: int, stop: int) -> Drawn:
        """The synapses of targets start .. stop - 1, a run of at most `RUN` that begins at a multiple of
        it."""
        match self.rule:
            case Pairs():
                first, last = np.searchsorted(self.rule.targets, [start, stop])
                counts = np.bincount(self.rule.targets[first:last] - start, minlength=stop - start)
                return Drawn(counts, self.rule.sources[first:last], self.rule.weights[first:last])
            case FixedIndegree():
                rng = generator(self.seed, self.path, f"sources {start}")
                kind = np.uint16 if self.sources <= 1 << 16 else np.uint32
                shape = (stop - start) * self.rule.count
                drawn = rng.integers(0, self.sources, shape, dtype=kind)
                return Drawn(np.full(stop - start, self.rule.count), drawn)
        hits = _hits(generator(self.seed, self.path, f"sources {start}"), self.rule.p, RUN * self.sources)
        targets, sources = np.divmod(hits[hits < (stop - start) * self.sources], self.sources)
        return Drawn(np.bincount(targets, minlength=stop - start), sources)


def _hits(rng: np.random.Generator, p: float, count: int) -> Ints:
    """Which of `count` independent trials of probability p succeed: the gaps between them are geometric."""
    found = [np.zeros(0, np.int64)]
    last = -1
    while p > 0 and last < count:
        expected = (count - last) * p
        gaps = rng.geometric(p, int(expected + 4 * np.sqrt(expected) + 16))
        # A gap beyond the end ends it; without the bound the sum of gaps could overflow.
        found.append(last + np.cumsum(np.minimum(gaps, count + 1)))
        last = int(found[-1][-1])
    hits = np.concatenate(found)
    return hits[hits < count]


def exponent(arriving: list[Projection]) -> int:
    """What arrives at a population is counted in whole multiples of 2 ** -exponent mV, exact in any order.

    The largest sum that is possible takes 50 of the 63 bits: weights are rounded once, to less than 1e-12
    of it.
    """
    largest = sum(projection.bound for projection in arriving)
    return min(50 - int(np.ceil(np.log2(largest))), MOST_EXPONENT) if largest > 0 else 50
