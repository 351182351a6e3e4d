"""Vocabularies of `nengo.spa` and `nengo_spa` as constants, where functions name their pointers."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from nengo.builder import Operator
from nengo.builder.operator import SimPyFunc

from spikec.expressions import Expression, evaluate
from spikec.tracing.functions import cases
from spikec.tracing.limits import UntraceableError
from spikec.tracing.objects import STAND_INS
from spikec.tracing.purity import Captured, kept

# In so many steps a text has to be given for the first time, or to be the only one that is not.
LOOKED_AHEAD = 1_000_000
# Steps that are looked at first, then ten times as many.
FIRST_LOOK = 10_000


class Pointers:
    """A vocabulary that can be read: pointers that it holds, and what is made of them."""

    def __init__(self, vocabulary: Any, note: Callable[[Captured], None]) -> None:
        self._vocabulary, self._note = vocabulary, note
        self._pointers: dict[str, _Pointer] = {}

    def parse(self, text: Any) -> _Pointer:
        """What `Vocabulary.parse` gives.  Raises `UntraceableError` where it would add a pointer."""
        if not isinstance(text, str):
            raise UntraceableError("gives no text for a semantic pointer")
        if text not in self._pointers:
            found = _parsed(self._vocabulary, text)
            if found is None:
                raise UntraceableError(f"names what its vocabulary does not hold, in {text!r}")
            named = _named_in(self._vocabulary, text)
            # To parse the text again at each run took 0.85 of the 0.88 ms of a single step (512 dimensions).
            self._note(Captured(named, kept(named())))
            self._pointers[text] = _Pointer(found)
        return self._pointers[text]

    __getitem__ = parse


class _Pointer:
    def __init__(self, vector: np.ndarray) -> None:
        self.v = vector.copy()
        self.v.setflags(write=False)


class _Extractor:
    """What makes a vector of what a function of a `Transcode` module of `nengo_spa` gives."""

    def __init__(self, extractor: Any, note: Callable[[Captured], None]) -> None:
        self._pointers = Pointers(extractor.vocab, note)

    def __call__(self, value: Any) -> Any:
        if (kind := type(value)).__name__ == "PointerSymbol" and kind.__module__.startswith("nengo_spa."):
            value = value.expr
        if isinstance(value, str):
            return self._pointers.parse(value).v
        return value.v if isinstance(value, _Pointer) else value


class _Symbols:
    """`nengo_spa.sym`: makes symbols that know what is computed with them as a text, and nothing else."""

    def __init__(self, factory: Any, _note: Callable[[Captured], None]) -> None:
        self._factory = factory

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # NumPy asks for what need not exist
            raise AttributeError(name)
        return getattr(self._factory, name)

    def __call__(self, text: str) -> Any:
        return self._factory(text)


STAND_INS["nengo.spa.vocab.Vocabulary"] = Pointers
STAND_INS["nengo_spa.vocabulary.Vocabulary"] = Pointers
STAND_INS["nengo_spa.ast.symbolic.PointerSymbolFactory"] = _Symbols
STAND_INS["nengo_spa.modules.transcode.SpArrayExtractor"] = _Extractor


def _parsed(vocabulary: Any, text: str) -> np.ndarray | None:
    """The vector of a text; None where it names what the vocabulary does not hold."""
    own = copy.copy(vocabulary)
    # What the vocabulary does not hold it would draw, with random numbers that are not for us to take.
    own.readonly = own.strict = True
    own.rng = np.random.RandomState(0)
    try:
        return np.array(own.parse(text).v)
    except Exception:  # any that code in the text raises
        return None


def _named_in(vocabulary: Any, text: str) -> Callable[[], tuple[np.ndarray, ...]]:
    """What gives the vectors of the pointers that a text names; they decide what is made of it."""
    names = [name for name in sorted(_names(text)) if _parsed(vocabulary, name) is not None]
    return lambda: tuple(vocabulary[name].v for name in names)


def complete(order: Sequence[Operator], dt: float) -> None:
    """Add the pointers to vocabularies that inputs of `nengo.spa` name as time goes on: in the order in which
    they come, so that the vocabulary draws for them what it would draw then.

    Vocabularies of which that is not known stay as they are.
    """
    inputs: dict[int, list[tuple[Any, Any]]] = {}
    for op in order:
        if isinstance(op, SimPyFunc) and (found := _named(op.fn)) is not None:
            inputs.setdefault(id(found[0]), []).append(found)
    for given in inputs.values():
        vocabulary, texts = given[0][0], _in_order([function for _, function in given], given[0][0], dt)
        for text in texts:
            vocabulary.parse(text)


def _named(function: Any) -> tuple[Any, Any] | None:
    """The vocabulary and the function of an input of `nengo.spa`; None for any other function."""
    if getattr(function, "__qualname__", "") != "make_parse_func.<locals>.parse_func":
        return None
    held = inspect.getclosurevars(function).nonlocals
    if type(held.get("vocab")).__module__ != "nengo.spa.vocab":
        return None  # others have functions of that name too, among them `nengo_spa`
    return held["vocab"], held["func"]


def _in_order(functions: Sequence[Any], vocabulary: Any, dt: float) -> list[str]:
    """Texts with new names, in the order in which functions give them; none where that is not known."""
    if vocabulary.rng is None or vocabulary.readonly:
        return []
    found = list[tuple[Expression, list[str]]]()
    for function in functions:
        given = cases(function)
        if given is None:
            return []
        found.append(given)
    known, ordered = set(vocabulary.keys), list[str]()
    new = {text: _names(text) for _, texts in found for text in texts if _parsed(vocabulary, text) is None}
    before, steps = 0, min(FIRST_LOOK, LOOKED_AHEAD)
    while True:
        for text in _given(found, dt * np.arange(before + 1, steps + 1, dtype=np.float64)):
            if text in new and not new[text] <= known:
                known |= new[text]
                ordered.append(text)
        late = [text for text, names in new.items() if not names <= known]
        if not late or steps == LOOKED_AHEAD:
            return [] if len(late) > 1 else ordered + late
        before, steps = steps, min(10 * steps, LOOKED_AHEAD)


def _given(found: Sequence[tuple[Expression, list[str]]], times: np.ndarray) -> list[str]:
    """The texts that functions give at some times, in the order in which they come."""
    first = []
    for which, texts in found:
        values = np.broadcast_to(evaluate(which, np.zeros((1, 0)), times), times.shape)
        numbers, places = np.unique(values, return_index=True)
        first += [(int(n), texts[int(k)]) for k, n in zip(numbers, places, strict=True)]
    return [text for _, text in sorted(first, key=lambda one: one[0])]


def _names(text: str) -> frozenset[str]:
    """The names in a text; none where Python cannot read it, which it says when the text is given."""
    try:
        return frozenset(compile(text.lstrip(), "", "eval").co_names)
    except (SyntaxError, ValueError):
        return frozenset()
