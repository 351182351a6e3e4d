"""Connections that learn: what they become on the graph, how they are named, and what cannot learn."""

from __future__ import annotations

from pathlib import Path

import inprocess
import numpy as np
import pytest
from language_helpers import mistakes

from spikec import graph as g
from spikec import plasticity as pl
from spikec.frontend import loads
from spikec.language.format import format_text
from spikec.nef.build import build
from spikec.passes.drop import drop
from spikec.program import layout as la
from spikec.program.schedule import Assignment, schedule
from spikec.program.state_names import resolved
from spikec.verify import verify

TWO = "ensemble a(50, dims=2)\nensemble b(60)\nprobe b synapse 10ms\n"


def test_a_rule_reads_what_its_name_is_told() -> None:
    # The connection to the rule stands before the one that it names.
    text = TWO + "connect b -> c.pes transform 2\nconnect a -> b via x[0] learning pes as c"
    graph = verify(loads(text, "m.spk"))
    weights = graph.op("c.weights")
    assert isinstance(weights, pl.Weights)
    assert (weights.size, weights.columns) == (1, 50)
    (rule,) = weights.rules
    assert isinstance(rule, pl.PES)
    assert (rule.rate, rule.filtered) == (1e-4, ("pre",))
    assert graph.inputs("c.weights", "error.0") == ["c.pes"]
    (told,) = graph.inputs("c.pes")
    np.testing.assert_array_equal(graph.op(told).matrix, [[2.0]])
    assert pl.late(graph, "a->b.learned")


def test_weights_begin_as_the_function_says() -> None:
    text = TWO + "connect a -> b via [x[0], x[1]] transform [[2, 3]] learning pes as c\nprobe c.weights"
    text += "\nconnect a -> b via [x[0], x[1]]  transform [[1, 0]]"
    built = build(loads(text, "m.spk"))
    decoders = built.op("a->b#2.decode").matrix
    np.testing.assert_allclose(built.op("c.weights").initial, [[2.0, 3.0]] @ decoders, rtol=1e-12)
    assert built.op("probe c.weights").size == 50


def test_rls_is_told_an_error_for_each_row_of_its_weights() -> None:
    """To neurons, to those of an array, and to those of an ensemble that nothing else reads."""
    text = (
        TWO + "array d(20, count=2)\nensemble e(25, dims=2)\nensemble f(30)\n"
        "connect a -> d.neurons transform ones(40, 2) learning rls as c\n"
        "connect a -> e[0] via x[0] solver lstsq_l2(weights=true) learning rls as w\n"
        "connect a -> f via x[0] solver lstsq_l2(weights=true) learning rls as unnamed\n"
        "connect b -> c.rls transform ones(40, 1)\nconnect b -> w.rls transform ones(25, 1)\n"
        "probe c.weights\nprobe w.rls.inv_gamma\nprobe w.weights\nprobe unnamed.weights"
    )
    graph = build(drop(verify(loads(text, "m.spk"))))
    verify(graph)
    for name, rows in (("c", 40), ("w", 25), ("unnamed", 30)):
        (error,) = graph.inputs(f"{name}.weights", "error.0")
        assert graph.op(error).size == graph.op(f"{name}.weights").size == rows
    found = inprocess.run(loads(text, "m.spk"), 1, "float64", 20)
    assert found["w.rls.inv_gamma"].shape == (20, 50 * 50)
    for name in ("c", "w"):
        weights = found[f"{name}.weights"]
        assert np.abs(weights[-1] - weights[0]).max() > 0


def test_voja_takes_the_place_of_the_encoders() -> None:
    text = (
        TWO
        + "connect a -> b via x[0] learning voja(rate=0.1) as c\n"
        + "connect a -> b via x[1] learning voja as d"
    )
    built = verify(build(loads(text, "m.spk")))
    weights, neurons = built.op("b.encoders"), built.op("b")
    assert [rule.rate for rule in weights.rules] == [0.1, 0.01]
    np.testing.assert_array_equal(weights.initial, neurons.scaled_encoders)
    np.testing.assert_array_equal(weights.rules[1].scale, neurons.gain / neurons.radius)
    # The current is that of the learned encoders alone.
    assert built.inputs("b", "x") == []
    (current,) = built.inputs("b", "J")
    assert resolved(built, current) == "b.encoded"
    assert [s for s in built.inputs("b.encoders", "learning.1")] == ["d.voja"]


