"""The engine of a partition: its files checked and mapped, its program compiled, its state and recordings.

Its steps are run by a compiled loop (see `loop`), called from `run` for many steps, or by whoever takes turns
between several partitions (see `turns`): then `begin` comes before the steps of a chunk and `end` after them.
"""

from __future__ import annotations

import gc
import hashlib
import math
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spike_runtime import kept, memory, sampling
from spike_runtime.blocks import Block
from spike_runtime.calls import Calls
from spike_runtime.events import event_capacity, events_of
from spike_runtime.known import Structure
from spike_runtime.manifest import Manifest, Partition, check_files
from spike_runtime.programs import known_loop, loop_of
from spike_runtime.python import Loaded, explained
from spike_runtime.slots import alike, ring_rows, samples, slots_of
from spike_runtime.status import CALL_FAILED, FULL, NOT_FINITE, OK, STOPPED
from spike_runtime.table import Entry, Function, arrays_of, pack
from spike_runtime.unknown import PYTHON
from spike_runtime.wires import called
from spike_runtime.wires.layout import (
    PROGRESS,
    SegmentLayout,
    in_wire_table,
    out_wire_table,
    runs,
    wrong_wire,
)

BUFFER_BYTES = 4 << 20
# Steps between handing over what was recorded, which takes a core from the partitions where all have one:
# of each message some 0.3 ms, for nothing that handles it is in the cache.  Fast programs do it every so many
# ns.
LONGEST_CHUNK, MOST_STEPS = 1000, 1 << 16
CHUNK_NS = 200e6
# Chunks in shared memory: a recorder that is behind for a moment stops nobody.
WAITING = 2
UNBOUNDED = 1 << 62
# What leads to something that is not a number is told where it is no more than these.
_MOST_ORIGINS = 4
# In a step, of a neuron whose spikes are recorded: two numbers for each of at most 100 Hz.
EVENT_BYTES = 1.6


class EngineError(Exception):
    """A step failed; the message says what and where."""


