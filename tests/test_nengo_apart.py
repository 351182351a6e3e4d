"""Python functions of one network in several partitions: of compiled models, and what states make of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import nengo
from spike_runtime.results import Run

import spikec
from spikec.nengo import Simulator

assert nengo.rc.get("decoder_cache", "enabled") == "False"
# Two worlds that share nothing but what nobody changes, two functions with one list, seedless processes,
# a function that imports a module of the folder when it is called.
MODEL = """
import nengo
import numpy as np

table, both = np.linspace(-1, 1, 1001), []


def world(gain):
    seen = []

    def step(t, x):
        seen.append(float(x[0]) + table[len(seen)] / 9)
        return gain * np.mean(seen[-30:])

    return step


class Walk(nengo.Process):
    def make_step(self, shape_in, shape_out, dt, rng, state):
        place = np.zeros(shape_out)

        def step(t):
            place[...] += rng.normal(scale=0.1, size=shape_out)
            return place

        return step


def gathers(t):
    both.append(t)
    return len(both) / 100


def late(t):
    import beside

    return beside.next_one() / 100


with nengo.Network(seed=1) as net:
    a, b = nengo.Ensemble(300, dimensions=1), nengo.Ensemble(300, dimensions=1)
    left, right = nengo.Node(world(0.5), size_in=1), nengo.Node(world(-0.5), size_in=1)
    walk, last = nengo.Node(Walk(), size_out=1), nengo.Node(Walk(), size_out=1)
    gathered = nengo.Node(gathers, size_out=1)
    told = nengo.Node(lambda t: len(both) / 50, size_out=1)
    beside = nengo.Node(late, size_out=1)
    for source, target in ((a, left), (left, b), (b, right), (right, a)):
        nengo.Connection(source, target)
    for source in (walk, gathered):
        nengo.Connection(source, a, synapse=0.02, transform=0.2)
    nengo.Connection(last, b, synapse=0.01)
    nengo.Connection(told, b, synapse=nengo.Alpha(0.01), transform=0.2)
    nengo.Probe(a, synapse=0.01)
    nengo.Probe(b, synapse=0.01)
    nengo.Probe(left)
    nengo.Probe(told)
    nengo.Probe(last)
    nengo.Probe(beside)
"""
# Two functions, each with a large array of its own.
BIG = """
import nengo
import numpy as np


def of(big):
    count = []
    return lambda t: count.append(t) or big[len(count)]


with nengo.Network(seed=1) as net:
    for seed in range(2):
        values = np.random.RandomState(seed).normal(size=20000)
        nengo.Probe(nengo.Node(of(values), size_out=1))
"""
BESIDE = "last = 0\n\n\ndef next_one():\n    global last\n    last += 1\n    return last\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, measured_host: Path) -> Iterator[Path]:
    """A folder with the model, in which one works; what was imported from there is forgotten afterwards."""
    folder = tmp_path_factory.mktemp("apart")
    (folder / "model.py").write_text(MODEL, encoding="utf-8")
    (folder / "beside.py").write_text(BESIDE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [str(folder), *sys.path])
        patch.setenv("SPIKE_CACHE_DIR", str(measured_host))
        yield folder
    sys.modules.pop("beside", None)


@pytest.fixture(scope="module")
def made(home: Path) -> dict[int, spikec.Compiled]:
    """The model in as many partitions."""
    return {n: spikec.compile("model.py:net", n, home / f"out{n}", cache=False) for n in (1, 2, 3)}


def simulator(**options: Any) -> Simulator:
    """A session of the model, with objects of its own, which a function imports too."""
    sys.modules.pop("beside", None)
    names: dict[str, Any] = {"__name__": "model", "__file__": str(Path("model.py").absolute())}
    exec(compile(MODEL, "model.py", "exec"), names)
    return Simulator(names["net"], progress_bar=False, names=names, **options)


def results(run: Run | Simulator) -> list[np.ndarray]:
    """What probes recorded."""
    if isinstance(run, Simulator):
        return [np.array(run.data[probe]) for probe in run.model.probes]
    return [np.asarray(run.probe(name).values) for name in run.names]


def same(whole: list[np.ndarray], *parts: list[np.ndarray]) -> None:
    for want, *found in zip(whole, *parts, strict=True):
        assert np.abs(want).max() > 0
        assert np.concatenate(found).tobytes() == want.tobytes()


@pytest.fixture(scope="module")
def whole(made: dict[int, spikec.Compiled], home: Path) -> list[np.ndarray]:
    return results(made[1].run("90ms", home / "whole"))


def test_partitions_call_what_is_their_own(
    made: dict[int, spikec.Compiled], whole: list[np.ndarray], home: Path
) -> None:
    for n, compiled in made.items():
        calls = [part.python.calls for part in compiled.manifest.partitions if part.python]
        assert len(calls) == n
        together = [set().union(*of) for of in calls]
        assert any(sum("gathers" in what or "<lambda>" in what for what in of) == 2 for of in together)
        sizes = [len(of) for of in calls]
        assert max(sizes) - min(sizes) <= 2
    same(whole, results(made[2].run("90ms", home / "two")))
    same(whole, results(made[3].run("90ms", home / "three", transport="tcp")))
    with simulator() as sim:
        sim.run_steps(90)
        same(whole, results(sim))


def test_each_pickle_has_its_own_objects_alone(home: Path) -> None:
    (home / "big.py").write_text(BIG, encoding="utf-8")
    compiled = spikec.compile("big.py:net", 2, home / "big", cache=False)
    sizes = [path.stat().st_size for path in compiled.folder.rglob("*.pickle")]
    assert len(sizes) == 2
    assert all(160_000 < size < 320_000 for size in sizes)
    run = compiled.run("5ms", home / "bigrun")
    for k, name in enumerate(run.names):
        expected = np.random.RandomState(k).normal(size=20000)[1:6]
        assert run.probe(name).values.ravel().tolist() == expected.tolist()


def test_a_state_goes_on_wherever_functions_are(
    made: dict[int, spikec.Compiled], whole: list[np.ndarray], home: Path
) -> None:
    """From a compiled model to processes, to one, and back; but for what modules of the caller hold."""
    first = made[3].run("23ms", home / "s1", save_state="a.npz")
    with simulator(partitions=2, processes=True) as apart:
        apart.load_state("a.npz")
        apart.run_steps(20)
        second = results(apart)
        apart.save_state("b.npz")
    with simulator() as sim:
        sim.load_state("b.npz")
        sim.run_steps(17)
        third = results(sim)
        sim.save_state("c.npz")
    fourth = made[2].run("13ms", home / "s4", load_state="c.npz", save_state="d.npz")
    with simulator(partitions=2, processes=True) as apart:
        apart.load_state("d.npz")
        apart.run_steps(17)
        parts = results(first), second, third, results(fourth), results(apart)
    same(whole[:-1], *(part[:-1] for part in parts))


def test_modules_go_on_with_the_partition_that_imports_them(
    made: dict[int, spikec.Compiled], whole: list[np.ndarray], home: Path
) -> None:
    first = made[3].run("40ms", home / "m1", save_state="m.npz")
    second = made[2].run("50ms", home / "m2", load_state="m.npz")
    same(whole, results(first), results(second))
