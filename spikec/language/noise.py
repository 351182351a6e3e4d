"""White, filtered and Brown noise, for inputs and for the currents of neurons."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from spikec.errors import Span
from spikec.expressions import Call, Component, Expression, Number
from spikec.graph import Distribution
from spikec.language import vocabulary as v
from spikec.language.elements import WhiteNoise
from spikec.language.signatures import Parameter, bind, seed_of
from spikec.language.values import Entry, Mistake, Record, Value

_PARAMETERS = (
    Parameter("std", least=0.0),
    Parameter("mean"),
    Parameter("low"),
    Parameter("high"),
    Parameter("dims", least=1.0),
    Parameter("scale"),
    Parameter("seed", least=0.0),
    Parameter("dist", kind="any"),
)
_BROWN = tuple(p for p in _PARAMETERS if p.name != "scale")
NOISES: dict[str, tuple[Parameter, ...]] = {
    "white_noise": _PARAMETERS,
    "filtered_noise": (Parameter("synapse", kind="any"), *_PARAMETERS),
    "brown_noise": _BROWN,
}
# 1 / s in steps of Euler: y(n) = y(n - 1) + dt x.
_INTEGRAL = v.Synapse((1.0,), (1.0, 0.0), True, "euler")


def noise(record: Record, seed: int) -> tuple[int, WhiteNoise]:
    """Size and description of a process of `NOISES`.  Raises `Mistake`."""
    given = bind(record, NOISES[record.name])
    size = dims_of(given, record.span)
    made = _samples(given, size, seed_in(given, record, seed), record)
    if record.name == "filtered_noise":
        entry = given.get("synapse")
        synapse = v.DEFAULT_SYNAPSE if entry is None else v.synapse(entry.value, entry.span)
        made = replace(made, synapse=synapse)
    elif record.name == "brown_noise":
        made = replace(made, synapse=_INTEGRAL)
    return size, made


def _samples(given: dict[str, Any], size: int, seed: int, record: Record) -> WhiteNoise:
    """Gaussian (mean, std) by default, uniform where `low` and `high` are given, or any `dist`.

    With `scale` (the default) samples are divided by sqrt(dt).
    """
    scale, uniform = bool(given.get("scale", 1.0)), {"low", "high"} & given.keys()
    if "dist" in given:
        if others := uniform | ({"mean", "std"} & given.keys()):
            what = f"{record.name} has a distribution, and {min(others)} beside it"
            raise Mistake(what, record.span, "give the numbers to the distribution")
        entry = given["dist"]
        return _from(v.distribution(entry.value, entry.span, "the noise"), size, scale, seed, entry.span)
    if not uniform:
        return WhiteNoise("gaussian", given.get("mean", 0.0), given.get("std", 1.0), scale, seed)
    if {"std", "mean"} & given.keys():
        raise Mistake(
            f"{record.name} is gaussian (mean, std) or uniform (low, high), not both",
            record.span,
            "choose one",
        )
    if len(uniform) < 2 or given["low"] >= given["high"]:
        raise Mistake("uniform white noise needs low below high", record.span, "write low=-1, high=1")
    return WhiteNoise("uniform", given["low"], given["high"], scale, seed)


def _from(dist: Distribution, size: int, scale: bool, seed: int, span: Span) -> WhiteNoise:
    """Samples of a distribution: uniform or normal numbers, or a function of such."""
    p = dist.parameters
    if dist.kind in ("uniform", "gaussian"):
        return WhiteNoise(dist.kind, p[0], p[1], scale, seed)
    unit = WhiteNoise("uniform", 0.0, 1.0, scale, seed)
    if dist.kind == "exponential":
        made = tuple(_exponential(Component(i), *p) for i in range(size))
        return replace(unit, functions=made, drawn=size)
    if dist.kind == "choice":
        return _choice(unit, np.array(p[0], np.float64), p[1] if len(p) > 1 else None, size, span)
    if dist.kind == "hypersphere" and p[0]:
        squares = [Call("*", (Component(i), Component(i))) for i in range(size)]
        length = Call("sqrt", (reduce(lambda a, b: Call("+", (a, b)), squares),))
        directions = tuple(Call("/", (Component(i), length)) for i in range(size))
        return replace(unit, distribution="gaussian", functions=directions, drawn=size)
    raise Mistake(
        f"noise cannot be drawn from {dist.kind} at every step",
        span,
        "write uniform, gaussian, exponential, choice or sphere",
    )


def _exponential(u: Expression, scale: float, shift: float, high: float) -> Expression:
    drawn = Call("-", (Number(shift), Call("*", (Number(scale), Call("log", (u,))))))
    return Call("min", (drawn, Number(high))) if np.isfinite(high) else drawn


def _choice(unit: WhiteNoise, options: Any, weights: Any, size: int, span: Span) -> WhiteNoise:
    """One of the options at every step: numbers, for each dimension by itself, or rows."""
    chances = np.ones(len(options)) if weights is None else np.array(weights, np.float64)
    if len(chances) != len(options) or (chances < 0).any() or not chances.sum() > 0:
        raise Mistake(
            f"choice has {len(options)} options and {len(chances)} weights",
            span,
            "give every option a weight of 0 or more, one of them above 0",
        )
    below = (np.cumsum(chances) / chances.sum())[:-1]
    if options.ndim == 2 and options.shape[1] != size:
        raise Mistake(
            f"the options have {options.shape[1]} numbers, the noise {size} dimension(s)",
            span,
            f"write dims={options.shape[1]}",
        )
    columns = options.T if options.ndim == 2 else [options] * size
    drawn = 1 if options.ndim == 2 else size
    made = tuple(_picked(Component(i % drawn), column, below) for i, column in enumerate(columns))
    return replace(unit, functions=made, drawn=drawn)


def _picked(u: Expression, values: Any, below: Any) -> Expression:
    picked: Expression = Number(float(values[-1]))
    for value, edge in zip(values[-2::-1], below[::-1], strict=True):
        picked = Call("select", (Call("<", (u, Number(float(edge)))), Number(float(value)), picked))
    return picked


def dims_of(given: dict[str, Any], span: Span) -> int:
    """The size that a process is asked for, 1 where none is written."""
    dims = given.get("dims", 1.0)
    if dims != int(dims):
        raise Mistake(f"dims must be a whole number, not {dims:g}", span, "write dims=1")
    return int(dims)


def seed_in(given: dict[str, Any], record: Record, seed: int) -> int:
    """The seed of a process: its own, or that of the model."""
    return seed_of(Entry(Value(given["seed"]), record.span)) if "seed" in given else seed
