"""What workers are told before they start: a task for all of one host, a job for each; JSON objects."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import pairwise

ENGINE = "spike_runtime.engine:Engine"
TRANSPORTS = ("ring", "ipc", "tcp")


@dataclass(frozen=True)
class Task:
    """The partitions of one run that are on one host.

    manifest: its file on that host; bind: where they receive from other segments, "" where all partitions
    share one segment; run: a random number in hexadecimal that marks the frames of this run; engine:
    "module:name" of what runs programs.  The run goes on after step `start`, up to `steps`; state: from one
    that it is told; save: it tells its own at the end, and before that
    every so many steps (`every`), if any; then it goes as far as it is told (see `pace`).
    """

    manifest: str
    partitions: tuple[int, ...]
    steps: int
    seed: int | None
    transport: str
    run: str
    bind: str
    engine: str = ENGINE
    start: int = 0
    state: bool = False
    save: bool = False
    every: int = 0


@dataclass(frozen=True)
class Job:
    """The partitions of a task that one worker runs.

    local: the partitions that share its segment, dealt to so many workers, of which this is the one with that
    number; bind: where it receives from others, "" where there are none; core: the core to stay on, if any;
    scratch: a folder to make for what compiling needs; near: samples are recorded in memory that the
    supervisor has too.  The rest as in `Task`.
    """

    manifest: str
    local: tuple[int, ...]
    workers: int
    number: int
    steps: int
    seed: int | None
    run: str
    bind: str
    core: int | None
    scratch: str
    near: bool
    engine: str = ENGINE
    start: int = 0
    state: bool = False
    save: bool = False
    every: int = 0

    @property
    def shares(self) -> tuple[tuple[int, ...], ...]:
        """The partitions of each worker."""
        return deal(self.local, self.workers)

    @property
    def partitions(self) -> tuple[int, ...]:
        """The partitions of this worker."""
        return self.shares[self.number]

    def dump(self) -> str:
        return json.dumps(asdict(self))


def deal(partitions: tuple[int, ...], workers: int) -> tuple[tuple[int, ...], ...]:
    """Partitions as evenly as can be over workers; neighbours, which exchange the most, stay together."""
    count = len(partitions)
    borders = [k * count // workers for k in range(workers + 1)]
    return tuple(partitions[a:b] for a, b in pairwise(borders))


def load_job(text: str) -> Job:
    """The job that `Job.dump` wrote."""
    body = json.loads(text)
    return Job(**(body | {"local": tuple(body["local"])}))


def load_task(body: dict[str, object]) -> Task:
    """The task of which `dataclasses.asdict` made `body`, perhaps by way of JSON."""
    return Task(**(body | {"partitions": tuple(body["partitions"])}))  # type: ignore
