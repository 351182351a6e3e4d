"""A small picture of the graph for people: boxes for populations, inputs and probes, and what leads to what.

Where there are too many boxes, names are shortened until few enough are left: the elements of an array or a
loop, then the
parts of a module, become one box with their count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from spikec import graph as g
from spikec.program.schedule import Assignment

# More boxes, or more connections, than this nobody reads: then names are cut to fit the next of these
# numbers.
MOST_BOXES, MOST_EDGES = (60, 30, 16, 8), 60
SOURCES = (g.TimeFunction, g.Table, g.Noise, g.Draws, g.Constant)
# Parts of a path: an index, or a name with the dot before it.
_PART = re.compile(r"\[[^\]]*\]|\.?[^.\[]+")


def picture(graph: g.Graph, assignment: Assignment) -> dict[str, Any]:
    """{"nodes": [[name, kind, members, {partition: neurons}], ...], "edges": [[from, to, crossing], ...]}.

    kinds: "ensemble", "input", "probe"; from, to: numbers of nodes; crossing: 1 where the value, or a part
    of it, comes from another
    partition than the one that reads it.
    """
    for most in MOST_BOXES:
        box_of = _boxes(graph, most)
        number = {box: k for k, box in enumerate(dict.fromkeys(box_of.values()))}
        edges = _edges(graph, {node: number[box] for node, box in box_of.items()}, assignment)
        if len(edges) <= MOST_EDGES:
            break
    members: dict[int, set[str]] = {}
    shares: dict[int, dict[int, int]] = {}
    for node, box in box_of.items():
        op, k = graph.op(node), number[box]
        members.setdefault(k, set()).add(op.path if isinstance(op, g.Atom) else node)
        if isinstance(op, g.Atom):
            share, partition = shares.setdefault(k, {}), assignment.atoms[node]
            share[partition] = share.get(partition, 0) + op.size
    nodes = [
        [name, kind, len(members[k]), {str(p): n for p, n in sorted(shares.get(k, {}).items())}]
        for (kind, name), k in number.items()
    ]
    return {"nodes": nodes, "edges": edges}


def _boxes(graph: g.Graph, most: int) -> dict[str, tuple[str, str]]:
    """(kind, name) of the box of every atom, source and probe."""
    shown = {}
    for node, op in graph.nodes():
        if isinstance(op, g.Atom):
            shown[node] = ("ensemble", op.path)
        elif isinstance(op, g.Probe):
            shown[node] = ("probe", op.name)
        elif isinstance(op, SOURCES) and graph.readers(node):
            shown[node] = ("input", node)
    short: dict[tuple[str, str], tuple[str, str]] = {}
    for kind, share in (("ensemble", 1.0), ("input", 0.3), ("probe", 0.3)):
        names = list(dict.fromkeys(name for k, name in shown.values() if k == kind))
        short |= {(kind, name): (kind, s) for name, s in shortened(names, max(2, int(most * share))).items()}
    return {node: short[box] for node, box in shown.items()}


def shortened(names: list[str], most: int) -> dict[str, str]:
    """Names cut to as many parts as leave at most `most` different ones; beyond that the last are
    "others".
    """
    if len(names) <= most:
        return {name: name for name in names}
    parts = {name: _PART.findall(name) for name in names}
    made: dict[str, str] = {}
    for depth in range(max(len(p) for p in parts.values()), 0, -1):
        made = {name: "".join(p[:depth]) + "[..]" * (p[depth : depth + 1] != [] and p[depth][0] == "[")
                for name, p in parts.items()}  # fmt: skip
        if len(set(made.values())) <= most:
            return made
    made = {name: re.sub(r"\d+", "*", short) for name, short in made.items()}
    kept = set(list(dict.fromkeys(made.values()))[: most - 1])
    return {name: short if short in kept else "others" for name, short in made.items()}


def _edges(graph: g.Graph, number: dict[str, int], assignment: Assignment) -> list[list[int]]:
    """(from, to, crossing) for boxes with a way from one to the other that meets no box in between."""
    n = assignment.partitions
    home = {node: assignment.atoms.get(node, assignment.probes.get(node)) for node in number}
    # What leads to a node: a bit for every box and partition that a value comes from, n for none (an input).
    bits = {
        node: 1 << (k * (n + 1) + (p if (p := home[node]) is not None else n)) for node, k in number.items()
    }
    reached = _reached(graph, bits)
    crossing: dict[tuple[int, int], int] = {}
    for node, k in number.items():
        for bit in _set_bits(reached.get(node, 0)):
            source, origin = divmod(bit, n + 1)
            crosses = n != origin != home[node] is not None
            crossing[source, k] = max(crossing.get((source, k), 0), int(crosses))
    return [[source, target, flag] for (source, target), flag in sorted(crossing.items())]


def _reached(graph: g.Graph, leading: dict[str, int]) -> dict[str, int]:
    """For every node, the union of the bits of what leads to it; nodes are done again when their inputs
    change.
    """
    work = list(graph)
    waiting = set(work)
    reached: dict[str, int] = {}
    given = dict(leading)
    while work:
        batch, work = work, []
        for node in batch:
            waiting.discard(node)
            bits = 0
            for source, _ in graph.input_ports(node):
                bits |= given.get(source, 0)
            if bits == reached.get(node, 0):
                continue
            reached[node] = bits
            if node not in leading:
                given[node] = bits
                work += _new(waiting, (reader for reader, _ in graph.readers(node)))
    return reached


def _set_bits(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def _new(waiting: set[str], nodes: Iterable[str]) -> list[str]:
    """Those not waiting already, which then wait."""
    fresh = [n for n in dict.fromkeys(nodes) if n not in waiting]
    waiting.update(fresh)
    return fresh
