"""What wires cost: partitions without neurons that exchange messages as fast as they can."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spike_runtime import cores
from spike_runtime.calibrate_timing import fit, in_rounds
from spike_runtime.manifest import Manifest, Wire
from spike_runtime.wires import ring
from spike_runtime.wires.atomics import compiled
from spike_runtime.wires.layout import COLUMNS, SPIN_ALONE, SPIN_SHARED

# (wires each way, words on each)
SIZES = ((1, 1), (1, 512), (1, 8192), (4, 1), (4, 512))
REPEATS = 5
RUN = bytes(16)
WINDOWS = 12

Pipes = Sequence[tuple[Connection, Connection]]


@compiled
def _steps(segment, first, count, out, into, rows, sums) -> int:  # type: ignore[no-untyped-def]
    """Exchange at every step; gives how many steps were done."""
    for step in range(first, first + count):
        if (
            ring.publish(segment, out, rows, sums, step) != 0
            or ring.collect(segment, into, rows, sums, step) != 0
        ):
            return int(step - first)
    return int(count)


def _manifest(members: int, wires: int, words: int) -> Manifest:
    """Members (partitions without programs) that all send each other so many wires of so many words."""
    pairs = [(s, t) for s in range(members) for t in range(members) if s != t]
    made = tuple(Wire(s, t, words) for s, t in pairs for _ in range(wires))
    return Manifest("calibration", 0, 1e-3, "float32", 0, (None,) * members, made, ())  # type: ignore[arg-type]


def prepare() -> None:
    """Compile what exchanges at every step."""
    segment, wires, none = np.zeros(1, np.int64), np.zeros((0, COLUMNS), np.int64), np.zeros(0, np.int64)
    _steps(segment, 1, 0, wires, wires, none, none)


def measure_ring() -> dict[str, float]:
    """Costs of rings in shared memory."""
    rows = [{"latency": 1.0, "message": 2.0 * n, "word": 2.0 * n * words} for n, words in SIZES]
    rounds = in_rounds(lambda: [_ring(*size, 200 if size[1] < 4096 else 20) for size in SIZES])
    return fit(rows, rounds.min(axis=0).tolist())


def _ring(wires: int, words: int, count: int) -> float:
    """ns per step of two members in threads of this process, each on a core of its own, as workers are: where
    other processes are busy, both would share one, and a step take ten times as long.
    """
    members, allowed = 2, cores.allowed_cores()
    manifest = _manifest(members, wires, words)
    layout = ring.segment_layout(manifest)
    segment = np.zeros(layout.words, np.int64)
    ring.prepare(segment, SPIN_ALONE)
    rows = np.arange(len(manifest.wires) * words)
    spent = [0.0] * members

    def member(k: int) -> None:
        if len(allowed) >= members:
            os.sched_setaffinity(0, {allowed[k]})  # of this thread
        tables = _tables(layout, manifest, k, rows)
        spent[k] = _least(segment, tables, rows, count, WINDOWS)

    threads = [threading.Thread(target=member, args=(k,)) for k in range(members)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(spent)


def _tables(
    layout: ring.SegmentLayout, manifest: Manifest, member: int, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Wires that begin and end in a member, which has these rows of all."""
    out, into = (table(layout, manifest, member) for table in (ring.out_wire_table, ring.in_wire_table))
    return ring.runs(out, rows), ring.runs(into, rows)


def _least(
    segment: NDArray[np.int64],
    tables: tuple[NDArray[np.int64], NDArray[np.int64]],
    rows: NDArray[np.int64],
    count: int,
    windows: int,
) -> float:
    """Least ns per step over several windows of `count` steps: other processes disturb only some of them."""
    sums, least = np.zeros(len(rows), np.int64), np.inf
    for window in range(windows + 1):
        start = time.perf_counter_ns()
        if _steps(segment, 1 + window * count, count, *tables, rows, sums) != count:
            raise RuntimeError("a measured exchange stopped of itself")
        if window:
            least = min(least, (time.perf_counter_ns() - start) / count)
    return float(least)


@contextmanager
def members() -> Iterator[Pipes]:
    """Two processes, which compile what they need, then do as they are told (see `_peer`)."""
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe() for _ in (0, 1)]
    processes = [context.Process(target=_peer, args=(k, pipes[k][1]), daemon=True) for k in (0, 1)]
    for process in processes:
        process.start()
    try:
        yield pipes
        _tell(pipes, None)
    finally:
        for process in processes:
            process.join(10)
            process.kill()


def measure_sockets(pipes: Pipes, transport: str) -> dict[str, float]:
    """Costs of ZeroMQ over "ipc" or "tcp" between `members`: as of rings; the work of its threads counts as
    latency and messages.
    """
    rows, times = [], []
    for wires, words in ((1, 1), (1, 8192), (4, 1)):
        rows.append({"latency": 1.0, "message": 2.0 * wires, "word": 2.0 * wires * words})
        times.append(_sockets(pipes, transport, wires, words, 100))
    return {"latency": 0.0, "message": 0.0, "word": 0.0} | fit(rows, times)


def _sockets(pipes: Pipes, transport: str, wires: int, words: int, count: int) -> float:
    """ns per step of the two members."""
    with tempfile.TemporaryDirectory(prefix="spike-") as folder:
        for k, (pipe, _) in enumerate(pipes):
            bind = f"ipc://{folder}/{k}" if transport == "ipc" else "tcp://127.0.0.1:*"
            pipe.send((bind, wires, words, count))
        _tell(pipes, [_received(pipe) for pipe, _ in pipes])
        spent = max(_received(pipe) for pipe, _ in pipes)
        _tell(pipes, True)
        return float(spent)


def _tell(pipes: Pipes, what: Any) -> None:
    for pipe, _ in pipes:
        pipe.send(what)


def _received(pipe: Connection) -> Any:
    if not pipe.poll(60):
        raise TimeoutError("no answer of a measuring process in 60 s")
    return pipe.recv()


def _peer(k: int, pipe: Connection) -> None:
    """Member k: exchanges as it is told, until it is told nothing."""
    import spike_runtime.wires.zeromq  # noqa: F401

    segment, wires, none = np.zeros(1, np.int64), np.zeros((0, COLUMNS), np.int64), np.zeros(0, np.int64)
    needed = (
        prepare,
        lambda: ring.take(segment, wires, none),
        lambda: ring.put(segment, wires, none),
    )
    for call in needed if k == 0 else needed[::-1]:  # what one compiles, the other finds on disk
        call()
    while (asked := pipe.recv()) is not None:
        _exchange(k, pipe, *asked)


def _exchange(k: int, pipe: Connection, bind: str, wires: int, words: int, count: int) -> None:
    from spike_runtime.wires.zeromq import Pump

    manifest = _manifest(2, wires, words)
    layout = ring.segment_layout(manifest, (k,))
    segment: NDArray[np.int64] = np.zeros(layout.words, np.int64)
    ring.prepare(segment, SPIN_SHARED)
    rows = np.arange(wires * words)
    tables = _tables(layout, manifest, k, rows)
    pump = Pump(manifest, k, RUN, layout, segment, bind)
    try:
        pipe.send(pump.endpoint)
        pump.greet(pipe.recv())
        pump.await_greetings()
        pump.start()
        pipe.send(_least(segment, tables, rows, count, REPEATS))
        pipe.recv()
    finally:
        pump.close()
