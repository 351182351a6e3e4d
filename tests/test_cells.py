"""Populations at the level of synapses: spike for spike against a plain loop, however they are cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import inprocess
import numpy as np
import pytest
from spike_runtime.ops import cells

from spikec import graph as g
from spikec import projections as pj
from spikec.frontend import load, loads
from spikec.nef.neurons import DeltaLIF
from spikec.program.cells import alias_table, poisson

DT, STEPS = 1e-4, 3000

# Two populations driven by currents above the threshold; their synapses come from a file.
TWO = """
dt 0.1ms
population a(40, neuron=lif_delta(tau_m=20ms, tau_ref=2ms, threshold=20, reset=10), current=23)
population b(10, neuron=lif_delta(tau_m=10ms, tau_ref=0.5ms, threshold=15, reset=-5), current=17)
connect a -> a transform pairs("aa.csv")
connect a -> b transform pairs("ab.csv") delay 1.5ms
connect b -> a transform pairs("ba.csv")
probe a
probe b
probe a voltage every 0.5ms
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random synapses: source, target, weight, delay of 0.1 to 2.5 ms."""
    home, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(5)
    for name, sources, targets, sign in (("aa", 40, 40, 1), ("ab", 40, 10, 1), ("ba", 10, 40, -1)):
        count = sources * targets // 4
        ends = rng.integers(0, sources, count), rng.integers(0, targets, count)
        weights, delays = sign * rng.uniform(0.1, 1.5, count), rng.integers(1, 26, count) * DT
        table = np.stack([*ends, weights, delays], axis=1)
        columns = 3 if name == "ab" else 4
        np.savetxt(
            home / f"{name}.csv", table[:, :columns], "%.17g", ",", header="source,target,weight,delay"
        )
    return home


def plain_loop(folder: Path) -> dict[str, np.ndarray]:
    """The same network, one neuron after the other, as the equations are written."""
    types = {"a": (40, 0.02, 20, 20.0, 10.0, 23.0), "b": (10, 0.01, 5, 15.0, -5.0, 17.0)}
    synapses = {name: np.loadtxt(folder / f"{name}.csv", delimiter=",") for name in ("aa", "ab", "ba")}
    V = {p: np.zeros(spec[0]) for p, spec in types.items()}
    left = {p: np.zeros(spec[0], int) for p, spec in types.items()}
    inputs = {p: np.zeros((STEPS + 100, spec[0])) for p, spec in types.items()}
    found: dict[str, list] = {"a": [], "b": [], "a.voltage": []}
    for n in range(1, STEPS + 1):
        for p, (size, tau_m, refractory, threshold, reset, J) in types.items():
            for i in range(size):
                if left[p][i]:
                    left[p][i] -= 1
                    continue
                decay = np.exp(-DT / tau_m)
                V[p][i] = V[p][i] * decay + J * (1 - decay) + inputs[p][n, i]
                if V[p][i] >= threshold:
                    V[p][i], left[p][i] = reset, refractory
                    found[p].append((n, i))
                    for name, table in synapses.items():
                        for row in table[table[:, 0] == i] if name[0] == p else ():
                            late = 15 if name == "ab" else round(row[3] / DT)
                            inputs[name[1]][n + late, int(row[1])] += row[2]
        if n % 5 == 0:
            found["a.voltage"].append(V["a"].copy())
    return {name: np.array(rows) for name, rows in found.items()}


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, np.ndarray]:
    return plain_loop(folder)


@pytest.mark.parametrize("partitions", [1, 2])
def test_spike_for_spike_as_a_plain_loop(
    folder: Path, expected: dict[str, np.ndarray], partitions: int
) -> None:
    found = inprocess.run(loads(TWO, "two.spk", folder), partitions, "float64", STEPS)
    assert len(expected["a"]) > 300
    assert (found["a"] == expected["a"]).all()
    assert (found["b"] == expected["b"]).all()
    # Weights are rounded to 2 ** -30 of the largest.
    assert np.abs(found["a.voltage"] - expected["a.voltage"]).max() < 1e-6


# Three populations of several atoms each, with two delays, and a probe of the activity of all.
SEVERAL = """
dt 0.1ms
population a(700, drive=poisson(rate=21kHz, weight=0.1))
population b(300, drive=poisson(rate=22kHz, weight=0.1))
relay mean
connect a -> a transform fixed_indegree(70, weight=0.1) delay 1.2ms
connect a -> b transform fixed_probability(0.1, weight=0.1) delay 0.7ms
connect b -> a transform fixed_indegree(30, weight=-0.4) delay 0.9ms
connect a -> mean transform ones(1, 700) / 700 synapse 5ms
probe a
probe b
probe b voltage every 1.3ms
probe mean
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_cut_does_not_change_the_answer(dtype: str) -> None:
    graph = inprocess.prepared(loads(SEVERAL, "m.spk"))
    whole = inprocess.run_split(graph, 1, dtype, 1000)
    assert len(whole["a"]) > 300
    for partitions, deal in ((2, 1), (2, 2), (3, 1), (5, 1)):
        cut = inprocess.run_split(graph, partitions, dtype, 1000, deal)
        assert {n: v.tobytes() for n, v in cut.items()} == {n: v.tobytes() for n, v in whole.items()}


