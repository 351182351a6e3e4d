"""How a node of the dataflow graph keeps its edges: most have one input and one reader, a few have thousands.

Functions take what a node keeps and give what it keeps from then on; where that is a dictionary, it is the
same one, changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

# Where an edge comes among those into a node: several that stand for the one at 3 are at (3, 0), (3, 1).
Place: TypeAlias = int | tuple[int, ...]
# Names, each once, in the order in which they came: one alone, a few, or many in a dictionary.
Names: TypeAlias = "str | tuple[str, ...] | dict[str, None]"
# Edges into a node: a source alone, with one edge, the first, on port "x"; else (source, place, port, source,
# place, port, ...) by their places where they are few, or {source: (place, port, place, port, ...)}.
Edges: TypeAlias = "str | tuple[Any, ...] | dict[str, tuple[Any, ...]]"
FIRST, PLAIN = 1, "x"
# Most nodes have one input and one reader.  So many are looked through faster than a dictionary is made.
FEW = 16


def _order(edge: tuple[str, Place, str]) -> tuple[int, ...]:
    place = edge[1]
    return place if isinstance(place, tuple) else (place,)


def following(edges: Edges, count: int) -> Place:
    """The place after those of all `edges`; `count`: how many were ever made in the graph, this one too.

    Small numbers, most often 1, take no memory.
    """
    if isinstance(edges, dict):
        return count
    return _order(_few(edges)[-3:])[0] + 1 if edges else FIRST


def joined(edges: Edges, source: str, place: Place, port: str) -> Edges:
    """`edges`, which may change, with one more."""
    if isinstance(edges, dict):
        edges[source] = (*edges.get(source, ()), place, port)
        return edges
    if not edges and place == FIRST and port == PLAIN:
        return source
    few = _few(edges)
    if len(few) == 3 * FEW:
        return joined(_by_source(few), source, place, port)
    if not few or _order((source, place, port)) >= _order(few[-3:]):
        return (*few, source, place, port)
    return _in_order([*_triples(few), (source, place, port)])


def cut(edges: Edges, source: str) -> Edges:
    """`edges`, which may change, without those from `source`, if there are any."""
    if isinstance(edges, dict):
        edges.pop(source, None)
        return edges
    return tuple(x for edge in _triples(_few(edges)) if edge[0] != source for x in edge)


def _few(edges: str | tuple[Any, ...]) -> tuple[Any, ...]:
    return (edges, FIRST, PLAIN) if isinstance(edges, str) else edges


def _triples(edges: tuple[Any, ...]) -> Iterator[tuple[str, Place, str]]:
    return zip(edges[::3], edges[1::3], edges[2::3], strict=True)


def _in_order(edges: list[tuple[str, Place, str]]) -> tuple[Any, ...]:
    edges.sort(key=_order)
    return tuple(x for edge in edges for x in edge)


def _by_source(edges: tuple[Any, ...]) -> dict[str, tuple[Any, ...]]:
    """A few edges as many are kept."""
    made: dict[str, tuple[Any, ...]] = {}
    for source, place, port in _triples(edges):
        made[source] = (*made.get(source, ()), place, port)
    return made


def ports(edges: Edges) -> tuple[tuple[str, str], ...]:
    """(source, port) of every edge, by their places."""
    if isinstance(edges, dict):
        edges = _in_order([(source, *pair) for source, own in edges.items() for pair in _pairs(own)])
    few = _few(edges)
    return ((few[0], few[2]),) if len(few) == 3 else tuple(zip(few[::3], few[2::3], strict=True))


def _pairs(edges: tuple[Any, ...]) -> Iterator[tuple[Place, str]]:
    """(place, port) of every edge between two nodes."""
    return zip(edges[::2], edges[1::2], strict=True)


def edges_from(edges: Edges, source: str) -> Iterable[tuple[Place, str]]:
    """(place, port) of every edge from one source."""
    if isinstance(edges, dict):
        return _pairs(edges[source])
    if isinstance(edges, str):
        return ((FIRST, PLAIN),)
    if len(edges) == 3:
        return (edges[1:],)
    return [edge[1:] for edge in _triples(edges) if edge[0] == source]


def sources(edges: Edges) -> Iterable[str]:
    """The nodes that edges come from, each once."""
    if isinstance(edges, dict):
        return edges
    if isinstance(edges, str):
        return (edges,)
    return edges[:1] if len(edges) == 3 else dict.fromkeys(edges[::3])


def each(names: Names) -> Iterable[str]:
    return (names,) if isinstance(names, str) else names


def including(names: Names, name: str) -> Names:
    """`names`, which may change, with one more, if it is not there."""
    if isinstance(names, dict):
        names[name] = None
        return names
    if not names:
        return name
    few = (names,) if isinstance(names, str) else names
    if name in few:
        return names
    return (*few, name) if len(few) < FEW else dict.fromkeys((*few, name))


def excluding(names: Names, name: str) -> Names:
    """`names`, which may change, without one of them."""
    if isinstance(names, dict):
        del names[name]
        return names
    left = tuple(other for other in each(names) if other != name)
    return left[0] if len(left) == 1 else left
