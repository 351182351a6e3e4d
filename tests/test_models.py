"""The shipped models: what they compute is what they say, and how they are cut does not change it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import inprocess
import numpy as np
import pytest
from numpy.typing import NDArray

from spikec import graph as g
from spikec.expressions import evaluate
from spikec.frontend import load
from spikec.planning import hypergraph
from spikec.planning.divider import Divider
from spikec.planning.partition import place
from spikec.program.schedule import Assignment

MODELS = Path(__file__).parent.parent / "models"
DT = 0.001  # s
Array = NDArray[np.float64]


@cache
def prepared(model: str, seed: int | None = None) -> g.Graph:
    return inprocess.prepared(load(MODELS / f"{model}.spk", seed=seed))


@cache
def data(model: str, steps: int, seed: int | None = None) -> dict[str, Array]:
    """Probe data of a model in one partition, float32 as users run it."""
    return inprocess.run_split(prepared(model, seed), 1, "float32", steps)


def ideal(model: str, probe: str, steps: int) -> Array:
    """What the model itself says is ideal, at the times of the samples."""
    op = next(op for _, op in prepared(model).nodes(g.Probe) if op.name == probe)
    t = np.arange(op.every, steps + 1, op.every) * DT
    return np.stack([np.broadcast_to(evaluate(e, None, t), t.shape) for e in op.ideal], axis=1)


def rmse(values: Array, truth: Array, start: float) -> float:
    """Root mean square error from the time `start` (s) on."""
    first = round(start / DT)
    return float(np.sqrt(np.mean((values[first:] - truth[first:]) ** 2)))


# ---------------------------------------------------------------------------------------- what they compute


@pytest.mark.parametrize(
    ("model", "probe", "steps", "bound"),
    [
        ("communication_channel", "receiver_value", 2000, 0.06),
        ("product", "factors", 2000, 0.05),
        ("product", "product_value", 2000, 0.05),
        ("integrator", "position_value", 1600, 0.03),
        ("circular_convolution", "bound", 800, 0.04),
        ("bench/circular_convolution", "bound", 400, 0.05),
    ],
)
def test_decoded_values_follow_the_ideal(model: str, probe: str, steps: int, bound: float) -> None:
    truth = ideal(model, probe, steps)
    error = rmse(data(model, steps)[probe], truth, 0.2)
    size = float(np.sqrt(np.mean(truth**2)))
    assert error < bound, f"RMSE {error:.4f} of values of RMS {size:.3f}, not below {bound}"
    assert size > 2 * bound, f"the bound {bound} says little about values of RMS {size:.3f}"


def test_matrix_multiplication_decodes_the_product() -> None:
    a = np.array([[0.5, -0.5, 0.3], [-0.2, 0.8, 0.4]])
    b = np.array([[0.6, -0.9], [0.7, 0.2], [-0.4, 0.5]])
    truth = np.broadcast_to((a @ b).ravel(), (1000, 4))
    error = rmse(data("matrix_multiplication", 1000)["C"], truth, 0.2)
    assert error < 0.05, f"RMSE {error:.4f} of the decoded product {(a @ b).ravel()}"


def test_circular_convolution_agrees_with_the_fourier_transform() -> None:
    a = np.array([0.4, -0.3, 0.1, 0.5, -0.2, 0.3, -0.4, 0.2])
    b = np.array([-0.1, 0.5, 0.3, -0.4, 0.2, 0.1, 0.3, -0.3])
    truth = np.fft.irfft(np.fft.rfft(a) * np.fft.rfft(b), 8)
    error = rmse(data("circular_convolution", 800)["bound"], np.broadcast_to(truth, (800, 8)), 0.2)
    assert error < 0.04, f"RMSE {error:.4f} of {truth.round(3)}"


def test_oscillator_turns_at_its_frequency() -> None:
    wheel = data("oscillator", 3000)["wheel_value"][500:].astype(np.float64)
    phase = np.unwrap(np.arctan2(wheel[:, 1], wheel[:, 0]))
    frequency = np.polyfit(np.arange(len(phase)) * DT, phase, 1)[0] / (2 * np.pi)
    amplitude = np.hypot(wheel[:, 0], wheel[:, 1])
    assert abs(frequency - 2.0) < 0.02, f"turns at {frequency:.4f} Hz, not 2 Hz"
    assert amplitude.min() > 0.7, f"amplitude falls to {amplitude.min():.3f}"
    assert amplitude.max() < 1.2, f"amplitude rises to {amplitude.max():.3f}"


@pytest.mark.parametrize("model", ["lorenz", "bench/lorenz"])
def test_lorenz_visits_both_wings_and_stays_on_the_attractor(model: str) -> None:
    x, y, z = data(model, 4000)["trajectory"][500:].astype(np.float64).T
    changes = int(np.sum(np.diff(np.sign(x)) != 0))
    assert changes >= 3, f"x changed its sign {changes} times"
    assert 10 < x.max() < 25, f"x reaches {x.max():.1f}"
    assert -25 < x.min() < -10, f"x reaches {x.min():.1f}"
    # Rounding of decoders decides which way a chaotic trajectory goes: of twelve seeds one reaches below -30.
    lowest = sorted(data(model, 4000, seed)["trajectory"][500:, 2].min() for seed in (None, 1, 2, 3, 4))
    assert -30 < lowest[2] < -10, f"z reaches {lowest}"
    assert 5 < z.max() < 30, f"z reaches {z.max():.1f}"
    assert np.corrcoef(x, y)[0, 1] > 0.7, f"x and y have correlation {np.corrcoef(x, y)[0, 1]:.2f}"


def test_basal_ganglia_and_thalamus_choose_the_largest() -> None:
    recorded = data("basal_ganglia", 1600)
    for k, chosen in enumerate([0, 2, 1, 3]):
        settled = slice(400 * k + 200, 400 * k + 399)
        assert int(recorded["salience_value"][settled.start].argmax()) == chosen
        choice = recorded["choice"][settled].mean(axis=0)
        others = np.delete(choice, chosen)
        told = f"period {k}: decoded choice {choice.round(3)}"
        assert choice[chosen] > 0.7, told
        assert others.max() < 0.3, told


def test_delay_network_gives_the_ecg_of_100_ms_ago() -> None:
    recorded = data("delay_network", 2800)
    samples = np.loadtxt(MODELS / "data" / "ecg.csv", skiprows=1) / 250
    t = np.arange(1, 2801) * DT
    past = np.where(t > 0.1, np.interp(t - 0.1, np.arange(len(samples)) / 360, samples), 0.0)[:, None]
    error = rmse(recorded["decoded"], past, 0.25)
    now = np.interp(t, np.arange(len(samples)) / 360, samples)[:, None]
    deviation = float(past[250:].std())
    assert error < 0.05, f"RMSE {error:.4f}; the signal has a standard deviation of {deviation:.3f}"
    assert rmse(recorded["decoded"], now, 0.25) > 3 * error, "the decoded signal is not delayed"
    assert rmse(recorded["decoded_ideal"], past, 0.25) < 1e-6


@pytest.mark.parametrize(
    "model", ["bench/stream", "bench/big_ensembles", "bench/small_ensembles", "bench/random_graph"]
)
def test_signals_travel_through_the_networks_of_the_benchmarks(model: str) -> None:
    """A weak coupling damps from one ensemble to the next: what arrives is small, finite and not nothing."""
    for name, values in data(model, 300).items():
        assert np.isfinite(values).all(), name
        assert 0 < np.abs(values[100:]).max() < 1.0, f"{name} reaches {np.abs(values[100:]).max():.4f}"


def test_what_was_learned_multiplies_when_learning_is_over() -> None:
    recorded = data("learned_product", 13_000)
    # Nothing is decoded before learning: the error is then all of the product.
    before = rmse(np.zeros_like(recorded["truth"]), recorded["truth"], 10.5)
    after = rmse(recorded["product"], recorded["truth"], 10.5)
    assert before > 0.15
    assert after < 0.05
    weights = recorded["learned.weights"]
    assert np.abs(weights[49] - weights[99]).max() > 0  # at 5 s and 10 s
    np.testing.assert_array_equal(weights[109], weights[129])  # at 11 s and 13 s


# ---------------------------------------------------------------------------------------- the benchmarks


@pytest.mark.parametrize(
    ("model", "neurons"),
    [
        ("stream", 8 * 8 * 200),
        ("random_graph", 128 * 100),
        ("circular_convolution", (3 * 64 + 4 * 33) * 200),
        ("lorenz", 2000),
        ("big_ensembles", 16 * 4000),
        ("small_ensembles", 1000 * 100),
        ("learned_channel", 3 * 1000),
    ],
)
def test_benchmarks_have_the_published_size(model: str, neurons: int) -> None:
    graph = load(MODELS / "bench" / f"{model}.spk")
    assert sum(op.size for _, op in graph.nodes(g.Ensemble)) == neurons


def test_data_of_the_benchmarks_are_what_their_comments_say() -> None:
    pairs = np.argwhere(np.random.RandomState(1).rand(128, 128) < 0.05)
    edges = np.loadtxt(MODELS / "bench" / "random_graph.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(edges, pairs)
    vectors = np.loadtxt(MODELS / "bench" / "circular_convolution.csv", delimiter=",")
    np.testing.assert_array_equal(vectors, np.random.RandomState(1).randn(2, 64) / 8)


# ---------------------------------------------------------------------------------------- how they are cut

SHORT = {
    "brunel": 300,
    "bench/big_ensembles": 20,
    "bench/small_ensembles": 20,
    "bench/circular_convolution": 20,
}
EVERY = sorted(str(p.relative_to(MODELS).with_suffix("")) for p in MODELS.rglob("*.spk"))


def assigned(graph: g.Graph, partitions: int) -> Assignment:
    """What the partitioner makes of costs in proportion to neurons and dimensions."""
    costs = {name: float(op.size * (1 + op.neurons.dims)) for name, op in graph.nodes(g.Atom)}
    who = hypergraph.reads(graph)
    made = hypergraph.hypergraph(graph, who, costs)
    with Divider() as divider:
        assignment = place(graph, partitions, who, made, 1.0, divider)
    assert set(assignment.atoms.values()) == set(range(partitions))
    return assignment


def digests(model: str, partitions: int, dtype: str, compiled: bool = True) -> dict[str, bytes]:
    """The bytes of every probe."""
    graph = prepared(model)
    steps = SHORT.get(model, 100)
    recorded = inprocess.run_assigned(graph, assigned(graph, partitions), dtype, steps, compiled=compiled)
    assert all(len(values) for values in recorded.values())
    return {name: values.tobytes() for name, values in recorded.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", EVERY)
def test_the_cut_does_not_change_the_answer(model: str, dtype: str) -> None:
    whole = digests(model, 1, dtype)
    for partitions in (2, 3):
        # Programs that are not compiled must say the same.
        cut = digests(model, partitions, dtype, compiled=partitions < 3)
        assert cut == whole, f"{partitions} partitions differ from 1"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", ["matrix_multiplication", "delay_network"])
def test_many_partitions_do_not_change_the_answer(model: str, dtype: str) -> None:
    whole = digests(model, 1, dtype)
    for partitions in (5, 16):
        cut = digests(model, partitions, dtype, compiled=partitions < 16)
        assert cut == whole, f"{partitions} partitions differ from 1"


def test_compiling_a_model_twice_prepares_the_same_arrays() -> None:
    first, second = (inprocess.prepared(load(MODELS / "matrix_multiplication.spk")) for _ in range(2))
    for (name, one), (other, two) in zip(first.nodes(g.Atom), second.nodes(g.Atom), strict=True):
        assert name == other
        assert one.numbers.size
        assert one.numbers.tobytes() == two.numbers.tobytes()
