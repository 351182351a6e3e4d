"""The partitions of one process, forked by the nursery for a job of the supervisor: one, or several in turn
where a host has fewer cores.

Builds the engines, says "ready", waits for "go", runs, and hands over what was recorded as it goes.  It never
decides about the run: the supervisor stops it by the stop flag, and it dies with the supervisor.
"""

from __future__ import annotations

import contextlib
import importlib
import mmap
import os
import shutil
import socket
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from spike_runtime import frames, manifest, progress
from spike_runtime.job import Job
from spike_runtime.outbox import Outbox
from spike_runtime.pace import Pace
from spike_runtime.steps import Engine, Keeping, Steps
from spike_runtime.wires import segment as shared
from spike_runtime.wires.layout import SegmentLayout, segment_layout
from spike_runtime.wires.turns import Turns


class Pump(Protocol):
    """What carries messages to other segments; see `wires.zeromq.Pump`."""

    failure: Exception | None
    endpoint: str

    def greet(self, endpoints: list[str]) -> None: ...

    def await_greetings(self) -> None: ...

    def start(self) -> None: ...

    def close(self) -> None: ...


def main(job: Job, channel_descriptor: int, segment_descriptor: int, recordings_descriptor: int) -> int:
    """Do a job over inherited descriptors; gives the exit code."""
    worker = _Worker(job, socket.socket(fileno=channel_descriptor))
    try:
        worker.work(segment_descriptor, recordings_descriptor)
    except (BrokenPipeError, EOFError, ConnectionError):
        return 1  # the supervisor is gone: nobody to tell
    except MemoryError as error:
        return worker.report("memory", f"out of memory{': ' * bool(str(error))}{error}")
    except manifest.ManifestError as error:
        return worker.report("input", str(error))
    except Exception as error:  # whatever it is, the supervisor is to hear of it
        kind = _EXPECTED.get(type(error).__name__)
        if kind:  # says itself what is wrong; imported only by the runs that need it
            return worker.report(kind, str(error))
        traceback.print_exc()
        return worker.report("error", f"{type(error).__name__}: {error}")
    return 0


_EXPECTED = {"WireError": "wire", "EngineError": "error"}


