"""`input` statements to sources: constants, functions of time, recordings, white signals, noise, steps."""

from __future__ import annotations

from spikec.language import elements as e
from spikec.language import memory
from spikec.language import syntax as s
from spikec.language.evaluate import evaluate, kind_of, number
from spikec.language.files import read_matrix
from spikec.language.frame import Frame
from spikec.language.outputs import vector
from spikec.language.populate import time_function
from spikec.language.processes import process, whole_steps
from spikec.language.signatures import check_unit
from spikec.language.values import TIME, Mistake, Record, Value


def declared(statement: s.Input, frame: Frame, path: str, dt: float) -> e.Input:
    """`input name = value`, `input name(t) = value`."""
    if statement.argument is not None:
        outputs = time_function(statement.argument, statement.value, frame)
        return e.Input(path, len(outputs), statement.span, e.TimeSource(outputs))
    value = evaluate(statement.value, frame.scope)
    if isinstance(value, Record):
        size, source = process(value, frame, dt, frame.seed)
        return e.Input(path, size, statement.span, source)
    if not isinstance(value, Value):
        raise Mistake(
            f"an input cannot be {kind_of(value)}",
            statement.value.span,
            "write numbers or a process such as white_signal",
        )
    constant = vector(value, statement.value.span)
    values = tuple(float(c) for c in constant)
    return e.Input(path, len(values), statement.span, e.ConstantSource(values))


def from_file(statement: s.InputFile, frame: Frame, path: str, dt: float) -> e.Input:
    """`input name from "file" every interval [linear] [repeat]`: rows are samples, columns dimensions."""
    every = number(statement.every, frame.scope)
    check_unit(every, TIME, "the interval of a recording", statement.every.span)
    if every.shape or every.data < dt * (1 - 1e-9):
        raise Mistake(
            f"the interval of a recording must be at least the step of {dt:g} s",
            statement.every.span,
            "write a longer interval, or make dt smaller",
        )
    samples = read_matrix(statement.file.value, statement.file.span, frame.context, frame.scope.folder)
    samples = samples[:, None] if samples.ndim == 1 else samples
    linear, repeat = ("linear" in statement.options), ("repeat" in statement.options)
    if repeat:
        whole_steps(len(samples) * every.data, dt, "the length of a repeated recording", statement.every.span)
    rows = len(samples) * every.data / dt if linear else len(samples)
    frame.context.reserve(rows * samples.shape[1], "the recording", statement.span)
    frame.context.plan(memory.SAMPLE * rows * samples.shape[1], statement.span)
    source = e.Recording(samples, float(every.data), linear, repeat)
    return e.Input(path, samples.shape[1], statement.span, source)
