"""What each of Nengo's operators is in the graph, where it is something there; the rest runs as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from nengo.builder import Model, Operator
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Copy, Reset, SimPyFunc
from nengo.builder.probe import SimProbe
from nengo.builder.processes import SimProcess

from spikec import graph as g
from spikec.nef.neurons import NeuronType
from spikec.nengo import processes
from spikec.nengo.learning import Learning, learning
from spikec.nengo.linear import Linear, linear
from spikec.nengo.neurons import neuron_type
from spikec.nengo.pieces import pieces
from spikec.nengo.processes import Synapse
from spikec.nengo.signals import Ints, Table, is_time, places, whole
from spikec.records import dataclass
from spikec.tracing.functions import Traced, trace


@dataclass(frozen=True, eq=False)
class Preset:
    """target[rows] = value."""

    rows: Ints
    value: float


Form: TypeAlias = Preset | Linear | Traced | Synapse | g.Table | NeuronType | Learning


def streams(order: Sequence[Operator], seed: int) -> dict[Operator, np.random.RandomState]:
    """The random numbers of every process, drawn from those of the simulator in the order of steps, as Nengo
    does; none where an operator of another's making could have drawn some in between.
    """
    rng = np.random.RandomState(seed)
    found = {}
    for op in order:
        if isinstance(op, SimProcess):
            found[op] = op.process.get_rng(rng)
        elif not type(op).__module__.startswith("nengo."):
            return {op: stream for op, stream in found.items() if op.process.seed is not None}
    return found


def forms(model: Model, order: Sequence[Operator], table: Table, seed: int) -> dict[Operator, Form]:
    """The form of every operator that has one."""
    random = streams(order, seed)
    read = _read_states(order, table)
    found: dict[Operator, Form] = dict(learning(order, table))
    for op in order:
        if op in found or is_time(op) or isinstance(op, SimProbe) or op in read:
            continue
        form = _form(op, model, table, random)
        if form is not None:
            found[op] = form
    return found


def _form(
    op: Operator, model: Model, table: Table, random: dict[Operator, np.random.RandomState]
) -> Form | None:
    match op:
        case Reset():
            return Preset(places(op.dst).ravel(), op.value)
        case SimNeurons() if type(op) is SimNeurons and whole(op.J) and whole(op.output):
            return neuron_type(op)
        case SimProcess() if type(op) is SimProcess and whole(op.output):
            found = processes.synapse(op, model.dt)
            if found is not None or op not in random:
                return found
            shape = op.output.shape
            written = pieces(op.process, op.output.size, model.dt) if op.mode == "set" else None
            return written or processes.table(
                op, model.dt, lambda: op.process.make_step((0,), shape, model.dt, random[op], {})
            )
        case SimPyFunc() if type(op) is SimPyFunc and op.output is not None and whole(op.output):
            arguments = None if op.x is None else op.x.size
            return trace(op.fn, op.t_passed, arguments, op.output.size)
    return linear(op, table) if type(op).__module__.startswith("nengo.") else None


def _read_states(order: Sequence[Operator], table: Table) -> set[Operator]:
    """Operators whose state others than probes read or write: only their outputs are signals of the graph."""
    found = set()
    for op in order:
        if isinstance(op, (SimNeurons, SimProcess)):
            for signal in op.state.values():
                uses = table.of[signal.base]
                readers = [r for r in uses.reads if not isinstance(r, SimProbe) and not picks(r, table)]
                if readers or uses.writers != [op] or signal.is_view:
                    found.add(op)
    return found


def picks(op: Operator, table: Table) -> bool:
    """Whether an operator only picks elements for a probe, as Nengo does for a list of them or a step."""
    if type(op) is not Copy or op.inc or op.dst.is_view or op.dst_slice is not None:
        return False
    uses = table.of[op.dst]
    return uses.writers == [op] and all(isinstance(reader, SimProbe) for reader in uses.reads)
