"""The workers of one host: the memory that they share, the process that they are forked from, and they."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

from spike_runtime import crew
from spike_runtime.crew import Worker
from spike_runtime.job import Job, Task
from spike_runtime.manifest import Manifest
from spike_runtime.wires import segment as shared
from spike_runtime.wires.layout import SPIN_ALONE, SPIN_SHARED, prepare, segment_layout


def start(task: Task, manifest: Manifest, stack: contextlib.ExitStack) -> Iterator[Worker]:
    """Start the workers of a task, one after another; each is ended when `stack` closes, also where a later
    one cannot be started.

    Partitions that exchange by rings share one segment, others have one each.
    Raises `OSError` where no worker can be started, `MemoryError` where there is no room for the wires.
    """
    count = len(task.partitions)
    alone = not task.bind and count <= len(crew.allowed_cores())
    cores = [None] * count if task.bind else crew.idle_cores(count)
    nursery = crew.Nursery(task.engine)
    stack.callback(nursery.end)
    for local in [task.partitions] if task.transport == "ring" else [(p,) for p in task.partitions]:
        layout = segment_layout(manifest, local if task.bind else None)
        descriptor = shared.create(layout.words)
        stack.callback(os.close, descriptor)
        segment = shared.attach(descriptor, layout.words)
        prepare(segment, SPIN_ALONE if alone else SPIN_SHARED)
        for partition in local:
            job = Job(
                manifest=task.manifest,
                partition=partition,
                local=local,
                steps=task.steps,
                seed=task.seed,
                run=task.run,
                bind=f"{task.bind}{partition}" if task.transport == "ipc" else task.bind,
                core=cores[task.partitions.index(partition)],
                scratch=f"{tempfile.gettempdir()}/spike-{task.run[:16]}-{partition}",
                engine=task.engine,
            )
            worker = nursery.start(job, segment, descriptor)
            stack.callback(worker.end)
            yield worker
