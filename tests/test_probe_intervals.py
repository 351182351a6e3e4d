"""Samples that are no whole number of steps apart: taken at the steps where Nengo takes them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import nengo
from spike_runtime import sampling
from spike_runtime.ops.record import sample

import spikec
from spikec import models
from spikec.errors import ModelError
from spikec.nengo import Simulator
from spikec.nengo.writing.translate import translate

PERIODS = [1, 2, 7, 1.5, 2.5, 1.9, np.pi, 3 - 4e-16, 3 + 4e-16, 0.003 / 0.0007, 0.0019 / 0.0003, 1e3 + 1e-9]
STEPS = 4000


def taken(every: float, last: int) -> Any:
    """The steps at which Nengo's simulator records."""
    return [n for n in range(1, last + 1) if n % every < 1]


@pytest.mark.parametrize("every", PERIODS)
def test_the_steps_of_samples_are_those_of_nengo(every: float) -> None:
    wanted = taken(every, STEPS)
    assert sampling.steps(np.arange(1, len(wanted) + 1), every).tolist() == wanted
    counts = np.cumsum(np.isin(np.arange(1, STEPS + 1), wanted))
    assert [sampling.count(n, every) for n in range(1, STEPS + 1)] == counts.tolist()
    rows = [sample(n, every, 10**6) for n in range(1, STEPS + 1)]
    assert [row for row in rows if row >= 0] == list(range(len(wanted)))
    assert [n for n, row in enumerate(rows, 1) if row >= 0] == wanted


def test_late_samples_are_where_exact_arithmetic_has_them() -> None:
    """After 10^12 steps the product of a number and an interval is rounded."""
    for every in (np.pi, 1.1, 7 / 3, 0.003 / 0.0007):
        numbers = np.arange(10**12, 10**12 + 50)
        exact = [-(-k * Fraction(every) // 1) for k in numbers.tolist()]
        assert sampling.steps(numbers, every).tolist() == exact
        assert [sampling.count(n, every) for n in exact] == numbers.tolist()


MODEL = """
input u(t) = t
ensemble a(300)
connect u -> a
probe u every 2.5ms as some
probe a every 1.9ms as decoded
probe a every 1ms as all
probe a voltage every 3.3ms
probe a voltage every 1ms as voltages
probe u every 3 * 0.7ms as rounded
probe u every 1us * 1e30 as never
"""


def test_values_and_times_are_those_of_the_steps(tmp_path: Path) -> None:
    (tmp_path / "model.spk").write_text(MODEL, encoding="utf-8")
    seconds = f"{STEPS}ms"
    runs = []
    for partitions in (1, 2):
        made = spikec.compile(tmp_path / "model.spk", partitions, tmp_path / f"out{partitions}")
        runs.append(made.run(seconds, tmp_path / f"run{partitions}"))
    for done in runs:
        every_step = {"some": None, "decoded": done.probe("all"), "a.voltage": done.probe("voltages")}
        for (name, whole), every in zip(every_step.items(), (2.5, 1.9, 3.3), strict=True):
            steps = np.array(taken(every, STEPS))
            found = done.probe(name)
            np.testing.assert_array_equal(found["time"].values, steps * 1e-3)
            if whole is not None:
                np.testing.assert_array_equal(found.values, whole.values[steps - 1])
        np.testing.assert_allclose(
            done.probe("some").values[:, 0], np.array(taken(2.5, STEPS)) * 1e-3, rtol=1e-6
        )
        assert done.probe("never").shape == (0, 1)
    for name in runs[0].names:
        assert runs[0].probe(name).values.tobytes() == runs[1].probe(name).values.tobytes()


def test_a_run_that_goes_on_records_what_one_run_records(tmp_path: Path) -> None:
    (tmp_path / "model.spk").write_text(MODEL, encoding="utf-8")
    made = spikec.compile(tmp_path / "model.spk", 1, tmp_path / "out")
    whole = made.run("47ms", tmp_path / "whole")
    parts = [made.run("22ms", tmp_path / "first", save_state=tmp_path / "s.npz")]
    parts.append(made.run("25ms", tmp_path / "second", load_state=tmp_path / "s.npz"))
    for name in whole.names:
        for what in (lambda d: d.values, lambda d: d["time"].values):
            pieces = [what(part.probe(name)) for part in parts]
            np.testing.assert_array_equal(np.concatenate(pieces), what(whole.probe(name)))


@pytest.mark.parametrize(
    ("every", "hint"), [("0.3ms", "write 1ms for every step"), ("0ms", "write 1ms for every step")]
)
def test_less_than_a_step_is_refused(every: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "model.spk").write_text(f"input u(t) = t\nprobe u every {every}\n", encoding="utf-8")
    with pytest.raises(ModelError) as refused:
        spikec.compile(tmp_path / "model.spk", 1, tmp_path / "out")
    (found,) = refused.value.diagnostics
    assert found.message.startswith("the interval of a probe must be at least the step of 0.001 s")
    assert (found.span.line, found.span.column, found.hint) == (2, 15, hint)


NETWORK = """
import nengo, numpy as np
with nengo.Network(seed=1) as net:
    u = nengo.Node(lambda t: np.sin(9 * t))
    a = nengo.Ensemble(40, 1)
    nengo.Connection(u, a)
    first = nengo.Probe(a, synapse=0.01, sample_every=0.0025)
    second = nengo.Probe(u, sample_every=0.0015)
    third = nengo.Probe(a.neurons, "voltage", sample_every=0.0019)
    fourth = nengo.Probe(a.neurons, sample_every=0.0031)
"""


@pytest.mark.parametrize("dt", [0.001, 0.0007])
def test_networks_are_sampled_alike_by_all_ways(dt: float, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(NETWORK, encoding="utf-8")
    file = models.network(f"{tmp_path}/model.py:net")
    names = ("first", "second", "third", "fourth")
    step = f"{dt * 1000:g}ms"
    made = spikec.compile(f"{tmp_path}/model.py:net", 1, tmp_path / "out", dt=step)
    translate(file.network, tmp_path / "model.spk", file=file, dt=dt)
    said = spikec.compile(tmp_path / "model.spk", 1, tmp_path / "said", precision="float64")
    duration = f"{dt * 300:g}s"
    runs = [made.run(duration, tmp_path / "run"), said.run(duration, tmp_path / "run2")]
    with (
        Simulator(file.network, dt=dt, progress_bar=False) as ours,
        nengo.Simulator(file.network, dt=dt, progress_bar=False) as theirs,
    ):
        for sim in (ours, theirs):
            sim.run_steps(100)
            sim.run_steps(200)
        for name, probe in zip(names, file.network.probes, strict=True):
            times = theirs.trange(sample_every=probe.sample_every)
            np.testing.assert_allclose(ours.data[probe], theirs.data[probe], atol=1e-9)
            for done in runs:
                assert done.probe(name).values.tobytes() == ours.data[probe].tobytes()
                np.testing.assert_allclose(done.probe(name)["time"].values, times, rtol=1e-12)
