"""Fuzzing: whatever the text, the front end gives a graph or a `ModelError`, never a crash or a hang."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.errors import ModelError
from spikec.frontend import loads

_WORDS = """
    model param let seed dt import defaults input ensemble array node relay function connect probe use
    module repeat port for if else in as from every via synapse transform delay solver eval_points
    learning ideal spikes voltage linear pes voja
    a b x t n i stim neurons dims count radius encoders neuron lif direct tanh uniform gaussian choice
    lowpass alpha none white_signal white_noise piecewise lstsq_l2 integrator product load sin max sum
    identity     zeros pi 0 1 2 3 100 0.5 5ms 1s 5Hz 2kHz 3mz 1e9 1e999
    -> - + * / % @ ^ < == ( ) [ ] { } , ; : = . .. # " "w.npy"
"""
WORDS = [*_WORDS.split(), "\n"]

MODEL = """model m
param n = 10
defaults ensemble { neuron = lif(tau_rc=20ms), max_rates = uniform(200Hz, 400Hz) }
input stim(t) = [sin(2*pi*t), t]
input noise = white_signal(period=1s, high=5Hz, rms=0.5)
ensemble a(4*n, dims=2, encoders=choice([[1,1],[1,-1]]))
array m(n, count=4)
connect stim -> a[0:2] synapse none
connect a -> m[0] via x[0]*x[1] synapse lowpass(5ms) transform 0.5
module g(k, tau=10ms) { port in; ensemble x(k); connect in -> x synapse tau; connect x -> x transform [[1]] }
use g(n) as h
for i in 0..4 { connect m[i] -> h.in }
probe m synapse 30ms every 1ms as memory
probe a.neurons spikes
"""


def attempt(text: str) -> None:
    """Any mistake must be a `ModelError` that renders and points into the text."""
    try:
        loads(text, "m.spk", memory_limit=10_000_000)
    except ModelError as error:
        check(error, len(text.splitlines()) + 1)


def check(error: ModelError, lines: int) -> None:
    assert error.diagnostics
    assert str(error)
    for diagnostic in error.diagnostics:
        assert diagnostic.message
        assert diagnostic.hint
        if diagnostic.span is not None and diagnostic.span.file == "m.spk":
            assert 1 <= diagnostic.span.line <= lines


@settings(max_examples=200, deadline=5000, derandomize=True)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    attempt(text)


@settings(max_examples=300, deadline=5000, derandomize=True)
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_words_of_the_language(words: list[str]) -> None:
    attempt(" ".join(words))


TOKENS = MODEL.replace("\n", " \n ").split(" ")


@settings(max_examples=300, deadline=5000, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, len(TOKENS) - 1), st.sampled_from(WORDS)), min_size=1, max_size=4),
    st.sampled_from(["replace", "insert", "delete"]),
)
def test_a_model_with_words_changed(edits: list[tuple[int, str]], kind: str) -> None:
    tokens = list(TOKENS)
    for place, word in edits:
        stop = place if kind == "insert" else place + 1
        tokens[place:stop] = [] if kind == "delete" else [word]
    attempt(" ".join(tokens))


@settings(max_examples=300, deadline=5000, derandomize=True)
@given(st.integers(0, len(MODEL)), st.integers(0, 12), st.text(max_size=4))
def test_a_model_with_characters_changed(place: int, removed: int, added: str) -> None:
    attempt(MODEL[:place] + added + MODEL[place + removed :])


def test_the_model_that_is_changed_is_right() -> None:
    assert "memory" in {op.name for _, op in loads(MODEL).nodes() if hasattr(op, "name")}