def test_currents_are_added_to_those_of_learned_encoders() -> None:
    text = (
        TWO
        + "connect a -> b via x[0] learning voja\ninput u = 1\n"
        + "connect u -> b.neurons transform ones(60, 1)"
    )
    built = verify(build(loads(text, "m.spk")))
    (total,) = built.inputs("b", "J")
    assert isinstance(built.op(total), g.Sum)
    assert [resolved(built, term) for term in built.inputs(total)] == ["b.encoded", "b.neurons.current"]


def test_names_and_rules_are_kept_by_the_formatter() -> None:
    text = "connect a->b   via 0 learning [pes( rate=1e-3 ),voja] as  c[2]\n"
    assert format_text(text, "m.spk") == "connect a -> b via 0 learning [pes(rate=1e-3), voja] as c[2]\n"


def test_named_connections_of_modules_and_loops() -> None:
    text = """
    module m() { ensemble x(20); connect x -> x learning pes as c; port in; connect in -> c.pes }
    use m() as one
    for i in 0..2 { ensemble e[i](20); connect e[i] -> one.x learning pes as l[i]; connect one.x -> l[i].pes }
    probe one.c.weights
    probe l[1].weights
    """
    graph = verify(loads(text, "m.spk"))
    assert {"one.c.pes", "l[0].pes", "l[1].pes"} <= set(graph)
    assert {op.name for _, op in graph.nodes(g.Probe)} == {"one.c.weights", "l[1].weights"}


KEPT = """
input one = 1
connect a -> b via 0 SOLVER learning pes(rate=1e-3) as c
connect one -> c.pes
probe c.weights
"""
C = "connect a -> b via x[0] learning "
N = "connect a.neurons -> b.neurons transform ones(60, 50) learning "


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (C + "vojo", (4, 34, "unknown learning rule 'vojo'", "did you mean 'voja'?")),
        (C + "uniform(0, 1)", (4, 34, "uniform is not a learning rule",
                              "known names: bcm, oja, pes, rls, voja")),
        (C + "[]", (4, 34, "there is no rule", "write learning pes(rate=1e-4)")),
        (C + "pes(rate=-1)", (4, 43, "rate of pes must be at least 0, not -1", "write a larger number")),
        (
            C + "pes(pre_synapse=5)",
            (4, 50, "the time constant of a synapse must be a time, not the plain number 5",
             "write 5s or 5ms"),
        ),
        (
            C + "oja",
            (4, 34, "oja changes weights from neurons to neurons",
             "connect a.neurons -> b.neurons with a matrix, or add solver lstsq_l2(weights=true)"),
        ),
        (
            "connect a.neurons -> a.neurons learning pes",
            (4, 41, "pes changes a matrix of weights, which a connection from neurons does not have",
             "give it one: transform zeros(50, 50)"),
        ),
        (
            "input u = 1\nconnect u -> b learning pes",
            (5, 25, "pes learns from the neurons of one ensemble; 'u' is not one",
             "connect from an ensemble with neurons; of an array, write a connection for each element"),
        ),
        (
            "relay r\nconnect a -> r via x[0] learning voja",
            (5, 34, "voja changes the encoders of an ensemble; 'r' has none",
             "connect to one ensemble with neurons"),
        ),
        (C + "pes as c\nconnect b -> c", (5, 14, "'c' is a connection",
                     "name a part of it: c.pes")),
        (
            N + "oja as c\nconnect c.oja -> b",
            (5, 10, "'c.oja' is told nothing", "record what it learned: probe c.weights"),
        ),
        (
            C + "pes as c\nconnect b -> c.weights",
            (5, 15, "'c.weights' cannot be connected to", "record what it learned: probe c.weights"),
        ),
        (
            C + "pes as c\nconnect a -> c.output",
            (5, 15, "c.output cannot be connected to", "connect to the target itself"),
        ),
        (C + "pes as c\nprobe c.weigths", (5, 8, "'c' has no part 'weigths'", "did you mean 'weights'?")),
        (
            C + "pes as c\nprobe c.pes.inv_gamma",
            (5, 12, "'c.pes' has no part 'inv_gamma'", "known names: delta, input"),
        ),
        (
            C + "pes as c\nconnect c.pes.delta -> b",
            (5, 9, "'c.pes.delta' cannot be connected from", "connect from a value or from .neurons"),
        ),
        (
            C + "pes as c\nprobe c.weights via x^2",
            (5, 17, "weights have no function", "leave `via` out"),
        ),
        (N + "bcm as c\nconnect b -> c.bcm", (5, 15, "'c.bcm' is told nothing",
                                               "bcm follows activities only")),
        (
            "connect a -> b via x[0] as c",
            (4, 1, "only a connection that learns has a name",
             "add learning pes(rate=1e-4), or leave `as` out"),
        ),
        (
            C + "pes as a",
            (4, 41, "the name 'a' is declared twice", "give one of them another name"),
        ),
    ],
)  # fmt: skip
def test_mistakes(text: str, mistake: tuple[int, int, str, str]) -> None:
    assert mistakes(TWO + text) == [mistake]


