"""Predictions for other numbers of partitions than the one planned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from spike_runtime import manifest as mf

from spikec.planning.cost import rest_cost, step_time
from spikec.planning.memory import walk
from spikec.planning.profile import HostProfile
from spikec.program import layout as la
from spikec.records import dataclass


class Placed(Protocol):
    """What a number of partitions came to."""

    @property
    def layouts(self) -> tuple[la.Layout, ...]: ...

    @property
    def costs(self) -> tuple[mf.Cost, ...]: ...


@dataclass(frozen=True)
class Prediction:
    """ns per step with so many partitions on so many hosts; `exact`: planned in full, not estimated from
    another number; `cored`: ns per step where each has a core like those that there are.
    """

    partitions: int
    step: float
    exact: bool
    hosts: int = 1
    cored: float | None = None

    def entry(self) -> dict[str, Any]:
        made = {"partitions": self.partitions, "us": round(self.step / 1e3, 3), "exact": self.exact}
        if self.cored is not None and self.cored < self.step:
            made["us_on_cores"] = round(self.cored / 1e3, 3)
        return made | ({"hosts": self.hosts} if self.hosts > 1 else {})


def candidates(n: int, cores: int, limit: int) -> list[int]:
    """Numbers of partitions worth comparing: n, the cores, and powers of 2 up to 16, or twice the cores."""
    powers = [2**k for k in range(11) if 2**k <= max(2 * cores, 16)]
    return sorted({k for k in (*powers, cores, n) if k <= limit} | {1, n})


def estimate(placed: Placed, k: int, profile: HostProfile, transport: str) -> float:
    """ns per step with k partitions, from the plan for another number.

    Neurons divide evenly, with what then fits the cache, around the host calls, which stay in one partition;
    of the rest half divides and half is needed everywhere; every partition exchanges with every other one,
    and the words it needs stay about the same.  Partitions beyond the cores share these and their caches.
    """
    n = len(placed.costs)
    neurons = sum(c.compute.get("NeuronGroup", 0.0) for c in placed.costs)
    calls = sum(c.compute.get("HostCalls", 0.0) for c in placed.costs)
    rest = (sum(sum(c.compute.values()) for c in placed.costs) - neurons - calls) / n
    kernels, walked = profile.kernels[placed.layouts[0].dtype], walk(placed.layouts)
    neurons += k * walked.part(k).far(kernels, profile.cache_of(k))
    neurons -= n * walked.part(n).far(kernels, profile.cache_of(n))
    compute = {"placed": max(calls, (max(neurons, 0.0) + calls) / k), "other": rest * (0.5 + 0.5 * n / k)}
    cost = mf.Cost(compute, _exchange(placed.layouts, k, profile, transport))
    return step_time([cost] * k, profile, transport)


def _exchange(layouts: Sequence[la.Layout], k: int, profile: HostProfile, transport: str) -> float:
    if k == 1:
        return 0.0
    wire = profile.wires[transport]
    received = [sum(len(rows) for rows in layout.receive.values()) for layout in layouts]
    if len(layouts) == 1:
        # Nothing crosses yet: take it that a partition needs half of all sums of the others.
        received = [layouts[0].sums // 2]
    # Of neurons that no message waits for, which hide the latency, each has the less the more there are.
    rest = min(rest_cost(layout, profile) for layout in layouts)
    latency = max(0.0, wire["latency"] - rest * len(layouts) / k)
    messages = latency + 2 * wire["message"] * (k - 1)
    return messages / layouts[0].window + 2 * wire["word"] * max(received)
