"""Compiled functions beside others in Python that set what they read: they see it in the same step."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from converted import Simulator, nengo


def rebinding() -> tuple[Any, Any]:
    def change(t: float) -> None:
        global gained
        gained = t * 1000

    return change, lambda t: gained * 2 + 0 * t


def nonlocals() -> tuple[Any, Any]:
    gain = 1.0

    def change(t: float) -> None:
        nonlocal gain
        gain = t * 1000

    return change, lambda t: gain * 2 + 0 * t


def arrays() -> tuple[Any, Any]:
    weights = np.ones(2)

    def change(t: float) -> None:
        weights[0] = t * 1000

    return change, lambda t: weights[0] * 2 + 0 * t


def partials() -> tuple[Any, Any]:
    weights = np.ones(2)

    def change(t: float) -> None:
        weights[0] = t * 1000

    read = partial(lambda w, t: w[0] * 2 + 0 * t, weights)
    return change, lambda t: read(t)


def classes() -> tuple[Any, Any]:
    class Kept:
        gain = 1.0

    def change(t: float) -> None:
        Kept.gain = t * 1000

    return change, lambda t: Kept.gain * 2 + 0 * t


gained = 1.0
BESIDE = [rebinding, nonlocals, arrays, partials, classes]


@pytest.mark.parametrize("in_process", [False, True])
@pytest.mark.parametrize("make", BESIDE)
def test_what_python_beside_a_function_sets_is_seen_in_the_step(make: Any, in_process: bool) -> None:
    """Be it by a node, or by a function that is a value of a `Piecewise`."""
    global gained
    gained = 1.0
    change, read = make()

    def changed(t: float) -> float:
        change(t)
        return t

    with nengo.Network() as net:
        nengo.Node(nengo.processes.Piecewise({0: changed}) if in_process else changed)
        probe = nengo.Probe(nengo.Node(read))
    seen = []
    for kind in (nengo.Simulator, Simulator):
        change(0.001)
        with kind(net, progress_bar=False) as simulator:
            simulator.run_steps(5)
            seen.append(simulator.data[probe][1:, 0])
    assert seen[0][-1] > seen[0][0]
    assert np.array_equal(*seen)
