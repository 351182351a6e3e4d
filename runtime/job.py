"""What the supervisor tells a worker before it starts: one JSON object."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

ENGINE = "spike_runtime.engine:Engine"
TRANSPORTS = ("ring", "ipc", "tcp")


@dataclass(frozen=True)
class Job:
    """One partition of one run.

    run: a random number in hexadecimal that marks the frames of this run; bind: where the partition receives,
    "" for rings; core: the core to stay on, if any; engine: "module:name" of what runs the program.
    """

    manifest: str
    partition: int
    steps: int
    seed: int | None
    transport: str
    run: str
    bind: str
    core: int | None
    engine: str = ENGINE

    def dump(self) -> str:
        return json.dumps(asdict(self))


def load_job(text: str) -> Job:
    """The job that `Job.dump` wrote."""
    return Job(**json.loads(text))
