"""Nengo networks written in the language: the same results to the byte, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import nengo
from translated import simulated, translated
from translated_networks import WHOLE
from translated_parts import PARTS
from translated_signals import SIGNALS

from spikec import frontend
from spikec import graph as g
from spikec.errors import ModelError
from spikec.expressions import Component, Number
from spikec.language.format import format_text
from spikec.nengo.writing import translate as module
from spikec.nengo.writing import words
from spikec.nengo.writing.same import difference
from spikec.nengo.writing.translate import translate
from spikec.sessions import prepared, session

STEPS = 40
NETWORKS = PARTS | WHOLE | SIGNALS


@pytest.fixture(params=[64, 32])
def bits(request: pytest.FixtureRequest) -> Iterator[int]:
    """Nengo's precision, set for a test."""
    nengo.rc.set("precision", "bits", str(request.param))
    yield request.param
    nengo.rc.set("precision", "bits", "64")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_text_gives_the_bytes_of_the_simulator(name: str, bits: int, tmp_path: Path) -> None:
    """With one and with two partitions, in both precisions, every probe of the network."""
    net, path = NETWORKS[name](), tmp_path / "model.spk"
    precision = f"float{bits}"
    ours = translated(net, path, STEPS, precision)
    assert any(np.abs(samples).max() > 0 for samples in ours)
    for partitions in (1, 2):
        theirs = simulated(net, STEPS, partitions)
        for samples, wanted in zip(ours, theirs, strict=True):
            assert samples.reshape(wanted.shape).tobytes() == wanted.astype(samples.dtype).tobytes()
    running = session(frontend.load(path), {}, 2, precision)
    running.advance(STEPS)
    drained = running.drain()
    running.close()
    assert sorted(s.tobytes() for s in drained.values()) == sorted(s.tobytes() for s in ours)
    text = path.read_text()
    assert format_text(text, str(path)) == text


def test_networks_of_16_bits_are_refused(tmp_path: Path) -> None:
    nengo.rc.set("precision", "bits", "16")
    try:
        with pytest.raises(ModelError, match=r"nengo\.rc asks for 16 bits; .* 32 or 64\n.*set precision"):
            translate(WHOLE["probed"](), tmp_path / "model.spk")
    finally:
        nengo.rc.set("precision", "bits", "64")
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------------------------- the text


def written(net: nengo.Network, folder: Path, **options: Any) -> str:
    return translate(net, folder / "model.spk", **options).path.read_text()


def test_names_are_those_of_the_program(tmp_path: Path) -> None:
    with nengo.Network(seed=1) as net:
        stim = nengo.Node(lambda t: np.sin(t))
        ensembles = [nengo.Ensemble(10, 1) for _ in range(2)]
        labelled = nengo.Ensemble(10, 1, label="my own: label")
        own = nengo.Probe(labelled, label="what is shown")
        taken = nengo.Ensemble(10, 1, label="probe")
        nengo.Connection(stim, ensembles[0])
        nengo.Connection(ensembles[0], labelled, function=np.square, synapse=0.1)
        nengo.Connection(labelled, taken)
        shown = nengo.Probe(taken, synapse=0.01)
    text = written(net, tmp_path, names={"stim": stim, "ensembles": ensembles, "shown": shown, "own": own})
    assert text.startswith("# Translated from a Nengo network.\nmodel model_network\nseed 1\n")
    assert "input stim(t) = sin(t)" in text
    assert "array ensembles(" in text
    assert "connect stim -> ensembles[0]\n" in text
    assert "connect ensembles[0] -> my_own_label\n  via x[0] * x[0]\n" in text
    assert "ensemble probe_2(" in text
    assert " as shown\n" in text
    assert " as what_is_shown" in text


def test_objects_and_connections_stand_under_the_names_of_their_networks(tmp_path: Path) -> None:
    with nengo.Network(seed=1) as net:
        u = nengo.Node([0.5], label="u")
        with nengo.Network(label="outer\nprobe u"):
            a = nengo.Ensemble(10, 1, label="a")
            with nengo.Network(label="inner"):
                b = nengo.Ensemble(10, 1, label="b")
                nengo.Connection(b, b, synapse=0.1)
            nengo.Connection(a, b)
        nengo.Connection(u, a)
        nengo.Probe(b)
    blocks = written(net, tmp_path).replace("outer_probe_u_", "").replace("inner_", "").split("\n\n")
    first = [block.replace("\n ", "").split(" solver")[0] for block in blocks[1:]]
    assert first[0].startswith("input u")
    assert first[1].startswith("# outer probe u\nensemble a")
    assert first[2].startswith("# outer probe u, inner\nensemble b")
    assert first[3] == "connect u -> a"
    # What leads to one target stands in the order in which it is added.
    assert first[4] == "# outer probe u, inner\nconnect b -> b"
    assert first[5] == "# outer probe u\nconnect a -> b"
    assert first[6] == "probe b"


