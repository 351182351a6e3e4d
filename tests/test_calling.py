"""Kernels in programs: compiled once for all of them, called by name, computing in place."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from errno import ENOLCK
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numba import njit
from numba.core.codegen import JITCodeLibrary
from numba.core.errors import TypingError
from numba.core.runtime import _nrt_python, rtsys
from spike_runtime.loop import compile_loop
from spike_runtime.ops import append_products, clear, first_order, keep
from spike_runtime.ops.alone import alone
from spike_runtime.ops.calling import called, named
from spike_runtime.ops.kernel import KernelOp, machine_code, vector
from spike_runtime.table import pack

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
        return {s.y: append_products(s.x[:, 1], a.values, a.columns, a.panels, a.order), s.status: s.status}

    constants = {
        "values": np.array([2.0, 3.0]),
        "columns": np.arange(2, dtype=np.int32),
        "panels": np.array([[2, 1, 0, 0, 0]]),
        "order": np.zeros(1, np.int32),
    }
    state = {"x": np.array([[1.0, 5.0], [2.0, 7.0]]), "y": np.zeros(3)}
    run(step, 1, constants, state)
    assert state["y"].tolist() == [5.0, 7.0, 31.0]


def test_what_a_kernel_changes_is_never_a_copy() -> None:
    def step(_n: Any, _a: Any, s: Any) -> dict[Any, Any]:
        return {s.y: clear(s.x[:, 1]), s.status: s.status}

    with pytest.raises(TypingError, match="Clear changes arrays without gaps only"):
        run(step, 1, {}, {"x": np.ones((2, 2), np.int64), "y": np.ones(2, np.int64)})


@dataclass(frozen=True)
class Refuse(KernelOp):
    """Raises where a number is negative."""

    def kernel(self) -> Callable[..., Any]:
        def refuse(x: Any) -> Any:
            if x.min() < 0:
                raise ValueError("negative")
            return x.sum() * np.ones(1)

        return refuse

    def output_types(self, _inputs: Sequence[Any]) -> list[Any]:
        return [vector("float64")]


def test_copies_are_freed_where_a_kernel_raises() -> None:
    """Numba itself keeps the arguments of who called what raised; a copy is not one more."""
    function = called(Refuse(), (("float64", 1),))

    @njit
    def call(x: Any) -> Any:
        return function(0, x)

    def kept(x: np.ndarray) -> int:
        before = rtsys.get_allocation_stats()
        with pytest.raises(ValueError, match="negative"):
            call(x)
        after = rtsys.get_allocation_stats()
        return int(after.mi_alloc - after.mi_free - before.mi_alloc + before.mi_free)

    _nrt_python.memsys_enable_stats()
    gaps = np.array([[1.0, 5.0], [2.0, 7.0]])[:, 1]
    assert call(gaps).tolist() == [12]
    gaps[0] = -1
    assert kept(gaps) == kept(gaps.copy())


def test_machine_code_without_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that called it would jump to 0."""
    kinds = (("int64", 1),) * 3
    named(keep, kinds)  # Numba itself takes addresses when it compiles
    monkeypatch.setattr(JITCodeLibrary, "get_pointer_to_function", lambda *_: 0)
    with pytest.raises(RuntimeError, match="no address"):
        named.__wrapped__(keep, kinds)


def test_who_comes_second_does_not_wait_unless_it_wants_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spike_runtime.ops.alone.opened_kernel_folder", lambda: tmp_path)
    with alone("test") as first, alone("test", wait=False) as second, alone("other", wait=False) as third:
        assert (first, second, third) == (True, False, True)
    with alone("test", wait=False) as later:
        assert later
    for number in range(1000):
        with alone(f"name {number}") as mine:
            assert mine
    assert 200 < len(list(tmp_path.iterdir())) <= 256


def test_where_there_are_no_locks_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise OSError(ENOLCK, "no locks available")

    monkeypatch.setattr("spike_runtime.ops.alone.opened_kernel_folder", lambda: tmp_path / "none")
    with alone("test") as first, alone("test", wait=False) as second:
        assert (first, second) == (True, True)
    monkeypatch.setattr("spike_runtime.ops.alone.opened_kernel_folder", lambda: tmp_path)
    monkeypatch.setattr(fcntl, "flock", refused)
    with alone("test") as first, alone("test") as second:
        assert (first, second) == (True, True)


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


