"""Nengo's `Piecewise` with functions among its values, as expressions of the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from nengo.processes import Piecewise

from spikec.expressions import Call, Expression, Number, Time
from spikec.tracing.functions import Traced, trace
from spikec.tracing.limits import too_large
from spikec.tracing.purity import Captured


def pieces(process: Any, size: int, dt: float) -> Traced | None:
    """select(times[k] < t + dt / 2, value k, what was before), for every k in order; 0 before the first.

    None for any other process, and where a value cannot be an expression.
    """
    if type(process) is not Piecewise or process.interpolation != "zero":
        return None
    if not any(callable(value) for value in process.data.values()):
        return None
    found = [_piece(value, size) for _, value in sorted(process.data.items())]
    now = Call("+", (Time(), Number(0.5 * dt)))
    chosen: tuple[Expression, ...] = (Number(0.0),) * size
    captured: list[Captured] = []
    for time, piece in zip(sorted(process.data), found, strict=True):
        if piece is None:
            return None
        begun = Call("<", (Number(float(time)), now))
        captured += piece.captured
        chosen = tuple(
            Call("select", (begun, new, old)) for new, old in zip(piece.expressions, chosen, strict=True)
        )
    objects = any(piece.objects for piece in found if piece)
    return None if too_large(chosen) else Traced(chosen, tuple(captured), objects)


def _piece(value: Any | Callable[[float], Any], size: int) -> Traced | None:
    if callable(value):
        return trace(value, True, None, size, held=True)
    numbers = np.broadcast_to(np.ravel(np.asarray(value, np.float64)), (size,))
    return Traced(tuple(Number(float(v)) for v in numbers), ())
