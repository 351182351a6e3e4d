"""`spikec.nengo.Simulator` beside Nengo's own."""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spike_runtime.engine import EngineError

from spikec.nengo import Simulator  # before Nengo: its warnings of its own imports are caught there

import nengo  # isort: skip
from nengo.exceptions import SimulationError, SimulatorClosed, ValidationError  # isort: skip

# Two test processes would meet at the lock of Nengo's cache.
nengo.rc.set("decoder_cache", "enabled", "False")


def both(net: nengo.Network, steps: int, partitions: int = 1, **options: Any) -> tuple[Any, Any]:
    """The simulators, Nengo's and Spike's, after so many steps of a network."""
    with nengo.Simulator(net, progress_bar=False, optimize=False, **options) as theirs:
        theirs.run_steps(steps)
    with Simulator(net, progress_bar=False, partitions=partitions, **options) as ours:
        ours.run_steps(steps)
    return theirs, ours


def square() -> nengo.Network:
    with nengo.Network(seed=1) as net:
        stimulus = nengo.Node(lambda t: np.sin(20 * t))
        net.a, net.b = nengo.Ensemble(50, 1), nengo.Ensemble(40, 1)
        nengo.Connection(stimulus, net.a)
        nengo.Connection(net.a, net.b, function=np.square)
        net.value, net.spikes = nengo.Probe(net.b, synapse=0.01), nengo.Probe(net.a.neurons)
        net.seldom = nengo.Probe(net.a, sample_every=0.005)
    return net


@pytest.mark.parametrize("partitions", [1, 2])
def test_probes_equal_those_of_nengo(partitions: int) -> None:
    net = square()
    theirs, ours = both(net, 200, partitions)
    np.testing.assert_array_equal(ours.data[net.spikes], theirs.data[net.spikes])
    assert ours.data[net.spikes].any()
    for probe in (net.value, net.seldom):
        np.testing.assert_allclose(ours.data[probe], theirs.data[probe], atol=1e-9)
        assert ours.data[probe].shape == theirs.data[probe].shape
        np.testing.assert_array_equal(
            ours.trange(sample_every=probe.sample_every), theirs.trange(sample_every=probe.sample_every)
        )
    np.testing.assert_array_equal(ours.data[net.a].encoders, theirs.data[net.a].encoders)
    assert (ours.n_steps, ours.time, ours.dt) == (200, pytest.approx(0.2), 0.001)


def test_any_number_of_partitions_gives_the_same_bytes() -> None:
    net = square()
    results = []
    for partitions in (1, 2, 5):
        with Simulator(net, progress_bar=False, partitions=partitions) as sim:
            sim.run_steps(60)
        results.append([sim.data[p].tobytes() for p in (net.value, net.spikes)])
    assert results[0] == results[1] == results[2]


def test_functions_of_nodes_act_on_the_objects_of_the_caller() -> None:
    seen: list[tuple[float, float]] = []
    with nengo.Network(seed=1) as net:
        a = nengo.Ensemble(30, 1)
        watch = nengo.Node(lambda t, x: seen.append((t, float(x[0]))), size_in=1)
        nengo.Connection(a, watch)
    with Simulator(net, progress_bar=False) as sim:
        seen.clear()  # Nengo tries functions when it builds
        sim.run_steps(20)
    assert [t for t, _ in seen] == pytest.approx(sim.trange())
    assert len({x for _, x in seen}) > 10


def test_a_function_sees_what_it_captured_as_it_is_now() -> None:
    factor = 2.0
    with nengo.Network(seed=1) as net:
        node = nengo.Node(lambda t: factor * t)
        a = nengo.Ensemble(30, 1)
        nengo.Connection(node, a)
        probes = [nengo.Probe(node), nengo.Probe(a, synapse=0.01)]
    results = []
    for kind in (nengo.Simulator, Simulator):
        factor = 2.0
        with kind(net, progress_bar=False) as sim:
            sim.run_steps(10)
            factor = 30.0
            sim.run_steps(10)
        results.append([sim.data[p] for p in probes])
    np.testing.assert_allclose(results[1][0], results[0][0], atol=1e-12)
    np.testing.assert_allclose(results[1][1], results[0][1], atol=1e-9)


