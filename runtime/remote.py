"""Workers on another host, as the supervisor sees them: through a link to the agent there.

The agent (see `agent`) is started by the host's launch command, such as `ssh node2`, and talked to over its
standard input and output, in the messages of `frames`:

    to the agent     begin (the task), order (for a worker), took (bytes of a worker that were looked at),
                     stop, alive
    from the agent   refused, begun (the partitions of each worker), piece (bytes that a worker said), state
                     (how far all are), ended (a worker, and why)

An end of the link that hears nothing for long takes the other for lost: nothing is left on either side.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spike_runtime import frames
from spike_runtime.crew import PIECE, Member
from spike_runtime.job import Task
from spike_runtime.manifest import Host

# What the agent says first: whatever a login shell printed before is not for us.
MAGIC = b"spike agent\n"
# What a login shell may say before, in bytes.
_LONGEST_HEADING = 1 << 20
BEGIN_WITHIN, SILENT_FOR, ALIVE_EVERY = 60.0, 5.0, 0.5
# How long the agent goes on without a word from here: a supervisor may be busy with its disk, or suspended.
PATIENCE = 30.0
# Bytes that one worker said, were handed on, and were not looked at yet: then it has to wait.
CREDIT = 4 << 20
_SEND_WITHIN = 2.0


@dataclass(eq=False)
class RemoteWorker(Member):
    """A worker on another host; what is known of it came over `link`."""

    link: Link
    queue: deque[frames.Frame] = field(default_factory=deque)
    unread: int = 0
    progress: list[int] = field(default_factory=lambda: [0])
    waits_for: tuple[int, int] | None = None
    waits: bool = False
    stopped: bool = False
    stops: bool = False
    cause: str = ""
    log: str = ""
    splitter: frames.Splitter = field(default_factory=frames.Splitter)

    def fileno(self) -> int:
        """What to wait for: that of the link."""
        return self.link.fileno()

    def read(self) -> list[frames.Frame]:
        """Messages that have arrived and were not looked at yet."""
        found = list(self.queue)
        self.queue.clear()
        if self.unread:
            self.link.tell("took", worker=self.link.workers.index(self), bytes=self.unread)
            self.unread = 0
        return found

    def tell(self, kind: str, body: bytes | memoryview = b"", **values: Any) -> None:
        """Send an order; a worker that is gone is noticed elsewhere."""
        self.link.tell("order", body, worker=self.link.workers.index(self), order=kind, values=values)

    def stop(self) -> None:
        """Ask it, and all on its host, to stop at the next border of a step."""
        self.link.stop()

    def is_stopped(self) -> bool:
        """Whether the process was stopped (SIGSTOP), not ended."""
        return self.stopped

    def how_it_ended(self, _out_of_memory: bool) -> str:
        """Why its process, or the link to its host, is gone, in words."""
        return self.cause or self.link.cause

    def log_tail(self) -> str:
        """The last lines of what it wrote to standard error: the agent sends them when it has ended."""
        end = time.monotonic() + 1.0
        while not self.closed and time.monotonic() < end:
            self.link.receive(wait=0.1)
        return self.log

    def end(self) -> None:
        """Nothing: it ends with its agent."""


class Link:
    """The connection to the agent on another host, and through it to the workers there."""

    def __init__(self, host: Host, task: Task, sha256: str, here: Path) -> None:
        """Start the agent and have it begin the task; `sha256` of the manifest; `here`: its folder here.

        Raises `OSError` where the launch command cannot be started.
        """
        self.host, self.cause, self.closed = host, "", False
        # One that stands for all there, until the agent says which there are.
        self.workers = [RemoteWorker(task.partitions, self, host=host.name)]
        self._here, self._stopping, self._begun = here, False, False
        self._splitter, self._heading = frames.Splitter(), b""
        self._heard = self._said = time.monotonic()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        self._socket, there = socket.socketpair()
        python = host.python or sys.executable
        try:
            self._process = subprocess.Popen(
                [*host.launch, python, "-P", "-m", "spike_runtime.agent"],
                stdin=there.fileno(),
                stdout=there.fileno(),
                stderr=self._log,
                start_new_session=True,  # Ctrl-C and Ctrl-Z go to the supervisor only
            )
        except OSError as error:
            self._socket.close()
            self._log.close()
            raise OSError(f"host {host.name}: cannot run {host.launch[0]}: {error.strerror}") from None
        finally:
            there.close()
        limits: dict[str, Any] = {"patience": PATIENCE, "credit": CREDIT}
        self.tell("begin", task=asdict(task), sha256=sha256, spike=spike(), **limits)

    def fileno(self) -> int:
        return self._socket.fileno()

    def tell(self, kind: str, body: bytes | memoryview = b"", **values: Any) -> None:
        """Send a message; that the agent is gone is noticed where it is listened to."""
        self._said = time.monotonic()
        try:
            self._socket.settimeout(_SEND_WITHIN)
            frames.send(self._socket, kind, body, **values)
        except TimeoutError:
            self._lost(f"lost its host: the agent there took no message for {_SEND_WITHIN:g} s")
        except OSError:
            pass

    def stop(self) -> None:
        """Ask all workers there to stop, once."""
        if not self._stopping:
            self._stopping = True
            self.tell("stop")

    def keep(self) -> None:
        """Say that this end is alive, and notice where the other is not."""
        now = time.monotonic()
        if now - self._said > ALIVE_EVERY:
            self.tell("alive")
        limit = SILENT_FOR if self._begun else BEGIN_WITHIN
        if not self.closed and now - self._heard > limit:
            self.receive()
            if now - self._heard > limit:
                self._lost(f"lost its host: nothing was heard from there for {limit:g} s")

    def receive(self, wait: float = 0.0) -> None:
        """Take in what the agent has said, or says within `wait` seconds, and give each worker its part."""
        if self.closed:
            return
        self._socket.settimeout(wait)
        try:
            piece = self._socket.recv(PIECE)
        except (BlockingIOError, TimeoutError):
            return
        except ConnectionError:
            piece = b""
        if not piece:
            self._lost(self._why())
            return
        self._heard = time.monotonic()
        try:
            messages = self._splitter.feed(self._after_heading(piece))
        except EOFError as error:
            self._lost(f"lost its host: {error}; the launch command must print nothing of its own")
            return
        for frame in messages:
            self._take(frame)

    def end(self) -> None:
        """End the agent, and with it every worker there."""
        self._socket.close()
        try:
            self._process.wait(timeout=_SEND_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _after_heading(self, piece: bytes) -> bytes:
        if self._heading.endswith(MAGIC):
            return piece
        self._heading += piece
        _, found, rest = self._heading.partition(MAGIC)
        if found:
            self._heading = MAGIC
        elif len(self._heading) > _LONGEST_HEADING:
            raise EOFError(f"what came is no message of Spike: {self._heading[:40]!r}")
        return rest

    def _take(self, frame: frames.Frame) -> None:
        values = frame.values
        worker = self.workers[values.get("worker", 0)]
        if frame.kind == "begun":
            self._begun = True
            self.workers = [RemoteWorker(tuple(p), self, host=self.host.name) for p in values["workers"]]
        elif frame.kind == "piece":
            worker.queue += worker.splitter.feed(frame.body)
            worker.unread += len(frame.body)
        elif frame.kind == "ended":
            worker.cause, worker.log, worker.closed = values["cause"], values["log"], True
        elif frame.kind == "state":
            for told, state in zip(self.workers, values["workers"], strict=True):
                told.progress, told.waits, told.stopped = state["progress"], state["waits"], state["stopped"]
                told.waits_for = tuple(state["waits_for"]) if state["waits_for"] else None
                told.stops = state["stops"]
        elif frame.kind == "refused":
            self._refused(values["reason"], values["cause"])

    def _refused(self, reason: str, cause: str) -> None:
        """The agent cannot begin: let the first worker say so."""
        if reason == "files":
            reason = "input"
            cause += f"; copy the folder {self._here} there"
        first = self.workers[0]
        values = {"reason": reason, "cause": cause, "partition": first.partitions[0]}
        first.queue.append(frames.Frame("failed", values))

    def _lost(self, cause: str) -> None:
        self.cause, self.closed = cause, True
        for worker in self.workers:
            worker.closed = True

    def _why(self) -> str:
        """Why the agent is gone, in words."""
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "lost its host: the agent there closed the connection"
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().splitlines()[-1:]
        if code < 0:
            said = [f"what was started for it was killed by signal {-code} ({signal.Signals(-code).name})"]
        what = "lost its host" if self._begun else "could not be started"
        command = " ".join([*self.host.launch, "..."])
        return f"{what}: {said[0] if said else f'{command} ended with exit code {code}'}"


def spike() -> dict[str, str]:
    """Which Spike, Python, libraries and processor this is: on all hosts of a run they must be the same.

    Copies of a signal that partitions compute for themselves would drift apart else.
    """
    from llvmlite import binding  # half of the time that this module takes to import

    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {
        "processor": os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name(),
        "spike": digest.hexdigest()[:12],
        "python": ".".join(platform.python_version_tuple()[:2]),
    } | libraries


_LIBRARIES = ("numpy", "numba", "llvmlite", "pytensor", "pyzmq")


def remedy(different: Sequence[str]) -> str:
    """What to do about the `differences`."""
    if any(not what.startswith("processor") for what in different):
        return "install the same versions"
    return "name what all processors can do in the launch command of each host: env NUMBA_CPU_NAME=x86-64-v3"


def differences(here: dict[str, str], there: dict[str, str]) -> Sequence[str]:
    """What differs, in words."""
    return [
        f"{name} {there.get(name)} instead of {value}"
        for name, value in here.items()
        if there.get(name) != value
    ]
