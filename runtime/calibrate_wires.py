"""What wires cost: partitions without neurons that exchange messages as fast as they can."""

from __future__ import annotations

import multiprocessing
import tempfile
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray
from spike_runtime.calibrate_timing import fit
from spike_runtime.manifest import Manifest, Wire
from spike_runtime.wires import ring
from spike_runtime.wires.layout import SPIN_ALONE, SPIN_SHARED

# (wires each way, words on each)
SIZES = ((1, 1), (1, 512), (1, 8192), (4, 1), (4, 512))
REPEATS = 5
RUN = bytes(16)
WINDOWS = 40

_jit: Any = nb.njit(cache=True, nogil=True)


@_jit
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


def measure_ring() -> dict[str, float]:
    """Costs of rings in shared memory."""
    rows, times = [], []
    for wires, words in SIZES:
        rows.append({"latency": 1.0, "message": 2.0 * wires, "word": 2.0 * wires * words})
        times.append(_ring(wires, words, 500 if words < 4096 else 50))
    return fit(rows, times)


def _ring(wires: int, words: int, count: int) -> float:
    """ns per step of two members in threads of this process."""
    members = 2
    manifest = _manifest(members, wires, words)
    layout = ring.segment_layout(manifest)
    segment = np.zeros(layout.words, np.int64)
    ring.prepare(segment, SPIN_ALONE)
    rows = np.arange(len(manifest.wires) * words)
    spent = [0.0] * members

    def member(k: int) -> None:
        tables = ring.out_wire_table(layout, manifest, k), ring.in_wire_table(layout, manifest, k)
        spent[k] = _least(segment, tables, rows, count, WINDOWS)

    threads = [threading.Thread(target=member, args=(k,)) for k in range(members)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(spent)


def _least(
    segment: NDArray[np.int64],
    tables: Sequence[NDArray[np.int64]],
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


def measure_sockets(transport: str) -> dict[str, float]:
    """Costs of ZeroMQ over "ipc" or "tcp": as of rings; the work of its threads counts as latency and
    messages.
    """
    rows, times = [], []
    for wires, words in ((1, 1), (1, 8192), (4, 1)):
        rows.append({"latency": 1.0, "message": 2.0 * wires, "word": 2.0 * wires * words})
        times.append(_sockets(transport, wires, words, 100))
    return {"latency": 0.0, "message": 0.0, "word": 0.0} | fit(rows, times)


def _sockets(transport: str, wires: int, words: int, count: int) -> float:
    """ns per step of two members in processes of their own."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="spike-") as folder:
        binds = [f"ipc://{folder}/{k}" if transport == "ipc" else "tcp://127.0.0.1:*" for k in (0, 1)]
        pipes = [context.Pipe() for _ in binds]
        members = [
            context.Process(target=_peer, args=(k, binds[k], pipes[k][1], wires, words, count), daemon=True)
            for k in (0, 1)
        ]
        for process in members:
            process.start()
        try:
            endpoints = [_received(pipe) for pipe, _ in pipes]
            _tell(pipes, endpoints)
            spent = max(_received(pipe) for pipe, _ in pipes)
            _tell(pipes, None)
        finally:
            for process in members:
                process.join(10)
                process.kill()
        return float(spent)


def _tell(pipes: Sequence[tuple[Connection, Connection]], what: Any) -> None:
    for pipe, _ in pipes:
        pipe.send(what)


def _received(pipe: Connection) -> Any:
    if not pipe.poll(60):
        raise TimeoutError("no answer of a measuring process in 60 s")
    return pipe.recv()


def _peer(k: int, bind: str, pipe: Connection, wires: int, words: int, count: int) -> None:
    from spike_runtime.wires.zeromq import Pump

    manifest = _manifest(2, wires, words)
    layout = ring.segment_layout(manifest, (k,))
    segment: NDArray[np.int64] = np.zeros(layout.words, np.int64)
    ring.prepare(segment, SPIN_SHARED)
    tables = ring.out_wire_table(layout, manifest, k), ring.in_wire_table(layout, manifest, k)
    rows = np.arange(wires * words)
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
