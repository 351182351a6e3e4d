"""What every other kind of stage costs, measured inside a compiled program."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from spike_runtime import calibrate_program as cp
from spike_runtime import memory
from spike_runtime.calibrate_timing import TRIES, Stopwatch, fit
from spike_runtime.loop import compile_loop
from spike_runtime.table import pack

# Words of the segment that the loop reads and writes: the stop flag and its progress.
SEGMENT, PROGRESS = 64, 32
# What models have of one kind stays in a level 1 cache, as a rule: of 8,000 each takes up to twice as long.
# Matrices are larger.
MANY, ENTRIES = 800, 8000
GROWN: tuple[dict[str, int], ...] = (
    {},
    *(
        {name: MANY}
        for name in (
            "sum",
            "decoded",
            "lowpass",
            "delay",
            "table_element",
            "noise",
            "plain",
            "curved",
            "record",
            "events",
            "carried",
        )
    ),
    {"linear_entry": ENTRIES},
    {"linear_run": ENTRIES},
    {"linear_row": ENTRIES // 16, "linear_entry": ENTRIES},
    {"filter_element": MANY},
    {"filter_element": MANY, "filter": MANY},
    {"filter_element": MANY, "filter_multiply": 6},
    {"table_element": MANY, "table": MANY},
)


def measure(real: str, watch: Stopwatch) -> dict[str, float]:
    """Costs of stages in precision `real`, by name."""
    # That of all first: meanwhile another process compiles the kernel of neurons.
    loop, own, least = (_loop(real, kind) for kind in (cp.ALL, cp.OWN, cp.LEAST))
    # What functions join again tells joining apart from what is joined.
    sizes = [cp.SMALL | grown for grown in GROWN]
    fewer = [cp.SMALL, cp.SMALL | {"lowpass": MANY}]
    calls = [_steps(least, cp.SMALL, real)]
    calls += [_steps(own, size, real) for size in fewer] + [_steps(loop, size, real) for size in sizes]
    # Costs of stages are differences, and small.
    step, *times = watch.fastest(calls, 2 * TRIES)
    rows = [
        *(cp.features(size, real, cp.OWN) for size in fewer),
        *(cp.features(size, real) for size in sizes),
    ]
    return {"step": step} | fit([row | {"step": 1.0} for row in rows], times, {"step": step})


def help_compile(real: str) -> None:
    """Compile what another process needs for `measure`: each kernel is compiled by one of them."""
    for kind in (cp.OWN, cp.LEAST):
        _loop(real, kind)


# Of constant arrays and state: runs so many steps of the program, and gives how many it did.
Loop = Callable[[cp.Arrays, cp.Arrays], Callable[[int], int]]


def _loop(real: str, kind: int) -> Loop:
    """The compiled program, for constant arrays and state of any sizes."""
    constant, state = cp.arrays(cp.SMALL, real)
    if kind == cp.LEAST:
        constant = {k: constant[k] for k in ("atoms", "parameters", "encoders", "bias", "decoders")}
        state = {k: state[k] for k in ("sums", "neurons", "status")}
    program = cp.program(real, kind)
    compiled, arguments = compile_loop(program, constant, state, np.zeros(SEGMENT, np.int64))
    names = {id(value): name for name, value in (constant | state).items()}

    def of(constant: cp.Arrays, state: cp.Arrays) -> Callable[[int], int]:
        given = constant | state
        # Here and not in every call: to make it takes as long as a hundred short steps.
        table = pack([given[names[id(a)]] if id(a) in names else a for a in arguments])

        def run(steps: int, _held: cp.Arrays = given) -> int:  # the table has their addresses alone
            return compiled(1, steps, PROGRESS, table.ctypes.data)

        return run

    return of


def _steps(loop: Loop, size: dict[str, int], real: str) -> Callable[[int], None]:
    """So many steps of the program with stages of these sizes."""
    constant, state = ({k: memory.aligned(v) for k, v in part.items()} for part in cp.arrays(size, real))
    run = loop(constant, state)

    def steps(count: int) -> None:
        if run(count) != count:
            raise RuntimeError(f"the measured program stopped of itself: {state['status']}")

    return steps
