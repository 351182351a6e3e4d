"""What a partition must compute: which components of which signals its atoms and probes need.

Everything but the atoms is computed wherever it is needed, in several partitions if need be: it is cheap,
and a function of exact sums and of time alone, so that every copy has the same value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Demand:
    """Nodes with the components (a mask each) that are needed, in the order of the graph."""

    masks: dict[str, Mask]

    def __contains__(self, name: str) -> bool:
        return name in self.masks


def demand(graph: g.Graph, atoms: Iterable[str], probes: Iterable[str]) -> Demand:
    """Components needed to compute `atoms` and to record `probes`, back to exact sums and sources."""
    masks: dict[str, Mask] = {}
    work: list[str] = []

    def want(name: str, mask: Mask) -> None:
        if not mask.any():
            return
        known = masks.setdefault(name, np.zeros(len(mask), bool))
        if (mask & ~known).any():
            known |= mask
            work.append(name)

    _roots(graph, atoms, probes, want)
    while work:
        name = work.pop()
        if not isinstance(graph.op(name), g.ExactSum):
            for source in dict.fromkeys(graph.inputs(name)):
                want(source, _needed(graph.op(name), masks[name], graph.op(source).size))
    return Demand({name: masks[name] for name in graph if name in masks})


def _roots(
    graph: g.Graph, atoms: Iterable[str], probes: Iterable[str], want: Callable[[str, Mask], None]
) -> None:
    """Want what the atoms and probes read themselves."""
    for atom in atoms:
        op = graph.op(atom)
        for source, port in graph.input_ports(atom):
            mask = np.zeros(graph.op(source).size, bool)
            mask[slice(None) if port == "x" else slice(op.start, op.start + op.size)] = True
            want(source, mask)
    for probe in probes:
        for source in graph.inputs(probe, "x"):
            want(source, np.ones(graph.op(source).size, bool))


def _needed(op: g.Operator, mask: Mask, size: int) -> Mask:
    """Components of an input (of length `size`) that the components `mask` of the output need."""
    if isinstance(op, g.Product):
        chosen = op.matrix[np.flatnonzero(mask)]
        columns = np.zeros(size, bool)
        columns[
            np.unique(chosen.indices)
            if not isinstance(chosen, np.ndarray)
            else np.flatnonzero(chosen.any(axis=0))
        ] = True
        return columns
    if isinstance(op, g.Function):
        return np.ones(size, bool)
    return mask