class _Worker:
    """`at` is the partition at work, to blame where something fails."""

    def __init__(self, job: Job, channel: socket.socket) -> None:
        self.at = job.partitions[0]
        self._job, self._channel = job, channel
        self._pumps: list[Pump] = []
        self._segment: NDArray[np.int64] | None = None
        self._recordings = np.zeros(0, np.int64)

    def report(self, kind: str, cause: str) -> int:
        frames.send(self._channel, "failed", reason=kind, cause=cause, partition=self.at)
        return 1

    def work(self, descriptor: int, recordings: int) -> None:
        job = self._job
        plan = manifest.load(Path(job.manifest))
        layout = segment_layout(plan, job.local if job.bind else None, job.shares)
        segment = self._segment = shared.attach(descriptor, layout.words)
        if job.core is not None:
            os.sched_setaffinity(0, {job.core})
        try:
            for self.at in job.partitions if job.bind else ():
                self._pumps.append(_pump(job, self.at, plan, layout, segment))
            engines = self._engines(plan, layout, segment)
            self._share(engines, recordings)
            entries = [engine.entry for engine in engines]
            turns = Turns(plan, layout, segment, job.partitions, entries, job.start)
            chunk = self._connect(min(engine.chunk for engine in engines), engines)
            own = set(job.partitions)
            leaving = [k for k, w in enumerate(plan.wires) if w.source in own and w.target not in own]
            sent = [layout.ring(k) for k in leaving]
            steps = Steps(job.partitions, engines, turns, segment, layout, sent, job.start)
            try:
                self._run(steps, chunk, max((wire.window for wire in plan.wires), default=1))
            finally:
                for engine, partition in zip(engines, job.partitions, strict=True):
                    if plan.partitions[partition].python:
                        engine.release()
            frames.send(self._channel, "done", times=[asdict(steps.times()[p]) for p in job.partitions])
            self._expect("close")
        finally:
            for pump in self._pumps:
                pump.close()

    def _engines(
        self, plan: manifest.Manifest, layout: SegmentLayout, segment: NDArray[np.int64]
    ) -> list[Engine]:
        job, engines = self._job, []
        make = _engine(job)
        with _scratch(job.scratch):
            for done, self.at in enumerate(job.partitions):
                self._compiling(done, 0, 0)
                with progress.heard_by(partial(self._compiling, done)):
                    engines.append(make(plan, Path(job.manifest).parent, self.at, segment, layout, job.seed))
        return engines

    def _share(self, engines: Sequence[Engine], descriptor: int) -> None:
        """Record in memory that the supervisor has too, where it is near."""
        words = [engine.shared_words for engine in engines]
        if not self._job.near or not sum(words):
            return
        shared.enlarge(descriptor, sum(words))
        self._recordings = shared.attach(descriptor, sum(words))
        self._recordings[:: mmap.PAGESIZE // 8] = 0  # have its pages before the first step needs them
        for engine, memory in zip(engines, np.split(self._recordings, np.cumsum(words)[:-1]), strict=True):
            engine.share(memory)

    def _compiling(self, done: int, kernel: int, kernels: int) -> None:
        frames.send(self._channel, "compiling", done=done, kernel=kernel, kernels=kernels)

    def _connect(self, chunk: int, engines: Sequence[Engine]) -> int:
        """Be ready, and go when all are; gives the chunk of all."""
        endpoints, words = [pump.endpoint for pump in self._pumps], len(self._recordings)
        frames.send(self._channel, "ready", chunk=chunk, endpoints=endpoints, recordings=words)
        if self._pumps:
            endpoints = self._expect("connect").values["endpoints"]
            # All greet before any waits: a worker elsewhere waits for several of these.
            for pump in self._pumps:
                pump.greet(endpoints)
            for partition, pump in zip(self._job.partitions, self._pumps, strict=True):
                self.at = partition
                pump.await_greetings()
            frames.send(self._channel, "connected")
        self._adopt(engines)
        return int(self._expect("go").values["chunk"])

    def _adopt(self, engines: Sequence[Engine]) -> None:
        """Take the state that the run begins with, where it goes on from one."""
        for engine in engines if self._job.save else ():
            engine.remember()
        if not self._job.state:
            return
        given = frames.Arrays()
        while (frame := frames.receive(self._channel)).kind == "array":
            given.take(frame)
        for partition, engine in zip(self._job.partitions, engines, strict=True):
            self.at = partition
            engine.adopt(given.of.get(partition, {}), self._job.start)
        frames.send(self._channel, "adopted")

    def _run(self, steps: Steps, chunk: int, window: int) -> None:
        """All steps."""
        for pump in self._pumps:
            pump.start()
        job = self._job
        try:
            with Outbox(self._channel, len(job.partitions), self._recordings) as outbox:
                steps.run(outbox, job.steps, chunk, self._keeping(window) if job.save else None)
        finally:
            self.at = steps.at
        for partition, pump in zip(job.partitions, self._pumps, strict=False):
            self.at = partition
            # It stops the program, which then ends early but well.
            if pump.failure and steps.done < steps.last:
                raise pump.failure

    def _keeping(self, window: int) -> Keeping:
        job = self._job
        assert self._segment is not None
        return Keeping(Pace(self._channel, self._segment, job.start, job.steps), window, job.every)

    def _expect(self, kind: str) -> frames.Frame:
        """Wait for the supervisor's next order, which must be `kind`."""
        frame = frames.receive(self._channel)
        while frame.kind == "until":  # it came when all was done
            frame = frames.receive(self._channel)
        if frame.kind != kind:
            raise EOFError(f"expected {kind!r}, not {frame.kind!r}")
        return frame


@contextlib.contextmanager
def _scratch(folder: str) -> Iterator[None]:
    """Temporary files go to a folder of their own: PyTensor writes sources of what it compiles to files that
    only an orderly end of the process removes, which workers do not have.
    """
    with contextlib.suppress(OSError):
        os.mkdir(folder, 0o700)
        tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = None
        shutil.rmtree(folder, ignore_errors=True)


def _engine(job: Job) -> Callable[..., Engine]:
    module, _, name = job.engine.partition(":")
    factory: Callable[..., Engine] = getattr(importlib.import_module(module), name)
    return factory


def _pump(
    job: Job, partition: int, plan: manifest.Manifest, layout: SegmentLayout, segment: NDArray[np.int64]
) -> Any:
    from spike_runtime.wires.zeromq import Pump as ZeroMQPump  # only runs over sockets need it

    return ZeroMQPump(plan, partition, bytes.fromhex(job.run), layout, segment, job.bind)
