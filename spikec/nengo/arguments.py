"""What the `Simulator` is asked for, checked before anything is done."""

from __future__ import annotations

import math
import operator
from typing import Any

from nengo.exceptions import ValidationError


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
