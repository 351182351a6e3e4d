"""A run inside the calling process: all partitions of a model here, with the Python functions that they call.

A session begins without compilation (see `eager`), all partitions in turn, step by step, unless its programs
were compiled before.  When what is asked for takes longer so than to compile, the programs are compiled;
several then run in threads, as compiled loops need no interpreter, and the one that calls Python functions in
the thread of the caller.  The numbers are the same either way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from spike_runtime import cores, sampling, statefile, statemap
from spike_runtime.blocks import Block
from spike_runtime.calls import Call, Calls
from spike_runtime.engine import Engine, EngineError
from spike_runtime.interrupt import interrupted_after
from spike_runtime.known import Structure
from spike_runtime.manifest import Manifest, Probe
from spike_runtime.runfile import RunError
from spike_runtime.statefile import Saved
from spike_runtime.statemap import StateMap
from spike_runtime.status import CALL_FAILED, OK
from spike_runtime.wires.layout import SPIN_ALONE, SPIN_SHARED, STOP, prepare, segment_layout

# Steps that are timed before it is decided what is worth while; those of compiled code that threads are
# worth starting for.
TRIAL, WORTH_THREADS = 10, 20
# s that Ctrl-C may wait.
PATIENCE = 0.5
# What is said of a session whose state is no longer that of one step.
BROKEN = "a step failed, or was interrupted; reset to run again"

Arrays: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A session after so many steps: the state of every partition, the memory that they share, and sums of
    the last steps, where messages between them hold several.  `failed`, `broken`: whether the last step
    failed, and whether that left partitions at different steps, so that none can be run from here.
    """

    steps: int
    states: list[Arrays] = field(default_factory=list)
    segment: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    past: list[list[NDArray[np.int64]]] = field(default_factory=list)
    failed: bool = False
    broken: bool = False


