"""What recording costs beside the programs of the partitions: handing over, merging, writing to disk."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from spikec import graph as g
from spikec.planning.activity import expected_spikes
from spikec.planning.profile import HostProfile
from spikec.program import layout as la

# Hz, of populations at the level of synapses: what they do is not known before they run.
CELL_RATE = 30.0


def recording_cost(graph: g.Graph, layouts: Iterable[la.Layout], profile: HostProfile) -> float:
    """ns of a processor per step: of every sample, every number in it, and every expected spike."""
    samples = numbers = 0.0
    for layout in layouts:
        for stage in layout.recordings:
            if isinstance(stage, la.Recording):
                every = float(stage.arrays["every"][0])
                samples += len(stage.arrays["slots"]) / every
                numbers += len(stage.arrays["columns" if "columns" in stage.arrays else "neurons"]) / every
    cost = profile.recording
    return cost["sample"] * samples + cost["number"] * numbers + cost["event"] * _spikes(graph)


def _spikes(graph: g.Graph) -> float:
    """Recorded spikes per step, while every ensemble represents 0."""

    @cache  # parts of one population may each have a probe
    def of_all(source: str) -> float:
        atoms = graph.inputs(source, "activity")
        return sum(expected_spikes(graph.op(atom), graph.dt) for atom in atoms)

    count = 0.0
    for name, probe in graph.nodes(g.Probe):
        if probe.attribute == "spikes":
            source = graph.inputs(name, "x")[0]
            if isinstance(graph.op(source), g.ExactSum):
                count += of_all(source) * (probe.size / graph.op(source).size)
            else:
                count += CELL_RATE * graph.dt * probe.size
    return count


def beside(step: float, recording: float, partitions: int, cores: int) -> float:
    """ns per step of partitions that take `step`, with recording, which has its own core or takes theirs.

    Partitions wait for each other: where one gives its core away, all stand still.
    """
    if partitions < cores:
        return max(step, recording)
    return step + recording / (1 if partitions == cores else cores)
