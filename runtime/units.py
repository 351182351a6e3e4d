"""Times as people write them on the command line: 2s, 500ms, 20us."""

from __future__ import annotations

import math
import re
from numbers import Real

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}


class UnitError(ValueError):
    """Text that is not a time; the message says what to write."""


def seconds(time: float | str) -> float:
    """Seconds of a number (of seconds), or of text such as "2s", "500ms" or "20us".

    Raises `UnitError` where the text has no unit, or the time is not positive.
    """
    if not isinstance(time, Real | str):
        raise UnitError(f"a time is a number of seconds or text such as 500ms, not {time!r}")
    value = _parse(time) if isinstance(time, str) else float(time)
    if not math.isfinite(value):
        raise UnitError(f"{time!r} is not a time; write for example 2s or 500ms")
    if value <= 0:
        raise UnitError(f"the time {time} is not positive; write for example 2s or 500ms")
    return float(value)


def _parse(text: str) -> float:
    match = re.fullmatch(r"\s*([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([a-zA-Z]*)\s*", text)
    if match is None:
        raise UnitError(f"{text!r} is not a time; write for example 2s or 500ms")
    number, unit = match.groups()
    if not unit:
        raise UnitError(f"the time {number} has no unit; write {number}s or {number}ms")
    if unit not in UNITS:
        raise UnitError(f"{unit!r} is not a unit of time; use s, ms, us or min")
    return float(number) * UNITS[unit]