def test_equal_arrays_are_one_file(tmp_path: Path) -> None:
    """Two connections of one function share the file of their decoders, and the decoding."""
    with nengo.Network(seed=1) as net:
        a, b, c = (nengo.Ensemble(20, 1) for _ in range(3))
        nengo.Connection(a, b)
        nengo.Connection(a, c)
        nengo.Probe(b, synapse=0.01)
        nengo.Probe(c, synapse=0.01)
    made = translate(net, tmp_path / "model.spk")
    assert [p.stem for p in made.arrays if "_to_" in p.stem] == ["ens_to_ens_2"]
    assert all(p.is_file() for p in made.arrays)


def test_a_network_without_its_unobserved_parts_is_whole(tmp_path: Path) -> None:
    """What no probe depends on is in the text all the same."""
    with nengo.Network(seed=1) as net:
        a, b = nengo.Ensemble(20, 1, label="a"), nengo.Ensemble(20, 1, label="b")
        nengo.Connection(a, b, synapse=0.02)
        nengo.Probe(a)
    text = written(net, tmp_path)
    assert "ensemble b(" in text
    assert "connect a -> b " in text.replace("\n ", "")


@pytest.mark.parametrize(
    ("value", "text"), [(0.005, "5ms"), (1.0, "1s"), (0.0001, "0.1ms"), (1 / 3000, f"{1 / 3000!r}s")]
)
def test_times_are_written_to_the_last_bit(value: float, text: str) -> None:
    assert words.time(value) == text


@pytest.mark.parametrize(
    ("chosen", "size", "text"),
    [
        (slice(None), 3, ""),
        (slice(1, 2), 3, "[1]"),
        (slice(0, 2), 3, "[0:2]"),
        (slice(0, 5, 2), 6, "[0:5:2]"),
        (slice(None, None, -1), 3, "[[2, 1, 0]]"),
        ([2, 0], 3, "[[2, 0]]"),
    ],
)
def test_parts_are_written_as_components(chosen: Any, size: int, text: str) -> None:
    assert words.part(chosen, size) == text


# ------------------------------------------------------------------------------------------ what is not


def test_everything_that_cannot_be_said_is_told_at_once(tmp_path: Path) -> None:
    """With its place and a remedy, and nothing is written."""
    state = []

    def remember(t: float) -> float:
        state.append(t)
        return t

    class Own(nengo.LIF):
        def step(self, dt: float, J: Any, output: Any, **given: Any) -> None:
            super().step(dt, J, output, **given)

    with nengo.Network(seed=1) as net:
        node = nengo.Node(remember, label="memory")
        scattered = nengo.dists.ScatteredHypersphere(surface=True)
        noise = nengo.Node(nengo.processes.WhiteNoise(scattered), size_out=1, label="noise")
        own = nengo.Ensemble(10, 1, neuron_type=Own(), label="own")
        noisy = nengo.Ensemble(10, 1, noise=nengo.processes.WhiteNoise(scattered), label="noisy")
        nengo.Connection(node, own, function=lambda x: float(str(x[0])))
        nengo.Connection(noise, noisy)
        nengo.Probe(own, synapse=0.01)
        nengo.Probe(own.neurons, "voltage", synapse=0.01)
    with pytest.raises(ModelError) as raised:
        translate(net, tmp_path / "model.spk")
    messages = [d.message for d in raised.value.diagnostics]
    assert messages == [
        "node memory: its function changes the list 'state'",
        "node noise: WhiteNoise runs in Python",
        "ensemble own: neurons of type Own run in Python here",
        "ensemble noisy: its noise, WhiteNoise, cannot be written",
        "connection from memory to own: its function calls str(), which does more than compute",
    ]
    assert all(d.hint for d in raised.value.diagnostics)
    first = raised.value.diagnostics[0].span
    assert first is not None
    assert first.line == remember.__code__.co_firstlineno + 1
    assert "        state.append(t)\n" in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def tiny() -> nengo.Network:
    with nengo.Network(seed=1) as net:
        nengo.Probe(nengo.Ensemble(20, 1, label="a"))
    return net


