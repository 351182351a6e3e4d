"""The cache: equal results, damage, eviction, sharing between processes."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy

from spikec.cache import Cache, default_folder
from spikec.errors import Span
from spikec.expressions import Call, Component, identity
from spikec.graph import Decoders, Decoding, Distribution, Ensemble, Graph, Neurons, Solver
from spikec.nef import blas, pool, tasks
from spikec.nef.build import build
from spikec.nef.neurons import LIF
from spikec.nef.system import Workspace
from spikec.nef.tasks import Describer, run

KEY = "ab" * 32


def _graph(ensembles: int, n: int = 20) -> Graph:
    graph = Graph("model", 0.001, 1)
    for i in range(ensembles):
        graph.add(f"e{i}", Ensemble(size=n, path=f"e{i}", dims=1, neuron=LIF(), seed=1, n_eval_points=50))
        graph.add(f"e{i}.x", Decoding(size=1, expressions=identity(1)))
        graph.connect(f"e{i}", f"e{i}.x", "activity")
    return graph


def _numbers(graph: Graph) -> np.ndarray:
    parts = []
    for name, op in graph.nodes(Neurons):
        decoders = graph.op(f"{name}.x")
        assert isinstance(decoders, Decoders)
        assert decoders.matrix is not None
        parts += [op.encoders, op.gain, op.bias, op.eval_points, decoders.matrix, np.array([decoders.rmse])]
    return np.concatenate([part.ravel() for part in parts])


def _count_solves(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets the number of tasks solved by every build."""
    solved: list[int] = []
    run_all = pool.run_all

    def counting(tasks, jobs, report):  # type: ignore[no-untyped-def]
        solved.append(len(tasks))
        return run_all(tasks, jobs, report)

    monkeypatch.setattr("spikec.nef.build.run_all", counting)
    return solved


def test_a_second_build_solves_nothing_and_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solved = _count_solves(monkeypatch)
    cache = Cache(tmp_path)
    expected = _numbers(build(_graph(40)))
    cold, warm = _numbers(build(_graph(40), cache)), _numbers(build(_graph(40), Cache(tmp_path)))
    assert solved == [40, 40, 0]
    np.testing.assert_array_equal(cold, expected)
    np.testing.assert_array_equal(warm, expected)
    assert 1 <= cache.info().entries < 10, "small ensembles share files"
    cache.clear()
    assert cache.info().entries == 0
    np.testing.assert_array_equal(_numbers(build(_graph(40), cache)), expected)
    assert solved[-1] == 40


def test_one_new_ensemble_does_not_forget_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solved = _count_solves(monkeypatch)
    build(_graph(300), Cache(tmp_path))
    first = Graph("model", 0.001, 1)
    first.add("new", Ensemble(size=20, path="new", dims=1, neuron=LIF(), seed=1))
    for name, op in _graph(300).nodes():
        first.add(name, op)
        if isinstance(op, Decoding):
            first.connect(name.removesuffix(".x"), name, "activity")
    build(first, Cache(tmp_path))
    assert 1 <= solved[-1] < 200


def test_every_part_of_a_description_is_in_the_key() -> None:
    base = Ensemble(size=20, path="e", dims=1, neuron=LIF(), seed=1)
    decoding = Decoding(size=1, expressions=identity(1))
    changed: list[dict[str, Any]] = [
        {"size": 21},
        {"path": "f"},
        {"dims": 2},
        {"neuron": LIF(tau_rc=0.02 + 1e-16)},
        {"neuron": LIF(tau_ref=0.001)},
        {"seed": 2},
        {"radius": 2.0},
        {"encoders": Distribution("sobol")},
        {"max_rates": Distribution("uniform", (200.0, 401.0))},
        {"intercepts": Distribution("samples", (np.zeros(20),))},
        {"intercepts": Distribution("samples", (np.full(20, 1e-300),))},
        {"gain": Distribution("samples", (1.0,))},
        {"bias": Distribution("samples", (1.0,))},
        {"eval_points": Distribution("uniform", (-1.0, 1.0))},
        {"n_eval_points": 100},
        {"normalize_encoders": False},
    ]
    describer = Describer()
    tasks = [describer.task("e", replace(base, **change), [("d", decoding)]) for change in ({}, *changed)]
    decoded: list[dict[str, Any]] = [
        {"expressions": (Call("*", (Component(0), Component(0))),)},
        {"solver": Solver(regularisation=0.2)},
        {"solver": Solver("lstsq")},
        {"eval_points": Distribution("uniform", (-1.0, 1.0))},
    ]
    tasks += [describer.task("e", base, [("d", replace(decoding, **change))]) for change in decoded]
    tasks += [describer.task("e", base, []), describer.task("e", base, [("d", decoding), ("c", decoding)])]
    assert len({task.digest() for task in tasks}) == len(tasks)
    span = Span("m.spk", 1, 1, 1, 2)
    moved = Describer().task("other", replace(base, span=span), [("renamed", replace(decoding, span=span))])
    assert moved.digest() == tasks[0].digest()


