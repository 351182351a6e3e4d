"""Chunks and names of what is recorded of a probe."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from spike_runtime import series
from spike_runtime.engine import LONGEST_CHUNK, MOST_STEPS, Engine
from spike_runtime.series import chunk_samples, group_name


@pytest.mark.parametrize(
    ("columns", "itemsize", "samples"),
    [(1, 4, 16384), (64, 4, 16384), (1024, 4, 1024), (2048, 4, 512), (4000, 8, 128), (10**6, 8, 16)],
)
def test_chunk_length_depends_on_the_probe_alone(
    monkeypatch: pytest.MonkeyPatch, columns: int, itemsize: int, samples: int
) -> None:
    monkeypatch.setattr(series, "_MOST_SAMPLES", 1 << 14)
    assert chunk_samples(columns, itemsize) == samples


def test_group_names_are_safe_and_distinct() -> None:
    names = ["a", "a.b[0]", "a/b", "a%2Fb", "..", ".", "__x", "x y", "é"]
    groups = [group_name(name) for name in names]
    assert len(set(groups)) == len(names)
    assert groups[0] == "a"
    assert not any("/" in name or name.startswith("__") or name.strip(".") == "" for name in groups)


@pytest.mark.parametrize(
    ("plan", "constants", "steps"),
    [
        ({"step_us": 0.5}, {}, MOST_STEPS),
        ({"step_us": 5e4}, {}, LONGEST_CHUNK),
        ({}, {}, LONGEST_CHUNK),
        ({"step_us": 0.5}, {"host_0_calls": None}, LONGEST_CHUNK),
    ],
)
def test_steps_at_a_time_are_many_only_where_they_are_known_to_be_short(
    plan: dict[str, float], constants: dict[str, None], steps: int
) -> None:
    """Functions in Python take a time that no plan knows."""
    engine: Any = Engine.__new__(Engine)
    engine.manifest = SimpleNamespace(plan=plan, precision="float64")
    engine.slots, engine.constants = [], constants
    assert engine._chunk_length(engine._step_ns()) == steps
    assert engine._chunk_length(0.0) == MOST_STEPS
