"""Nengo's processes as operators of the graph: synapses as filters, signals of time alone as tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import nengo
import numpy as np
from nengo.builder.processes import SimProcess
from nengo.processes import Piecewise, PresentInput, WhiteSignal
from nengo.rc import rc

from spikec import graph as g
from spikec.program.synapses import IMPLICIT, Discrete, discretise
from spikec.records import dataclass

METHODS = ("zoh", *IMPLICIT)
SYNAPSES = (nengo.LinearFilter, nengo.Lowpass, nengo.Alpha)
# Responses to a pulse are compared over so many steps, and equal where they differ by less than this part.
# With fewer than 64 bits Nengo rounds its matrices too: ROUNDED.
COMPARED, TOLERANCE, ROUNDED = 64, 1e-12, 1e-6
# A table of more numbers is not made: the process runs as it is.
MOST_SAMPLES = 4_000_000
# Inputs that are presented for a part of a step repeat after several rounds: of so many parts at most.
MOST_PARTS = 1000


@dataclass(frozen=True, eq=False)
class Synapse:
    """A linear synapse: `Filter(num, den, analog, method)`.

    at_once: what the filter gives at step n + 1 is set in step n, when it includes the input of step n.
    """

    num: tuple[float, ...]
    den: tuple[float, ...]
    analog: bool
    method: str = "zoh"
    at_once: bool = False

    def filter(self, size: int) -> g.Filter:
        """The filter for a signal of `size`: one step later where it is `at_once`."""
        return g.Filter(size=size, num=self.num, den=self.den, analog=self.analog, method=self.method)


def synapse(op: SimProcess, dt: float) -> Synapse | None:
    """The filter that a process is, or None: it updates its output (a step later) or sets it, and begins at
    0.
    """
    if op.mode == "inc" or op.input is None or op.input.shape != op.output.shape:
        return None
    if any(np.any(signal.initial_value) for signal in (op.output, *op.state.values())):
        return None
    found = coefficients(op.process, dt)
    return replace(found, at_once=True) if found and op.mode == "set" else found


def coefficients(process: Any, dt: float) -> Synapse | None:
    """A synapse of Nengo as a filter with the same response to a pulse, None where it is none of ours.

    Analog coefficients are kept where our discretisation equals Nengo's, so that people recognise them.
    """
    known = type(process) is nengo.synapses.Triangle or type(process) in SYNAPSES
    return _coefficients(process, dt, rc.get("precision", "bits")) if known else None


@lru_cache(maxsize=256)  # most connections of a model have one of few synapses
def _coefficients(process: Any, dt: float, bits: str) -> Synapse | None:
    if type(process) is nengo.synapses.Triangle:
        taps, first, step = process._get_coefficients(dt)
        response = first - step * np.arange(taps)
        return Synapse(_numbers(response), (1.0, *(0.0,) * (taps - 1)), analog=False)
    A, B, C, D = (np.asarray(m, np.float64) for m in process._get_ss(dt))
    order = len(A)
    B, C, d = B.reshape(order), C.reshape(order), float(np.reshape(D, -1)[0])
    own = Discrete(_numbers(A), _numbers(B), _numbers(C), d)
    found = Synapse(_numbers(process.num), _numbers(process.den), bool(process.analog))
    if found.analog and process.method in METHODS:
        found = replace(found, method=process.method)
    made = discretise(found.num, found.den, found.analog, dt, found.method)
    return found if _equal(own, made, TOLERANCE if bits == "64" else ROUNDED) else None


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in np.ravel(values))


def _equal(a: Discrete, b: Discrete, tolerance: float) -> bool:
    """Whether two filters answer a pulse alike, and a constant for as long."""
    first, second = _response(a), _response(b)
    scale = max(np.abs(first).max(), 1e-300)
    return bool(np.abs(first - second).max() <= tolerance * scale)


def _response(d: Discrete) -> g.Array:
    A = np.reshape(d.A, (d.order, d.order))
    B, C = np.array(d.B), np.array(d.C)
    x, y = np.zeros(d.order), np.zeros(2 * COMPARED)
    for n in range(2 * COMPARED):
        u = float(n == 0 or n >= COMPARED)
        if d.direct:
            y[n] = C @ x + d.D * u
        x = A @ x + B * u
        if not d.direct:
            y[n] = C @ x
    return y


def table(op: SimProcess, dt: float, make: Callable[[], Callable[[float], Any]]) -> g.Table | None:
    """The table of a process of time alone, or None where it has no end: random, or of another's making.

    `make` gives Nengo's step function, with its own random numbers.
    """
    if op.mode == "update" or op.input is not None or op.state:
        return None
    size = op.output.size
    match op.process:
        case WhiteSignal() if type(op.process) is WhiteSignal:
            period = 2 * int(np.ceil(op.process.period / dt / 2.0))
        case PresentInput() if type(op.process) is PresentInput:
            steps = Fraction(float(op.process.presentation_time) / dt).limit_denominator(MOST_PARTS)
            if abs(float(steps) * dt - op.process.presentation_time) > 1e-9 * dt:
                return None
            period = (len(op.process.inputs) * steps).numerator
        case Piecewise() if type(op.process) is Piecewise:
            return _piecewise(op.process, dt, size, make)
        case _:
            return None
    if period * size > MOST_SAMPLES:
        return None
    step = make()
    # Step n takes row n mod period: the first row is that of step `period`.
    samples = np.stack([np.ravel(step((n or period) * dt)) for n in range(period)]).astype(np.float64)
    return _shortened(g.Table(size=size, samples=samples, starts=np.arange(period), period=period))


def _piecewise(
    process: Piecewise, dt: float, size: int, make: Callable[[], Callable[[float], Any]]
) -> g.Table | None:
    if any(callable(value) for value in process.data.values()):
        return None
    times = np.sort(np.array(list(process.data), np.float64))
    last = int(np.ceil(max(times[-1], 0.0) / dt)) + 2
    if last * size > MOST_SAMPLES:
        return None
    step = make()
    samples = np.stack([np.ravel(step(max(n, 1) * dt)) for n in range(last + 1)]).astype(np.float64)
    return _shortened(g.Table(size=size, samples=samples, starts=np.arange(last + 1)))


def _shortened(table: g.Table) -> g.Table:
    """The same table without rows that repeat the one before."""
    new = np.append(True, np.any(table.samples[1:] != table.samples[:-1], axis=1))
    return g.Table(size=table.size, samples=table.samples[new], starts=table.starts[new], period=table.period)
