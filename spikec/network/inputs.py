"""Inputs: numbers, functions of time, values by time."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from spikec import graph as g
from spikec.expressions import Number
from spikec.network.builder import Builder
from spikec.network.describe import vector
from spikec.network.functions import of_time, until
from spikec.network.mistakes import here, mistake
from spikec.network.nodes import Origin, whole


def origin(builder: Builder, name: str, given: Any, zero_after: float | None) -> Origin:
    """The origin of an input: see `Network.make_input`."""
    if zero_after is not None and not isinstance(zero_after, Real):
        mistake(f"zero_after_time of {name!r} is a time in s, not {zero_after!r}", "give a number")
    if callable(given):
        return of_time(builder, name, given, zero_after)
    if isinstance(given, Mapping):
        op: g.Operator = _table(name, given, zero_after, builder.graph.dt)
    else:
        values = vector(f"the value of {name!r}", given)
        size, span = len(values), here()
        op = g.Constant(size=size, span=span, value=values)
        if zero_after is not None:
            expressions = tuple(until(Number(v), zero_after, builder.graph.dt) for v in values)
            op = g.TimeFunction(size=size, span=span, expressions=expressions)
    return Origin("X", (whole(builder.add(name, op), op.size),))


def _table(name: str, given: Mapping[Any, Any], zero_after: float | None, dt: float) -> g.Table:
    """What holds from which time on; 0 before the first, and after `zero_after`."""
    if not given or not all(isinstance(time, Real) for time in given):
        mistake(f"the value of {name!r} needs times in s as keys", "give {0.2: 5, 0.3: 0}")
    rows = {float(t): vector(f"the value of {name!r} at {t} s", given[t]) for t in sorted(given)}
    size = len(next(iter(rows.values())))
    if any(len(row) != size for row in rows.values()):
        mistake(f"the values of {name!r} have several lengths", f"give {size} numbers at every time")
    if zero_after is not None:
        rows = {t: row for t, row in rows.items() if t < zero_after} | {float(zero_after): (0.0,) * size}
    # The step nearest to a time; of two in one step the later holds.
    starts = {max(int(np.floor(t / dt - 0.5)) + 1, 0): row for t, row in rows.items()}
    starts = {0: (0.0,) * size} | starts
    return g.Table(
        size=size,
        span=here(),
        samples=np.array(list(starts.values())),
        starts=np.array(list(starts), np.int64),
    )
