"""Solving spread over processes.

Processes rather than threads: a small solve is some thirty short NumPy calls, and two threads passing the
interpreter lock to and fro were measured to be slower than one.  They are forked, so that all that is to be
solved is there already, and put what they find into memory that they share: nothing is sent but the numbers
of chunks.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikec.graph import Array
from spikec.nef.blas import one_thread
from spikec.nef.solvers import memory
from spikec.nef.system import Workspace
from spikec.nef.tasks import Solved, Task, flat_size, flatten, run, unflatten
from spikec.nef.tuning import point_count
from spikec.store import Store

_WORTH_A_PROCESS = 5e8  # operations; some 10 ms, which is what starting a process costs
_CHUNKS_PER_PROCESS = 8  # so that processes finish together, and progress shows
_MOST_POINTS = 30_000  # numbers in the evaluation points of a chunk
_NUMBER = struct.Struct("=i")  # of a chunk, in a pipe
_MOST_CHUNKS = 8192  # whose numbers a pipe holds

Report = Callable[[int], None]


def run_all(tasks: Sequence[Task], jobs: int | None, report: Report) -> list[Solved]:
    """Outcomes of the tasks in their order; `report(done)` is called as they come."""
    if not tasks:
        return []
    processes = _processes(tasks, jobs)
    chunks = _chunks(tasks, processes)
    outcomes: list[Solved | None] = [None] * len(tasks)
    done = 0
    with one_thread():
        for chunk, solved in _spread(tasks, chunks, processes):
            for k, outcome in zip(chunk, solved, strict=True):
                outcomes[k] = outcome
                done += 1
                report(done)
    return [outcome for outcome in outcomes if outcome is not None]


Chunk = list[int]


def _chunks(tasks: Sequence[Task], processes: int) -> list[Chunk]:
    """Tasks of one description, up to a share of the work: their numbers."""
    share = sum(_work(task) for task in tasks) / (processes * _CHUNKS_PER_PROCESS)
    share = max(share, sum(_work(task) for task in tasks) / _MOST_CHUNKS)
    kinds: dict[bytes, Chunk] = {}
    for k, task in enumerate(tasks):
        kinds.setdefault(task.description, []).append(k)
    chunks = []
    for members in kinds.values():
        task = tasks[members[0]]
        points = max(1, point_count(task.op, task.op.eval_points) * task.op.dims)
        most = max(1, min(int(share / _work(task)), _MOST_POINTS // points))
        chunks += [members[first : first + most] for first in range(0, len(members), most)]
    return chunks


def _spread(
    tasks: Sequence[Task], chunks: Sequence[Chunk], processes: int
) -> Iterator[tuple[Chunk, list[Solved]]]:
    """Every chunk with its outcomes; this process works too, and on what no other has finished."""
    pool = _Pool(tasks, chunks)
    try:
        pool.start(processes - 1)
        while (k := pool.next()) is not None:
            yield chunks[k], pool.solve(k)
            yield from ((chunks[other], pool.solved(other)) for other in pool.finished())
        yield from ((chunks[other], pool.solved(other)) for other in pool.finished(wait=True))
    finally:
        pool.stop()
    # A process was killed, most likely for want of memory, or met a mistake of the user.
    for k in sorted(pool.missing):
        yield chunks[k], pool.solve(k)


@dataclass
class _Pool:
    """Processes that take the numbers of chunks from one pipe and put those that they solved into another."""

    tasks: Sequence[Task]
    chunks: Sequence[Chunk]

    def __post_init__(self) -> None:
        self.workspace = Workspace()
        self.missing = set(range(len(self.chunks)))
        self.children: list[int] = []
        store = Store()
        sizes = [sum(flat_size(self.tasks[i]) for i in chunk) for chunk in self.chunks]
        self.numbers: list[Array] = [store.array((size,), np.float64) for size in sizes]
        self.todo, put = os.pipe()
        os.set_blocking(put, False)
        os.write(put, b"".join(map(_NUMBER.pack, range(len(self.chunks)))))
        os.close(put)
        self.done, self.tell = os.pipe()

    def start(self, count: int) -> None:
        for _ in range(count):
            child = os.fork()
            if child == 0:
                self._work()
            self.children.append(child)
        os.close(self.tell)

    def _work(self) -> None:
        """The life of a forked process; it ends here, and leaves what its parent would tidy up alone."""
        with suppress(BaseException):
            parent = os.getppid()
            while (k := self.next()) is not None and os.getppid() == parent:
                if all(not solved.diagnostics for solved in self.solve(k)):
                    os.write(self.tell, _NUMBER.pack(k))
        os._exit(0)

    def next(self) -> int | None:
        """The number of a chunk that nobody has begun; None where none is left."""
        number = os.read(self.todo, _NUMBER.size)
        return int(_NUMBER.unpack(number)[0]) if number else None

    def solve(self, k: int) -> list[Solved]:
        """Outcomes of a chunk, which are put where all processes see them."""
        outcomes = run([self.tasks[i] for i in self.chunks[k]], self.workspace)
        self.missing.discard(k)
        if any(outcome.diagnostics for outcome in outcomes):
            return outcomes
        for outcome, (_, numbers) in zip(outcomes, self._places(k), strict=True):
            flatten(outcome, numbers)
        return self.solved(k)

    def _places(self, k: int) -> Iterator[tuple[Task, Array]]:
        """The tasks of a chunk, and the memory for what is found."""
        first = 0
        for task in (self.tasks[i] for i in self.chunks[k]):
            yield task, self.numbers[k][first : first + flat_size(task)]
            first += flat_size(task)

    def solved(self, k: int) -> list[Solved]:
        """Outcomes of a chunk that some process has solved."""
        self.missing.discard(k)
        return [unflatten(task, numbers) for task, numbers in self._places(k)]

    def finished(self, wait: bool = False) -> Iterator[int]:
        """Chunks that other processes have solved since; with `wait` until all have ended."""
        os.set_blocking(self.done, wait)
        with suppress(BlockingIOError):
            while number := os.read(self.done, _NUMBER.size):
                yield int(_NUMBER.unpack(number)[0])

    def stop(self) -> None:
        """End all processes; those that are done have ended already."""
        for child in self.children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for pipe in (self.todo, self.done):
            os.close(pipe)


def _processes(tasks: Sequence[Task], jobs: int | None) -> int:
    """How many processes: those asked for or one per core, as far as work and memory go round."""
    wanted = len(os.sched_getaffinity(0)) if jobs is None and hasattr(os, "sched_getaffinity") else jobs
    if sys.platform != "linux":
        return 1
    worth = 1 + int(sum(_work(task) for task in tasks) / _WORTH_A_PROCESS)
    useful = min(wanted or os.cpu_count() or 1, len(tasks), worth)
    if useful == 1:
        return 1
    largest = max(_bytes(task) for task in tasks)
    return max(1, min(useful, int(_available() * 0.5 // largest)))


def _available() -> int:
    """Bytes of memory that Linux could give away."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))


def _work(task: Task) -> float:
    """Operations of a task, roughly: activities, Gram matrix, and what every ensemble costs."""
    neurons, points = task.op.size, point_count(task.op, task.op.eval_points)
    gram = points * neurons * min(points, neurons, 1000) if task.decodings else 0.0
    return 2e6 + 2.0 * gram + 200.0 * points * neurons if task.decodings else 1.0


def _bytes(task: Task) -> int:
    return memory(task.op.size, point_count(task.op, task.op.eval_points)) if task.decodings else 1
