"""`white_noise(...)`: independent samples at every step, for inputs and for the currents of neurons."""

from __future__ import annotations

from typing import Any

from spikec.errors import Span
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
)


def white_noise(record: Record, seed: int) -> tuple[int, WhiteNoise]:
    """Size and description: gaussian (mean, std) by default, uniform where `low` and `high` are given.

    With `scale` (the default) samples are divided by sqrt(dt).  Raises `Mistake`.
    """
    given = bind(record, _PARAMETERS)
    size, scale = dims_of(given, record.span), bool(given.get("scale", 1.0))
    seed = seed_in(given, record, seed)
    uniform = {"low", "high"} & given.keys()
    if not uniform:
        return size, WhiteNoise("gaussian", given.get("mean", 0.0), given.get("std", 1.0), scale, seed)
    if {"std", "mean"} & given.keys():
        raise Mistake(
            "white_noise is gaussian (mean, std) or uniform (low, high), not both", record.span, "choose one"
        )
    if len(uniform) < 2 or given["low"] >= given["high"]:
        raise Mistake("uniform white noise needs low below high", record.span, "write low=-1, high=1")
    return size, WhiteNoise("uniform", given["low"], given["high"], scale, seed)


def dims_of(given: dict[str, Any], span: Span) -> int:
    """The size that a process is asked for, 1 where none is written."""
    dims = given.get("dims", 1.0)
    if dims != int(dims):
        raise Mistake(f"dims must be a whole number, not {dims:g}", span, "write dims=1")
    return int(dims)


def seed_in(given: dict[str, Any], record: Record, seed: int) -> int:
    """The seed of a process: its own, or that of the model."""
    return seed_of(Entry(Value(given["seed"]), record.span)) if "seed" in given else seed
