"""The cost model: host profiles, costs of atoms and partitions, what calibration counts."""

from __future__ import annotations

import gc
import json
import os
import weakref
from dataclasses import replace
from pathlib import Path

import inprocess
import numpy as np
import pytest
from partition_models import populations
from spike_runtime import (
    calibrate,
    calibrate_neurons,
    calibrate_program,
    calibrate_recording,
    calibrate_stages,
    calibrate_timing,
)
from spike_runtime.job import deal
from spike_runtime.manifest import Cost
from spike_runtime.ops import simd

from spikec import graph as g
from spikec.errors import ModelError
from spikec.frontend import loads
from spikec.planning import activity, cost, memory, plan, profile, recording
from spikec.program.schedule import Assignment, schedule

REFERENCE = profile.load("reference")
SHIPPED = Path(profile.__file__).parent / "reference_profile.json"


def test_reference_profile_knows_every_kind_of_neuron() -> None:
    for kernels in REFERENCE.kernels.values():
        assert set(kernels.neurons) == set(calibrate_neurons.KINDS)


def test_calibration_measures_the_costs_that_the_model_uses() -> None:
    measured = set(calibrate_program.features(calibrate_program.SMALL, "float32")) | {"step"}
    assert measured == set(profile.STAGE_COSTS)
    assert set(calibrate_neurons.Shape(10).features(1, "float32")) == set(profile.NEURON_COSTS)
    assert cost.VECTOR == simd.BYTES
    assert (memory.HELD, memory.LINE) == (calibrate_neurons.HELD, calibrate_neurons.LINE)


def test_calibration_measures_what_recording_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate_recording, "REPEATS", 1)
    costs = calibrate_recording.measure()
    assert set(costs) == set(profile.RECORDING_COSTS)
    assert min(costs.values()) >= 0
    assert costs["event"] > 0


def test_recording_costs_samples_numbers_and_expected_spikes() -> None:
    graph = populations(count=2, neurons=300, dims=3, spikes=True)
    # The value is recorded by one partition at every step; spikes are those of a population at rest.
    rates = sum(activity.expected_spikes(op, graph.dt) for name, op in graph.nodes(g.Atom) if "e0" in name)
    assert 1 < rates < 300 * 0.4
    costs = REFERENCE.recording
    expected = costs["sample"] + 3 * costs["number"] + rates * costs["event"]
    for partitions in (1, 2):
        made = plan.make_plan(graph, partitions, REFERENCE, "float32")
        assert made.recording == pytest.approx(expected)
        assert made.summary()["recording_us"] == pytest.approx(expected / 1e3, abs=5e-4)
    graph.replace("value", replace(graph.op("value"), every=5))
    made = plan.make_plan(graph, 1, REFERENCE, "float32")
    assert made.recording == pytest.approx(expected - 0.8 * (costs["sample"] + 3 * costs["number"]))


def test_recording_has_a_core_of_its_own_or_takes_theirs() -> None:
    assert recording.beside(5000.0, 2000.0, 1, 2) == 5000.0
    assert recording.beside(5000.0, 8000.0, 1, 2) == 8000.0
    assert recording.beside(5000.0, 2000.0, 2, 2) == 7000.0
    assert recording.beside(5000.0, 2000.0, 8, 2) == 6000.0


def test_arrays_of_the_measured_program_have_the_sizes_asked_for() -> None:
    size = calibrate_program.SMALL | {"decoded": 40, "linear_row": 12, "linear_entry": 384}
    constant, state = calibrate_program.arrays(size, "float32")
    assert len(constant["rows"]) == 40
    # And a panel of a dense matrix.
    assert constant["panels"][:, 0].tolist() == [2] * 12 + [calibrate_program.RUN]
    assert len(constant["terms"]) == 384
    assert len(constant["values"]) == 384 + 16 * calibrate_program.RUN
    assert state["value"].dtype == np.float32


