"""Small built graphs of known structure, for tests of costs, partitions and plans."""

from __future__ import annotations

import numpy as np

from spikec import graph as g
from spikec.expressions import Call, Number, Time
from spikec.nef.neurons import LIF
from spikec.passes.split import split
from spikec.planning import hypergraph as hg
from spikec.planning import partition as pt
from spikec.planning.divider import Divider
from spikec.planning.profile import HostProfile
from spikec.program.schedule import Assignment
from spikec.verify import verify


def populations(
    count: int,
    neurons: int,
    dims: int = 1,
    links: list[tuple[int, int]] | None = None,
    direct: tuple[tuple[int, int], ...] = (),
    spikes: bool = False,
) -> g.Graph:
    """`count` populations e0, e1, ...; `links` (source, target) go through a synapse (a ring where not
    given), `direct` do not.
    """
    random = np.random.default_rng(1)
    graph = g.Graph("populations", 1e-3, 1)
    waves = tuple(Call("sin", (Call("*", (Number(6.0 + k), Time())),)) for k in range(dims))
    graph.add("stimulus", g.TimeFunction(size=dims, expressions=waves))
    for k in range(count):
        graph.add(f"e{k}.in", g.Sum(size=dims))
        graph.add(f"e{k}", _neurons(f"e{k}", neurons, dims, random))
        graph.connect(f"e{k}.in", f"e{k}")
        graph.add(f"e{k}.x", g.Decoders(size=dims, matrix=random.standard_normal((dims, neurons)) * 1e-4))
        graph.connect(f"e{k}", f"e{k}.x", "activity")
        graph.add(f"e{k}.lowpass", g.Filter(size=dims, num=(1.0,), den=(0.005, 1.0)))
        graph.connect(f"e{k}.x", f"e{k}.lowpass")
    graph.connect("stimulus", "e0.in")
    for s, t in links if links is not None else [(k, (k + 1) % count) for k in range(count)]:
        graph.connect(f"e{s}.lowpass", f"e{t}.in")
    for s, t in direct:
        graph.connect(f"e{s}.x", f"e{t}.in")
    graph.add("value", g.Probe(size=dims, name="value"))
    graph.connect(f"e{count - 1}.lowpass", "value")
    if spikes:
        graph.add("spikes", g.Probe(size=neurons, name="spikes", attribute="spikes"))
        graph.connect("e0", "spikes", "neurons")
    return verify(split(verify(graph)))


def _neurons(path: str, size: int, dims: int, random: np.random.Generator) -> g.Neurons:
    encoders = random.standard_normal((size, dims))
    encoders /= np.linalg.norm(encoders, axis=1)[:, None]
    gain, bias = LIF().gain_bias(random.uniform(200, 400, size), random.uniform(-1, 0.9, size))
    return g.Neurons(
        size=size, path=path, dims=dims, neuron=LIF(), radius=1.0,
        tuning=g.Tuned(encoders, gain, bias, lambda: np.zeros((1, dims))), seed=1,
    )  # fmt: skip


def assigned(graph: g.Graph, n: int, profile: HostProfile) -> Assignment:
    """What the partitioner makes of a split graph by itself, before atoms are moved."""
    who = hg.reads(graph)
    made = hg.hypergraph(graph, who, pt.vertex_costs(graph, profile, "float32"))
    with Divider() as divider:
        return pt.place(graph, n, who, made, profile.wires["ring"]["word"], divider)
