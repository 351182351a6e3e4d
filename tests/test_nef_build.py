"""The build of whole graphs: structure, independence of batches and processes, mistakes of the user."""

from __future__ import annotations

import os
import time
from typing import Any, NoReturn

import numpy as np
import pytest

from spikec.errors import ModelError, Span
from spikec.expressions import Call, Component, Expression, Number, identity
from spikec.graph import Constant, Decoders, Decoding, Distribution, Ensemble, Graph, Neurons, Probe, Solver
from spikec.nef import pool
from spikec.nef.blas import _controls, one_thread
from spikec.nef.build import build
from spikec.nef.neurons import LIF, LIFRate
from spikec.nef.tasks import Solved
from spikec.nef.tuning import default_point_count

SPAN = Span("model.spk", 3, 1, 3, 9)
X0 = Component(0)


def _add(graph: Graph, name: str, n: int = 50, dims: int = 1, **options: Any) -> None:
    """An ensemble `name` with the decodings `name`.x (identity) and `name`.square."""
    functions: dict[str, tuple[Expression, ...]] = {"x": identity(dims), "square": (Call("*", (X0, X0)),)}
    given: dict[str, Any] = {"size": n, "path": name, "dims": dims, "neuron": LIF(), "seed": 7, "span": SPAN}
    graph.add(name, Ensemble(**(given | options)))
    for label, expressions in functions.items():
        graph.add(f"{name}.{label}", Decoding(size=len(expressions), expressions=expressions, span=SPAN))
        graph.connect(name, f"{name}.{label}", "activity")


def _graph(**shapes: tuple[int, int]) -> Graph:
    graph = Graph("model", 0.001, 7)
    for name, (n, dims) in shapes.items():
        _add(graph, name, n, dims)
    return graph


def _arrays(graph: Graph, name: str) -> list[np.ndarray]:
    neurons = graph.op(name)
    assert isinstance(neurons, Neurons)
    decoders = [graph.op(f"{name}.{label}") for label in ("x", "square")]
    matrices = [d.matrix for d in decoders if isinstance(d, Decoders) and d.matrix is not None]
    assert len(matrices) == 2
    return [neurons.encoders, neurons.gain, neurons.bias, neurons.eval_points, *matrices]


