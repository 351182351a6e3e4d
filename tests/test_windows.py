"""Exchange windows: what crosses with a delay is sent in one message for many steps, and changes no byte."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import fake_engine
import inprocess
import numpy as np
import pytest
import spike_runtime.engine
import spike_runtime.loop
import spike_runtime.native
import spike_runtime.programs
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from partition_models import assigned
from spike_runtime import manifest as mf
from spike_runtime.wires import ring, zeromq
from spike_runtime.wires import segment as shared
from test_cut import dealt
from test_transports import same

import spikec
import spikec.program.schedule
from spikec import graph as g
from spikec.frontend import loads
from spikec.planning import profile
from spikec.planning.plan import make_plan
from spikec.program.schedule import Assignment, schedule
from spikec.program.wires import LONGEST_MESSAGE, LONGEST_WINDOW

# Nothing is read less than 3 steps later: wherever this is cut, one message holds 3 steps.
MODEL = """
seed 3
input wave(t) = sin(30 * t)
ensemble a(600, dims=2)
ensemble b(520)
ensemble c(300)
connect wave -> a[0]
connect wave -> a[1] transform -0.5
connect a -> b via x[0] * x[1] synapse lowpass(5ms) delay 3ms
connect b -> a[0] synapse none delay 5ms
connect b -> c synapse alpha(3ms) delay 4ms
connect c -> c synapse lowpass(10ms) delay 7ms
probe b as decoded
probe a spikes
probe c voltage
"""
STEPS = 64  # not a multiple of 3


def data(
    graph: g.Graph, partitions: int, seed: int, steps: int = STEPS, compiled: bool | None = None
) -> dict[str, bytes]:
    assignment = dealt(graph, partitions, seed)
    recorded = inprocess.run_assigned(graph, assignment, "float32", steps, compiled=compiled)
    assert all(values.any() for values in recorded.values())
    return {name: values.tobytes() for name, values in recorded.items()}


@pytest.mark.usefixtures("reference_host")
def test_partitions_and_transports_give_the_same_bytes(tmp_path: Path) -> None:
    runs = {}
    for partitions in (1, 2, 3, 5):
        compiled = spikec.compile_text(MODEL, partitions, tmp_path / f"n{partitions}")
        # The partitioner may find a cut that only longer delays cross.
        windows = {wire.window for wire in compiled.manifest.wires}
        assert windows <= {3, 4, 5}
        assert len(windows) == (partitions > 1)
        for transport in ("ring", "ipc", "tcp") if partitions > 1 else ("ring",):
            runs[partitions, transport] = compiled.run(
                STEPS * 1e-3, tmp_path / f"run-{partitions}-{transport}", transport
            )
    assert all(np.ptp(runs[1, "ring"].probe(name).values) > 0 for name in ("decoded", "c.voltage"))
    for run in runs.values():
        same(runs[1, "ring"], run)


@st.composite
def models(draw: st.DrawFn) -> str:
    """Two or three ensembles, each read by itself and by the next with delays of 2 to 9 steps."""
    count = draw(st.integers(2, 3))
    lines = [f"seed {draw(st.integers(0, 10**6))}", "input wave(t) = sin(30 * t)"]
    for i in range(count):
        size, dims = draw(st.sampled_from((513, 600, 769))), draw(st.integers(1, 2))
        lines += [f"ensemble e{i}({size}, dims={dims})", f"connect wave -> e{i}[{dims - 1}] synapse none"]
        for target in (i, (i + 1) % count):
            synapse = draw(st.sampled_from(("none", "lowpass(5ms)", "alpha(3ms)")))
            delay, weight = draw(st.integers(2, 9)), draw(st.integers(1, 9)) / 10
            lines.append(
                f"connect e{i}[0] -> e{target}[0] transform {weight} synapse {synapse} delay {delay}ms"
            )
    # Synapses of every order are in every model, so that few programs have to be compiled.
    lines += [f"connect e0 -> e0[0] via 0.1 * x[0] synapse {s} delay 9ms" for s in ("5ms", "alpha(3ms)")]
    return "\n".join([*lines, "probe e0 as decoded", "probe e0 spikes", "probe e1 voltage"])


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@given(models(), st.integers(0, 2**32))
def test_random_models_record_the_same_bytes(text: str, seed: int) -> None:
    note(text)
    graph = inprocess.prepared(loads(text))
    whole = data(graph, 1, 0)
    for partitions in (2, 3):
        assert data(graph, partitions, seed) == whole


def test_full_buffers_in_mid_window_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, steps = inprocess.prepared(loads(MODEL)), 400
    whole = data(graph, 1, 0, steps)
    calls: list[int] = []
    run = spike_runtime.engine.Engine.run

    def counted(engine: spike_runtime.engine.Engine, first: int, count: int) -> int:
        calls.append(first)
        return run(engine, first, count)

    monkeypatch.setattr(spike_runtime.engine.Engine, "run", counted)
    # The least that there may be: full where three quarters are, and all neurons fit the last.
    monkeypatch.setattr(spike_runtime.engine, "event_capacity", lambda sources, _: 4 * sources)
    assert data(graph, 3, 5, steps) == whole
    assert {first % 3 for first in calls} == {0, 1, 2}
    assert len(calls) > 12


def test_partitions_with_chunks_of_their_own_record_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = inprocess.prepared(loads(MODEL))
    whole = data(graph, 1, 0)
    monkeypatch.setattr(
        spike_runtime.engine.Engine, "_chunk_length", lambda engine, _step: (7, 3, 10)[engine.partition]
    )
    assert data(graph, 3, 5) == whole


def test_the_window_is_the_least_delay_of_what_crosses() -> None:
    text = """
    ensemble a(100)
    ensemble b(100)
    connect a -> a synapse 5ms
    connect b -> b synapse 5ms
    connect a -> b synapse 5ms delay {}ms
    connect b -> a synapse none delay 6ms
    probe b
    """
    for delay, window in ((1, 1), (4, 4), (9, 6)):
        graph = inprocess.prepared(loads(text.format(delay)))
        atoms = {name: int(name.startswith("b")) for name, _ in graph.nodes(g.Atom)}
        layouts, _ = schedule(graph, replace(dealt(graph, 2, 0), atoms=atoms), "float32")
        assert [layout.window for layout in layouts] == [window, window]
        # No sum has a part in both: nothing has to be kept.
        assert not any(len(layout.late) for layout in layouts)


def test_the_partitioner_cuts_where_the_delay_is_long() -> None:
    """Two pairs: cutting each is fewer numbers, cutting between them fewer messages."""
    pairs = [("a0", "a1"), ("b0", "b1")]
    lines = [f"ensemble {name}(200, dims=3)" for pair in pairs for name in pair]
    lines += [f"connect {x}[0] -> {y}[0] synapse 5ms" for p in pairs for x, y in (p, p[::-1])]
    lines += [f"connect {x} -> {y} synapse 5ms delay 10ms" for x, y in (("a0", "b0"), ("b1", "a1"))]
    lines += [f"probe {name} spikes" for pair in pairs for name in pair]
    graph = inprocess.prepared(loads("\n".join(lines)))
    host = profile.load("reference")
    few = schedule(graph, assigned(graph, 2, host), "float32")[0]
    made = make_plan(graph, 2, host, "float32")
    assert sum(len(rows) for layout in few for rows in layout.send.values()) == 4
    assert {layout.window for layout in few} == {1}
    assert sum(len(rows) for layout in made.layouts for rows in layout.send.values()) == 6
    assert {layout.window for layout in made.layouts} == {10}
    assert {made.assignment.atoms[f"{name}#0"] for name in ("a0", "a1")} == {0}
    assert {made.assignment.atoms[f"{name}#0"] for name in ("b0", "b1")} == {1}


def test_windows_are_bounded() -> None:
    """A message neither spans very many steps nor grows very long."""
    text = (
        "ensemble a(100, dims={0})\nensemble b(100, dims={0})\nconnect a -> b synapse none delay 1s\nprobe b"
    )
    for dims, window in ((1, LONGEST_WINDOW), (2000, LONGEST_MESSAGE // 2000)):
        graph = inprocess.prepared(loads(text.format(dims)))
        atoms = {name: int(name.startswith("b")) for name, _ in graph.nodes(g.Atom)}
        layouts, _ = schedule(graph, replace(dealt(graph, 2, 0), atoms=atoms), "float32")
        assert {layout.window for layout in layouts} == {window}


def test_neurons_that_no_message_waits_for_come_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
    input wave(t) = sin(30 * t)
    ensemble a(300)
    ensemble b(1500)
    connect wave -> a
    connect b -> a synapse 5ms
    connect b -> b synapse 5ms
    probe b
    probe a spikes
    """
    graph = inprocess.prepared(loads(text))
    assignment = Assignment(2, {name: int(name == "b#5") for name, _ in graph.nodes(g.Atom)}, {"probe b": 0})

    def groups() -> list[list[str]]:
        layout = schedule(graph, assignment, "float32")[0][0]
        return [sorted(atom for s in part for atom in s.members) for part in (layout.neurons, layout.rest)]

    a, b = ["a#0", "a#1"], [f"b#{k}" for k in range(5)]
    # 300 neurons are not worth a call of their own.
    assert groups() == [a + b, []]
    monkeypatch.setattr(spikec.program.schedule, "LEAST_OVERLAP", 300)
    assert groups() == [b, a]
    orders: list[list[str]] = []
    loop = spike_runtime.loop._loop

    def seen(fgraph: Any, *rest: Any, **more: Any) -> Any:
        orders.append([type(node.op).__name__ for node in fgraph.toposort()])
        return loop(fgraph, *rest, **more)

    monkeypatch.setattr(spike_runtime.loop, "_loop", seen)
    monkeypatch.setattr(spike_runtime.programs, "_loops", {})
    monkeypatch.setattr(spike_runtime.native, "load", lambda _: None)
    whole = data(graph, 1, 0, compiled=True)
    recorded = inprocess.run_assigned(graph, assignment, "float32", STEPS, compiled=True)
    assert {name: values.tobytes() for name, values in recorded.items()} == whole
    exchanges = [[op for op in order if op in ("Collect", "Neurons", "Publish")] for order in orders]
    assert exchanges == [
        ["Neurons"],
        ["Collect", "Neurons", "Publish", "Neurons"],
        ["Collect", "Neurons", "Publish"],
    ]


