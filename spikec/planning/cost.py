"""The cost model: ns per step of atoms and of whole partitions, from a host profile.  Pure functions.

neurons     per atom, neuron, neuron x dimension, neuron x decoded row (or per row of a neuron that spikes,
            where rows are gathered), rounded sum; an atom's last vector of neurons counts as a whole one,
            and costs more where it is none; plus what has to come from outside the cache (see `memory`)
others      per element, entry or function, by kind of stage; plus every call of an Op
exchange    per message and word sent or received, plus what of the latency of the wires is waited for
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from spike_runtime import manifest as mf
from spike_runtime.parsing import parsed

from spikec import graph as g
from spikec.planning import products
from spikec.planning.activity import COUNT, atom_spikes, atom_table, expected_spikes
from spikec.planning.memory import walk
from spikec.planning.profile import HostProfile, Kernels, costs_of
from spikec.program import layout as la
from spikec.program.atoms import GATHER_ROWS
from spikec.program.stages import VECTOR

# Of that of populations (see `spike_runtime.ops.cells`).
DRIVE = 8
# Stages with one cost per element of an array; and the array that has one element for every output.
_PER_ELEMENT: dict[type[la.Stage], tuple[str, str]] = {
    la.Decoded: ("decoded", "rows"),
    la.Lowpass: ("lowpass", "source"),
    la.Delays: ("delay", "sources"),
    la.NoiseSources: ("noise", "keys"),
}
_OUTPUTS: dict[type[la.Stage], str] = {
    **{kind: array for kind, (_, array) in _PER_ELEMENT.items()},
    la.StateSpace: "sources",
    la.Constants: "value",
    la.Tables: "columns",
    la.Draws: "columns",
}
_FUNCTIONS = "sqrt exp log sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh"
_TRANSCENDENTAL = frozenset(_FUNCTIONS.split())
# ns of a function that a host call runs: nobody knows what it does; a line of Python with a small array takes
# about so long.
HOST_CALL = 5_000.0
# What numbers of some distributions take, in numbers of our own noise (26 ns on one machine).
DRAWN = {"gaussian": 0.55, "sphere": 0.6, "exponential": 0.5, "uniform": 0.2, "root_beta": 5, "cosine": 5}


def atom_cost(atom: g.Atom, graph: g.Graph, profile: HostProfile, dtype: str) -> float:
    """ns per step of one atom, while its arrays are in the cache."""
    neuron = atom.neurons.neuron
    rows = atom.decoded
    gather = rows >= GATHER_ROWS and neuron.spiking
    activity = None in atom.rows
    table = np.array([[atom.size, atom.neurons.dims, rows, gather, activity]])
    spikes = np.zeros(1)
    if gather:
        spikes[0] = expected_spikes(atom, graph.dt)
    return _neurons(table, spikes, _kind(profile.kernels[dtype], neuron.kind), np.dtype(dtype).itemsize)


def _kind(kernels: Kernels, kind: str) -> Mapping[str, float]:
    """Costs of a kind of neuron; of the dearest that is known, where the profile is older than the kind."""
    best, next_best = costs_of(kind)
    known = kernels.neurons.get(best) or kernels.neurons.get(next_best)
    return known or max(kernels.neurons.values(), key=lambda costs: costs["neuron"])


def _neurons(
    table: NDArray[np.int64], spikes: NDArray[np.float64], cost: Mapping[str, float], itemsize: int
) -> float:
    """ns of atoms given as rows of (count, dims, rows, gather, activity), with the spikes in each per
    step.
    """
    count, dims, rows, gather, activity = table.T.astype(np.float64)
    rest = -count % (VECTOR // itemsize)
    count += rest
    dense = (1 - gather) * rows
    ns = (
        cost["atom"] * len(table)
        + cost["rest"] * np.count_nonzero(rest)
        + cost["neuron"] * count.sum()
        + cost["dimension"] * (count * dims).sum()
        + cost["input"] * dims.sum()
        + cost["row"] * (count * dense).sum()
        + cost["sum"] * rows.sum()
        + cost["scan"] * (count * gather).sum()
        + cost["gathered"] * (spikes * rows).sum()
        + cost["activity"] * (count * activity).sum()
    )
    return float(ns)


# Name of the transport of all wires, or of those between a partition and the one of that number.
Transport = str | Callable[[int], str]


def layout_cost(
    layout: la.Layout, profile: HostProfile, transport: Transport = "ring", slack: float = 0.0
) -> mf.Cost:
    """Predicted ns per step of a partition: own work by kind of stage, and the exchange with what of its
    latency is more than `slack` (see `exchange_cost`).
    """
    kernels = profile.kernels[layout.dtype]
    compute: dict[str, float] = {"step": kernels.stages["step"] + kernels.stages["sum"] * layout.sums}
    for stage in layout.stages:
        kind = type(stage).__name__
        compute[kind] = compute.get(kind, 0.0) + stage_cost(stage, kernels)
    compute["NeuronGroup"] = compute.get("NeuronGroup", 0.0) + walk([layout]).far(kernels, profile.cache)
    compute["Join"] = _joins(layout, kernels)
    return mf.Cost(
        {kind: round(ns, 1) for kind, ns in sorted(compute.items()) if ns},
        round(exchange_cost(layout, profile, transport, slack), 1),
    )


def step_time(costs: Sequence[mf.Cost], profile: HostProfile, transport: str) -> float:
    """ns per step of all partitions together on one host.

    With a core for each, that of the slowest.  With fewer cores, neighbours work in turn: by rings in one
    process for each core, where some go on while messages for others are on their way; by sockets with a
    change of process for each, which takes about as long as a message.
    """
    slowest, count, cores = max(c.total for c in costs), len(costs), profile.cores
    if count <= cores:
        return slowest
    latency = profile.wires[transport]["latency"]
    if transport != "ring":
        return max(slowest, sum(c.total + latency for c in costs) / cores)
    work = [c.total - min(c.exchange, latency) for c in costs]
    shares = [sum(work[k * count // cores : (k + 1) * count // cores]) for k in range(cores)]
    return max(slowest, max(shares) + min(latency, max(c.exchange for c in costs)))


def exchange_cost(layout: la.Layout, profile: HostProfile, transport: Transport, slack: float = 0.0) -> float:
    """ns per step of a partition's messages, one for every window, and of waiting for the last to arrive.

    slack: ns for which messages may travel before somebody waits for them.
    """
    wires: dict[str, list[int]] = {}
    for other, rows in (*layout.send.items(), *layout.receive.items()):
        name = transport if isinstance(transport, str) else transport(other)
        wires.setdefault(name, []).append(len(rows))
    if not wires:
        return 0.0
    copied = layout.sums + len(layout.late) if len(layout.late) else 0
    kernels = profile.kernels[layout.dtype]
    messages = max(0.0, max(profile.wires[name]["latency"] for name in wires) - slack)
    messages += sum(profile.wires[name]["message"] * len(words) for name, words in wires.items())
    moved = sum(profile.wires[name]["word"] * sum(words) for name, words in wires.items())
    return messages / layout.window + moved + kernels.stages["sum"] * copied


def rest_cost(layout: la.Layout, profile: HostProfile) -> float:
    """ns per step of a partition's neurons that no message waits for."""
    return sum(stage_cost(stage, profile.kernels[layout.dtype]) for stage in layout.rest)


