"""Connections that are alike as one statement: those of the ensembles of an array, with the parts of a node
or the ensembles of another array side by side, or with one object in a loop.  And the order of statements: to
one target, that in which terms are added.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

import nengo
import numpy as np
from nengo.ensemble import Neurons

from spikec.nengo.writing import links
from spikec.nengo.writing.scene import Scene
from spikec.nengo.writing.words import part
from spikec.tracing.functions import trace

Connections = list[nengo.Connection]


# What a loop says of fewer is longer than the statements themselves.
FEWEST_ROUNDS = 4
# Which ends go on from one connection of a group to the next: the source, the target.
Steps = tuple[int, int]
BOTH, TARGET, SOURCE = (1, 1), (0, 1), (1, 0)


@dataclass(frozen=True)
class _End:
    """A whole ensemble of an array, the `start`th; or components of anything else, from `start` on.

    `base`: the array, or the object, as the text calls it.  `members`: how many ensembles, or components, one
    connection takes; `total`: how many there are.
    """

    base: str
    attribute: str
    array: bool
    start: int
    members: int
    total: int

    def after(self, step: int) -> _End:
        """This end of the next connection."""
        return replace(self, start=self.start + step * self.members)

    def text(self, count: int = 1) -> str:
        """This one and those after it, `count` in all."""
        brackets = part(slice(self.start, self.start + count * self.members), self.total)
        if self.array and not brackets and count == 1:
            brackets = "[0]"
        return self.base + brackets + self.attribute if self.array else self.base + self.attribute + brackets

    def round(self, variable: str) -> str:
        """This one in a loop."""
        return f"{self.base}[{variable}{f' + {self.start}' * (self.start > 0)}]{self.attribute}"


@dataclass
class _Group:
    """Connections by their places, with the ends of the first; `steps` None: one connection."""

    places: list[int]
    ends: tuple[_End, _End] | None = None
    steps: Steps | None = None


def statements(scene: Scene) -> Iterator[tuple[nengo.Connection, str]]:
    """All connections as statements, each with the first that it says."""
    connections = list(dict.fromkeys(scene.network.all_connections))
    terms = [links.term(scene, conn) for conn in connections]
    groups = [part for group in _groups(scene, connections, terms) for part in _worthwhile(group)]
    for group in _ordered(groups, terms):
        said = [connections[k] for k in group.places]
        yield said[0], _statement(scene, group, said)


def _worthwhile(group: _Group) -> list[_Group]:
    """The group, or each of its connections by itself."""
    if group.steps in (TARGET, SOURCE) and len(group.places) < FEWEST_ROUNDS:
        return [_Group([k]) for k in group.places]
    return [group]


def _statement(scene: Scene, group: _Group, conns: Connections) -> str:
    if group.ends is None or group.steps is None:
        return links.connection(scene, conns[0])
    source, target = group.ends
    if group.steps == BOTH:
        return links.several(scene, conns, source.text(len(conns)), target.text(len(conns)))
    variable = scene.variable
    if group.steps == TARGET:
        made = links.several(scene, conns[:1], source.text(), target.round(variable))
    else:
        made = links.several(scene, conns, source.round(variable), target.text(), variable)
    return f"for {variable} in 0..{len(conns)} {{ {made} }}"


# --------------------------------------------------------------------------------------------- grouping


def _groups(scene: Scene, connections: Connections, terms: Sequence[tuple[Any, int]]) -> list[_Group]:
    """Connections of which one statement says several."""
    groups: list[_Group] = []
    # The ends that would go on with a group, and how.
    following: dict[tuple[_End, _End], tuple[_Group, Steps]] = {}
    for k, conn in enumerate(connections):
        ends = _ends(scene, conn)
        if ends is None or not _plain(scene, conn):
            groups.append(_Group([k]))
            continue
        group, steps = following.pop(ends, (None, BOTH))
        if group is None or not _goes_on(scene, connections, terms, group, steps, k):
            group = _Group([], ends)
            groups.append(group)
        else:
            group.steps = steps
        group.places.append(k)
        for step in [group.steps] if group.steps else (BOTH, TARGET, SOURCE):
            # What goes on is the ensembles of an array.
            if any(end.array for end, goes_on in zip(ends, step, strict=True) if goes_on):
                following[ends[0].after(step[0]), ends[1].after(step[1])] = group, step
    return groups


def _goes_on(
    scene: Scene,
    connections: Connections,
    terms: Sequence[tuple[Any, int]],
    group: _Group,
    steps: Steps,
    k: int,
) -> bool:
    """Whether connection k is the next of a group, where its ends are."""
    if group.steps not in (None, steps):
        return False
    first, last = (group.places[place] for place in (0, -1))
    (target, rank), (target_before, rank_before) = terms[k], terms[last]
    if target is target_before and rank <= rank_before:
        return False
    if not _alike(connections[k], connections[first]):
        return False
    return steps != TARGET or links.equal_decoders(scene, connections[k], connections[first])


def _ends(scene: Scene, conn: nengo.Connection) -> tuple[_End, _End] | None:
    source, target = _end(scene, conn, "pre"), _end(scene, conn, "post")
    return None if source is None or target is None else (source, target)


def _end(scene: Scene, conn: nengo.Connection, which: str) -> _End | None:
    """An end of a connection, None for what no neighbours have."""
    obj, taken = getattr(conn, f"{which}_obj"), getattr(conn, f"{which}_slice")
    size = obj.size_out if which == "pre" else obj.size_in
    places = np.arange(size)[taken].ravel()
    owner = obj.ensemble if isinstance(obj, Neurons) else obj
    attribute = ".neurons" if isinstance(obj, Neurons) else ""
    name = scene.labels.get(owner, "")
    base = name.rpartition("[")[0]
    if base in scene.arrays:
        number = int(name[len(base) + 1 : -1])
        whole = len(places) == size and (np.diff(places) == 1).all()
        return _End(base, attribute, True, number, 1, len(scene.arrays[base])) if whole else None
    if not name or not len(places) or (np.diff(places) != 1).any():
        return None
    return _End(name, attribute, False, int(places[0]), len(places), size)


def _plain(scene: Scene, conn: nengo.Connection) -> bool:
    """Whether nothing but decoders and a number is in a connection that no other one has."""
    if conn.learning_rule is not None or scene.labels.get(conn, "") or getattr(conn.solver, "weights", False):
        return False
    dense = isinstance(conn.transform, (nengo.Dense, nengo.transforms.NoTransform))
    if links.is_neural(conn.pre_obj):
        return dense and (conn.function is None or callable(conn.function))
    return dense and conn.function is None and np.ndim(links.factor(conn)) == 0


def _alike(conn: nengo.Connection, other: nengo.Connection) -> bool:
    """Whether both compute the same, but for their decoders."""
    if (conn.synapse, conn.size_in, conn.size_out) != (other.synapse, other.size_in, other.size_out):
        return False
    factors = [links.factor(c) for c in (conn, other)]
    if any(isinstance(made, nengo.dists.Distribution) for made in factors):
        return False
    first, second = (1.0 if made is None else made for made in factors)
    if not np.array_equal(first, second):
        return False
    if conn.function is other.function:
        return conn.function is None or _traced(conn) is not None
    return None not in (conn.function, other.function) and _traced(conn) == _traced(other) is not None


def _traced(conn: nengo.Connection) -> Any:
    """The function of a connection in expressions."""
    found = trace(conn.function, False, conn.size_in, conn.size_mid, held=True)
    return None if found is None else list(found.expressions)


# ------------------------------------------------------------------------------------------------ order


def _ordered(groups: list[_Group], terms: Sequence[tuple[Any, int]]) -> list[_Group]:
    """Groups in the order in which their terms are added, and else in their own.  Those that would have to be
    before and after each other come apart.
    """
    while True:
        sorter = _sorter(groups, terms)
        try:
            sorter.prepare()
            break
        except CycleError as error:
            circle = set(error.args[1])
        groups = [
            part
            for place, group in enumerate(groups)
            for part in ([_Group([k]) for k in group.places] if place in circle else [group])
        ]
    order: list[_Group] = []
    ready = list(sorter.get_ready())
    while ready:
        heapq.heapify(ready)
        place = heapq.heappop(ready)
        order.append(groups[place])
        sorter.done(place)
        ready += sorter.get_ready()
    return order


def _sorter(groups: list[_Group], terms: Sequence[tuple[Any, int]]) -> TopologicalSorter[int]:
    """Which group is after which others, by their places."""
    to: dict[Any, list[tuple[int, int, int]]] = defaultdict(list)
    for place, group in enumerate(groups):
        for k in group.places:
            target, rank = terms[k]
            to[target].append((rank, k, place))
    sorter: TopologicalSorter[int] = TopologicalSorter({place: () for place in range(len(groups))})
    for found in to.values():
        for (*_, before), (*_, after) in pairwise(sorted(found)):
            if before != after:
                sorter.add(after, before)
    return sorter
