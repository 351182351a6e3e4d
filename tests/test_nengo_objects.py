"""Functions that read objects, lists and vocabularies: constants, where nothing changes these in a run."""

# ruff: noqa: ARG002 - functions of users do not need all that they are given

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from converted import Simulator, converted, nengo
from nengo.builder.operator import SimPyFunc

from spikec.expressions import evaluate
from spikec.tracing.functions import trace, why
from spikec.tracing.objects import World

SCHEDULE = [0.1, 0.5, [0.2, 0.7]]
TABLE = {"low": -1.0, "high": np.array([1.0, 2.0])}


class Plant:
    """Constants, methods that compute, and some that do more."""

    gain = 2.0
    __slots__ = ("__dict__", "slot")

    def __init__(self) -> None:
        self.matrix = np.array([[0.0, 1.0], [-1.0, 0.0]])
        self.parts = [0.1, 0.2]
        self.slot = 0.5
        self.inner = SimpleNamespace(factor=3.0)
        self.seen: list[float] = []

    def __call__(self, t: float, x: Any) -> Any:
        return self.dynamics(t, x) + self.slot

    def dynamics(self, t: float, x: Any) -> Any:
        return self.matrix @ x * self.gain + self.parts

    def inside(self, t: float) -> Any:
        return self.inner.factor * self.doubled + self.half(t) + self.of_class(t)

    @property
    def doubled(self) -> float:
        return self.gain * 2

    @staticmethod
    def half(t: float) -> float:
        return t / 2

    @classmethod
    def of_class(cls, t: float) -> float:
        return cls.gain * t

    def remember(self, t: float) -> float:
        self.seen.append(t)
        return t

    def change(self, t: float) -> float:
        self.gain = t
        return t

    def overwrite(self, t: float) -> float:
        self.matrix[0, 0] = t
        return t


PLANT = Plant()
RANDOM = np.random.RandomState(1)
OBJECTS = np.array([[], None], dtype=object)
WEIGHTS = np.ones(2)
LIBRARIES = SimpleNamespace(m=math)


ON, STEPS = {1, 3, 5}, frozenset({2})
# No time that a trace is compared at has 2 whole seconds.
MIXED = {np.int64(2), 2**60 + 1, 10**400, float("nan"), "slow", None}


class Mode(Enum):
    """What a model may be set to."""

    FAST = 2.0
    SLOW = "slow"


class Odd(Enum):
    """An enumeration that does more than name values."""

    ONE = 1

    @property
    def shown(self) -> float:
        return float(len(OBJECTS))


class Filled(Enum):
    """An enumeration of what can change."""

    ARRAY = np.ones(1)
    NUMBER = 1


Filled.NUMBER.parts = [1.0]  # type: ignore[attr-defined]  # nothing keeps users from it
MODE, FILLED = Mode.FAST, Filled.NUMBER


def filled(x: Any) -> Any:
    y = np.zeros(2)
    y[0], y[1] = x[1], -x[0]
    y[0] += 1
    return y


def gathered(x: Any) -> Any:
    found = []
    for k in range(2):
        found.append(x[k] * k)
    return found


def in_object_array(t: float) -> Any:
    OBJECTS[0].append(t)
    return len(OBJECTS[0])


def in_member(t: float) -> Any:
    Filled.ARRAY.value[0] += 1.0
    return t


def in_attribute_of_member(t: float) -> Any:
    FILLED.parts[0] += 1.0  # type: ignore[attr-defined]
    return t


def counted(t: float) -> Any:
    return [SCHEDULE[int(t * 10) % 2], SCHEDULE[min(int(t * 2), 1)]]


