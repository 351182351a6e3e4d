"""Probes of Nengo networks: their names, the steps and the neurons that they record."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import assert_equal, converted, nengo, reference, run

import spikec
from spikec import graph as g
from spikec import models
from spikec.errors import InvalidGraph
from spikec.nef import blas
from spikec.nengo import Simulator, names
from spikec.nengo.compiling import compilable
from spikec.nengo.files import NetworkFile
from spikec.verify import verify

STEPS = 50


def network(*probes: Callable[[Any], Any]) -> tuple[nengo.Network, list[nengo.Probe]]:
    """An ensemble whose neurons differ, with probes."""
    with nengo.Network(seed=1) as net:
        a = nengo.Ensemble(60, 1)
        nengo.Connection(nengo.Node(lambda t: np.sin(9 * t) + 1), a)
        return net, [make(a) for make in probes]


def test_no_two_names_are_the_same() -> None:
    counts: dict[str, int] = {}
    given = [names.counted(name, counts) for name in ("x", "x", "x.2", "x", "y.2", "y", "y", "y")]
    assert given == ["x", "x.2", "x.2.2", "x.3", "y.2", "y", "y.3", "y.4"]


def test_labels_that_look_like_numbered_ones_are_recorded_apart(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import nengo\n"
        "with nengo.Network(seed=1) as net:\n"
        "    for value, label in enumerate(('x', 'x', 'x.2', '..'), 1):\n"
        "        nengo.Probe(nengo.Node([value]), label=label)\n",
        encoding="utf-8",
    )
    done = spikec.compile(f"{tmp_path}/model.py:net", 1, tmp_path / "out").run("5ms", tmp_path / "run")
    assert done.names == ("x", "x_2", "x_2_2", "signal_4")
    for value, name in enumerate(done.names, 1):
        np.testing.assert_array_equal(done.probe(name).values, np.full((5, 1), value))


def test_the_compiler_refuses_two_probes_of_one_name() -> None:
    graph = g.Graph("twice", 1e-3, 0)
    graph.add("u", g.Constant(size=1, value=(1.0,)))
    graph.add("p", g.Probe(size=1, name="x"))
    graph.connect("u", "p")
    verify(graph)
    graph.add("q", g.Probe(size=1, name="x"))
    graph.connect("u", "q")
    with pytest.raises(InvalidGraph, match="q: its recording is called 'x', as that of p"):
        verify(graph)


STATES: dict[str, Callable[[Any], Any]] = {
    "some steps": lambda a: nengo.Probe(a.neurons, "voltage", sample_every=0.0025),
    "some steps of some": lambda a: nengo.Probe(a.neurons[3:9], "voltage", sample_every=0.0025),
    "listed": lambda a: nengo.Probe(a.neurons[[5, 2, 5]], "voltage"),
    "stepped": lambda a: nengo.Probe(a.neurons[::20], "voltage"),
    "backward, some steps": lambda a: nengo.Probe(a.neurons[::-1], "voltage", sample_every=0.0025),
    "refractory": lambda a: nengo.Probe(a.neurons[[7, 1]], "refractory_time"),
    "filtered": lambda a: nengo.Probe(a.neurons[[5, 2]], "voltage", synapse=0.01),
    "rounded": lambda a: nengo.Probe(a.neurons, "voltage", sample_every=0.7 / 100),
}


@pytest.mark.parametrize("what", STATES)
def test_states_of_some_neurons_at_some_steps(what: str) -> None:
    net, (probe,) = network(STATES[what])
    made = converted(net)
    assert not made.host  # the population runs in compiled code
    assert_equal(run(net, STEPS)[probe], reference(net, STEPS)[probe], what)


def test_an_interval_that_rounding_put_beside_a_step(tmp_path: Path) -> None:
    """At 0.1 ms, 0.3 ms are 2.9999999999999996 steps: still nothing has to run in Python."""
    (tmp_path / "model.py").write_text(
        "import nengo\n"
        "with nengo.Network(seed=1) as net:\n"
        "    u = nengo.Node(lambda t: t)\n"
        "    late = nengo.Probe(u, sample_every=3 * 0.1)\n"
        "    early = nengo.Probe(u, sample_every=0.0003)\n"
        "    a = nengo.Ensemble(9, 1)\n"
        "    state = nengo.Probe(a.neurons, 'voltage', sample_every=0.0003)\n"
        "    every = nengo.Probe(a.neurons, 'voltage')\n",
        encoding="utf-8",
    )
    assert (0.0003 / 0.0001, 3 * 0.1 / 0.0001) == (2.9999999999999996, 3000.0000000000005)
    compiled = spikec.compile(f"{tmp_path}/model.py:net", 1, tmp_path / "out", dt="0.1ms")
    assert not any(part.python for part in compiled.manifest.partitions)
    done = compiled.run("650ms", tmp_path / "run")
    np.testing.assert_allclose(done.probe("late").values, [[0.3], [0.6]], rtol=1e-12)
    np.testing.assert_allclose(done.probe("early").values[:, 0], np.arange(3, 6501, 3) * 1e-4, rtol=1e-12)
    np.testing.assert_array_equal(done.probe("state").values, done.probe("every").values[2::3])


THREADS = """
import nengo
import numpy as np
from spikec.nef import blas

