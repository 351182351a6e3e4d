"""Where workers are born: `python -m spike_runtime.nursery ENGINE`, started by the supervisor.

It imports what every worker needs once, then forks a worker for each job: sixteen workers start in the time
of one, and share the memory of all that code.  Standard input is a Unix socket:

    in:   a job (JSON), with descriptors of its channel, its segment, its memory for recordings, its log
    out:  one line of JSON each: {"born": pid}, later {"ended": pid, "code": exit code, or minus the signal}

It ends when the supervisor closes the socket, and dies with it; workers die with the nursery.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from spike_runtime import worker
from spike_runtime.job import load_job

MOST_BYTES = 1 << 16
_DESCRIPTORS = 4
_PR_SET_PDEATHSIG = 1


def main(engine: str, supervisor: int) -> None:
    """Import the engine's module and serve jobs until the supervisor closes the socket."""
    die_with(supervisor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(Exception):  # a worker that cannot import it either says so
        importlib.import_module(engine.partition(":")[0])
    bell, ringer = os.pipe()
    os.set_blocking(ringer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ringer)
    jobs = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    watched: list[Any] = [jobs, bell]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if bell in ready:
            os.read(bell, MOST_BYTES)
            _tell_ended(jobs)
        if jobs in ready and not _birth(jobs, (bell, ringer)):
            return


def _birth(jobs: socket.socket, own: tuple[int, int]) -> bool:
    """Fork a worker for the next job; False where there will be none."""
    text, descriptors, _, _ = socket.recv_fds(jobs, MOST_BYTES, _DESCRIPTORS)
    if not text:
        return False
    parent, pid = os.getpid(), os.fork()
    if pid:
        for descriptor in descriptors:
            os.close(descriptor)
        _tell(jobs, born=pid)
        return True
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    die_with(parent)
    channel, segment, recordings, log = descriptors
    os.dup2(log, 1)
    os.dup2(log, 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    for descriptor in (log, jobs.fileno(), 0, *own):
        os.close(descriptor)
    # No clean-up at the end: there is nothing left to write, and what was inherited is not this process's to
    # close.
    os._exit(worker.main(load_job(text.decode()), channel, segment, recordings))


def _tell_ended(jobs: socket.socket) -> None:
    """Report every worker that has ended."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            _tell(jobs, ended=found[0], code=os.waitstatus_to_exitcode(found[1]))


def _tell(jobs: socket.socket, **values: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the supervisor is gone, and so will be this process
        jobs.sendall(json.dumps(values).encode() + b"\n")


def die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
