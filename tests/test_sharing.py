"""Which functions are taken to share what they can change."""

# ruff: noqa: ARG005

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.stats

from spikec.sharing import families

TABLE: list[int] = []
WEIGHTS = np.ones(3)
total = 0


def adds(t: float) -> float:
    global total
    total += 1
    return t


def reads(t: float) -> float:
    return t + total


class Handed:
    count = 0


class SecondHanded:
    count = 0


class ThirdHanded:
    count = 0


class FourthHanded:
    count = 0


class FifthHanded:
    count = 0


class Handing:
    def reads(self, t: float) -> float:
        return t + SecondHanded().count


FOURTH = FourthHanded()


def bumps(kind: Any, t: float = 0.0) -> float:
    kind.count += 1
    return t + float(kind.count)


def bumps_class(value: Any) -> float:
    type(value).count += 1
    return float(value.count)


def imports(t: float) -> Any:
    import antigravity_of_tests  # type: ignore[import-not-found]

    return antigravity_of_tests.next(t)


def imports_too(t: float) -> Any:
    import antigravity_of_tests

    return antigravity_of_tests.last(t)


def closures() -> dict[str, Callable[..., Any]]:
    gain, count, kept = 2.0, 0, {"a": 1}
    rng, generator = np.random.RandomState(1), random.Random(2)

    def counts(t: float) -> float:
        nonlocal count
        count += 1
        return t

    class Env:
        size = 3

        def __init__(self) -> None:
            self.x = 0.0

        def step(self, t: float) -> float:
            self.x += t
            return self.x + self.size

    class Counter(Env):
        def step(self, t: float) -> float:
            type(self).size += 1
            return t

    env, other, counter, second = Env(), Env(), Counter(), Counter()
    return {
        "scaled": lambda t: gain * np.sin(t),
        "scaled too": lambda t: gain * t,
        "counts": counts,
        "tells the count": lambda t: count * t,
        "keeps": lambda t: kept.update(a=t) or t,
        "tells what is kept": lambda t: kept["a"],
        "draws": lambda t: rng.normal(),
        "draws too": rng.normal,
        "of Python": lambda t: generator.random(),
        "env": env.step,
        "env too": lambda t: env.x,
        "other env": other.step,
        "counter": counter.step,
        "second counter": second.step,
        "of a table": lambda t: TABLE.append(t) or t,
        "of a table by an argument": functools.partial(lambda t, table: t, table=TABLE),
        "weights": lambda t: WEIGHTS[0],
        "a part of the weights": lambda t, part=WEIGHTS[1:]: part[0],
        "adds": adds,
        "reads": reads,
        "global random": lambda t: np.random.rand(),
        "global random too": lambda t: random.random(),
        "hands a class to a helper": lambda t: bumps(Handed),
        "reads that class": lambda t: Handed.count,
        "hands another class": lambda t: bumps(SecondHanded),
        "reads it in an object": Handing().reads,
        "has a class of its own counted": functools.partial(bumps, ThirdHanded),
        "reads the counted class": lambda t, kind=ThirdHanded: kind.count,
        "counts the class of an object": lambda t: bumps_class(FOURTH),
        "reads the class of the object": lambda t: FourthHanded.count,
        "makes an object of a class": lambda t: bumps(FifthHanded()),
        "makes another object of that class": lambda t: bumps(FifthHanded()),
        "imports": imports,
        "imports the same": imports_too,
        "a file": lambda t: open("x").read(),
        "a file too": lambda t: open("y").read(),
    }


FUNCTIONS = closures()
PAIRS = {
    "counts": "tells the count", "keeps": "tells what is kept", "draws": "draws too", "env": "env too",
    "counter": "second counter", "of a table": "of a table by an argument", "adds": "reads",
    "weights": "a part of the weights", "hands a class to a helper": "reads that class",
    "hands another class": "reads it in an object", "imports": "imports the same",
    "has a class of its own counted": "reads the counted class",
    "counts the class of an object": "reads the class of the object",
    "a file": "a file too", "global random": "global random too",
}  # fmt: skip


@pytest.mark.parametrize("one", PAIRS)
def test_what_two_functions_can_change_joins_them(one: str) -> None:
    functions = [FUNCTIONS["scaled"], FUNCTIONS[one], FUNCTIONS[PAIRS[one]]]
    assert families([[f] for f in functions], [()] * 3) == [0, 1, 1]


