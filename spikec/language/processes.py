"""Processes: what gives a value at every step by itself, for inputs and for the currents of neurons."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from spikec.errors import Span
from spikec.language import elements as e
from spikec.language import memory
from spikec.language.frame import Frame
from spikec.language.noise import NOISES, dims_of, noise, seed_in
from spikec.language.outputs import vector
from spikec.language.signatures import Parameter, bind, check_unit, text_of
from spikec.language.values import FREQUENCY, PLAIN, TIME, Mistake, Record, Value

_WHITE_SIGNAL = (
    Parameter("period", TIME, required=True, positive=True),
    Parameter("high", FREQUENCY, required=True, positive=True),
    Parameter("rms", positive=True),
    Parameter("dims", least=1.0),
    Parameter("seed", least=0.0),
    Parameter("start"),
)
_PRESENT = (
    Parameter("inputs", kind="matrix", required=True),
    Parameter("each", TIME, required=True, positive=True),
    Parameter("repeat"),
)
# How values between those given are found: SciPy's words.
INTERPOLATIONS = ("zero", "nearest", "linear", "quadratic", "cubic")
PROCESSES = ("white_signal", "piecewise", "present_input", *NOISES)


def process(
    record: Record, frame: Frame, dt: float, seed: int, size: int | None = None, count: int = 1
) -> tuple[int, e.Source]:
    """Size and description of a process.  `size`: how many numbers are needed, None: as many as it says;
    `count`: how many elements have one like this, each with samples of its own.

    Raises `Mistake`.
    """
    if record.name not in PROCESSES:
        listed = ", ".join(PROCESSES)
        raise Mistake(f"{record.name!r} is not a process", record.span, f"write one of {listed}")
    if record.name in NOISES:
        return noise(record, seed, size)
    if record.name == "white_signal":
        return _white_signal(record, frame, dt, seed, size, count)
    made, source = (_piecewise if record.name == "piecewise" else _present)(record, frame, dt, count)
    if size not in (None, made):
        raise Mistake(
            f"{record.name} has {made} number(s), and there are {size} neurons",
            record.span,
            "give a number for each neuron",
        )
    return made, source


def _white_signal(
    record: Record, frame: Frame, dt: float, seed: int, size: int | None, count: int
) -> tuple[int, e.Source]:
    given = bind(record, _WHITE_SIGNAL)
    size = dims_of(given, record.span, size)
    steps = whole_steps(given["period"], dt, "the period of a white signal", record.span)
    if given["high"] * given["period"] < 1:
        raise Mistake(
            f"no frequency up to {given['high']:g} Hz fits the period of {given['period']:g} s",
            record.span,
            f"write a period of at least {1 / given['high']:g}s",
        )
    if given["high"] > 0.5 / dt:
        raise Mistake(
            f"a white signal up to {given['high']:g} Hz needs a step shorter than {dt:g} s",
            record.span,
            f"write high={0.5 / dt:g}Hz or less",
        )
    frame.context.reserve(steps * size * count, "the white signal", record.span)
    _plan(float(steps) * size, count, frame, record.span)
    return size, e.WhiteSignal(
        given["period"], given["high"], given.get("rms", 0.5), seed_in(given, record, seed),
        given.get("start"),
    )  # fmt: skip


def _plan(samples: float, count: int, frame: Frame, span: Span) -> None:
    """Count the memory of `count` tables of so many samples, which are computed one after the other."""
    frame.context.plan(memory.SAMPLE * samples + memory.KEPT_SAMPLE * samples * (count - 1), span)


def _present(record: Record, frame: Frame, dt: float, count: int) -> tuple[int, e.Source]:
    """`present_input(inputs, each)`: rows one after the other, again and again unless `repeat` is false."""
    given = bind(record, _PRESENT)
    rows = np.atleast_1d(given["inputs"])
    rows = rows if rows.ndim == 2 else rows[:, None]
    steps = whole_steps(len(rows) * given["each"], dt, "the time of all inputs together", record.span)
    if given["each"] < dt * (1 - 1e-9):
        raise Mistake(
            f"each input is shown for at least {dt:g} s", record.span, f"write each={dt * 1000:g}ms"
        )
    frame.context.reserve((rows.size + steps) * count, "present_input", record.span)
    return rows.shape[1], e.Presented(rows, given["each"], bool(given.get("repeat", 1.0)))


def _interpolation(record: Record) -> tuple[Record, str]:
    """A piecewise function without its `interpolation`, and that."""
    named = [entry for entry in record.entries if entry.name == "interpolation"]
    if not named:
        return record, "zero"
    kind = text_of(named[0].value)
    if kind not in INTERPOLATIONS or len(named) > 1:
        listed = ", ".join(f'"{kind}"' for kind in INTERPOLATIONS)
        raise Mistake("interpolation is one word in quotes", named[0].span, f"write one of {listed}")
    rest = tuple(entry for entry in record.entries if entry.name != "interpolation")
    return replace(record, entries=rest), kind


def _piecewise(record: Record, frame: Frame, dt: float, count: int) -> tuple[int, e.Source]:
    """`piecewise(0s: 1, 0.5s: 0)`: each value holds from its time to the next; 0 before the first."""
    record, kind = _interpolation(record)
    if not record.entries:
        raise Mistake("piecewise has no values", record.span, "write piecewise(0s: 1, 0.5s: 0)")
    rows: list[tuple[float, Any, Span]] = []
    for entry in record.entries:
        if not isinstance(entry.key, Value) or not isinstance(entry.value, Value) or entry.value.symbolic:
            raise Mistake(
                "piecewise takes pairs of a time and a value", entry.span, "write piecewise(0s: 1, 0.5s: 0)"
            )
        check_unit(entry.key, TIME, "a time of piecewise", entry.whole or entry.span)
        if entry.key.shape or not 0 <= entry.key.data < 1e9:
            raise Mistake(
                "a time of piecewise is one time, 0s or later", entry.span, "write piecewise(0s: 1)"
            )
        rows.append((float(entry.key.data), vector(entry.value, entry.span), entry.span))
    for (before, first, _), (after, then, place) in pairwise(rows):
        if after <= before:
            raise Mistake("the times of piecewise do not increase", place, "put them in order")
        if len(then) != len(first):
            raise Mistake(
                f"the values of piecewise differ in size: {len(first)} and {len(then)}",
                place,
                "give all of them one size",
            )
    values = np.array([value for _, value, _ in rows], dtype=np.float64)
    frame.context.reserve(values.size * count, "piecewise", record.span)
    times = tuple(time for time, _, _ in rows)
    if kind == "zero":
        return values.shape[1], e.Steps(times, values)
    needed = {"quadratic": 3, "cubic": 4}.get(kind, 2)
    if len(rows) < needed:
        what = f"{kind} interpolation needs {needed} values, not {len(rows)}"
        raise Mistake(what, record.span, 'give more values, or interpolation="linear"')
    samples = (times[-1] - times[0]) / dt * values.shape[1]
    frame.context.reserve(samples * count, "piecewise", record.span)
    _plan(samples, count, frame, record.span)
    return values.shape[1], e.Curve(times, values, kind)


def check_time(value: Value, dt: float, what: str, span: Span) -> None:
    """Raise `Mistake` unless `value` is a time; a bare number was meant in the unit of whole steps."""
    try:
        check_unit(value, TIME, what, span)
    except Mistake as mistake:
        number, message = float(value.data), mistake.diagnostic.message
        if value.power == PLAIN and number > 0 and (number / 1000 / dt) % 1 and not (number / dt) % 1:
            raise Mistake(message, span, f"write {number * 1000:g}ms or {number:g}s") from None
        raise


def whole_steps(duration: float, dt: float, what: str, span: Span) -> int:
    """A time in steps.  Raises `Mistake` where it is not a whole number of them, or none."""
    steps = round(min(duration / dt, 2.0**53))
    if steps < 1 or steps >= 2**53 or abs(duration / dt - steps) > 1e-6 * max(1.0, steps):
        raise Mistake(
            f"{what} must be a multiple of the step of {dt:g} s, not {duration:g} s",
            span,
            f"write {max(1, steps) * dt * 1000:g}ms, or change dt"
            if steps < 2**53
            else "write a shorter time",
        )
    return steps
