"""Run a graph in this process, for tests of what programs compute."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from spike_runtime import manifest as mf
from spike_runtime.session import Session

from spikec import graph as g
from spikec.pipeline import Options, passes
from spikec.planning import hypergraph
from spikec.planning.partition import assigned
from spikec.program.emit import emit
from spikec.program.schedule import Assignment, schedule
from spikec.verify import verify


def prepared(graph: g.Graph) -> g.Graph:
    """All passes up to the split into atoms."""
    for _, apply in passes(Options()):
        graph = verify(apply(graph))
    return graph


def run_split(
    graph: g.Graph, partitions: int, dtype: str, steps: int, deal: int = 1, compiled: bool | None = None
) -> dict[str, np.ndarray]:
    """Probe data of a split graph by probe name; atoms are dealt to partitions in runs of `deal`.

    Values: samples x columns.  Spikes: rows (step, neuron), sorted.  `compiled`: whether programs are
    compiled; None: where that is faster.
    """
    atoms = {name: (k // deal) % partitions for k, (name, _) in enumerate(graph.nodes(g.Atom))}
    probes = {name: k % partitions for k, (name, _) in enumerate(graph.nodes(g.Probe))}
    return run_assigned(graph, Assignment(partitions, atoms, probes), dtype, steps, compiled=compiled)


def grouped(graph: g.Graph, partitions: int) -> Assignment:
    """Atoms that must share a partition do; such groups are dealt one after the other."""
    who = hypergraph.reads(graph)
    hyper = hypergraph.hypergraph(graph, who, {name: 1.0 for name, _ in graph.nodes(g.PLACED)})
    blocks = [k % partitions for k in range(len(hyper.groups))]
    return assigned(graph, partitions, who, hyper, blocks)


def run_assigned(
    graph: g.Graph,
    assignment: Assignment,
    dtype: str,
    steps: int,
    compiled: bool | None = None,
) -> dict[str, np.ndarray]:
    """As `run_split`, with the partition of every atom and probe given."""
    partitions = assignment.partitions
    layouts, recorded = schedule(graph, assignment, dtype)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "build"
        manifest = emit(graph, layouts, recorded, dict, [mf.Cost({}, 0.0)] * partitions, home, "test")
        session = Session(manifest, home, compiled=compiled)
        try:
            session.advance(steps)
            return session.drain()
        finally:
            session.close()


def run(graph: g.Graph, partitions: int, dtype: str, steps: int) -> dict[str, np.ndarray]:
    """As `run_split`, for a graph as it comes from a front end."""
    return run_split(prepared(graph), partitions, dtype, steps)
