"""A small picture of the graph for people: boxes for populations, inputs and probes, and what leads to what.

Where there are too many boxes, names are shortened until few enough are left: the elements of an array or a loop, then the
parts of a module, become one box with their count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from spikec import graph as g
from spikec.schedule import Assignment

# More boxes than this nobody reads.
MOST = 60
SOURCES = (g.TimeFunction, g.Table, g.Noise, g.Constant)
# Parts of a path: an index, or a name with the dot before it.
_PART = re.compile(r"\[[^\]]*\]|\.?[^.\[]+")


def picture(graph: g.Graph, assignment: Assignment) -> dict[str, Any]:
    """{"nodes": [[name, kind, members, {partition: neurons}], ...], "edges": [[from, to], ...]} (by number of node).

    kinds: "ensemble", "input", "probe".
    """
    box_of = _boxes(graph)
    names = list(dict.fromkeys(box_of.values()))
    number = {box: k for k, box in enumerate(names)}
    members: dict[int, set[str]] = {}
    shares: dict[int, dict[str, int]] = {}
    for node, box in box_of.items():
        op = graph.op(node)
        k = number[box]
        members.setdefault(k, set()).add(op.neurons.path if isinstance(op, g.Atom) else node)
        if isinstance(op, g.Atom):
            share = shares.setdefault(k, {})
            partition = str(assignment.atoms[node])
            share[partition] = share.get(partition, 0) + op.size
    nodes = [
        [name, kind, len(members[k]), dict(sorted(shares.get(k, {}).items(), key=lambda item: int(item[0])))]
        for k, (kind, name) in enumerate(names)
    ]
    return {"nodes": nodes, "edges": _edges(graph, {n: number[b] for n, b in box_of.items()})}


def _boxes(graph: g.Graph) -> dict[str, tuple[str, str]]:
    """(kind, name) of the box of every atom, source and probe."""
    shown = {}
    for node, op in graph.nodes():
        if isinstance(op, g.Atom):
            shown[node] = ("ensemble", op.neurons.path)
        elif isinstance(op, g.Probe):
            shown[node] = ("probe", op.name)
        elif isinstance(op, SOURCES) and graph.readers(node):
            shown[node] = ("input", node)
    short: dict[tuple[str, str], tuple[str, str]] = {}
    for kind, share in (("ensemble", 1.0), ("input", 0.3), ("probe", 0.3)):
        names = list(dict.fromkeys(name for k, name in shown.values() if k == kind))
        short |= {(kind, name): (kind, s) for name, s in shortened(names, int(MOST * share)).items()}
    return {node: short[box] for node, box in shown.items()}


def shortened(names: list[str], most: int) -> dict[str, str]:
    """Names cut to as many parts as leave at most `most` different ones; beyond that the last are "others"."""
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


def _edges(graph: g.Graph, number: dict[str, int]) -> list[list[int]]:
    """Pairs of boxes with a way from one to the other that meets no box in between."""
    # For every node the set of boxes that lead to it, as bits; nodes are done again when their inputs change.
    leading = {node: 1 << k for node, k in number.items()}
    work = list(graph.nx)
    waiting = set(work)
    reached: dict[str, int] = {}
    while work:
        batch, work = work, []
        for node in batch:
            waiting.discard(node)
            bits = _union(leading.get(s, reached.get(s, 0)) for s in graph.inputs(node))
            if bits == reached.get(node, 0):
                continue
            reached[node] = bits
            if node not in number:
                work += _new(waiting, (r for r, _ in graph.readers(node)))
    pairs = {
        (source, k)
        for node, k in number.items()
        for source in range(reached.get(node, 0).bit_length())
        if reached[node] >> source & 1
    }
    return [list(pair) for pair in sorted(pairs)]


def _union(sets: Iterable[int]) -> int:
    bits = 0
    for one in sets:
        bits |= one
    return bits


def _new(waiting: set[str], nodes: Iterable[str]) -> list[str]:
    """Those not waiting already, which then wait."""
    fresh = [n for n in dict.fromkeys(nodes) if n not in waiting]
    waiting.update(fresh)
    return fresh