HELD: dict[str, tuple[Any, int | None, int]] = {
    "object": (PLANT, 2, 2),
    "method": (PLANT.dynamics, 2, 2),
    "attributes, properties and class methods": (PLANT.inside, None, 1),
    "partial": (partial(lambda k, t: k * t + PLANT.gain, 3.0), None, 1),
    "list in a list": (lambda t: SCHEDULE[2][1] * t, None, 1),
    "dictionary": (lambda t: TABLE["low"] + TABLE["high"] * t, None, 2),
    "a number as an index": (counted, None, 2),
    "what is in a set": (lambda t: [int(t) in ON, int(t) not in STEPS, len(ON) * t], None, 3),
    "member of an enumeration": (lambda t: MODE.value * t if MODE == Mode.FAST else 0.0, None, 1),
    "kinds of numbers in a set": (lambda t: t if int(t) in MIXED else 0.0, None, 1),
    "is a member": (lambda t: t if MODE is Mode.SLOW or MODE.name in ("FAST",) else 0.0, None, 1),
    "module": (lambda t: LIBRARIES.m.cos(t) + LIBRARIES.m.pi, None, 1),
}
CHANGING: dict[str, tuple[Any, str]] = {
    "list of its own": (PLANT.remember, "changes a list that it does not make itself"),
    "attribute": (PLANT.change, "changes self.gain"),
    "array of its own": (PLANT.overwrite, "changes an array that it does not make itself"),
    "array of objects": (in_object_array, "reads an array of objects"),
    "object in an array": (lambda t: OBJECTS[1].gain * t, "reads an array of objects"),
    "global list": (lambda t: SCHEDULE.append(t) or t, "changes the list 'SCHEDULE'"),
    "global dictionary": (lambda t: TABLE.update(a=t) or t, "changes the dictionary 'TABLE'"),
    "index without bounds": (lambda t: SCHEDULE[int(t)], "uses a number that it computes as an index"),
    "new object": (lambda t: Plant() and t, "makes an object of the class Plant"),
    "object as a value": (lambda t: t if PLANT else 0.0, "uses an object of the class Plant as a value"),
    "library": (lambda t: SimpleNamespace(a=t).a, "makes an object of the class SimpleNamespace"),
    "entries of a set": (lambda t: sum(v * t for v in ON), "'Members' object is not iterable"),
    "complex numbers in a set": (
        lambda t: t if t in {2j, 1.0} else 0.0,
        "compares a number with 2j in a set",
    ),
    "array of a member": (in_member, "changes Filled.ARRAY.value[0]"),
    "list of a member": (in_attribute_of_member, "changes FILLED.parts[0]"),
    "enumeration": (lambda t: t * Odd.ONE.shown, "reads an array of objects"),
    "compared": (lambda t: t * (Odd.ONE == Odd.ONE), "uses an object of the class Odd as a value"),
    "random": (lambda t: t * RANDOM.rand(), "draws random numbers"),
}


