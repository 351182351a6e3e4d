"""Several mistakes of one statement, mistakes in what a module is given, and habits of other languages."""

from __future__ import annotations

import pytest
from language_helpers import mistakes

from spikec import graph as g
from spikec.errors import ModelError
from spikec.frontend import loads
from spikec.language.format import format_text

A = "ensemble a(100, dims=2)\n"


def places(text: str) -> list[tuple[int, int]]:
    return [m[:2] for m in mistakes(text)]


# ------------------------------------------------------------------------------- several in one statement


def test_every_argument_of_an_ensemble_is_checked() -> None:
    found = mistakes("ensemble a(0, dms=2, neuron=liff, radius=-1, intercepts=lif())")
    assert [(m[1], m[2].split(" ")[0]) for m in found] == [
        (12, "neurons"), (15, "ensemble"), (29, "unknown"), (42, "radius"), (57, "'lif'"),
    ]  # fmt: skip


def test_every_clause_of_a_connection_is_checked() -> None:
    text = A + "connect a -> b synapse 5 transform lif delay 0.5ms solver lstq via x[5]"
    assert [m[1] for m in mistakes(text)] == [14, 24, 36, 46, 59, 68]


def test_every_clause_of_a_probe_is_checked() -> None:
    assert places(A + "probe b every 0.3ms ideal lif synapse 4") == [(2, 7), (2, 15), (2, 27), (2, 39)]


def test_every_item_of_a_list_and_of_a_call_is_checked() -> None:
    assert places("let a = [sn(1), 5mz, True]\nlet b = max(c, d) + e2 * f2") == [
        (1, 10), (1, 17), (1, 22), (2, 13), (2, 16), (2, 21), (2, 26),
    ]  # fmt: skip


def test_every_argument_of_a_module_is_checked() -> None:
    assert places("use product(neuron=5, dims=two) as p") == [(1, 13), (1, 28)]


def test_a_misspelt_keyword_hides_nothing_and_moves_no_column() -> None:
    text = "ensembel a(100)\nconnect a -> a synapze 5 delay 0.3ms\nconnect a -> c\nprobe a synaps 3"
    found = mistakes(text)
    assert [m[:2] for m in found] == [(1, 1), (2, 16), (2, 24), (2, 32), (3, 14), (4, 9), (4, 16)]
    assert found[0][2:] == ("unknown keyword 'ensembel'", "did you mean 'ensemble'?")


def test_a_statement_that_cannot_be_read_hides_nothing_and_is_missed_by_nobody() -> None:
    text = "array m(10 count=3)\nlet k = 3 +\nlet n = k + 1\nprobe m\nprobe q\nconnect m -> q2\nuse m as x"
    assert places(text) == [(1, 12), (2, 1), (5, 7), (6, 14), (7, 7)]


def test_a_statement_that_is_not_complete_is_told_at_its_own_line() -> None:
    text = "ensemble a(9)\nconnect a -> a function x\nlet y =\nconnect a <- a\na -> a\nfor i in\nprobe q"
    assert [(line, column, message) for line, column, message, _ in mistakes(text)] == [
        (2, 16, "the function of a connection follows via"),
        (3, 1, "the statement is not complete"),
        (4, 11, "unexpected '<'"),
        (5, 1, "a connection begins with connect"),
        (6, 1, "the statement is not complete"),
        (7, 7, "unknown name 'q'"),
    ]


def test_an_import_that_cannot_be_read_could_have_brought_any_name() -> None:
    assert places("import numpy\nuse thing(3) as x\nprobe x.y\nlet a = 5mz") == [(1, 8), (4, 9)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ensemble a(9)\nconnect a[1] -> a", (2, 10, "index 1 is outside of 'a'",
         "it has one entry, number 0")),
        (A + "probe a.weights", (2, 8, "'a' has no part 'weights'",
         "known names: input, neurons, refractory_time, spikes, voltage")),
        ("relay r\nprobe r.weights", (2, 8, "'r' has no part 'weights'", "known names: input")),
        (A + "probe a.neurons.vlt", (2, 16, "'a.neurons' has no part 'vlt'", "known names: input")),
        (A + "probe a\nnonsense foo", (3, 1, "unknown keyword 'nonsense'",
         "expected a statement such as connect, ensemble or probe")),
        (A + "probe a\n  nonsense foo", (3, 3, "unknown keyword 'nonsense'",
         "expected adaptation, as, every, ideal, rate_out, recovery, refractory_time, solver, spikes, "
         'synapse, via, voltage, a statement such as connect, ensemble or probe or "["')),
    ],
)  # fmt: skip
def test_a_remedy_names_what_there_is(text: str, found: tuple[int, int, str, str]) -> None:
    assert mistakes(text) == [found]