class Session:
    """A model in this process.  `steps`: how many were completed; `failed`, `broken`: see `Snapshot`."""

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        calls: Mapping[str, Call] | None = None,
        seed: int | None = None,
        compiled: bool | None = None,
    ) -> None:
        """`calls`: the functions named in the manifest, read again by `reset`.  `compiled`: from the start,
        or never; None: when that is faster.  Raises `ManifestError` where a file is missing or was changed.
        """
        self.manifest = manifest
        self._layout = segment_layout(manifest)
        self._segment = self._memory(self._layout.words)
        self._functions = calls or {}
        self._calls = Calls(self._by_number())
        self._folder, self._seed, self._compiled = folder, seed, compiled
        self._engines = [self._engine(p) for p in range(len(manifest.partitions))]
        self._initial = [self._state(e) for e in self._engines]
        # Steps that a message holds: so many of the last are run one by one, as a state needs their sums.
        self._window = max((wire.window for wire in manifest.wires), default=1)
        # The caller's thread runs the partition that calls functions: it may be the only one that can.
        host = (p for p, e in enumerate(self._engines) if any(k.startswith("host_") for k in e.constants))
        self._main = next(host, 0)
        self._fast, self.failed, self.broken = all(e.is_compiled for e in self._engines), False, False
        # What steps and compiling take, in s: the result does not depend on it.
        self._per_step = self._spent = self._price = 0.0
        self._few = 1  # steps at a time
        self._blocks: list[Block] = []
        self.steps = self._drained = 0
        self._prepare()

    @property
    def partitions(self) -> int:
        """Into how many the model is cut."""
        return len(self.manifest.partitions)

    def _engine(self, partition: int) -> Engine:
        return Engine(
            self.manifest, self._folder, partition, self._segment, self._layout, self._seed, self._calls,
            self._compiled, bounded=True,
        )  # fmt: skip

    def _memory(self, words: int) -> NDArray[np.int64]:
        """What partitions share."""
        return np.zeros(words, np.int64)

    def _by_number(self) -> dict[int, Call]:
        """The functions as they are now."""
        return {number: self._functions[name] for number, name in enumerate(self.manifest.calls)}

    def _prepare(self) -> None:
        """Before the first step, or before the state after another is taken."""
        for engine in self._engines if self._window > 1 else ():
            engine.remember()
        alone = len(self._engines) <= cores.core_count()
        self._segment[:] = 0
        prepare(self._segment, SPIN_ALONE if alone else SPIN_SHARED)

    # ------------------------------------------------------------------------------------------- running

    def advance(self, steps: int, more: int = 0) -> None:
        """Run so many steps, of which so many `more` will follow.

        Raises `EngineError` where a step fails, and what a function raised as it was; `steps` tells what was
        completed before.  Ctrl-C raises `KeyboardInterrupt` when the steps under way are completed, or what
        is being compiled, so that it can go on, or its state be saved; a second one at once.
        """
        end = self.steps + steps
        while self.steps < end:
            if self.broken:
                raise EngineError(BROKEN)
            if not self._fast:
                with interrupted_after():  # what is compiled may lose it
                    self._choose(end - self.steps + more)
            with interrupted_after():
                self._advance(min(end - self.steps, self._few, *(e.chunk for e in self._engines)))

    def _advance(self, count: int) -> None:
        """Run so many steps, which are no more than fit the buffers."""
        if not self._fast and self._per_step == 0:
            count = min(count, TRIAL)
        start = time.perf_counter()
        try:
            done = self._together(count) if self._worth_threads(count) else self._in_turn(count)
        except BaseException:
            self.broken = True  # some state may be ahead of what is counted
            raise
        self._measure(time.perf_counter() - start, done)
        self.steps += done
        self._blocks += [block for e in self._engines for block in e.drain()]
        self._fail()

    def _worth_threads(self, count: int) -> bool:
        # Fewer that take as long as Ctrl-C may wait are worth it too.
        return self._fast and len(self._engines) > 1 and count >= min(WORTH_THREADS, self._few)

    def _measure(self, seconds: float, steps: int) -> None:
        """Note how long steps take; the first that are not compiled load kernels."""
        if steps:
            self._few = max(1, int(PATIENCE * steps / max(seconds, 1e-9)))
        if steps and not self._fast and self.steps >= TRIAL:
            self._per_step = seconds / steps
            self._spent += seconds

    def _choose(self, steps: int) -> None:
        """Compile where that takes less time than is spent without: on these steps, and on those before."""
        if self._fast or self._compiled is False or self._per_step == 0:
            return
        if self._price == 0:
            parts = zip(self.manifest.partitions, self._engines, strict=True)
            self._structures = [Structure(self._folder / p.program, e.constants, e.state) for p, e in parts]
            self._price = sum(s.seconds for s in self._structures)
        if self._price < self._per_step * steps + self._spent:
            for engine, structure in zip(self._engines, self._structures, strict=True):
                engine.compile()
                structure.remember()
            self._fast = True

    def _in_turn(self, count: int) -> int:
        """All partitions step by step, so that nobody waits: each finds what the others sent before."""
        first = self.steps + 1
        if len(self._engines) == 1:
            return self._engines[0].run(first, count)
        for engine in self._engines:
            engine.begin(first)
        for k in range(count):
            for engine in self._engines:
                if engine.run(first + k, 1) == 0:
                    return k
                self._relieve(engine)
        return count

    def _together(self, count: int) -> int:
        """All partitions at once, each in a thread, the main one in that of the caller."""
        first, done = self.steps + 1, [0] * len(self._engines)
        errors: list[BaseException] = []

        def go(p: int) -> None:
            try:
                self._go(p, first, count, done)
            except BaseException as error:
                errors.append(error)
            if done[p] < count:
                self._segment[STOP] = 1

        others = [threading.Thread(target=go, args=(p,)) for p in range(len(done)) if p != self._main]
        for thread in others:
            thread.start()
        go(self._main)
        for thread in others:
            thread.join()
        if errors and self._calls.error is None:
            raise errors[0]
        return min(done)

    def _go(self, p: int, first: int, count: int, done: list[int]) -> None:
        """Run a partition, the last steps of a window one by one; `done` says how far it came."""
        engine, ran = self._engines[p], 1
        border = count - self._window + 1
        while done[p] < count and ran and not self._segment[STOP]:
            ran = engine.run(first + done[p], border - done[p] if done[p] < border else 1)
            done[p] += ran
            self._relieve(engine)

    def _relieve(self, engine: Engine) -> None:
        """Take the spikes that were recorded: there is room for those of the next step only."""
        if "events_count" in engine.state and engine.state["events_count"][0]:
            self._blocks += engine.drain()

    def _fail(self) -> None:
        """Raise what a function raised."""
        error = self._calls.take_error()
        for engine in self._engines:
            self._excuse(engine)
        self.failed = error is not None
        if error is not None:
            self.broken = len(self._engines) > 1
            raise error

    def _excuse(self, engine: Engine) -> None:
        """What a function raised is told otherwise."""
        if engine.state["status"][0] == CALL_FAILED:
            engine.state["status"][:] = OK

    def reset(self) -> None:
        """Back to before the first step."""
        self._calls.functions = self._by_number()
        for engine, initial in zip(self._engines, self._initial, strict=True):
            for name, value in initial.items():
                engine.state[name][...] = value
            engine.rewind()
        self._prepare()
        self._blocks.clear()
        self.failed = self.broken = False
        self.steps = self._drained = 0

    def streams(self) -> list[Arrays]:
        """What neurons drew their random numbers from, by partition; nothing where the last step failed, as
        partitions may be at different numbers of one stream then.
        """
        kept = [{k: v.copy() for k, v in e.state.items() if _is_of_neurons(k)} for e in self._engines]
        return [] if self.broken else kept

    def draw_on(self, streams: list[Arrays]) -> None:
        """Go on with random numbers where `streams` of such a session were, before the first step."""
        for engine, kept in zip(self._engines, streams, strict=False):
            for name, array in kept.items():
                engine.state[name][...] = array

    def recall(self, code: bool = False) -> None:
        """Bring here what other processes hold: there are none (see `apart`)."""

    def tell(self, values: Mapping[int, Any]) -> None:
        """Tell other processes what was changed here."""

    def renew(self) -> None:
        """Have other processes begin with what is here now."""

    def snapshot(self) -> Snapshot:
        """All that it needs to go on from here, but for what is recorded and not drained."""
        past = [[sums.copy() for sums in engine.past or ()] for engine in self._engines]
        states, how = [self._state(e) for e in self._engines], (self.failed, self.broken)
        return Snapshot(self.steps, states, self._segment.copy(), past, *how)

    def state(self, partition: int) -> Arrays:
        """The arrays of a partition that change from step to step, as they are now."""
        return self._engines[partition].state

    def _state(self, engine: Engine) -> Arrays:
        """All state but what was recorded."""
        kept = {k: v for k, v in engine.state.items() if not k.startswith("record_") and k != "events_buffer"}
        return {name: array.copy() for name, array in kept.items()}

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of a session of the same model; where it had failed, so has this one."""
        self.reset()
        for engine, state, past in zip(self._engines, snapshot.states, snapshot.past, strict=True):
            if engine.past is not None:
                engine.past.extend(past)
            for name, value in state.items():
                engine.state[name][...] = value
            engine.rewind(snapshot.steps)
        self._segment[:] = snapshot.segment
        self.failed, self.broken = snapshot.failed, snapshot.broken
        self.steps = self._drained = snapshot.steps

    def saved(self, seed: int) -> Saved:
        """The state as a file of it says it, of a model with this seed, but for Python functions.

        Raises `RunError` where the last step failed.
        """
        if self.broken or self.failed:
            raise RunError("a step failed, so there is no state to save; reset to run again")
        noise = self.manifest.seed if self._seed is None else self._seed
        return statefile.of(self._places(seed), [e.portable() for e in self._engines], noise, self.steps)

    def arrays(self) -> Arrays:
        """The state of the model, by the keys of its arrays (see `statemap`)."""
        return self._places(self.manifest.seed).gather([e.portable() for e in self._engines])

    def go_on(self, arrays: Arrays, step: int, failed: bool = False) -> None:
        """Go on after `step` from the state of the model, as `arrays` gives it; `failed`: whether it did."""
        self._adopt(self._places(self.manifest.seed).scatter(arrays, step), step)
        self.failed = failed

    def load(self, saved: Saved, seed: int, path: Path, functions: Callable[[], None]) -> None:
        """Go on from the state in the file `path`; what `functions` does to those that it calls comes first.

        Raises `RunError` where the state is not of a model with this seed, or its noise had another one.
        """
        parts = statefile.parts_of(saved, self._places(seed), path, statefile.HERE)
        noise = self.manifest.seed if self._seed is None else self._seed
        if saved.noise != noise and any(k.endswith("_keys") for e in self._engines for k in e.constants):
            raise RunError(f"{path} is of a run whose noise had the seed {saved.noise}, here it is {noise}")
        functions()
        self._adopt(parts, saved.step)

    def _adopt(self, parts: list[Arrays], step: int) -> None:
        self.reset()
        for engine, arrays in zip(self._engines, parts, strict=True):
            engine.adopt(arrays, step)
        self.steps = self._drained = step

    def _places(self, seed: int) -> StateMap:
        return statemap.load(replace(self.manifest, seed=seed), self._folder)

    def close(self) -> None:
        """Give back what it holds."""
        self._engines, self._initial, self._blocks = [], [], []

    # ----------------------------------------------------------------------------------------- recordings

    def drain(self) -> Arrays:
        """What every probe recorded since the last call: samples x columns, or spikes as (step, neuron)."""
        blocks, self._blocks = self._blocks, []
        first, self._drained = self._drained, self.steps
        precision = self.manifest.precision
        return {
            probe.name: gathered(probe, [b for b in blocks if b.probe == k], first, self.steps, precision)
            for k, probe in enumerate(self.manifest.probes)
        }


def _is_of_neurons(name: str) -> bool:
    """Whether an array of the state is streams of random numbers that neurons draw from."""
    return name.endswith("_streams") and not name.startswith("drawn_")


def whole_in_order(probe: Probe) -> bool:
    """Whether the only part of a probe has it all, as it is."""
    return probe.parts[0].ranges == ((0, probe.size),)


def gathered(probe: Probe, blocks: list[Block], first: int, last: int, precision: str) -> NDArray[Any]:
    """What all parts recorded of a probe in steps first + 1 .. last, in one array."""
    parts = [[b.data for b in blocks if b.part == k] for k in range(len(probe.parts))]
    if probe.kind == "events":
        found = np.concatenate([np.zeros(0, np.int64), *(d for part in parts for d in part)])
        # Where a step failed, some partitions have recorded later ones: as with values, these do not count.
        found = np.sort(found[found < (last + 1) * probe.size])
        return np.stack(np.divmod(found, probe.size), axis=1)
    samples = sampling.count(last, probe.every) - sampling.count(first, probe.every)
    if probe.kind == "value" and len(blocks) == len(parts) == 1 and whole_in_order(probe):
        return blocks[0].data[:samples]  # as of the few steps of a loop around them
    whole = np.zeros((samples, probe.size), np.int64 if probe.kind == "sum" else precision)
    for part, data in zip(probe.parts, parts, strict=True):
        columns = np.concatenate([np.arange(a, b) for a, b in part.ranges])
        if data:
            whole[:, columns] += np.concatenate(data)[:samples]
    if probe.kind == "sum":
        return (whole * 2.0 ** -np.array(probe.exponents, float)).astype(precision)
    return whole
