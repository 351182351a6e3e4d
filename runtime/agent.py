"""The agent: `python -m spike_runtime.agent`, started on another host by its launch command, such as `ssh`.

It does there what the supervisor does on its own host: starts the workers, hands on what they say, ends
them.  It is told by standard input and answers by standard output (see `remote`), and ends, with all workers,
when the input ends or nothing is heard for long.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from spike_runtime import crew, frames, manifest, team
from spike_runtime.crew import PIECE, Worker
from spike_runtime.job import load_task
from spike_runtime.manifest import ManifestError
from spike_runtime.remote import MAGIC, PATIENCE, differences, remedy, spike

TICK = 0.1


class Pipe:
    """Standard input and output, kept apart from what libraries may print: that goes to standard error."""

    def __init__(self) -> None:
        self.input, self._output = os.dup(0), os.dup(1)
        os.dup2(2, 1)
        os.set_blocking(self.input, False)
        os.set_blocking(self._output, False)
        self.patience, self.heard = PATIENCE, time.monotonic()
        self._splitter = frames.Splitter()

    def sendall(self, data: bytes | memoryview, /) -> None:
        """Write; raises `OSError` where the other side is gone, or takes nothing for long."""
        view = memoryview(data)
        while view:
            if not select.select([], [self._output], [], self.patience)[1]:
                raise TimeoutError
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(self._output, view) :]

    def receive(self) -> list[frames.Frame]:
        """Messages that have arrived; raises `EOFError` where there will be no more, or long was none."""
        if time.monotonic() - self.heard > self.patience:
            raise EOFError
        try:
            piece = os.read(self.input, PIECE)
        except BlockingIOError:
            return []
        if not piece:
            raise EOFError
        self.heard = time.monotonic()
        return self._splitter.feed(piece)


def main() -> None:
    """Begin the task that comes first, and serve it until the supervisor is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = Pipe()
    with contextlib.suppress(OSError, EOFError):
        pipe.sendall(MAGIC)
        while not (found := pipe.receive()):
            select.select([pipe.input], [], [], pipe.patience)
        begin = found[0].values
        pipe.patience = begin["patience"]
        with contextlib.ExitStack() as stack:
            try:
                workers = _begin(begin, stack)
            except _RefusedError as error:
                frames.send(pipe, "refused", reason=error.reason, cause=str(error))
            else:
                frames.send(pipe, "begun", workers=[worker.partitions for worker in workers])
                Relay(pipe, workers, begin["credit"], found[1:]).serve()


class _RefusedError(Exception):
    """The task cannot be begun here; `reason` is "files", "input", "memory" or "error"."""

    def __init__(self, reason: str, cause: str) -> None:
        super().__init__(cause)
        self.reason = reason


def _begin(begin: dict[str, Any], stack: contextlib.ExitStack) -> list[Worker]:
    task = load_task(begin["task"])
    path = Path(task.manifest)
    if different := differences(begin["spike"], spike()):
        raise _RefusedError("input", f"{sys.executable} has {', '.join(different)}; {remedy(different)}")
    try:
        if not path.is_file() or manifest.sha256(path) != begin["sha256"]:
            what = "is of another compilation" if path.is_file() else "is missing"
            raise _RefusedError("files", f"{path} {what}")
        loaded = manifest.load(path)
        manifest.check_present(loaded, path.parent, task.partitions)
        return list(team.start(task, loaded, stack))
    except ManifestError as error:
        raise _RefusedError("files", str(error)) from None
    except MemoryError as error:
        raise _RefusedError("memory", f"out of memory: {error}") from None
    except OSError as error:
        raise _RefusedError("error", str(error)) from None


class Relay:
    """Between the supervisor and the workers of this host."""

    def __init__(self, pipe: Pipe, workers: list[Worker], credit: int, orders: list[frames.Frame]) -> None:
        self._pipe, self._workers, self._credit = pipe, workers, credit
        # Bytes that each said and the supervisor has not looked at.
        self._ahead = [0 for _ in workers]
        self._kills = crew.kernel_kills()
        self._told = 0.0
        for order in orders:
            self._obey(order)

    def serve(self) -> None:
        """Hand on until the supervisor is gone: `EOFError` or `OSError`."""
        while True:
            heard = {
                number: worker.fileno()
                for number, worker in enumerate(self._workers)
                if not worker.closed and self._ahead[number] < self._credit
            }
            select.select([self._pipe.input, *heard.values()], [], [], TICK)
            for order in self._pipe.receive():
                self._obey(order)
            for number in heard:
                self._hand_on(number)
            if time.monotonic() - self._told > TICK:
                self._told = time.monotonic()
                self._tell_state()

    def _obey(self, order: frames.Frame) -> None:
        values = order.values
        if order.kind == "order":
            self._workers[values["worker"]].tell(values["order"], order.body, **values["values"])
        elif order.kind == "took":
            self._ahead[values["worker"]] -= values["bytes"]
        elif order.kind == "stop":
            for worker in self._workers:
                worker.stop()

    def _hand_on(self, number: int) -> None:
        """What a worker said, as it came; and how it ended, where it has."""
        worker = self._workers[number]
        if piece := worker.piece():
            self._ahead[number] += len(piece)
            frames.send(self._pipe, "piece", piece, worker=number)
        elif worker.closed:
            cause = worker.how_it_ended(crew.kernel_kills() > self._kills)
            frames.send(self._pipe, "ended", worker=number, cause=cause, log=worker.log_tail())

    def _tell_state(self) -> None:
        state = [
            {
                "progress": worker.progress,
                "waits": worker.waits,
                "waits_for": worker.waits_for,
                "stopped": worker.is_stopped(),
                "stops": worker.stops,
            }
            for worker in self._workers
        ]
        frames.send(self._pipe, "state", workers=state)


if __name__ == "__main__":
    main()