# Two processes save the same kernel for two kinds of arrays at once: both have read what is kept; the second
# is the last to write an index, if there is one, the first the last to write machine code.
SAVE = """
import sys
from multiprocessing import get_context
import numpy as np
from numba.core.caching import IndexDataCacheFile as File
from spike_runtime.ops import keep
from spike_runtime.ops.calling import named
from spike_runtime.ops.kernel import machine_code

def kinds(dtype):
    return ((dtype, 1), (dtype, 1), ("int64", 1))

def save(dtype, barrier, first):
    index, data = File._save_index, File._save_data
    def meet(write, goes_first):
        def met(*given):
            if not goes_first:
                barrier.wait(60)
            write(*given)
            if goes_first:
                barrier.wait(60)
        return met
    def begin(self, overloads):
        barrier.wait(60)
        meet(index, first)(self, overloads)
    File._save_index, File._save_data = begin, meet(data, not first)
    named(keep, kinds(dtype))

context = get_context("fork")
barrier = context.Barrier(2)
if sys.argv[1] == "save":
    ends = [context.Process(target=save, args=(d, barrier, d == "float32")) for d in ("float32", "float64")]
    for process in ends:
        process.start()
    for process in ends:
        process.join()
    sys.exit(any(process.exitcode for process in ends))
for dtype in ("float32", "float64"):
    named(keep, kinds(dtype))
    x, y = np.zeros(2, dtype), np.array([3, 4], dtype)
    keep(x, y, np.arange(2))
    assert x.tolist() == [3, 4], x
print(sum(machine_code(keep).stats.cache_misses.values()))
"""


def process(tmp_path: Path, *command: str) -> str:
    """What Python writes whose caches are in a directory of their own."""
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTENSOR_FLAGS": f"base_compiledir={tmp_path / 'pytensor'}",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    }
    run = subprocess.run(
        [sys.executable, "-c", *command], env=environment, check=False, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_next_process_finds_kernels_and_loops_on_disk(tmp_path: Path) -> None:
    assert [process(tmp_path, PROGRAM) for _ in range(2)] == ["2\n", "0\n"]
    shutil.rmtree(tmp_path / "cache" / "spike")  # there they are, and not among those of PyTensor's users
    assert process(tmp_path, PROGRAM) == "2\n"


# Two kernels of one Op, each the first in the process that compiles it.  Without PyTensor's linker, which has
# numbers of its own.
TIMES = """
import sys
import numpy as np
from llvmlite.binding import address_of_symbol
from spike_runtime.ops.calling import named
from spike_runtime.ops.kernel import KernelOp, machine_code

class Times(KernelOp):
    __props__ = ("factor",)
    inplace = {0: 0}

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def kernel(self):
        factor = self.factor
        def times(x):
            for i in range(len(x)):
                x[i] *= factor
        return times

ops = [Times(int(factor)) for factor in sys.argv[1:]]
for op in ops:
    x = np.ones(2, np.int64)
    assert op(x).tolist() == [op.factor] * 2, (x, op.factor)
assert "pytensor.link.numba.cache" not in sys.modules
addresses = {address_of_symbol(named(op, (("int64", 1),)).name) for op in ops}
print(len(addresses), sum(sum(machine_code(op).stats.cache_misses.values()) for op in ops))
"""


def test_kernels_that_two_processes_compiled_are_not_taken_for_each_other(tmp_path: Path) -> None:
    for factors, found in (("2", "1 1"), ("3", "1 1"), ("23", "2 0"), ("32", "2 0")):
        assert process(tmp_path, TIMES, *factors) == f"{found}\n"


KNOWN = """
import sys
from pathlib import Path
from spike_runtime.known import Structure
structure = Structure(Path(sys.argv[1]))
before = structure.seconds
structure.remember()
print(structure.seconds < before)
"""


def test_where_nothing_can_be_kept_each_process_compiles(tmp_path: Path) -> None:
    """As in a home that cannot be written."""
    (tmp_path / "program.py").write_text("step = None\n")
    (tmp_path / "cache").write_text("a file, where a folder is needed")
    assert [process(tmp_path, PROGRAM) for _ in range(2)] == ["2\n", "2\n"]
    assert process(tmp_path, KNOWN, str(tmp_path / "program.py")) == "False\n"
    (tmp_path / "cache").unlink()
    assert process(tmp_path, KNOWN, str(tmp_path / "program.py")) == "True\n"


def test_machine_code_of_versions_that_nobody_uses_goes(tmp_path: Path) -> None:
    """When another version is used for the first time, and only what is older than a month."""
    process(tmp_path, PROGRAM)
    base = tmp_path / "cache" / "spike"
    (own,) = base.iterdir()
    now = (own / "used").stat().st_mtime
    for name, days, marked in (
        ("kernels-1", 40, True),
        ("kernels-2", 20, True),
        ("kernels-3", 40, False),
        ("other", 40, True),
    ):
        (base / name / "deep").mkdir(parents=True)
        for path in [base / name / "used"] if marked else []:
            path.touch()
            os.utime(path, (now - days * 86400,) * 2)
        os.utime(base / name, (now - 40 * 86400,) * 2)
    process(tmp_path, PROGRAM)
    assert len(list(base.iterdir())) == 5
    (own / "used").unlink()
    process(tmp_path, PROGRAM)
    assert sorted(path.name for path in base.iterdir()) == sorted([own.name, "kernels-2", "other"])


def test_processes_that_save_one_kernel_for_two_kinds_at_once_keep_both(tmp_path: Path) -> None:
    process(tmp_path, SAVE, "save")
    assert process(tmp_path, SAVE, "use") == "0\n"
