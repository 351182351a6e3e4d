"""Machine code on disk that is loaded without what compiled it: the same bytes, never one that is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from conftest import TINY
from numba import njit, types
from spike_runtime import elf, launch, native, version
from spike_runtime.addresses import address_of
from spike_runtime.job import ENGINE
from spike_runtime.table import Function, words_of

from spikec import compile_text

PROGRAM = '''"""A program."""

import pytensor.tensor as pt
from spike_runtime.ops import first_order, outputs


def step(n, a, s):
    t = n * 0.001
    u = outputs([pt.sin(100.0 * t), pt.exp(t)], t.reshape((1,)), "float64")
    return {s.x: first_order(s.x, u, a.places, a.decay, a.gain), s.status: s.status}
'''
# Runs such a program, and says what it gave, and what of that which compiles was imported.
RUN = """
import sys
from pathlib import Path
import numpy as np
from spike_runtime.programs import loop_of
from spike_runtime.job import ENGINE
from spike_runtime.table import arrays_of, pack

kind = sys.argv[2]
constants = {"places": np.arange(2), "decay": np.full(2, 0.5), "gain": np.ones(2), "unused": np.ones(2, kind)}
state = {"x": np.zeros(2), "status": np.zeros(2, np.int64)}
segment = np.zeros(64, np.int64)
loop = loop_of(Path(sys.argv[1]), constants, state, segment)
table = pack(arrays_of(constants, state, segment))
steps, imported = loop(1, 9, 32, table.ctypes.data), sorted({"numba", "pytensor"} & set(sys.modules))
print(steps, state["x"].tobytes().hex(), imported)
"""
LOADED, COMPILED = "[]", "['numba', 'pytensor']"


Process: TypeAlias = "subprocess.Popen[str]"


class Machine:
    """Processes with a cache of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "cache"
        self.program(PROGRAM)

    def program(self, text: str, name: str = "program.py") -> Path:
        (self.folder / name).write_text(text)
        return self.folder / name

    def start(self, name: str = "program.py", kind: str = "float64", **settings: str) -> Process:
        environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(self.cache),
            "PYTENSOR_FLAGS": f"base_compiledir={self.folder / 'pytensor'}",
            **settings,
        }
        command = [sys.executable, "-c", RUN, str(self.folder / name), kind]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def run(self, *given: str, **settings: str) -> tuple[str, str]:
        """What the program gave, and what was imported."""
        return said(self.start(*given, **settings))

    def files(self) -> list[Path]:
        return sorted(self.cache.glob("spike/kernels-*/programs/*"))


def said(process: Process) -> tuple[str, str]:
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    steps, values, imported = out.strip().split(" ", 2)
    assert steps == "9"
    return values, imported


# A machine that has compiled the program, and what that gave.
Known: TypeAlias = tuple[Machine, str]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    values, imported = machine.run()
    assert imported == COMPILED
    return machine, values


def test_what_was_compiled_is_loaded_without_what_compiles(known: Known) -> None:
    machine, values = known
    assert machine.run() == (values, LOADED)
    machine.program(PROGRAM.replace("A program.", "Of another model."), "other.py")
    assert machine.run("other.py") == (values, LOADED)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2] + b"\xcc" + content[len(content) // 2 + 1 :],
        lambda _: b"",
        lambda content: content.replace(b"spike code 1", b"spike code 0"),
    ],
    ids=["cut", "changed", "empty", "foreign"],
)
def test_a_damaged_file_is_compiled_anew(known: Known, damage: Callable[[bytes], bytes]) -> None:
    machine, values = known
    for file in machine.files():
        assert damage(file.read_bytes()) != file.read_bytes()
        file.write_bytes(damage(file.read_bytes()))
    assert machine.run() == (values, COMPILED)
    assert machine.run() == (values, LOADED)


def test_structures_never_share(known: Known) -> None:
    machine, values = known
    machine.program(PROGRAM.replace("100.0", "90.0"), "faster.py")
    before = set(machine.files())
    faster, imported = machine.run("faster.py")
    assert imported == COMPILED
    assert faster != values
    (new,) = set(machine.files()) - before
    # Nor where a file is at the place of another's.
    (old,) = before
    whole = old.read_bytes()
    old.write_bytes(new.read_bytes())
    assert machine.run() == (values, COMPILED)
    assert old.read_bytes() == whole
    assert machine.run("program.py", "float32") == (values, COMPILED)
    assert machine.run("faster.py") == (faster, LOADED)


