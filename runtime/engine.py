"""The engine of a partition: its program compiled into one function that runs many steps per call.

The program gives one step as a PyTensor graph.  PyTensor compiles it in NUMBA mode with every state as a
mutable input, so that kernels work in place; around it goes a loop, also compiled, that holds no Python: a
step costs no call from Python, exchanges happen inside, and the interpreter is free meanwhile (nogil).
Arrays are arguments and never constants: programs of one structure share one compiled function on disk.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numba
import numpy as np
import pytensor
from numpy.typing import NDArray
from pytensor.compile.io import In, Out
from pytensor.compile.mode import NUMBA
from pytensor.link.numba.cache import compile_numba_function_src
from pytensor.link.numba.dispatch.basic import numba_funcify_and_cache_key, numba_njit
from spike_runtime.blocks import Block
from spike_runtime.calls import Calls
from spike_runtime.eager import loop
from spike_runtime.manifest import Manifest, check_files
from spike_runtime.ops.record import event_capacity, events_of
from spike_runtime.status import FULL, NOT_FINITE, OK, STOPPED
from spike_runtime.version import source_version
from spike_runtime.wires import ring
from spike_runtime.wires.atomics import load_acquire, store_release
from spike_runtime.wires.layout import COLUMNS, PROGRESS, STOP

# Functions of signals must mean the same arithmetic in every program, whatever else is in it: no liberties
# for PyTensor's own loops, and no rewriting of formulas, which looks at who else reads a part of one.
pytensor.config.numba__fastmath = False
pytensor.config.floatX = "float64"
MODE = NUMBA.excluding("canonicalize", "stabilize", "specialize", "add_mul_fusion")

BUFFER_BYTES = 16 << 20
LONGEST_CHUNK = 1000


class EngineError(Exception):
    """A step failed; the message says what and where."""


@dataclass(frozen=True)
class _Slot:
    """A recording of this partition: the probe and part it belongs to, and its columns."""

    probe: int
    part: int
    kind: str
    columns: int
    every: int


class Engine:
    """One partition, ready to run."""

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        partition: int,
        segment: NDArray[np.int64],
        layout: ring.SegmentLayout,
        seed: int | None = None,
        calls: Calls | None = None,
        eager: bool = False,
    ) -> None:
        """Check and map the partition's files and compile its program, or run it as it is (`eager`).

        `segment` is the run's shared memory with its `layout`.  `seed`, where given, replaces the seed of
        noise.  `calls`: the Python functions that the program calls.  Raises `ManifestError` where a file is
        missing or was changed.
        """
        check_files(manifest, folder, partition)
        self.manifest, self.partition = manifest, partition
        part = manifest.partitions[partition]
        self.slots = _slots(manifest, partition)
        self.chunk = self._chunk_length()
        self.constants = {
            a.name: np.load(folder / a.file, mmap_mode="r", allow_pickle=False)
            for a in part.arrays
            if not a.state
        }
        self.constants = {name: np.asarray(value) for name, value in self.constants.items()}
        self.state = {
            a.name: np.load(folder / a.file, allow_pickle=False) if a.file else np.zeros(a.shape, a.dtype)
            for a in part.arrays
            if a.state
        }
        self.state["status"] = np.zeros(2, np.int64)
        self.state |= self._buffers()
        if seed not in (None, manifest.seed):
            self.constants |= {
                k: _reseeded(v, seed) for k, v in self.constants.items() if k.endswith("_keys")
            }
        if "send_rows" in self.constants:
            self.constants["send_wires"] = ring.out_wire_table(layout, manifest, partition, listed=False)
        if "receive_rows" in self.constants:
            self.constants["receive_wires"] = ring.in_wire_table(layout, manifest, partition, listed=False)
        if "spikes_window" in self.constants:
            self.constants["spikes_out"] = ring.out_wire_table(layout, manifest, partition, listed=True)
            self.constants["spikes_in"] = ring.in_wire_table(layout, manifest, partition, listed=True)
        self.segment = segment
        self.progress = layout.control(partition) + PROGRESS
        self._program = folder / part.program
        if calls and calls.bind(self.constants, self.state):
            self.constants["callback"] = calls.address
        self._arguments: list[NDArray[Any]] = []
        if eager:
            self._loop = loop(self._program, self.constants, self.state, segment, calls)
        else:
            self.compile()
        # Compile this now too: others would wait for it, and take its message for lost.
        self._publish(0, wires=0)
        self._last = self._drained = 0
        self._begun = False

    def compile(self) -> None:
        """Compile the program; its state stays as it is."""
        self._loop, self._arguments = _compile(_load(self._program), self.constants, self.state, self.segment)

    def _publish(self, step: int, wires: int) -> None:
        """Send the partial sums on the first `wires` of the outgoing wires as those of `step`."""
        table = self.constants.get("send_wires", np.zeros((0, COLUMNS), np.int64))[:wires]
        rows = self.constants.get("send_rows", np.zeros(0, np.int64))
        ring.publish(self.segment, table, rows, self.state["sums"], step)

    def _chunk_length(self) -> int:
        """Steps per call: as many as the recording buffers may hold."""
        size = {"value": np.dtype(self.manifest.precision).itemsize, "sum": np.dtype(np.int64).itemsize}
        row = sum(s.columns * size[s.kind] / s.every for s in self.slots if s.kind != "events")
        return int(np.clip(BUFFER_BYTES // max(row, 1), 1, LONGEST_CHUNK))

    def _buffers(self) -> dict[str, NDArray[Any]]:
        buffers: dict[str, NDArray[Any]] = {}
        sources = sum(s.columns for s in self.slots if s.kind == "events")
        for number, slot in enumerate(self.slots):
            if slot.kind != "events":
                dtype = np.int64 if slot.kind == "sum" else self.manifest.precision
                buffers[f"record_{number}_buffer"] = np.zeros(
                    (self.chunk // slot.every + 2, slot.columns), dtype
                )
        if sources:
            buffers["events_buffer"] = np.zeros((2, event_capacity(sources, self.chunk)), np.int64)
            buffers["events_count"] = np.zeros(1, np.int64)
        return buffers

    def run(self, first: int, count: int) -> int:
        """Execute steps first .. first + count - 1 (numbered from 1) and return how many were completed.

        Fewer than `count` are completed where the run was stopped, or a buffer must be drained first.
        Raises `EngineError` where a decoded value is not a number or out of range.
        """
        self.begin(first)
        done = int(self._loop(first, min(count, self.chunk), self.progress, *self._arguments))
        self._last = first + done - 1 if done else max(self._last, first - 1)
        if self.state["status"][0] == FULL:
            self.state["status"][:] = OK
        if done == 0:
            # Else the next call raises: what was recorded up to here can be drained first.
            self._check()
        return done

    def begin(self, first: int) -> None:
        """Make ready to execute steps from `first` on."""
        if not self._begun:
            # What the first step of the others collects: the sums of the step before it.
            self._begun = True
            self._publish(first - 1, wires=len(self.constants.get("send_wires", ())))
        self._check()

    def rewind(self, step: int = 0) -> None:
        """Note that the state is now that of after `step`, and what is recorded begins there."""
        self._last = self._drained = step
        self._begun = step > 0

    def _check(self) -> None:
        """Raises `EngineError` where a step failed."""
        code, detail = (int(v) for v in self.state["status"])
        if code == NOT_FINITE:
            raise EngineError(self._not_finite(detail, self._last + 1))
        if code == STOPPED and (wire := ring.wrong_wire(detail)) is not None:
            source, target = self.manifest.wires[wire].source, self.manifest.wires[wire].target
            raise EngineError(
                f"the wire from partition {source} to partition {target} lost or repeated a message"
            )

    def _not_finite(self, row: int, step: int) -> str:
        plan = self.manifest.plan.get("sums", {}).get(str(self.partition), [])
        name = next((n for n, start, size in plan if start <= row < start + size), f"sum {row}")
        what = f"the decoded value {name}" if row >= 0 else "what an ensemble represents"
        time = step * self.manifest.dt
        return (
            f"{what} is not a number or is out of range at {time:g} s, step {step}; "
            "look for functions that divide by 0 or feedback that grows without bound"
        )

    def drain(self) -> list[Block]:
        """What was recorded since the last call, up to the last step completed."""
        blocks = []
        events = self._events()
        for number, slot in enumerate(self.slots):
            first, last = self._drained // slot.every, self._last // slot.every
            if slot.kind == "events":
                blocks.append(Block(slot.probe, slot.part, 0, events_of(events, number)))
            else:
                buffer = self.state[f"record_{number}_buffer"]
                rows = np.arange(first, last) % len(buffer)
                blocks.append(Block(slot.probe, slot.part, first, buffer[rows]))
        self._drained = self._last
        return blocks

    def _events(self) -> NDArray[np.int64]:
        if "events_count" not in self.state:
            return np.zeros((2, 0), np.int64)
        count = int(self.state["events_count"][0])
        self.state["events_count"][0] = 0
        events: NDArray[np.int64] = self.state["events_buffer"][:, :count]
        return events


def _slots(manifest: Manifest, partition: int) -> list[_Slot]:
    found = {
        part.slot: _Slot(p, q, probe.kind, sum(b - a for a, b in part.ranges), probe.every)
        for p, probe in enumerate(manifest.probes)
        for q, part in enumerate(probe.parts)
        if part.partition == partition
    }
    return [found[k] for k in sorted(found)]


def _reseeded(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Keys of noise for another seed: a hash of both."""
    digests = [hashlib.sha256(f"{seed}\0{int(key)}".encode()).digest()[:8] for key in keys]
    return np.array([int.from_bytes(d, "little") for d in digests], np.uint64)


