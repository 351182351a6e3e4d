"""Timing kernels, and fitting costs to the times."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from spike_runtime import speed

TRY = 2_200_000  # ns that a try takes
STANDARD = 400  # times that standard work is done in as long
# Tries of each call: so many, and more until so many are quiet, that is near the least for most calls.
TRIES, MOST_TRIES = 9, 40
QUIET, NEAR = 4, 1.05
# Where the machine is crowded: no more after so many s, and so few tries.
LONGEST, FEWEST = 3.0, 3


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


class Stopwatch:
    """Times kernels while no other process does that has the same lock file.

    `pace`: the ns that standard work took meanwhile (see `speed`), the most of all that it timed.  As of the
    calls themselves the least counts: where a compiler was at work on the same physical core, its median
    was 10 us instead of 5.6, and all costs were those of a quiet machine.
    """

    def __init__(self, lock: Path | None = None) -> None:
        self._lock = lock
        self.pace = 0.0

    def fastest(
        self, calls: Sequence[Callable[[int], Any]], tries: int = TRIES, warm: int = 1
    ) -> list[float]:
        """Least ns per repetition of each `call(repetitions)`, over several tries, each of them after so many
        repetitions that its arrays are in the caches again (`warm`).

        Time of the processor, not of the clock, so that other processes disturb little; and what disturbs
        only ever adds: the least is the best estimate.  The tries are in turns: a busy neighbour makes a
        processor slower by half for seconds, and then all calls have their quiet moments, or none.
        """
        with alone(self._lock):
            counts = [max(1, int(TRY / max(_warm(call), 1.0))) for call in calls]

            def times() -> list[float]:
                timed = (_again(call, count, warm) for call, count in zip(calls, counts, strict=True))
                return [speed.standard_work(STANDARD), *timed]

            least: list[float] = in_rounds(times, tries).min(axis=0).tolist()
        self.pace = max(self.pace, least[0])
        return least[1:]


def in_rounds(times: Callable[[], list[float]], tries: int = TRIES) -> NDArray[np.float64]:
    """Rounds of `times`: so many, and more until some are quiet."""
    rounds: list[list[float]] = []
    end = time.monotonic() + LONGEST
    while len(rounds) < FEWEST or (time.monotonic() < end and _is_more_needed(rounds, tries)):
        rounds.append(times())
    return np.array(rounds)


def _is_more_needed(rounds: Sequence[Sequence[float]], tries: int) -> bool:
    if len(rounds) < tries:
        return True
    return len(rounds) < MOST_TRIES and _quiet(np.array(rounds)).sum() < QUIET


def _quiet(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rounds nobody disturbed, as far as all of them together can tell."""
    return np.asarray(np.median(times / times.min(axis=0), axis=1) < NEAR)


def _warm(call: Callable[[int], Any]) -> float:
    """ns of a second call."""
    call(1)
    return _timed(call, 1)


def _again(call: Callable[[int], Any], repetitions: int, warm: int) -> float:
    """ns per repetition, after some others."""
    call(warm)
    return _timed(call, repetitions)


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
