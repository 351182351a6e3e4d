"""Tasks spread over processes.

Processes rather than threads: a small solve is a hundred short NumPy calls, and two threads passing the
interpreter lock to and fro were measured to be slower than one.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import psutil

from spikec.nef.blas import one_thread
from spikec.nef.solvers import memory
from spikec.nef.system import Workspace
from spikec.nef.tasks import Built, Task, run
from spikec.nef.tuning import point_count

_WORTH_A_PROCESS = 3e9  # operations; about 50 ms, which is what starting processes costs
_PARTS_PER_PROCESS = 8  # so that processes finish together, and progress shows

_workspace = Workspace()  # of a worker process


def run_all(tasks: Sequence[Task], jobs: int | None, report: Callable[[int], None]) -> list[Built]:
    """Outcomes of the tasks in their order; `report(done)` is called as they come."""
    processes = _processes(tasks, jobs)
    with one_thread():
        outcomes = _here(tasks) if processes < 2 else _spread(tasks, processes)
        results = []
        for outcome in outcomes:
            results.append(outcome)
            report(len(results))
    return results


def _here(tasks: Sequence[Task]) -> Iterator[Built]:
    workspace = Workspace()
    return (run(task, workspace) for task in tasks)


def _spread(tasks: Sequence[Task], processes: int) -> Iterator[Built]:
    parts = _parts(tasks, processes)
    context = multiprocessing.get_context("fork")
    done = 0
    try:
        with ProcessPoolExecutor(processes, context) as pool:
            for part in _results(pool, parts):
                yield from part
                done += len(part)
    except BrokenProcessPool:
        # A worker was killed, most likely for want of memory: one process needs the least of it.
        yield from _here(tasks[done:])


def _results(pool: ProcessPoolExecutor, parts: Sequence[Sequence[Task]]) -> Iterator[list[Built]]:
    try:
        yield from pool.map(_run_part, parts)
    except BaseException:  # an interrupt must not wait for what has not begun
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _run_part(tasks: Sequence[Task]) -> list[Built]:
    return [run(task, _workspace) for task in tasks]


def _parts(tasks: Sequence[Task], processes: int) -> list[Sequence[Task]]:
    """Consecutive tasks of about equal work."""
    share = sum(_work(task) for task in tasks) / (processes * _PARTS_PER_PROCESS)
    parts: list[list[Task]] = [[]]
    work = 0.0
    for task in tasks:
        if work >= share:
            parts.append([])
            work = 0.0
        parts[-1].append(task)
        work += _work(task)
    return list(parts)


def _processes(tasks: Sequence[Task], jobs: int | None) -> int:
    """How many processes: those asked for or one per core, as far as work and memory go round."""
    wanted = len(os.sched_getaffinity(0)) if jobs is None and hasattr(os, "sched_getaffinity") else jobs
    if sys.platform != "linux" or not tasks:
        return 1
    largest = max(_bytes(task) for task in tasks)
    room = max(1, int(psutil.virtual_memory().available * 0.5 // largest))
    worth = 1 + int(sum(_work(task) for task in tasks) / _WORTH_A_PROCESS)
    return min(wanted or os.cpu_count() or 1, len(tasks), room, worth)


def _work(task: Task) -> float:
    """Operations of a task, roughly: activities, Gram matrix, and what every ensemble costs."""
    neurons, points = task.op.size, point_count(task.op, task.op.eval_points)
    gram = points * neurons * min(points, neurons, 1000) if task.decodings else 0.0
    return 2e7 + 2.0 * gram + 200.0 * points * neurons


def _bytes(task: Task) -> int:
    return memory(task.op.size, point_count(task.op, task.op.eval_points)) if task.decodings else 1
