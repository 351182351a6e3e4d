"""One partition in a process of its own, forked by the nursery for a job of the supervisor.

Builds the engine, says "ready", waits for "go", runs, and hands over what was recorded as it goes.  It never
decides about the run: the supervisor stops it by the stop flag, and it dies with the supervisor.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from spike_runtime import frames, manifest
from spike_runtime.blocks import Block
from spike_runtime.job import Job
from spike_runtime.outbox import Outbox
from spike_runtime.wires import segment as shared
from spike_runtime.wires.layout import (
    EXCHANGE_NS,
    PROGRESS,
    STOP,
    WAITING_NS,
    SegmentLayout,
    segment_layout,
)


class Engine(Protocol):
    """What runs a program.  `chunk` is the most steps of one `run`."""

    chunk: int

    def run(self, first: int, count: int) -> int:
        """Run steps first .. first + count - 1; gives how many were completed: fewer where it was stopped."""

    def drain(self) -> list[Block]:
        """What was recorded since the last call; the arrays stay as they are when more is recorded."""


class Pump(Protocol):
    """What carries messages to other segments; see `wires.zeromq.Pump`."""

    failure: Exception | None
    endpoint: str

    def connect(self, endpoints: list[str]) -> None: ...

    def start(self) -> None: ...

    def close(self) -> None: ...


def main(job: Job, channel_descriptor: int, segment_descriptor: int) -> int:
    """Do a job over inherited descriptors; gives the exit code."""
    channel = socket.socket(fileno=channel_descriptor)
    try:
        _work(job, channel, segment_descriptor)
    except (BrokenPipeError, EOFError, ConnectionError):
        return 1  # the supervisor is gone: nobody to tell
    except MemoryError as error:
        return _report(channel, "memory", f"out of memory{': ' * bool(str(error))}{error}")
    except manifest.ManifestError as error:
        return _report(channel, "input", str(error))
    except Exception as error:
        kind = _EXPECTED.get(type(error).__name__)
        if kind:  # says itself what is wrong; imported only by the runs that need it
            return _report(channel, kind, str(error))
        traceback.print_exc()
        return _report(channel, "error", f"{type(error).__name__}: {error}")
    return 0


_EXPECTED = {"WireError": "wire", "EngineError": "error"}


def _report(channel: socket.socket, kind: str, cause: str) -> int:
    frames.send(channel, "failed", reason=kind, cause=cause)
    return 1


def _work(job: Job, channel: socket.socket, descriptor: int) -> None:
    plan = manifest.load(Path(job.manifest))
    layout = segment_layout(plan, job.local if job.bind else None)
    segment = shared.attach(descriptor, layout.words)
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    pump = _pump(job, plan, layout, segment) if job.bind else None
    try:
        with _scratch(job.scratch):
            engine = _engine(job)(plan, Path(job.manifest).parent, job.partition, segment, layout, job.seed)
        frames.send(channel, "ready", chunk=engine.chunk, endpoint=pump.endpoint if pump else "")
        if pump:
            pump.connect(_expect(channel, "connect").values["endpoints"])
            frames.send(channel, "connected")
        chunk = int(_expect(channel, "go").values["chunk"])
        if pump:
            pump.start()
        _steps(job, channel, engine, chunk, segment, layout.control(job.partition), pump)
        _expect(channel, "close")
    finally:
        if pump:
            pump.close()


def _steps(
    job: Job,
    channel: socket.socket,
    engine: Engine,
    chunk: int,
    segment: NDArray[np.int64],
    own: int,
    pump: Pump | None,
) -> None:
    """Run all steps, chunk by chunk; hand over after each what was recorded, at the end the times."""
    done, computing, recording = 0, 0, 0
    with Outbox(channel) as outbox:
        while done < job.steps and not segment[STOP]:
            count = min(chunk, job.steps - done)
            start = time.perf_counter_ns()
            ran = engine.run(done + 1, count)
            computing += (middle := time.perf_counter_ns()) - start
            done += ran
            segment[own + PROGRESS] = done
            outbox.put(engine.drain(), done)
            recording += time.perf_counter_ns() - middle
            if ran == 0 and not segment[STOP]:
                raise RuntimeError(f"the program stopped at step {done} of itself")
        # It stops the program, which then ends early but well.
        if pump and pump.failure and done < job.steps:
            raise pump.failure
    waiting, exchange = int(segment[own + WAITING_NS]), int(segment[own + EXCHANGE_NS])
    times = {
        "steps": done,
        "compute": max(0, computing - waiting - exchange),
        "exchange": exchange,
        "waiting": waiting,
        "recording": recording,
    }
    frames.send(channel, "done", times=times)


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


def _expect(channel: socket.socket, kind: str) -> frames.Frame:
    """Wait for the supervisor's next order, which must be `kind`."""
    frame = frames.receive(channel)
    if frame.kind != kind:
        raise EOFError(f"expected {kind!r}, not {frame.kind!r}")
    return frame


def _engine(job: Job) -> Callable[..., Engine]:
    module, _, name = job.engine.partition(":")
    factory: Callable[..., Engine] = getattr(importlib.import_module(module), name)
    return factory


def _pump(job: Job, plan: manifest.Manifest, layout: SegmentLayout, segment: NDArray[np.int64]) -> Any:
    from spike_runtime.wires.zeromq import Pump as ZeroMQPump  # only runs over sockets need it

    return ZeroMQPump(plan, job.partition, bytes.fromhex(job.run), layout, segment, job.bind)
