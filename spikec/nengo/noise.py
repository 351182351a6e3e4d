"""Nengo's random processes and neurons, as operators that draw its numbers (see `runtime/ops/draws.py`)."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
from nengo import dists
from nengo.base import Process
from nengo.builder.neurons import SimNeurons
from nengo.builder.processes import SimProcess
from nengo.processes import BrownNoise, FilteredNoise, WhiteNoise
from numpy.random import RandomState

from spikec import graph as g
from spikec.nef.distributions import DistributionError
from spikec.nef.draws import drawn
from spikec.nengo.processes import Synapse, coefficients
from spikec.records import dataclass


@dataclass(frozen=True, eq=False)
class Random:
    """Samples of a distribution at every step, through a synapse where there is one."""

    draws: g.Draws
    synapse: Synapse | None


def seed_of(process: Any, rng: RandomState) -> int | None:
    """The seed of a process, drawn from `rng` where it has none; None for one with random numbers of its
    own making.
    """
    if type(process).get_rng is not Process.get_rng:
        process.get_rng(rng)
        return None
    return int(rng.randint(np.iinfo(np.int32).max) if process.seed is None else process.seed)


def noise(op: SimProcess, dt: float, seed: int) -> Random | None:
    """What a process of Nengo's draws, or None where it is none of these, or has a distribution that is only
    known to Nengo.
    """
    process = op.process
    if type(process) not in (WhiteNoise, FilteredNoise, BrownNoise) or op.input is not None:
        return None
    if op.mode == "update" or any(np.any(signal.initial_value) for signal in op.state.values()):
        return None
    filtered = isinstance(process, FilteredNoise)
    integer = isinstance(process.dist, dists.Uniform) and process.dist.integer
    found, size = distribution(process.dist), op.output.size
    if found is None or (filtered and integer and process.scale):  # whole numbers cannot be scaled in place
        return None
    try:
        drawn(found, size)
    except DistributionError:
        return None
    synapse = coefficients(process.synapse, dt) if filtered else None
    if filtered and synapse is None:
        return None
    return Random(
        g.Draws(size=size, distribution=found, scale=bool(process.scale), seed=seed, numpy=True), synapse
    )


def distribution(dist: Any) -> g.Distribution | None:
    """A distribution of Nengo's as it is drawn from for one vector, or None for others than its own."""
    make = _DISTRIBUTIONS.get(type(dist))
    return None if make is None else make(dist)


def _numbers(kind: str, *values: Any) -> g.Distribution:
    return g.Distribution(kind, tuple(float(value) for value in values))


def _uniform(dist: dists.Uniform) -> g.Distribution:
    return _numbers("uniform", dist.low, dist.high, *(1,) * bool(dist.integer))


def _choice(dist: dists.Choice) -> g.Distribution | None:
    """One row in each step; numbers are refused by Nengo."""
    if dist.options.ndim != 2:
        return None
    weights = () if dist.weights is None else (tuple(dist.weights.tolist()),)
    return g.Distribution("choice", (_rows(dist.options), *weights))


def _samples(dist: dists.Samples) -> g.Distribution | None:
    """The same vector in every step: a choice between one."""
    rows = dist.samples[:, None] if dist.samples.ndim == 1 else dist.samples
    return g.Distribution("choice", (_rows(rows),)) if rows.ndim == 2 and len(rows) == 1 else None


def _rows(values: g.Array) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, np.asarray(values, np.float64).tolist()))


def _pdf(dist: dists.PDF) -> g.Distribution:
    return g.Distribution("pdf", (tuple(dist.x.tolist()), tuple(dist.p.tolist())))


def _root_beta(dist: Any) -> g.Distribution:
    return _numbers("sqrt_beta", dist.n, dist.m)


_DISTRIBUTIONS: dict[type, Any] = {
    dists.Uniform: _uniform,
    dists.Gaussian: lambda dist: _numbers("gaussian", dist.mean, dist.std),
    dists.Exponential: lambda dist: _numbers("exponential", dist.scale, dist.shift, dist.high),
    dists.UniformHypersphere: lambda dist: _numbers("hypersphere", dist.surface, dist.min_magnitude),
    dists.QuasirandomSequence: lambda _: g.Distribution("quasirandom"),
    dists.Choice: _choice,
    dists.Samples: _samples,
    dists.PDF: _pdf,
    dists.SqrtBeta: _root_beta,
    dists.SubvectorLength: _root_beta,
    dists.CosineSimilarity: lambda dist: _numbers("cosine_similarity", dist.n + 1),
}


def stream_of(op: SimNeurons, ensemble: nengo.Ensemble | None, seeds: Any) -> int | None:
    """The seed of the random numbers that neurons draw from, None where these are not as they were made."""
    rng = op.state_extra.get("rng")
    if len(op.state_extra) != 1 or ensemble not in seeds or type(rng) is not RandomState:
        return None
    seed = int(seeds[ensemble] + 1)
    ours, theirs = RandomState(seed).get_state(legacy=False), rng.get_state(legacy=False)
    same = np.array_equal(ours["state"]["key"], theirs["state"]["key"])
    unused = (theirs["state"]["pos"], theirs["has_gauss"]) == (ours["state"]["pos"], 0)
    return seed if same and unused else None