def _load(path: Path) -> ModuleType:
    module = ModuleType(path.stem)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    return module


def _compile(
    program: ModuleType,
    constants: dict[str, NDArray[Any]],
    state: dict[str, NDArray[Any]],
    segment: NDArray[np.int64],
) -> tuple[Callable[..., int], list[NDArray[Any]]]:
    """The compiled loop over the program's step, and its arguments after (first, count)."""
    clock = pytensor.tensor.TensorType("int64", ())("n")
    a = {name: _variable(name, value) for name, value in sorted(constants.items())}
    s = {name: _variable(name, value) for name, value in sorted({**state, "segment": segment}.items())}
    updates = program.step(clock, SimpleNamespace(**a), SimpleNamespace(**s))
    names = [name for name, variable in s.items() if variable in updates]
    function = pytensor.function(
        [
            In(clock),
            *(In(v, borrow=True) for v in a.values()),
            *(In(v, mutable=True, borrow=True) for v in s.values()),
        ],
        [Out(updates[s[name]], borrow=True) for name in names],
        mode=MODE,
        accept_inplace=True,
        on_unused_input="ignore",
    )
    arguments = [np.zeros((), np.int64), *(constants[name] for name in a)] + [
        segment if name == "segment" else state[name] for name in s
    ]
    fgraph = function.maker.fgraph
    offset = 1 + len(a)
    positions = [offset + list(s).index(name) for name in names]
    copies = [
        (k, position)
        for k, position in enumerate(positions)
        if not _in_place(fgraph.outputs[k], fgraph.inputs[position])
    ]
    loop, digest = _loop(fgraph, copies, offset + list(s).index("status"), offset + list(s).index("segment"))
    with _one_at_a_time(digest):
        loop(1, 0, 0, *arguments)  # no step: compiles, or loads what was compiled before
    return loop, arguments


