"""What a report holds: partitions, wires and the numbers of a whole plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from spikec.records import dataclass

# A prediction is wrong where a step takes more than so many times as long, or as short.
WRONG = 2.0


@dataclass(frozen=True)
class PartitionReport:
    """One partition: contents, predicted us per step by kind (exchange included), measured us per step or
    None.
    """

    index: int
    host: str
    neurons: int
    atoms: int
    operators: Mapping[str, int]
    predicted: Mapping[str, float]
    measured: Mapping[str, float] | None

    @property
    def predicted_total(self) -> float:
        return sum(self.predicted.values())

    @property
    def work(self) -> float:
        """us per step without waiting for others: measured where it was, else predicted."""
        return self.predicted_total if self.measured_work is None else self.measured_work

    @property
    def measured_work(self) -> float | None:
        """us per step without waiting for others."""
        return None if self.measured is None else sum(us for k, us in self.measured.items() if k != "waiting")


@dataclass(frozen=True)
class WireReport:
    """What one partition sends another: bytes per step, and the signals with most words first."""

    source: int
    target: int
    bytes: int
    signals: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class HostReport:
    """One host of several: its cores and the digest of its profile, its partitions, what it sends to others.

    `bytes` per step on `wires` to other hosts; predicted us per step of its slowest partition.
    """

    name: str
    cores: int
    profile: str
    partitions: tuple[int, ...]
    neurons: int
    wires: int
    bytes: int
    predicted: float


@dataclass(frozen=True)
class PythonReport:
    """Python of the model that a partition calls in every step."""

    partition: int
    calls: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Contents:
    """The plan of a model, and what a run took where one is given: means of so many `steps`.

    displaced: the part of the time in which something else had the core of a partition.
    """

    model: str
    precision: str
    neurons: int
    dt: float
    partitions: tuple[PartitionReport, ...]
    wires: tuple[WireReport, ...]
    window: int
    step_predicted: float
    step_measured: float | None
    recording_predicted: float
    recording_measured: float | None
    balance: float
    cut_bytes: int
    predictions: tuple[Mapping[str, Any], ...]
    slowest: int
    reasons: tuple[str, ...]
    advice: str
    profile: str
    transport: str
    run_transport: str | None
    hosts: tuple[HostReport, ...] = ()
    python: tuple[PythonReport, ...] = ()
    steps: int | None = None
    displaced: float = 0.0
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times as long as predicted a step took; 1 where it was not measured."""
        known = self.step_measured and self.step_predicted
        return self.step_measured / self.step_predicted if self.step_measured and known else 1.0

    @property
    def wrong(self) -> bool:
        """Whether a run has shown the prediction to be wrong: nothing can rest on it then."""
        return not 1 / WRONG <= self.ratio <= WRONG


def short(name: str, letters: int = 28) -> str:
    """A name with its middle left out where it is longer than that: both its ends tell what it is."""
    half = letters // 2
    return name if len(name) <= letters else f"{name[: letters - half - 1]}…{name[-half:]}"
