"""What `inspect` shows: the report of a plan, with and without a run, and the picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from partition_models import populations
from spike_runtime import manifest as mf
from spike_runtime.results import Run
from spike_runtime.runfile import RunFile, Times

from spikec import graph as g
from spikec.errors import ModelError
from spikec.planning import picture, plan, profile
from spikec.program import emit, layout
from spikec.views import draw, draw_place
from spikec.views.report import KINDS, report
from spikec.views.report_parts import short

REFERENCE = profile.load("reference")
SVG = "{http://www.w3.org/2000/svg}"


def _manifest(graph: g.Graph, n: int, folder: Path) -> mf.Manifest:
    made = plan.make_plan(graph, n, REFERENCE, "float32")
    emit.emit(graph, made.layouts, made.recorded, made.summary, made.costs, folder / "b", "test")
    return mf.load(folder / "b" / "manifest.json")


@pytest.fixture
def manifest(tmp_path: Path) -> mf.Manifest:
    return _manifest(populations(count=6, neurons=300, dims=2, spikes=True), 2, tmp_path)


def _run(manifest: mf.Manifest, times: tuple[Times, ...]) -> Run:
    about = RunFile(
        manifest.model,
        "manifest.json",
        "",
        1,
        1e-3,
        1000,
        "ring",
        ("value",),
        1,
        "complete",
        recorded=1000,
        times=times,
        recorder=2.5e-3,
    )
    return Run(Path("run"), about)


def test_partitions_add_up_to_the_model(manifest: mf.Manifest) -> None:
    made = report(manifest)
    assert sum(p.neurons for p in made.partitions) == made.neurons == 1800
    assert sum(p.atoms for p in made.partitions) == 12
    # The reference host has two cores, so that recording takes its time from the partitions.
    assert made.recording_predicted > 0.1
    slowest = max(p.predicted_total for p in made.partitions)
    assert made.step_predicted == pytest.approx(slowest + made.recording_predicted, abs=0.01)
    assert made.cut_bytes == sum(8 * w.words for w in manifest.wires) == manifest.plan["cut_bytes"] > 0
    assert made.balance >= 1.0


def test_predictions_are_those_of_the_costs(manifest: mf.Manifest) -> None:
    for shown, p in zip(report(manifest).partitions, manifest.partitions, strict=True):
        assert shown.predicted["neurons"] == pytest.approx(p.cost.compute["NeuronGroup"] / 1e3, abs=1e-3)
        assert shown.predicted["the exchange"] == pytest.approx(p.cost.exchange / 1e3, abs=1e-3)
        assert shown.predicted_total == pytest.approx(p.cost.total / 1e3, abs=0.01)


def test_the_slowest_is_named_with_reasons(manifest: mf.Manifest) -> None:
    made = report(manifest)
    longest = max(manifest.partitions, key=lambda p: p.cost.total)
    assert made.slowest == longest.index
    assert made.reasons[0].startswith("most of its time goes to ")
    assert "neurons" in made.reasons[1]
    assert ".x " in made.reasons[2]


def test_long_reasons_are_items_of_several_lines(manifest: mf.Manifest) -> None:
    text = replace(report(manifest), reasons=("word " * 40,), advice="").to_text()
    first, second = text.rpartition("is the slowest:\n")[2].splitlines()[:2]
    assert first.startswith("  - word word")
    assert second.startswith("    word word")


def test_text_fits_100_columns_and_says_everything(manifest: mf.Manifest) -> None:
    text = report(manifest).to_text()
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "populations: 1,800 neurons in 2 partitions, float32, step 1 ms" in text
    for heading in (
        "Partitions (us per step)",
        "by kind",
        "Wires",
        "Other numbers of partitions",
        "Balance",
        "Cut",
    ):
        assert heading in text
    assert "this plan" in text
    assert f"Partition {report(manifest).slowest} is the slowest" in text
    assert "reference " + REFERENCE.digest in text


def test_json_holds_the_same(manifest: mf.Manifest) -> None:
    made = report(manifest)
    body = json.loads(made.to_json())
    assert body["neurons"] == 1800
    assert [p["neurons"] for p in body["partitions"]] == [p.neurons for p in made.partitions]
    assert body["partitions"][0]["measured"] is None
    assert {w["bytes"] for w in body["wires"]} == {8 * w.words for w in manifest.wires}
    assert [p["partitions"] for p in body["predictions"]] == [1, 2, 4, 8]
    on_8 = body["predictions"][-1]["us_on_cores"]
    assert f"estimated, {on_8:.2f} us on 8 cores\n" in made.to_text()


def test_a_run_is_shown_beside_the_prediction(manifest: mf.Manifest) -> None:
    times = (Times(1000, 8e6, 1e6, 3e6, 0.5e6), Times(1000, 9e6, 1e6, 2e6, 0.25e6))
    made = report(manifest, _run(manifest, times))
    assert made.partitions[0].measured == {"compute": 8.0, "exchange": 1.0, "waiting": 3.0, "recording": 0.5}
    assert made.partitions[0].measured_work == 9.5
    assert made.step_measured == 12.5
    text = made.to_text()
    predicted = f"Recording: predicted {made.recording_predicted:.2f} us per step beside the partitions"
    assert f"{predicted}, measured 2.50 us." in text
    error = made.step_predicted / 12.5 - 1
    assert f"Step: predicted {made.step_predicted:.2f} us ({error:+.0%}), measured 12.50 us.  " in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_the_slowest_of_a_run_is_the_one_that_worked_longest(manifest: mf.Manifest) -> None:
    for slow in (0, 1):
        times = [Times(1000, 8e6, 1e6, 3e6, 0.5e6)] * 2
        times[slow] = Times(1000, 30e6, 1e6, 0.0, 0.5e6)
        made = report(manifest, _run(manifest, tuple(times)))
        assert made.slowest == slow
        assert made.reasons[0].startswith("it worked 31.5 us per step, ")
        assert made.reasons[1].startswith("most of its predicted time goes to ")


def test_a_prediction_that_a_run_has_shown_to_be_wrong_is_said_and_advises_nothing(
    manifest: mf.Manifest,
) -> None:
    advised = replace(manifest, plan=manifest.plan | {"advice": "use -n 1"})
    for factor in (0.4, 0.6, 1.9, 2.1, 77.0):
        us = factor * report(manifest).step_predicted
        made = report(advised, _run(manifest, (Times(1000, us * 1e6, 0.0, 0.0, 0.0),) * 2))
        text = " ".join(made.to_text().split())
        if 0.5 <= factor <= 2:
            assert "Advice: use -n 1" in text
            assert "as long as predicted" not in text
            assert "Measured times" not in text
        else:
            assert made.advice == ""
            assert "Advice" not in text
            assert f"A step took {made.ratio:.3g} times as long as predicted" in text
            assert "means of all 1,000 steps; the first take longer" in text
    assert "Advice: use -n 1" in report(advised).to_text()


@pytest.mark.parametrize(("displaced", "said"), [(9e9, True), (1e8, False)])
def test_a_run_beside_other_work_is_said_to_be_one(
    manifest: mf.Manifest, displaced: float, said: bool
) -> None:
    times = (Times(1000, 1e10, 0.0, 2e9, 0.0, displaced), Times(1000, 1e10, 0.0, 2e9, 0.0))
    text = " ".join(report(manifest, _run(manifest, times)).to_text().split())
    assert ("something else had the cores for 75% of the time: run again without it" in text) == said


def test_times_of_a_run_with_python_hold_its_first_calls(manifest: mf.Manifest) -> None:
    python = mf.Python("calls.pickle", "", (("the function f (m.py:3)",),), "")
    called = replace(
        manifest, partitions=(replace(manifest.partitions[0], python=python), manifest.partitions[1])
    )
    us = report(called).step_predicted
    made = report(called, _run(called, (Times(1000, us * 1e6, 0.0, 0.0, 0.0),) * 2))
    assert "Measured times are means of all 1,000 steps" in made.to_text()
    assert "Measured times" not in report(called).to_text()


def test_a_run_over_another_transport_is_marked(manifest: mf.Manifest) -> None:
    run = _run(manifest, (Times(1000, 8e6, 1e6, 3e6, 0.5e6),) * 2)
    assert "Note:" not in report(manifest, run).to_text()
    over = Run(run.path, replace(run.about, transport="ipc"))
    assert "predicted for transport ring, run over ipc" in " ".join(report(manifest, over).to_text().split())


def test_long_names_lose_their_middle() -> None:
    assert short("a" * 28) == "a" * 28
    assert short("a" * 20 + "b" * 20, 11) == "aaaaa…bbbbb"


def test_a_run_that_failed_leaves_the_plan(manifest: mf.Manifest) -> None:
    made = report(manifest, _run(manifest, ()))
    assert made.step_measured is None
    assert "Partitions (us per step)" in made.to_text()


def test_a_run_of_another_compilation_is_refused(manifest: mf.Manifest) -> None:
    with pytest.raises(ModelError, match="is of another compilation"):
        report(manifest, _run(manifest, (Times(10, 1, 1, 1, 1),) * 3))


def test_the_plan_names_rows_of_sums(manifest: mf.Manifest) -> None:
    for p in manifest.partitions:
        rows = manifest.plan["sums"][str(p.index)]
        length = next(a.shape[0] for a in p.arrays if a.name == "sums")
        assert sum(size for _, _, size in rows) == length
        assert [first for _, first, _ in rows] == [sum(s for _, _, s in rows[:k]) for k in range(len(rows))]


def test_the_plan_names_all_neurons_once(manifest: mf.Manifest) -> None:
    runs = [run for p in manifest.partitions for run in manifest.plan["atoms"][str(p.index)]]
    covered = sorted((path, n) for path, first, last in runs for n in range(first, last + 1))
    assert covered == sorted((f"e{k}", n) for k in range(6) for n in range(300))


def test_every_kind_of_stage_has_a_name_for_people() -> None:
    stages = {
        kind.__name__
        for kind in vars(layout).values()
        if isinstance(kind, type) and issubclass(kind, layout.Stage) and kind is not layout.Stage
    }
    assert stages <= set(KINDS)


# ---------------------------------------------------------------------------------------------- picture


def test_picture_shows_every_population_input_and_probe(manifest: mf.Manifest) -> None:
    nodes = manifest.plan["graph"]["nodes"]
    names = {kind: [n for n, k, *_ in nodes if k == kind] for kind in ("ensemble", "input", "probe")}
    assert names == {
        "ensemble": [f"e{k}" for k in range(6)],
        "input": ["stimulus"],
        "probe": ["value", "spikes"],
    }
    assert all(sum(shares.values()) == 300 for _, kind, _, shares in nodes if kind == "ensemble")


def test_picture_shows_what_leads_to_what(manifest: mf.Manifest) -> None:
    graph = manifest.plan["graph"]
    name = [n for n, *_ in graph["nodes"]]
    edges = {(name[s], name[t]) for s, t, _ in graph["edges"]}
    ring = {(f"e{k}", f"e{(k + 1) % 6}") for k in range(6)}
    assert edges == ring | {("stimulus", "e0"), ("e5", "value"), ("e0", "spikes")}


def test_picture_marks_what_crosses(manifest: mf.Manifest) -> None:
    graph = manifest.plan["graph"]
    shares = [set(s) for *_, s in graph["nodes"]]
    for s, t, crossing in graph["edges"]:
        if shares[s] and shares[t]:
            assert crossing == int(len(shares[s] | shares[t]) > 1)


@pytest.mark.parametrize("count", [200, 1000])
def test_many_populations_become_few_boxes(count: int) -> None:
    names = [f"area[{k}].layer[{i}].x" for k in range(count // 4) for i in range(4)]
    short = picture.shortened(names, 60)
    assert set(short) == set(names)
    assert len(set(short.values())) <= 60
    assert len({picture.shortened([f"e{k}" for k in range(count)], 10)[f"e{k}"] for k in range(count)}) <= 10


def test_few_names_are_left_alone_and_arrays_collapse() -> None:
    assert picture.shortened(["a", "b[0]"], 5) == {"a": "a", "b[0]": "b[0]"}
    short = picture.shortened(["a", *(f"b[{k}]" for k in range(50))], 5)
    assert set(short.values()) == {"a", "b[..]"}


def _parsed(manifest: mf.Manifest) -> ET.Element:
    return ET.fromstring(draw.svg(manifest))


def test_svg_is_well_formed_and_names_everything(manifest: mf.Manifest) -> None:
    texts = [t.text for t in _parsed(manifest).iter(f"{SVG}text")]
    assert {"e0", "e5", "stimulus", "value", "spikes"} <= set(texts)
    assert any(t.startswith("partition 1: ") for t in texts if t)
    assert len(list(_parsed(manifest).iter(f"{SVG}path"))) >= len(manifest.plan["graph"]["edges"])


def test_boxes_of_the_svg_do_not_overlap_and_are_inside(manifest: mf.Manifest) -> None:
    root = _parsed(manifest)
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    corners = [
        (float(r.get("x", "0")), float(r.get("y", "0")))
        for r in root.iter(f"{SVG}rect")
        if r.get("fill") == "none" and r.get("width") == str(draw.WIDTH)
    ]
    assert len(corners) == len(manifest.plan["graph"]["nodes"])
    for k, (x, y) in enumerate(corners):
        assert 0 <= x <= width - draw.WIDTH
        assert 0 <= y <= height - draw.HEIGHT
        for x2, y2 in corners[:k]:
            assert abs(x - x2) >= draw.WIDTH or abs(y - y2) >= draw.HEIGHT


def test_other_formats_are_refused(manifest: mf.Manifest, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError,
        match=r"cannot draw the plan to .*plan.png: it is drawn as SVG(.|\n)*end the name with .svg",
    ):
        draw.draw(manifest, tmp_path / "plan.png")
    assert not (tmp_path / "plan.png").exists()


def test_drawing_twice_gives_the_same_bytes(manifest: mf.Manifest, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw.draw(manifest, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_names_are_escaped(tmp_path: Path) -> None:
    graph = populations(count=2, neurons=10)
    probe = graph.op("value")
    graph.replace("value", g.Probe(size=probe.size, name="<a & b>"))
    assert "<a & b>" in [t.text for t in _parsed(_manifest(graph, 1, tmp_path)).iter(f"{SVG}text")]


def test_a_long_chain_fits_a_page() -> None:
    edges = [(k, k + 1) for k in range(49)]
    spots = draw_place.arrange(["input", *["ensemble"] * 48, "probe"], edges)
    assert len({(s.column, s.row) for s in spots}) == 50
    assert max(s.column for s in spots) <= 12
    assert spots[0].column == 0
    assert spots[49].column == max(s.column for s in spots)


def test_many_partitions_have_colours_of_their_own() -> None:
    assert len({draw.colour(k) for k in range(32)}) == 32