# --------------------------------------------------------------------------------------------------- wires


def windowed(window: int) -> mf.Manifest:
    manifest = fake_engine.model(2)
    return replace(manifest, wires=tuple(replace(wire, window=window) for wire in manifest.wires))


def steps(segment: np.ndarray, out: np.ndarray, into: np.ndarray, count: int, me: int) -> list[list[int]]:
    """What came in steps 1 .. count; step n sends 1000 me + n + 7 i."""
    rows = np.arange(fake_engine.WORDS)
    assert ring.publish(segment, out, rows, 0 * rows, 0) == 0
    seen = []
    for n in range(1, count + 1):
        totals = 0 * rows
        assert ring.collect(segment, into, rows, totals, n - 1) == 0
        seen.append(totals.tolist())
        assert ring.publish(segment, out, rows, 1000 * me + n + 7 * rows, n) == 0
    return seen


def expected(me: int, count: int, window: int) -> list[list[int]]:
    rows = np.arange(fake_engine.WORDS)
    sent = [1000 * (1 - me) + n - window + 7 * rows for n in range(1, count + 1)]
    return [(0 * row if n < window else row).tolist() for n, row in enumerate(sent)]


def both(nodes: list[tuple[np.ndarray, np.ndarray, np.ndarray]], count: int) -> list[list[list[int]]]:
    found: dict[int, list[list[int]]] = {}

    def work(me: int) -> None:
        found[me] = steps(*nodes[me], count, me)

    threads = [threading.Thread(target=work, args=(me,)) for me in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [found[0], found[1]]


@pytest.mark.parametrize("window", [1, 2, 5])
def test_rings_bring_every_step_a_window_later(window: int) -> None:
    manifest = windowed(window)
    layout = ring.segment_layout(manifest)
    segment = shared.attach(shared.create(layout.words), layout.words)
    ring.prepare(segment, 100)
    nodes = [
        (segment, ring.out_wire_table(layout, manifest, p), ring.in_wire_table(layout, manifest, p))
        for p in (0, 1)
    ]
    assert both(nodes, 101) == [expected(me, 101, window) for me in (0, 1)]


@pytest.mark.parametrize("window", [2, 5])
def test_sockets_bring_every_step_a_window_later(window: int, tmp_path: Path) -> None:
    manifest, nodes, pumps = windowed(window), [], []
    for p in (0, 1):
        layout = ring.segment_layout(manifest, (p,))
        segment = shared.attach(shared.create(layout.words), layout.words)
        ring.prepare(segment, 0, 0)
        pumps.append(zeromq.Pump(manifest, p, bytes(16), layout, segment, f"ipc://{tmp_path}/{p}"))
        nodes.append(
            (segment, ring.out_wire_table(layout, manifest, p), ring.in_wire_table(layout, manifest, p))
        )
    endpoints = [pump.endpoint for pump in pumps]
    for pump in pumps:
        pump.greet(endpoints)
    for pump in pumps:
        pump.await_greetings()
        pump.start()
    try:
        assert both(nodes, 101) == [expected(me, 101, window) for me in (0, 1)]
        assert [pump.failure for pump in pumps] == [None, None]
    finally:
        for pump in pumps:
            pump.close()


def test_a_frame_of_the_next_window_but_one_is_refused() -> None:
    manifest = windowed(5)
    check = zeromq.Checker(bytes(16), 1, manifest.wires)
    words = np.zeros(5 * fake_engine.WORDS, np.int64).tobytes()
    for step in (0, 5):
        assert check.check(zeromq.pack(bytes(16), 0, step, words))[1] == step
    with pytest.raises(zeromq.WireError, match="the frame of step 10 was lost, that of step 15 came"):
        check.check(zeromq.pack(bytes(16), 0, 15, words))
