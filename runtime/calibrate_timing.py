"""Timing kernels, and fitting costs to the times."""

from __future__ import annotations

import fcntl
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

TRIES = 9
TRY = 2_200_000  # ns that a try takes


@contextmanager
def alone(lock: Path | None) -> Iterator[None]:
    """While no other process that uses the same lock file measures: compiling at once is fine, measuring is
    not.
    """
    if lock is None:
        yield
        return
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fastest(calls: Sequence[Callable[[int], Any]], tries: int = TRIES) -> list[float]:
    """Least ns per repetition of each `call(repetitions)`, over several tries.

    Time of the processor, not of the clock, so that other processes disturb little; and what disturbs only
    ever adds: the least is the best estimate.  The tries are in turns: a busy neighbour makes a processor
    slower by half for seconds, and then all calls have their quiet moments, or none.
    """
    counts, least = [], [math.inf] * len(calls)
    for call in calls:
        call(1)
        counts.append(max(1, int(TRY / max(_timed(call, 1), 1.0))))
    for _ in range(tries):
        for k, (call, count) in enumerate(zip(calls, counts, strict=True)):
            call(1)  # its arrays are in the cache again
            least[k] = min(least[k], _timed(call, count))
    return least


def _timed(call: Callable[[int], Any], repetitions: int) -> float:
    start = time.thread_time_ns()
    call(repetitions)
    return (time.thread_time_ns() - start) / repetitions


def fit(
    features: Sequence[Mapping[str, float]], times: Sequence[float], known: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Costs, none negative, with the least relative error: times[i] = sum of costs[k] * features[i][k].

    Costs in `known` are taken as they are and left out of the result.
    """
    known = known or {}
    names = sorted({name for row in features for name in row} - set(known))
    matrix = np.array([[row.get(name, 0.0) for name in names] for row in features])
    rest = np.array(times) - [
        sum(cost * row.get(name, 0.0) for name, cost in known.items()) for row in features
    ]
    relative = 1.0 / np.asarray(times, np.float64)
    # Columns of about equal size: the solver's tolerance is absolute.
    scale = np.maximum(np.abs(matrix * relative[:, None]).max(axis=0), 1e-12)
    costs, _ = nnls(matrix * relative[:, None] / scale, np.maximum(rest, 0.0) * relative)
    return dict(zip(names, (costs / scale).tolist(), strict=True))
