"""Sessions: runs inside the calling process, with and without compilation, and the functions they call."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import test_windows
from spike_runtime import manifest as mf
from spike_runtime import session as sessions
from spike_runtime import statefile
from spike_runtime.blocks import Block
from spike_runtime.engine import Engine, EngineError
from spike_runtime.ops import first_order, neurons
from spike_runtime.ops.kernel import machine_code
from spike_runtime.session import TRIAL, Session, gathered

import spikec
from spikec import frontend
from spikec import graph as g
from spikec.expressions import FUNCTIONS, Call, Component, Number, Time
from spikec.passes.drop import drop
from spikec.passes.share import share
from spikec.pipeline import Options, compile_graph, passes
from spikec.program.emit import emit
from spikec.program.schedule import schedule
from spikec.sessions import assigned
from spikec.verify import verify

MODEL = """
model two
input stim(t) = [sin(6*t), cos(6*t)]
ensemble a(300, dims=2)
ensemble b(300, dims=2)
connect stim -> a synapse 5ms
connect b -> a synapse 100ms transform 0.2
probe a synapse 10ms as a
probe b synapse 10ms as b
"""


def with_calls() -> g.Graph:
    """MODEL with a host call on the way from `a` to `b`, and another one that gives nothing."""
    graph = frontend.loads(MODEL, "two.spk", None)
    decoded = next(name for name, _ in graph.nodes(g.Decoding))
    graph.add("before", g.Filter(size=2, num=(1.0,), den=(0.005, 1.0)))
    graph.add("first", g.HostCall(size=3, call="give", arguments=2))
    graph.add("second", g.HostCall(size=0, call="look", arguments=2))
    graph.add("mix", g.Product(size=2, matrix=np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]])))
    graph.add("after", g.Filter(size=2, num=(1.0,), den=(0.01, 1.0)))
    graph.add("given", g.Probe(size=3, name="given"))
    graph.connect(decoded, "before")
    graph.connect("before", "first")
    graph.connect("before", "second")
    graph.connect("first", "second", "after")
    graph.connect("first", "mix")
    graph.connect("first", "given")
    graph.connect("mix", "after")
    graph.connect("after", "b.in")
    return graph


def compiled(graph: g.Graph, partitions: int, folder: Path) -> mf.Manifest:
    verify(graph)
    for _, apply in passes(Options(cache=False)):
        graph = verify(apply(graph))
    assignment = assigned(graph, partitions, "float64", graph.name)
    layouts, recorded = schedule(graph, assignment, "float64")
    return emit(graph, layouts, recorded, dict, [mf.Cost({}, 0.0)] * partitions, folder, "test")


class Functions:
    """Functions for the calls of `with_calls`; what they saw."""

    def __init__(self, fails_at: int = 0) -> None:
        self.fails_at, self.seen = fails_at, []

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def give(self, n: int, x: np.ndarray) -> list[float]:
        if n == self.fails_at:
            raise LookupError("as it was")
        return [x[0] * np.sin(n), x[1] ** 2, -0.1]

    def look(self, n: int, x: np.ndarray) -> None:
        self.seen.append((n, *x.tolist()))


def bytes_of(drained: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: data.tobytes() for name, data in drained.items()}


@pytest.mark.parametrize("model", ["product", "delay_network", "basal_ganglia"])
@pytest.mark.parametrize("real", ["float32", "float64"])
def test_the_text_of_a_program_gives_what_the_compiled_one_does(
    model: str, real: str, tmp_path: Path
) -> None:
    graph = frontend.load(Path("models") / f"{model}.spk")
    made = compile_graph(graph, tmp_path / "m", Options(1, real, host_profile="reference"))
    results, compiled = [], []
    for way in (False, True):
        session = Session(made, tmp_path / "m", compiled=way)
        session.advance(150)
        results.append(bytes_of(session.drain()))
        compiled.append([list(machine_code(op).overloads) for op in (first_order, neurons("lif", real))])
    assert results[0] == results[1]
    assert compiled[0] == compiled[1]  # both use the same machine code
    assert any(any(data) for data in results[0].values())


def test_every_function_of_a_formula_gives_the_same_bits_either_way(tmp_path: Path) -> None:
    """Of a signal that passes through all signs; some with literal numbers, which compilers know."""
    graph = g.Graph("formulas", 0.001, 0)
    x, made = Component(0), []
    for name, function in FUNCTIONS.items():
        made.append(Call(name, (x, Call("+", (x, Number(0.3))), Time())[: function.arity]))
        made += [Call("^", (x, Number(p))) for p in (2.0, 3.0, 0.5, -1.0, 1.7)] if name == "^" else []
        made += [Call("%", (x, Number(0.7)))] if name == "%" else []
    wave = Call("*", (Number(1.9), Call("sin", (Call("*", (Number(71.0), Time())),))))
    graph.add("wave", g.TimeFunction(size=1, expressions=(wave,)))
    graph.add("all", g.Function(size=len(made), expressions=tuple(made), arguments=1))
    graph.add("probe", g.Probe(size=len(made), name="all"))
    graph.connect("wave", "all")
    graph.connect("all", "probe")
    manifest = compiled(graph, 1, tmp_path / "m")
    results = []
    for way in (False, True):
        session = Session(manifest, tmp_path / "m", compiled=way)
        session.advance(300)
        results.append(session.drain()["all"])
    assert np.isfinite(results[0]).mean() > 0.8
    columns = zip(made, results[0].T, results[1].T, strict=True)
    assert [formula for formula, a, b in columns if a.tobytes() != b.tobytes()] == []


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[mf.Manifest, Path]]:
    """The model with host calls in one and in two partitions."""
    home = tmp_path_factory.mktemp("calls")
    return {n: (compiled(with_calls(), n, home / str(n)), home / str(n)) for n in (1, 2)}


def test_host_calls_give_the_same_for_every_cut_and_with_or_without_compilation(folders: Any) -> None:
    results = []
    for partitions in (1, 2):
        for way in (False, True):
            functions = Functions()
            session = Session(*folders[partitions], functions, compiled=way)
            session.advance(200)
            results.append((bytes_of(session.drain()), functions.seen))
    assert all(result == results[0] for result in results[1:])
    assert [n for n, *_ in results[0][1]] == list(range(1, 201))
    given = np.frombuffer(results[0][0]["given"]).reshape(200, 3)
    assert (given[:, 2] == -0.1).all()
    seen = np.array(results[0][1])
    np.testing.assert_array_equal(given[:, 0], seen[:, 1] * np.sin(seen[:, 0]))


def test_the_partition_that_calls_is_one(folders: Any) -> None:
    manifest, folder = folders[2]
    texts = [(folder / part.program).read_text() for part in manifest.partitions]
    assert sorted("host(" in text for text in texts) == [False, True]
    assert manifest.calls == ("give", "look")
    assert mf.load(folder / mf.NAME) == manifest


@pytest.mark.parametrize("way", [False, True])
@pytest.mark.parametrize("partitions", [1, 2])
def test_what_a_function_raises_comes_out_as_it_was(partitions: int, way: bool, folders: Any) -> None:
    functions = Functions(fails_at=37)
    session = Session(*folders[partitions], functions, compiled=way)
    with pytest.raises(LookupError, match="as it was"):
        session.advance(100)
    assert session.steps == 36
    assert len(session.drain()["given"]) == 36
    assert functions.seen[-1][0] == 36
    functions.fails_at = 0
    if partitions > 1:
        with pytest.raises(EngineError, match="reset"):
            session.advance(1)
    session.reset()
    session.advance(50)
    again = bytes_of(session.drain())
    other = Session(*folders[partitions], Functions(), compiled=not way)
    other.advance(50)
    assert bytes_of(other.drain()) == again


@pytest.fixture
def _new_structures(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program was compiled before."""
    monkeypatch.setattr("spike_runtime.engine.known_loop", lambda _: None)


