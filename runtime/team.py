"""The workers of one host: the memory that they share, the process that they are forked from, and they."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

from spike_runtime import cores, crew
from spike_runtime.crew import Worker
from spike_runtime.job import Job, Task, deal
from spike_runtime.manifest import Manifest
from spike_runtime.wires import segment as shared
from spike_runtime.wires.layout import SPIN_ALONE, SPIN_SHARED, prepare, segment_layout


def processes(partitions: int) -> int:
    """How many processes share the work of so many partitions: one for each core, if there are so many."""
    return min(partitions, cores.core_count())


def start(
    task: Task, manifest: Manifest, stack: contextlib.ExitStack, near: bool = False
) -> Iterator[Worker]:
    """Start the workers of a task, one after another; each is ended when `stack` closes, also where a later
    one cannot be started.

    Partitions that exchange by rings share one segment and the cores: where they are more, a worker has
    several.  Others have a segment and a worker each.  `near`: this process takes what they record, and where
    it is; else it hands on what they say.
    Raises `OSError` where no worker can be started, `MemoryError` where there is no room for the wires.
    """
    rings = task.transport == "ring"
    count = processes(len(task.partitions)) if rings else len(task.partitions)
    alone = not task.bind and count <= len(cores.allowed_cores())
    pinned = [None] * count if task.bind else crew.idle_cores(count)
    nursery = crew.Nursery(task.engine)
    stack.callback(nursery.end)
    for local in [task.partitions] if rings else [(p,) for p in task.partitions]:
        workers = count if rings else 1
        layout = segment_layout(manifest, local if task.bind else None)
        descriptor = shared.create(layout.words)
        stack.callback(os.close, descriptor)
        segment = shared.attach(descriptor, layout.words)
        prepare(segment, SPIN_ALONE if alone else SPIN_SHARED)
        for number, partitions in enumerate(deal(local, workers)):
            job = Job(
                manifest=task.manifest,
                local=local,
                workers=workers,
                number=number,
                steps=task.steps,
                seed=task.seed,
                run=task.run,
                bind=f"{task.bind}{partitions[0]}" if task.transport == "ipc" else task.bind,
                core=pinned[number] if rings else None,
                scratch=f"{tempfile.gettempdir()}/spike-{task.run[:16]}-{partitions[0]}",
                near=near,
                engine=task.engine,
                start=task.start,
                state=task.state,
                save=task.save,
                every=task.every,
            )
            # Python of the model may print, for people to see.
            heard = any(manifest.partitions[p].python for p in job.partitions)
            memory = shared.empty()
            stack.callback(os.close, memory)
            worker = nursery.start(job, segment, descriptor, memory, heard)
            stack.callback(worker.end)
            yield worker
