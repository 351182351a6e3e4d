"""The pass `advance`: synapses move before sums and matrices of decoded values, and nothing else changes."""

from __future__ import annotations

import inprocess
import numpy as np

from spikec import graph as g
from spikec.frontend import loads
from spikec.nef.build import build
from spikec.passes.advance import advance
from spikec.passes.split import split
from spikec.planning import hypergraph
from spikec.verify import verify

TEXT = """
input wave(t) = [sin(20 * t), cos(9 * t)]
ensemble a(60, dims=2, neuron=lif_rate)
ensemble b(70, dims=2, neuron=lif_rate)
ensemble c(80, neuron=lif_rate)
relay total[2]
connect wave -> a
connect wave -> b
connect a -> total transform [[1, 0.5], [0, 2]] synapse none
connect b -> total synapse none
connect wave -> total transform 0.1 synapse none
connect total -> c transform [[1, -1]] synapse 20ms
connect total[0] -> c synapse none delay 4ms
probe total synapse alpha(6ms) as total_value
probe c synapse 5ms as c_value
"""


def _data(graph: g.Graph) -> dict[str, np.ndarray]:
    return inprocess.run_split(verify(split(build(graph))), 1, "float64", 300)


def test_what_is_recorded_stays_the_same_but_for_rounding() -> None:
    before, after = _data(loads(TEXT)), _data(verify(advance(loads(TEXT))))
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert np.abs(values).max() > 0.1
        np.testing.assert_allclose(after[name], values, rtol=0, atol=1e-10)


def test_memories_read_decoded_values_directly() -> None:
    graph = advance(loads(TEXT))
    decoded = [name for name, _ in graph.nodes(g.Decoding)]
    assert decoded
    for name in decoded:
        assert all(isinstance(graph.op(r), (g.Filter, g.Delay)) for r, _ in graph.readers(name))


def test_ensembles_summed_without_a_synapse_can_be_apart() -> None:
    graphs = (split(build(loads(TEXT))), split(build(advance(loads(TEXT)))))
    counts = [len(hypergraph.groups(graph, hypergraph.reads(graph))) for graph in graphs]
    assert counts == [1, 3], f"{counts} groups of atoms that must stay together"


def test_a_sum_that_feeds_itself_through_a_synapse_is_left() -> None:
    text = """
    input wave(t) = sin(20 * t)
    ensemble a(50, neuron=lif_rate)
    relay total
    connect wave -> a
    connect a -> total synapse none
    connect total -> total transform 0.5 synapse 10ms
    probe total synapse 5ms as total_value
    """
    before, after = _data(loads(text)), _data(verify(advance(loads(text))))
    np.testing.assert_allclose(after["total_value"], before["total_value"], rtol=0, atol=1e-10)
