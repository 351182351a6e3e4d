"""Remedies that lead to what was meant, and one mistake for one slip."""

from __future__ import annotations

from pathlib import Path

import pytest
from language_helpers import load_mistakes, mistakes

from spikec.frontend import loads

# name: (text, message, part of the remedy)
CASES = {
    "other case": ("param kp = 3\nlet x = Kp", "unknown name 'Kp'", "did you mean 'kp'?"),
    "swapped letters": ("param ie = 3\nparam semi = 2\nlet x = ei", "unknown name 'ei'", "'ie'"),
    "a loop's variable outside of it": ("param n = 2\nlet x = i + n", "unknown name 'i'", "known names: "),
    "time": ("input u = sin(t)", "unknown name 't'", "input u(t) = ..., or node f(x, t) = ..."),
    "process of time": (
        "input u(t) = piecewise(0s: 1)",
        "piecewise is a process, not a function of t",
        "leave (t) out: input u = piecewise(...)",
    ),
    "neurons of populations": (
        "ensemble a(9, neuron=lif_delta())",
        "'lif_delta' is a neuron type of populations",
        "write population a(100, neuron=lif_delta(...))",
    ),
    "module's time": (
        "use legendre_delay(9, theta=100) as d",
        "theta of legendre_delay must be a time, not the plain number 100",
        "write 100ms or 0.1s",
    ),
    "module's time to compare": (
        "use input_gated_memory(9, 1, difference=1) as d",
        "difference of input_gated_memory must be a time, not the plain number 1",
        "write 1s or 1ms",
    ),
    "values by if": (
        "param on = 1\nnode f(x, t) = -4*x^2 if t > on else 0",
        "if chooses statements, not values",
        "write select(x > 0, yes, no)",
    ),
    "interval in s": ("ensemble a(9)\nprobe a every 0.5", "must be a time", "write 500ms or 0.5s"),
    "interval in ms": ("ensemble a(9)\nprobe a every 5", "must be a time", "write 5s or 5ms"),
    "neurons of others": ("ensemble a(9, neuron=relu)", "unknown name 'relu'", "'rectified_linear'"),
    "no learning rule": (
        "ensemble a(9)\nensemble b(9)\nconnect a -> b learning hebb(rate=1)",
        "unknown learning rule 'hebb'",
        "learning rules are bcm, oja, pes, rls, voja",
    ),
    "no solver": (
        "ensemble a(9)\nensemble b(9)\nconnect a -> b solver qr",
        "unknown solver 'qr'",
        "solvers are lstsq, lstsq_drop, ",
    ),
    "too many": (
        "ensemble a(9, dims=3)\nensemble b(9, dims=2)\nconnect a -> b",
        "'a' has 3 dimensions, but 'b' takes 2",
        "connect a[0:2] -> b, or give a transform of shape 2 x 3",
    ),
    "too few": (
        "input u = 1\nensemble b(9, dims=2)\nconnect u -> b",
        "'u' has 1 dimension, but 'b' takes 2",
        "connect to b[0], or give a transform of shape 2 x 1",
    ),
    "neurons to a value": (
        "ensemble a(9)\nensemble b(9)\nconnect a.neurons -> b",
        "'a.neurons' has 9 dimensions, but 'b' takes 1",
        "connect a, what the neurons represent; or give a transform of shape 1 x 9",
    ),
    "neurons to fewer": (
        "ensemble a(9)\nensemble b(8)\nconnect a.neurons -> b.neurons",
        "'a.neurons' has 9 dimensions, but 'b.neurons' takes 8",
        "give a transform of shape 8 x 9",
    ),
    "function that gives too much": (
        "ensemble a(9)\nensemble b(9)\nconnect a -> b via [x, x]",
        "the function of 'a' gives 2 dimensions",
        "write a function that gives 1 dimension, or give a transform of shape 1 x 2",
    ),
    "nothing alike": ("input u = python_function(3)", "unknown function 'python_function'", "known names: "),
    "default of another": (
        "defaults ensemble { synapse = 5ms }",
        "defaults ensemble has no 'synapse'",
        "write it in defaults connection or probe",
    ),
    "parameter that is text": ('param s = "abc"', "the parameter 's' is not a number", "write let s = ..."),
    "seed of an ensemble": ('ensemble a(9, seed="x")', "seed of ensemble must be a number", "a plain number"),
    "numbers without a unit": (
        "let r = [100, 200]\nensemble a(2, max_rates=r)",
        "max_rates of an ensemble must be a frequency, not an array of shape 2",
        "multiply it by its unit, such as 1Hz * load(...)",
    ),
    "empty slice": (
        "ensemble a(9, dims=3)\nprobe a[1:1]",
        "the slice takes no entry of 'a'",
        "the stop is excluded: [0:1] is one of 3",
    ),
    "function of more": (
        "ensemble a(9)\nfunction f(x, y) = x*y\nconnect a -> a via f",
        "f takes 2 numbers, and the source has 1",
        "connect a source of 2, or write via with x, such as x[0]",
    ),
    "size of a convolution": (
        "ensemble a(9)\nconnect a -> a transform convolution(2, input_shape=[28, 28])",
        "the transform has shape 52 x 784; 'a' has 1 dimension and 'a' takes 1",
        "it leads from 784 dimensions to 52: connect what has so many",
    ),
    "solver of neurons": (
        "ensemble a(9)\nconnect a.neurons -> a.neurons solver lstsq",
        "'a.neurons' is not decoded, so there is nothing to solve for",
        "leave solver out, or connect from the ensemble",
    ),
    "relay of nothing": ("relay r[0]", "the size of a relay is at least 1, not 0", "write relay r[1]"),
    "module without a name": (
        "use integrator(9)  # one\n\nensemble b(9)",
        "the statement is not complete",
        "expected a name for it: as NAME",
    ),
    "argument of an ensemble": ("ensemble a(neurns=9)", "ensemble has no argument 'neurns'", "'neurons'"),
    "argument of a module": (
        "use integrator(n_neurons=9, dims=1) as i",
        "integrator has no argument 'n_neurons'",
        "'neurons'",
    ),
    "argument of a process": (
        "input u = white_signal(perod=1s, high=5Hz)",
        "white_signal has no argument 'perod'",
        "'period'",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_mistake_with_the_remedy(name: str) -> None:
    text, message, remedy = CASES[name]
    (found,) = mistakes(text)
    assert message in found[2]
    assert remedy in found[3]


def test_a_file_is_named_with_its_folder_and_letters_that_changed_places_come_first(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("ie", "semi", "other"):
        (tmp_path / "data" / f"{name}.csv").write_text("1\n")
    (tmp_path / "m.spk").write_text('let a = load("data/ei.csv")\nlet b = load("data/othr.csv")\nprobe a')
    hints = [hint for *_, hint in load_mistakes(tmp_path / "m.spk")]
    assert "did you mean 'data/ie.csv'?" in hints
    (tmp_path / "m.spk").write_text('input b from "data/othr.csv" every 1ms')
    assert load_mistakes(tmp_path / "m.spk")[0][3] == "did you mean 'data/other.csv'?"


def test_a_module_takes_times_and_what_is_no_number_where_its_default_is_a_time() -> None:
    text = "module m(tau=5ms) {\n  ensemble a(9)\n  connect a -> a synapse tau\n}\n"
    for given in ("8ms", "alpha(3ms)", "2 * 4ms"):
        assert "x.a" in loads(text + f"use m({given}) as x").nx


def test_a_loop_through_a_relay_says_that_its_synapse_is_no_delay() -> None:
    from spikec.errors import ModelError

    with pytest.raises(ModelError) as raised:
        loads("relay r synapse 5ms\nrelay q\nconnect r -> q synapse none\nconnect q -> r synapse none")
    (found,) = raised.value.diagnostics
    told = [(text, span.line) for text, span in found.notes]
    assert ("the synapse of 'r' takes the input of the same step: it is no delay", 1) in told
