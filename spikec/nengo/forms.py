"""What each of Nengo's operators is in the graph, where it is something there; the rest runs as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MethodType
from typing import Any, TypeAlias

import numpy as np
from nengo.builder import Model, Operator, Signal
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Copy, Reset, SimPyFunc
from nengo.builder.probe import SimProbe
from nengo.builder.processes import SimProcess
from nengo.neurons import RatesToSpikesNeuronType
from nengo.params import Parameter

from spikec import graph as g
from spikec.nef.neurons import NeuronType
from spikec.nengo import pointers, processes
from spikec.nengo.learning import Learning, learning
from spikec.nengo.linear import Linear, linear
from spikec.nengo.neurons import around, neuron_type
from spikec.nengo.noise import Random, noise, seed_of
from spikec.nengo.pieces import pieces
from spikec.nengo.processes import Synapse
from spikec.nengo.signals import Ints, Table, holds, is_time, places, whole
from spikec.records import dataclass
from spikec.sharing import families
from spikec.tracing.functions import Traced, trace


@dataclass(frozen=True, eq=False)
class Preset:
    """target[rows] = value."""

    rows: Ints
    value: float


Form: TypeAlias = Preset | Linear | Traced | Synapse | g.Table | Random | NeuronType | Learning


def seeds(order: Sequence[Operator], seed: int) -> dict[Operator, int]:
    """The seed of every process, drawn with that of the simulator in the order of steps, as Nengo does; none
    where an operator of another's making could have drawn some in between.
    """
    rng = np.random.RandomState(seed)
    found = {}
    for op in order:
        if isinstance(op, SimProcess):
            own = seed_of(op.process, rng)
            if own is not None:
                found[op] = own
        elif not type(op).__module__.startswith("nengo."):
            return {op: own for op, own in found.items() if op.process.seed is not None}
    return found


def forms(model: Model, order: Sequence[Operator], table: Table, seed: int) -> dict[Operator, Form]:
    """The form of every operator that has one."""
    pointers.complete(order, model.dt)
    random = seeds(order, seed)
    read = _read_states(order, table)
    found: dict[Operator, Form] = dict(learning(order, table))
    for op in order:
        if op in found or is_time(op) or isinstance(op, SimProbe) or op in read:
            continue
        form = _form(op, model, table, random)
        if form is not None:
            found[op] = form
    changing = _changing(order, found)
    return {op: form for op, form in found.items() if op not in changing}


def _changing(order: Sequence[Operator], found: Mapping[Operator, Form]) -> set[Operator]:
    """Functions with a form that may read what Python beside them changes in a step: what operators without
    a form hold.
    """
    python = [item for op in order if op not in found and not is_time(op) for item in holds(op)]
    if not python:
        return set()
    traced = [op for op, form in found.items() if isinstance(form, Traced)]
    read = {op: _read(op, found[op]) for op in traced}
    roots = {tuple(map(id, items)): items for items in read.values()}
    first, *others = families([python, *roots.values()], [()] * (len(roots) + 1), (Signal, Parameter))
    place = dict(zip(roots, others, strict=True))
    return {op for op, items in read.items() if place[tuple(map(id, items))] == first}


def _read(op: Operator, form: Form) -> list[Any]:
    """What an operator holds; of a method that reads nothing of its object, the function alone."""
    if isinstance(op, SimPyFunc) and isinstance(op.fn, MethodType) and not getattr(form, "objects", True):
        return [op.fn.__func__]
    return holds(op)


def _form(op: Operator, model: Model, table: Table, random: dict[Operator, int]) -> Form | None:
    match op:
        case Reset():
            return Preset(places(op.dst).ravel(), op.value)
        case SimNeurons() if type(op) is SimNeurons and whole(op.J) and whole(op.output):
            rates = rates_before(op, table)
            return neuron_type(op) if rates is None else around(op, rates, model)
        case SimProcess() if type(op) is SimProcess and whole(op.output):
            found = processes.synapse(op, model.dt)
            if found is not None or op not in random:
                return found
            return _source(op, model.dt, random[op])
        case SimPyFunc() if type(op) is SimPyFunc and op.output is not None and whole(op.output):
            return traced(op)
    return linear(op, table) if type(op).__module__.startswith("nengo.") else None


def traced(op: SimPyFunc) -> Traced | None:
    """A function as expressions, where it is some."""
    arguments = None if op.x is None else op.x.size
    return trace(op.fn, op.t_passed, arguments, op.output.size, held=True)


def _source(op: SimProcess, dt: float, seed: int) -> Form | None:
    """A process of the time alone, or of random numbers by `seed`."""

    def step() -> Any:
        return op.process.make_step((0,), op.output.shape, dt, np.random.RandomState(seed), {})

    written = pieces(op.process, op.output.size, dt) if op.mode != "update" else None
    return written or noise(op, dt, seed) or processes.table(op, dt, step)


def rates_before(op: SimNeurons, table: Table) -> SimNeurons | None:
    """The operator of neurons that alone sets the rates of which `op` makes spikes, None for others."""
    if not isinstance(op.neurons, RatesToSpikesNeuronType):
        return None
    writers = table.of[op.J.base].writers
    if len(writers) != 1 or type(writers[0]) is not SimNeurons:
        return None
    first = writers[0]
    return first if whole(op.J) and whole(first.J) and whole(first.output) else None


def spikes_after(op: SimNeurons, table: Table) -> SimNeurons | None:
    """The operator of neurons that sends spikes of the rates that `op` sets, None where there is none."""
    readers = (r for r in table.of[op.output.base].reads if isinstance(r, SimNeurons))
    return next((reader for reader in readers if rates_before(reader, table) is op), None)


def states(op: SimNeurons, table: Table) -> dict[str, Signal]:
    """The state variables of neurons, with those of the rates of which they send spikes."""
    rates = rates_before(op, table)
    return {**(rates.state if rates else {}), **op.state}


def _read_states(order: Sequence[Operator], table: Table) -> set[Operator]:
    """Operators whose state others than probes read or write: only their outputs are signals of the graph."""
    found = set()
    for op in order:
        if isinstance(op, (SimNeurons, SimProcess)):
            for signal in op.state.values():
                uses = table.of[signal.base]
                filtered = isinstance(op, SimNeurons)
                readers = [
                    r for r in uses.reads if not _records(r, filtered) and not picks(r, table, filtered)
                ]
                if readers or uses.writers != [op] or signal.is_view:
                    found.add(op)
    return found


def _records(reader: Any, filtered: bool) -> bool:
    """Whether an operator reads state for a probe; or, where that may be `filtered`, is its synapse."""
    if isinstance(reader, SimProcess):
        return filtered and reader.mode == "update"
    return isinstance(reader, SimProbe)


def picks(op: Operator, table: Table, filtered: bool = False) -> bool:
    """Whether an operator only picks elements for a probe, as Nengo does for a list of them or a step; or,
    where these may be `filtered`, for its synapse.
    """
    if type(op) is not Copy or op.inc or op.dst.is_view or op.dst_slice is not None:
        return False
    uses = table.of[op.dst]
    return uses.writers == [op] and all(_records(reader, filtered) for reader in uses.reads)
