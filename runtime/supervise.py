"""Watches the workers of a run: takes what they record, notices what goes wrong, never waits for ever."""

from __future__ import annotations

import contextlib
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from spike_runtime import crew, frames
from spike_runtime.crew import Member, Worker
from spike_runtime.manifest import Manifest, ManifestError
from spike_runtime.pace import Horizon
from spike_runtime.progress import Progress
from spike_runtime.remote import Link, RemoteWorker
from spike_runtime.runfile import Times
from spike_runtime.saving import Saving

if TYPE_CHECKING:
    from spike_runtime.record import Recorder

TICK = 0.1
STOPPED_FOR = 1.0
# A network between hosts is given time to recover.
STUCK_FOR, STUCK_BETWEEN_HOSTS = 3.0, 10.0
STOP_WITHIN = 10.0
# After that, in s without a step and without a message, no state is waited for: a call of Python may hang.
SAVE_WITHIN = 30.0
# How far, in chunks, what one partition recorded may be ahead of the others before it has to wait: bounds
# memory.
AHEAD = 4


class PartitionError(Exception):
    """A partition failed, or the process of several; the message names them and the cause.

    `partition` is the first of them.
    """

    def __init__(self, partitions: Sequence[int], cause: str, details: str = "", host: str = "") -> None:
        super().__init__(f"{_named(partitions)} {f'on host {host} ' * bool(host)}{cause}")
        self.partition, self.details = partitions[0], details


def _named(partitions: Sequence[int]) -> str:
    """How messages call the partitions of a process."""
    if len(partitions) == 1:
        return f"partition {partitions[0]}"
    first, last = partitions[0], partitions[-1]
    if len(partitions) > 2 and last - first == len(partitions) - 1:
        return f"the process of partitions {first} to {last}"
    return f"the process of partitions {', '.join(map(str, partitions[:-1]))} and {last}"


@dataclass
class Signals:
    """The signal that asked the run to stop, if one came, and how many."""

    number: int = 0
    count: int = 0
    first: float = 0.0

    def note(self, number: int, _frame: FrameType | None) -> None:
        self.number, self.count, self.first = number, self.count + 1, self.first or time.monotonic()

    @property
    def overdue(self) -> bool:
        """Whether the run was asked to stop so long ago that who has not stopped by now is given up."""
        return bool(self.count) and time.monotonic() - self.first > STOP_WITHIN


