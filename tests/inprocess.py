"""Run a graph in this process: one engine a thread, for tests of what programs compute."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import numpy as np
from spike_runtime import manifest as mf
from spike_runtime.engine import Engine
from spike_runtime.wires import ring

from spikec import graph as g
from spikec.pipeline import Options, passes
from spikec.program.emit import emit
from spikec.program.schedule import Assignment, schedule
from spikec.verify import verify


def prepared(graph: g.Graph) -> g.Graph:
    """All passes up to the split into atoms."""
    for _, apply in passes(Options()):
        graph = verify(apply(graph))
    return graph


def run_split(
    graph: g.Graph, partitions: int, dtype: str, steps: int, deal: int = 1
) -> dict[str, np.ndarray]:
    """Probe data of a split graph by probe name; atoms are dealt to partitions in runs of `deal`.

    Values: samples x columns.  Spikes: rows (step, neuron), sorted.
    """
    atoms = {name: (k // deal) % partitions for k, (name, _) in enumerate(graph.nodes(g.Atom))}
    probes = {name: k % partitions for k, (name, _) in enumerate(graph.nodes(g.Probe))}
    return run_assigned(graph, Assignment(partitions, atoms, probes), dtype, steps)


def run_assigned(
    graph: g.Graph, assignment: Assignment, dtype: str, steps: int, overlap: bool = False
) -> dict[str, np.ndarray]:
    """As `run_split`, with the partition of every atom and probe given."""
    partitions = assignment.partitions
    layouts, recorded = schedule(graph, assignment, dtype, overlap)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "build"
        manifest = emit(graph, layouts, recorded, {}, [mf.Cost({}, 0.0)] * partitions, home, "test")
        return _collect(manifest, _run(manifest, home, steps), steps)


def run(graph: g.Graph, partitions: int, dtype: str, steps: int) -> dict[str, np.ndarray]:
    """As `run_split`, for a graph as it comes from a front end."""
    return run_split(prepared(graph), partitions, dtype, steps)


def _run(manifest: mf.Manifest, home: Path, steps: int) -> list[list]:
    layout = ring.segment_layout(manifest)
    segment = np.zeros(layout.words, np.int64)
    ring.prepare(segment, 1000, 10)
    engines = [Engine(manifest, home, p, segment, layout) for p in range(len(manifest.partitions))]
    blocks: list[list] = [[] for _ in engines]
    errors: list[BaseException] = []

    def go(index: int) -> None:
        try:
            step = 1
            while step <= steps:
                step += engines[index].run(step, steps - step + 1)
                blocks[index] += engines[index].drain()
        except BaseException as error:
            errors.append(error)
            segment[0] = 1

    threads = [threading.Thread(target=go, args=(k,)) for k in range(len(engines))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return blocks


def _collect(manifest: mf.Manifest, blocks: list[list], steps: int) -> dict[str, np.ndarray]:
    result = {}
    for number, probe in enumerate(manifest.probes):
        mine = [b for partition in blocks for b in partition if b.probe == number]
        parts = [np.concatenate([b.data for b in mine if b.part == k]) for k in range(len(probe.parts))]
        if probe.kind == "events":
            result[probe.name] = np.stack(np.divmod(np.sort(np.concatenate(parts)), probe.size), axis=1)
        elif probe.kind == "sum":
            total = np.zeros((steps // probe.every, probe.size), np.int64)
            for part, data in zip(probe.parts, parts, strict=True):
                total[:, np.concatenate([np.arange(a, b) for a, b in part.ranges])] += data
            result[probe.name] = (total * 2.0 ** -np.array(probe.exponents, float)).astype(manifest.precision)
        else:
            whole = np.full((steps // probe.every, probe.size), np.nan, manifest.precision)
            for part, data in zip(probe.parts, parts, strict=True):
                columns = np.concatenate([np.arange(a, b) for a, b in part.ranges])
                whole[:, columns] = data
            result[probe.name] = whole
    return result