@pytest.mark.usefixtures("_new_structures")
def test_a_session_that_compiles_on_the_way_goes_on_as_before(folders: Any) -> None:
    parts = Session(*folders[2], Functions())
    parts.advance(30)
    parts._price = 1e-9  # compiling costs nothing: the next call does
    parts.advance(70)
    assert parts._fast
    whole = Session(*folders[1], Functions(), compiled=False)
    whole.advance(100)
    assert bytes_of(parts.drain()) == bytes_of(whole.drain())


def test_where_its_structure_is_known_a_session_begins_compiled(folders: Any) -> None:
    Session(*folders[2], Functions(), compiled=True)
    known, eager = Session(*folders[2], Functions()), Session(*folders[2], Functions(), compiled=False)
    assert (known._fast, eager._fast) == (True, False)
    for session in (known, eager):
        session.advance(20)
    assert bytes_of(known.drain()) == bytes_of(eager.drain())


@pytest.mark.usefixtures("_new_structures")
def test_the_first_steps_which_load_kernels_are_no_reason_to_compile(folders: Any) -> None:
    session = Session(*folders[1], Functions())
    session.advance(TRIAL)
    assert session._spent == session._per_step == 0.0
    session.advance(5)
    assert session._spent > 0.0
    assert 5 * session._per_step == pytest.approx(session._spent)


