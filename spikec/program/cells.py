"""The stages of populations at the level of synapses: lists of spikes, projections, neurons."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec import projections as pj
from spikec.nef.neurons import DeltaLIF, unit
from spikec.program import layout as la
from spikec.program.shown import state_values
from spikec.program.stages import Ints, ints, joined

if TYPE_CHECKING:
    import scipy.sparse as sp

Atoms = Sequence[tuple[str, g.Atom]]


def stages(
    atoms: Atoms, graph: g.Graph, places: Callable[[str], Ints], sum_rows: dict[str, int], dtype: str,
    rate: dict[str, float],
) -> tuple[la.Stage, ...]:  # fmt: skip
    """The stages of a partition's cells; none where it has none.  rate: expected, by list of spikes."""
    if not atoms:
        return ()
    projections = list(dict.fromkeys(p for path, _ in atoms for p in graph.inputs(path, "arriving")))
    lists = _lists(graph)
    group = _group(atoms, graph, places, sum_rows, dtype, lists)
    delivered = _projections(projections, graph, group, lists, rate)
    return lists, delivered, group, *state_values([group], graph, sum_rows)


def _spikes(graph: g.Graph, atom: str) -> list[str]:
    """The list that an atom's spikes are part of, where somebody reads it."""
    return [reader for reader, _ in graph.readers(atom) if isinstance(graph.op(reader), pj.Spikes)]


def _lists(graph: g.Graph) -> la.SpikeLists:
    """A row of the history holds the numbers of spikes of all populations, then room for all of them to
    spike; every partition numbers all populations alike.
    """
    names = [name for name, _ in graph.nodes(pj.Spikes)]
    delays = [op.steps for _, op in graph.nodes(pj.Projection)]
    sizes = [graph.op(name).size for name in names]
    firsts = len(sizes) + np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    history = np.zeros((max(delays, default=1), int(firsts[-1])), np.int32)
    numbers = {name: k for k, name in enumerate(names)}
    return la.SpikeLists("spikes", {"firsts": firsts[:-1]}, {"history": history}, len(names), numbers)


# ------------------------------------------------------------------------------------------ projections


def _projections(
    names: list[str], graph: g.Graph, group: la.CellGroup, lists: la.SpikeLists, rate: dict[str, float]
) -> la.Projections:
    """One row for each projection; what the synapses are is drawn when the arrays are written."""
    rows, parts, first, weights = [], [], 0, 0
    for name in names:
        op: pj.Projection = graph.op(name)
        scale, shift = pj.exponent(_all_arriving(name, graph)), 0
        weight, own = round(op.weight * 2.0**scale), -1
        if isinstance(op.rule, pj.Pairs):
            # Weights of their own take 32 bits each, in units that fit the largest.
            shift, own = max(0, scale + math.ceil(math.log2(op.largest or 1.0)) - 30), weights
        rows.append((op.steps, lists.numbers[graph.inputs(name)[0]], first, weight, own, shift))
        runs = tuple(
            (graph.op(atom).start, graph.op(atom).start + graph.op(atom).size, group.members[atom])
            for atom, _ in graph.readers(name)
            if atom in group.members
        )
        targets = sum(stop - start for start, stop, _ in runs)
        parts.append(
            la.Part(op, runs, scale - shift, targets * op.per_target * rate[graph.inputs(name)[0]] * graph.dt)
        )
        first += op.sources + 1
        weights += _synapses(op, runs) if own >= 0 else 0
    neurons = group.state["neurons"].shape[1]
    arriving = la.zeros(neurons, np.int64)
    table = ints(rows).reshape(-1, 6)
    return la.Projections("synapses", {"table": table}, {"arriving": arriving}, len(names), tuple(parts))


def _all_arriving(projection: str, graph: g.Graph) -> list[pj.Projection]:
    """All projections that lead to the population that this one leads to."""
    atom = graph.readers(projection)[0][0]
    return [graph.op(name) for name in graph.inputs(atom, "arriving")]


def _synapses(op: pj.Projection, runs: Sequence[tuple[int, int, int]]) -> int:
    """How many synapses of a list lead to some runs of targets."""
    assert isinstance(op.rule, pj.Pairs)
    bounds = np.searchsorted(op.rule.targets, [(start, stop) for start, stop, _ in runs])
    return int((bounds[:, 1] - bounds[:, 0]).sum())


def adjacency(stage: la.Projections) -> dict[str, NDArray[Any]]:
    """pointers, targets and weights of all synapses that lead to a partition, sorted by source (see
    `spike_runtime.ops.spikes.Deliver`).
    """
    pointers, targets, weights = [], [], []
    first = 0
    kind = np.uint16 if stage.state["arriving"].size <= 1 << 16 else np.uint32
    for part in stage.parts:
        made = _by_source(part)
        pointers.append(first + made.indptr.astype(np.int64))
        targets.append(made.indices.astype(kind))
        if isinstance(part.op.rule, pj.Pairs):
            weights.append(np.rint(made.data * 2.0**part.exponent).astype(np.int32))
        first += made.indices.size
    return {
        "pointers": joined(pointers, np.int64),
        "targets": joined(targets, kind),
        "weights": joined(weights, np.int32),
    }


def _by_source(part: la.Part) -> sp.csc_array:
    """The synapses of a projection as a matrix, numbers of neurons in the partition x sources, by columns.

    Repeated entries are synapses of their own and stay.
    """
    import scipy.sparse as sp

    drawn = [part.op.draw(start, stop) for start, stop, _ in part.runs]
    counts = np.concatenate([d.counts for d in drawn])
    sources = np.concatenate([d.sources for d in drawn]).astype(np.int32)
    weights = [d.weights for d in drawn if d.weights is not None]
    data = np.concatenate(weights) if weights else np.ones(len(sources), np.int8)
    numbers = np.concatenate([first + np.arange(stop - start) for start, stop, first in part.runs])
    rows = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    if rows[-1] < 1 << 31:
        rows = rows.astype(np.int32)  # half the memory of the conversion
    by_source = sp.csr_array((data, sources, rows), shape=(len(numbers), part.op.sources)).tocsc()
    by_source.indices = numbers[by_source.indices]
    return by_source


