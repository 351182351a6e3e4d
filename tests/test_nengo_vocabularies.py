"""Vocabularies of `nengo.spa` that functions name: they grow as they would in time, without Python."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from converted import converted, nengo, reference, run

from spikec.expressions import evaluate
from spikec.nengo import pointers


def spoken(words: list[Callable[[float], str]]) -> Any:
    """Inputs of `nengo.spa` by functions, of one vocabulary."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nengo import spa

        with spa.SPA(seed=1) as model:
            for k, function in enumerate(words):
                setattr(model, f"b{k}", spa.Buffer(16, neurons_per_dimension=5))
                setattr(model, f"i{k}", spa.Input(**{f"b{k}": function}))
                model.probes_of = [nengo.Probe(getattr(model, f"i{k}").input_nodes[f"b{k}"])]
    return model


def test_vocabularies_grow_as_they_would_in_time() -> None:
    """Names that come later are drawn in the order in which they come, and no others."""
    words = [
        lambda t: "A" if t < 0.004 else ("B" if t < 0.012 else "C*D"),
        lambda t: "E" if t < 0.008 else "F+A",
    ]
    ours, theirs = spoken(words), spoken(words)
    made = converted(ours)
    assert not made.calls
    with nengo.Simulator(theirs, progress_bar=False) as simulator:
        simulator.run_steps(20)
    vocabularies = [net.get_default_vocab(16) for net in (ours, theirs)]
    assert vocabularies[0].keys == vocabularies[1].keys == ["A", "E", "B", "F", "C", "D"]
    assert np.array_equal(vocabularies[0].vectors, vocabularies[1].vectors)


def test_names_of_which_nobody_knows_when_they_come_stay_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that are given after all steps that are looked at, and what else may be asked of a vocabulary."""
    monkeypatch.setattr(pointers, "LOOKED_AHEAD", 50)
    late = [lambda t: "A" if t < 1 else "B", lambda t: "A" if t < 2 else "C"]
    net = spoken(late)
    assert converted(net).calls
    assert net.get_default_vocab(16).keys == ["A"]
    assert not converted(spoken(late[:1])).calls


def test_steps_are_looked_at_once_for_each_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for each text; no further than until all names have come, and pairs that never come need none."""
    looked = []

    def watched(which: Any, x: Any, times: Any) -> Any:
        looked.append(len(times))
        return evaluate(which, x, times)

    monkeypatch.setattr(pointers, "evaluate", watched)
    names = [f"W{k}" for k in range(3)]
    net = spoken([lambda t: names[int(t / 0.01) % 3] + "*" + (names[0] if t < 0.01 else names[1])])
    made = converted(net)
    assert not made.calls
    assert looked == [pointers.FIRST_LOOK]
    assert net.get_default_vocab(16).keys == ["W0", "W1", "W2"]
    vocabulary = net.get_default_vocab(16)
    read = [vocabulary["W1"].v, vocabulary["W2"].v]
    values = [found.value for found in made._captured if type(found.value) is tuple and len(found.value) == 2]
    assert len([value for value in values if np.array_equal(value, read)]) == 1


def test_nothing_is_looked_at_where_a_function_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Any] = []
    monkeypatch.setattr(pointers, "evaluate", lambda *given: looked.append(given))
    assert converted(
        spoken([lambda t: "A" if t < 1 else "B", lambda t: "CD"[np.random.randint(2) if t else 0]])
    ).calls
    assert not looked


class Vocabulary:
    """What is used of one of `nengo_spa`."""

    def __init__(self, **vectors: list[float]) -> None:
        self.strict, self.held, self.asked = False, {k: np.array(v) for k, v in vectors.items()}, 0

    def parse(self, text: str) -> Any:
        if text not in self.held and not self.strict:
            self.asked += 1
            self.held[text] = np.full(2, 9.0)
        return SimpleNamespace(v=self.held[text])

    __getitem__ = parse


class PointerSymbol:
    """What is computed with pointers of `nengo_spa`, as a text."""

    def __init__(self, expr: str) -> None:
        self.expr = expr

    def __mul__(self, other: PointerSymbol) -> PointerSymbol:
        return PointerSymbol(f"{self.expr} * {other.expr}")