def test_mistakes_are_not_remembered(tmp_path: Path) -> None:
    op = Ensemble(size=5, path="e", dims=1, neuron=LIF(), seed=1, max_rates=Distribution("samples", (900.0,)))
    (outcome,) = run([Describer().task("e", op, [])], Workspace())
    assert len(outcome.diagnostics) == 1
    graph = Graph("model", 0.001, 1)
    graph.add("e", op)
    cache = Cache(tmp_path)
    for _ in range(2):
        with pytest.raises(Exception, match="900 Hz"):
            build(graph, cache)
    assert cache.info().entries == 0


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path)
    expected = _numbers(build(_graph(3), cache))
    for path in cache.folder.iterdir():
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        half = content[: len(content) // 2]
        path.write_bytes(
            {"flip": bytes(content), "cut": bytes(half), "empty": b"", "foreign": b"x" * 99}[damage]
        )
    np.testing.assert_array_equal(_numbers(build(_graph(3), cache)), expected)
    np.testing.assert_array_equal(_numbers(build(_graph(3), cache)), expected)


def test_an_entry_of_the_wrong_shape_is_made_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    expected = _numbers(build(_graph(3), cache))
    for path in list(cache.folder.iterdir()):
        cache.put(path.stem, np.zeros(7))
    np.testing.assert_array_equal(_numbers(build(_graph(3), cache)), expected)


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=5000)
    for i in range(3):
        cache.put(f"{i}", np.full(150, float(i)))  # about 1.4 kB each
        os.utime(cache.folder / f"{i}.npy", ns=(i * 10**9, i * 10**9))
    assert cache.get("0") is not None  # used now
    cache.put("3", np.full(150, 3.0))
    cache.trim()
    assert cache.get("1") is None
    kept = [cache.get(key) for key in ("0", "2", "3")]
    assert [k is not None and k[0] for k in kept] == [0.0, 2.0, 3.0]
    assert cache.info().size <= 5000


def test_what_would_fill_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=5000)
    cache.put(KEY, np.zeros(1000))
    assert cache.info().entries == 0


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = Cache(tmp_path / "file")
    expected = _numbers(build(_graph(2)))
    np.testing.assert_array_equal(_numbers(build(_graph(2), cache)), expected)
    assert cache.info().entries == 0


def _hammer(folder: Path, key: str, value: float) -> None:
    cache = Cache(folder)
    for _ in range(100):
        cache.put(key, np.full(2000, value))
        found = cache.get(key)
        if found is not None and not (found == found[0]).all():
            os._exit(1)


def test_concurrent_writers_leave_whole_entries(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_hammer, args=(tmp_path, KEY, float(i))) for i in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 4
    found = Cache(tmp_path).get(KEY)
    assert found is not None
    assert found[0] in range(4)
    assert Cache(tmp_path).info().entries == 1, "no unfinished files are left"


def test_concurrent_builds_share_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    builders = [context.Process(target=build, args=(_graph(30), Cache(tmp_path))) for _ in range(3)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(60)
    assert [builder.exitcode for builder in builders] == [0] * 3
    np.testing.assert_array_equal(_numbers(build(_graph(30), Cache(tmp_path))), _numbers(build(_graph(30))))


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPIKE_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == tmp_path / "own"
    monkeypatch.delenv("SPIKE_CACHE_DIR")
    assert default_folder() == tmp_path / "xdg" / "spike"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "spike"


def test_the_key_tells_libraries_and_instruction_sets_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders that another kernel solved may differ in their last bits: they are another entry."""
    used = blas.arithmetic()
    assert f"scipy {scipy.__version__}" in used
    assert len(used.split(" cpu ")[1].split()) > 3
    op = Ensemble(size=9, path="a", dims=1, neuron=LIF(), seed=0)
    here = tasks.Describer().task("a", op, ()).digest()
    monkeypatch.setattr(tasks, "arithmetic", lambda: used.replace("AVX2", ""))
    assert tasks.Describer().task("a", op, ()).digest() != here
