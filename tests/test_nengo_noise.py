"""What Nengo draws at random is compiled, with Nengo's own numbers, for every number of partitions."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from converted import assert_equal, converted, nengo, reference, run
from nengo import dists
from nengo.processes import (
    BrownNoise,
    FilteredNoise,
    Piecewise,
    PresentInput,
    WhiteNoise,
    WhiteSignal,
)

import spikec
from spikec.errors import ModelError

STEPS = 60
# By size: distributions of vectors of it.
DISTRIBUTIONS = {
    1: [dists.Uniform(-1, 2), dists.Gaussian(0.3, 2), dists.QuasirandomSequence(), dists.SqrtBeta(4, 3)],
    2: [
        dists.Uniform(3, -4, integer=False),
        dists.Uniform(-4, 30, integer=True),
        dists.Uniform(-(2**30), 2**32, integer=True),
        dists.Uniform(-(2**52), 2**51 + 1, integer=True),
        dists.Exponential(0.4, shift=-0.2, high=1.0),
        dists.UniformHypersphere(min_magnitude=0.3),
        dists.Choice([[1, -1], [2, 0.5], [3, 3]], weights=[1, 3, 0.2]),
        dists.Samples([[0.25, -0.5]]),
        dists.PDF(np.array([0.0, 1.0, 3.0]), np.array([0.2, 0.5, 0.3])),
    ],
    5: [
        dists.UniformHypersphere(surface=True),
        dists.UniformHypersphere(),
        dists.QuasirandomSequence(),
        dists.CosineSimilarity(7),
        dists.SubvectorLength(9, 2),
    ],
}
TYPES = {
    "regular": nengo.RegularSpiking(nengo.LIFRate(amplitude=0.8), amplitude=0.9),
    "adaptive": nengo.RegularSpiking(nengo.AdaptiveLIFRate()),
    "stochastic": nengo.StochasticSpiking(nengo.LIFRate(), amplitude=0.7),
    "signed": nengo.StochasticSpiking(nengo.Tanh()),
    "poisson": nengo.PoissonSpiking(nengo.AdaptiveLIFRate()),
    "many": nengo.PoissonSpiking(nengo.RectifiedLinear(), amplitude=2),
    "both signs": nengo.PoissonSpiking(nengo.Tanh()),
}


def processes() -> nengo.Network:
    with nengo.Network(seed=4) as net:
        made = [(WhiteNoise(d), size) for size, found in DISTRIBUTIONS.items() for d in found]
        made += [
            (WhiteNoise(dists.Gaussian(0, 1), scale=False, seed=3), 3),
            (FilteredNoise(nengo.Alpha(0.01), dist=dists.Exponential(0.3)), 2),
            (FilteredNoise(nengo.Lowpass(0.02), dist=dists.Uniform(-1, 3), scale=False), 1),
            (BrownNoise(dists.Gaussian(0, 0.5)), 2),
        ]
        for process, size in made:
            nengo.Probe(nengo.Node(process, size_out=size))
    return net


def ensembles() -> nengo.Network:
    """Noise of every kind in currents, and neurons that draw their spikes, some in several atoms."""
    with nengo.Network(seed=4) as net:
        stim = nengo.Node(lambda t: np.sin(20 * t))
        noises = [
            WhiteNoise(dists.Gaussian(0, 0.1)),
            FilteredNoise(nengo.Lowpass(0.005), dist=dists.Uniform(-0.2, 0.3)),
            BrownNoise(dists.Exponential(0.01)),
            WhiteSignal(0.05, high=100, rms=0.3),
            PresentInput(np.linspace(-1, 1, 900).reshape(3, 300), 0.004),
            Piecewise({0.01: np.linspace(-1, 1, 300), 0.02: np.linspace(1, 2, 300)}),
        ]
        made = [nengo.Ensemble(300, 1, noise=noise) for noise in noises]
        rates = {"many": dists.Uniform(9000, 40000)}
        for name, kind in TYPES.items():
            plain = (
                dists.Uniform(100, 300)
                if not isinstance(kind.base_type, nengo.Tanh)
                else dists.Uniform(50, 200)
            )
            made.append(nengo.Ensemble(600, 1, neuron_type=kind, max_rates=rates.get(name, plain)))
        for obj in made:
            nengo.Connection(stim, obj, synapse=None)
            nengo.Connection(obj, made[0], transform=0.05)
            nengo.Probe(obj.neurons)
        nengo.Probe(made[0], synapse=0.01)
        nengo.Probe(made[7].neurons, "adaptation")
        nengo.Probe(made[6].neurons, "voltage")
        nengo.Probe(made[8].neurons, "rate_out")
    return net


@cache
def recorded(make: Any, partitions: int) -> list[Any]:
    return list(run(make(), STEPS, partitions).values())


@pytest.mark.parametrize("make", [processes, ensembles])
def test_the_numbers_are_those_of_nengo(make: Any) -> None:
    assert not converted(make()).host, "all is compiled"
    for (probe, theirs), ours in zip(reference(make(), STEPS).items(), recorded(make, 1), strict=True):
        assert_equal(ours, theirs, str(probe))


@pytest.mark.parametrize("make", [processes, ensembles])
def test_the_cut_does_not_change_them(make: Any) -> None:
    for one, two in zip(recorded(make, 1), recorded(make, 2), strict=True):
        assert one.tobytes() == two.tobytes()


def test_samples_are_equal_to_the_bit() -> None:
    """Where nothing is filtered, and no root is taken."""
    net = processes()
    theirs = reference(net, STEPS)
    exact = 0
    for (probe, wanted), ours in zip(theirs.items(), recorded(processes, 1), strict=True):
        process = probe.obj.output
        ball = isinstance(process.dist, dists.UniformHypersphere) and wanted.shape[1] > 2
        if type(process) is WhiteNoise and (not ball or process.dist.surface):
            exact += 1
            assert ours.tobytes() == wanted.tobytes(), str(process)
    assert exact == sum(map(len, DISTRIBUTIONS.values()))


def test_a_simulator_begins_anew() -> None:
    """Where it is reset, and with other numbers for another seed."""
    with nengo.Network(seed=1) as net:
        noise = nengo.Node(WhiteNoise(), size_out=2)
        own = nengo.Node(WhiteNoise(seed=5), size_out=2)
        probes = [nengo.Probe(noise), nengo.Probe(own)]
    found = []
    with spikec.nengo.Simulator(net, seed=3, progress_bar=False) as sim:
        for seed in (None, None, 8):
            sim.reset(seed=seed)
            sim.run_steps(20)
            found.append([np.array(sim.data[probe]) for probe in probes])
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0][0], found[2][0])
    np.testing.assert_array_equal(found[0][1], found[2][1])
    with nengo.Simulator(net, seed=8, progress_bar=False, optimize=False) as sim:
        sim.run_steps(20)
        np.testing.assert_array_equal(found[2][0], sim.data[probes[0]])


@pytest.mark.parametrize("options", [{}, {"partitions": 2}, {"partitions": 2, "processes": True}], ids=str)
@pytest.mark.parametrize("seed", [None, 8])
def test_random_neurons_go_on_after_a_reset(options: dict[str, Any], seed: int | None) -> None:
    """As Nengo's do, whose generators belong to the model that was built."""
    with nengo.Network(seed=1) as net:
        noise = nengo.Node(WhiteNoise())
        kinds = [TYPES["stochastic"], TYPES["poisson"], nengo.LIF()]
        made = [nengo.Ensemble(300, 1, neuron_type=kind) for kind in kinds]
        for ens in made:
            nengo.Connection(noise, ens, synapse=0.01)
        probes = [nengo.Probe(ens.neurons) for ens in made]
    found = []
    simulators = (
        nengo.Simulator(net, progress_bar=False, optimize=False),
        spikec.nengo.Simulator(net, progress_bar=False, **options),
    )
    for sim in simulators:
        with sim:
            sim.run_steps(15)
            first = [np.array(sim.data[probe]) for probe in probes]
            sim.reset(seed=seed)
            for _ in range(2):
                sim.run_steps(10)
            found.append([first, [np.array(sim.data[probe]) for probe in probes]])
    (theirs, theirs_again), (ours, ours_again) = found
    for a, b in zip((*theirs, *theirs_again), (*ours, *ours_again), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    changed = [not np.array_equal(a, b[:15]) for a, b in zip(ours, ours_again, strict=True)]
    assert changed == [True, True, seed is not None]


def test_the_memory_of_a_simulator_holds_the_state_of_rates_too() -> None:
    with nengo.Network(seed=1) as net:
        kind = nengo.RegularSpiking(nengo.AdaptiveLIFRate())
        ens = nengo.Ensemble(20, 1, neuron_type=kind)
        nengo.Probe(ens.neurons)
    found = []
    for make in (nengo.Simulator, spikec.nengo.Simulator):
        with make(net, progress_bar=False) as sim:
            sim.run_steps(15)
            signals = sim.model.sig[ens.neurons]
            found.append([np.array(sim.signals[signals[name]]) for name in ("adaptation", "voltage")])
    for theirs, ours in zip(*found, strict=True):
        assert_equal(ours, theirs)


def test_a_pickled_simulator_goes_on() -> None:
    """The state of streams is part of what is kept."""
    import pickle

    with nengo.Network(seed=1) as net:
        ens = nengo.Ensemble(11, 1, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()))
        nengo.Connection(nengo.Node(WhiteNoise(), size_out=1), ens)
        probe = nengo.Probe(ens.neurons)
    with spikec.nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(15)
        kept = pickle.dumps(sim)
        sim.run_steps(25)
        wanted = np.array(sim.data[probe])
    with pickle.loads(kept) as again:
        again.run_steps(25)
        np.testing.assert_array_equal(again.data[again.model.probes[0]][-25:], wanted[-25:])
    assert wanted[-25:].any()