def stage_cost(stage: la.Stage, kernels: Kernels) -> float:
    """ns per step of one stage, with the call of its Op; neurons as if all was in the cache."""
    if isinstance(stage, la.Constants):
        return 0.0
    if isinstance(stage, la.NeuronGroup):
        work = _neurons(
            atom_table(stage),
            atom_spikes(stage),
            _kind(kernels, stage.kind),
            stage.joined["bias"].dtype.itemsize,
        )
    elif isinstance(stage, (la.CellGroup, la.Projections)):
        work = _cells(stage) * kernels.neurons["lif"]["neuron"]
    elif isinstance(stage, la.HostCalls):
        work = HOST_CALL * stage.operators
    elif isinstance(stage, la.Draws):  # all of a vector is drawn, whatever is needed of it
        each = kernels.stages["noise"] * DRAWN.get(stage.kind, 1.0)
        work = each * float(stage.arrays["table"][:, 0].sum())
    elif isinstance(stage, la.Expressions):
        return _expressions(stage, kernels.stages)
    else:
        work = sum(kernels.stages[name] * count for name, count in _counts(stage).items())
    return float(kernels.stages["op"] * call(stage) + work)


def call(stage: la.Stage) -> float:
    """What a call of an Op takes, in those of Ops that give a new vector; others work in place."""
    return IN_PLACE if isinstance(stage, WORK_IN_PLACE) else 1.0


# As the calibration counts them (see `spike_runtime.calibrate_program`): 8 ns and 34 ns on one machine.
IN_PLACE = 0.25
WORK_IN_PLACE = (la.NeuronGroup, la.StateValues, la.Lowpass, la.Traces, la.Recording, la.Events)


# What populations at the level of synapses take, in updates of a LIF neuron in float32, which every profile
# holds: a neuron, its drive, a spike that arrives at one target.  Measured on one machine (1.0, 1.8 and 0.8
# ns).
CELL, DRIVEN, SYNAPSE = 4.6, 8.3, 3.7


def _cells(stage: la.CellGroup | la.Projections) -> float:
    if isinstance(stage, la.Projections):
        return SYNAPSE * sum(part.events for part in stage.parts)
    atoms = stage.arrays["atoms"]
    driven = atoms[atoms[:, DRIVE] >= 0, COUNT]
    return CELL * float(atoms[:, COUNT].sum()) + DRIVEN * float(driven.sum())