CHANGES = """
input u(t) = [sin(20*t), 0.5]
ensemble a(300, dims=2)
ensemble b(20, dims=2)
connect u -> a
connect u -> b learning voja(rate=0.1) as v
connect a -> b learning [pes(rate=1e-3), rls(rate=1e-2)] as c
connect a.neurons -> b.neurons transform gaussian(0, 0.0005) learning [oja(rate=1e-6), bcm] as n
ensemble apart(300)
connect a[0] -> apart
connect apart -> b[1]
probe apart synapse 5ms
connect u -> c.pes
connect u -> c.rls
probe v.encoders
probe c.weights
probe n.weights
probe v.voja.delta
probe c.pes.delta
probe c.pes.delta[[5, 2]] as part
probe c.rls.delta
probe n.oja.delta
probe n.bcm.delta
probe c.rls.inv_gamma
probe c.rls.delta synapse 3ms as filtered
probe c.rls.inv_gamma synapse 3ms as filtered_inverse
"""


@pytest.mark.parametrize("partitions", [1, 2])
def test_what_rules_change_in_a_step_is_recorded(partitions: int) -> None:
    """Weights change by it in the next step; a synapse has seen the steps before."""
    graph = inprocess.prepared(loads(CHANGES))
    deal = inprocess.grouped(graph, partitions)
    assert {*deal.atoms.values()} == {*range(partitions)}
    found = inprocess.run_assigned(graph, deal, "float64", 40)
    for weights, rules in {"v.encoders": ["v.voja"], "c.weights": ["c.pes", "c.rls"],
                           "n.weights": ["n.oja", "n.bcm"]}.items():  # fmt: skip
        changed = sum(found[f"{rule}.delta"][:-1] for rule in rules)
        np.testing.assert_allclose(np.diff(found[weights], axis=0), changed, rtol=1e-6, atol=1e-14)
        assert all(found[f"{rule}.delta"].any() for rule in rules)
    np.testing.assert_array_equal(found["part"], found["c.pes.delta"][:, [5, 2]])
    inverse = found["c.rls.inv_gamma"].reshape(-1, 300, 300)
    np.testing.assert_allclose(inverse, inverse.transpose(0, 2, 1), rtol=1e-9, atol=1e-18)
    first = np.eye(300).ravel() * 1e-2 * 0.001 / 300
    rest = np.exp(-1 / 3)
    for name, start, values in (("filtered", 0, found["c.rls.delta"]),
                                ("filtered_inverse", first, found["c.rls.inv_gamma"])):  # fmt: skip
        value = np.zeros_like(values[0])
        for n in range(1, 40):
            value = rest * value + (1 - rest) * (values[n - 2] if n > 1 else start)
            np.testing.assert_allclose(found[name][n], value, rtol=1e-9, atol=1e-16)
    alone = inprocess.run_split(graph, 1, "float64", 40)
    assert all(values.tobytes() == alone[name].tobytes() for name, values in found.items())


def test_sizes_of_errors_are_checked() -> None:
    (found,) = mistakes(TWO + C + "pes as c\nconnect a -> c.pes")
    assert found[:3] == (5, 1, "'a' has 2 dimensions, but 'c.pes' takes 1")