def _variable(name: str, value: NDArray[Any]) -> Any:
    return pytensor.tensor.TensorType(value.dtype.name, (None,) * value.ndim)(name)


def _in_place(output: Any, source: Any) -> bool:
    """Whether `output` is computed in the memory of input `source`, through Ops that work in place."""
    variable = output
    while variable.owner is not None:
        node = variable.owner
        destroyed = (node.op.destroy_map or {}).get(node.outputs.index(variable))
        if not destroyed:
            return False
        variable = node.inputs[destroyed[0]]
    return variable is source


def _loop(
    fgraph: Any, copies: list[tuple[int, int]], status: int, segment: int
) -> tuple[Callable[..., int], str]:
    """def loop(first, count, ...): run the step for every number, copy what is not in place, watch status
    and stop.
    """
    step, key = numba_funcify_and_cache_key(fgraph)
    # Compiled here and in the loop; PyTensor's own form for the disk would be optimised a third time.
    step = numba_njit(step.py_func)
    count = len(fgraph.inputs)
    inputs = ", ".join(f"x{i}" for i in range(1, count))
    lines = "\n".join(f"        x{position}[:] = y[{k}]" for k, position in copies)
    source = f"""
def loop(first, count, progress, x0, {inputs}):
    for i in range(count):
        if load_acquire(x{segment}, {STOP}) != 0:
            return i
        x0[()] = first + i
        y = step(x0, {inputs})
{lines}
        if x{status}[0] != 0:
            return i + (x{status}[0] == {FULL})
        store_release(x{segment}, progress, first + i)
    return count
"""
    names = {
        "__name__": __name__,
        "step": step,
        "load_acquire": load_acquire,
        "store_release": store_release,
    }
    digest = None if key is None else hashlib.sha256(f"{source}{key}{source_version()}".encode()).hexdigest()
    function = compile_numba_function_src(source, "loop", names, cache_key=digest)
    compiled: Callable[..., int] = numba.njit(nogil=True, cache=digest is not None, error_model="numpy")(
        function
    )
    return compiled, digest or "uncached"


@contextmanager
def _one_at_a_time(digest: str) -> Iterator[None]:
    """Let one process compile a structure; the others wait for it, and find it on disk."""
    path = Path(pytensor.config.compiledir) / f"spike-{digest[:16]}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