# ------------------------------------------------------------------------------------------------- rules


def projection(rule: pj.Rule, targets: int = 700, sources: int = 500) -> pj.Projection:
    return pj.Projection(size=targets, path="p->q", seed=3, sources=sources, rule=rule, weight=0.1, steps=15)


def drawn(op: pj.Projection) -> tuple[np.ndarray, np.ndarray]:
    """(sources, targets) of all synapses."""
    runs = [op.draw(start, min(start + pj.RUN, op.size)) for start in range(0, op.size, pj.RUN)]
    counts = np.concatenate([r.counts for r in runs])
    return np.concatenate([r.sources for r in runs]).astype(int), np.repeat(np.arange(op.size), counts)


@pytest.mark.parametrize("weight", [1e-300, 1e-30, 0.1, 1e300])
def test_sums_of_any_weights_fit_64_bits(weight: float) -> None:
    arriving = [replace(projection(pj.FixedIndegree(80)), weight=weight)] * 3
    units = weight * 2.0 ** pj.exponent(arriving)
    assert 3 * 80 * units < 2.0**51
    assert units > 2.0**40 or weight < 1e-280


def test_fixed_indegree_draws_so_many_sources_evenly() -> None:
    sources, targets = drawn(projection(pj.FixedIndegree(100)))
    assert (np.bincount(targets) == 100).all()
    counts = np.bincount(sources, minlength=500)
    # 140 each, with the spread of a binomial distribution: chi-square of 499 degrees of freedom.
    assert 400 < ((counts - 140) ** 2 / 140).sum() < 610


def test_fixed_probability_draws_every_pair_at_most_once() -> None:
    sources, targets = drawn(projection(pj.FixedProbability(0.2)))
    assert len(set(zip(sources.tolist(), targets.tolist(), strict=True))) == len(sources)
    assert abs(len(sources) - 70_000) < 4 * np.sqrt(350_000 * 0.2 * 0.8)
    assert np.bincount(targets, minlength=700).std() == pytest.approx(np.sqrt(500 * 0.16), rel=0.15)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_probabilities_of_nothing_and_of_all(p: float) -> None:
    sources, _ = drawn(projection(pj.FixedProbability(p), targets=300, sources=7))
    assert len(sources) == p * 2100


def test_runs_can_be_drawn_by_themselves_and_differ() -> None:
    op = projection(pj.FixedIndegree(50))
    first, again, second = op.draw(0, 256), op.draw(0, 256), op.draw(256, 512)
    assert (first.sources == again.sources).all()
    assert (first.sources != second.sources).any()


# ------------------------------------------------------------------------------------------------- drive


def test_alias_tables_hold_the_poisson_distribution() -> None:
    for mean in (0.05, 2.0, 80.0):
        p = poisson(mean)
        chance, alias = alias_table(p)
        part = chance / 2.0**32 / len(p)
        held = part + np.bincount(alias, 1 / len(p) - part, minlength=len(p))
        assert np.abs(held - p).max() < 1e-9
        assert (np.arange(len(p)) * p).sum() == pytest.approx(mean, rel=1e-9)


def test_the_drive_is_poisson_independent_and_the_same_for_any_cut() -> None:
    """Voltages that neither leak nor reach the threshold count the spikes of the drive."""
    text = """
    dt 0.1ms
    population p(600, neuron=lif_delta(tau_m=1e9s, threshold=1e9), drive=poisson(rate=20kHz, weight=1))
    probe p voltage
    """
    counts = np.diff(inprocess.run(loads(text, "m.spk"), 1, "float64", 500)["p.voltage"], axis=0)
    counts = np.rint(counts).astype(int)
    seen = np.bincount(counts.ravel(), minlength=12)
    wanted = poisson(2.0)[: len(seen)] * counts.size
    common = wanted > 50
    assert ((seen - wanted)[common] ** 2 / wanted[common]).sum() < 40
    # Neither neurons nor steps know of each other.
    assert np.abs(np.corrcoef(counts[:, ::7].T) - np.eye(86)).max() < 0.25
    assert abs(np.corrcoef(counts[1:].ravel(), counts[:-1].ravel())[0, 1]) < 0.01


