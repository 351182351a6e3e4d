"""The state of a model, saved at one cut and loaded at another: going on is as never having stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import continued
import inprocess
import numpy as np
import pytest
import test_windows
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from spike_runtime import manifest as mf
from spike_runtime import statemap
from test_cut import dealt

from spikec import graph as g
from spikec.frontend import loads
from spikec.program.emit import emit
from spikec.program.schedule import schedule
from spikec.program.state import state_map

LEARNING = """
seed 4
input wave(t) = [sin(30 * t), 0.5 * cos(20 * t)]
ensemble e0(513, dims=2)
ensemble e1(520)
ensemble teacher(200)
connect wave -> e0
connect wave[1] -> teacher
connect e0 -> e1 via x[0] * x[1] learning pes(rate=2e-3) as product
connect e0[0] -> e1 via x learning rls(rate=2e-3, pre_synapse=8ms) as square
connect teacher -> e1 learning voja(rate=0.05) as near
connect e0.neurons -> teacher.neurons transform gaussian(0, 0.0001)
    learning [oja(rate=2e-6), bcm(rate=1e-9)] as own
connect teacher -> product.pes transform -1
connect e1 -> product.pes
connect teacher -> square.rls synapse 3ms
probe e1 synapse 10ms as decoded
probe product.weights every 7ms as weights
probe e1 refractory_time synapse 4ms
probe product.weights synapse 6ms every 7ms as followed
probe near.encoders synapse 4ms every 7ms as encoders
probe e0 spikes
"""
SOURCES = """
seed 5
input steps = piecewise(0s: 0.3, 11ms: -0.6, 30ms: 0.9)
input pictures = present_input([[0.2], [-0.7], [0.4]], each=5ms)
input noise = filtered_noise(synapse=alpha(4ms), std=0.1)
input walk = brown_noise(std=0.5)
input signal = white_signal(period=50ms, high=100Hz)
ensemble e0(600, neuron=adaptive_lif(inc_n=0.02), noise=white_noise(std=0.05))
ensemble e1(520, neuron=poisson_spiking(lif_rate))
ensemble e2(260, neuron=izhikevich)
ensemble e3(100, neuron=sigmoid)
input drawn = filtered_noise(dist=exponential(0.2), stream=numpy(3))
input normal = white_noise(std=0.01, stream=numpy(4))
let jitter = white_noise(std=0.1, stream=numpy(6))
ensemble e4(600, neuron=stochastic_spiking(lif_rate, stream=numpy(5)), noise=jitter)
ensemble e5(90, neuron=poisson_spiking(lif_rate, stream=numpy(7)))
use legendre_delay(200, order=3, theta=20ms) as late
connect steps -> e0
connect pictures -> e1
connect noise -> e0
connect walk -> e2
connect drawn -> e4
connect normal -> e4
connect e4 -> e5 synapse alpha(3ms)
connect e5 -> e2 synapse 4ms
connect signal -> late.in
connect late.out -> e3
connect e0 -> e1 synapse alpha(3ms)
connect e1 -> e2 via x^2 synapse triangle(6ms)
connect e2 -> e0 synapse lowpass(10ms)
connect e3 -> e1 transform 0.2 synapse none delay 4ms
connect e1.neurons -> e0.neurons transform gaussian(0, 0.0001) synapse 3ms
probe e2 synapse 5ms as decoded
probe e0 spikes
probe e0 adaptation every 3ms
probe e2 voltage every 4ms
probe e2 recovery synapse alpha(4ms) as recovering
probe e0.neurons[200:300] voltage synapse 3ms as filtered
probe late.out synapse 4ms as delayed
"""
CELLS = """
seed 6
dt 0.1ms
let cell = lif_delta(tau_m=20ms, tau_ref=2ms, threshold=20, reset=10)
population e0(600, neuron=cell, drive=poisson(rate=21kHz, weight=0.1))
population e1(520, neuron=cell, drive=poisson(rate=22kHz, weight=0.1))
population alone(30, neuron=cell, current=25)
connect e0 -> e0 transform fixed_indegree(60, weight=0.2) delay 1.5ms
connect e0 -> e1 transform fixed_indegree(60, weight=0.2) delay 0.7ms
connect e1 -> e0 transform fixed_probability(0.05, weight=-0.8) delay 0.4ms
connect e1 -> alone transform fixed_indegree(9, weight=-0.3) delay 0.9ms
probe e0 spikes
probe e1 spikes
probe alone voltage every 3ms
probe e0 voltage synapse 1ms as filtered
"""
# What is not finite goes on too, and what is made of it.
LOST = """
input s(t) = sqrt(sin(400 * t))
node f(x) = x
node finite(x) = select(x > -1e9, x, 0.5)
ensemble a(2000)
connect s -> f synapse 10ms
connect f -> finite synapse alpha(3ms) delay 4ms
connect finite -> a
probe f
probe a synapse 10ms as seen
"""
# By model: its text, precision and steps.
MODELS = {
    "windows": (test_windows.MODEL, "float32", 64),
    "learning": (LEARNING, "float32", 60),
    "sources": (SOURCES, "float64", 70),
    "cells": (CELLS, "float32", 400),
    "lost": (LOST, "float32", 40),
}


@cache
def prepared(name: str) -> g.Graph:
    return inprocess.prepared(loads(MODELS[name][0]))


@cache
def whole(name: str) -> tuple[dict[str, np.ndarray], statemap.Arrays]:
    _, dtype, steps = MODELS[name]
    made = continued.run(prepared(name), dealt(prepared(name), 1, 0), dtype, steps)
    assert all(values.any() for values in made[0].values())
    return made


@cache
def begun(name: str, partitions: int, deal: int, cut: int) -> tuple[dict[str, np.ndarray], statemap.Arrays]:
    return continued.run(prepared(name), dealt(prepared(name), partitions, deal), MODELS[name][1], cut)


def check(name: str, cut: int, before: tuple[int, int], after: tuple[int, int]) -> None:
    """`cut` steps at the cut (partitions, seed of the deal) `before`, the rest at that of `after`."""
    _, dtype, steps = MODELS[name]
    first, state = begun(name, *before, cut)
    deal = dealt(prepared(name), *after)
    rest, end = continued.run(prepared(name), deal, dtype, steps - cut, state, cut)
    expected, last = whole(name)
    for probe, values in expected.items():
        both = np.concatenate([first[probe], rest[probe]])
        assert both.tobytes() == values.tobytes(), probe
    assert end.keys() == last.keys()
    for key, values in last.items():
        assert end[key].dtype == values.dtype
        assert end[key].tobytes() == values.tobytes(), key


@pytest.mark.parametrize("after", [1, 2, 3])
@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("name", MODELS)
def test_going_on_is_as_never_having_stopped(name: str, before: int, after: int) -> None:
    cut = {"windows": 31, "learning": 23, "sources": 29, "cells": 187, "lost": 21}[name]
    check(name, cut, (before, 5), (after, 9))


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@given(st.data())
def test_any_step_and_any_cut_will_do(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(("windows", "learning", "cells")))
    cut = data.draw(st.integers(1, MODELS[name][2] - 1))
    cuts = [(data.draw(st.integers(1, 3)), data.draw(st.integers(0, 2**32))) for _ in range(2)]
    note(f"{name}: {cut} steps at {cuts[0]}, the rest at {cuts[1]}")
    check(name, cut, *cuts)


CHANGES = """
probe product.pes.delta as change
probe near.voja.delta synapse 4ms as filtered_change
probe square.rls.inv_gamma every 5ms as inverse
probe square.rls.inv_gamma synapse 3ms every 5ms as filtered_inverse
ensemble apart(600)
connect e1 -> apart
connect apart -> e1 transform 0.1
"""


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 2)])
def test_recorded_changes_of_weights_go_on(before: int, after: int) -> None:
    """A probe of them keeps the ensembles that its rule follows together."""
    graph, cut = inprocess.prepared(loads(LEARNING + CHANGES)), 23
    deals = [inprocess.grouped(graph, count) for count in (1, before, after)]
    assert [{*deal.atoms.values()} for deal in deals] == [{*range(n)} for n in (1, before, after)]
    expected, last = continued.run(graph, deals[0], "float32", 60)
    first, state = continued.run(graph, deals[1], "float32", cut)
    rest, end = continued.run(graph, deals[2], "float32", 60 - cut, state, cut)
    for probe, values in expected.items():
        assert np.concatenate([first[probe], rest[probe]]).tobytes() == values.tobytes(), probe
        assert values.any(), probe
    assert {key: values.tobytes() for key, values in end.items()} == {k: v.tobytes() for k, v in last.items()}


@pytest.mark.parametrize("neuron", ["lif(tau_ref=1ms)", "adaptive_lif(inc_n=0.02)"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_voltages_that_are_recorded_go_on_where_they_are_not(neuron: str, dtype: str) -> None:
    """Where nobody records them, voltage and refractory time are kept in one number."""
    text = f"""
    seed 7
    input wave(t) = sin(30 * t)
    ensemble e0(300, neuron={neuron})
    ensemble e1(300)
    connect wave -> e0
    connect e0 -> e1 synapse 3ms
    connect e1 -> e0 synapse alpha(4ms)
    probe e0 spikes
    probe e1 synapse 5ms as decoded
    """
    alone = inprocess.prepared(loads(text))
    shown = inprocess.prepared(loads(text + "probe e0 voltage as voltage"))
    whole, cut = continued.run(shown, dealt(shown, 1, 0), dtype, 60)[0], 37
    for before, after in ((shown, alone), (alone, shown)):
        first, state = continued.run(before, dealt(before, 2, 3), dtype, cut)
        rest = continued.run(after, dealt(after, 1, 0), dtype, 60 - cut, state, cut)[0]
        for name in ("e0.spikes", "decoded"):
            assert np.concatenate([first[name], rest[name]]).tobytes() == whole[name].tobytes()
    assert rest["voltage"].tobytes() == whole["voltage"][cut:].tobytes()


def test_replicas_of_a_number_are_equal() -> None:
    """What several partitions compute, each of them gives: the state does not depend on which is asked."""
    graph = prepared("windows")
    with continued.session(graph, dealt(graph, 3, 5), "float32") as (made, places):
        for _ in range(20):
            made.advance(1)
        parts = [engine.portable() for engine in made._engines]
        one = places.gather(parts)
        backwards = replace(places, shares=places.shares[::-1]).gather(parts[::-1])
    held = [k for share in places.shares for k in {run[0] for run in share.runs["lowpass_value"]}]
    assert len(held) > len(set(held))
    assert {k: v.tobytes() for k, v in one.items()} == {k: v.tobytes() for k, v in backwards.items()}


# What no step reads of the one before; of `sums` and histories other tests tell.
LEFT_OUT = {"status", "own", "sums", "spikes_history", "synapses_arriving", "events_buffer", "events_count"}


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_every_number_of_the_state_is_in_the_map(name: str, partitions: int) -> None:
    """What a program keeps from step to step belongs to an object of the model: nothing is forgotten."""
    graph = prepared(name)
    with continued.session(graph, dealt(graph, partitions, 5), MODELS[name][1]) as (made, places):
        for share, engine in zip(places.shares, made._engines, strict=True):
            for array, values in engine.state.items():
                if array in LEFT_OUT or array.startswith("record_"):
                    continue
                counts = np.zeros(values.size, int)
                for *_, here, count in (*share.runs.get(array, ()), *share.membranes.get(array, ())):
                    counts[here : here + count] += 1
                assert (counts == 1).all(), array
        owned = [row for share in places.shares for row in share.own]
        for number, (k, _) in enumerate(places.lists):
            neurons = [
                n for list_, start, count in owned if list_ == number for n in range(start, start + count)
            ]
            assert sorted(neurons) == list(range(places.entries[k].shape[1]))


def test_the_map_does_not_depend_on_the_cut_but_for_what_is_where(tmp_path: Path) -> None:
    graph = prepared("sources")
    maps = []
    for partitions in (1, 3):
        layouts, recorded = schedule(graph, dealt(graph, partitions, 5), "float32")
        maps.append(json.loads("".join(state_map(graph, layouts))))
        emit(graph, layouts, recorded, dict, [mf.Cost({}, 0.0)] * partitions, tmp_path / "built", "test")
        assert json.loads((tmp_path / "built" / mf.STATE).read_text()) == maps[-1]
    assert maps[0]["arrays"] == maps[1]["arrays"]
    assert maps[0]["delays"] == maps[1]["delays"]
    kinds = {kind for kind, *_ in maps[0]["arrays"]}
    assert kinds == {"delay", "filter", "neurons", "signal", "stream"}