def _assert_same(first: Graph, second: Graph, name: str) -> None:
    for a, b in zip(_arrays(first, name), _arrays(second, name), strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_description_is_built_and_all_else_untouched() -> None:
    graph = _graph(a=(40, 2), b=(30, 1))
    graph.add("zero", Constant(size=2, value=(0.0, 0.0)))
    graph.connect("zero", "a")
    graph.add("p", Probe(size=2, name="p"))
    graph.connect("a.x", "p")
    before = list(graph.nx.nodes(data="op"))
    built = build(graph)
    assert list(graph.nx.nodes(data="op")) == before
    assert list(built.nx.edges(data=True)) == list(graph.nx.edges(data=True))
    assert not list(built.nodes((Ensemble, Decoding)))
    assert built.op("zero") is graph.op("zero")
    assert built.op("p") is graph.op("p")
    neurons, decoders = built.op("a"), built.op("a.x")
    assert isinstance(neurons, Neurons)
    assert isinstance(decoders, Decoders)
    assert (neurons.size, neurons.dims, neurons.span, decoders.span) == (40, 2, SPAN, SPAN)
    assert neurons.eval_points.shape == (default_point_count(40, 2), 2)
    assert decoders.matrix is not None
    assert decoders.matrix.shape == (2, 40)


@pytest.mark.parametrize(
    ("n", "dims", "count"), [(10, 1, 750), (10, 3, 1500), (10, 9, 2500), (4000, 8, 8000)]
)
def test_default_number_of_points(n: int, dims: int, count: int) -> None:
    assert default_point_count(n, dims) == count


def test_decoders_decode() -> None:
    """The decoded value is the function, within the error that is reported."""
    graph = Graph("model", 0.001, 7)
    _add(graph, "a", 200, 2, radius=3.0, neuron=LIFRate())
    built = build(graph)
    neurons = built.op("a")
    assert isinstance(neurons, Neurons)
    np.testing.assert_allclose(np.linalg.norm(neurons.encoders, axis=1), 1.0)
    points = neurons.eval_points[:300]
    assert 2.5 < np.linalg.norm(neurons.eval_points, axis=1).max() <= 3.0
    activity = neurons.neuron.rates(points @ neurons.scaled_encoders.T + neurons.bias)
    for name, expected, bound in [("a.x", points, 0.1), ("a.square", points[:, :1] ** 2, 0.5)]:
        decoders = built.op(name)
        assert isinstance(decoders, Decoders)
        assert decoders.matrix is not None
        error = np.sqrt(np.mean((activity @ decoders.matrix.T - expected) ** 2))
        assert error < bound
        assert error == pytest.approx(decoders.rmse, rel=0.3)


@pytest.fixture
def _eager_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_WORTH_A_PROCESS", 1.0)


@pytest.mark.usefixtures("_eager_processes")
def test_independent_of_batch_order_and_processes() -> None:
    """Bit for bit: alone, among others, in another order, on 1, 2 or 3 processes."""
    shapes = {f"s{i}": (20 + i % 3, 1 + i % 2) for i in range(12)} | {"large": (1000, 2), "dual": (800, 1)}
    whole = build(_graph(**shapes), jobs=1)
    for jobs in (2, 3):
        other = build(_graph(**shapes), jobs=jobs)
        for name in shapes:
            _assert_same(whole, other, name)
    turned = build(_graph(**dict(reversed(shapes.items()))), jobs=2)
    for name in ("s0", "s5", "large", "dual"):
        _assert_same(whole, turned, name)
        _assert_same(whole, build(_graph(**{name: shapes[name]})), name)


@pytest.mark.usefixtures("_eager_processes")
def test_processes_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes besides this one, which leaves the work to them."""
    shapes = {f"s{k}": (20, 1) for k in range(16)}
    expected = build(_graph(**shapes), jobs=1)
    solve, parent = pool._Pool.solve, os.getpid()
    mine: list[int] = []

    def slow(pool: pool._Pool, k: int) -> list[Solved]:
        if os.getpid() == parent:
            mine.append(k)
            time.sleep(0.5)
        return solve(pool, k)

    monkeypatch.setattr(pool._Pool, "solve", slow)
    shared = build(_graph(**shapes), jobs=3)
    assert len(mine) < 8
    for name in shapes:
        _assert_same(expected, shared, name)


def test_seed_and_path_key_the_random_numbers() -> None:
    graph = Graph("model", 0.001, 7)
    variants: dict[str, dict[str, Any]] = {
        "a": {},
        "b": {},
        "c": {"path": "a"},
        "d": {"path": "a", "seed": 8},
    }
    for name, options in variants.items():
        _add(graph, name, **options)
    built = build(graph)
    _assert_same(built, built, "a")
    assert not np.array_equal(_arrays(built, "a")[1], _arrays(built, "b")[1])
    assert not np.array_equal(_arrays(built, "a")[1], _arrays(built, "d")[1])
    for first, second in zip(_arrays(built, "a"), _arrays(built, "c"), strict=True):
        np.testing.assert_array_equal(first, second)


def test_explicit_gains_biases_and_long_encoders() -> None:
    gain, bias = np.linspace(1.0, 2.0, 30), np.linspace(-1.0, 1.0, 30)
    graph = Graph("model", 0.001, 7)
    options: dict[str, Any] = {
        "gain": Distribution("samples", (gain,)),
        "bias": Distribution("samples", (bias,)),
        "encoders": Distribution("choice", ((-2.0, 2.0),)),
    }
    _add(graph, "raw", 30, normalize_encoders=False, **options)
    _add(graph, "unit", 30, **options)
    built = build(graph)
    np.testing.assert_array_equal(_arrays(built, "raw")[1], gain)
    np.testing.assert_array_equal(_arrays(built, "raw")[2], bias)
    assert set(_arrays(built, "raw")[0].ravel()) == {-2.0, 2.0}
    assert set(_arrays(built, "unit")[0].ravel()) == {-1.0, 1.0}


def test_points_of_a_decoding_of_its_own() -> None:
    """Decoders fitted on the upper half only are better there and worse elsewhere."""
    graph = Graph("model", 0.001, 7)
    _add(graph, "a", 30)
    half = Distribution("uniform", (0.5, 1.0))
    graph.add("half", Decoding(size=1, expressions=(X0,), eval_points=half))
    graph.connect("a", "half", "activity")
    built = build(graph)
    neurons, whole, part = built.op("a"), built.op("a.x"), built.op("half")
    assert isinstance(neurons, Neurons)
    assert isinstance(whole, Decoders)
    assert isinstance(part, Decoders)
    assert whole.matrix is not None
    assert part.matrix is not None
    x = np.linspace(0.55, 0.95, 50)[:, None]
    for points, better, worse in [(x, part, whole), (-x, whole, part)]:
        A = neurons.neuron.rates(points @ neurons.scaled_encoders.T + neurons.bias)
        errors = [np.abs(A @ d.matrix.T - points).mean() for d in (better, worse) if d.matrix is not None]
        assert errors[0] < errors[1]


def test_neurons_that_nobody_decodes_need_no_solve() -> None:
    graph = Graph("model", 0.001, 7)
    silent = Distribution("samples", (-1e6,))
    op = Ensemble(
        size=9, path="a", dims=1, neuron=LIF(), seed=1, gain=Distribution("samples", (1.0,)), bias=silent
    )
    graph.add("a", op)
    assert isinstance(build(graph).op("a"), Neurons)


def test_progress_counts_to_the_end() -> None:
    calls: list[tuple[str, int, int]] = []
    build(_graph(a=(20, 1), b=(20, 1)), progress=lambda *call: calls.append(call))
    assert calls == [("build", 0, 2), ("build", 1, 2), ("build", 2, 2)]


def test_an_empty_graph() -> None:
    assert list(build(Graph("model", 0.001, 7)).nodes()) == []


def test_blas_threads_are_put_back() -> None:
    def threads() -> list[int]:
        return [get() for get, _ in _controls()]

    before = threads()
    assert before, "no OpenBLAS was found beside NumPy and SciPy"
    with one_thread(), one_thread():
        assert set(threads()) == {1}
    assert threads() == before


def _diagnose(graph: Graph) -> list[tuple[str, str]]:
    with pytest.raises(ModelError) as caught:
        build(graph)
    assert all(d.span is not None for d in caught.value.diagnostics)
    return [(d.message, d.hint) for d in caught.value.diagnostics]


def test_impossible_tuning_names_the_ensemble() -> None:
    graph = Graph("model", 0.001, 7)
    _add(graph, "a", max_rates=Distribution("samples", (600.0,)))
    ((message, hint),) = _diagnose(graph)
    assert message == "ensemble a: a maximum rate of 600 Hz is not below 500 Hz, the inverse of tau_ref"
    assert "make tau_ref shorter" in hint


def test_all_mistakes_at_once_and_each_once() -> None:
    graph = Graph("model", 0.001, 7)
    for i in range(5):  # five ensembles made by one line
        _add(graph, f"array[{i}]", intercepts=Distribution("samples", (1.5,)))
    other = Span("model.spk", 9, 1, 9, 5)
    _add(graph, "zero", encoders=Distribution("samples", (0.0,)), span=other)
    _add(graph, "half", gain=Distribution("samples", (1.0,)), span=Span("model.spk", 10, 1, 10, 5))
    messages = [message for message, _ in _diagnose(graph)]
    assert messages == [
        "ensemble array[0]: an intercept of 1.5 leaves no room below 1, "
        "where the neuron reaches its maximum rate",
        "ensemble zero: encoder 0 has length 0",
        "ensemble half: gain is given without bias",
    ]


def test_a_function_that_is_not_finite() -> None:
    graph = Graph("model", 0.001, 7)
    _add(graph, "a", eval_points=Distribution("samples", (((-0.5,), (0.0,), (0.5,)),)))
    graph.add("inverse", Decoding(size=1, expressions=(Call("/", (Number(1.0), X0)),), span=SPAN))
    graph.connect("a", "inverse", "activity")
    ((message, hint),) = _diagnose(graph)
    assert message == "the function decoded by inverse is inf at the evaluation point [0]"
    assert "keep it finite" in hint


def test_an_ensemble_that_never_fires() -> None:
    graph = Graph("model", 0.001, 7)
    _add(graph, "a", eval_points=Distribution("samples", (0.0,)), intercepts=Distribution("samples", (0.5,)))
    ((message, hint),) = _diagnose(graph)
    assert message == "nothing can be decoded from a: no neuron is active at any evaluation point"
    assert "lower the intercepts" in hint


def test_an_unknown_solver() -> None:
    graph = _graph(a=(20, 1))
    graph.add("b", Decoding(size=1, expressions=(X0,), solver=Solver("magic"), span=SPAN))
    graph.connect("a", "b", "activity")
    ((message, _),) = _diagnose(graph)
    assert message == (
        "b: there is no solver 'magic'; use one of lstsq, lstsq_noise, lstsq_mult_noise, lstsq_l2, "
        "lstsq_l2nz, lstsq_l1, lstsq_drop, nnls, nnls_l2, nnls_l2nz"
    )


def test_a_solve_that_does_not_fit_memory_is_refused() -> None:
    """Before anything is allocated for it."""
    graph = Graph("model", 0.001, 7)
    _add(graph, "a", 50, n_eval_points=10**6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spikec.nef.tasks.memory", lambda neurons, points: neurons * points * 10**9)
        ((message, hint),) = _diagnose(graph)
    assert message.startswith(
        "decoders of a (50 neurons, 1000000 evaluation points) need 50000000 GB of memory"
    )
    assert "n_eval_points" in hint


def _die(self: pool._Pool) -> NoReturn:
    """The life of a process that is killed when it has begun a chunk."""
    self.next()
    os._exit(1)


@pytest.mark.usefixtures("_eager_processes")
def test_killed_workers_do_not_fail_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the system runs out of memory: the work is done again in this process."""
    graph = _graph(a=(20, 1), b=(20, 1), c=(20, 1))
    expected = build(graph, jobs=1)
    monkeypatch.setattr(pool._Pool, "_work", _die)
    survived = build(graph, jobs=2)
    for name in ("a", "b", "c"):
        _assert_same(expected, survived, name)
