"""Bad input: each mistake gives one clear error with its place and a remedy, and nothing crashes or hangs."""

from __future__ import annotations

import pytest
from language_helpers import mistakes

from spikec.errors import ModelError
from spikec.frontend import loads

A = "ensemble a(100, dims=2)\n"
AB = A + "ensemble b(100, dims=3)\n"

# name: (text, line, column, message, remedy)
CASES = {
    "unknown name": (A + "connect a -> aa", 2, 14, "unknown name 'aa'", "did you mean 'a'?"),
    "unknown value": ("param rate = 3\nlet x = rat", 2, 9, "unknown name 'rat'", "did you mean 'rate'?"),
    "unknown function": ("input u(t) = sn(t)", 1, 14, "unknown function 'sn'", "did you mean 'sin'?"),
    "unknown argument": (
        "ensemble a(9, dms=2)",
        1,
        15,
        "ensemble has no argument 'dms'",
        "did you mean 'dims'?",
    ),
    "unknown module": (
        "use integratr(9) as x",
        1,
        1,
        "unknown module 'integratr'",
        "did you mean 'integrator'?",
    ),
    "unknown port": (
        "use integrator(9) as x\nprobe x.ot",
        2,
        8,
        "unknown name 'ot' in 'x'",
        "did you mean 'out'?",
    ),
    "unknown keyword": ("ensembel a(100)", 1, 1, "unknown keyword 'ensembel'", "did you mean 'ensemble'?"),
    "unknown clause": (
        A + "connect a -> a synapze 5ms",
        2,
        16,
        "unknown keyword 'synapze'",
        "did you mean 'synapse'?",
    ),
    "unknown unit": ("param x = 5mz", 1, 11, "unknown unit 'mz'", "units are s, ms, us, Hz, kHz"),
    "unknown setting": ("let x = 1 $", 1, 11, "unexpected character '$'", "remove it"),
    "dimensions": (
        AB + "connect a -> b",
        3,
        1,
        "'a' has 2 dimensions, but 'b' takes 3",
        "transform of shape 3 x 2",
    ),
    "dimensions of a function": (
        AB + "connect a -> b via x[0]*x[1]",
        3,
        1,
        "the function of 'a' gives 1 dimension, but 'b' takes 3",
        "transform of shape 3 x 1",
    ),
    "dimensions of a transform": (
        AB + "connect a -> b transform [[1, 0]]",
        3,
        26,
        "the transform has shape 1 x 2; 'a' has 2 dimensions and 'b' takes 3",
        "give a matrix of shape 3 x 2",
    ),
    "vector as a transform": (
        A + "connect a -> a transform [1, 2, 3]",
        2,
        26,
        "the transform has shape 3 x 3",
        "a matrix of shape 2 x 2",
    ),
    "uneven rows": ("let m = [[1, 2], [3]]", 1, 18, "differ in shape: 2 and 1", "rows of equal length"),
    "index": (A + "connect a[2] -> a[0]", 2, 10, "index 2 is outside of 'a'", "2 entries, 0 to 1"),
    "slice": (A + "connect a[0:5] -> a", 2, 10, "takes entries that 'a' does not have", "2 entries"),
    "encoders": (
        "ensemble a(3, encoders=[[1, 2], [3, 4]])",
        1,
        24,
        "encoders have shape 2 x 2; the ensemble needs 3 x 1",
        "one row per neuron",
    ),
    "missing unit": (
        A + "connect a -> a synapse lowpass(5)",
        2,
        32,
        "tau of lowpass must be a time, not the plain number 5",
        "write 5s or 5ms",
    ),
    "missing unit of a short form": (
        A + "connect a -> a synapse 0.005",
        2,
        24,
        "must be a time, not the plain number 0.005",
        "write 5ms or 0.005s",
    ),
    "missing unit of a relay": (
        "relay r[2] synapse 5",
        1,
        20,
        "must be a time, not the plain number 5",
        "write 5s or 5ms",
    ),
    "no bound of an amplitude": (
        "ensemble a(9, neuron=lif(amplitude=none))",
        1,
        36,
        "amplitude of lif must be a number",
        "a plain number",
    ),
    "input of a part of a connection": (
        A + "probe a.neurons.inputs",
        2,
        16,
        "'a.neurons' has no part 'inputs'",
        "did you mean 'input'?",
    ),
    "missing unit of a rate": (
        "ensemble a(9, max_rates=uniform(200, 400Hz))",
        1,
        33,
        "low of uniform must be a frequency, not the plain number 200",
        "write 200Hz",
    ),
    "missing unit of dt": ("dt 1", 1, 4, "dt of the model must be a time", "write 1s or 1ms"),
    "wrong unit": (
        A + "connect a -> a synapse lowpass(5Hz)",
        2,
        32,
        "tau of lowpass must be a time, not the frequency 5 Hz",
        "write a time with its unit",
    ),
    "unit where none belongs": (
        "ensemble a(100, radius=1s)",
        1,
        24,
        "must be a plain number, not the time 1 s",
        "without a unit",
    ),
    "sum of units": (
        "param x = 5ms + 3Hz",
        1,
        11,
        "'+' cannot combine the time 0.005 s with the frequency 3 Hz",
        "the same unit",
    ),
    "sine of a time": ("let x = sin(1s)", 1, 9, "sin takes plain numbers, not the time 1 s", "such as 1s"),
    "duplicate name": ("relay a\nensemble a(9)", 2, 10, "the name 'a' is declared twice", "another name"),
    "duplicate parameter": (
        "param a = 1\nparam a = 2",
        2,
        1,
        "the name 'a' is declared twice",
        "another name",
    ),
    "duplicate in a loop": (
        "for i in 0..3 { ensemble a(9) }",
        1,
        26,
        "'a' is declared in every round of a loop",
        "such as a[i]",
    ),
    "duplicate probe": (A + "probe a\nprobe a", 3, 1, "two probes are named 'a'", "probe ... as name"),
    "duplicate clause": (
        A + "connect a -> a delay 5ms delay 3ms",
        2,
        26,
        "'delay' is written twice",
        "remove one",
    ),
    "duplicate setting": ("model a\nmodel b", 2, 1, "'model' is written twice", "remove one"),
    "no neurons": ("ensemble a(0)", 1, 12, "at least 1, not 0", "a number such as 100"),
    "negative neurons": ("ensemble a(-5)", 1, 12, "at least 1, not -5", "a number such as 100"),
    "half a neuron": (
        "ensemble a(1.5)",
        1,
        12,
        "a whole number of at least 1, not 1.5",
        "a number such as 100",
    ),
    "no number of neurons": (
        "ensemble a(dims=2)",
        1,
        1,
        "'a' has no number of neurons",
        "write ensemble a(100)",
    ),
    "tau of zero": (
        A + "connect a -> a synapse lowpass(0ms)",
        2,
        32,
        "must be above 0, not 0 s",
        "`synapse none`",
    ),
    "tau_rc of zero": (
        "ensemble a(9, neuron=lif(tau_rc=0ms))",
        1,
        33,
        "tau_rc of lif must be above 0",
        "5ms",
    ),
    "negative radius": (
        "ensemble a(9, radius=-1)",
        1,
        22,
        "radius of ensemble must be above 0, not -1",
        "larger",
    ),
    "fraction of a step": (
        A + "connect a -> a delay 0.5ms",
        2,
        22,
        "a delay must be a multiple of the step",
        "1ms",
    ),
    "no neuron type": ("ensemble a(9, neuron=uniform(0, 1))", 1, 22, "'uniform' is not a neuron type", "lif"),
    "no distribution": ("ensemble a(9, intercepts=lif())", 1, 26, "'lif' is not a distribution", "known"),
    "low above high": ("ensemble a(9, intercepts=uniform(1, -1))", 1, 26, "low above high", "uniform(-1, 1)"),
    "not a number": ("param x = 0/0", 1, 11, "not a finite number", "division by zero"),
    "overflow": ("param x = 1e308 * 10", 1, 11, "not a finite number", "overflow"),
    "literal out of range": ("param x = 1e999", 1, 11, "not a finite number", "overflow"),
    "value of itself": (
        "let a = b\nlet b = a",
        1,
        1,
        "the value of 'a' depends on itself",
        "break the circle",
    ),
    "function of itself": (
        "function f(x) = f(x)\nlet y = f(1)",
        1,
        17,
        "f calls itself",
        "cannot be recursive",
    ),
    "module of itself": (
        "module m() { use m() as y }\nuse m() as x",
        1,
        14,
        "nested more than 24 deep; 'm' uses itself",
        "break the circle",
    ),
    "module as a vector": ("use integrator(9) as x\nprobe x", 2, 7, "'x' is a module", "such as x.in"),
    "missing module argument": (
        "use integrator() as x",
        1,
        1,
        "integrator needs 'neurons'",
        "integrator(neurons=...)",
    ),
    "into an input": (
        "input u = 1\nrelay r\nconnect r -> u",
        3,
        14,
        "'u' takes no input",
        "connect to an ensemble",
    ),
    "neurons of a relay": ("relay r\nprobe r.neurons", 2, 8, "'r' has no neurons", "name an ensemble"),
    "state that is not there": (
        "ensemble a(9, neuron=lif_rate)\nprobe a voltage",
        2,
        7,
        "neurons of type lif_rate have no voltage",
        ".neurons",
    ),
    "time in a decoded function": (
        A + "connect a -> a via x*t",
        2,
        20,
        "cannot use the time t",
        "connect to a node",
    ),
    "port outside of a module": ("port x[3]", 1, 1, "a port stands in a module", "write relay x"),
    "parameter in a module": (
        "module m() { param k = 3 }\nuse m() as x",
        1,
        14,
        "at the top of a file",
        "let",
    ),
    "default of a module": (
        "module m(a=1ms+1Hz) { }\nuse m() as x",
        1,
        12,
        "cannot combine",
        "the same unit",
    ),
    "module in a block": ("for i in 0..1 { module m() { } }", 1, 17, "at the top of a file", "move it"),
    "member that is not there": (
        "for i in 0..3 { relay e[i][1] }\nprobe e[3]",
        2,
        7,
        "there is no 'e[3]'",
        "e[0] to e[2]",
    ),
    "time of piecewise": (
        "input a = piecewise(0: 1)",
        1,
        21,
        "must be a time, not the plain number 0",
        "5ms",
    ),
    "order of piecewise": ("input a = piecewise(1s: 1, 0s: 2)", 1, 32, "do not increase", "in order"),
    "white signal too fast": (
        "input a = white_signal(period=1s, high=1kHz)",
        1,
        11,
        "needs a step shorter",
        "high=500Hz",
    ),
    "ideal of another size": (
        A + "probe a ideal t",
        2,
        9,
        "ideal has 1 value(s), but the probe records 2",
        "one per",
    ),
    "text for an input": ('input a = "x"', 1, 11, "an input cannot be a text", "write numbers"),
    "filter that looks ahead": (
        A + "connect a -> a synapse linear_filter(num=[1, 2, 3], den=[1, 1])",
        2,
        24,
        "higher order",
        "no longer than den",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_mistake_one_error(name: str) -> None:
    text, line, column, message, remedy = CASES[name]
    (found,) = mistakes(text)
    assert (found[0], found[1]) == (line, column)
    assert message in found[2]
    assert remedy in found[3]


def test_dimensions_say_where_each_shape_comes_from() -> None:
    with pytest.raises(ModelError) as caught:
        loads(AB + "connect a -> b", "m.spk")
    rendered = str(caught.value)
    assert "m.spk:1:1: note: 'a' of 2 dimensions is declared here" in rendered
    assert "m.spk:2:1: note: 'b' of 3 dimensions is declared here" in rendered
    assert "  3 | connect a -> b\n    | ^^^^^^^^^^^^^^" in rendered


def test_several_mistakes_are_reported_together() -> None:
    text = "ensemble a(0)\nensemble b(10, dms=2)\nconnect a -> c\nconnect b -> d synapse 5\nparam y = z\n"
    assert [m[:2] for m in mistakes(text)] == [(1, 12), (2, 16), (3, 14), (4, 14), (4, 24), (5, 11)]


def test_several_syntax_errors_are_reported_together() -> None:
    text = "ensembel a(1)\nparam x = )\nensemble b(5)\nconnect b - b\nprobe b\n"
    assert [m[:2] for m in mistakes(text)] == [(1, 1), (2, 11), (4, 11)]


def test_what_depends_on_a_mistake_is_not_reported_again() -> None:
    assert len(mistakes("param n = m\nensemble a(n)\nconnect a -> a\nprobe a\nlet k = n + 1")) == 1


# -------------------------------------------------------------------------------------- algebraic loops


def test_loop_names_its_connections_and_says_which_needs_a_synapse() -> None:
    text = "relay r\nrelay q\nconnect r -> q synapse none\nconnect q -> r synapse none"
    (found,) = mistakes(text)
    assert found[:2] == (4, 1)
    assert "algebraic loop: 'r->q', 'q->r'" in found[2]
    assert found[3] == "give 'q->r' a synapse or a delay, such as synapse lowpass(5ms)"


@pytest.mark.parametrize("cure", ["synapse 5ms", "synapse none delay 1ms"])
def test_a_synapse_or_a_delay_breaks_a_loop(cure: str) -> None:
    graph = loads(f"ensemble a(10)\nconnect a -> a {cure}")
    assert "a" in graph.nx


def test_loop_through_an_ensemble_and_a_module() -> None:
    text = (
        "use integrator(50) as i\nensemble a(50)\nconnect i.out -> a synapse none\n"
        "connect a -> i.in synapse none"
    )
    # The integrator filters its input, so this is no loop...
    assert "a" in loads(text).nx
    # ... but an ensemble that decodes into itself in the same step is.
    (found,) = mistakes("ensemble a(50)\nconnect a -> a synapse none")
    assert found[:2] == (2, 1)
    assert "'a->a'" in found[2]
