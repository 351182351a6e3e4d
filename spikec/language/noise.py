"""White, filtered and Brown noise, for inputs and for the currents of neurons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spikec.errors import Span
from spikec.graph import Distribution
from spikec.language import vocabulary as v
from spikec.language.elements import WhiteNoise
from spikec.language.signatures import Parameter, bind, seed_of
from spikec.language.values import Entry, Mistake, Record, Value
from spikec.nef.distributions import DistributionError
from spikec.nef.draws import drawn

_PARAMETERS = (
    Parameter("std", least=0.0),
    Parameter("mean"),
    Parameter("low"),
    Parameter("high"),
    Parameter("dims", least=1.0),
    Parameter("scale"),
    Parameter("seed", least=0.0),
    Parameter("dist", kind="any"),
    Parameter("stream", kind="any"),
)
_BROWN = tuple(p for p in _PARAMETERS if p.name != "scale")
NOISES: dict[str, tuple[Parameter, ...]] = {
    "white_noise": _PARAMETERS,
    "filtered_noise": (Parameter("synapse", kind="any"), *_PARAMETERS),
    "brown_noise": _BROWN,
}
# 1 / s in steps of Euler: y(n) = y(n - 1) + dt x.
_INTEGRAL = v.Synapse((1.0,), (1.0, 0.0), True, "euler")


def noise(record: Record, seed: int, size: int | None = None) -> tuple[int, WhiteNoise]:
    """Size and description of a process of `NOISES`, of `size` numbers where that is known.

    Raises `Mistake`.
    """
    given = bind(record, NOISES[record.name])
    size = dims_of(given, record.span, size)
    distribution, place = _distribution(given, record)
    try:
        drawn(distribution, size)
    except DistributionError as error:
        raise Mistake(str(error), place, error.hint) from None
    seeded = _seed(given, record, seed)
    made = WhiteNoise(distribution, bool(given.get("scale", 1.0)), seeded, numpy="stream" in given)
    if record.name == "filtered_noise":
        entry = given.get("synapse")
        synapse = v.DEFAULT_SYNAPSE if entry is None else v.synapse(entry.value, entry.span)
        made = replace(made, synapse=synapse)
    elif record.name == "brown_noise":
        made = replace(made, synapse=_INTEGRAL)
    return size, made


def _distribution(given: dict[str, Any], record: Record) -> tuple[Distribution, Span]:
    """Gaussian (mean, std) by default, uniform where `low` and `high` are given, or any `dist`; its place."""
    uniform = {"low", "high"} & given.keys()
    if "dist" in given:
        if others := uniform | ({"mean", "std"} & given.keys()):
            what = f"{record.name} has a distribution, and {min(others)} beside it"
            raise Mistake(what, record.span, "give the numbers to the distribution")
        entry = given["dist"]
        return v.distribution(entry.value, entry.span, "the noise"), entry.span
    if not uniform:
        return Distribution("gaussian", (given.get("mean", 0.0), given.get("std", 1.0))), record.span
    if {"std", "mean"} & given.keys():
        raise Mistake(
            f"{record.name} is gaussian (mean, std) or uniform (low, high), not both",
            record.span,
            "choose one",
        )
    if len(uniform) < 2 or given["low"] >= given["high"]:
        raise Mistake("uniform white noise needs low below high", record.span, "write low=-1, high=1")
    return Distribution("uniform", (given["low"], given["high"])), record.span


def _seed(given: dict[str, Any], record: Record, seed: int) -> int:
    """The seed of the noise: of its stream, its own, or that of the model."""
    if "stream" not in given:
        return seed_in(given, record, seed)
    entry = given["stream"]
    if "seed" in given:
        what = f"{record.name} has a stream, and a seed beside it"
        raise Mistake(what, record.span, "give the seed to the stream: stream=numpy(7)")
    return v.stream(entry.value, entry.span)


def dims_of(given: dict[str, Any], span: Span, size: int | None = None) -> int:
    """The size that a process is asked for, 1 where none is written; or `size`, and then none may be."""
    if size is not None and "dims" in given:
        raise Mistake("the noise of an ensemble has no dims", span, "every neuron has noise of its own")
    dims = given.get("dims", 1.0 if size is None else size)
    if dims != int(dims):
        raise Mistake(f"dims must be a whole number, not {dims:g}", span, "write dims=1")
    return int(dims)


def seed_in(given: dict[str, Any], record: Record, seed: int) -> int:
    """The seed of a process: its own, or that of the model."""
    return seed_of(Entry(Value(given["seed"]), record.span)) if "seed" in given else seed
