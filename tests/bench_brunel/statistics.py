"""Statistics of spike trains by which balanced random networks are compared (Brunel 2000; NEST's own
tests)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# Seconds of a run that are left out: the network begins with all voltages at rest.
TRANSIENT = 0.2
BIN = 1e-3
LEAST_INTERVALS = 5


def statistics(
    times: NDArray[np.float64], neurons: NDArray[np.int64], size: int, duration: float, dt: float = 1e-4
) -> dict[str, float]:
    """rate: spikes per neuron and second.  cv: standard deviation of the intervals between spikes over
    their mean, averaged over neurons with enough of them.  synchrony: variance over mean of the spikes of
    all in bins of 1 ms; 1 for independent Poisson processes.
    """
    steps = np.rint(times / dt).astype(np.int64)
    kept = steps > round(TRANSIENT / dt)
    steps, neurons = steps[kept], neurons[kept]
    rate = len(steps) / size / (duration - TRANSIENT)
    order = np.lexsort((steps, neurons))
    bounds = np.flatnonzero(np.diff(neurons[order], prepend=-1, append=size))
    trains = [np.diff(steps[order[a:b]]) for a, b in pairwise(bounds)]
    cv = [float(t.std() / t.mean()) for t in trains if len(t) >= LEAST_INTERVALS]
    width = round(BIN / dt)
    counts = np.bincount((steps - 1) // width, minlength=round(duration / BIN))[round(TRANSIENT / BIN) :]
    return {"rate": rate, "cv": float(np.mean(cv)), "synchrony": float(counts.var() / counts.mean())}
