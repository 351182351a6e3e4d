"""LIF neurons that keep voltage and refractory time in one number: bit for bit as with one of each."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

import inprocess
import numpy as np
import pytest
from spike_runtime import manifest
from spike_runtime.ops.cells import COLUMNS as CELLS
from spike_runtime.ops.cells import PARAMETERS
from spike_runtime.ops.draws import COLUMNS as DRAWS
from spike_runtime.ops.host import COLUMNS as CALLS
from spike_runtime.ops.neurons import COLUMNS, Neurons
from spike_runtime.ops.streams import LENGTH

import spikec
from spikec import graph as g
from spikec.errors import ModelError
from spikec.frontend import loads
from spikec.nef.neurons import LIF, AdaptiveLIF, AdaptiveLIFRate, LIFRate
from spikec.program import layout as la
from spikec.program import membranes
from spikec.program.atoms import parameters
from spikec.program.places import Assignment
from spikec.program.schedule import schedule

DT = 1e-3
SIZES = (1, 15, 16, 100, 256, 50, 49)
REALS = ("float32", "float64")


def table() -> np.ndarray[Any, np.dtype[np.int64]]:
    """Atoms of which the activity is summed and nothing decoded; J is their bias."""
    first = np.cumsum((0, *SIZES))[:-1]
    atoms = np.zeros((len(SIZES), len(COLUMNS)), np.int64)
    given = {"neuron": first, "count": SIZES, "current": -1, "activity": first}
    for name, column in given.items():
        atoms[:, COLUMNS.index(name)] = column
    return atoms


class Neuron:
    """Neurons of one kind, given the currents of each step."""

    def __init__(self, kind: str, real: str, parameters: list[float], state: Any) -> None:
        self.step, self.state = Neurons(kind, real), np.array(state, real)
        self.parameters = np.tile(np.array([1.0, *parameters], real), (len(SIZES), 1))
        self.nothing = np.zeros(0, real)

    def __call__(self, J: Any) -> Any:
        sums, status = np.zeros(len(J), np.int64), np.zeros(2, np.int64)
        self.step(
            self.nothing,
            sums,
            self.state,
            status,
            table(),
            self.parameters,
            self.nothing,
            J,
            self.nothing,
            np.array(1),
        )
        return sums


@pytest.mark.parametrize("kind", ["lif", "adaptive_lif"])
@pytest.mark.parametrize("tau_rc", [0.02, 0.005, 1e-4])
@pytest.mark.parametrize("real", REALS)
def test_one_number_and_two_give_the_same_bytes(real: str, tau_rc: float, kind: str) -> None:
    count = sum(SIZES)
    spikes, at_once = 0, 0
    # tau_ref + the time of the spike is at most dt for the first two, and many steps for the last.
    for tau_ref, scale in itertools.product((0.0, 2e-4, DT, 0.002, 0.0141), (3.0, 50.0, 1e30)):
        random = np.random.default_rng(11)
        neuron = LIF(tau_rc=tau_rc, tau_ref=tau_ref)
        refractory = np.where(random.random(count) < 0.3, random.uniform(-2 * DT, 8 * DT, count), 0.0)
        rest = membranes.rest(refractory, membranes.scales(neuron, DT)).astype(real)
        voltage = np.where(rest > 0, 0, random.uniform(0, 1, count)).astype(real)
        adaptation = [np.zeros(count)] * (kind == "adaptive_lif")
        given = [DT, *membranes.lines(neuron, DT), 0.0, *([0.05, 0.7] if adaptation else [])]
        one = Neuron(kind, real, given, [np.where(rest > 0, -rest, voltage), *adaptation])
        two = Neuron(f"wide_{kind}", real, given, [voltage, rest, *adaptation])
        for step in range(120):
            J = (scale * random.normal(0.3, 1.0, count)).astype(real)
            before = two.state[1] > 0
            fired = two(J)
            assert one(J).tobytes() == fired.tobytes(), step
            packed = np.where(two.state[1] > 0, -two.state[1], two.state[0])
            np.testing.assert_array_equal(one.state[0], packed)
            assert one.state[1:].tobytes() == two.state[2:].tobytes()
            spikes, at_once = spikes + int(fired.sum()), at_once + int(fired[before].sum())
    assert spikes > 50_000
    # Some spike in the very step in which their rest ends.
    assert at_once > 100


@pytest.mark.parametrize("dt", [DT, 1e-4, 0.01])
@pytest.mark.parametrize("tau_ref", [0.0, 3e-4, DT, 0.002, 0.0023, 0.0141, 0.03])
def test_spikes_and_refractory_times_are_those_of_the_logarithm(tau_ref: float, dt: float) -> None:
    """For every tau_ref, whole steps or not: the spikes of Nengo's equations, one by one."""
    neuron, count = LIF(tau_rc=0.02, tau_ref=tau_ref), sum(SIZES)
    random, v, r = np.random.default_rng(5), np.zeros(count), np.zeros(count)
    given = [dt, *membranes.lines(neuron, dt), 0.0]
    kernel, scales = Neuron("wide_lif", "float64", given, np.zeros((2, count))), membranes.scales(neuron, dt)
    kernel.state[1] = membranes.rest(np.zeros(count), scales)
    fired = 0
    for _ in range(400):
        J = random.uniform(0.5, 9.0, count)
        r = r - dt
        v = v - (J - v) * np.expm1(-np.clip(dt - r, 0, dt) / neuron.tau_rc)
        spiked = v > 1
        r[spiked] = tau_ref + dt + neuron.tau_rc * np.log1p(-(v[spiked] - 1) / (J[spiked] - 1))
        v[spiked] = 0
        np.testing.assert_array_equal(kernel(J), spiked)
        np.testing.assert_allclose(kernel.state[0], v, atol=1e-11)
        found = membranes.refractory_time(kernel.state[1], scales)
        np.testing.assert_allclose(found, r, rtol=1e-9, atol=1e-11)
        fired += int(spiked.sum())
    assert fired > 500


