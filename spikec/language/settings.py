"""What is set from outside of a model: parameters, seed, step, limits; all mistakes in them are found."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from dataclasses import field, fields
from difflib import get_close_matches
from typing import Any

from spikec.errors import ModelError
from spikec.language.values import TIME, UNITS, Mistake, Mistakes, Value
from spikec.records import dataclass

_QUANTITY = re.compile(r"\s*([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-zµμ]*)\s*")
_SIZES = {"": 1.0, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


@dataclass(frozen=True)
class Settings:
    """`parameters`: a float is plain, or in s or Hz as the model has it; a `Value` has a unit of its own.

    `seed` and `dt` (s) replace those of the model.  Files outside of its folder need `allow_outside`.
    `memory_limit` is in bytes; None is the memory of this machine.
    """

    parameters: Mapping[str, float | Value] = field(default_factory=dict)
    seed: int | None = None
    dt: float | None = None
    allow_outside: bool = False
    memory_limit: float | None = None


def settings(given: Mapping[str, Any]) -> Settings:
    """Settings from keyword arguments.

    Parameters may be numbers (in s or Hz where the model has a unit) or text such as "20ms", `dt` seconds or
    "1ms", `memory_limit` bytes or "8GB".
    Raises `ModelError` with all that is wrong: an unknown name, a wrong type, a wrong unit.
    """
    found = Mistakes()
    names = [f.name for f in fields(Settings)]
    for name in given:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "the options are " + ", ".join(names)
            found.add(Mistake(f"there is no option {name!r}", None, hint))
    made = {
        name: found.attempt(_READERS[name], given[name])
        for name in names
        if given.get(name) is not None and name in _READERS
    }
    if found.any:
        raise ModelError([m.diagnostic for one in found.found for m in (one, *one.others)])
    return Settings(**made)  # type: ignore[arg-type]


def quantity(text: str) -> Value:
    """A number as text, with its unit: a bare number is a plain one.  Raises `Mistake`."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise Mistake(f"{text!r} is not a number", None, "write a number, with a unit such as 20ms or 5Hz")
    number, unit = float(match[1]), match[2]
    if unit not in UNITS:
        known = ", ".join(u for u in UNITS if u and u.isascii())
        raise Mistake(f"unknown unit {unit!r}", None, f"units are {known}")
    factor, power = UNITS[unit]
    return Value(number * factor, power)


def in_text(value: Value) -> str:
    """A number as `quantity` reads it: "0.02s", "40"; without a unit where no unit has its dimension."""
    units = [unit for unit, (factor, power) in UNITS.items() if (factor, power) == (1.0, value.power)]
    return repr(float(value.data)).removesuffix(".0") + "".join(units)


def _parameters(given: Any) -> dict[str, float | Value]:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        hint = 'write parameters={"n": 200, "tau": "20ms"}'
        raise Mistake(f"parameters are numbers by their names, not {_shown(given)}", None, hint)
    found = Mistakes()
    made = {name: found.attempt(_parameter, name, value) for name, value in given.items()}
    found.finish()
    return made  # type: ignore[return-value]


def _parameter(name: str, value: Any) -> float | Value:
    try:
        return quantity(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        what = f"the parameter {name!r} is not a number: {_shown(value)}"
        raise Mistake(what, None, 'give a number, or text with a unit such as "20ms"') from None
    except Mistake as mistake:
        d = mistake.diagnostic
        raise Mistake(f"the parameter {name!r}: {d.message}", None, d.hint) from None


def _seed(given: Any) -> int:
    try:
        return operator.index(given)
    except TypeError:
        raise Mistake(
            f"a seed is a whole number, not {_shown(given)}", None, "give a seed such as 7"
        ) from None


def _dt(given: Any) -> float:
    value = _parameter("dt", given)
    if isinstance(given, str) and (not isinstance(value, Value) or value.power != TIME):
        raise Mistake(f"dt must be a time, not {_shown(given)}", None, 'give seconds, or text such as "1ms"')
    return float(value.data) if isinstance(value, Value) else value


def _flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise Mistake(f"allow_outside is True or False, not {_shown(given)}", None, "give allow_outside=True")
    return given


def _memory(given: Any) -> float:
    match = _QUANTITY.fullmatch(given) if isinstance(given, str) else None
    try:
        size = float(match[1]) * _SIZES[match[2]] if match else float(given)
    except (TypeError, ValueError, KeyError):
        size = 0.0
    if not size > 0:  # also where it is not a number
        hint = f'give bytes, or text such as "8GB"; units are {", ".join(u for u in _SIZES if u)}'
        raise Mistake(f"a memory limit is a size, not {_shown(given)}", None, hint)
    return size


_READERS = {
    "parameters": _parameters, "seed": _seed, "dt": _dt, "allow_outside": _flag, "memory_limit": _memory,
}  # fmt: skip


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
