"""Tries of several things in turns, of which those count during which the processor was fastest.

Where others have the same physical cores, a kernel takes up to 1.8 times as long while they are busy, for
seconds at a time and on some of the cores (see `spike_runtime.speed`): medians of a few tries say as much of
them as of what was tried.  So each core is timed at a piece of work that is always the same, before and after
each try.  Which tries count depends on that alone, and not on what they gave.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from spike_runtime import cores, speed

Key = TypeVar("Key")
# Tries that count, and at most so many; one is quiet whose pace is within this of the least.
COUNTED, MOST, QUIET = 3, 9, 1.08
# Pieces of work on a core, 0.1 ms each, and how many of them only wake it.
PIECES, WAKING = 60, 20


@dataclass(frozen=True, slots=True)
class Try:
    """What a try gave, and ns of the standard work on the slowest core, before or after it."""

    value: float
    pace: float


@dataclass(frozen=True, slots=True)
class Timed:
    """The median of the tries that count; how many there were, and how many of them were quiet; the slowest
    pace of those that count (ns).
    """

    value: float
    tries: int
    quiet: int
    pace: float


def in_turns(
    works: Mapping[Key, Callable[[], float]], counted: int = COUNTED, most: int = MOST
) -> dict[Key, Timed]:
    """Try all in turns, each until `counted` of its tries were quiet, and at most `most` times."""
    tries: dict[Key, list[Try]] = {key: [] for key in works}

    def quiet(key: Key) -> int:
        least = min(t.pace for ts in tries.values() for t in ts)
        return sum(t.pace <= QUIET * least for t in tries[key])

    missing = list(works)
    for _ in range(most):
        for key in missing:
            before = pace()
            value = works[key]()
            tries[key].append(Try(value, max(before, pace())))
        missing = [key for key in works if quiet(key) < counted]
    best = {key: sorted(tries[key], key=lambda t: t.pace)[:counted] for key in works}
    return {
        key: Timed(statistics.median(t.value for t in ts), len(tries[key]), quiet(key), ts[-1].pace)
        for key, ts in best.items()
    }


def pace() -> float:
    """ns of the standard work on the slowest core that this process may use."""
    allowed = cores.allowed_cores()
    if not allowed:
        return _median_of_work()
    try:
        return max(map(_pace_of, allowed))
    finally:
        os.sched_setaffinity(0, allowed)


def _pace_of(core: int) -> float:
    os.sched_setaffinity(0, {core})
    return _median_of_work()


def _median_of_work() -> float:
    return statistics.median([speed.standard_work() for _ in range(PIECES)][WAKING:])