def test_what_no_kernel_draws_runs_as_nengo_made_it() -> None:
    """Distributions that are none of ours, whole numbers beyond 53 bits, processes of one's own."""

    class Own(WhiteNoise):
        pass

    def net(process: Any) -> nengo.Network:
        with nengo.Network(seed=2) as made:
            nengo.Probe(nengo.Node(process, size_out=2))
        return made

    for process in (
        WhiteNoise(dists.ScatteredHypersphere(surface=True)),
        WhiteNoise(dists.Uniform(0, 2**60, integer=True)),
        Own(),
    ):
        assert len(converted(net(process)).host) == 1
        (theirs,), (ours,) = reference(net(process), 20).values(), run(net(process), 20).values()
        np.testing.assert_array_equal(ours, theirs)


def test_random_numbers_that_were_used_are_not_begun_again() -> None:
    """A model whose neurons have drawn before goes on where Nengo goes on."""
    with nengo.Network(seed=1) as net:
        ens = nengo.Ensemble(20, 1, neuron_type=nengo.StochasticSpiking(nengo.LIFRate()))
        nengo.Probe(ens.neurons)
    model = nengo.builder.Model(dt=0.001)
    model.build(net)
    with nengo.Simulator(None, model=model, seed=1, progress_bar=False) as sim:
        sim.run_steps(3)
    from spikec.nengo.convert import convert

    assert [type(op).__name__ for op in convert(model, 7).host] == ["SimNeurons"]


POISSON = """
ensemble a(600, neuron=poisson_spiking(lif_rate, stream=numpy(3)))
ensemble b(100)
probe a synapse 5ms
probe b synapse 5ms as second
"""


def test_neurons_that_draw_in_turn_stay_together() -> None:
    with pytest.raises(ModelError) as raised:
        spikec.compile_text(POISSON, 3)
    assert "the neurons of 'a' draw from one stream of random numbers, in turn" in str(raised.value)
    assert "<string>:2:1" in str(raised.value)
    assert len(spikec.compile_text(POISSON, 2).manifest.partitions) == 2