class Engine:
    """One partition, ready to run."""

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        partition: int,
        segment: NDArray[np.int64],
        layout: SegmentLayout,
        seed: int | None = None,
        calls: Calls | None = None,
        compiled: bool | None = True,
        bounded: bool = False,
    ) -> None:
        """Check and map the partition's files and compile its program (`compiled`), or run it as it is, or
        that only where none of its structure was compiled before (None).

        `segment` is the run's shared memory with its `layout`.  `seed`, where given, replaces the seed of
        noise.  `calls`: the Python functions that the program calls; where there is none, those of the
        manifest are loaded.  `bounded`: what is asked for at a time takes no longer than the caller wants, so
        chunks may be as long as memory lets them.  Raises `ManifestError` where a file is missing or was
        changed.
        """
        check_files(manifest, folder, partition)
        self.manifest, self.partition = manifest, partition
        part = manifest.partitions[partition]
        self.slots = slots_of(manifest, partition)
        self.constants, self.state = _arrays(part, folder)
        self.chunk = self._chunk_length(0.0 if bounded else self._step_ns())
        self.state["status"] = np.zeros(2, np.int64)
        self._alike = alike(self.constants)
        self.state |= self._buffers()
        if seed not in (None, manifest.seed):
            self.constants |= {
                k: _reseeded(v, seed) for k, v in self.constants.items() if k.endswith("_keys")
            }
        self.constants |= self._wires(layout)
        self.segment = segment
        self.progress = layout.control(partition) + PROGRESS
        self._folder, self._program = folder, folder / part.program
        self._python = Loaded(manifest, folder, part.python) if part.python and not calls else None
        self._loaded = Calls(self._python.functions) if self._python else None
        calls = calls or self._loaded
        if calls and calls.bind(self.constants, self.state):
            self.constants["callback"] = calls.address
        # What the compiled loop works on; the table holds only the addresses.
        self._arrays: list[NDArray[Any]] = []
        self._table = pack(self._arrays)
        self._begin_loop(compiled, calls)
        # Have this in memory too: others would wait for it, and take its message for lost.
        self._publish(0, wires=0)
        self._last = self._drained = 0
        self._begun = False
        # Of a run whose state will be kept: the sums of the last steps, the newest first.
        self.past: deque[NDArray[np.int64]] | None = None
        self._adopted = -1
        # The most steps of which recordings are kept that were drained: any, where these are copies.
        self.room = UNBOUNDED

    def _begin_loop(self, compiled: bool | None, calls: Calls | None) -> None:
        self._loop: Callable[..., int] | None = None
        if compiled is None:
            self._loop = known_loop(Structure(self._program, self.constants, self.state))
        if compiled or self._loop:
            self.compile()
        else:
            from spike_runtime import housing  # noqa: F401 (before PyTensor, which takes a second and more)
            from spike_runtime.eager import loop

            self._loop = loop(self._program, self.constants, self.state, self.segment, calls)

    def compile(self) -> None:
        """Compile the program, or load what was compiled before; its state stays as it is."""
        self._loop = loop_of(self._program, self.constants, self.state, self.segment)
        self._arrays = arrays_of(self.constants, self.state, self.segment)
        self._table = pack(self._arrays)

    @property
    def is_compiled(self) -> bool:
        """Whether steps are run by compiled code."""
        return isinstance(self._loop, Function)

    @property
    def entry(self) -> Entry:
        """How compiled code runs steps; only where the program was compiled."""
        assert isinstance(self._loop, Function)
        table, status = self._table.ctypes.data, self.state["status"].ctypes.data
        return Entry(self._loop.address, self.progress, table, status)

    def _publish(self, step: int, wires: int) -> None:
        """Send the partial sums on the first `wires` of the outgoing wires as those of `step`."""
        if "send_wires" in self.constants:
            table, rows = self.constants["send_wires"][:wires], self.constants["send_rows"]
            called.publish(self.segment, table, rows, self.state["sums"], step)

    def _wires(self, layout: SegmentLayout) -> dict[str, NDArray[np.int64]]:
        """The tables of wires that the program reads, and rows in memory as kernels know it: of what can
        only be read Numba would compile them again, for calls from Python.
        """
        tables = {
            "send_rows": {"send_wires": (out_wire_table, False)},
            "receive_rows": {"receive_wires": (in_wire_table, False)},
            "spikes_window": {
                "spikes_out": (out_wire_table, True),
                "spikes_in": (in_wire_table, True),
            },
        }
        known = [needed for needed in tables if needed in self.constants]
        return {needed: np.array(self.constants[needed]) for needed in known} | {
            name: runs(table(layout, self.manifest, self.partition, listed), self.constants[needed])
            for needed in known
            for name, (table, listed) in tables[needed].items()
        }

    def _step_ns(self) -> float:
        """What a step is known to take."""
        calls = any(name.startswith("host_") for name in self.constants)
        return math.inf if calls else self.manifest.plan.get("step_us", math.inf) * 1e3

    def _chunk_length(self, step: float) -> int:
        """Steps per call: as many as the recording buffers may hold, more than `LONGEST_CHUNK` only where
        they take little time (`step`, ns).
        """
        size = {"value": np.dtype(self.manifest.precision).itemsize, "sum": np.dtype(np.int64).itemsize}
        row = sum(s.columns * size[s.kind] / s.every for s in self.slots if s.kind != "events")
        events = sum(s.columns for s in self.slots if s.kind == "events")
        more = min(CHUNK_NS / max(step, 1.0), BUFFER_BYTES / max(row + EVENT_BYTES * events, 1.0), MOST_STEPS)
        return int(np.clip(BUFFER_BYTES // max(row, 1), 1, max(LONGEST_CHUNK, more)))

    @property
    def shared_words(self) -> int:
        """Words of memory that `share` needs."""
        return sum(_words(shape, dtype) for shape, dtype in self._rings(WAITING).values())

    def share(self, memory: NDArray[np.int64]) -> None:
        """Record samples into `memory`, before the first step: what is drained of them are no copies then,
        and must be taken within `room` steps.
        """
        first, moved = 0, {}
        for name, (shape, dtype) in self._rings(WAITING).items():
            words = _words(shape, dtype)
            room = memory[first : first + words].view(dtype)
            moved[id(self.state[name])] = self.state[name] = room[: math.prod(shape)].reshape(shape)
            first += words
        self._arrays = [moved.get(id(array), array) for array in self._arrays]
        self._table = pack(self._arrays)
        self.room = WAITING * self.chunk

    def _rings(self, chunks: int) -> dict[str, tuple[tuple[int, int], np.dtype[Any]]]:
        """Shape and type of the buffers for samples of so many chunks."""
        types = {"sum": np.dtype(np.int64), "value": np.dtype(self.manifest.precision)}
        steps = chunks * self.chunk
        found = {}
        for ones in self._alike:
            slot = self.slots[ones.slots[0]]
            shape = sampling.count(steps, slot.every) + 2, ones.starts[-1]
            found[ones.buffer] = shape, types[slot.kind]
        return found

    def _buffers(self) -> dict[str, NDArray[Any]]:
        buffers: dict[str, NDArray[Any]] = {k: np.zeros(*ring) for k, ring in self._rings(1).items()}
        sources = sum(s.columns for s in self.slots if s.kind == "events")
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
        assert self._loop
        done = int(self._loop(first, min(count, self.chunk), self.progress, self._table.ctypes.data))
        self.end(first, done)
        return done

    def begin(self, first: int) -> None:
        """Make ready to execute steps from `first` on."""
        if not self._begun:
            # What the first step of the others collects: the sums of the step before it.
            self._begun = True
            self._publish(first - 1, wires=len(self.constants.get("send_wires", ())))
        if self._adopted == first - 1:
            kept.await_others(self.segment, self.constants, first - 1)
        self._check()

    def end(self, first: int, done: int) -> None:
        """Note that `done` steps from `first` on were completed; raises `EngineError` where there is none."""
        self._last = first + done - 1 if done else max(self._last, first - 1)
        if self.state["status"][0] == FULL:
            self.state["status"][:] = OK
        if self.past is not None and done:
            self.past.appendleft(self.state["sums"].copy())
        if done == 0:
            # Else the next call raises: what was recorded up to here can be drained first.
            self._check()

    def release(self) -> None:
        """Python functions are called no more: files that only they hold are closed, as at the end of a
        program, which workers do not have.
        """
        if self._loaded:
            self._loaded.functions, self._python = {}, None
            gc.collect()

    def rewind(self, step: int = 0) -> None:
        """Note that the state is now that of after `step`, and what is recorded begins there."""
        self._last = self._drained = step
        self._begun = step > 0

    def remember(self) -> None:
        """Keep what `portable` needs; each of the steps before it must then be run by itself, as many as a
        message holds.
        """
        window = next((wire.window for wire in self.manifest.wires if not wire.listed), 1)
        self.past = deque([np.zeros_like(self.state["sums"])] * window, window)

    def portable(self) -> dict[str, NDArray[Any]]:
        """The state after the last step, as `kept` describes it.

        Where messages hold several steps, these must have been run since `remember`, each by itself.
        """
        past = [self.state["sums"]] if self.past is None else self.past
        return kept.portable(self.constants, self.state, past, self._last)

    def python(self) -> bytes:
        """The state of the Python functions that the program calls, none where it calls none.

        Raises `spike_runtime.python.UnsavedError` where it cannot be kept.
        """
        return self._python.state() if self._python else b""

    def adopt(self, arrays: Mapping[str, NDArray[Any]], step: int) -> None:
        """Go on after `step` from a state as `portable` gives it, with that of `python` as bytes.

        All partitions must have done so before one begins.  Raises `ManifestError` where the state of Python
        cannot be loaded.
        """
        arrays = dict(arrays)
        if (python := arrays.pop(PYTHON, None)) is not None and self._python and self._loaded:
            self._python.restore(python.tobytes())
            self._loaded.functions = self._python.functions
        kept.adopt(self.constants, self.state, arrays, step)
        past = arrays.get("sums", self.state["sums"][None])
        kept.send_again(self.segment, self.constants, self.state, past, step)
        if self.past is not None:
            self.past.extendleft(past[::-1])
        self.rewind(step)
        self._begun, self._adopted = True, step
        self.segment[self.progress] = step

    def _check(self) -> None:
        """Raises `EngineError` where a step failed."""
        code, detail = (int(v) for v in self.state["status"])
        if code == NOT_FINITE:
            raise EngineError(self._not_finite(detail, self._last + 1))
        if code == CALL_FAILED and self._loaded:
            raise EngineError(explained(self._loaded.take_error(), self._last + 1, self.manifest.dt))
        if code == STOPPED and (wire := wrong_wire(detail)) is not None:
            source, target = self.manifest.wires[wire].source, self.manifest.wires[wire].target
            raise EngineError(
                f"the wire from partition {source} to partition {target} lost or repeated a message"
            )

    def _not_finite(self, detail: int, step: int) -> str:
        from spike_runtime import housing  # noqa: F401 (before PyTensor, which `wrong` imports)
        from spike_runtime.wrong import named

        what, leading = named(self.manifest, self._folder, self.partition, self.constants, detail)
        time = step * self.manifest.dt
        origin = f"it comes from {' and '.join(leading)}; " if 0 < len(leading) <= _MOST_ORIGINS else ""
        return (
            f"{what} is not a number or is out of range at {time:g} s, step {step}; {origin}"
            "look for functions that divide by 0 or feedback that grows without bound"
        )

    def drain(self) -> list[Block]:
        """What was recorded since the last call, up to the last step completed."""
        blocks = []
        events, end, rings = self._events(), self._last, samples(self.state, self._alike)
        for number, slot in enumerate(self.slots):
            first, last = (sampling.count(step, slot.every) for step in (self._drained, end))
            if slot.kind == "events":
                blocks.append(Block(slot.probe, slot.part, 0, events_of(events, number)))
            else:
                pieces = ring_rows(rings[number], first, last)
                for rows in [np.concatenate(pieces)] if self.room == UNBOUNDED else pieces:
                    blocks.append(Block(slot.probe, slot.part, first, rows))
                    first += len(rows)
        self._drained = end
        return blocks

    def _events(self) -> NDArray[np.int64]:
        if "events_count" not in self.state:
            return np.zeros((2, 0), np.int64)
        count = int(self.state["events_count"][0])
        self.state["events_count"][0] = 0
        events: NDArray[np.int64] = self.state["events_buffer"][:, :count]
        return events


def _arrays(part: Partition, folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """The constant arrays of a partition, the large ones mapped, and its state before the first step."""
    constants = {a.name: memory.constant(folder / a.file) for a in part.arrays if not a.state}
    state = {
        a.name: memory.aligned(np.load(folder / a.file, allow_pickle=False))
        if a.file
        else memory.zeros(a.shape, a.dtype)
        for a in part.arrays
        if a.state
    }
    return constants, state


def _words(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Words of memory that an array takes, in whole cache lines."""
    return 8 * -(-math.prod(shape) * dtype.itemsize // memory.LINE)


def _reseeded(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Keys of noise for another seed: a hash of both."""
    digests = [hashlib.sha256(f"{seed}\0{int(key)}".encode()).digest()[:8] for key in keys]
    return np.array([int.from_bytes(d, "little") for d in digests], np.uint64)
