"""Inputs to source operators: constants, functions of time, tables of samples, noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikec.errors import Span
from spikec.graph import Constant, Draws, Filter, Graph, Noise, Operator, Sum, Table, TimeFunction
from spikec.language import elements as e
from spikec.language.vocabulary import Synapse
from spikec.nef.sampling import generator
from spikec.program.synapses import add_at_once

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
        case e.Curve():
            return _curve(element, element.source, dt)
        case e.Presented():
            return _presented(element, element.source, dt)
    raise TypeError(element.source)


def add_noise(process: e.WhiteNoise, name: str, size: int, span: Span, graph: Graph) -> None:
    """The node `name` of noise keyed by that path: samples, through a synapse where it has one.

    The synapse gives at step n what the samples up to step n make, as that of Nengo's processes.
    """
    kind, (a, b, *integer) = process.distribution.kind, (*process.distribution.parameters, 0, 0)[:3]
    common: Any = {"size": size, "span": span, "scale": process.scale, "seed": process.seed}
    samples: Operator
    if kind in ("gaussian", "uniform") and not integer[0] and not process.numpy:
        samples = Noise(distribution=kind, a=a, b=b, key=name, **common)
    else:
        key = "" if process.numpy else name
        samples = Draws(distribution=process.distribution, key=key, numpy=process.numpy, **common)
    if process.synapse is None:
        graph.add(name, samples)
        return
    filtered = filter_of(process.synapse, size, span)
    source = graph.add(f"{name}.samples", samples)
    add_at_once(graph, graph.add(name, Sum(size=size, span=span)), source, filtered)


def filter_of(s: Synapse, size: int, span: Span) -> Filter:
    """The filter of a synapse."""
    return Filter(size=size, span=span, num=s.num, den=s.den, analog=s.analog, method=s.method)


def _curve(element: e.Input, curve: e.Curve, dt: float) -> Table:
    """Interpolated at every step from the first time to the last, 0 outside."""
    from scipy.interpolate import make_interp_spline

    first = math.ceil(curve.times[0] / dt - TOLERANCE)
    last = math.floor(curve.times[-1] / dt + TOLERANCE)
    at = np.clip(np.arange(first, last + 1) * dt, curve.times[0], curve.times[-1])
    if curve.kind == "nearest":
        middles = (np.array(curve.times[1:]) + curve.times[:-1]) / 2
        inside = curve.values[np.searchsorted(middles, at, side="left")]
    else:
        degree = {"linear": 1, "quadratic": 2, "cubic": 3}[curve.kind]
        inside = make_interp_spline(curve.times, curve.values, k=degree)(at)
    outside = np.zeros((1, element.size))
    starts = np.arange(first, last + 2)
    if first > 0:
        return _table(element, np.vstack([outside, inside, outside]), np.append(0, starts))
    return _table(element, np.vstack([inside, outside]), starts)


def _presented(element: e.Input, shown: e.Presented, dt: float) -> Table:
    """Row k from the step after t = k * each on; the first step shows the first row."""
    rows, period = shown.values, round(len(shown.values) * shown.each / dt)
    starts = np.ceil(np.arange(len(rows)) * shown.each / dt - TOLERANCE).astype(np.int64) + 1
    if not shown.repeat:
        return _table(element, rows, np.append(0, starts[1:]), 0)
    # A step that is a multiple of the period ends the last row.
    return _table(element, np.vstack([rows[-1:], rows]), np.append(0, starts), period)


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
    if signal.start is not None:  # the first step reads row 1
        nearest = np.abs(values - signal.start).argmin(axis=0)
        values = np.stack([np.roll(v, 1 - k) for v, k in zip(values.T, nearest, strict=True)], axis=1)
    return np.asarray(values, dtype=np.float64)