@pytest.mark.parametrize("kind", [LookupError, StopIteration, SystemExit, KeyboardInterrupt])
def test_what_a_node_raises_comes_out_and_what_was_recorded_stays(kind: type[BaseException]) -> None:
    def fail(t: float) -> float:
        if t > 0.0105:
            raise kind("as it was")
        return t

    with nengo.Network(seed=1) as net:
        node = nengo.Node(fail)
        a = nengo.Ensemble(30, 1)
        nengo.Connection(node, a)
        probe = nengo.Probe(node)
    with Simulator(net, progress_bar=False) as sim:
        with pytest.raises(kind, match="as it was"):
            sim.run_steps(50)
        assert sim.n_steps == 10
        np.testing.assert_allclose(sim.data[probe][:, 0], sim.trange())


def test_reset_begins_again_and_a_new_seed_changes_noise_only() -> None:
    with nengo.Network(seed=1) as net:
        noise = nengo.Node(nengo.processes.WhiteNoise())
        a = nengo.Ensemble(30, 1)
        nengo.Connection(noise, a)
        probes = [nengo.Probe(noise), nengo.Probe(a.neurons)]
    with Simulator(net, progress_bar=False) as sim:
        runs = []
        for seed in (None, 7, 7):
            sim.reset(seed)
            sim.run_steps(30)
            runs.append([sim.data[p].copy() for p in probes])
            assert len(runs[-1][0]) == 30
    assert (runs[0][0] != runs[1][0]).all()
    for first, second in zip(runs[1], runs[2], strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("partitions", [1, 2])
def test_signals_hold_the_state_of_neurons_and_say_what_they_do_not_hold(partitions: int) -> None:
    net = square()
    theirs = nengo.Simulator(net, progress_bar=False, optimize=False)
    ours = Simulator(net, progress_bar=False, partitions=partitions)
    voltage, decoded = ours.model.sig[net.a.neurons]["voltage"], ours.model.sig[net.b]["in"]
    np.testing.assert_array_equal(ours.signals[voltage], voltage.initial_value)
    np.testing.assert_array_equal(ours.signals[decoded], [0.0])
    for sim in (theirs, ours):
        sim.run_steps(30)
    np.testing.assert_allclose(
        ours.signals[voltage], theirs.signals[theirs.model.sig[net.a.neurons]["voltage"]], atol=1e-9
    )
    assert ours.signals[ours.model.step] == 30
    assert ours.signals[ours.model.time] == pytest.approx(0.03)
    with pytest.raises(SimulationError, match="probe it"):
        ours.signals[decoded]
    shown = str(ours.signals).splitlines()
    assert f"{decoded!r} (computed in compiled code, not kept)" in shown
    assert any(line.startswith(f"{ours.model.time!r} array(0.03") for line in shown)
    for sim in (theirs, ours):
        sim.close()
    assert ours.signals is None


def test_a_simulator_can_be_pickled_and_goes_on() -> None:
    with nengo.Network(seed=1) as net:
        stimulus = nengo.Node(np.sin)
        net.a, net.b = nengo.Ensemble(50, 1), nengo.Ensemble(40, 1)
        nengo.Connection(stimulus, net.a)
        nengo.Connection(net.a, net.b, synapse=0.1)
        net.value, net.spikes = nengo.Probe(net.b, synapse=0.01), nengo.Probe(net.a.neurons)
    with Simulator(net, progress_bar=False, partitions=2) as sim:
        sim.run_steps(5)
        other = pickle.loads(pickle.dumps(sim))
        sim.run_steps(20)
    copy = other.model.toplevel
    with other:
        assert (other.partitions, other.n_steps, other.seed) == (2, 5, sim.seed)
        np.testing.assert_array_equal(other.data[copy.value], sim.data[net.value][:5])
        other.run_steps(20)
        for name in ("value", "spikes"):
            np.testing.assert_array_equal(other.data[getattr(copy, name)], sim.data[getattr(net, name)])


@pytest.mark.parametrize("partitions", [1, 2])
def test_simulators_that_are_kept_hold_no_files(partitions: int) -> None:
    kept = []
    for seed in range(4):
        with nengo.Network(seed=seed) as net:
            nengo.Probe(nengo.Ensemble(60, 1), synapse=0.01)
            nengo.Probe(nengo.Ensemble(60, 1))
        kept.append(Simulator(net, partitions=partitions, progress_bar=False))
        kept[-1].run_steps(3)
        if not seed:
            before = len(os.listdir("/dev/fd"))
    assert len(os.listdir("/dev/fd")) <= before
    for simulator in kept:
        simulator.close()


def test_a_closed_simulator_says_so() -> None:
    with Simulator(square(), progress_bar=False) as sim:
        sim.run_steps(3)
    for act in (sim.step, sim.reset, lambda: sim.run_steps(1), sim.__enter__):
        with pytest.raises(SimulatorClosed):
            act()
    sim = Simulator(square(), progress_bar=False)
    with pytest.warns(ResourceWarning, match="deallocated while open"):
        sim.__del__()
    sim.close()


@pytest.mark.parametrize(
    ("argument", "values", "said"),
    [
        ("partitions", (0, -1, 1.5, "two", True), r'Must be a whole number, 1 or more, or "auto" \(got '),
        ("processes", ("yes", 2), r"Must be True or False \(got "),
        ("dt", (0, -0.001, "1ms", float("nan"), float("inf"), None), r"Must be a number of seconds above 0"),
        ("seed", (-1, 2**32, 1.5, "one"), r"Must be a whole number, 0 to 4294967295, or None \(got "),
    ],
)
def test_arguments_that_cannot_be(argument: str, values: tuple[Any, ...], said: str) -> None:
    for value in values:
        with pytest.raises(ValidationError, match=f"{argument}: {said}"):
            Simulator(nengo.Network(), progress_bar=False, **{argument: value})
    with (
        Simulator(nengo.Network(), progress_bar=False) as sim,
        pytest.raises(ValidationError, match="seed: "),
    ):
        sim.reset(seed="one")


@pytest.mark.parametrize("processes", [False, True])
def test_the_number_of_partitions_can_be_found(reference_host: Path, processes: bool) -> None:
    """The reference host has more than one core, on which a model of so many neurons is faster."""
    assert reference_host.is_dir()
    with nengo.Network(seed=1) as net:
        parts = [nengo.Ensemble(2000, 1, label=name) for name in "ab"]
        net.value = nengo.Probe(parts[0], synapse=0.01)
        nengo.Connection(*parts)
        nengo.Connection(*parts[::-1])
    made = [Simulator(net, partitions=n, progress_bar=False, processes=processes) for n in (1, "auto")]
    for sim in made:
        sim.run_steps(5)
    assert made[1].partitions > 1
    np.testing.assert_array_equal(*(sim.data[net.value] for sim in made))
    for sim in made:
        sim.close()


@pytest.mark.parametrize("before", [0, 30])
def test_how_long_to_run_is_checked(before: int) -> None:
    """Steps that are not whole ran for ever in a session that had measured how long they take."""
    with Simulator(square(), progress_bar=False) as sim:
        for _ in range(before):
            sim.step()
        for steps in (2.5, 2.0, "2", None):
            with pytest.raises(TypeError, match=r"steps is a whole number, not .*sim.run takes seconds"):
                sim.run_steps(steps)
        for time in ("1s", "1", None, [1.0]):
            with pytest.raises(TypeError, match="time_in_seconds is a number of seconds, not "):
                sim.run(time)
        for time in (-1, float("nan"), float("inf")):
            with pytest.raises(ValidationError, match="time_in_seconds: Must be positive and finite"):
                sim.run(time)
        assert sim.n_steps == before
        sim.run_steps(np.int32(2))
        sim.run(np.float32(0.001))
        assert sim.n_steps == before + 3


@pytest.mark.parametrize("label", ["arm", None])
def test_why_there_are_fewer_partitions_is_told(label: str | None, caplog: pytest.LogCaptureFixture) -> None:
    with nengo.Network(label, seed=1) as net:
        body = nengo.Node(lambda t, x: seen.append(t) or x, size_in=1, size_out=1)
        a = nengo.Ensemble(400, 1, label="a")
        nengo.Connection(body, a, synapse=None)
        nengo.Probe(a, synapse=0.01)
    seen: list[float] = []
    with Simulator(net, partitions=2, progress_bar=False) as sim:
        sim.run_steps(2)
        assert sim.partitions == 1
    said = f"{label or 'the network'} runs in 1 partition, not 2: it has 3 atoms (runs of at most 256 "
    assert said + "neurons) in 1 group that must stay together" in caplog.text
    assert "\n  what runs in Python is connected to 'a' without a synapse; add one" in caplog.text


@pytest.mark.parametrize(("kind", "what"), [("LIF", "ensemble 'hurt'"), ("LIFRate", "an ensemble")])
def test_which_ensemble_represents_no_number_is_told(kind: str, what: str) -> None:
    """Where its neurons have a state; a population after it has a signal of its own."""
    with nengo.Network(seed=1) as net:
        ramp, a = nengo.Node(lambda t: 1e10 * t), nengo.Ensemble(30, 1, label="a")
        hurt = nengo.Ensemble(30, 1, label="hurt", neuron_type=getattr(nengo, kind)())
        b = nengo.Ensemble(30, 1, label="b")
        nengo.Connection(ramp, a, transform=1e-10)
        nengo.Connection(ramp, hurt, transform=1e305)
        nengo.Connection(hurt, b)
        nengo.Probe(b)
    said = f"what {what} represents is not a number .* at 0.002 s, step 2;"
    with Simulator(net, progress_bar=False) as sim, pytest.raises(EngineError, match=said):
        sim.run_steps(20)


def test_python_that_reads_neurons_at_once_is_told_as_what_joins_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[float] = []
    with nengo.Network(seed=1) as net:
        a = nengo.Ensemble(400, 1, label="a")
        body = nengo.Node(lambda t, x: seen.append(t) or x, size_in=1, size_out=1)
        nengo.Connection(a, body, synapse=None)
    with Simulator(net, partitions=2, progress_bar=False) as sim:
        sim.run_steps(2)
    assert "\n  'a' is connected to what runs in Python without a synapse; add one" in caplog.text


def test_what_is_computed_elsewhere_cannot_be_written() -> None:
    """It would be lost: what native neurons hold is copied when it is asked for."""
    seen: list[float] = []
    with nengo.Network(seed=1) as net:
        a = nengo.Ensemble(20, 1)
        kept = nengo.Node(lambda _, x: seen.append(x[0]) or x, size_in=1, size_out=1)
        nengo.Connection(a, kept)
        probe = nengo.Probe(kept)
    with Simulator(net, progress_bar=False) as sim:
        for _ in range(2):
            with pytest.raises(ValueError, match="read-only"):
                sim.signals[sim.model.sig[a.neurons]["voltage"]][...] = 0.5
            sim.run_steps(3)
        sim.signals[sim.model.sig[kept]["out"]][...] = 2.0  # memory of a host call, as in Nengo
        assert sim.signals[sim.model.sig[kept]["out"]] == 2.0
    assert sim.data[probe].shape == (6, 1)
    sim.clear_probes()
    assert len(sim.data[probe]) == 0


def test_a_simulator_that_cannot_be_made_leaves_no_warning() -> None:
    with nengo.Network() as net:
        one, two = nengo.Node(size_in=1), nengo.Node(size_in=1)
        nengo.Connection(one, two, synapse=None)
        nengo.Connection(two, one, synapse=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(nengo.exceptions.BuildError, match="cycles") as caught:
            Simulator(net, progress_bar=False)
        assert caught.value.__traceback__.tb_next.tb_frame.f_locals["self"].closed


@pytest.mark.parametrize("partitions", [1, 2])
def test_what_numpy_warns_of_in_neurons_is_as_the_caller_has_it(partitions: int) -> None:
    class Soft(nengo.neurons.NeuronType):
        def gain_bias(self, max_rates: Any, intercepts: Any) -> Any:
            return np.asarray(max_rates), np.zeros(len(intercepts))

        def max_rates_intercepts(self, gain: Any, bias: Any) -> Any:
            return gain, bias

        def step(self, dt: float, J: Any, output: Any) -> None:
            output[...] = np.log1p(np.exp(J) * (dt > 0))

    with nengo.Network(seed=1) as net:
        large = nengo.Node(lambda t: 5.0 * (t > 0.0025))
        soft = nengo.Ensemble(300, 1, neuron_type=Soft(), encoders=np.ones((300, 1)))
        nengo.Connection(large, soft, synapse=None)
        nengo.Connection(large, nengo.Ensemble(300, 1), synapse=None)
        nengo.Probe(soft.neurons)
    with Simulator(net, partitions=partitions, progress_bar=False) as sim:
        sim.run_steps(2)
        with pytest.warns(RuntimeWarning, match="overflow encountered in exp"):
            sim.run_steps(1)
        with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow"):
            sim.run_steps(1)


def test_an_empty_network_and_no_steps() -> None:
    with Simulator(nengo.Network(), progress_bar=False) as sim:
        with pytest.warns(UserWarning, match="0 timesteps"):
            sim.run(0)
        sim.step()
        assert sim.n_steps == 1


def test_nengo_knows_the_backend() -> None:
    from importlib.metadata import entry_points

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [e for e in entry_points(group="nengo.backends") if e.value == "spikec.nengo:Simulator"]
    assert [e.load() for e in found] in ([], [Simulator])  # not where the package is not installed anew