def _counts(stage: la.Stage) -> dict[str, float]:
    """How often a stage has each cost of `STAGE_COSTS`."""
    a = stage.arrays
    match stage:
        case la.StateSpace():
            orders, sizes = a["filters"][:, 0], a["filters"][:, 1]
            multiply = float((sizes * orders**2).sum())
            return {"filter": len(orders), "filter_element": float(sizes.sum()), "filter_multiply": multiply}
        case la.Tables():
            return {"table": len(a["tables"]), "table_element": len(a["columns"])}
        case la.Linear():
            return products.linear(a["panels"], a["values"].itemsize)
        case la.LearnedProducts() | la.Learning() | la.Changes() | la.Traces():
            return products.learned(stage)
        case la.Recording():
            elements = a["columns"] if "columns" in a else a["neurons"]
            return {"record": len(elements) / float(a["every"][0])}
        case la.StateValues():
            return {"record": float(a["table"][:, 3].sum())}
        case la.Events():
            return {"events": float(a["sources"][:, 1].sum())}
    for kind, (cost, array) in _PER_ELEMENT.items():
        if isinstance(stage, kind):
            return {cost: len(a[array])}
    return {}


def _expressions(stage: la.Expressions, cost: Mapping[str, float]) -> float:
    arithmetic, transcendental = np.sum([operations(e) for e in stage.outputs], axis=0)
    each = cost["arithmetic"] * arithmetic + cost["transcendental"] * transcendental
    each += cost["argument"] * stage.arguments + cost["output"] * stage.width
    # Gathering the arguments is a call of its own.
    return float(cost["expression"] * (1 + (stage.arguments > 0)) + each * stage.operators)


@lru_cache(maxsize=4096)
def operations(source: str) -> tuple[int, int]:
    """How many arithmetic and how many transcendental operations an expression in PyTensor source takes."""
    arithmetic = transcendental = 0
    for node in ast.walk(parsed(source, mode="eval")):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            transcendental += name in _TRANSCENDENTAL
            arithmetic += name not in _TRANSCENDENTAL
        elif isinstance(node, ast.BinOp):
            costly = isinstance(node.op, ast.Pow) and not _small_power(node.right)
            transcendental += costly
            arithmetic += not costly
        elif isinstance(node, ast.UnaryOp):
            arithmetic += 1
    return arithmetic, transcendental


def _small_power(exponent: ast.expr) -> bool:
    return isinstance(exponent, ast.Constant) and exponent.value in (0, 1, 2, 3, 4)


def _joins(layout: la.Layout, kernels: Kernels) -> float:
    """Joining vectors into `before` and `values`: the latter again after every level that has more than sums
    of products, which are appended, with a copy of what was there.  One vector alone is taken as it is.
    """
    cost = kernels.stages

    def joined(sizes: Sequence[int]) -> float:
        return cost["op"] + cost["join"] * sum(sizes) if len(sizes) > 1 else 0.0

    vectors = [len(layout.decoded.arrays["rows"])] if layout.decoded else []
    vectors += [len(layout.carried)] if len(layout.carried) else []
    ns = IN_PLACE * cost["op"] + cost["carried"] * len(layout.carried) if len(layout.carried) else 0.0
    ns += joined(vectors) if layout.memory or layout.learning else 0.0
    before = sum(vectors)
    if layout.late_products:
        ns += joined([before, outputs(layout.late_products)])
        before += outputs(layout.late_products)
    values = [outputs(s) for s in layout.memory]
    ns += joined([before, *values]) if layout.learning else 0.0
    values += [outputs(s) for s in layout.sources]
    for level in (*layout.levels, ()):
        ns += joined(values)
        size = sum(values)
        products = sum(outputs(s) for s in level if isinstance(s, la.Linear))
        ns += cost["join"] * size * any(isinstance(s, la.Linear) for s in level)
        others = [outputs(s) for s in level if not isinstance(s, la.Linear)]
        values = [*([size + products] if values or products else []), *(count for count in others if count)]
    return ns


def outputs(stage: la.Stage) -> int:
    """How many numbers a stage adds to the vector of signals."""
    match stage:
        case la.Linear():
            return len(stage.arrays["order"])
        case la.Expressions():
            return stage.operators * stage.width
        case la.LearnedProducts():
            return int(stage.arrays["table"][:, 3].sum())
        case la.Changes():
            return int(stage.arrays["matrices"][:, 1:3].prod(axis=1).sum())
        case la.NeuronGroup() | la.StateValues():
            return 0
    array = _OUTPUTS.get(type(stage))
    return len(stage.arrays[array]) if array else 0