def test_the_lines_tell_the_times_of_the_neuron() -> None:
    for tau_rc, tau_ref in itertools.product((0.02, 0.003), (0.0, 3e-4, DT, 0.002, 0.0023)):
        row = np.array([[DT, *membranes.lines(LIF(tau_rc=tau_rc, tau_ref=tau_ref), DT)]])
        np.testing.assert_allclose(np.ravel(membranes.times(row)), [tau_rc, tau_ref], atol=1e-12)


def test_times_become_rests_and_rests_times() -> None:
    for dt, tau_rc in itertools.product((DT, 1e-4, 0.02), (0.02, 0.003)):
        scales = membranes.scales(LIF(tau_rc=tau_rc), dt)
        times = np.linspace(0, 20 * dt, 401)
        rests = membranes.rest(times, scales)
        assert (np.diff(rests) > 0).all()
        np.testing.assert_allclose(rests[20::20], np.arange(20) * scales[1], atol=1e-12)
        np.testing.assert_allclose(membranes.refractory_time(rests, scales), times, atol=1e-12)


def test_what_is_not_a_number_stays_with_its_neuron() -> None:
    """Two numbers for each neuron give the same then, too."""
    count = sum(SIZES)
    for real, tau_ref in itertools.product(REALS, (0.002, 0.0015)):
        given = [DT, *membranes.lines(LIF(tau_ref=tau_ref), DT), 0.0]
        one = Neuron("lif", real, given, np.zeros((1, count)))
        two = Neuron("wide_lif", real, given, np.zeros((2, count)))
        for step in range(60):
            J = np.full(count, 3.0 if step else np.nan, real)
            J[::3] = 2.0
            fired = one(J)
            assert fired.tobytes() == two(J).tobytes()
        assert fired.size == count


TEXT = """
input u(t) = 0.8 * sin(9*t)
ensemble a(300, max_rates=uniform(100Hz, 200Hz), {options})
connect u -> a
probe a synapse 10ms as value
probe a spikes as spikes
"""


def groups(text: str, dtype: str = "float32") -> list[la.NeuronGroup]:
    graph = inprocess.prepared(loads(text))
    atoms = {name: 0 for name, _ in graph.nodes(g.Atom)}
    probes = {name: 0 for name, _ in graph.nodes(g.Probe)}
    (layout,), _ = schedule(graph, Assignment(1, atoms, probes), dtype)
    return [s for s in layout.stages if isinstance(s, la.NeuronGroup)]


@pytest.mark.parametrize(
    ("options", "probes", "kinds"),
    [
        ("neuron=lif", "", ["lif"]),
        ("neuron=lif, initial_voltage=uniform(0, 1)", "", ["lif"]),
        ("neuron=lif, initial_refractory_time=3ms", "", ["lif"]),
        ("neuron=adaptive_lif, initial_voltage=uniform(0, 1)", "probe a adaptation", ["adaptive_lif"]),
        ("neuron=lif", "probe a voltage", ["wide_lif"]),
        ("neuron=lif", "probe a.neurons[7] refractory_time", ["wide_lif"]),
        ("neuron=lif(min_voltage=-1)", "", ["wide_lif"]),
        ("neuron=lif, initial_voltage=-0.1", "", ["wide_lif"]),
        ("neuron=lif, initial_voltage=0.5, initial_refractory_time=3ms", "", ["wide_lif"]),
        ("neuron=adaptive_lif", "probe a refractory_time", ["wide_adaptive_lif"]),
    ],
)
def test_two_numbers_are_kept_where_both_are_recorded_or_needed(
    options: str, probes: str, kinds: list[str]
) -> None:
    made = groups(TEXT.format(options=options) + probes)
    assert [s.kind for s in made] == kinds
    for stage in made:
        wide = stage.kind.startswith("wide")
        assert len(stage.rows) == len(stage.state["neurons"]) == 1 + wide + ("adaptive" in stage.kind)


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize(
    "neuron",
    [
        "lif",
        "lif(tau_rc=5ms)",
        "adaptive_lif(inc_n=0.02), initial_voltage=uniform(0, 1), initial_adaptation=0.1",
    ],
)
def test_a_probe_of_the_voltage_changes_no_spike(neuron: str, dtype: str) -> None:
    text = TEXT.format(options=f"neuron={neuron}")
    runs = []
    for given in (text, text + "probe a voltage as voltage"):
        runs.append(inprocess.run_split(inprocess.prepared(loads(given)), 2, dtype, 400))
    plain, probed = runs
    assert len(plain["spikes"]) > 2000
    assert probed.pop("voltage").max() > 0.9
    for name, data in plain.items():
        assert data.tobytes() == probed[name].tobytes()