class PointerSymbolFactory:
    """`nengo_spa.sym`."""

    def __getattribute__(self, name: str) -> PointerSymbol:
        return PointerSymbol(name)

    def __call__(self, text: str) -> PointerSymbol:
        return PointerSymbol(text)


class SpArrayExtractor:
    """What `nengo_spa` makes vectors with, of what functions give."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocab = vocabulary

    def __call__(self, value: Any) -> Any:
        value = value.expr if isinstance(value, PointerSymbol) else value
        return self.vocab.parse(value).v if isinstance(value, str) else getattr(value, "v", value)


def make_parse_func(function: Callable[[float], Any], vocabulary: Vocabulary) -> Callable[[float], Any]:
    extractor = SpArrayExtractor(vocabulary)

    def parse_func(*given: float) -> Any:
        return extractor(function(*given))

    return parse_func


@pytest.fixture
def of_nengo_spa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Vocabulary, "__module__", "nengo_spa.vocabulary")
    monkeypatch.setattr(SpArrayExtractor, "__module__", "nengo_spa.modules.transcode")
    for symbolic in (PointerSymbol, PointerSymbolFactory):
        monkeypatch.setattr(symbolic, "__module__", "nengo_spa.ast.symbolic")


def named(function: Callable[[float], Any], vocabulary: Vocabulary) -> nengo.Network:
    with nengo.Network(seed=1) as net:
        net.p = nengo.Probe(nengo.Node(make_parse_func(function, vocabulary), size_out=2))
    return net


def test_functions_of_the_same_name_in_other_packages() -> None:
    """`nengo_spa` has a `make_parse_func` too, as anybody may: no vocabulary of `nengo.spa` is in it."""
    net = named(lambda t: "A" if t < 0.003 else "B", Vocabulary(A=[1, 2], B=[3, 4]))
    assert np.array_equal(run(net, 5)[net.p], reference(net, 5)[net.p])


@pytest.mark.usefixtures("of_nengo_spa")
def test_pointers_of_nengo_spa_without_python() -> None:
    vocabulary = Vocabulary(A=[1, 2], B=[3, 4])
    for function in (
        lambda t: "A" if t < 0.003 else "B",
        lambda t: vocabulary.parse("A") if t < 0.003 else t,
    ):
        net = named(function, vocabulary)
        assert not converted(net).calls
        assert np.array_equal(run(net, 5)[net.p], reference(net, 5)[net.p])


@pytest.mark.usefixtures("of_nengo_spa")
def test_symbols_of_nengo_spa_without_python() -> None:
    vocabulary, sym = Vocabulary(**{"A": [1, 2], "B": [3, 4], "A * B": [5, 6]}), PointerSymbolFactory()
    spa = SimpleNamespace(sym=sym)
    for function in (
        lambda t: sym.A if t < 0.003 else sym.A * sym.B,
        lambda t: spa.sym("A * B") if t < 0.003 else spa.sym.B,
    ):
        net = named(function, vocabulary)
        assert not converted(net).calls
        assert np.array_equal(run(net, 5)[net.p], reference(net, 5)[net.p])
    assert converted(named(lambda t: sym.New if t < 0.003 else sym.A, vocabulary)).calls


@pytest.mark.usefixtures("of_nengo_spa")
def test_what_a_vocabulary_of_nengo_spa_would_draw_stays_python() -> None:
    vocabulary = Vocabulary(A=[1, 2])
    assert converted(named(lambda t: "A" if t < 0.003 else "New", vocabulary)).calls
    assert vocabulary.asked == 0


def test_pointers_that_change_between_runs_are_noticed() -> None:
    net = spoken([lambda t: "A * B" if t < 0.003 else "C"])
    vocabulary = net.get_default_vocab(16)
    for name in "ABCD":
        vocabulary.parse(name)
    made = converted(net)
    assert not made.calls
    vocabulary["D"].v *= 2  # which nothing reads
    assert made.current()
    vocabulary["B"].v *= 2
    assert not made.current()