seen = []


class Threads(nengo.solvers.Solver):
    def __call__(self, A, Y, rng=None):
        seen.append([get() for get, _ in blas._controls()])
        return np.zeros((A.shape[1], Y.shape[1])), {}


with nengo.Network(seed=1) as net:
    a = nengo.Ensemble(20, 1)
    nengo.Connection(a, nengo.Node(size_in=1), solver=Threads())
    nengo.Probe(a)
"""
BUILDS: dict[str, Callable[[NetworkFile], Any]] = {
    "simulator": lambda file: Simulator(file.network, progress_bar=False).close(),
    "compiler": lambda file: compilable(file, cache=False),
}


@pytest.mark.parametrize("build", BUILDS)
def test_solvers_have_one_thread_everywhere(tmp_path: Path, build: str) -> None:
    """So that both have the same bits."""
    before = [get() for get, _ in blas._controls()]
    assert before, "the wheels of NumPy and SciPy bring OpenBLAS"
    (tmp_path / "threads.py").write_text(THREADS, encoding="utf-8")
    file = models.network(f"{tmp_path}/threads.py:net")
    assert isinstance(file, NetworkFile)
    blas._set([2] * len(before))
    try:
        BUILDS[build](file)
    finally:
        blas._set(before)
    # The probe of what neurons represent has a solver of its own, Nengo's.
    assert vars(file.module)["seen"] == [[1] * len(before)]


def test_samples_can_be_taken_and_deleted_as_in_a_list_of_nengo() -> None:
    """Graphical interfaces show what was recorded and forget it, while another thread makes steps."""
    with nengo.Network(seed=1) as net:
        probe = nengo.Probe(nengo.Node(lambda t: [t, -t]), sample_every=0.002)
    recorded = []
    for kind in (nengo.Simulator, Simulator):
        with kind(net, progress_bar=False) as sim:
            sim.run_steps(10)
            raw = sim.data.raw[probe]
            first, some, last = raw[0], raw[1:3], raw[-1]
            assert isinstance(some, list)
            del sim.data.raw[probe][:]
            assert len(sim.data[probe]) == 0
            sim.run_steps(6)
            del sim.data.raw[probe][1]
            recorded.append(np.array([first, *some, last, *sim.data.raw[probe], *sim.data[probe]]))
    assert recorded[0].shape == (8, 2)
    assert np.array_equal(*recorded)


def test_samples_deleted_by_another_thread_leave_whole_ones() -> None:
    with nengo.Network(seed=1) as net:
        probe = nengo.Probe(nengo.Node(lambda t: [t, -t]))
    seen: list[Any] = []
    with Simulator(net, progress_bar=False) as sim:
        steps = threading.Thread(target=lambda: [sim.step() for _ in range(300)])
        steps.start()
        while steps.is_alive():
            seen += sim.data.raw[probe][:]
            del sim.data.raw[probe][:]
        steps.join()
        assert sim.n_steps == 300
        del sim.data.raw[probe][:]
        sim.run_steps(5)
        assert np.array_equal(sim.data[probe][:, 0], sim.trange()[-5:])
        seen += sim.data.raw[probe][:]
    assert all(row[0] == -row[1] for row in seen)


def test_rates_of_steep_neurons_are_nengos_where_few_of_them_are_active() -> None:
    """Rates without a bound are rounded by the largest one that there is, far below the gains."""
    with nengo.Network(seed=3) as net:
        stim = nengo.Node(lambda t: np.sin(20 * t) * 1e-3)
        encoders, intercepts = [[1.0]] * 30, np.linspace(-0.9, 0.9999, 30)
        steep = nengo.Ensemble(
            30, 1, neuron_type=nengo.RectifiedLinear(), encoders=encoders, intercepts=intercepts
        )
        nengo.Connection(stim, steep, synapse=None)
        nengo.Probe(steep.neurons[12:16])
    ours, nengos = run(net, 40), reference(net, 40)
    (probe,) = net.all_probes
    np.testing.assert_allclose(ours[probe], nengos[probe], rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("gain", "bias", "x"),
    [(1.0, -1.0, [1.5, 0.0, 0.0]), (1.0, -5.0, [6000.0]), (1e6, 1 - 1e6, [10.0])],
    ids=["silent within the radius but for rounding", "silent within the radius", "steep"],
)
def test_rates_without_a_bound_may_be_far_beyond_those_within_the_radius(
    gain: float, bias: float, x: list[float]
) -> None:
    with nengo.Network(seed=3) as net:
        gains, biases = (nengo.dists.Choice([value]) for value in (gain, bias))
        a = nengo.Ensemble(20, len(x), gain=gains, bias=biases, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(nengo.Node(x), a, synapse=None)
        nengo.Probe(a.neurons)
    ours, nengos = run(net, 3), reference(net, 3)
    (probe,) = net.all_probes
    assert nengos[probe].max() > 0.1
    np.testing.assert_allclose(ours[probe], nengos[probe], rtol=1e-9, atol=0)