def test_settings_and_processors_never_share(known: Known) -> None:
    machine, values = known
    settings = {"NUMBA_CPU_NAME": "x86-64-v2", "NUMBA_OPT": "2", "PYTENSOR_FLAGS": "floatX=float32"}
    for name, value in settings.items():
        assert machine.run(**{name: value})[1] == COMPILED
        assert machine.run(**{name: value})[1] == LOADED
    flags = f"base_compiledir={machine.folder / 'elsewhere'}"  # where files lie is no matter
    assert machine.run(PYTENSOR_FLAGS=flags, NUMBA_NUM_THREADS="1") == (values, LOADED)


@pytest.mark.parametrize("changed", ["loop.py", "table.py"])
def test_how_loops_are_made_and_called_is_part_of_the_key(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("loop.py", "table.py"):
        (tmp_path / name).write_bytes(Path(native.__file__).with_name(name).read_bytes())
    monkeypatch.setattr(native, "__file__", str(tmp_path / "native.py"))
    before = native.machine.__wrapped__()
    assert before == native.machine.__wrapped__()
    with (tmp_path / changed).open("a") as file:
        file.write("# another order of arrays")
    assert native.machine.__wrapped__() != before


def test_processes_that_begin_at_once_all_compile_and_leave_a_whole_file(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (values, imported), *others = [said(process) for process in [machine.start() for _ in range(3)]]
    assert imported == COMPILED
    assert all(found == values for found, _ in others)
    assert machine.run() == (values, LOADED)
    assert len(machine.files()) == 1


def test_where_nothing_can_be_kept_every_process_compiles(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.cache.touch()
    assert [machine.run()[1] for _ in range(2)] == [COMPILED, COMPILED]


def test_programs_go_long_after_their_last_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(version, "opened_kernel_folder", version.kernel_folder)
    version.kernel_folder().mkdir(parents=True)
    for key in ("used", "unused"):
        native.keep(key, [])
    for key in ("used", "unused"):
        os.utime(native.place(key), times=(0, 0))
    assert native.load("used") is None  # it was read
    native.keep("new", [])
    assert {key for key in ("used", "unused", "new") if native.place(key).exists()} == {"used", "new"}


def test_what_calls_what_is_not_there_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where another version of the C library, or of Numba, was there when it was compiled."""
    monkeypatch.setattr(native, "place", lambda key: tmp_path / "programs" / key)
    native.keep("some", [native.Code("f", "", ("no_such_function",), b"")])
    assert native._read(tmp_path / "programs" / "some")[0].needs == ("no_such_function",)
    assert native.load("some") is None


def test_what_is_no_object_file_is_not_looked_into() -> None:
    assert elf.needs(b"\xcf\xfa\xed\xfe" + bytes(100)) is None  # as on macOS


def test_what_compiled_code_raises_is_raised() -> None:
    def compiled(body: Callable[[int], Any]) -> Function:
        function = njit(types.int64(types.int64))(body)
        return Function(address_of(function, (types.int64,)))

    def memory(x: int) -> int:
        if x > 0:
            raise MemoryError("too little")
        return -3

    def value(x: int) -> int:
        if x > 0:
            raise ValueError("no")
        return 4

    assert compiled(memory)(0) == -3
    assert compiled(value)(0) == 4
    with pytest.raises(MemoryError):
        compiled(memory)(1)
    with pytest.raises(RuntimeError, match="compiled code raised an error"):
        compiled(value)(1)


def test_arrays_with_gaps_have_no_address() -> None:
    assert words_of(7) == (7,)
    with pytest.raises(ValueError, match="C-contiguous"):
        words_of(np.zeros((2, 2))[:, 0])


def test_a_run_of_a_structure_that_is_known_imports_nothing_that_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model with other numbers; what it records is what it records where it is compiled."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)

    def run(name: str, seed: int, engine: str = ENGINE) -> bytes:
        model = compile_text(TINY, 2, tmp_path / f"{name}.build", seed=seed, host_profile="reference")
        done = launch.run(model.path, 0.02, tmp_path / name, engine=engine)
        return b"".join(done.probe(probe).values.tobytes() for probe in ("product", "spikes", "voltage"))

    compiled = run("compiled", 3)
    assert run("loaded", 3, "lean_engine:Engine") == compiled
    assert run("other", 4, "lean_engine:Engine") != compiled


def test_what_starts_a_run_imports_neither_what_compiles_nor_what_records() -> None:
    code = "import sys, spike_runtime.launch, spike_runtime.cli, spike_runtime.agent; "
    code += "print(sorted({'numba', 'llvmlite', 'pytensor', 'zarr', 'zmq', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