# ---------------------------------------------------------------------------------------------- neurons


def _group(
    atoms: Atoms, graph: g.Graph, places: Callable[[str], Ints], sum_rows: dict[str, int], dtype: str,
    lists: la.SpikeLists,
) -> la.CellGroup:  # fmt: skip
    """The neurons, for `spike_runtime.ops.cells.Cells`."""
    chances = _Chances(graph.dt)
    rows, parameters, keys, members = [], [], [], {}
    n = 0
    for path, atom in atoms:
        cells = atom.neurons
        assert isinstance(cells, pj.Cells)
        spikes = _spikes(graph, path)
        number = lists.numbers[spikes[0]] if spikes else -1
        place = int(lists.arrays["firsts"][number]) if spikes else 0
        currents = graph.inputs(path, "J")
        current = int(places(currents[0])[atom.start]) if currents else -1
        rows.append((n, atom.size, atom.start, number, place, current,
                     *_activity(atom, graph, sum_rows), *chances.of(cells.drive)))  # fmt: skip
        scale = pj.exponent([graph.op(p) for p in graph.inputs(path, "arriving")])
        parameters.append(_parameters(cells, scale, graph.dt))
        keys.append(_key(cells, atom.start))
        members[path] = n
        n += atom.size
    kind = atoms[0][1].neurons.neuron.kind
    arrays = {
        "atoms": ints(rows),
        "parameters": np.array(parameters, dtype),
        "keys": np.array(keys, np.uint64),
        "chances": joined(chances.chances, np.uint32),
        "aliases": joined(chances.aliases, np.int32),
    }
    state = {"neurons": la.zeros((len(DeltaLIF.state), n), dtype)}
    return la.CellGroup(kind, arrays, state, len(atoms), kind, DeltaLIF.state, members)


def _parameters(cells: pj.Cells, exponent: int, dt: float) -> tuple[float, ...]:
    """As `spike_runtime.ops.cells.PARAMETERS` lists them."""
    neuron = cells.neuron
    assert isinstance(neuron, DeltaLIF)
    decay = math.exp(-dt / neuron.tau_m)
    constant = -math.expm1(-dt / neuron.tau_m) * float(cells.bias[0])
    weight = cells.drive.weight if cells.drive else 0.0
    steps = float(round(neuron.tau_ref / dt))
    return (2.0**-exponent, decay, neuron.threshold, neuron.reset, steps, constant, weight)


def _activity(atom: g.Atom, graph: g.Graph, sum_rows: dict[str, int]) -> tuple[int, int]:
    """Row of the sum that takes the activity (-1: none), and its units per spike."""
    target = next((t for t, rows in zip(atom.targets, atom.rows, strict=True) if rows is None), None)
    if target is None:
        return -1, 0
    per_spike = unit(atom.neurons.neuron, graph.dt) * 2.0 ** graph.op(target).exponent
    return sum_rows[target] + atom.start, round(per_spike)


def _key(cells: pj.Cells, start: int) -> int:
    digest = hashlib.sha256(f"{cells.seed}\0{cells.path}\0drive {start}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


class _Chances:
    """Tables of Poisson numbers, one for each mean: Walker's alias method, with 32 bits for every chance."""

    def __init__(self, dt: float) -> None:
        self.dt = dt
        self.chances: list[NDArray[np.uint32]] = []
        self.aliases: list[NDArray[np.int32]] = []
        self.known: dict[float, tuple[int, int]] = {}

    def of(self, drive: pj.Poisson | None) -> tuple[int, int]:
        """First row of the table of a drive (-1: no drive), and log2 of its rows."""
        if drive is None or drive.rate == 0:
            return -1, 0
        mean = drive.rate * self.dt
        if mean not in self.known:
            first = sum(len(c) for c in self.chances)
            chance, alias = alias_table(poisson(mean))
            self.chances.append(chance)
            self.aliases.append(alias)
            self.known[mean] = first, len(chance).bit_length() - 1
        return self.known[mean]


def poisson(mean: float) -> NDArray[np.float64]:
    """Probabilities of the numbers 0, 1, ... below a power of 2, beyond which less than 2 ** -32 is left."""
    most = int(mean + 12 * math.sqrt(mean) + 12)
    k = np.arange(1 << most.bit_length())
    log = k * math.log(mean) - mean - np.array([math.lgamma(i + 1) for i in k])
    p = np.asarray(np.exp(log), np.float64)
    return np.asarray(p / p.sum(), np.float64)


def alias_table(p: NDArray[np.float64]) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """(chance, alias) of Vose (1991), IEEE Trans Softw Eng 17:972: row k, taken with equal probability,
    gives k with chance[k] / 2 ** 32, else alias[k].
    """
    scaled = (p * len(p)).tolist()
    alias = list(range(len(p)))
    small = [k for k, value in enumerate(scaled) if value < 1]
    large = [k for k, value in enumerate(scaled) if value >= 1]
    while small and large:
        less, more = small.pop(), large.pop()
        alias[less] = more
        scaled[more] -= 1 - scaled[less]
        (small if scaled[more] < 1 else large).append(more)
    for k in small + large:
        scaled[k] = 1.0
    chance = np.minimum(np.rint(np.array(scaled) * 2.0**32), 2.0**32 - 1).astype(np.uint32)
    return chance, np.array(alias, np.int32)
