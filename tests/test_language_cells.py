"""Populations in the language: what they become, and what each mistake says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from language_helpers import mistakes

from spikec import projections as pj
from spikec.frontend import loads

P = "dt 0.1ms\npopulation p(100)\npopulation q(50)\nprobe p\nprobe q\n"
RULES = "write transform fixed_indegree(100, weight=0.1), fixed_probability(0.1, weight=0.1) or pairs(...)"

# name: (statement after P, column, message, remedy)
CASES = {
    "no number": ("population r(drive=poisson(1Hz, 1))", 1, "the population 'r' has no number of neurons",
                  "write population r(1000)"),
    "part of a neuron": ("population r(2.5)", 14, "neurons of population must be a whole number of at "
                         "least 1, not 2.5", "write a number such as 100"),
    "type of an ensemble": ("population r(9, neuron=lif)", 24,
                            "the neuron type of a population must be lif_delta", "write lif_delta(...)"),
    "reset above threshold": ("population r(9, neuron=lif_delta(threshold=9))", 24,
                              "the reset of 10 mV is not below the threshold of 9 mV",
                              "write a reset below the threshold: else a neuron fires for ever"),
    "reset at the threshold": ("population r(9, neuron=lif_delta(threshold=20, reset=19.9999999))", 24,
                               "the reset of 20 mV is not below the threshold of 20 mV",
                               "write a reset below the threshold: else a neuron fires for ever"),
    "refractory between steps": ("population r(9, neuron=lif_delta(tau_ref=0.25ms))", 24,
                                 "tau_ref of lif_delta must be a multiple of the step of 0.0001 s, not "
                                 "0.00025 s",
                                 "write 0.2ms, or change dt"),
    "rate without unit": ("population r(9, drive=poisson(5, weight=1))", 31,
                          "rate of poisson must be a frequency, not the plain number 5", "write 5Hz"),
    "rate beyond counting": ("population r(9, drive=poisson(20000kHz, weight=1))", 23,
                             "a rate of 2e+07 Hz is 2000 spikes in a step",
                             "write a rate of at most 1e+07Hz; a constant input is current=..."),
    "no rule": ("connect p -> q delay 1ms", 1, "a connection between populations needs a rule", RULES),
    "matrix for a rule": ("connect p -> q transform 0.5 delay 1ms", 26,
                          "the rule of a connection between populations must be fixed_indegree or "
                          "fixed_probability or pairs",
                          "write fixed_indegree(...) or fixed_probability(...) or pairs(...)"),
    "no delay": ("connect p -> q transform fixed_indegree(9, weight=1)", 26,
                 "a connection between populations needs a delay", "write delay 1.5ms"),
    "delay between steps": ("connect p -> q transform fixed_indegree(9, weight=1) delay 0.15ms", 60,
                            "a delay must be a multiple of the step of 0.0001 s, not 0.00015 s",
                            "write 0.1ms, or change dt"),
    "no weight": ("connect p -> q transform fixed_indegree(9) delay 1ms", 26, "fixed_indegree needs weight",
                  "write fixed_indegree(weight=...)"),
    "probability": ("connect p -> q transform fixed_probability(1.5, weight=1) delay 1ms", 26,
                    "a probability is at most 1, not 1.5", "write p=0.1"),
    "synapse": ("connect p -> q synapse 5ms transform fixed_indegree(9, weight=1) delay 1ms", 16,
                "a connection between populations takes no synapse",
                "leave it out: every spike changes the voltage by its weight"),
    "part": ("connect p[0:9] -> q transform fixed_indegree(9, weight=1) delay 1ms", 9,
             "a projection leads from a whole population to a whole population",
             "leave the brackets out, or split the population in two"),
    "rule between values": ("relay a\nrelay b\nconnect a -> b transform fixed_indegree(9, weight=1)", 26,
                            "fixed_indegree connects populations", "give a number or a matrix here"),
    "activity without a synapse": ("relay a\nconnect p -> a transform ones(1, 100) synapse none", 1,
                                   "the activity of 'p' needs a synapse to be read", "write synapse 10ms"),
    "state": ("probe p adaptation", 7, "neurons of type lif_delta have no adaptation",
              "known names: spikes, voltage"),
    "value": ("connect p -> q via x^2 transform fixed_indegree(9, weight=1) delay 1ms", 16,
              "a connection between populations takes no via",
              "leave it out: every spike changes the voltage by its weight"),
    "memory": ("connect p -> q transform fixed_indegree(1e12, weight=1) delay 1ms", 26, None, None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_mistake(case: str) -> None:
    text, column, message, remedy = CASES[case]
    line = 6 + text.count("\n")
    ((at, where, said, hint),) = mistakes(P + text)
    assert (at, where) == (line, column)
    if message is None:
        assert "the model needs about 800 TB" in said
    else:
        assert (said, hint) == (message, remedy)


def pairs(tmp_path: Path, rows: str, delay: str = "") -> str:
    (tmp_path / "s.csv").write_text(rows, encoding="utf-8")
    return P + f'connect p -> q transform pairs("s.csv"){delay}'


@pytest.mark.parametrize(
    ("rows", "delay", "message"),
    [
        ("1,2,0.5\n", "", "'s.csv' has 3 column(s), not 4"),
        ("1,2,0.5,0.001\n", " delay 1ms", "'s.csv' has 4 column(s), not 3"),
        ("1,2,0.5\n1,50,0.5\n", " delay 1ms", "line 2 of 's.csv' has target 50"),
        ("1.5,2,0.5\n", " delay 1ms", "line 1 of 's.csv' has source 1.5"),
        (
            "# Of 2024.\n\nsource,target,weight\n1,2,3\n# more\n1,-2,3\n",
            " delay 1ms",
            "line 6 of 's.csv' has target -2",
        ),
        (
            "source,target,weight\nsource,target,weight\n",
            " delay 1ms",
            "line 2 of 's.csv' is not numbers separated by commas",
        ),
        (
            "1,2,0.5,0.001\n1,2,0.5,0\n",
            "",
            "the delay in line 2 of 's.csv' must be a multiple of the step of 0.0001 s, not 0 s",
        ),
    ],
)
def test_mistakes_in_files(tmp_path: Path, rows: str, delay: str, message: str) -> None:
    ((line, column, said, _),) = mistakes(pairs(tmp_path, rows, delay), folder=tmp_path)
    assert (line, column, said) == (6, 32, message)


def test_delays_of_a_file_have_the_unit_that_is_given(tmp_path: Path) -> None:
    rows = "source,target,weight,delay\n7,3,-1,2\n8,2,0.25,1.5\n"
    text = pairs(tmp_path, rows)
    (said,) = [w for w in loads(text, "m.spk", tmp_path).warnings if w.span and w.span.line == 6]
    assert said.message == "line 2 of 's.csv' has a delay of 2 s"
    assert said.hint == 'where the file has delays in ms: pairs("s.csv", unit=1ms)'
    graph = loads(text.replace('"s.csv"', '"s.csv", unit=1ms'), "m.spk", tmp_path)
    assert sorted(op.steps for _, op in graph.nodes(pj.Projection)) == [15, 20]
    assert not [w for w in graph.warnings if w.span and w.span.line == 6]


def test_a_unit_is_for_delays_of_the_file(tmp_path: Path) -> None:
    text = pairs(tmp_path, "1,2,3\n", " delay 1ms").replace('"s.csv"', '"s.csv", unit=1ms')
    ((_, _, said, remedy),) = mistakes(text, folder=tmp_path)
    assert said == "unit is that of delays in the file, and the connection has a delay"
    assert remedy == "leave one of them out"


def test_rows_of_arrays_are_counted_as_numpy_does(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", [[1, 2, 3], [4, 50, 6]])
    text = pairs(tmp_path, "", " delay 1ms").replace("s.csv", "s.npy")
    ((_, _, said, _),) = mistakes(text, folder=tmp_path)
    assert said == "row 1 (from 0) of 's.npy' has target 50"


def test_a_file_becomes_a_projection_for_every_delay(tmp_path: Path) -> None:
    rows = "source,target,weight,delay\n7,3,-1,0.002\n8,2,0.25,0.001\n9,1,2,0.002\n"
    graph = loads(pairs(tmp_path, rows), "m.spk", tmp_path)
    made = {op.steps: op.rule for _, op in graph.nodes(pj.Projection)}
    assert sorted(made) == [10, 20]
    assert made[10].sources.tolist() == [8]
    assert made[20].targets.tolist() == [1, 3]  # sorted
    assert made[20].weights.tolist() == [2, -1]


def test_what_is_written_is_what_is_built() -> None:
    graph = loads(
        "dt 0.5ms\nseed 9\n"
        "population p(30, neuron=lif_delta(tau_m=10ms, tau_ref=1ms, threshold=15, reset=-2), current=3,"
        " seed=4, drive=poisson(rate=2kHz, weight=0.3))\n"
        "connect p.neurons -> p transform fixed_probability(p=0.25, weight=-0.5) delay 2ms\nprobe p.neurons",
        "m.spk",
    )
    ((_, cells),) = graph.nodes(pj.Cells)
    assert (cells.neuron.tau_m, cells.neuron.threshold, cells.neuron.reset) == (0.01, 15, -2)
    assert (cells.seed, cells.drive) == (4, pj.Poisson(2000.0, 0.3))
    assert np.array_equal(cells.bias, np.full(30, 3.0))
    ((_, op),) = graph.nodes(pj.Projection)
    assert (op.rule, op.weight, op.steps, op.seed) == (pj.FixedProbability(0.25), -0.5, 4, 9)
