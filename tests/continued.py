"""Run a graph in this process up to a step, take its state, and go on from it, perhaps at another cut."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from spike_runtime import manifest as mf
from spike_runtime import statemap
from spike_runtime.session import Session
from spike_runtime.statemap import Arrays, StateMap

from spikec import graph as g
from spikec.planning.partition import whole
from spikec.program.emit import emit
from spikec.program.schedule import Assignment, schedule
from spikec.program.state import state_map
from spikec.sessions import prepared


@contextmanager
def session(graph: g.Graph, assignment: Assignment, dtype: str) -> Iterator[tuple[Session, StateMap]]:
    """A session of a split graph, cut so, which is not compiled, and the map of its state."""
    layouts, recorded = schedule(graph, assignment, dtype)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "build"
        costs = [mf.Cost({}, 0.0)] * assignment.partitions
        manifest = emit(graph, layouts, recorded, dict, costs, home, "test")
        made = Session(manifest, home, compiled=False)
        for engine in made._engines:
            engine.remember()
        try:
            yield made, statemap.load(manifest, home)
        finally:
            made.close()


def go_on(made: Session, places: StateMap, state: Arrays, step: int) -> None:
    """Let a session that has not begun go on from the state after `step`."""
    for engine, arrays in zip(made._engines, places.scatter(state, step), strict=True):
        engine.adopt(arrays, step)
    made.steps = made._drained = step


def run(
    graph: g.Graph,
    assignment: Assignment,
    dtype: str,
    steps: int,
    state: Arrays | None = None,
    first: int = 0,
) -> tuple[dict[str, np.ndarray], Arrays]:
    """What steps first + 1 .. first + steps record, and the state after them."""
    with session(graph, assignment, dtype) as (made, places):
        if state is not None:
            go_on(made, places, state, first)
        for _ in range(steps):  # one by one: a single partition would run many at once
            made.advance(1)
        return made.drain(), places.gather([engine.portable() for engine in made._engines])


def named(graph: g.Graph) -> list[tuple[str, str, Any]]:
    """Kind, name and shape of every array in saved states of a graph."""
    graph = prepared(graph)
    layouts, _ = schedule(graph, whole(graph), "float64")
    found = json.loads("".join(state_map(graph, layouts)))["arrays"]
    return sorted((kind, name, shape) for kind, name, shape, _ in found)
