"""What workers are told before they start: a task for those of one host, a job for each; JSON objects."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

ENGINE = "spike_runtime.engine:Engine"
TRANSPORTS = ("ring", "ipc", "tcp")


@dataclass(frozen=True)
class Task:
    """The partitions of one run that are on one host.

    manifest: its file on that host; bind: where they receive from other segments, "" where all partitions
    share one segment; run: a random number in hexadecimal that marks the frames of this run; engine:
    "module:name" of what runs programs.
    """

    manifest: str
    partitions: tuple[int, ...]
    steps: int
    seed: int | None
    transport: str
    run: str
    bind: str
    engine: str = ENGINE


@dataclass(frozen=True)
class Job:
    """One partition of a task.

    local: the partitions that share its segment; bind: where it receives from others, "" where there are
    none; core: the core to stay on, if any; scratch: a folder to make for what compiling needs.
    """

    manifest: str
    partition: int
    local: tuple[int, ...]
    steps: int
    seed: int | None
    run: str
    bind: str
    core: int | None
    scratch: str
    engine: str = ENGINE

    def dump(self) -> str:
        return json.dumps(asdict(self))


def load_job(text: str) -> Job:
    """The job that `Job.dump` wrote."""
    body = json.loads(text)
    return Job(**(body | {"local": tuple(body["local"])}))


def load_task(body: dict[str, object]) -> Task:
    """The task of which `dataclasses.asdict` made `body`, perhaps by way of JSON."""
    return Task(**(body | {"partitions": tuple(body["partitions"])}))  # type: ignore
