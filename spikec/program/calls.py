"""Host calls in a partition: their numbers, and the stage of those that come one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spikec import graph as g
from spikec.program import layout as la
from spikec.program.stages import Ints, ints, joined


@dataclass(frozen=True)
class Python:
    """What host calls of a compiled model run: a pickle of it (see `spike_runtime.python`), and in words for
    each call, by their numbers.  `of`: the pickle for calls of some names.
    """

    pickle: bytes
    calls: tuple[tuple[str, ...], ...]
    of: Callable[[Sequence[str]], bytes]


def numbers(graph: g.Graph) -> dict[str, int]:
    """The number of every host call: its place among all of the graph."""
    return {name: k for k, (name, _) in enumerate(graph.nodes(g.HostCall))}


def scale(op: g.ExactSum) -> float:
    """What a sum's whole numbers are multiplied with; 0 says that they are the bits of the numbers."""
    return 0.0 if isinstance(op, g.Bits) else 2.0**-op.exponent


def stage(
    name: str,
    members: Sequence[str],
    graph: g.Graph,
    places: Mapping[str, Ints],
    sum_rows: Mapping[str, int],
) -> la.HostCalls:
    """Calls in their order; the memory holds argument and result of each in turn."""
    rows: list[tuple[int, ...]] = []
    read: list[Ints] = []
    first = start = 0
    number = numbers(graph)
    for node in members:
        op, source = graph.op(node), graph.inputs(node, "x")
        argument = places[source[0]] if source and op.arguments else ints([])
        row, size = (sum_rows[op.targets[0]], op.size) if op.targets else (0, 0)
        rows.append((number[node], first, len(argument), row, size, start))
        read.append(argument)
        first, start = first + len(argument), start + len(argument) + size
    arrays = {"calls": ints(rows), "places": joined(read, np.int64)}
    functions = sum(graph.op(node).functions for node in members)
    return la.HostCalls(name, arrays, {"memory": np.zeros(start)}, functions)