# ------------------------------------------------------------------------------- currents and activity


def test_currents_reach_populations_and_activity_leaves_them() -> None:
    text = """
    dt 0.1ms
    input mean(t) = 25
    population p(300, current=2)
    relay out
    connect mean -> p transform ones(300, 1) synapse none
    connect p -> out transform ones(1, 300) synapse 20ms
    probe out
    probe p
    """
    found = inprocess.run(loads(text, "m.spk"), 1, "float32", 4000)
    rate = float(DeltaLIF().rates(np.array(27.0)))
    # From 0 mV to the first spike, then one after the other.
    first = 0.02 * np.log(27 / 7)
    assert (np.bincount(found["p"][:, 1]) == 1 + int((0.4 - first) * rate)).all()
    assert found["out"][-1000:].mean() == pytest.approx(300 * rate, rel=0.05)


def test_a_current_that_is_not_a_number_fails_the_run() -> None:
    text = """
    dt 0.1ms
    input bad(t) = 1 / (t - 0.01) - 1 / (t - 0.01)
    population p(30)
    connect bad -> p transform ones(30, 1) synapse none
    probe p voltage
    """
    with pytest.raises(Exception, match="not a number"):
        inprocess.run(loads(text, "m.spk"), 1, "float32", 200)


def test_a_population_whose_spikes_nobody_reads_changes_no_other() -> None:
    text = """
    dt 0.1ms
    population p(40)
    population q(30, current=30)
    population r(10)
    connect p -> r transform fixed_indegree(40, weight=1) delay 1ms
    probe r voltage
    """
    alone = inprocess.run(loads(text, "m.spk"), 1, "float32", 500)
    beside = inprocess.run(loads(text + "probe q voltage", "m.spk"), 1, "float32", 500)
    assert np.ptp(beside["q.voltage"]) > 10  # it fires
    assert (beside["r.voltage"] == alone["r.voltage"]).all()


def test_populations_and_ensembles_exchange_side_by_side() -> None:
    text = """
    input wave(t) = sin(30 * t)
    ensemble e(600)
    connect wave -> e
    connect e -> e via 0.5 * x[0] synapse none delay 5ms
    population p(600, current=30)
    connect p -> p transform fixed_indegree(10, weight=0.1) delay 2ms
    probe e spikes
    probe p spikes
    """
    graph = inprocess.prepared(loads(text, "m.spk"))
    whole = inprocess.run_split(graph, 1, "float32", 100)
    assert all(map(len, whole.values()))
    cut = inprocess.run_split(graph, 2, "float32", 100)
    assert {n: v.tobytes() for n, v in cut.items()} == {n: v.tobytes() for n, v in whole.items()}


# ---------------------------------------------------------------------------------------------- the model


def test_the_shipped_network_is_that_of_brunel() -> None:
    graph = load(Path(__file__).parent.parent / "models" / "brunel.spk")
    populations = dict(graph.nodes(pj.Cells))
    assert {name: op.size for name, op in populations.items()} == {"excitatory": 8000, "inhibitory": 2000}
    assert all(op.drive == pj.Poisson(20_000.0, 0.1) for op in populations.values())
    synapses = {n: (op.rule.count, op.weight, op.steps) for n, op in graph.nodes(pj.Projection)}
    assert synapses["excitatory->inhibitory"] == (800, 0.1, 15)
    assert synapses["inhibitory->excitatory"] == (200, -0.5, 15)
    assert sum(op.per_target * op.size for _, op in graph.nodes(pj.Projection)) == 10_000_000


def test_kernels_are_ops_of_one_kind() -> None:
    assert cells("lif_delta", "float32") == cells("lif_delta", "float32")
    assert cells("lif_delta", "float32") != cells("lif_delta", "float64")


def test_populations_that_nothing_reads_are_dropped() -> None:
    graph = inprocess.prepared(loads("population p(10)\npopulation q(10)\nprobe p", "m.spk"))
    assert {op.path for _, op in graph.nodes(g.Atom)} == {"p"}