@pytest.mark.parametrize(
    ("text", "line", "column", "bracket"),
    [
        ("input u(t) = sin(2*pi*t\n\nensemble a(50)\nprobe a", 1, 17, "()"),
        ("let m = [[1, 2], [3, 4]  # )]\nensemble a(50)", 1, 9, "[]"),
        ("ensemble a(50,\n  encoders=[[1], [2]]", 1, 11, "()"),
        ("module m(n) {\n  ensemble b(n\n}\nensemble a(50)", 2, 13, "()"),
        ("ensemble a(50)\nmodule m(n) {\n  ensemble b(n)", 2, 13, "{}"),
    ],
)
def test_a_bracket_that_is_never_closed_is_shown_where_it_opens(
    text: str, line: int, column: int, bracket: str
) -> None:
    opened, closed = bracket
    assert mistakes(text) == [
        (line, column, f"the bracket '{opened}' is never closed", f"close it with '{closed}'")
    ]


def test_a_bracket_that_is_never_closed_hides_nothing() -> None:
    assert places("let k = (3 + 1\nensemble a(k)\nprobe b") == [(1, 9), (3, 7)]


def test_a_bracket_that_may_be_closed_is_a_note() -> None:
    with pytest.raises(ModelError) as caught:
        loads("ensemble a(50,\n  dims=2\nensembel b(3)")
    (found,) = caught.value.diagnostics
    assert (found.message, found.span and found.span.line) == ("unexpected 'ensembel'", 3)
    assert [(text, at.line, at.column) for text, at in found.notes] == [
        ("the bracket '(' is open since here", 1, 11)
    ]
    assert places("let a = [1, 2\n  for i in 0..3]")[0] == (2, 3)


def test_neurons_say_how_many_there_are() -> None:
    with pytest.raises(ModelError) as caught:
        loads(A + "array m(9, count=3)\nrelay r\nconnect a.neurons[0:3] -> r\nconnect m[0:2] -> r", "m.spk")
    rendered = str(caught.value)
    assert "m.spk:1:1: note: 'a' of 100 neurons is declared here" in rendered
    assert "m.spk:2:1: note: 'm[0:2]' of 2 dimensions in all is declared here" in rendered
    assert "m.spk:3:1: note: 'r' of 1 dimension is declared here" in rendered


def test_a_place_is_shown_once_with_all_its_sizes() -> None:
    with pytest.raises(ModelError) as caught:
        loads("ensemble a(50)\nconnect a -> a.neurons\nprobe a", "m.spk")
    (found,) = caught.value.diagnostics
    assert [text for text, _ in found.notes] == ["'a' of 1 dimension and 50 neurons is declared here"]


def test_modules_too_deep_are_no_circle() -> None:
    chain = "".join(f"module m{n}() {{ use m{n + 1}() as y }}\n" for n in range(30))
    assert mistakes(f"{chain}module m30() {{ relay r }}\nuse m0() as x") == [
        (24, 16, "modules are nested more than 24 deep", "use fewer within each other")
    ]


@pytest.mark.parametrize(
    ("given", "message", "remedy"),
    [
        ("intercepts=choice([[0, 0.1], [0.1, 0.2]])", "an option of choice for intercepts is 1 number, not 2",
         "write numbers without inner brackets, such as choice([0, 0.1])"),
        ("initial_voltage=choice([[0, 0.1]])", "an option of choice for initial_voltage is 1 number, not 2",
         "write numbers without inner brackets, such as choice([0, 0.1])"),
        ("encoders=choice([[1, 0], [0, 1]])", "an option of choice for encoders is 1 number, not 2",
         "give every option one number per dimension, such as choice([[1, 0], [0, 1]]) for two"),
        ("noise=white_noise(dist=choice([[0], [0.1]]))", "the options have 1 number, the noise 9 dimensions",
         "for an input write dims=1; for neurons write numbers without inner brackets, such as "
         "choice([0, 0.1]), of which each neuron draws its own"),
    ],
)  # fmt: skip
def test_options_of_choice_that_do_not_fit(given: str, message: str, remedy: str) -> None:
    assert [found[2:] for found in mistakes(f"ensemble a(9, {given})")] == [(message, remedy)]


def test_options_of_choice_that_fit() -> None:
    loads(
        "ensemble a(9, dims=2, gain=choice([[1], [2]]), bias=choice([0, 1]), "
        "encoders=choice([[1, 0], [0, 1]]), eval_points=choice([1, 0]), "
        "initial_voltage=choice([0, 0.5]))\nprobe a"
    )


LOOP = "relay r\nconnect r -> r synapse none"


def test_a_loop_is_found_beside_other_mistakes() -> None:
    found = mistakes(f"connect a -> r\n{LOOP}\nconnect r -> r transform [[1, 2]]\nprobe q")
    assert [m[:2] for m in found] == [(1, 9), (3, 1), (4, 26), (5, 7)]
    assert found[1][2].startswith("algebraic loop: 'r->r'")