def test_the_initial_state_is_in_one_number() -> None:
    """A refractory time of one step is over when the first begins."""
    neurons = g.Neurons(
        size=3, path="a", dims=1, neuron=LIF(), radius=1.0,
        tuning=g.Tuned(np.ones((3, 1)), np.ones(3), np.zeros(3), lambda: np.zeros((0, 1))), seed=0,
        initial_state={"voltage": np.array([0.3, 0, 0]), "refractory_time": DT * np.array([1, 1.5, 3])},
    )  # fmt: skip
    atom = g.Atom(size=3, path="a", neurons=neurons, start=0, targets=(), rows=(), numbers=np.ones((3, 3)))
    step = -np.expm1(-DT / 0.02)
    for dtype in REALS:
        state = membranes.initial(atom, (membranes.MEMBRANE,), DT, dtype)
        wanted = np.array([[0.3, -(step + np.expm1(-DT / 2 / 0.02)), -2 * step]], dtype)
        np.testing.assert_allclose(state, wanted, rtol=1e-6 if dtype == "float32" else 1e-12)


def test_a_voltage_above_the_threshold_is_kept_apart() -> None:
    """Nengo lets neurons begin there."""
    neurons = g.Neurons(
        size=2, path="a", dims=1, neuron=LIF(), radius=1.0,
        tuning=g.Tuned(np.ones((2, 1)), np.ones(2), np.zeros(2), lambda: np.zeros((0, 1))), seed=0,
        initial_state={"voltage": np.array([0.3, 1.5])},
    )  # fmt: skip
    graph = g.Graph("m", DT, 0)
    graph.add(
        "a#0",
        g.Atom(size=2, path="a", neurons=neurons, start=0, targets=(), rows=(), numbers=np.ones((2, 2))),
    )
    assert membranes.kept("a#0", graph, "float32").kind == "wide_lif"
    given = [DT, *membranes.lines(LIF(), DT), 0.0]
    two = Neuron("wide_lif", "float64", given, np.array([np.full(sum(SIZES), 1.5), np.zeros(sum(SIZES))]))
    J = np.linspace(-2.0, 3.0, sum(SIZES))
    fired = [two(J) for _ in range(3)]
    assert fired[0].all()
    assert (two.state[1] <= 0).all()
    assert not (fired[1] + fired[2]).any()


SHORT = """
model short
ensemble a(50, neuron=lif(tau_rc=50us, tau_ref={tau_ref}))
probe a.spikes
"""


def test_a_membrane_too_fast_for_the_step_is_refused(tmp_path: Path) -> None:
    """In float32 the rest after a spike would be made of rounding."""
    with pytest.raises(ModelError, match="a tau_rc of 5e-05 s is too short"):
        spikec.compile_text(SHORT.format(tau_ref="1.5ms"), output=tmp_path / "a")
    spikec.compile_text(SHORT.format(tau_ref="1.5ms"), output=tmp_path / "b", precision="float64")
    spikec.compile_text(SHORT.format(tau_ref="2ms"), output=tmp_path / "c")


def test_atoms_of_a_population_are_kept_alike(tmp_path: Path) -> None:
    """Also where the first state of some of them would do in one number, and that of others not."""
    text = """
        model mixed
        ensemble a(270, neuron=adaptive_lif(), initial_voltage=gaussian(0.4, 0.1))
        probe a.adaptation as adaptation
        """
    run = spikec.compile_text(text, partitions=2, output=tmp_path / "m").run("20ms", tmp_path / "run")
    assert run.probe("adaptation").shape == (20, 270)


def test_what_kernels_read_belongs_to_the_schema_of_the_manifest() -> None:
    """Where this fails, raise `SCHEMA` with it: programs compiled before would read other numbers."""
    read = (
        CELLS, PARAMETERS, DRAWS, CALLS, COLUMNS, LENGTH,
        [(n.kind, len(parameters(n, DT))) for n in (LIF(), AdaptiveLIF(), LIFRate(), AdaptiveLIFRate())],
        membranes.MEMBRANE, membranes.REST,
    )  # fmt: skip
    assert (manifest.SCHEMA, hashlib.sha256(repr(read).encode()).hexdigest()[:16]) == (8, "0f7cf8978c847820")