@contextlib.contextmanager
def caught_signals() -> Iterator[Signals]:
    """Ctrl-C and SIGTERM are noted instead of ending this process: it has results to write first."""
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    previous = {number: signal.signal(number, signals.note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@dataclass(eq=False)
class Supervisor:
    """The run while it runs.  All waiting is in `_serve`, which also watches."""

    manifest: Manifest
    signals: Signals
    local: list[Worker] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    recorder: Recorder | None = None
    last: int = 0  # the last step of the run
    times: dict[int, Times] = field(default_factory=dict)
    saving: Saving | None = None  # where the state is to be saved
    _kills: int = field(default_factory=crew.kernel_kills)
    _checked: float = 0.0
    # When each worker was last seen to go on, and its steps then: to ask the system takes 0.1 ms.
    _going: dict[int, tuple[float, list[int]]] = field(default_factory=dict)
    _moved: tuple[float, list[list[int]]] = (0.0, [])
    # When something was last seen of the workers after they were asked to stop, and their steps then.
    _seen: tuple[float, list[list[int]]] = (0.0, [])
    # Messages that were received but not looked at yet: kept where one of them says that the run has failed.
    _inbox: deque[tuple[Worker | RemoteWorker, frames.Frame]] = field(default_factory=deque)

    @property
    def workers(self) -> list[Worker | RemoteWorker]:
        """All workers, here and on other hosts."""
        return [*self.local, *(worker for link in self.links for worker in link.workers)]

    def prepare(self, told: Callable[[str, float], None] | None = None) -> bool:
        """Wait until all are ready and connected; False where a signal came before.

        `told` is given what is compiled, in words, about ten times per second, and for how many s so far.
        Raises `PartitionError`; `ManifestError` where the files of a partition are not those of the manifest.
        """
        start = shown = time.monotonic()

        def finished() -> bool:
            nonlocal shown
            if told and (now := time.monotonic()) - shown > TICK:
                shown = now
                told(self._compiling(), now - start)
            return self._all("ready") or bool(self.signals.count)

        self._serve(finished)
        if self.signals.count:
            return False
        ends = [pair for w in self.workers for pair in zip(w.partitions, w.endpoints, strict=False)]
        if ends:
            self._tell("connect", endpoints=[endpoint for _, endpoint in sorted(ends)])
            self._serve(lambda: self._all("connected") or bool(self.signals.count))
        return not self.signals.count

    def _compiling(self) -> str:
        """Which program is compiled, and what of it; several may be at the same time."""
        busy = [worker for worker in self.workers if worker.state == "starting"]
        done = len(self.manifest.partitions) - sum(len(w.partitions) - w.compiling[0] for w in busy)
        _, kernel, kernels = busy[0].compiling if busy else (0, 0, 0)
        program = f"program {done + 1} of {len(self.manifest.partitions)}" if busy else ""
        if kernel < kernels:
            return f"{program}, kernel {kernel + 1} of {kernels}"
        return program + (f", the step that calls its {kernels} kernels" if kernels else "")

    def adopt(self, state: Sequence[dict[str, NDArray[Any]]], step: int) -> bool:
        """Let all take the state of their partitions after `step`; False where a signal came before.

        Raises as `prepare`.
        """
        for worker in self.workers:
            for partition in worker.partitions:
                for name, array in state[partition].items():
                    frames.send_array(worker.tell, partition, name, array)
            worker.tell("state")
            worker.recorded = dict.fromkeys(worker.partitions, step)
        self._serve(lambda: self._all("adopted") or bool(self.signals.count))
        return not self.signals.count

    @property
    def _chunk(self) -> int:
        """One chunk for all: who is ahead by some waits, and must not wait for one that waits for it."""
        return min(worker.chunk for worker in self.workers)

    def run(
        self, recorder: Recorder, steps: int, progress: Callable[[Progress], None] | None, begin: int = 0
    ) -> None:
        """Let the workers go on after step `begin`, up to `steps`, and record until all are done, or a signal
        came and all have stopped: after the same step, where the state is saved.
        """
        self.recorder, self.last = recorder, steps
        horizon = Horizon(begin, steps) if self.saving else None
        start = time.monotonic()
        self._moved = (start, [])
        self._tell("go", chunk=self._chunk)
        for worker in self.workers:
            worker.state = "running"
        shown = start

        def finished() -> bool:
            nonlocal shown
            if horizon and self.signals.count < 2:
                self._lead(horizon)
            elif self.signals.count:
                self.stop()
            done = self._all("done") or self.signals.count > 1 or self._late()
            if progress and (done or time.monotonic() - shown > TICK):
                shown = time.monotonic()
                step = max(begin, min(step for worker in self.workers for step in worker.progress))
                step = min(step, steps) - begin
                progress(Progress(step, steps - begin, self.manifest.dt, shown - start))
            return done

        self._serve(finished)
        for worker in self.workers:
            if worker.complete < self.last and not self.signals.count:
                raise PartitionError(worker.partitions, f"stopped of itself at step {worker.complete}")

    def _late(self) -> bool:
        """Whether the workers, which were asked to stop, are waited for no longer."""
        if not self.signals.overdue or not self.saving:
            return self.signals.overdue
        steps = [worker.progress for worker in self.workers]
        if steps != self._seen[1]:
            self._seen = (time.monotonic(), steps)
        if time.monotonic() - self._seen[0] < SAVE_WITHIN:
            return False
        self.saving.failure = f"no step ended, and nothing was given of it, in {SAVE_WITHIN:g} s"
        return True

    def _lead(self, horizon: Horizon) -> None:
        """Tell all workers how far they may go: no further than they must, once a signal came."""
        done = min(max(worker.complete, min(worker.progress)) for worker in self.workers)
        changed = False
        if self.signals.count and not horizon.ended:
            horizon.end(max((wire.window for wire in self.manifest.wires), default=1))
            self.last, changed = horizon.last, True
        if changed or horizon.look(done, time.monotonic()):
            self._tell("until", may=horizon.may, last=horizon.last)

    def close(self) -> None:
        """Let all workers end; they have nothing more to do."""
        self._tell("close")

    def stop(self) -> None:
        """Ask all workers to stop at the border of a step."""
        for worker in self.workers:
            worker.stop()

    def salvage(self, seconds: float) -> None:
        """After a failure: stop all, and take for a short while what the others still recorded."""
        self.stop()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not all(
            w.closed or w.state in ("done", "failed") for w in self.workers
        ):
            self._listen(limit=False)
            while self._inbox:
                worker, frame = self._inbox.popleft()
                if frame.kind == "recorded":
                    self._take(worker, frame)
                elif frame.kind in ("done", "failed"):
                    worker.state = frame.kind

    def _all(self, state: str) -> bool:
        return all(worker.state == state for worker in self.workers)

    def _tell(self, kind: str, **values: Any) -> None:
        for worker in self.workers:
            worker.tell(kind, **values)

    def _serve(self, finished: Callable[[], bool]) -> None:
        """Take messages and watch the processes until `finished`."""
        while not finished():
            self._listen(limit=True)
            while self._inbox:
                self._take(*self._inbox.popleft())
                # Not before: to take a state may have to wait for the disk.
                self._seen = (time.monotonic(), self._seen[1])
            for worker in self.workers:
                if worker.closed:
                    self._ended(worker)
            if time.monotonic() - self._checked > TICK:
                self._checked = time.monotonic()
                for link in self.links:
                    link.keep()
                self._check_stopped()
                self._check_stuck()

    def _listen(self, limit: bool) -> None:
        """Collect messages of all workers; where `limit`, not of those that are too far ahead: of these only
        that they are gone.
        """
        running = [worker.complete for worker in self.workers if worker.state != "done"]
        farthest = min(running, default=0) + AHEAD * self._chunk
        open_ = [w for w in self.workers if not w.closed]
        # One that has asked all others to stop has failed, and says why.
        listened = [w for w in open_ if not limit or w.complete <= farthest or w.stops]
        links = {link.fileno(): link for link in self.links if not link.closed}
        poll = select.poll()
        heard = {worker.fileno() for worker in listened} | set(links)
        for descriptor in heard.union(worker.fileno() for worker in open_):
            poll.register(descriptor, select.POLLIN if descriptor in heard else 0)
        # A link says much that is not for those who are listened to: it is always heard.
        held = any(isinstance(worker, RemoteWorker) and worker.queue for worker in listened)
        ready = {descriptor for descriptor, _ in poll.poll(0 if held else TICK * 1000)}
        for descriptor in ready & set(links):
            links[descriptor].receive()
        for worker in open_:
            if worker in listened if isinstance(worker, RemoteWorker) else worker.fileno() in ready:
                self._inbox += ((worker, frame) for frame in worker.read())

    def _take(self, worker: Worker | RemoteWorker, frame: frames.Frame) -> None:
        values = frame.values
        if frame.kind == "recorded" and self.recorder:
            for block in worker.blocks(frame):
                self.recorder.add(block)
            worker.took(values["partition"], values["step"])
            self.recorder.complete(values["partition"], values["step"])
        elif frame.kind == "ready":
            worker.state, worker.chunk, worker.endpoints = "ready", values["chunk"], values["endpoints"]
            worker.attach(values["recordings"])
        elif frame.kind == "compiling":
            worker.compiling = values["done"], values["kernel"], values["kernels"]
        elif frame.kind == "done":
            worker.state = "done"
            found = (Times(**times) for times in values["times"])
            self.times |= dict(zip(worker.partitions, found, strict=True))
        elif frame.kind == "array" and self.saving:
            self.saving.take(frame)
        elif frame.kind == "kept" and self.saving:
            self.saving.complete(**values)
        elif frame.kind == "failed":
            self._refuse(worker, values["reason"], values["cause"], values["partition"])
        else:
            worker.state = frame.kind

    def _refuse(self, worker: Worker | RemoteWorker, reason: str, cause: str, partition: int) -> None:
        worker.state = "failed"
        if reason == "input":
            there = isinstance(worker, RemoteWorker)
            cause += "; copy its folder there" * (there and cause.endswith("compile the model again"))
            raise ManifestError(f"on host {worker.host}: {cause}" if there else cause)
        verb = {"memory": "ran", "wire": "lost a connection:"}.get(reason, "failed:")
        raise self._error(worker, f"{verb} {cause}", worker.log_tail(), [partition])

    def _ended(self, worker: Worker | RemoteWorker) -> None:
        if isinstance(worker, RemoteWorker):
            for frame in worker.read():  # it may have said why
                self._take(worker, frame)
        cause = worker.how_it_ended(crew.kernel_kills() > self._kills)
        if worker.state == "running":
            step = min(worker.progress)
            cause += (
                f"; it was at step {step} ({step * self.manifest.dt:g} s), and what it recorded "
                f"after step {worker.complete} is lost"
            )
        raise self._error(worker, cause, worker.log_tail())

    def _error(
        self, worker: Member, cause: str, details: str = "", partitions: Sequence[int] = ()
    ) -> PartitionError:
        """`partitions`: those to blame, where not all of the worker are."""
        worker.state = "failed"
        return PartitionError(partitions or worker.partitions, cause, details, worker.host)

    def _check_stopped(self) -> None:
        """A process that was stopped never answers; one that goes on again within a second is forgiven."""
        for worker in self.workers:
            last = self._going.get(worker.partitions[0])
            if not last or last[1] != worker.progress or not worker.is_stopped():
                self._going[worker.partitions[0]] = time.monotonic(), worker.progress
            elif time.monotonic() - last[0] > STOPPED_FOR:
                step = min(worker.progress)
                raise self._error(worker, f"was stopped (SIGSTOP) at step {step} and did not go on")

    def _check_stuck(self) -> None:
        """All wait for messages and none has come for long: one was lost on its way."""
        steps = [worker.progress for worker in self.workers]
        running = [w for w in self.workers if w.state == "running"]
        waiting = [(w, wait) for w in running if (wait := w.waits_for)]
        if steps != self._moved[1] or not waiting or not all(w.waits for w in running):
            self._moved = (time.monotonic(), steps)
            return
        if time.monotonic() - self._moved[0] < (STUCK_BETWEEN_HOSTS if self.links else STUCK_FOR):
            return
        worker, (number, step) = min(waiting, key=lambda pair: pair[1][1])
        wire = self.manifest.wires[number]
        lost = "which was lost"
        sender = next(w.host for w in self.workers if wire.source in w.partitions)
        if sender != worker.host:
            lost = f"which did not come: is the network from host {sender} to {worker.host} gone?"
        raise self._error(
            worker,
            f"waits for the message of step {step} on wire {number} (partition {wire.source} to partition "
            f"{wire.target}), {lost}",
            partitions=[wire.target],
        )