@pytest.mark.parametrize("name", HELD)
def test_what_objects_hold_is_constant(name: str) -> None:
    function, arguments, size = HELD[name]
    assert trace(function, True, arguments, size) is None
    traced = trace(function, True, arguments, size, held=True)
    assert traced is not None
    assert traced.objects
    generator = np.random.RandomState(5)
    for t in generator.uniform(0, 3, 50):
        x = generator.standard_normal(arguments or 0)
        wanted = function(float(t), *([] if arguments is None else [x]))
        ours = [float(evaluate(e, x, t)) for e in traced.expressions]
        np.testing.assert_allclose(ours, np.broadcast_to(wanted, (size,)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", [filled, gathered])
def test_arrays_and_lists_of_its_own_may_be_filled(function: Callable[[Any], Any]) -> None:
    traced = trace(function, False, 2, 2, held=True)
    assert traced is not None
    x = np.array([0.3, -2.0])
    assert [float(evaluate(e, x)) for e in traced.expressions] == list(function(x))


@pytest.mark.parametrize("name", CHANGING)
def test_what_would_change_objects_stays_python(name: str) -> None:
    function, text = CHANGING[name]
    held = SCHEDULE, TABLE, OBJECTS, PLANT.matrix, PLANT.__dict__, vars(Filled.ARRAY), vars(FILLED)
    before = repr(held)
    found = why(function, True, None, 1, held=True)
    assert found is not None
    assert text in found.text
    assert repr(held) == before


def test_changes_between_runs_are_noticed() -> None:
    """Of attributes, of entries of a list or set, of what a list in an attribute holds."""
    plant, rates, on = Plant(), [1.0, 2.0], {1, 2}
    with nengo.Network() as net:
        nengo.Probe(nengo.Node(lambda t: plant.gain * t + rates[1] + plant.parts[0] + (int(t) in on)))
    made = converted(net)
    assert not made.calls
    for change, back in (
        (lambda: setattr(plant, "gain", 7.0), lambda: setattr(plant, "gain", 2.0)),
        (lambda: rates.append(3.0), lambda: rates.pop()),
        (lambda: plant.parts.__setitem__(0, 3.0), lambda: plant.parts.__setitem__(0, 0.1)),
        (lambda: on.add(4), lambda: on.remove(4)),
    ):
        assert made.current()
        change()
        assert not made.current()
        back()


WEIGHTS = np.arange(12.0).reshape(4, 3)


class Rows:
    """Many calls of one method, of a property, and of a function, that read arrays and a list."""

    def __init__(self) -> None:
        self.bias, self.steps = np.arange(4.0), [1.0, 2.0]

    def row(self, k: int) -> Any:
        return WEIGHTS[k, 0] + self.bias[k] * self.doubled + self.steps[1]

    @property
    def doubled(self) -> float:
        return self.steps[0] * 2

    def __call__(self, t: float) -> Any:
        return sum(self.row(k % 4) for k in range(100)) * t


def test_each_place_is_noted_once() -> None:
    """However often methods are called, and one stand-in is made of each array and list."""
    rows = Rows()
    traced = trace(rows, True, None, 1, held=True)
    assert traced is not None
    places = [found for found in traced.captured if isinstance(found.value, (np.ndarray, list))]
    assert len(places) == 3
    assert len(traced.captured) < 10
    world = World({}, held=True)
    for read in (rows.bias, rows.steps, Rows.row):
        assert world.value(read) is world.value(read)
    rows.steps[0] = 7.0
    assert not all(found.same() for found in traced.captured)


class Parts:
    """What a class may hold that is called."""

    def method(self, t: float) -> float:
        return t

    @property
    def shown(self) -> float:
        return 1.0

    @staticmethod
    def fixed(t: float) -> float:
        return t

    @classmethod
    def of_class(cls, t: float) -> float:
        return t

    def __call__(self, t: float) -> float:
        return self.method(t) + self.shown + self.fixed(t) + self.of_class(t)


@pytest.mark.parametrize("name", ["method", "shown", "fixed", "of_class", "__call__"])
def test_what_replaces_a_part_of_a_class_is_noticed(name: str) -> None:
    own: Any = type("Own", (Parts,), {})
    traced = trace(own(), True, None, 1, held=True)
    assert traced is not None
    assert all(found.same() for found in traced.captured)
    wrap = {"shown": property, "fixed": staticmethod, "of_class": classmethod}.get(name, lambda f: f)
    setattr(own, name, wrap(lambda *_: 5.0))
    assert not all(found.same() for found in traced.captured)


def test_what_a_partial_adds_is_looked_at() -> None:
    gains, table = [1.0, 2.0], np.ones(2)
    traced = trace(partial(lambda g, t, w: g[1] * t + w[0], gains, w=table), True, None, 1, held=True)
    assert traced is not None
    assert all(found.same() for found in traced.captured)
    for given in (gains, table):
        given[0] += 1.0
        assert not all(found.same() for found in traced.captured)
        given[0] -= 1.0


def test_python_beside_it_could_change_what_a_function_reads() -> None:
    """So then it runs in Python too, and sees each change in the step."""
    plant = Plant()
    with nengo.Network() as net:
        nengo.Node(plant.change, size_out=1)
        shown = nengo.Probe(nengo.Node(lambda t: plant.gain * 2 + 0 * t))
        plain = nengo.Node(lambda t: t * 2)
        nengo.Probe(plain)
    ran = [op for call in converted(net).host_calls for op in call.operators if isinstance(op, SimPyFunc)]
    assert [op.fn for op in ran] == [plant.change, shown.obj.output]
    with Simulator(net, progress_bar=False) as simulator:
        simulator.run_steps(5)
        np.testing.assert_allclose(simulator.data[shown][1:, 0], 2e-3 * np.arange(2, 6))


def test_functions_that_share_nothing_with_python_beside_them_are_compiled() -> None:
    """Even where they read objects, arrays and numbers."""
    plant, count = Plant(), []
    with nengo.Network() as net:
        nengo.Node(lambda t: count.append(t))
        nengo.Probe(nengo.Node(lambda t: plant.gain * t + WEIGHTS[1]))
    (call,) = converted(net).host_calls
    assert len([op for op in call.operators if isinstance(op, SimPyFunc)]) == 1
