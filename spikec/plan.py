"""The plan of a compilation, frozen: what is where, what it will cost, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spike_runtime import manifest as mf
from spikec import graph as g
from spikec import layout as la
from spikec.cost import layout_cost
from spikec.partition import assign
from spikec.profile import HostProfile
from spikec.schedule import Assignment, Recorded, schedule


@dataclass(frozen=True, eq=False)
class Plan:
    assignment: Assignment
    layouts: list[la.Layout]
    recorded: list[Recorded]
    costs: list[mf.Cost]

    def summary(self) -> dict[str, Any]:
        return {}


def make_plan(graph: g.Graph, n: int | str, profile: HostProfile, dtype: str, transport: str = "ring") -> Plan:
    assignment = assign(graph, 1 if n == "auto" else int(n), profile, dtype, transport)
    layouts, recorded = schedule(graph, assignment, dtype)
    return Plan(assignment, layouts, recorded, [layout_cost(x, profile, transport) for x in layouts])
