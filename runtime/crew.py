"""The worker processes of a run as the supervisor sees them: started, listened to, ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import psutil
from numpy.typing import NDArray
from spike_runtime import cores, frames
from spike_runtime.blocks import Block
from spike_runtime.job import Job
from spike_runtime.wires import segment as shared
from spike_runtime.wires.layout import LINE, MEMBER, PROGRESS, SPACE, STOP, TAKEN, WAIT_STEP, WAIT_WIRE

_ONE_THREAD = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "NUMBA", "VECLIB_MAXIMUM")
STANDARD_ERROR = 2
_TAIL = 4000
PIECE = 1 << 19  # more than a socket holds
_SEND_WITHIN = 10.0  # s for a piece of a message to be taken


@dataclass(eq=False)
class Member:
    """What the supervisor knows of a worker, on this host or another.

    `host` names its host where there are several; `compiling`: how many programs it has compiled, and which
    kernel of how many it is at in the next; `endpoints`: where its partitions receive from other
    segments; `recorded`: the last step of each partition whose recordings have come; `closed`: it will say
    no more.
    """

    partitions: tuple[int, ...]
    host: str = field(default="", kw_only=True)
    state: str = field(default="starting", kw_only=True)
    compiling: tuple[int, int, int] = field(default=(0, 0, 0), kw_only=True)
    chunk: int = field(default=1, kw_only=True)
    endpoints: list[str] = field(default_factory=list, kw_only=True)
    recorded: dict[int, int] = field(default_factory=dict, kw_only=True)
    closed: bool = field(default=False, kw_only=True)

    def attach(self, words: int) -> None:
        """It records in so many words of memory of this host, where it can."""

    def blocks(self, frame: frames.Frame) -> Iterator[Block]:
        """What a message says was recorded."""
        return frames.to_blocks(frame)

    def took(self, partition: int, step: int) -> None:
        """Note that what a partition recorded up to `step` was taken."""
        self.recorded[partition] = step

    @property
    def complete(self) -> int:
        """The last step whose recordings have come, of all its partitions."""
        return min(self.recorded.get(partition, 0) for partition in self.partitions)


@dataclass(eq=False)
class Worker(Member):
    """A worker on this host: its process, the socket to it, its segment (its own or shared), what it said.

    `memory`: descriptor of that in which it records samples, which are read where they are: `recordings`,
    once it is known how many there can be.
    """

    process: Child
    channel: socket.socket
    segment: NDArray[np.int64]
    log: IO[bytes]
    scratch: str
    memory: int = -1
    splitter: frames.Splitter = field(default_factory=frames.Splitter)
    recordings: NDArray[np.int64] | None = None

    def attach(self, words: int) -> None:
        """It records in so many words of memory."""
        self.recordings = shared.attach(self.memory, words) if words else None

    def blocks(self, frame: frames.Frame) -> Iterator[Block]:
        """What a message says was recorded: samples stay as they are until the worker hears of `took`."""
        return frames.to_blocks(frame, self.recordings)

    def took(self, partition: int, step: int) -> None:
        """Let a partition record where it did up to `step`."""
        super().took(partition, step)
        self.segment[LINE + partition * MEMBER + TAKEN] = step

    def fileno(self) -> int:
        """What to wait for."""
        return self.channel.fileno()

    @property
    def progress(self) -> list[int]:
        """The last step that each of its partitions began or completed."""
        return [int(self.segment[LINE + p * MEMBER + PROGRESS]) for p in self.partitions]

    @property
    def waits_for(self) -> tuple[int, int] | None:
        """(wire, step) of the message that it sleeps for, if it does."""
        wire = int(self.segment[self._seat + WAIT_WIRE])
        return (wire - 1, int(self.segment[self._seat + WAIT_STEP])) if wire else None

    @property
    def waits(self) -> bool:
        """Whether it waits for another worker: for a message, or for room for its own."""
        return bool(self.segment[self._seat + WAIT_WIRE] or self.segment[self._seat + SPACE])

    @property
    def stops(self) -> bool:
        """Whether it was asked to stop, or has asked all of its segment to."""
        return bool(self.segment[STOP])

    @property
    def _seat(self) -> int:
        return LINE + self.partitions[0] * MEMBER

    def read(self) -> list[frames.Frame]:
        """Messages that have arrived; `closed` is set where there will be no more."""
        return self.splitter.feed(self.piece())

    def piece(self) -> bytes:
        """What has arrived, as it came; `closed` is set where there will be no more."""
        try:
            piece = self.channel.recv(PIECE)
        except BlockingIOError:
            return b""
        except ConnectionError:
            piece = b""
        self.closed = not piece
        return piece

    def tell(self, kind: str, body: bytes | memoryview = b"", **values: Any) -> None:
        """Send an order; a worker that is gone, or takes nothing, is noticed elsewhere."""
        self.channel.settimeout(_SEND_WITHIN)
        try:
            frames.send(self.channel, kind, body, **values)
        except TimeoutError:
            with contextlib.suppress(OSError):  # what follows a part of a message is none
                self.channel.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.channel.setblocking(False)

    def stop(self) -> None:
        """Ask it to stop at the next border of a step."""
        self.segment[STOP] = 1

    def is_stopped(self) -> bool:
        """Whether the process was stopped (SIGSTOP), not ended."""
        try:
            return bool(psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)
        except psutil.Error:
            return False

    def how_it_ended(self, out_of_memory: bool) -> str:
        """Why its process is gone, in words."""
        return how_it_ended(self, out_of_memory)

    def log_tail(self) -> str:
        """The last lines of what it wrote to standard error."""
        self.log.seek(0, os.SEEK_END)
        self.log.seek(max(0, self.log.tell() - _TAIL))
        return self.log.read().decode(errors="replace").strip()

    def end(self) -> None:
        """Kill the process, if it still is, and free what it used."""
        self.process.kill()
        self.process.wait(timeout=2)
        self.channel.close()
        self.log.close()
        shutil.rmtree(self.scratch, ignore_errors=True)  # where it was killed while it compiled


class Nursery:
    """The process that workers are forked from, as the supervisor sees it; see `nursery`."""

    def __init__(self, engine: str) -> None:
        self._socket, there = socket.socketpair()
        self._text = b""
        self._news: deque[dict[str, int]] = deque()
        self._codes: dict[int, int] = {}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        command = [sys.executable, "-P", "-X", "faulthandler", "-m", "spike_runtime.nursery", engine]
        with there:
            self._process = subprocess.Popen(
                [*command, str(os.getpid())],
                stdin=there.fileno(),
                stdout=self._log,
                stderr=self._log,
                env=os.environ | {f"{name}_NUM_THREADS": "1" for name in _ONE_THREAD},
                start_new_session=True,  # Ctrl-C and Ctrl-Z go to the supervisor only
            )

    def start(
        self, job: Job, segment: NDArray[np.int64], descriptor: int, memory: int, heard: bool = False
    ) -> Worker:
        """Have the worker of a job started, with shared memory `segment` of that descriptor, and `memory` for
        what it records.

        What it prints is kept, as the cause where it fails; where it is `heard`, it goes to the standard
        error of this process.
        Raises `OSError` where the nursery is gone.
        """
        here, there = socket.socketpair()
        # As much as the system allows: what was recorded comes in fewer pieces, and each wakes this side.
        there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
        log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `Worker.end`)
        output = STANDARD_ERROR if heard else log.fileno()
        with there:
            socket.send_fds(self._socket, [job.dump().encode()], [there.fileno(), descriptor, memory, output])
        here.setblocking(False)
        return Worker(job.partitions, Child(self, self._born()), here, segment, log, job.scratch, memory)

    def code(self, pid: int, timeout: float) -> int | None:
        """Exit code of a worker that has ended, None where it has not within `timeout` seconds."""
        end = time.monotonic() + timeout
        while pid not in self._codes and self._listen(max(0.0, end - time.monotonic())):
            pass
        return self._codes.get(pid)

    def end(self) -> None:
        """Kill it, and with it every worker that still is."""
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _born(self) -> int:
        while not self._news:
            if not self._listen(None):
                self._log.seek(0)
                said = self._log.read().decode(errors="replace").strip().splitlines()[-1:]
                raise OSError(f"cannot start workers: {said[0] if said else 'their parent process ended'}")
        return self._news.popleft()["born"]

    def _listen(self, timeout: float | None) -> bool:
        """Take what the nursery says; False where it says nothing in time, or is gone."""
        if not select.select([self._socket], [], [], timeout)[0]:
            return False
        try:
            piece = self._socket.recv(PIECE)
        except ConnectionError:
            return False
        *lines, self._text = (self._text + piece).split(b"\n")
        for line in map(json.loads, lines):
            if "born" in line:
                self._news.append(line)
            else:
                self._codes[line["ended"]] = line["code"]
        return bool(piece)


@dataclass(frozen=True, eq=False)
class Child:
    """A worker's process: a child of the nursery, which reports how it ended."""

    nursery: Nursery
    pid: int

    def wait(self, timeout: float) -> int | None:
        """Exit code, or minus the number of the signal that ended it; None where it still runs."""
        return self.nursery.code(self.pid, timeout)

    def kill(self) -> None:
        """End it, if it still is."""
        if self.wait(0) is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def how_it_ended(worker: Worker, out_of_memory: bool) -> str:
    """Why a worker's process is gone, in words."""
    code = worker.process.wait(timeout=2)
    if code is None:
        return "closed its connection: what started it was killed, or it hangs"
    if code == -signal.SIGKILL and out_of_memory:
        return "was killed by the kernel: out of memory; use fewer neurons, float32, or a larger machine"
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
    """The `count` least busy cores that this process may use; None for each where there are fewer."""
    allowed = cores.allowed_cores()
    if count < 2 or len(allowed) < count:
        return [None] * count
    if len(allowed) == count:
        return [*sorted(allowed)]
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
