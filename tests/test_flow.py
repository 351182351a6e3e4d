"""Cuts along the flow of a model, and what partitions compute again."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from partition_models import populations

from spikec import graph as g
from spikec.planning import flow, plan, profile
from spikec.planning import hypergraph as hg
from spikec.planning import partition as pt
from spikec.planning.cost import rest_cost
from spikec.planning.divider import Divider
from spikec.planning.replicas import component_costs
from spikec.planning.sites import Site, Spread

REFERENCE = profile.load("reference")
WORD = REFERENCE.wires["ring"]["word"]
STAGES = REFERENCE.kernels["float32"].stages


def _cut(graph: g.Graph, n: int) -> dict[str, int] | None:
    who = hg.reads(graph)
    hyper = hg.hypergraph(graph, who, pt.vertex_costs(graph, REFERENCE, "float32"))
    blocks = flow.blocks(graph, who, hyper, n, WORD)
    if blocks is None:
        return None
    return {name: block for names, block in zip(hyper.groups, blocks, strict=True) for name in names}


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_chain_is_cut_in_its_order(n: int) -> None:
    graph = populations(count=15, neurons=100, links=[(k, k + 1) for k in range(14)])
    blocks = _cut(graph, n)
    assert blocks
    assert [blocks[f"e{k}#0"] for k in range(15)] == sorted(n * k // 15 for k in range(15))


def test_rings_stay_whole() -> None:
    """Four rings of five, one of which feeds another."""
    links = [(5 * r + k, 5 * r + (k + 1) % 5) for r in range(4) for k in range(5)] + [(17, 3)]
    graph = populations(count=20, neurons=100, links=links)
    blocks = _cut(graph, 2)
    assert blocks
    assert all(len({blocks[f"e{5 * r + k}#0"] for k in range(5)}) == 1 for r in range(4))
    assert blocks["e17#0"] <= blocks["e3#0"]
    assert sum(blocks.values()) == 10


def test_a_loop_of_all_is_not_cut_along_its_flow() -> None:
    assert _cut(populations(count=8, neurons=100), 2) is None


def test_partitions_in_a_row_do_not_wait_for_messages() -> None:
    """In a ring they do: the same messages cost the time that they travel besides."""
    wire = REFERENCE.wires["ring"]
    chain = [(k, k + 1) for k in range(5)]
    row, ring = (
        plan.make_plan(populations(count=6, neurons=250, links=links), 2, REFERENCE, "float32")
        for links in (chain, [*chain, (5, 0)])
    )
    assert flow.waiting(row.layouts) == frozenset()
    assert flow.waiting(ring.layouts) == {0, 1}
    assert [sorted(x.send) for x in row.layouts] == [[1], []]
    assert row.costs[0].exchange == pytest.approx(wire["message"] + wire["word"], abs=0.1)
    assert min(c.exchange for c in ring.costs) > wire["latency"]


def test_neurons_that_no_message_waits_for_give_messages_time() -> None:
    """Those behind a message are worth half to either side; nobody waits for what goes one way."""
    wire = REFERENCE.wires["ring"]
    chain = [(k, k + 1) for k in range(15)]
    row, ring = (
        plan.make_plan(populations(count=16, neurons=250, links=links), 2, REFERENCE, "float32")
        for links in (chain, [*chain, (15, 0)])
    )
    assert [x.rest for x in row.layouts] == [(), ()]
    rest = [rest_cost(x, REFERENCE) for x in ring.layouts]
    assert min(rest) > wire["latency"]
    costs = Spread((Site(REFERENCE),), (2,), "ring").costs
    moved = pytest.approx(2 * (wire["message"] + wire["word"]), abs=0.1)
    assert [c.exchange for c in costs(ring.layouts)] == [moved, moved]
    one = (ring.layouts[0], replace(ring.layouts[1], rest=()))
    short = replace(REFERENCE, wires=REFERENCE.wires | {"ring": wire | {"latency": rest[0]}})
    waited = [
        c.exchange - 2 * (wire["message"] + wire["word"])
        for c in Spread((Site(short),), (2,), "ring").costs(one)
    ]
    assert waited == pytest.approx([rest[0] / 2] * 2, abs=0.1)


def test_what_two_compute_alike_keeps_them_together() -> None:
    """Eight populations in pairs, of which both read the same rows of a matrix."""
    graph = populations(count=8, neurons=100, dims=8, links=[])
    for pair in range(4):
        graph.add(f"row{pair}", g.Product(size=8, matrix=np.random.default_rng(pair).standard_normal((8, 8))))
        graph.connect("stimulus", f"row{pair}")
        for k in (pair, pair + 4):
            graph.connect(f"row{pair}", f"e{k}.in")
    who, costs = hg.reads(graph), pt.vertex_costs(graph, REFERENCE, "float32")
    alone, made = (
        hg.hypergraph(graph, who, costs, component_costs(graph, STAGES | {"linear_run": run}))
        for run in (0.0, 2.0)
    )
    for pair in range(4):
        edge = [list(pins) for pins in made.pins].index([pair, pair + 4])
        assert made.words[edge] == 0
        assert made.work[edge] - alone.work[edge] == pytest.approx(8 * 8 * 2.0)
    with Divider() as divider:
        atoms = pt.place(graph, 2, who, made, WORD, divider).atoms
    assert len(set(atoms.values())) == 2
    assert all(atoms[f"e{k}#0"] == atoms[f"e{k + 4}#0"] for k in range(4))


def _kept(count: int) -> int:
    """Bytes that the cuts of so many populations keep in memory."""
    graph = populations(count=count, neurons=20)
    planner = plan._Planner(graph, (Site(REFERENCE),), "float32", "ring", Divider())
    tracemalloc.start()
    try:
        planner.cuts_of(1)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_a_plan_keeps_little_of_each_population() -> None:
    _kept(10)  # libraries
    assert (_kept(900) - _kept(300)) / 600 < 400  # bytes; what a compilation has at its peak is 3 kB
