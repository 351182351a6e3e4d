"""The tables of a graph: copies are apart, edges keep their order, networkx sees the same."""

from __future__ import annotations

import pytest

from spikec import graph as g
from spikec.edges import FEW
from spikec.errors import InvalidGraph
from spikec.verify import verify


def _model() -> g.Graph:
    graph = g.Graph("test", 1e-3, 0)
    for name in ("a", "b", "c"):
        graph.add(name, g.Constant(size=1, value=(1.0,)))
    graph.add("sum", g.Sum(size=1))
    graph.add("loop", g.Delay(size=1, steps=2))
    for source in ("b", "a", "b"):
        graph.connect(source, "sum")
    graph.connect("sum", "loop")
    graph.connect("loop", "sum")
    return graph


def _described(graph: g.Graph) -> list[object]:
    return [(n, graph.op(n), graph.input_ports(n), graph.readers(n), graph.ends(n)) for n in graph]


def test_edges_keep_their_order() -> None:
    graph = _model()
    assert graph.inputs("sum") == ["b", "a", "b", "loop"]
    assert graph.ends("b") == [("sum", "x", 1), ("sum", "x", 3)]
    for reader, port, place in graph.ends("a"):
        graph.connect("c", reader, port, place)
    graph.disconnect("a", "sum")
    assert graph.inputs("sum") == ["b", "c", "b", "loop"]
    assert graph.readers("a") == []


def test_a_new_edge_comes_last_wherever_others_were_put() -> None:
    graph = _model()
    ((_, port, place),) = graph.ends("a")
    graph.connect("c", "sum", port, (place, 1))
    graph.connect("c", "sum", port, (place, 0))
    graph.disconnect("loop", "sum")
    graph.connect("a", "loop")
    assert graph.inputs("sum") == ["b", "a", "c", "c", "b"]
    assert graph.input_ports("loop") == (("sum", "x"), ("a", "x"))
    graph.connect("loop", "sum", "x")
    graph.connect("loop", "sum", "y")
    assert graph.input_ports("sum")[-2:] == (("loop", "x"), ("loop", "y"))
    graph.disconnect("sum", "loop")
    assert graph.ends("a") == [("sum", "x", 2), ("loop", "x", 2)]


def test_neither_of_two_copies_sees_what_the_other_changes() -> None:
    """Tables are shared until one of the two changes, whichever that is and however often they are copied."""
    original = _model()
    wanted = _described(original)
    copies = [original.copy(), original.copy()]
    copies.append(copies[0].copy())
    for changed in (copies[0], original):
        before = [_described(other) for other in (original, *copies) if other is not changed]
        changed.connect("c", "sum")
        changed.disconnect("b", "sum")
        changed.replace("a", g.Constant(size=1, value=(2.0,)))
        changed.remove("loop")
        assert changed.inputs("sum") == ["a", "c"]
        assert [_described(other) for other in (original, *copies) if other is not changed] == before
    assert _described(copies[1]) == _described(copies[2]) == wanted


def test_networkx_sees_the_same() -> None:
    graph = _model()
    seen = graph.nx
    assert {name: data["op"] for name, data in seen.nodes.items()} == dict(graph.nodes())
    edges = sorted((s, t, d["port"], d["signal"].delay) for s, t, d in seen.edges(data=True))
    assert edges == [
        ("a", "sum", "x", 0),
        *[("b", "sum", "x", 0)] * 2,
        ("loop", "sum", "x", 2),
        ("sum", "loop", "x", 0),
    ]


def test_cycles_are_looked_for_where_edges_are_new() -> None:
    graph = verify(_model())
    assert not graph.rewired
    copied = graph.copy()
    copied.add("other", g.Sum(size=1))
    copied.connect("sum", "other")
    copied.connect("other", "sum")
    with pytest.raises(InvalidGraph, match=r"a cycle without delay: .*other"):
        verify(copied)
    assert verify(graph) is graph


def test_the_order_follows_changes() -> None:
    graph = _model()
    assert graph.order() == ("a", "b", "c", "sum", "loop")
    assert graph.copy().order() == graph.order()
    graph.add("after", g.Sum(size=1))
    graph.connect("after", "sum")
    assert graph.order() == ("a", "b", "c", "after", "sum", "loop")
    graph.connect("sum", "after")
    assert not graph.is_acyclic()
    with pytest.raises(InvalidGraph, match="cycle"):
        graph.order()
    graph.remove("after")
    assert graph.is_acyclic()
    assert graph.order() == ("a", "b", "c", "sum", "loop")


def test_many_edges_are_kept_as_a_few_are() -> None:
    """Beyond `edges.FEW` a node keeps its edges in a dictionary: order, places and copies are the same."""
    graph, many = g.Graph("test", 1e-3, 0), [f"s{k}" for k in range(3 * FEW)]
    for name in (*many, "late"):
        graph.add(name, g.Constant(size=1, value=(1.0,)))
    graph.add("sum", g.Sum(size=1))
    for name in (*many, many[0]):
        graph.connect(name, "sum")
    assert graph.inputs("sum") == [*many, many[0]]
    assert graph.ends(many[0]) == [("sum", "x", 1), ("sum", "x", 3 * FEW + 1)]
    copied = graph.copy()
    ((_, port, place),) = copied.ends(many[2])
    copied.connect("late", "sum", port, place)
    copied.remove(many[2])
    copied.disconnect(many[0], "sum")
    assert copied.inputs("sum") == [many[1], "late", *many[3:]]
    assert graph.inputs("sum") == [*many, many[0]]
    assert verify(copied).order() == (many[0], many[1], *many[3:], "late", "sum")


def test_many_readers_are_kept_as_a_few_are() -> None:
    graph, many = g.Graph("test", 1e-3, 0), [f"r{k}" for k in range(3 * FEW)]
    graph.add("source", g.Constant(size=1, value=(1.0,)))
    for name in many:
        graph.add(name, g.Sum(size=1))
        graph.connect("source", name)
    copied = graph.copy()
    copied.remove(many[1])
    copied.disconnect("source", many[0])
    copied.connect("source", many[0])
    assert [name for name, _ in copied.readers("source")] == [*many[2:], many[0]]
    assert [name for name, _ in graph.readers("source")] == many
    copied.remove("source")
    assert all(copied.inputs(name) == [] for name in copied)


def test_a_place_between_others_is_taken() -> None:
    graph = _model()
    graph.connect("c", "sum", place=(2, 1))
    graph.connect("c", "sum", place=(2, 0))
    assert graph.inputs("sum") == ["b", "a", "c", "c", "b", "loop"]
    assert sorted(graph.ends("c")) == [("sum", "x", (2, 0)), ("sum", "x", (2, 1))]
