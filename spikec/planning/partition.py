"""The partitioner: which partition every atom is in.

The hypergraph goes to Mt-KaHyPar (deterministic: the same result for any number of threads); blocks are
then numbered
by their first atom.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import mtkahypar
import numpy as np

from spikec import graph as g
from spikec.errors import model_error
from spikec.planning import hypergraph as hg
from spikec.planning.cost import atom_cost
from spikec.planning.profile import HostProfile
from spikec.program.schedule import Assignment

EPSILON = 0.03
SEED = 1
# Weights are integers: in units of this part of the average vertex.
RESOLUTION = 1000


def assign(graph: g.Graph, n: int, profile: HostProfile, dtype: str, transport: str = "ring") -> Assignment:
    """Partitions 0 .. n - 1 for all atoms and for probes of values, balanced by cost with few words on wires.

    Raises `ModelError` where there are fewer atoms (or groups that must stay together) than partitions.
    """
    who = hg.reads(graph)
    made = hg.hypergraph(graph, who, vertex_costs(graph, profile, dtype))
    return place(graph, n, who, made, profile.wires[transport]["word"])


def vertex_costs(graph: g.Graph, profile: HostProfile, dtype: str) -> dict[str, float]:
    """ns per step of every atom, with what is recorded of it."""
    costs = {name: atom_cost(op, graph, profile, dtype) for name, op in graph.nodes(g.Atom)}
    stages = profile.kernels[dtype].stages
    for probe, op in graph.nodes(g.Probe):
        for source, port in graph.input_ports(probe):
            atoms = [source] if port == "neurons" else graph.inputs(source, "activity")
            each = stages["events"] if op.attribute == "spikes" else stages["record"] / op.every
            costs.update({a: costs[a] + each * graph.op(a).size for a in atoms if _recorded_with_atoms(op)})
    return costs


def _recorded_with_atoms(probe: g.Probe) -> bool:
    """Whether every atom's partition records its own neurons."""
    return probe.attribute not in ("value", "input")


def place(graph: g.Graph, n: int, who: hg.Reads, hyper: hg.Hypergraph, word: float) -> Assignment:
    """`assign` for a hypergraph that is there already; `word`: ns of a number on a wire."""
    check_count(n, hyper)
    blocks = _blocks(hyper, n, word)
    atoms = {name: block for names, block in zip(hyper.groups, blocks, strict=True) for name in names}
    atoms = {name: atoms[name] for name, _ in graph.nodes(g.Atom)}
    return Assignment(n, atoms, probe_owners(graph, who, atoms))


def check_count(n: int, hyper: hg.Hypergraph) -> None:
    """Raises `ModelError` where n is not between 1 and the number of groups."""
    if n < 1:
        raise model_error(f"{n} partitions cannot be made", "ask for one or more: -n 1, or -n auto")
    limit = max(1, len(hyper.groups))
    if n <= limit:
        return
    atoms = sum(len(names) for names in hyper.groups)
    parts = f"{atoms} atom{'s' * (atoms != 1)} (runs of at most 256 neurons)"
    if atoms > limit:
        parts += f" in {limit} group{'s' * (limit != 1)} that must stay together"
        parts += " (no synapse between them, or a probe reads several without a synapse)"
    raise model_error(
        f"{n} partitions are more than the model can be cut into: it has {parts}",
        f"use -n {limit}{' or less' * (limit > 1)}, or -n auto",
    )


def _blocks(hyper: hg.Hypergraph, n: int, word: float) -> list[int]:
    """Block of every vertex, numbered by first vertex; every block has one."""
    count = len(hyper.groups)
    if n == 1:
        return [0] * count
    if n == count:
        return list(range(count))
    unit = max(sum(hyper.weights) / count / RESOLUTION, 1e-9)
    weights = [max(1, round(w / unit)) for w in hyper.weights]
    blocks = _kahypar(hyper, n, weights, [max(1, round(w * word / unit)) for w in hyper.words])
    return renumbered(_filled(blocks, weights, n))


@cache
def _initializer() -> Any:
    return mtkahypar.initialize(min(8, os.cpu_count() or 1), False)


def _kahypar(hyper: hg.Hypergraph, n: int, weights: list[int], edges: list[int]) -> list[int]:
    engine = _initializer()
    mtkahypar.set_seed(SEED)
    context = engine.context_from_preset(mtkahypar.PresetType.DETERMINISTIC)
    context.set_partitioning_parameters(n, EPSILON, mtkahypar.Objective.KM1)
    context.logging = False
    made = engine.create_hypergraph(context, len(weights), len(hyper.pins), hyper.pins, weights, edges)
    return [int(b) for b in made.partition(context).get_partition()]


def _filled(blocks: list[int], weights: list[int], n: int) -> list[int]:
    """Blocks with none empty: what is missing is taken from the heaviest block with more than one vertex."""
    result = np.array(blocks)
    load = np.bincount(result, weights=weights, minlength=n)
    for empty in np.flatnonzero(np.bincount(result, minlength=n) == 0):
        counts = np.bincount(result, minlength=n)
        source = int(np.argmax(np.where(counts > 1, load, -1.0)))
        vertex = int(np.flatnonzero(result == source)[-1])
        result[vertex] = empty
        load[source] -= weights[vertex]
        load[empty] += weights[vertex]
    return [int(b) for b in result]


def renumbered(blocks: list[int]) -> list[int]:
    """The same blocks, numbered in the order in which they first occur."""
    number: dict[int, int] = {}
    return [number.setdefault(b, len(number)) for b in blocks]


def probe_owners(graph: g.Graph, who: hg.Reads, atoms: dict[str, int]) -> dict[str, int]:
    """Owner of every probe: who makes most of what it reads; where it must be in that step, who makes it."""
    owner = np.repeat(np.arange(len(who.sums)), np.diff(who.firsts))
    place = {names[0]: k for k, names in enumerate(who.readers)}
    partitions = 1 + max(atoms.values(), default=0)
    result = {}
    for name in hg.value_probes(graph):
        votes = np.zeros(partitions)
        for matrix, weight in ((who.later, 1.0), (who.now, 1e9)):
            columns = matrix.indices[matrix.indptr[place[name]] : matrix.indptr[place[name] + 1]]
            sums, words = np.unique(owner[columns], return_counts=True)
            for s, count in zip(sums, words, strict=True):
                for atom in graph.inputs(who.sums[s], "activity"):
                    votes[atoms[atom]] += weight * count * graph.op(atom).size
        result[name] = int(np.argmax(votes))
    return result
