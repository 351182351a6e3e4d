"""Timing kernels where others slow the processor, and the fit of costs to the times."""

from __future__ import annotations

import numpy as np
import pytest
from spike_runtime import calibrate_timing


def test_fit_finds_the_costs_that_made_the_times() -> None:
    random = np.random.default_rng(0)
    rows = [{"a": float(x), "b": float(y), "one": 1.0} for x, y in random.uniform(1, 100, (12, 2))]
    times = [3.0 * r["a"] + 0.5 * r["b"] + 20.0 for r in rows]
    assert calibrate_timing.fit(rows, times) == pytest.approx({"a": 3.0, "b": 0.5, "one": 20.0}, rel=1e-6)
    assert calibrate_timing.fit(rows, times, {"one": 20.0}) == pytest.approx({"a": 3.0, "b": 0.5}, rel=1e-6)


def test_fit_never_gives_a_negative_cost() -> None:
    rows = [{"a": 1.0, "b": k} for k in (1.0, 2.0, 3.0)]
    costs = calibrate_timing.fit(rows, [10.0, 9.0, 8.0])
    assert costs["b"] == 0.0
    assert costs["a"] > 0.0


def test_on_a_crowded_machine_few_tries_must_do(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr(calibrate_timing.time, "monotonic", lambda: float(next(now)))
    table = calibrate_timing.in_rounds(lambda: [1.0, 2.0])
    assert len(table) == calibrate_timing.FEWEST
    monkeypatch.undo()
    assert len(calibrate_timing.in_rounds(lambda: [1.0, 2.0])) == calibrate_timing.TRIES


class Clock:
    """A processor that is slow in some rounds: every call and standard work take longer."""

    def __init__(self, slow: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.slow, self.round = slow, -1
        monkeypatch.setattr(
            calibrate_timing, "_timed", lambda call, count: call(count) or self.factor() * 50.0
        )
        monkeypatch.setattr(calibrate_timing.speed, "standard_work", self.work)

    def factor(self) -> float:
        return self.slow[min(max(self.round, 0), len(self.slow) - 1)]

    def work(self, _: int) -> float:
        self.round += 1
        return 7.0 * self.factor()


def test_tries_go_on_until_some_are_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = [1.3, 1.6, 1.9, 1.2, 1.7, 1.4, 1.8, 1.5, 1.1, 2.0]
    clock, watch = Clock([*busy, *busy, 1.0], monkeypatch), calibrate_timing.Stopwatch()
    assert watch.fastest([lambda _: None, lambda _: None]) == [50.0, 50.0]
    assert watch.pace == 7.0
    assert clock.round + 1 == 20 + calibrate_timing.QUIET


def test_tries_end_where_nothing_is_quiet_and_the_pace_is_of_the_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock([1.3 + 0.1 * k for k in range(100)], monkeypatch)
    watch = calibrate_timing.Stopwatch()
    assert watch.fastest([lambda _: None]) == pytest.approx([1.3 * 50.0])
    assert clock.round + 1 == calibrate_timing.MOST_TRIES
    assert watch.pace == pytest.approx(1.3 * 7.0)


def test_the_pace_is_that_of_the_slowest_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = calibrate_timing.TRIES
    Clock([1.5] * tries + [1.0] * tries, monkeypatch)
    watch = calibrate_timing.Stopwatch()
    assert [watch.fastest([lambda _: None]) for _ in range(2)] == [[75.0], [50.0]]
    assert watch.pace == 1.5 * 7.0
