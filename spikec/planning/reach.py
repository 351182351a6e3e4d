"""Which readers a directed graph leads to from each of its nodes; equal sets of readers are held once.

In a model of many connections each component of a signal is needed by as many readers as hundreds of others
are, and by just the same ones: circular_convolution has 59,000 components and 1,000 different sets, which
take 0.5 MB instead of 20 as a matrix of readers and components.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from spikec.records import dataclass

Numbers: TypeAlias = NDArray[np.int32]
Places: TypeAlias = NDArray[np.unsignedinteger]  # of as few bytes as they need


@dataclass(frozen=True, eq=False)
class Sets:
    """Different sets of readers: set k is members[firsts[k] : firsts[k + 1]], ascending; set 0 is empty, and
    set k + 1 that of reader k alone.
    """

    firsts: NDArray[np.int64]
    members: Numbers

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many readers are in each."""
        return np.diff(self.firsts)

    def of(self, number: int) -> list[int]:
        """The readers in a set."""
        members: list[int] = self.members[self.firsts[number] : self.firsts[number + 1]].tolist()
        return members


@dataclass(frozen=True, eq=False)
class Needs:
    """Nodes below `count`, and the readers behind them, that need each other.

    `nodes` are those that several need, nodes[k] just needing[firsts[k] : firsts[k + 1]]: readers, others of
    `nodes`, or nobody (-1).  Any node is needed by those that `root` of it is needed by, or is: a reader, one
    of `nodes`, or nobody.
    """

    count: int
    readers: int
    root: Numbers
    nodes: Numbers
    firsts: NDArray[np.int64]
    needing: Numbers


def needs(count: int, readers: int, reading: Numbers, read: Numbers) -> Needs:
    """Node reading[k] needs node read[k], and so does who needs node reading[k]; nodes from `count` on are
    the readers themselves.
    """
    joints, root = _roots(count, readers, reading, read)
    into = np.flatnonzero(joints[read]).astype(np.int32)
    into = into[np.argsort(read[into], kind="stable")]
    needed = read[into]
    firsts = np.flatnonzero(np.diff(needed, prepend=-1))
    return Needs(count, readers, root, needed[firsts], firsts, root[reading[into]])


def reach(given: Needs) -> tuple[Sets, Places]:
    """All sets of readers, and for each node the number of the set of those that need it."""
    count, readers, nodes, needing = given.count, given.readers, given.nodes, given.needing
    place = np.searchsorted(nodes, needing).astype(np.int32)
    place[~np.isin(needing, nodes)] = -1
    needed_by, places = (np.split(each, given.firsts[1:]) for each in (needing, place))
    above = [sorted({*own.tolist()} - {-1}) for own in places[: len(nodes)]]
    sets = _Sets(readers)
    found = np.zeros(count + readers + 1, np.int32)
    found[count : count + readers] = np.arange(1, readers + 1)
    for loop in strongly_connected(above):
        inside = nodes[loop]
        found[inside] = sets.union(k for member in loop for k in found[needed_by[member]].tolist())
    # There are few sets, and a number for each component of the model.
    least: Places = found.astype(np.min_scalar_type(found.max()))
    return sets.made(), least[given.root[:count]]


def _roots(count: int, readers: int, reading: Numbers, read: Numbers) -> tuple[NDArray[np.bool_], Numbers]:
    """Whether a node has several above it, and for each node the first above it that has, or is a reader, or
    itself; -1 where there is none: nobody needs it.
    """
    ordered = np.sort(read)  # to count would take several times its memory
    joints = np.zeros(count + readers, np.bool_)
    joints[ordered[1:][ordered[1:] == ordered[:-1]]] = True
    del ordered
    root = np.arange(count + readers, dtype=np.int32)
    single = ~joints[read]
    root[read[single]] = reading[single]
    for _ in range(int(count).bit_length()):  # from each to the one twice as far
        root = root[root]
    ends = joints.copy()
    ends[count:] = True
    return joints, np.where(ends[root], root, np.int32(-1))


class _Sets:
    """`Sets` under construction."""

    def __init__(self, readers: int) -> None:
        self._firsts = array("q", [0, 0])
        self._firsts.extend(range(1, readers + 1))
        self._members = array("i", range(readers))
        self._known: dict[bytes, int] = {}

    def union(self, numbers: Iterable[int]) -> int:
        """The number of the set of all that are in one of some sets."""
        different = {*numbers} - {0}
        if len(different) < 2:
            return different.pop() if different else 0
        ends, every = self._firsts, self._members
        members = array("i", sorted({m for k in different for m in every[ends[k] : ends[k + 1]]}))
        known = self._known.setdefault(members.tobytes(), len(ends) - 1)
        if known == len(ends) - 1:
            every.extend(members)
            ends.append(len(every))
        return known

    def made(self) -> Sets:
        return Sets(np.array(self._firsts, np.int64), np.array(self._members, np.int32))


def strongly_connected(successors: Sequence[Sequence[int]]) -> list[list[int]]:
    """Strongly connected components, each after all that it leads to (Tarjan 1972)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    done: set[int] = set()
    found: list[list[int]] = []
    for root in range(len(successors)):
        path = [] if root in order else [(root, iter(successors[root]))]
        while path:
            node, rest = path[-1]
            if node not in order:
                order[node] = low[node] = len(order)
                stack.append(node)
            after = next(rest, None)
            if after is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == order[node]:
                    found.append([stack.pop()])
                    while found[-1][-1] != node:
                        found[-1].append(stack.pop())
                    done.update(found[-1])
            elif after not in order:
                path.append((after, iter(successors[after])))
            elif after not in done:
                low[node] = min(low[node], order[after])
    return found