def test_what_python_does_around_a_measured_program_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of its arrays is made once for each size, not in the calls that are timed."""
    made, steps = [], []

    def loop(*given: int) -> int:
        steps.append(given[1])
        return given[1]

    monkeypatch.setattr(calibrate_stages, "compile_loop", lambda *_: (loop, []))
    monkeypatch.setattr(calibrate_stages, "pack", lambda arrays: made.append(arrays) or np.zeros(1, np.int64))
    loop_of = calibrate_stages._loop("float32", calibrate_program.ALL)
    calibrate_timing.Stopwatch().fastest(
        [calibrate_stages._steps(loop_of, calibrate_program.SMALL, "float32")], 2 * calibrate_timing.TRIES
    )
    assert len(made) == 1
    assert len(steps) >= 2 * calibrate_timing.TRIES


def test_the_measured_program_runs_with_stages_of_any_size() -> None:
    small, large = (
        calibrate_program.SMALL,
        calibrate_program.SMALL | {"decoded": 50, "record": 30, "events": 20},
    )
    loop = calibrate_stages._loop("float32", calibrate_program.ALL)
    for size in (small, large):
        constant, state = calibrate_program.arrays(size, "float32")
        assert loop(constant, state)(20) == 20
        assert np.abs(state["recorded"]).max() > 0.0


def test_a_measured_program_holds_its_arrays() -> None:
    """Its table has their addresses alone."""
    loop = calibrate_stages._loop("float32", calibrate_program.LEAST)
    constant, state = calibrate_program.arrays(calibrate_program.SMALL, "float32")
    run, atoms, sums = loop(constant, state), weakref.ref(constant["atoms"]), weakref.ref(state["sums"])
    del constant, state
    gc.collect()
    assert atoms() is not None
    assert sums() is not None
    assert run(20) == 20


def test_cost_of_an_atom_is_the_sum_of_its_parts() -> None:
    graph = populations(count=1, neurons=100, dims=2)
    atom = graph.op("e0#0")
    c = REFERENCE.kernels["float32"].neurons["lif"]
    # Seven vectors of sixteen neurons.
    expected = c["atom"] + 112 * (c["neuron"] + 2 * c["dimension"] + 2 * c["row"])
    expected += 2 * c["input"] + 2 * c["sum"]
    assert cost.atom_cost(atom, graph, REFERENCE, "float32") == pytest.approx(expected)


def test_more_dimensions_neurons_and_precision_cost_more() -> None:
    def ns(neurons: int, dims: int, dtype: str) -> float:
        graph = populations(count=1, neurons=neurons, dims=dims)
        return cost.atom_cost(graph.op("e0#0"), graph, REFERENCE, dtype)

    assert ns(50, 1, "float32") < ns(100, 1, "float32") < ns(100, 8, "float32") < ns(100, 8, "float64")


def test_gathered_decoders_cost_by_the_spikes_at_rest() -> None:
    graph = populations(count=1, neurons=200, dims=16)
    atom = graph.op("e0#0")
    numbers = atom.numbers.copy()
    numbers[16] = -1.0  # the bias, after the encoders
    silent = replace(atom, numbers=numbers)
    c = REFERENCE.kernels["float32"].neurons["lif"]
    spikes = atom.neurons.neuron.rates(atom.bias).sum() * graph.dt
    difference = cost.atom_cost(atom, graph, REFERENCE, "float32") - cost.atom_cost(
        silent, graph, REFERENCE, "float32"
    )
    assert spikes > 5
    assert difference == pytest.approx(spikes * 16 * c["gathered"])


def test_cost_of_a_partition_counts_its_atoms_and_wires() -> None:
    graph = populations(count=4, neurons=100, dims=2)
    made = plan.make_plan(graph, 2, REFERENCE, "float32")
    for layout, predicted in zip(made.layouts, made.costs, strict=True):
        atoms = [n for n, p in made.assignment.atoms.items() if p == layout.partition]
        neurons = sum(cost.atom_cost(graph.op(n), graph, REFERENCE, "float32") for n in atoms)
        call = cost.IN_PLACE * REFERENCE.kernels["float32"].stages["op"]
        assert predicted.compute["NeuronGroup"] == pytest.approx(neurons + call, abs=0.1)
        assert predicted.exchange > 0
        assert predicted.total == pytest.approx(sum(predicted.compute.values()) + predicted.exchange)


def test_one_partition_exchanges_nothing() -> None:
    made = plan.make_plan(populations(count=2, neurons=50), 1, REFERENCE, "float64")
    assert made.costs[0].exchange == 0.0
    assert made.summary()["cut_bytes"] == 0


def test_slower_wires_cost_more() -> None:
    graph = populations(count=2, neurons=100)
    ring, ipc = (plan.make_plan(graph, 2, REFERENCE, "float32", t).costs[0].exchange for t in ("ring", "ipc"))
    assert ipc > 5 * ring > 0


@pytest.mark.parametrize(("size", "part"), [(0, 0.0), (1.8e6, 0.0), (2e6, 0.1), (3.6e6, 0.5), (1.8e9, 0.999)])
def test_part_outside_the_cache(size: float, part: float) -> None:
    assert memory.missing(size, 2e6) == pytest.approx(part)


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        ("x[0]", (0, 0)),
        ("(x[0] * x[1])", (1, 0)),
        ("pt.sin((6.28 * t))", (1, 1)),
        ("(x[0] ** 2.0)", (1, 0)),
        ("(x[0] ** 0.5)", (0, 1)),
        ("pt.switch(pt.lt(t, 1.0), pt.exp((-t)), 0.0)", (3, 1)),
    ],
)
def test_operations_of_an_expression(source: str, counts: tuple[int, int]) -> None:
    assert cost.operations(source) == counts


def test_partitions_beyond_the_cores_share_them() -> None:
    wires = {
        "ring": {"latency": 3.0, "message": 0.5, "word": 0.0},
        "tcp": {"latency": 50.0, "message": 9.0, "word": 0.0},
    }
    host = replace(REFERENCE, cores=2, wires=wires)
    costs = [Cost({"NeuronGroup": 10.0 * k}, 4.0) for k in range(1, 6)]
    assert cost.step_time(costs[:2], host, "ring") == 20 + 4
    # One process has partitions 0 and 1, the other one 2, 3 and 4, which wait for messages only together.
    assert cost.step_time(costs, host, "ring") == 30 + 40 + 50 + 3 * (4 - 3) + 3
    # Five processes share the cores.
    assert cost.step_time(costs, host, "tcp") == (150 + 5 * 4 + 5 * 50) / 2


def test_the_plan_deals_partitions_to_processes_as_the_runtime_does() -> None:
    host = replace(REFERENCE, cores=3, wires={"ring": {"latency": 0.0, "message": 0.0, "word": 0.0}})
    for count in range(4, 12):
        costs = [Cost({"NeuronGroup": float(k * k % 7)}, 0.0) for k in range(count)]
        shares = deal(tuple(range(count)), 3)
        assert cost.step_time(costs, host, "ring") == max(sum(costs[p].total for p in s) for s in shares)


# ------------------------------------------------------------------------------------------ bad profiles


def _edited(tmp_path: Path, change: dict[str, object]) -> Path:
    body = json.loads(SHIPPED.read_text(encoding="utf-8"))
    for place, value in change.items():
        *parents, last = place.split("/")
        entry = body
        for name in parents:
            entry = entry[name]
        if value is None:
            del entry[last]
        else:
            entry[last] = value
    path = tmp_path / "host.json"
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "its schema is 99, this version reads schema 10"),
        ({"kernels/float32/neurons/lif/neuron": None}, "kernels.float32.neurons.lif.neuron is missing"),
        ({"kernels/float32/stages/op": "fast"}, "kernels.float32.stages.op is 'fast', not a number"),
        ({"kernels/float64/far": -1}, "kernels.float64.far is not a list of [bytes, ns per byte, "),
        ({"kernels/float64/far": [[1e6, -1, 0]]}, "kernels.float64.far[0] is -1, less than 0"),
        ({"kernels/float64/far": [[2e6, 1, 0], [1e6, 1, 0]]}, "kernels.float64.far has no sizes that ascend"),
        ({"kernels/float64": None}, "kernels.float64 is missing"),
        ({"wires/ring": None}, "wires.ring is missing"),
        ({"recording": None}, "recording is missing"),
        ({"recording/event": None}, "recording.event is missing"),
        ({"wires/ring/word": float("nan")}, "wires.ring.word is nan, not a number"),
        ({"cores": 0}, "cores is 0, less than 1"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_place(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError) as error:
        profile.load(_edited(tmp_path, change))
    assert message in str(error.value)
    assert "python -m spike_runtime.calibrate --output FILE" in str(error.value)


def test_a_profile_that_is_missing_or_not_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read the host profile .*none.json: No such file"):
        profile.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"bad.json is not a host profile"):
        profile.load(tmp_path / "bad.json")


def test_what_a_call_from_python_takes_is_no_cost_of_neurons(monkeypatch: pytest.MonkeyPatch) -> None:
    class Atoms(int):
        def __call__(self, repetitions: int) -> None:
            """Steps of so many atoms, which take no time here."""

    monkeypatch.setattr(calibrate_neurons, "_steps", lambda *given: Atoms(given[-1]))

    class Watch:
        def fastest(self, calls: list[int], **_: int) -> list[float]:
            return [2700.0 + 50.0 * n for n in calls]

    shape = calibrate_neurons.Shape(128)
    costs = calibrate_neurons._fitted("lif", "float32", (shape,), {}, Watch())
    atoms = round(calibrate_neurons.CACHED_BYTES / shape.bytes(4))
    predicted = sum(costs[name] * count for name, count in shape.features(atoms, "float32").items())
    assert predicted == pytest.approx(50.0 * atoms)


def test_one_vector_alone_is_not_joined() -> None:
    def ns(text: str) -> float:
        graph = inprocess.prepared(loads(text))
        atoms = {name: 0 for name, _ in graph.nodes(g.Atom)}
        probes = {name: 0 for name, _ in graph.nodes(g.Probe)}
        (layout,), _ = schedule(graph, Assignment(1, atoms, probes), "float32")
        return cost.layout_cost(layout, REFERENCE).compute.get("Join", 0.0)

    stages = REFERENCE.kernels["float32"].stages
    loop = "ensemble a(100)\nconnect a -> a synapse 10ms\nprobe a synapse 10ms"
    assert ns(loop) == 0.0
    # Of the input and the synapse, which the first level needs in one vector.
    both = loop + "\ninput u(t) = sin(t)\nconnect u -> a synapse none"
    assert ns(both) == pytest.approx(stages["op"] + stages["join"] * (2 + 2), abs=0.2)


def test_arrays_beyond_the_cache_cost_what_their_size_was_measured_to_cost() -> None:
    kernels = replace(REFERENCE.kernels["float32"], far=((6e6, 0.01, 0.0), (24e6, 0.04, 0.2)))
    costs = [kernels.outside(size) for size in (1e6, 6e6, 15e6, 24e6, 1e9)]
    assert np.ravel(costs) == pytest.approx([0.01, 0, 0.01, 0, 0.025, 0.1, 0.04, 0.2, 0.04, 0.2])


@pytest.mark.parametrize(("dims", "side_by_side"), [(1, 0), (4, 3 + 3)])
def test_rows_side_by_side_cost_more_beyond_the_cache(dims: int, side_by_side: int) -> None:
    made = plan.make_plan(populations(count=2, neurons=200, dims=dims), 1, REFERENCE, "float32")
    walked, kernels = memory.walk(made.layouts), REFERENCE.kernels["float32"]
    assert walked.rows == 2 * 200 * side_by_side * 4
    assert walked.bytes > 2 * 200 * (2 * dims + 2) * 4
    assert walked.bytes == walked.size
    far = replace(kernels, far=((1e3, 0.5, 0.25),))
    part = 1 - 0.9 * 2e3 / walked.size
    assert walked.far(far, 2e3) == pytest.approx(part * (0.5 * walked.bytes + 0.25 * walked.rows))
    assert walked.far(far, 1e9) == 0.0


def test_of_gathered_decoders_whole_lines_are_read() -> None:
    graph = populations(count=1, neurons=200, dims=8)
    walked = memory.walk(plan.make_plan(graph, 1, REFERENCE, "float32").layouts)
    spikes = activity.expected_spikes(graph.op("e0#0"), graph.dt)
    assert spikes > 5
    assert walked.rows == pytest.approx(200 * 7 * 4 + 64 * spikes)
    assert walked.size - walked.bytes == pytest.approx(200 * 8 * 4 - 64 * spikes)


def test_calibration_counts_bytes_as_the_cost_model_does() -> None:
    for dims in (1, 3, 8):
        graph = populations(count=1, neurons=256, dims=dims)
        walked = memory.walk(plan.make_plan(graph, 1, REFERENCE, "float32").layouts)
        rate = activity.expected_spikes(graph.op("e0#0"), graph.dt) / (256 * graph.dt)
        shape = calibrate_neurons.Shape(256, dims, dims, rate, gather=dims == 8).walk(4)
        assert shape["row"] == pytest.approx(walked.rows)
        assert shape["byte"] == pytest.approx(walked.bytes, rel=0.06)  # tables come on top


def test_a_last_vector_that_is_none_costs_more() -> None:
    kernels = REFERENCE.kernels["float32"]
    dear = {"lif": dict(kernels.neurons["lif"]) | {"rest": 100.0}}
    host = replace(REFERENCE, kernels={"float32": replace(kernels, neurons=dear)})

    def more(neurons: int) -> float:
        graph = populations(count=1, neurons=neurons, dims=2)
        ns = [cost.atom_cost(graph.op("e0#0"), graph, h, "float32") for h in (REFERENCE, host)]
        return ns[1] - ns[0]

    assert more(96) == 0.0
    assert more(100) == pytest.approx(100.0)
    assert calibrate_neurons.Shape(96).features(3, "float32")["rest"] == 0
    assert calibrate_neurons.Shape(100).features(3, "float32")["rest"] == 3


@pytest.mark.parametrize(
    ("option", "known"), [("--kinds", "lif, adaptive_lif"), ("--wires", "ring, ipc, tcp")]
)
def test_unknown_names_to_measure_are_refused_and_nothing_is_written(
    option: str,
    known: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.environ", {**os.environ})  # it has libraries use one thread
    with pytest.raises(SystemExit) as ended:
        calibrate.main(["--output", str(tmp_path / "made.json"), option, "nonsense"])
    assert ended.value.code == 2
    assert f"{option}: there is no 'nonsense'; choose from {known}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