FILTERED = """
input u(t) = [sin(20*t), 0.5]
ensemble a(300, dims=2)
ensemble b(20, dims=2)
connect u -> a
connect u -> b learning voja(rate=0.1) as v
connect a -> b learning pes(rate=1e-3) as c
connect u -> c.pes
probe c.weights as all
probe c.weights synapse 3ms as filtered
probe c.weights synapse 3ms every 2.5ms as some
probe c.weights[[597, 3, 597]] as part
probe c.weights[4:6] synapse 3ms as filtered_part
probe v.encoders as encoders
probe v.encoders[1::2] synapse 3ms as filtered_encoders
"""


@pytest.mark.parametrize("partitions", [1, 2])
def test_weights_are_recorded_through_synapses_and_in_parts(partitions: int) -> None:
    graph = inprocess.prepared(loads(FILTERED))
    found = inprocess.run_split(graph, partitions, "float64", 40)

    def filtered(weights: np.ndarray) -> np.ndarray:
        """What a lowpass filter of 3 ms gives: at step n it has seen the steps before."""
        rest, value = np.exp(-1 / 3), np.zeros_like(weights)
        for n in range(1, len(weights)):
            value[n] = rest * value[n - 1] + (1 - rest) * weights[n - 1]
        return value

    assert np.ptp(found["all"], axis=0).max() > 0
    np.testing.assert_allclose(found["filtered"], filtered(found["all"]), rtol=1e-9, atol=1e-15)
    steps = [n for n in range(1, 41) if n % 2.5 < 1]
    np.testing.assert_array_equal(found["some"], found["filtered"][np.array(steps) - 1])
    np.testing.assert_array_equal(found["part"], found["all"][:, [597, 3, 597]])
    np.testing.assert_array_equal(found["filtered_part"], found["filtered"][:, 4:6])
    encoders = filtered(found["encoders"])[:, 1::2]
    np.testing.assert_allclose(found["filtered_encoders"], encoders, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("partitions", [1, 2])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_synapses_of_weights_that_are_only_recorded_make_no_signals(partitions: int, precision: str) -> None:
    """The same numbers as where something else reads them too, to rounding."""
    alone = "\n".join(line for line in FILTERED.splitlines() if "part" not in line and "[1::2]" not in line)
    alone += "\nprobe v.encoders synapse 3ms as filtered_encoders"
    graph = inprocess.prepared(loads(alone))
    atoms = {name: k % partitions for k, (name, _) in enumerate(graph.nodes(g.Atom))}
    probes = {name: k % partitions for k, (name, _) in enumerate(graph.nodes(g.Probe))}
    layouts, _ = schedule(graph, Assignment(partitions, atoms, probes), precision)
    traces = [stage for layout in layouts for stage in layout.stages if isinstance(stage, la.Traces)]
    assert sum(stage.state["value"].size for stage in traces) >= 600 + 40
    products = [layout.late_products for layout in layouts if layout.late_products]
    assert all((product.arrays["table"][:, 1] > 1).all() for product in products)
    found = inprocess.run_split(graph, partitions, precision, 40)
    read = inprocess.run_split(inprocess.prepared(loads(FILTERED)), partitions, precision, 40)
    close = {"rtol": 1e-9, "atol": 1e-15} if precision == "float64" else {"rtol": 1e-4, "atol": 1e-9}
    for name in ("filtered", "some"):
        assert np.ptp(found[name], axis=0).max() > 0
        np.testing.assert_allclose(found[name], read[name], **close)
    np.testing.assert_allclose(found["filtered_encoders"][:, 1::2], read["filtered_encoders"], **close)


def test_what_was_learned_is_kept_by_a_file(tmp_path: Path) -> None:
    run = inprocess.run(loads(TWO + KEPT.replace("SOLVER", ""), "m.spk"), 1, "float64", 50)
    weights = run["c.weights"][-1].reshape(1, 50)
    assert np.abs(weights).max() > 0
    np.save(tmp_path / "learned.npy", weights.T)
    kept = TWO + KEPT.replace("SOLVER", 'solver no_solver(load("learned.npy"))')
    again = inprocess.run(loads(kept, "m.spk", tmp_path), 1, "float64", 1)
    np.testing.assert_array_equal(again["c.weights"][0], weights[0])
