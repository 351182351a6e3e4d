"""Kernels in programs: compiled once for all of them, called by name, computing in place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numba.core.errors import TypingError
from spike_runtime.addresses import pack
from spike_runtime.loop import compile_loop
from spike_runtime.ops import append_products, clear, first_order, keep
from spike_runtime.ops.alone import alone
from spike_runtime.ops.kernel import KernelOp, machine_code

Arrays = dict[str, np.ndarray]
SEGMENT, PROGRESS = 64, 32


def run(step: Any, steps: int, constants: Arrays, state: Arrays) -> None:
    """Compile a program of this one function, and run it on the arrays."""
    program = ModuleType("program")
    program.__dict__["step"] = step
    state["status"] = np.zeros(2, np.int64)
    loop, arrays = compile_loop(program, constants, state, np.zeros(SEGMENT, np.int64))
    table = pack(arrays)
    assert loop(1, steps, PROGRESS, table.ctypes.data) == steps


def misses(*ops: KernelOp) -> int:
    """How often these kernels were compiled in this process, or loaded from disk."""
    counts = [machine_code(op).stats for op in ops]  # type: ignore[attr-defined]
    return sum(sum(c.cache_misses.values()) + sum(c.cache_hits.values()) for c in counts)


def test_programs_share_the_machine_code_of_kernels() -> None:
    def one(_n: Any, a: Any, s: Any) -> dict[Any, Any]:
        return {s.x: first_order(s.x, s.u, a.places, a.decay, a.gain), s.status: s.status}

    def two(_n: Any, a: Any, s: Any) -> dict[Any, Any]:
        x = first_order(s.x, s.u, a.places, a.decay, a.gain)
        return {s.x: x, s.u: keep(s.u, x, a.places), s.status: s.status}

    def arrays() -> tuple[Arrays, Arrays]:
        constants = {"places": np.arange(3), "decay": np.full(3, 0.5), "gain": np.ones(3)}
        return constants, {"x": np.zeros(3), "u": np.array([1.0, 2.0, 4.0])}

    constants, state = arrays()
    run(one, 2, constants, state)
    assert state["x"].tolist() == [1.5, 3.0, 6.0]
    before = misses(first_order)
    constants, state = arrays()
    run(two, 2, constants, state)
    assert state["u"].tolist() == [1.5, 3.0, 6.0]
    assert misses(first_order) == before >= 1


def test_an_array_with_gaps_is_read_as_it_is() -> None:
    """The rows of a matrix read from a column of another, which PyTensor does not copy."""

    def step(_n: Any, a: Any, s: Any) -> dict[Any, Any]:
        return {s.y: append_products(s.x[:, 1], a.values, a.pointers, a.columns), s.status: s.status}

    constants = {
        "values": np.array([2.0, 3.0]),
        "pointers": np.array([0, 2]),
        "columns": np.arange(2, dtype=np.int32),
    }
    state = {"x": np.array([[1.0, 5.0], [2.0, 7.0]]), "y": np.zeros(3)}
    run(step, 1, constants, state)
    assert state["y"].tolist() == [5.0, 7.0, 31.0]


def test_what_a_kernel_changes_is_never_a_copy() -> None:
    def step(_n: Any, _a: Any, s: Any) -> dict[Any, Any]:
        return {s.y: clear(s.x[:, 1]), s.status: s.status}

    with pytest.raises(TypingError, match="Clear changes arrays without gaps only"):
        run(step, 1, {}, {"x": np.ones((2, 2), np.int64), "y": np.ones(2, np.int64)})


def test_who_comes_second_does_not_wait_unless_it_wants_to() -> None:
    with alone("test") as first, alone("test", wait=False) as second, alone("other", wait=False) as third:
        assert (first, second, third) == (True, False, True)
    with alone("test", wait=False) as later:
        assert later


PROGRAM = """
import numpy as np
from test_calling import machine_code, misses, run
from spike_runtime.ops import clear, keep
x = {"x": np.ones(3, np.int64), "y": np.arange(3)}
step = lambda n, a, s: {s.y: keep(s.y, s.x, a.k), s.x: clear(s.x), s.status: s.status}
run(step, 2, {"k": np.arange(3)}, x)
assert x["y"].tolist() == [0, 0, 0]
print(sum(sum(machine_code(op).stats.cache_misses.values()) for op in (clear, keep)))
"""


def test_the_next_process_finds_kernels_and_loops_on_disk(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTENSOR_FLAGS": f"base_compiledir={tmp_path / 'pytensor'}",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    }
    compiled = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    ]
    assert compiled == ["2\n", "0\n"]
