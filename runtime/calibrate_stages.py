"""What every other kind of stage costs, measured inside a compiled program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spike_runtime import calibrate_program as cp
from spike_runtime import engine
from spike_runtime.calibrate_timing import alone, fastest, fit

# Words of the segment that the loop reads and writes: the stop flag and its progress.
SEGMENT, PROGRESS = 64, 32
MANY = 8000
GROWN: tuple[dict[str, int], ...] = (
    {},
    *({name: MANY} for name in (
        "sum", "decoded", "lowpass", "delay", "table_element", "noise", "linear_row", "linear_entry", "plain", "curved",
        "record", "events", "carried",
    )),
    {"filter_element": MANY},
    {"filter_element": MANY, "filter": MANY},
    {"filter_element": MANY, "filter_multiply": 6},
    {"table_element": MANY, "table": MANY},
)  # fmt: skip


def measure(real: str, lock: Path | None = None) -> dict[str, float]:
    """Costs of stages in precision `real`, by name."""
    loop, least = _loop(real, least=False), _loop(real, least=True)
    sizes = [cp.SMALL | grown for grown in GROWN]
    with alone(lock):
        step = _time(least, cp.SMALL, real)
        times = [_time(loop, size, real) for size in sizes]
    rows = [cp.features(size) | {"step": 1.0} for size in sizes]
    return {"step": step} | fit(rows, times, {"step": step})


def _loop(real: str, least: bool) -> Callable[..., int]:
    constant, state = cp.arrays(cp.SMALL, real)
    if least:
        constant = {k: constant[k] for k in ("atoms", "parameters", "encoders", "bias", "decoders")}
        state = {k: state[k] for k in ("sums", "neurons", "status")}
    compiled, _ = engine._compile(cp.program(real, least), constant, state, np.zeros(SEGMENT, np.int64))
    used = set(constant) | set(state)

    def run(steps: int, constant: dict[str, Any], state: dict[str, Any]) -> int:
        arguments = [constant[k] for k in sorted(constant) if k in used]
        held = {k: v for k, v in state.items() if k in used} | {"segment": np.zeros(SEGMENT, np.int64)}
        return compiled(1, steps, PROGRESS, *arguments, *(held[k] for k in sorted(held)))

    return run


def _time(loop: Callable[..., int], size: dict[str, int], real: str) -> float:
    """ns per step of the program with stages of these sizes."""
    constant, state = cp.arrays(size, real)

    def steps(count: int) -> None:
        if loop(count, constant, state) != count:
            raise RuntimeError(f"the measured program stopped of itself: {state['status']}")

    return fastest(steps)
