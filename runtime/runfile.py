"""`run.json`: what a run was, how it ended, and the times it took; kept apart from the results' bytes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

RUN_FILE, STORE = "run.json", "data.zarr"


def group_name(probe: str) -> str:
    """Name of a probe's group in the store: the probe's, with what a path cannot hold escaped."""
    name = quote(probe, safe=" []()+-=,.:@")
    if name.startswith("__"):
        return "%5F" + name[1:]
    return name if name.strip(".") else name.replace(".", "%2E")


class RunError(Exception):
    """A run directory cannot be made or read; the message says why and what to do."""


class RecordError(Exception):
    """Results cannot be written; the message names the probe, the file and the cause."""


class RunFailedError(Exception):
    """A run ended before its time; the message names partition and cause, `run` holds what was recorded.

    `partition` is the first of those to blame, None where there is none.
    """

    def __init__(self, message: str, partition: int | None, run: Any, details: str = "") -> None:
        super().__init__(message)
        self.partition, self.run, self.details = partition, run, details


@dataclass(frozen=True)
class Times:
    """Measured wall-clock time of one partition in ns: own work, exchange, waiting for others, recording.

    displaced: how much of it something else ran on the core of its worker, where the system says so.
    """

    steps: int
    compute: float
    exchange: float
    waiting: float
    recording: float
    displaced: float = 0.0

    @property
    def total(self) -> float:
        return self.compute + self.exchange + self.waiting + self.recording

    def per_step(self) -> dict[str, float]:
        """us per step by kind."""
        kinds = ("compute", "exchange", "waiting", "recording")
        return {kind: getattr(self, kind) / max(1, self.steps) / 1e3 for kind in kinds}


@dataclass(frozen=True)
class RunFile:
    """Contents of `run.json`.

    status: "running", "complete", "stopped" (by a signal) or "failed"; then `cause` says why, and `partition`
    where, if that is known.  steps: asked for; recorded: steps that the results hold.  start: the step that
    it went on after, 0 where it began anew.  wall: seconds from the first step to the last; recorder: seconds
    of processor time that this process took to record meanwhile.  not_finite: probes with a sample that is no
    finite number, and the step of the first.  state: the file that the state was saved to, "" where there is
    none; state_step: the step after which that is.  notes: what was not taken of the state that it began
    with.  parameters: those that the model was compiled with, as in the manifest.
    """

    model: str
    manifest: str
    manifest_sha256: str
    seed: int
    dt: float
    steps: int
    transport: str
    probes: tuple[str, ...]
    pid: int
    status: str = "running"
    cause: str = ""
    partition: int | None = None
    recorded: int = 0
    start: int = 0
    wall: float = 0.0
    recorder: float = 0.0
    not_finite: dict[str, int] = field(default_factory=dict)
    times: tuple[Times, ...] = field(default=())
    state: str = ""
    state_step: int = 0
    notes: tuple[str, ...] = ()
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def span(self) -> tuple[float, float]:
        """Seconds after which the results begin, and with which they end."""
        return self.start * self.dt, (self.start + self.recorded) * self.dt


def save(run: RunFile, folder: Path) -> None:
    """Write `run.json`, whole or not at all."""
    scratch = folder / (RUN_FILE + ".new")
    scratch.write_text(json.dumps(asdict(run), indent=1) + "\n", encoding="utf-8")
    os.replace(scratch, folder / RUN_FILE)


def load(folder: Path) -> RunFile:
    """Read `run.json`; raises `RunError`.  A run whose process is gone without a word is "failed"."""
    try:
        body: dict[str, Any] = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        times = tuple(Times(**entry) for entry in body.pop("times"))
        lists = {name: tuple(body.get(name, ())) for name in ("probes", "notes")}
        run = RunFile(**(body | lists | {"times": times}))
    except OSError as error:
        raise RunError(
            f"{folder} is not a run ({RUN_FILE}: {error.strerror}); make one with spike-run"
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunError(f"{folder / RUN_FILE} is damaged: {error}; run again") from None
    if run.status == "running" and not _alive(run.pid):
        return replace(run, status="failed", cause="spike-run itself ended without a word (killed?)")
    return run


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
