"""The rules of the graph: each broken rule is named."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from spikec import graph as g
from spikec.errors import InvalidGraph
from spikec.verify import verify


def chain() -> g.Graph:
    """constant -> filter -> product -> sum -> probe."""
    graph = g.Graph("chain", 1e-3, 0)
    graph.add("u", g.Constant(size=2, value=(1.0, 2.0)))
    graph.add("f", g.Filter(size=2, num=(1.0,), den=(0.005, 1.0)))
    graph.add("p", g.Product(size=1, matrix=np.ones((1, 2))))
    graph.add("s", g.Sum(size=1))
    graph.add("out", g.Probe(size=1, name="out"))
    for source, target in (("u", "f"), ("f", "p"), ("p", "s"), ("s", "out")):
        graph.connect(source, target)
    return graph


def test_a_legal_graph_passes() -> None:
    graph = chain()
    assert verify(graph) is graph


def test_two_inputs_on_a_port_for_one() -> None:
    graph = chain()
    graph.connect("u", "f")
    with pytest.raises(InvalidGraph, match="f: port 'x' of Filter has 2 inputs"):
        verify(graph)


def test_a_missing_input() -> None:
    graph = chain()
    graph.disconnect("u", "f")
    with pytest.raises(InvalidGraph, match="f: port 'x' of Filter has no input"):
        verify(graph)


def test_an_unknown_port() -> None:
    graph = chain()
    graph.connect("u", "s", "J")
    with pytest.raises(InvalidGraph, match="s: Sum has no port 'J'"):
        verify(graph)


def test_sizes_disagree() -> None:
    graph = chain()
    graph.connect("u", "s")
    with pytest.raises(InvalidGraph, match="s: port 'x' takes 1 numbers, u sets 2"):
        verify(graph)


def test_a_matrix_of_the_wrong_shape() -> None:
    graph = chain()
    graph.replace("p", g.Product(size=1, matrix=np.ones((1, 3))))
    with pytest.raises(InvalidGraph, match="p: port 'x' takes 3 numbers, f sets 2"):
        verify(graph)


def test_a_matrix_that_is_not_finite() -> None:
    graph = chain()
    graph.replace("p", g.Product(size=1, matrix=np.array([[1.0, np.nan]])))
    with pytest.raises(InvalidGraph, match="p: its matrix holds numbers that are not finite"):
        verify(graph)


def test_a_replaced_operator_sets_a_signal_of_the_same_size() -> None:
    graph = chain()
    with pytest.raises(InvalidGraph, match="u sets 2 numbers after 0 steps, what replaces it 3"):
        graph.replace("u", g.Constant(size=3, value=(1.0, 2.0, 3.0)))


def test_the_graph_is_a_networkx_multigraph_and_a_copy_shares_nothing_that_changes() -> None:
    graph = chain()
    seen = graph.nx
    assert list(seen.edges(data="port")) == [
        (source, name, port) for source in graph for name, port in graph.readers(source)
    ]
    assert [op for _, op in seen.nodes(data="op")] == [op for _, op in graph.nodes()]
    assert [signal.name for _, _, signal in seen.edges(data="signal")] == [s for s, _ in seen.edges()]
    before = nx.node_link_data(graph.nx, edges="edges")
    copy = graph.copy()
    copy.add("v", g.Constant(size=2, value=(0.0, 0.0)))
    copy.connect("v", "f")
    copy.remove("p")
    assert nx.node_link_data(graph.nx, edges="edges") == before


@pytest.mark.parametrize("change", ["add", "connect", "disconnect", "replace", "remove", "cycle"])
def test_what_changes_after_it_was_verified_is_looked_at_again(change: str) -> None:
    graph = verify(chain()).copy()
    assert not graph.changed
    match change:
        case "add":
            graph.add("g", g.Filter(size=2, num=(1.0,), den=(0.005, 1.0)))
        case "connect":
            graph.connect("u", "p")
        case "disconnect":
            graph.disconnect("f", "p")
        case "replace":
            graph.replace("p", g.Product(size=1, matrix=np.full((1, 2), np.nan)))
        case "remove":
            graph.remove("f")
        case "cycle":
            graph.connect("s", graph.add("again", g.Product(size=1, matrix=np.ones((1, 1)))))
            graph.connect("again", "s")
    with pytest.raises(InvalidGraph):
        verify(graph)


def test_a_cycle_needs_delay() -> None:
    graph = chain()
    graph.add("again", g.Product(size=1, matrix=np.ones((1, 1))))
    graph.connect("s", "again")
    graph.connect("again", "s")
    with pytest.raises(InvalidGraph, match=r"a cycle without delay: (s -> again -> s|again -> s -> again)"):
        verify(graph)


def test_a_cycle_through_a_filter_is_legal() -> None:
    graph = chain()
    graph.add("again", g.Filter(size=1, num=(1.0,), den=(0.1, 1.0)))
    graph.connect("s", "again")
    graph.connect("again", "s")
    verify(graph)
