"""What the `Simulator` is asked for, checked before anything is done."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

# Seeds of NumPy's random numbers are below.
SEEDS = 2**32


def partitions(number: Any) -> int | str:
    """Into how many to cut.  Raises `ValidationError`, as the following do."""
    if isinstance(number, str) and number == "auto":
        return "auto"
    if isinstance(number, (bool, np.bool_)) or not _is_whole(number) or number < 1:
        said = f'Must be a whole number, 1 or more, or "auto" (got {number!r})'
        raise ValidationError(said, attr="partitions")
    return int(number)


def processes(apart: Any) -> bool:
    """Whether partitions are processes."""
    if not isinstance(apart, (bool, np.bool_)):
        raise ValidationError(f"Must be True or False (got {apart!r})", attr="processes")
    return bool(apart)


def length_of(dt: Any) -> float:
    """The length of a step in s."""
    try:
        taken = float("nan") if isinstance(dt, (str, bytes)) else float(dt)
    except (TypeError, ValueError):
        taken = math.nan
    if not 0 < taken < math.inf:
        raise ValidationError(f"Must be a number of seconds above 0 (got {dt!r})", attr="dt")
    return taken


def seed_of(seed: Any) -> int | None:
    """The seed of random numbers; None where none is given."""
    if seed is not None and not (_is_whole(seed) and 0 <= seed < SEEDS):
        raise ValidationError(
            f"Must be a whole number, 0 to {SEEDS - 1}, or None (got {seed!r})", attr="seed"
        )
    return None if seed is None else int(seed)


def _is_whole(number: Any) -> bool:
    return isinstance(number, (int, np.integer))


def seconds(time: Any) -> float:
    """For how long to run, in s.

    Raises `TypeError` where it is no number, and `ValidationError` where it is below 0 or not finite.
    """
    try:
        if isinstance(time, (str, bytes)):
            raise TypeError
        taken = float(time)
    except (TypeError, ValueError):
        raise TypeError(f"time_in_seconds is a number of seconds, not {time!r}; write sim.run(1.0)") from None
    if not 0 <= taken < math.inf:
        raise ValidationError(f"Must be positive and finite (got {time!r})", attr="time_in_seconds")
    return taken


def whole_steps(steps: Any) -> int:
    """How many steps to run.  Raises `TypeError` where it is no whole number."""
    try:
        return operator.index(steps)
    except TypeError:
        raise TypeError(f"steps is a whole number, not {steps!r}; sim.run takes seconds") from None
