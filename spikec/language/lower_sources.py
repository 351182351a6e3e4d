"""Inputs to source operators: constants, functions of time, tables of samples, noise."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spikec.errors import Span
from spikec.graph import Constant, Noise, Operator, Table, TimeFunction
from spikec.language import elements as e
from spikec.nef.sampling import generator

Array = NDArray[np.float64]

# Times are compared in steps with this tolerance, so that 0.3 s is step 300 although 0.3 / 0.001 is 299.99...
TOLERANCE = 1e-6


def source(element: e.Input, dt: float) -> Operator:
    """The operator that sets an input's value at every step."""
    match element.source:
        case e.ConstantSource(values):
            return Constant(size=element.size, span=element.span, value=values)
        case e.TimeSource(expressions):
            return TimeFunction(size=element.size, span=element.span, expressions=expressions)
        case e.Recording():
            return _recording(element, element.source, dt)
        case e.Steps():
            return _steps(element, element.source, dt)
        case e.WhiteSignal():
            samples = white_signal(element.source, element.path, element.size, dt)
            return _table(element, samples, np.arange(len(samples)), len(samples))
        case e.WhiteNoise():
            return noise(element.source, element.path, element.size, element.span)
    raise TypeError(element.source)


def noise(process: e.WhiteNoise, key: str, size: int, span: Span) -> Noise:
    """White noise keyed by the path of what it belongs to."""
    return Noise(
        size=size, span=span, distribution=process.distribution, a=process.a, b=process.b,
        scale=process.scale, key=key, seed=process.seed,
    )  # fmt: skip


def _table(element: e.Input, samples: Array, starts: NDArray[np.int64], period: int = 0) -> Table:
    return Table(
        size=element.size, span=element.span, samples=samples, starts=starts.astype(np.int64), period=period
    )


def _recording(element: e.Input, recording: e.Recording, dt: float) -> Table:
    """Row k from t = k * every on; with `linear`, between rows, sampled at every step."""
    samples, every = recording.samples, recording.every
    rows = np.arange(len(samples))
    period = round(len(samples) * every / dt) if recording.repeat else 0
    if not recording.linear:
        starts = np.ceil(rows * every / dt - TOLERANCE)
        return _table(element, samples, starts, period)
    last = period - 1 if period else math.ceil((len(samples) - 1) * every / dt - TOLERANCE)
    steps = np.arange(last + 1)
    # Repeated, the last row leads back to the first.
    known = np.vstack([samples, samples[:1]]) if period else samples
    at = np.arange(len(known)) * every
    columns = [np.interp(steps * dt, at, known[:, k]) for k in range(element.size)]
    return _table(element, np.stack(columns, axis=1), steps, period)


def _steps(element: e.Input, steps: e.Steps, dt: float) -> Table:
    """Row k where n dt + dt/2 has passed times[k]; 0 before the first."""
    starts = np.floor(np.array(steps.times) / dt - 0.5).astype(np.int64) + 1
    values = steps.values
    if starts[0] > 0:
        starts = np.concatenate([[0], starts])
        values = np.vstack([np.zeros((1, element.size)), values])
    # Of two times within one step the later holds.
    keep = np.append(starts[1:] > starts[:-1], True)
    return _table(element, values[keep], np.maximum(starts[keep], 0))


def white_signal(signal: e.WhiteSignal, path: str, size: int, dt: float) -> Array:
    """One period of noise (steps x size): Gaussian coefficients at the frequencies 0 < k / period <= high,
    scaled so that the root mean square of each dimension over the period is `rms`.
    """
    steps = round(signal.period / dt)
    frequencies = np.fft.rfftfreq(steps, d=dt)
    kept = (frequencies > 0) & (frequencies <= signal.high * (1 + TOLERANCE))
    rng = generator(signal.seed, path, "white_signal")
    count = int(kept.sum())
    spectrum = np.zeros((len(frequencies), size), dtype=np.complex128)
    spectrum[kept] = rng.standard_normal((count, size)) + 1j * rng.standard_normal((count, size))
    values = np.fft.irfft(spectrum, n=steps, axis=0)
    values *= signal.rms / np.sqrt(np.mean(values**2, axis=0))
    return np.asarray(values, dtype=np.float64)
