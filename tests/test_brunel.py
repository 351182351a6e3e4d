"""The balanced random network fires as it does in NEST and Brian2, by the statistics of its spikes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import inprocess
import numpy as np
import pytest
from bench_brunel.statistics import statistics

from spikec.frontend import load
from spikec.program.rates import rates

HERE = Path(__file__).parent
SECONDS, EXCITATORY = 1.0, 8000


@cache
def ours() -> dict[str, float]:
    """Statistics of the shipped model, as `make bench-brunel` takes them."""
    graph = inprocess.prepared(load(HERE.parent / "models" / "brunel.spk"))
    found = inprocess.run_split(graph, 1, "float32", round(SECONDS / graph.dt))
    events = [found[f"{name}.spikes"] for name in ("excitatory", "inhibitory")]
    steps = np.concatenate([e[:, 0] for e in events])
    neurons = np.concatenate([e[:, 1] + k * EXCITATORY for k, e in enumerate(events)])
    return statistics(steps * graph.dt, neurons, 10_000, SECONDS)


@pytest.mark.parametrize("name", ["rate", "cv", "synchrony"])
def test_within_the_spread_of_the_peers_over_seeds(name: str) -> None:
    peers = json.loads((HERE / "bench_brunel" / "peers.json").read_text(encoding="utf-8"))
    values = np.array([run[name] for runs in peers.values() for run in runs])
    assert abs(ours()[name] - values.mean()) < 3 * values.std(ddof=1)


def test_predicted_rates_are_those_of_the_network() -> None:
    """Mean-field theory, which the cost model expects spikes by, within 5 % of the simulation."""
    expected = rates(inprocess.prepared(load(HERE.parent / "models" / "brunel.spk")))
    assert expected["excitatory.spikes"] == pytest.approx(ours()["rate"], rel=0.05)


def test_statistics_of_poisson_and_regular_trains() -> None:
    rng = np.random.default_rng(1)
    spikes = np.argwhere(rng.random((20_000, 100)) < 0.004)
    poisson = statistics((spikes[:, 0] + 1) * 1e-4, spikes[:, 1], 100, 2.0)
    assert poisson["rate"] == pytest.approx(40, rel=0.05)
    assert poisson["cv"] == pytest.approx(1, rel=0.06)
    assert poisson["synchrony"] == pytest.approx(1, rel=0.12)
    times = np.tile(np.arange(250, 20_001, 250) * 1e-4, 100)
    regular = statistics(times, np.repeat(np.arange(100), 80), 100, 2.0)
    assert regular["rate"] == pytest.approx(40)
    assert regular["cv"] == pytest.approx(0, abs=1e-9)
    # One bin in 25 holds 100 spikes: variance over mean is 100 x (1 - 1/25).
    assert regular["synchrony"] == pytest.approx(96)