def test_functions_that_hold_very_much_are_taken_to_share() -> None:
    pairs = [[k] for k in range(500)]
    functions = [[lambda t: pairs[0]], [FUNCTIONS["scaled"]]]
    assert families(functions, [()] * 2) == families(functions, [()] * 2, most=1000) == [0, 1]
    assert families(functions, [()] * 2, most=100) == [0, 0]


def test_what_shares_nothing_is_apart() -> None:
    names = [name for name in FUNCTIONS if name not in PAIRS.values() and name != "of Python"]
    assert families([[FUNCTIONS[name]] for name in names], [()] * len(names)) == list(range(len(names)))


class Held:
    count = 0.0

    @classmethod
    def counts(cls, t: float) -> None:
        cls.late = t  # type: ignore[attr-defined]


class Slots:
    __slots__ = ("x",)
    x: float

    def __call__(self, t: float) -> float:
        self.x = t
        return t


@dataclass
class Data:
    x: float = 1.0

    def __call__(self, t: float) -> float:
        self.x = t
        return self.x


class Plain(Slots):
    y: float = 1.0

    @property
    def doubled(self) -> float:
        return self.x * 2

    @staticmethod
    def half(t: float) -> float:
        return t / 2

    def __call__(self, t: float) -> float:
        self.x = self.half(t)
        return self.doubled + self.y


def marked(t: float) -> float:
    marked.late = t  # type: ignore[attr-defined]
    return t


def sets_count(t: float) -> float:
    Held.count = t
    return t


def adds_to_count(t: float) -> float:
    Held.count += t
    return t


def sets_by_name(t: float) -> float:
    setattr(Held, "count", t)  # noqa: B010
    return t


def sets_here(t: float) -> float:
    sys.modules[__name__].total = t  # type: ignore[attr-defined]
    return t


def sets_this_module(t: float) -> float:
    import test_sharing as me

    me.total = t  # type: ignore[assignment]
    return t


PART = np.zeros(4)
FIRST, ALL = PART[:2], PART
PART.flags.writeable = False


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        (sets_count, lambda t: Held.count),
        (adds_to_count, lambda t: Held.count),
        (sets_by_name, lambda t: Held.count),
        (Held.counts, lambda t: Held.late),  # type: ignore[attr-defined]
        (marked, lambda t: getattr(marked, "late", 0)),
        (sets_here, reads),
        (sets_this_module, reads),
        (lambda t: scipy.stats.norm.rvs(), lambda t: scipy.stats.norm.rvs()),
        (lambda t: FIRST.fill(t), lambda t: ALL[0]),
    ],
)
def test_what_is_set_from_outside_is_shared(writer: Any, reader: Any) -> None:
    assert families([[writer], [reader], [lambda t: t]], [()] * 3) == [0, 0, 2]


@pytest.mark.parametrize("kind", [Slots, Data, Plain])
def test_objects_of_a_class_that_none_changes_are_apart(kind: Any) -> None:
    assert families([[kind()], [kind()]], [()] * 2) == [0, 1]


def test_all_that_are_joined_by_others_are_one_family() -> None:
    a, b, c = [1], [2], [3]
    roots = [[lambda: a], [lambda: c], [lambda: (b, c)], [lambda: 4], [lambda: (a, b)]]
    assert families(roots, [()] * 5) == [0, 0, 0, 3, 0]
    assert families(roots, [(), (), (), (a,), (a,)]) == [0] * 5
    assert families(roots, [()] * 5, skipped=(list,)) == [0, 1, 2, 3, 4]


def test_code_of_no_file_is_the_users() -> None:
    """As in a notebook, or where a text is executed: a graphical interface says the file, and no name."""
    text = """
class Kept:
    values = []

    def add(self, t):
        self.values.append(t)
        return t

one, two, three = Kept().add, Kept().add, lambda t: 2 * t
"""
    for names in ({}, {"__name__": "of_no_file"}, {"__file__": "/home/model.py"}):
        exec(text, names)
        roots = [[names[name]] for name in ("three", "one", "two", "three")]  # type: ignore[index]
        assert families(roots, [()] * 4) == [0, 1, 1, 3]
