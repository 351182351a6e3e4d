"""Which tries of a benchmark count."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from spike_runtime import cores

from tests.bench import turns


def _tries(monkeypatch: pytest.MonkeyPatch, paces: list[float], values: list[float]) -> Callable[[], float]:
    """What gives `values` in turn, with `paces` of the cores before and after each."""
    paced, valued = iter(paces), iter(values)
    monkeypatch.setattr(turns, "pace", lambda: next(paced))
    return lambda: next(valued)


def test_tries_that_neighbours_slowed_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    paces = [100, 100, 100, 170, 100, 104, 170, 100, 101, 100]
    work = _tries(monkeypatch, paces, [7, 11, 8, 12, 6])
    assert turns.in_turns({"a": work}, 3, 9) == {"a": turns.Timed(7, 5, 3, 104)}


def test_a_fast_try_while_cores_were_slow_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    paces = [100, 100, 170, 170, 100, 100, 100, 100]
    work = _tries(monkeypatch, paces, [7, 1, 8, 9])
    assert turns.in_turns({"a": work}, 3, 9)["a"].value == 8


def test_where_too_few_were_undisturbed_the_least_disturbed_count(monkeypatch: pytest.MonkeyPatch) -> None:
    work = _tries(monkeypatch, [170, 170, 100, 100, 120, 120, 150, 150], [7, 5, 6, 8])
    assert turns.in_turns({"a": work}, 3, 4)["a"] == turns.Timed(6, 4, 1, 150)


def test_all_are_tried_in_turns_until_each_has_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    paces: Iterator[float] = iter([100, 100, 170, 170, 100, 100, 100, 100])
    monkeypatch.setattr(turns, "pace", lambda: next(paces))

    def work(key: str) -> float:
        order.append(key)
        return 1.0

    made = turns.in_turns({key: partial(work, key) for key in "ab"}, 1, 9)
    assert order == ["a", "b", "b"]
    assert [made[k].tries for k in "ab"] == [1, 2]


def test_the_pace_leaves_the_process_its_cores() -> None:
    before = os.sched_getaffinity(0)
    assert turns.pace() > 0
    assert os.sched_getaffinity(0) == before
    assert sorted(before) == cores.allowed_cores()
