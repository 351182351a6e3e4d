"""What a program would record in its next step, found on a copy of its state.

A synapse gives at step n what follows from the steps before; some want to know at the end of step n what it
will give in the next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spike_runtime.eager import step_of
from spike_runtime.engine import Engine


class Ahead:
    """The next step of one partition.  Functions in Python are not called: what they set is not found."""

    def __init__(self, engine: Engine, program: Path, slots: Iterable[int]) -> None:
        """`slots`: numbers of the recordings that are wanted."""
        self._engine, self._slots, self.partition = engine, tuple(slots), engine.partition
        self._step = step_of(program, {"host": _nothing})
        self._state = {name: _copy(name, array) for name, array in engine.state.items()}
        self._segment = engine.segment.copy()

    def recorded(self, step: int) -> dict[int, NDArray[Any]]:
        """What each slot recorded in `step`, where that was begun, and then failed."""
        buffers = {slot: self._engine.state[f"record_{slot}_buffer"] for slot in self._slots}
        return {slot: buffer[(step - 1) % len(buffer)].copy() for slot, buffer in buffers.items()}

    def rows(self, step: int) -> dict[int, NDArray[Any]]:
        """What each slot will record in `step`, the one after the last that all partitions completed."""
        for name, array in self._engine.state.items():
            if not _is_recording(name):
                self._state[name][...] = array
        if "events_count" in self._state:
            self._state["events_count"][:] = 0  # nobody drains this copy
        self._segment[:] = self._engine.segment
        a = SimpleNamespace(**self._engine.constants)
        s = SimpleNamespace(**self._state, segment=self._segment)
        with np.errstate(all="ignore"):
            made = self._step(np.array(step), a, s)
        return {slot: made[f"record_{slot}_buffer"][-1].copy() for slot in self._slots}


def _is_recording(name: str) -> bool:
    return name.startswith(("record_", "events_"))


def _copy(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Memory like an array; of recordings one row."""
    return np.zeros_like(array[:1]) if name.startswith("record_") else np.zeros_like(array)


def _nothing(values: Any, sums: Any, status: Any, memory: Any, *_: Any) -> tuple[Any, ...]:  # noqa: ARG001
    return sums, status, memory