@pytest.mark.usefixtures("_new_structures")
def test_ctrl_c_is_not_lost_while_it_compiles(folders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(*folders[2], Functions())
    session.advance(30)
    session._price = 1e-9

    def interrupted(engine: Engine) -> None:
        with contextlib.suppress(KeyboardInterrupt):  # as a callback of a library may
            signal.raise_signal(signal.SIGINT)
        compile_(engine)

    compile_ = Engine.compile
    with monkeypatch.context() as patched:
        patched.setattr(
            Engine, "compile", lambda engine: interrupted(engine) if engine is one else compile_(engine)
        )
        one = session._engines[0]
        with pytest.raises(KeyboardInterrupt):
            session.advance(70)
    assert (session.steps, session._fast) == (30, True)
    session.advance(70)
    whole = Session(*folders[1], Functions(), compiled=False)
    whole.advance(100)
    assert bytes_of(session.drain()) == bytes_of(whole.drain())


@pytest.mark.parametrize("way", [False, True])
@pytest.mark.parametrize("partitions", [1, 2])
def test_ctrl_c_waits_for_one_step_where_that_takes_long(
    partitions: int, way: bool, folders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes 1 s of a clock of its own."""
    now = [0.0]
    monkeypatch.setattr(sessions, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    class Slow(Functions):
        def look(self, n: int, x: np.ndarray) -> None:
            super().look(n, x)
            now[0] += 1
            if n in (1, 34):
                signal.raise_signal(signal.SIGINT)

    session = Session(*folders[partitions], Slow(), compiled=way)
    for step in (1, 34):
        with pytest.raises(KeyboardInterrupt):
            session.advance(60)
        assert session.steps == step
    assert session._worth_threads(1) == (way and partitions == 2)
    session.advance(6)
    whole = Session(*folders[1], Functions(), compiled=False)
    whole.advance(40)
    assert bytes_of(session.drain()) == bytes_of(whole.drain())


def test_host_calls_are_neither_dropped_nor_shared() -> None:
    graph = g.Graph("calls", 0.001, 0)
    for name in ("a", "b"):
        graph.add(name, g.HostCall(size=1, call="same", arguments=0))
    graph.add("dead", g.Constant(size=1, value=(1.0,)))
    assert list(share(drop(graph))) == ["a", "b"]


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("way", [False, True])
def test_the_state_of_a_session_is_that_of_a_run(partitions: int, way: bool, tmp_path: Path) -> None:
    """Also where messages hold several steps, and partitions run in threads."""
    options = Options(partitions, host_profile="reference")
    made = compile_graph(frontend.loads(test_windows.MODEL), tmp_path / "m", options)
    assert (max((wire.window for wire in made.wires), default=1) > 1) == (partitions > 1)
    run = spikec.open_manifest(tmp_path / "m").run
    run("51ms", tmp_path / "r", save_state=tmp_path / "r.npz")
    expected = (tmp_path / "r.npz").read_bytes()
    session = Session(made, tmp_path / "m", compiled=way)
    saved = None
    for _ in range(2):
        session.advance(23)
        kept = session.snapshot()
        session.advance(4)
        session.restore(kept)
        session.advance(28)
        statefile.save(tmp_path / "s.npz", session.saved(made.seed))
        assert (tmp_path / "s.npz").read_bytes() == expected
        saved = saved or statefile.load(tmp_path / "s.npz")
        session.advance(2)
        session.load(saved, made.seed, tmp_path / "s.npz", lambda: None)
        assert session.steps == 51
        statefile.save(tmp_path / "s.npz", session.saved(made.seed))
        assert (tmp_path / "s.npz").read_bytes() == expected
        session.advance(30)
        drained = bytes_of(session.drain())
        session.reset()
    more = run("30ms", tmp_path / "q", load_state=tmp_path / "r.npz")
    for name, data in drained.items():
        if not name.endswith("spikes"):
            assert data == more.probe(name).values.tobytes()


def test_spikes_after_the_last_whole_step_do_not_count() -> None:
    parts = tuple(mf.ProbePart(partition, 0, ((0, 10),)) for partition in (0, 1))
    probe = mf.Probe("spikes", "a", "events", "spikes", 10, 1, "", (), parts)
    # One partition went on to step 4, the other only to step 3.
    blocks = [Block(0, 0, 0, np.array([21, 35, 42])), Block(0, 1, 0, np.array([28]))]
    found = gathered(probe, blocks, 1, 3, "float32")
    assert found.tolist() == [[2, 1], [2, 8], [3, 5]]
