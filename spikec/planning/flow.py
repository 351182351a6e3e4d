"""Cuts along the flow of a model: partitions that wait for nobody behind them.

Where no partition needs anything of one that comes after it, each goes ahead of the next by as many messages
as a ring holds.  Then a message has its time to travel, and what holds up one for a moment holds up no other.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Sequence
from functools import cache
from itertools import chain

from spikec import graph as g
from spikec import projections as pj
from spikec.planning.hypergraph import Hypergraph, Reads
from spikec.planning.reach import strongly_connected
from spikec.planning.refine import Edges
from spikec.program import layout as la

# Cuts that leave one partition this many times its share are not worth a try.
UNEVEN = 1.2


def blocks(graph: g.Graph, who: Reads, hyper: Hypergraph, n: int, word: float) -> list[int] | None:
    """Block of every vertex, so that what a block reads is made there or in one before; None where loops are
    too large for n blocks of about one weight.

    Blocks are filled one after the other.  Of the loops, most of them single vertices, that read of nothing
    later the one comes next of which the hyperedges cost least for what it is worth.  `word`: ns of a number
    on a wire.
    """
    share = sum(hyper.weights) / n
    ready = _Ready(_successors(graph, who, hyper), hyper)
    result, load = [n] * len(hyper.weights), [0.0] * n
    if not share or max(map(ready.weight, range(len(ready.loops)))) > UNEVEN * share:
        return None
    for block in range(n):
        edges = Edges(hyper, hyper.prices(word), result, n, block)
        ready.rank(edges)
        while (loop := ready.best(edges)) is not None:
            weight = ready.weight(loop)
            if block < n - 1 and sum(load) + weight / 2 > share * (block + 1):
                break
            load[block] += weight
            for vertex in ready.place(loop, edges):
                result[vertex] = block
        del edges  # before there are others, as large
    return result if min(load) > 0 and max(load) < UNEVEN * share else None


class _Ready:
    """Loops in the order in which they are placed: a queue of those that read of nothing later."""

    def __init__(self, successors: Sequence[Sequence[int]], hyper: Hypergraph) -> None:
        self.loops, self._hyper = strongly_connected(successors), hyper
        self._of = {node: k for k, members in enumerate(self.loops) for node in members}
        self._after = [
            array("i", {self._of[a] for node in members for a in successors[node]} - {k})
            for k, members in enumerate(self.loops)
        ]
        self._lacking = [0] * len(self.loops)
        for after in self._after:
            for loop in after:
                self._lacking[loop] += 1
        self._open = {k for k, lacking in enumerate(self._lacking) if lacking == 0}
        self._queue: list[tuple[float, int]] = []

    def vertices(self, loop: int) -> list[int]:
        """Its vertices; sums have none."""
        return sorted(node for node in self.loops[loop] if node < len(self._hyper.weights))

    def weight(self, loop: int) -> float:
        return sum(self._hyper.weights[v] for v in self.vertices(loop))

    def rank(self, edges: Edges) -> None:
        """Order all that may come next by what their hyperedges cost."""
        self._queue = [self._ranked(loop, edges) for loop in self._open]
        heapq.heapify(self._queue)

    def best(self, edges: Edges) -> int | None:
        """What comes next."""
        while self._queue:
            entry = self._queue[0]
            if -entry[1] in self._open and entry == self._ranked(-entry[1], edges):
                return -entry[1]
            heapq.heappop(self._queue)  # it is placed; or its rank has changed, and it is there again
        return None

    def place(self, loop: int, edges: Edges) -> list[int]:
        """Take a loop out; gives its vertices."""
        vertices = self.vertices(loop)
        near = {self._of[v] for vertex in vertices for v in edges.move(vertex)}
        self._open.discard(loop)
        for after in self._after[loop]:
            self._lacking[after] -= 1
            if not self._lacking[after]:
                self._open.add(after)
                near.add(after)
        for other in sorted(near & self._open):
            heapq.heappush(self._queue, self._ranked(other, edges))
        return vertices

    def _ranked(self, loop: int, edges: Edges) -> tuple[float, int]:
        added = sum(edges.added(v) for v in self.vertices(loop))
        # Those found last lead to all others.
        return added / max(self.weight(loop), 1.0), -loop


def _successors(graph: g.Graph, who: Reads, hyper: Hypergraph) -> list[Sequence[int]]:
    """Of every vertex, then of every exact sum and list of spikes: what they go to."""
    vertex = {name: k for k, names in enumerate(hyper.groups) for name in names}
    lists = [name for name, _ in graph.nodes(pj.Spikes)]
    reading = [[vertex[n] for n in names if n in vertex] for names in who.readers]

    @cache  # many sums go to the same
    def read_by(*several: frozenset[int]) -> Sequence[int]:
        readers = (sorted({r for k in numbers for r in who.sets.of(k)}) for numbers in several)
        return array("i", dict.fromkeys(v for r in chain.from_iterable(readers) for v in reading[r]))

    made: list[dict[int, None]] = [{} for _ in hyper.groups]
    for number, name in enumerate((*who.sums, *lists), len(hyper.groups)):
        for atom in graph.inputs(name, "activity"):
            made[vertex[atom]][number] = None
    found: list[Sequence[int]] = [array("i", after) for after in made]
    del made
    for columns in map(slice, who.firsts[:-1].tolist(), who.firsts[1:].tolist()):
        found.append(read_by(*(frozenset(numbers[columns].tolist()) for numbers in (who.later, who.now))))
    for name in lists:
        projections = [r for r, _ in graph.readers(name) if isinstance(graph.op(r), pj.Projection)]
        found.append(list(dict.fromkeys(vertex[atom] for p in projections for atom, _ in graph.readers(p))))
    return found


def waiting(layouts: Sequence[la.Layout]) -> frozenset[int]:
    """Partitions that need, over others, something of what they sent: they wait for messages to travel."""
    targets = {x.partition: list(dict.fromkeys(chain(x.send, x.spikes.send))) for x in layouts}
    loops = strongly_connected([targets[k] for k in range(len(targets))])
    return frozenset(chain.from_iterable(loop for loop in loops if len(loop) > 1))
