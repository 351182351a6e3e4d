"""The worker processes of a run as the supervisor sees them: started, listened to, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import psutil
from numpy.typing import NDArray
from spike_runtime import frames
from spike_runtime.job import Job
from spike_runtime.wires.layout import LINE, MEMBER, PROGRESS, STOP, WAIT_STEP, WAIT_WIRE

_ONE_THREAD = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "NUMBA", "VECLIB_MAXIMUM")
_TAIL = 4000


@dataclass(eq=False)
class Worker:
    """One worker: its process, the socket to it, its segment (shared with the others, or its own), what it said."""

    partition: int
    process: subprocess.Popen[bytes]
    channel: socket.socket
    segment: NDArray[np.int64]
    log: IO[bytes]
    splitter: frames.Splitter
    state: str = "starting"
    chunk: int = 1
    endpoint: str = ""
    complete: int = 0
    closed: bool = False

    @property
    def progress(self) -> int:
        """The last step that it began or completed."""
        return int(self.segment[self._own + PROGRESS])

    @property
    def waits_for(self) -> tuple[int, int] | None:
        """(wire, step) of the message that it sleeps for, if it does."""
        wire = int(self.segment[self._own + WAIT_WIRE])
        return (wire - 1, int(self.segment[self._own + WAIT_STEP])) if wire else None

    @property
    def _own(self) -> int:
        return LINE + self.partition * MEMBER

    def read(self) -> list[frames.Frame]:
        """Messages that have arrived; `closed` is set where there will be no more."""
        try:
            piece = self.channel.recv(1 << 20)
        except BlockingIOError:
            return []
        except ConnectionError:
            piece = b""
        self.closed = not piece
        return self.splitter.feed(piece)

    def tell(self, kind: str, **values: Any) -> None:
        """Send an order; a worker that is gone is noticed elsewhere."""
        self.channel.setblocking(True)
        with contextlib.suppress(OSError):
            frames.send(self.channel, kind, **values)
        self.channel.setblocking(False)

    def stop(self) -> None:
        """Ask it to stop at the next border of a step."""
        self.segment[STOP] = 1

    def is_stopped(self) -> bool:
        """Whether the process was stopped (SIGSTOP), not ended."""
        try:
            return psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED
        except psutil.Error:
            return False

    def log_tail(self) -> str:
        """The last lines of what it wrote to standard error."""
        self.log.seek(0, os.SEEK_END)
        self.log.seek(max(0, self.log.tell() - _TAIL))
        return self.log.read().decode(errors="replace").strip()

    def end(self) -> None:
        """Kill the process, if it still is, and free what it used."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.channel.close()
        self.log.close()


def start(job: Job, channel: socket.socket, segment: NDArray[np.int64]) -> Worker:
    """Start the worker of a job; `channel` is the supervisor's end of the socket pair."""
    environment = os.environ | {f"{name}_NUM_THREADS": "1" for name in _ONE_THREAD}
    log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `Worker.end`)
    process = subprocess.Popen(
        [sys.executable, "-P", "-X", "faulthandler", "-m", "spike_runtime.worker"],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env=environment,
        pass_fds=(job.channel, job.segment),
        start_new_session=True,  # Ctrl-C and Ctrl-Z go to the supervisor only
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(job.dump().encode())
    channel.setblocking(False)
    return Worker(job.partition, process, channel, segment, log, frames.Splitter())


def how_it_ended(worker: Worker, out_of_memory: bool) -> str:
    """Why a worker's process is gone, in words."""
    try:
        code = worker.process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        return "closed its connection but did not end"
    if code == -signal.SIGKILL and out_of_memory:
        return "was killed by the kernel: out of memory; use fewer neurons, float32, or a machine with more memory"
    if code < 0:
        return f"was killed by signal {-code} ({signal.Signals(-code).name})"
    last = worker.log_tail().splitlines()[-1:] or ["it said nothing"]
    return f"ended with exit code {code}: {last[0]}"


def kernel_kills() -> int:
    """How many processes the kernel has killed for lack of memory since it started."""
    try:
        with open("/proc/vmstat") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except OSError:
        return 0


def idle_cores(count: int) -> list[int | None]:
    """The `count` least busy cores that this process may use; None for each where there are fewer than that."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if count < 2 or len(allowed) < count:
        return [None] * count
    busy = psutil.cpu_percent(interval=0.1, percpu=True)
    load = {core: busy[core] if core < len(busy) else 0.0 for core in allowed}
    # Whole tenths only: cores that are about equally idle are taken in order.
    return list(sorted(sorted(allowed, key=lambda core: load[core] // 10)[:count]))


@contextlib.contextmanager
def socket_folder(transport: str) -> Iterator[str]:
    """A private folder for socket files, removed at the end; "" where the transport needs none."""
    if transport != "ipc":
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="spike-", ignore_cleanup_errors=True) as folder:
        yield folder