@pytest.mark.parametrize(
    "lost", ["defaults connection { delay=3ms, dleay=1ms }", "defaults connection delay 1"]
)
def test_a_loop_that_lost_defaults_may_break_is_not_told(lost: str) -> None:
    assert {line for line, _ in places(f"{lost}\n{LOOP}")} == {1}


# ---------------------------------------------------------------------------------------- library modules

LIBRARY = {
    "unit": ("use integrator(100, tau=5) as x", 25, "tau of integrator must be a time, not the plain number"),
    "unit of a radius": ("use integrator(100, radius=1s) as x", 28, "radius of ensemble must be a plain"),
    "size": ("use oscillator(0) as x", 16, "neurons of ensemble must be a whole number of at least 1, not 0"),
    "shape": (
        "use associative_memory(50, keys=[[1, 0]], values=[[1], [2]]) as x", 50,
        "the transform has shape 1 x 2; 'x.match' has 1 dimension",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIBRARY)
def test_a_mistake_in_what_a_module_is_given_is_shown_where_it_is_given(name: str) -> None:
    text, column, message = LIBRARY[name]
    with pytest.raises(ModelError) as caught:
        loads(text, "m.spk")
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert (found.span.file, found.span.line, found.span.column) == ("m.spk", 1, column)
    assert message in found.message
    note, place = found.notes[0]
    assert "here" in note
    assert place.file != "m.spk"
    assert f"{place.file}:{place.line}" in str(caught.value)


def test_a_mistake_in_a_module_of_the_same_file_is_shown_in_it() -> None:
    text = "module m(tau) { port in\nensemble a(9)\nconnect in -> a synapse tau }\nuse m(5) as x"
    assert places(text) == [(3, 25)]


# ------------------------------------------------------------------------------------------- nearest names

NEAR = {
    "ensemble a(100, neuron=liff)": "'lif'",
    "ensemble a(100, neuron=LIF)": "'lif'",
    "ensemble a(100, n_neurons=5)": "'neurons'",
    "ensemble a(100, dimensions=2)": "'dims'",
    "ensemble a(9)\nprobe a.neuron": "'neurons'",
    "use integrater(100) as x": "'integrator'",
    "ensemble a(9)\nconnect a -> a synapse 10mss": "'ms'",
    "ensemble a(9)\nconnect a -> a synapse 10Ms": "'ms'",
    "ensemble a(9)\nconnect a -> a synapse lowpas(1ms)": "'lowpass'",
    "ensemble a(9)\nconnect a -> a solver lstq": "'lstsq'",
    "ensemble a(9)\nprobe a sample_every 1ms": "'every'",
    "ensemble a(9)\nprobe a voltagee": "'voltage'",
    "let a = True": "'true'",
    "ensemble a(9)\nconnect a -> a synapse None": "'none'",
}


@pytest.mark.parametrize("text", NEAR)
def test_the_nearest_name_is_suggested(text: str) -> None:
    (found,) = mistakes(text)
    assert f"did you mean {NEAR[text]}?" in found[3]


# ---------------------------------------------------------------------------------------------- habits

# text: (column in its last line, message, remedy)
HABITS = {
    A + "connect a -> a via x**2": (21, "'**' is not an operator", "x^2"),
    "input u(t) = np.sin(t)": (14, "without a module", "write sin(...)"),
    "input u = lambda t: sin(t)": (11, "there is no lambda", "input u(t) = sin(t)"),
    "a = nengo.Ensemble(100, dimensions=2)": (1, "nengo.Ensemble is Python", "write ensemble name(100"),
    "nengo.Connection(a, b)": (1, "nengo.Connection is Python", "write connect a -> b"),
    "model 'foo'": (7, "not in single quotes", '"foo"'),
    'model "foo"': (7, "a name stands without quotes", "write foo"),
    A + 'probe a as "my probe"': (12, "a name is one word without quotes", "letters, digits and _"),
    "import numpy as np": (8, "a file of this language", "need no import"),
    "from nengo import Ensemble": (1, "a file of this language", "need no import"),
    "for i in range(10) { ensemble a[i](10) }": (20, "two dots", "write 0..10"),
    "for i in 0..10:\n\tensemble a[i](10)": (15, "a block stands in braces", "{ ... }"),
    "if 1 == 1:\n\tensemble a(9)": (10, "a block stands in braces", "{ ... }"),
    "def f(x): return x": (1, "functions are defined by function", "function f(x) = x^2"),
    "function f(x) { x }": (15, "the value of a function follows =", "function f(x) = x^2"),
    "with nengo.Network() as model:": (1, "there is no with", "stand by themselves"),
    "while 1 { }": (1, "there is no while", "for i in"),
    "print(3)": (1, "there is no print", "probe a as name"),
    'let x = f"{n}"': (9, "no values in it", "as it is"),
    "let a = 1 if 2 > 1 else 3": (11, "if chooses statements", "select("),
    "input u(t) = if t > 1 { 2 }": (14, "if chooses statements", "select("),
    "let a = 1 and 2": (11, "no 'and'", "(a > 0) * (b > 0)"),
    "let a = 1 or 2": (11, "no 'or'", "max(a > 0, b > 0)"),
    "let a = not 1": (9, "no 'not'", "1 - a"),
    "let a = 3 // 2": (11, "'//' is not an operator", "floor(a / b)"),
    "// a comment": (1, "comments begin with #", "#"),
    "let a = (1, 2)": (11, "square brackets", "[1, 2]"),
    "let a = {1: 2}": (9, "no sets or dictionaries", "[1, 2]"),
    "let a = 1_000": (9, "decimal digits", "1000"),
    "n = 5": (1, "named by let", "let n = 5"),
    A + "a -> a": (1, "begins with connect", "connect a -> b"),
    A + "connect(a, a)": (8, "no brackets", "connect a -> b"),
    A + "connect a => a": (11, "the arrow is ->", "connect a -> b"),
    A + "connect a, a -> a": (10, "one source and one target", "one connect for each"),
    A + "connect a -> a synapse=5ms": (23, "clauses take no =", "synapse ..."),
    A + "connect a -> a, synapse 5ms": (15, "without commas", "comma out"),
    A + "connect a -> a function x^2": (16, "follows via", "via x^2"),
    A + "connect a -> a synapse 10 ms": (24, "without a space", "5ms"),
    A + "connect a -> a synapse 10 mss": (24, "one of s, ms, us", "5ms"),
    "ensemble a 100": (12, "stands in brackets", "ensemble a(100)"),
    "ensemble input(10)": (10, "cannot be a name", "input_1"),
}


@pytest.mark.parametrize("text", HABITS)
def test_a_habit_of_another_language_is_answered_with_the_way_of_this_one(text: str) -> None:
    column, message, remedy = HABITS[text]
    found = mistakes(text)[0]
    assert message in found[2]
    assert remedy in found[3]
    assert found[1] == column
    # The way of this language is not mistaken for another's.
    for name in ("Value(", "Record(", "NUMBER", "__ANON", "LPAR", "Token"):
        assert name not in found[2] + found[3]


# ----------------------------------------------------------------------------------------- names of probes


def test_names_of_probes_are_checked_one_by_one() -> None:
    """Probes of an array's neurons have a name for each ensemble; modules and loops count too."""
    text = "array m(9, count=3)\nprobe m spikes as x\n"
    assert places(text + "probe m voltage as x") == [(3, 1)]
    assert mistakes(text + "relay r\nprobe r as x[1]")[0][2] == "two probes are named 'x[1]'"
    used = "module k() { relay r\nprobe r as y }\nuse k() as a\nuse k() as b\n"
    names = {op.name for _, op in loads(used + "relay s\nprobe s as y").nodes() if hasattr(op, "every")}
    assert names == {"a.y", "b.y", "y"}
    dotted = "module k() { relay r\nprobe r as y.z[1] every 2ms }\nuse k() as a\n"
    assert [op.name for _, op in loads(dotted).nodes() if hasattr(op, "every")] == ["a.y.z[1]"]
    assert "probe r every 2ms as y.z[1]\n" in format_text(dotted, "m.spk")
    assert (
        "two probes are named 'a.r'"
        in mistakes("module k() { relay r\nprobe r }\nuse k() as a\nprobe a.r")[0][2]
    )
    assert places("relay r\nfor i in 0..2 { probe r as y }") == [(2, 17)]


def test_clauses_of_a_probe_come_in_any_order() -> None:
    text = "ensemble a(9)\nprobe a as first synapse 10ms\nprobe a every 2ms as second synapse 5ms"
    assert [op.name for _, op in loads(text).nodes(g.Probe)] == ["first", "second"]
    assert "probe a synapse 10ms as first" in format_text(text, "m.spk")
    (found,) = mistakes("ensemble a(9)\nprobe a as x every 2ms as y")
    assert found[:3] == (2, 27, "the probe is named twice")


def test_a_bad_population_is_one_mistake() -> None:
    text = "population a(100, foo=3)\nconnect a -> a transform fixed_indegree(3, weight=1) delay 1ms\n"
    (found,) = mistakes(text + "probe a spikes")
    assert found[:3] == (1, 19, "population has no argument 'foo'")


def test_a_delay_is_proposed_in_whole_steps() -> None:
    text = "population a(9)\nconnect a -> a transform fixed_indegree(3, weight=1)"
    assert "write delay 2ms" in mistakes(text)[0][3]
    assert "write delay 1.5ms" in mistakes("dt 0.1ms\n" + text)[0][3]
