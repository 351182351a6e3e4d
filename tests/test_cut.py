"""The cut does not change the answer: random models dealt to partitions at random, ensembles split."""

from __future__ import annotations

from dataclasses import dataclass

import inprocess
import numpy as np
import pytensor.link.numba.linker  # noqa: F401  (it raises the recursion limit, not within a test of Hypothesis)
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from spikec import graph as g
from spikec.frontend import loads
from spikec.program.schedule import Assignment

STEPS = 60
# An atom has 256 neurons: sizes on both sides of a border, and of at least three atoms.
SIZES = (1, 100, 255, 256, 257, 600)
WIDE = (513, 600, 767, 768, 769)
# Programs of one partition are compiled, once for what they are made of.  So that few differ, there are three
# pairs of neuron types, every partition holds neurons of both and synapses of each order, and one records all
# values.
KINDS = (
    ("lif", "lif_rate", "float32"),
    ("adaptive_lif", "sigmoid", "float64"),
    ("spiking_rectified_linear", "tanh", "float32"),
)
TUNING = "max_rates=uniform(210Hz, 300Hz), intercepts=uniform(-1, 0.2)"
FUNCTIONS = ("x[0]", "-x[0] * x[0]", "sin(3 * x[0])", "max(x[0], 0.2)", "x[0] / (1.5 + x[0])")
SYNAPSES = (
    "5ms",
    "lowpass(20ms) delay 1ms",
    "alpha(4ms)",
    "alpha(2ms) delay 3ms",
    "lowpass(0.02ms)",
    "none delay 2ms",
)
PROBES = """
probe e0 via x[0] synapse 4ms as filtered
probe e1 via x[0] as decoded
probe e0.neurons[7:257] synapse alpha(6ms) every 4ms as activity
probe e0 spikes
probe e0 voltage every 9ms
"""


@dataclass(frozen=True)
class Case:
    """A model, its precision, and seeds for dealing its atoms to partitions."""

    text: str
    dtype: str
    deals: tuple[int, int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    first, second, dtype = draw(st.sampled_from(KINDS))
    count = draw(st.integers(2, 4))
    sizes = [draw(st.sampled_from(WIDE if i < 2 else SIZES)) for i in range(count)]
    lines = [f"seed {draw(st.integers(0, 10**6))}", "input wave(t) = sin(30 * t)"]
    for i, size in enumerate(sizes):
        kind, dims = (second if i % 2 else first), draw(st.integers(1, 3))
        lines.append(f"ensemble e{i}({size}, dims={dims}, neuron={kind}, {TUNING})")
        gain = draw(st.integers(1, 20)) / 10
        lines.append(f"connect wave -> e{i}[{dims - 1}] transform {gain} synapse none")
    for i in range(count):
        lines.append(_link(draw, i, (i + 1) % count))
        lines.append(_link(draw, i, draw(st.integers(0, count - 1))))
    for synapse in ("lowpass(10ms)", "alpha(3ms)", "none delay 3ms"):
        lines += [f"connect e0 -> e{i}[0] via 0.2 * x[0] synapse {synapse}" for i in range(2)]
    lines.append("connect e1.neurons -> e0.neurons transform gaussian(0, 0.0001) synapse 3ms")
    return Case(
        "\n".join([*lines, PROBES]), dtype, (draw(st.integers(0, 2**32)), draw(st.integers(0, 2**32)))
    )


def _link(draw: st.DrawFn, source: int, target: int) -> str:
    via, synapse = draw(st.sampled_from(FUNCTIONS)), draw(st.sampled_from(SYNAPSES))
    weight = draw(st.integers(-9, 9)) / 10
    return f"connect e{source} -> e{target}[0] via {via} transform {weight} synapse {synapse}"


def dealt(graph: g.Graph, partitions: int, seed: int) -> Assignment:
    """Atoms at random, but some of e0 and of e1 in every partition; all probes of values in one of them."""
    random = np.random.default_rng(seed)
    names = [name for name, _ in graph.nodes(g.Atom)]
    atoms = {name: int(random.integers(partitions)) for name in names}
    for wide in ("e0#", "e1#"):
        some = [name for name in names if name.startswith(wide)][:3]
        for k, name in enumerate(random.permutation(some)):
            atoms[str(name)] = k % partitions
    owner = int(random.integers(partitions))
    return Assignment(partitions, atoms, {name: owner for name, _ in graph.nodes(g.Probe)})


def data(graph: g.Graph, assignment: Assignment, dtype: str, compiled: bool = False) -> dict[str, bytes]:
    recorded = inprocess.run_assigned(graph, assignment, dtype, STEPS, compiled=compiled)
    assert np.abs(recorded["filtered"]).max() > 0
    assert len(recorded["e0.spikes"]) > 0
    assert np.isfinite(recorded["activity"]).all()
    return {name: values.tobytes() for name, values in recorded.items()}


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # making an example smaller costs a compilation at every try
)
@given(cases())
def test_partitions_record_the_same_bytes(case: Case) -> None:
    note(case.text)
    graph = inprocess.prepared(loads(case.text))
    # What is compiled and what is not must agree too.
    whole = data(graph, dealt(graph, 1, 0), case.dtype, compiled=True)
    for partitions, seed in zip((2, 3), case.deals, strict=True):
        parts = data(graph, dealt(graph, partitions, seed), case.dtype)
        differing = [name for name in whole if parts[name] != whole[name]]
        assert parts.keys() == whole.keys()
        assert not differing, f"{partitions} partitions record other bytes of {differing}"


def test_a_partition_whose_sums_have_no_terms_records_the_same_bytes() -> None:
    graph = inprocess.prepared(
        loads(
            """
            input wave(t) = sin(30 * t)
            ensemble e0(300)
            ensemble e1(300, intercepts=uniform(-1, -0.5))
            connect wave -> e0
            connect e0 -> e1 transform 0 synapse 5ms
            probe e0 synapse 4ms as filtered
            probe e0.neurons[0:9] synapse 4ms as activity
            probe e0 spikes
            probe e1 spikes
            """
        )
    )
    apart = {name: int(name.startswith("e1")) for name, _ in graph.nodes(g.Atom)}
    probes = {name: 0 for name, _ in graph.nodes(g.Probe)}
    together = Assignment(1, dict.fromkeys(apart, 0), probes)
    assert data(graph, Assignment(2, apart, probes), "float32") == data(graph, together, "float32")
