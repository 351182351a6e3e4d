"""The pass `select`: probes of components of exact sums keep nothing together, and record the same bytes."""

from __future__ import annotations

import inprocess
import numpy as np
import pytest

import spikec
from spikec import graph as g
from spikec.frontend import loads
from spikec.passes.select import select
from spikec.planning import hypergraph
from spikec.verify import verify

TEXT = """
input wave(t) = [sin(20 * t), cos(9 * t)]
array mem(300, dims=2, count=3)
ensemble big(600, dims=3, neuron=lif_rate)
connect wave -> big[1:3]
for i in 0..3 { connect wave -> mem[i] }
probe mem
probe big[2] as slice
probe big[[2, 0]] every 3ms as pair
probe mem[1:3] via x[0] * x[1] as products
probe big.neurons[200:520] as activity
"""


def unselected(text: str) -> g.Graph:
    """All passes but `select`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spikec.pipeline.select", lambda graph: graph)
        return inprocess.prepared(loads(text))


def groups(graph: g.Graph) -> int:
    return len(hypergraph.groups(graph, hypergraph.reads(graph)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_recorded_are_the_bytes_of_the_values(dtype: str) -> None:
    expected = inprocess.run_split(unselected(TEXT), 1, dtype, 120)
    assert all(np.abs(values).max() > 0.1 for values in expected.values())
    for partitions in (1, 2, 3):
        found = inprocess.run_split(inprocess.prepared(loads(TEXT)), partitions, dtype, 120)
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name].tobytes() == values.tobytes(), (name, partitions)


@pytest.mark.usefixtures("reference_host")
def test_real_workers_record_the_same_bytes() -> None:
    recorded = []
    for partitions in (1, 2, 3):
        model = spikec.compile_text(TEXT, partitions=partitions)
        assert len(model.manifest.partitions) == partitions
        run = model.run("120ms")
        recorded.append({name: run.probe(name).values.tobytes() for name in run.names})
    assert recorded[0] == recorded[1] == recorded[2]
    assert len(set(recorded[0].values())) == 5


def test_atoms_are_free() -> None:
    assert groups(unselected(TEXT)) == 2  # the array, and the large ensemble
    graph = inprocess.prepared(loads(TEXT))
    assert groups(graph) == len(list(graph.nodes(g.Atom))) == 9
    assert not hypergraph.value_probes(graph)


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        ("relay r[2] connect mem[0] -> r transform 0.5 synapse none probe r", "a factor"),
        ("relay r connect mem[0][0] -> r synapse none connect mem[1][0] -> r synapse none probe r", "a sum"),
        ("relay r[2] connect mem[0] -> r synapse none connect wave -> r synapse none probe r", "an input"),
        ("probe mem synapse 5ms", "a synapse"),
    ],
)
def test_anything_else_is_computed(probe: str, reason: str) -> None:
    text = TEXT[: TEXT.index("probe")] + probe.replace(" connect", "\nconnect").replace(" probe", "\nprobe")
    graph = verify(select(inprocess.prepared(loads(text))))
    assert len(hypergraph.value_probes(graph)) == 1, reason


def test_a_component_that_is_always_0_is_recorded_as_0() -> None:
    sums = "relay r[4]\nconnect mem[0] -> r[1:3] synapse none\nprobe r"
    graph = inprocess.prepared(loads(TEXT[: TEXT.index("probe")] + sums))
    assert not hypergraph.value_probes(graph)
    values = inprocess.run_split(graph, 2, "float32", 50)["r"]
    assert (values[:, [0, 3]] == 0).all()
    assert np.abs(values[:, [1, 2]]).min(axis=0).max() >= 0 < np.abs(values[:, [1, 2]]).max(axis=0).min()


@pytest.mark.usefixtures("reference_host")
def test_what_joins_atoms_is_named_with_its_place() -> None:
    text = "array mem(300, count=4)\nensemble a(50)\nrelay r\n"
    text += "for i in 0..4 { connect mem[i] -> r transform 0.5 synapse none }\n"
    text += "probe r as total\nconnect mem[0] -> a synapse none\nprobe a synapse 10ms"
    with pytest.raises(spikec.ModelError) as error:
        spikec.compile_text(text, partitions=3)
    said = str(error.value)
    assert "3 partitions are more than the model can be cut into: it has 9 atoms" in said
    assert "in 1 group that must stay together" in said
    probe = "probe 'total' computes with 'mem[0]', 'mem[1]', 'mem[2]' and 1 more without a synapse; add one"
    assert f":5:1: note: {probe}, for example: synapse 10ms" in said
    assert (
        ":2:1: note: 'mem[0]' is connected to 'a' without a synapse; add one, for example: synapse 5ms"
        in said
    )
    assert 'use partitions=1, or partitions="auto"' in said
