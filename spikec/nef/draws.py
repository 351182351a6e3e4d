"""What is drawn at every step: the parameters that `spike_runtime.ops.draws` takes for each distribution.

With the numbers of NumPy's RandomState the samples are those of Nengo's distributions of the same names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from spikec.graph import Distribution
from spikec.nef.distributions import DistributionError

# Whole numbers that are drawn, and how far they are from each other, are of so many bits at the most.
INTEGERS = 2**53


def drawn(distribution: Distribution, size: int) -> tuple[str, tuple[float, ...]]:
    """The kind of draw, and its parameters, for vectors of `size`.

    Raises `DistributionError` where there is none, or the parameters do not fit.
    """
    kind = distribution.kind
    if kind not in _KINDS:
        raise DistributionError(
            f"noise cannot be drawn from {kind} at every step",
            "write uniform, gaussian, exponential, choice, pdf, sphere, ball, quasirandom, sqrt_beta or "
            "cosine_similarity",
        )
    name, parameters = _KINDS[kind](distribution.parameters, size)
    return name, tuple(float(value) for value in parameters)


Drawn = tuple[str, Iterable[float]]


def _uniform(p: tuple[Any, ...], _: int) -> Drawn:
    low, high, *integer = p
    if not integer or not integer[0]:
        return "uniform", (low, high - low)
    span = int(high) - 1 - int(low)
    most = max(abs(low), abs(high), span)
    if low != int(low) or high != int(high) or span < 0 or most > INTEGERS:
        raise DistributionError(
            f"no whole numbers can be drawn from {low:g} up to {high:g}",
            "give whole numbers of up to 53 bits, low below high",
        )
    return "integers", (low, span)


def _gaussian(p: tuple[Any, ...], _: int) -> Drawn:
    return "gaussian", (p[0], p[1])


def _exponential(p: tuple[Any, ...], _: int) -> Drawn:
    """What reaches `high` is put just below it."""
    scale, shift, high = p + (0.0, np.inf)[len(p) - 1 :]
    return "exponential", (scale, shift, np.nextafter(high, -np.inf))


def _choice(p: tuple[Any, ...], size: int) -> Drawn:
    """Rows of `size` numbers, or numbers for each component by itself."""
    options = np.array(p[0], np.float64)
    weights = np.ones(len(options)) if len(p) < 2 else np.array(p[1], np.float64)
    if len(weights) != len(options) or (weights < 0).any() or not weights.sum() > 0:
        raise DistributionError(
            f"choice has {len(options)} options and {len(weights)} weights",
            "give every option a weight of 0 or more, one of them above 0",
        )
    if options.ndim == 2 and options.shape[1] != size:
        raise DistributionError(
            f"the options have {options.shape[1]} number{'s' * (options.shape[1] != 1)}, "
            f"the noise {size} dimension{'s' * (size != 1)}",
            f"for an input write dims={options.shape[1]}; for neurons write numbers without inner brackets, "
            "such as choice([0, 0.1]), of which each neuron draws its own",
        )
    edges = np.cumsum(weights / weights.sum())
    return "choice", (len(options), options.size // len(options), *edges, *options.ravel())


def _pdf(p: tuple[Any, ...], _: int) -> Drawn:
    """The distribution function goes through the middle of the step that each value makes."""
    values, chances = (np.array(part, np.float64) for part in p)
    if len(values) != len(chances) or abs(chances.sum() - 1.0) > 1e-8:
        raise DistributionError(
            f"pdf has {len(values)} values, and {len(chances)} probabilities with the sum {chances.sum():g}",
            "give every value a probability of 0 or more, with the sum 1",
        )
    half = np.cumsum(chances) * 0.5
    half[1:] = half[:-1] + half[1:]
    return "pdf", (len(values), *half, *values)


def _hypersphere(p: tuple[Any, ...], size: int) -> Drawn:
    surface, least = p + (0, 0.0)[len(p) :]
    return ("sphere", ()) if surface else ("ball", (least**size,))


def _quasirandom(_: tuple[Any, ...], size: int) -> Drawn:
    """One point of the sequence that is begun anew: where it begins at random, and one of its steps."""
    if size == 1:
        return "quasirandom", (0.0,)
    return "quasirandom", (1.0 / _root(size)) ** np.arange(1, size + 1)


def _root(dims: int) -> float:
    """x > 1 with x^(dims + 1) = x + 1, by Newton's method from 1 on."""
    x = 1.0
    while True:
        step = (x ** (dims + 1) - x - 1) / ((dims + 1) * x**dims - 1)
        x -= step
        if abs(step) < 1e-10:
            return x


def _sqrt_beta(p: tuple[Any, ...], _: int) -> Drawn:
    n, m = p + (1,)[len(p) - 1 :]
    if not n > 0 or not m > 0:
        raise DistributionError(
            f"sqrt_beta needs n and m above 0, not {n:g} and {m:g}", "give more dimensions than are looked at"
        )
    return "root_beta", (m / 2.0, n / 2.0)


def _cosine(p: tuple[Any, ...], size: int) -> Drawn:
    return "cosine", _sqrt_beta((p[0] - 1, 1), size)[1]


_KINDS = {
    "uniform": _uniform,
    "gaussian": _gaussian,
    "exponential": _exponential,
    "choice": _choice,
    "pdf": _pdf,
    "hypersphere": _hypersphere,
    "quasirandom": _quasirandom,
    "sqrt_beta": _sqrt_beta,
    "cosine_similarity": _cosine,
}
