"""The partitioner: which partition every atom is in.

The hypergraph goes to Mt-KaHyPar (deterministic: the same result for any number of threads); blocks are
then numbered by their first atom.

Several hosts come first: atoms are dealt to hosts, as much to each as its partitions can do, with few words
between hosts; then those of each host to its partitions.  So what is joined by much stays on one host.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from spikec import graph as g
from spikec.errors import Diagnostic, ModelError, model_error
from spikec.planning import hypergraph as hg
from spikec.planning.cost import HOST_CALL, atom_cost
from spikec.planning.divider import Divider
from spikec.planning.glue import Note, notes
from spikec.planning.kahypar import EPSILON
from spikec.planning.profile import HostProfile
from spikec.program.schedule import Assignment
from spikec.records import dataclass

# ns that functions are taken to need that run at the same time as others.
APART_CALL = 200_000.0
# Weights are integers: in units of this part of the average vertex.
RESOLUTION = 1000


def vertex_costs(graph: g.Graph, profile: HostProfile, dtype: str, apart: bool = False) -> dict[str, float]:
    """ns per step of every atom, with what is recorded of it.

    Nobody knows what a Python function takes.  Where they may be in several partitions, or are `apart`, so
    much that they are dealt out evenly.
    """
    costs = {name: atom_cost(op, graph, profile, dtype) for name, op in graph.nodes(g.Atom)}
    families = {op.family for _, op in graph.nodes(g.HostCall)}
    each = APART_CALL if apart or len(families) > 1 else HOST_CALL
    costs |= {name: each * op.functions for name, op in graph.nodes(g.HostCall)}
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


@dataclass(frozen=True)
class Share:
    """What one host takes: so many partitions, each of which does `speed` times the work of speed 1."""

    partitions: int
    speed: float = 1.0


def place(
    graph: g.Graph,
    n: int,
    who: hg.Reads,
    hyper: hg.Hypergraph,
    word: float,
    divider: Divider,
    shares: Sequence[Share] | None = None,
) -> Assignment:
    """`assign` for a hypergraph that is there already; `word`: ns of a number on a wire.

    `shares`: what each host takes, n partitions together, where there are several hosts.
    """
    check_count(n, hyper, graph, who)
    return assigned(graph, n, who, hyper, _blocks(hyper, shares or [Share(n)], word, divider))


def assigned(
    graph: g.Graph, n: int, who: hg.Reads, hyper: hg.Hypergraph, blocks: Sequence[int]
) -> Assignment:
    """The assignment to n partitions with every vertex of a hypergraph in its block."""
    atoms = {name: block for names, block in zip(hyper.groups, blocks, strict=True) for name in names}
    atoms = {name: atoms[name] for name, _ in graph.nodes(g.PLACED)}
    return Assignment(n, atoms, probe_owners(graph, who, atoms))


def whole(graph: g.Graph) -> Assignment:
    """Everything in one partition."""
    return Assignment(
        1, {name: 0 for name, _ in graph.nodes(g.PLACED)}, dict.fromkeys(hg.value_probes(graph), 0)
    )


def check_count(n: int, hyper: hg.Hypergraph, graph: g.Graph, who: hg.Reads) -> None:
    """Raises `ModelError` where n is not between 1 and the number of groups, naming what joins them."""
    if n < 1:
        raise model_error(f"{n} partitions cannot be made", "ask for one or more: -n 1, or -n auto")
    limit = max(1, len(hyper.groups))
    if n <= limit:
        return
    parts, joining = pieces(hyper, graph, who)
    message = f"{n} partitions are more than the model can be cut into: it has {parts}"
    message += "".join(f"\n  {text}" for text, span in joining if span is None)
    places = tuple((text, span) for text, span in joining if span)
    hint = f"use -n {limit}{' or less' * (limit > 1)}, or -n auto"
    raise ModelError([Diagnostic(message, None, hint, places)])


def pieces(hyper: hg.Hypergraph, graph: g.Graph, who: hg.Reads) -> tuple[str, list[Note]]:
    """What a model can be cut into, in words, and what joins it."""
    limit = max(1, len(hyper.groups))
    atoms = sum(len(names) for names in hyper.groups)
    parts = f"{atoms} atom{'s' * (atoms != 1)} (runs of at most 256 neurons)"
    if atoms <= limit:
        return parts, []
    parts += f" in {limit} group{'s' * (limit != 1)} that must stay together"
    return parts + " (no synapse between them, or a probe reads several without a synapse)", notes(graph, who)


def _blocks(hyper: hg.Hypergraph, shares: Sequence[Share], word: float, divider: Divider) -> list[int]:
    """Block of every vertex, numbered host by host and by first vertex; every block has one."""
    if len(shares) == 1:
        return renumbered(_dealt(hyper, [Share(1)] * shares[0].partitions, word, divider))
    host_of = _dealt(hyper, shares, word, divider)
    blocks, first = [0] * len(host_of), 0
    for host, share in enumerate(shares):
        vertices = [v for v, h in enumerate(host_of) if h == host]
        inside = _blocks(_part(hyper, vertices), [Share(share.partitions)], word, divider)
        for vertex, block in zip(vertices, inside, strict=True):
            blocks[vertex] = first + block
        first += share.partitions
    return blocks


def _part(hyper: hg.Hypergraph, vertices: list[int]) -> hg.Hypergraph:
    """The hypergraph of some vertices, with what joins them to each other."""
    number = {v: k for k, v in enumerate(vertices)}
    edges: dict[tuple[int, ...], tuple[int, float]] = {}
    for pins, words, work in zip(hyper.pins, hyper.words, hyper.work, strict=True):
        inside = tuple(number[v] for v in pins if v in number)
        if len(inside) > 1:
            before = edges.get(inside, (0, 0.0))
            edges[inside] = before[0] + words, before[1] + work
    groups = tuple(hyper.groups[v] for v in vertices)
    weights = tuple(hyper.weights[v] for v in vertices)
    crossing, again = tuple(w for w, _ in edges.values()), tuple(w for _, w in edges.values())
    return hg.Hypergraph(groups, weights, tuple(edges), crossing, again)


def _dealt(hyper: hg.Hypergraph, shares: Sequence[Share], word: float, divider: Divider) -> list[int]:
    """Number of the share that every vertex belongs to; each has a vertex for every partition of it."""
    count = len(hyper.groups)
    if len(shares) == 1:
        return [0] * count
    if len(shares) == count:
        return list(range(count))
    unit = max(sum(hyper.weights) / count / RESOLUTION, 1e-9)
    weights = [max(1, round(w / unit)) for w in hyper.weights]
    edges = [max(1, round(price / unit)) for price in hyper.prices(word)]
    blocks = divider.blocks(len(shares), _largest(shares, sum(weights)), weights, edges, hyper.pins)
    return _filled(blocks, weights, [s.partitions for s in shares])


def _largest(shares: Sequence[Share], whole: int) -> list[int]:
    """The most of a whole weight that each share may have, where they are not alike."""
    if len(set(shares)) == 1:
        return []
    able = [share.partitions * share.speed for share in shares]
    return [math.ceil((1 + EPSILON) * (whole * part / sum(able))) for part in able]


def _filled(blocks: list[int], weights: list[int], least: Sequence[int]) -> list[int]:
    """Blocks with at least so many vertices each: what is missing comes from the heaviest that has more."""
    n = len(least)
    result = np.array(blocks)
    load = np.bincount(result, weights=weights, minlength=n)
    counts = np.bincount(result, minlength=n)
    for short in np.repeat(np.arange(n), np.maximum(np.array(least) - counts, 0)):
        source = int(np.argmax(np.where(counts > least, load, -1.0)))
        vertex = int(np.flatnonzero(result == source)[-1])
        result[vertex] = short
        load[source] -= weights[vertex]
        load[short] += weights[vertex]
        counts[source] -= 1
        counts[short] += 1
    return [int(b) for b in result]


def renumbered(blocks: list[int], site_of: Sequence[int] | None = None) -> list[int]:
    """The same blocks, numbered host by host (`site_of` a block), then in the order in which they occur."""
    order = list(dict.fromkeys(blocks))
    if site_of:
        order.sort(key=lambda block: site_of[block])
    number = {block: k for k, block in enumerate(order)}
    return [number[block] for block in blocks]


def probe_owners(graph: g.Graph, who: hg.Reads, atoms: dict[str, int]) -> dict[str, int]:
    """Owner of every probe: who makes most of what it reads; where it must be in that step, who makes it."""
    place = {names[0]: k for k, names in enumerate(who.readers)}
    partitions = 1 + max(atoms.values(), default=0)
    result = {}
    for name in hg.value_probes(graph):
        votes = np.zeros(partitions)
        for read, weight in ((who.sums_later, 1.0), (who.sums_now, 1e9)):
            for s, count in read.of(place[name]):
                for atom in graph.inputs(who.sums[s], "activity"):
                    votes[atoms[atom]] += weight * count * graph.op(atom).size
        result[name] = int(np.argmax(votes))
    return result
