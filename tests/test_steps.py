"""A worker whose partition fails: others record from what it sent before they are stopped."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from spike_runtime.steps import Steps
from spike_runtime.wires.layout import STOP, Ring

HEAD, TAIL, CONTROL = 100, 101, 200

OUTBOX: Any = SimpleNamespace(wait=lambda taken: taken())


def failing(sent: tuple[Ring, ...], segment: np.ndarray) -> Steps:
    def begin(first: int) -> None:
        raise ValueError(f"step {first}")

    engine: Any = SimpleNamespace(chunk=10, room=100, begin=begin)
    layout: Any = SimpleNamespace(control=lambda _: CONTROL)
    turns: Any = SimpleNamespace(place=0)
    return Steps([3], [engine], turns, segment, layout, sent)


def test_others_read_what_was_sent_before_they_are_stopped() -> None:
    segment = np.zeros(400, np.int64)
    segment[TAIL] = 5
    stopped: list[bool] = []

    def read() -> None:
        time.sleep(0.05)
        stopped.append(bool(segment[STOP]))
        segment[HEAD] = 5

    reader = threading.Thread(target=read)
    reader.start()
    steps = failing((Ring(0, HEAD, TAIL, 0, 8),), segment)
    with pytest.raises(ValueError, match="step 1"):
        steps.run(OUTBOX, 20, 10)
    reader.join()
    assert stopped == [False]
    assert segment[STOP] == 1
    assert steps.at == 3


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spike_runtime.steps.PATIENCE", 0.02)
    segment = np.zeros(400, np.int64)
    segment[TAIL] = 5
    with pytest.raises(ValueError, match="step 1"):
        failing((Ring(0, HEAD, TAIL, 0, 8),), segment).run(OUTBOX, 20, 10)
    assert segment[STOP] == 1