def test_a_text_that_would_differ_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is read back and compared: here a bias is lost on the way."""
    plain = module.objects.ensemble
    monkeypatch.setattr(
        module.objects, "ensemble", lambda scene, obj: plain(scene, obj).replace("bias=", "bias=2 * ")
    )
    with pytest.raises(ModelError, match=r"would not give the same results: .*other encoders or biases"):
        translate(tiny(), tmp_path / "model.spk")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------- what counts as equal

TEXT = """
input u(t) = sin(t)
ensemble a(300, encoders=sphere, gain=uniform(1, 2), bias=0.5)
ensemble b(20)
relay r
connect u -> a synapse 10ms
connect a -> b via x^2 solver no_solver(ones(300, 1) / 1000)
connect u -> r synapse 7ms
connect b -> r synapse 20ms
connect a -> r synapse 30ms
probe r every 2ms as out
probe b.neurons as spikes
"""


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("sin(t)", "sin(t) + 0", "other constants of a TimeFunction"),
        ("uniform(1, 2)", "uniform(1, 3)", "exponent|encoders|decoders"),
        ("300", "301", "decoders|size|numbers of signals"),
        ("synapse 20ms", "synapse 21ms", "other constants of a Filter"),
        ("/ 1000", "/ 1001", "decoders|exponent"),
        ("every 2ms", "every 3ms", "other steps"),
        ("connect b -> r synapse 20ms\n", "", "decoded rows|numbers of signals"),
        ("probe b.neurons as", "probe a.neurons as", ""),
    ],
)
def test_graphs_differ_in_what_decides_results(old: str, new: str, why: str) -> None:
    probes = [("out", "out"), ("spikes", "spikes")]
    one, other = prepared(frontend.loads(TEXT)), prepared(frontend.loads(TEXT.replace(old, new)))
    assert difference(one, prepared(frontend.loads(TEXT)), probes) == ""
    found = difference(one, other, probes)
    assert found
    assert any(part in found for part in why.split("|"))


def test_the_order_of_terms_counts() -> None:
    lines = TEXT.splitlines()
    k = lines.index("connect u -> r synapse 7ms")
    swapped = "\n".join([*lines[:k], lines[k + 1], lines[k], *lines[k + 2 :]])
    one, other = prepared(frontend.loads(TEXT)), prepared(frontend.loads(swapped))
    assert difference(one, other, [("out", "out")])


def test_names_and_sums_of_one_term_do_not_count() -> None:
    graph = g.Graph("m", 0.001, 0)
    graph.add("u", g.Constant(size=1, value=(1.0,)))
    graph.add("f", g.Function(size=1, expressions=(Component(0),), arguments=1))
    graph.connect("u", "f")
    other = g.Graph("n", 0.001, 0)
    other.add("v", g.Constant(size=1, value=(1.0,)))
    other.add("relay", g.Sum(size=1))
    other.add("h", g.Function(size=1, expressions=(Component(0),), arguments=1))
    other.connect("v", "relay")
    other.connect("relay", "h")
    for made, source in ((graph, "f"), (other, "h")):
        made.add("p", g.Probe(size=1, name="p"))
        made.connect(source, "p")
    assert difference(graph, other, [("p", "p")]) == ""
    other.replace("h", g.Function(size=1, expressions=(Number(1.0),), arguments=1))
    assert "Function" in difference(graph, other, [("p", "p")])


def test_a_network_is_left_as_it_was() -> None:
    net = tiny()
    net.seed = None
    with pytest.raises(ModelError):
        translate(net, "model.txt")
    assert net.seed is None


@pytest.mark.filterwarnings("ignore:The nengo.spa module:DeprecationWarning")
def test_a_function_that_a_library_wraps_is_refused_at_its_own_line(tmp_path: Path) -> None:
    """`spa.Input` makes a function of the user's, whose new names come later than anybody looks."""
    from nengo import spa

    with spa.SPA(seed=1) as net:
        net.buffer = spa.State(16)
        net.given = spa.Input(buffer=lambda t: "A" if t < 2e3 else "B" if t < 3e3 else "C")
        nengo.Probe(net.buffer.output)
    with pytest.raises(ModelError) as caught:
        translate(net, tmp_path / "model.spk")
    (mistake,) = caught.value.diagnostics
    assert mistake.span is not None
    assert mistake.span.file == __file__
    assert "net.given = " in Path(__file__).read_text().splitlines()[mistake.span.line - 1]
    assert "names what its vocabulary does not hold, in 'B'" in mistake.message
    assert "input.py:" in mistake.message
