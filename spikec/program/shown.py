"""State of neurons as signals: the stages that put it into sums, one for each group of which some is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from spikec import graph as g
from spikec.nef.neurons import LIF
from spikec.program import layout as la
from spikec.program.membranes import REST, scales
from spikec.program.stages import ints


def state_values(
    groups: Iterable[la.NeuronGroup | la.CellGroup], graph: g.Graph, sum_rows: Mapping[str, int]
) -> Iterator[la.StateValues]:
    """What of the state of these neurons is read as a signal, as `spike_runtime.ops.states` has it."""
    for group in groups:
        rows, scaled = [], []
        for path, first in group.members.items():
            atom = graph.op(path)
            for name in atom.targets:
                if isinstance(op := graph.op(name), g.StateValue):
                    place, scale = variable(group, op.variable, atom, graph.dt)
                    row = sum_rows[name] + atom.start
                    rows.append((place, first, row, atom.size, int(scale is not None)))
                    scaled.append(scale or (0.0, 0.0, 0.0))
        if rows:
            arrays = {"table": ints(rows), "scales": np.array(scaled)}
            yield la.StateValues(f"{group.name}_shown", arrays, {}, len(rows), group.name)


def variable(
    group: la.NeuronGroup | la.CellGroup, name: str, atom: g.Atom, dt: float
) -> tuple[int, tuple[float, float, float] | None]:
    """The row of a group's state that holds a variable, and what makes times of it where it is a rest."""
    if name != "refractory_time" or name in group.rows:
        return group.rows.index(name), None
    assert isinstance(atom.neurons.neuron, LIF)
    return group.rows.index(REST), scales(atom.neurons.neuron, dt)
