"""Python functions as expressions: those that are simple, and none that is not."""

# ruff: noqa: ARG005 - functions of users do not need all that they are given
from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from math import sin
from typing import Any

import numpy as np
import pytest
from converted import Simulator, converted, nengo

from spikec.expressions import evaluate, to_text
from spikec.tracing.functions import trace, why

GAIN = 3.0
VECTOR = np.array([1.0, 2.0])
LIST = [1.0]
rng = np.random.RandomState(1)


def steps(t: float) -> Any:
    if t < 0.1:
        return 0
    elif t < 0.2:
        return 1.0
    return [-1.0]


def helper(x: Any) -> Any:
    return x * GAIN


def phase(p: int, dimensions: int = 3) -> Callable[[float], Any]:
    return lambda t, q=p: np.sin(2 * np.pi * t + q + np.arange(dimensions)) / 2


COMPILED: dict[str, tuple[Any, bool, int | None, int]] = {
    "closure and default": (phase(1), True, None, 3),
    "branches": (steps, True, None, 1),
    "one number for all": (lambda t: t, True, None, 4),
    "chained comparison": (lambda t: 1 if 0.1 < t < 0.5 else 0, True, None, 1),
    "whole numbers": (lambda t: int(t / 0.1) % 2, True, None, 1),
    "floor division": (lambda t: (t // 0.1) * 0.1, True, None, 1),
    "a set": (lambda t: 1.0 if int(t / 0.1) in {1, 3} else 0.0, True, None, 1),
    "math": (lambda t: math.exp(-t) + sin(t), True, None, 1),
    "both": (lambda t, x: x * sin(t), True, 2, 2),
    "list": (lambda x: [x[0] * x[1], x[1] - 8 / 3], False, 2, 2),
    "comprehension": (lambda x: [x[i] * x[(i + 1) % 3] for i in range(3)], False, 3, 3),
    "captured function": (lambda x: helper(x) + VECTOR, False, 2, 2),
    "norm": (lambda x: np.sqrt(x[0] ** 2 + x[1] ** 2), False, 2, 1),
    "dot": (lambda x: np.dot(x, x) + x.dot(VECTOR), False, 2, 1),
    "matrix": (lambda x: np.array([[1, 2], [3, 4]]) @ x, False, 2, 2),
    "clip": (lambda x: np.clip(x, -1, 1) + np.maximum(x, 0), False, 2, 2),
    "logistic": (lambda x: 1 / (1 + np.exp(-x)), False, 1, 1),
    "min and max": (lambda x: min(x[0], 0.5) + max(x), False, 2, 1),
    "branch on x": (lambda x: x[0] if x[1] > 0 else -x[0], False, 2, 1),
    "comparison": (lambda x: x > 0.5, False, 2, 2),
    "NumPy's own": (np.square, False, 2, 2),
    "nothing of x": (lambda x: np.zeros(3), False, 2, 3),
    "many entries": (lambda x: np.where(x > 0, x, 0.5 * x) * (x < 1), False, 20, 20),
    "where": (lambda x: np.where(x > 0, x, 0.5 * x), False, 2, 2),
}
# Functions of NumPy that are made of others, of two numbers.
COMPOSED: list[tuple[Any, int]] = [
    (lambda x: np.max(x) - np.amin(x) + np.ptp(x), 1), (lambda x: np.round(x * 3) + np.around(x, 1), 2),
    (lambda x: np.trunc(x) + np.fix(2 * x), 2), (lambda x: np.radians(np.degrees(x)), 2),
    (lambda x: np.hypot(x[0], x[1]) + np.cbrt(x), 2), (lambda x: np.log1p(x**2) + np.expm1(-(x**2)), 2),
    (lambda x: np.arcsinh(x) + np.arccosh(x**2 + 1), 2), (lambda x: np.exp2(-(x**2)) + 2 ** np.tanh(x), 2),
    (lambda x: np.fmax(x, 0) + np.fmin(x, 1) + np.fabs(x), 2), (lambda x: np.heaviside(x, 0.5), 2),
    (lambda x: np.logical_and(x > 0, x < 1) + np.logical_or(x > 1, x < -1), 2),
    (lambda x: np.logical_xor(x > 0, x[0] > x[1]) * 1 + np.logical_not(x > 0), 2),
    (lambda x: np.isclose(x, 0.3, atol=0.5), 2), (lambda x: np.interp(x, [-1, 0, 2], [3, 0, 1.5]), 2),
    (lambda x: np.polyval([1, -2, 3], x), 2), (lambda x: np.select([x > 1, x > 0], [x, 2 * x], -1), 2),
    (lambda x: [np.argmax(x), np.argmin(x)], 2), (lambda x: np.any(x > 0) + 2.0 * np.all(x > 0), 1),
    (lambda x: np.average(x) + np.var(x) + np.std(x), 1), (lambda x: np.array(x, dtype=float) * 2, 2),
    (lambda x: np.cross([x[0], x[1], 0], [0, 0, 1.0]), 3),
    (lambda x: np.diff(x) + np.reciprocal(x[1] ** 2 + 1), 1),
    (lambda x: x[x > 0.5].sum() + np.sum(x < 0), 1), (lambda x: ((x > 0) & (x < 1)) | ~(x > -1), 2),
    (lambda x: np.sort([x[0], 0.2, x[1], -0.1, x[0]]), 5), (lambda x: np.median([*x, 0.1]) + np.median(x), 1),
    (lambda x: np.average(x, weights=[1, 3]) + np.count_nonzero(x > 0), 1), (lambda x: sorted(x), 2),
    (lambda x: np.einsum("i,ij->j", x, [[1, 2], [3, 4]]) + np.tensordot(x, x, 1) + np.vdot(x, x), 2),
    (lambda x: np.convolve(x, [1, 0.5]) + np.append(x, 1) + np.insert(x, 1, 2.0), 3),
    (lambda x: np.kron(x, [1, 2]) + np.delete([1, 2, *x, 3], 1), 4), (lambda x: np.cumprod(x), 2),
    (lambda x: np.correlate(x, [1, 2]) + math.hypot(x[0], 2) + math.degrees(x[1]) + math.radians(x[0]), 1),
    (lambda x: divmod(x[0], 0.5), 2), (lambda x: np.round(np.array([0.4, 1.6])), 2),
]  # fmt: skip
COMPILED |= {f"composed {k}": (f, False, 2, size) for k, (f, size) in enumerate(COMPOSED)}
KEPT: dict[str, tuple[Any, bool, int | None, int]] = {
    "global that it sets": (lambda t: globals().update(T=t) or t, True, None, 1),
    "list that may change": (lambda t: LIST[0], True, None, 1),
    "effect": (lambda t: LIST.append(t) or t, True, None, 1),
    "random": (lambda t: random.random(), True, None, 1),
    "random array": (lambda t: rng.rand(), True, None, 1),
    "printing": (lambda t: sys.stderr.write(str(t)) and t, True, None, 1),
    "division by 0": (lambda x: 1 / x, False, 1, 1),
    "root of what may be negative": (lambda x: np.sqrt(x), False, 1, 1),
    "nothing given": (lambda t: None, True, None, 1),
    "wrong length": (lambda t: [t, t, t], True, None, 2),
    "too long": (lambda x: np.prod(np.outer(x, x)), False, 30, 1),
    "array that it changes": (lambda x: VECTOR.__iadd__(x), False, 2, 2),
    "transform": (lambda x: np.fft.fft(x).real, False, 3, 3),
    "sorting many": (lambda x: np.sort(x), False, 6, 6),
    "sorting rows": (lambda x: np.sort(np.outer(x, [1, -1])).ravel(), False, 2, 4),
    "sorting backwards": (lambda x: sorted(x, reverse=True), False, 2, 2),
    "a class": (type("F", (), {"__call__": lambda self, t: t})(), True, None, 1),
}


@pytest.mark.parametrize("name", COMPILED)
def test_simple_functions_are_expressions(name: str) -> None:
    function, time, arguments, size = COMPILED[name]
    traced = trace(function, time, arguments, size)
    assert traced is not None
    assert len(traced.expressions) == size
    generator = np.random.RandomState(5)
    for t in generator.uniform(0, 3, 50):
        x = generator.standard_normal(arguments or 0)
        given = [float(t)] * time + ([] if arguments is None else [x])
        expected = np.broadcast_to(np.asarray(function(*given), float), (size,))
        ours = [float(evaluate(e, x, t)) for e in traced.expressions]
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", KEPT)
def test_all_others_run_as_they_are(name: str) -> None:
    before = (list(LIST), VECTOR.copy())
    assert trace(*KEPT[name]) is None
    assert before[0] == LIST
    assert np.array_equal(before[1], VECTOR)


def branching(x: Any) -> Any:
    y = x[0] - x[1]
    return y / (x[0] * x[1])


def logging(t: float, log: list[float] = []) -> float:  # noqa: B006 - what users write
    log.append(t)
    return t


def drawing(t: float) -> Any:
    return t * np.random.rand()


def counting(t: float) -> float:
    global GAIN
    GAIN = t
    return t


def through_another(t: float) -> Any:
    return 2 * logging(t)


def reading(t: float) -> float:
    with open("data.txt") as file:
        return t * float(file.readline())


REASONS: dict[str, tuple[Any, int | None, int, str, int]] = {
    "division": (branching, 2, 1, "may divide by 0 ((x[0] - x[1]) / (x[0] * x[1]))", 2),
    "file": (reading, None, 1, "calls open(), which does more than compute", 1),
    "list of its own": (logging, None, 1, "changes 'log'", 1),
    "global list": (KEPT["effect"][0], None, 1, "changes the list 'LIST'", 0),
    "list that is read": (lambda t: LIST[0], None, 1, "reads the list 'LIST', which may change", 0),
    "random": (drawing, None, 1, "draws random numbers (np.random)", 1),
    "generator": (KEPT["random array"][0], None, 1, "draws random numbers (rng)", 0),
    "global": (counting, None, 1, "sets the global variable 'GAIN'", 2),
    "entry": (lambda x: x.__setitem__(0, 1), 2, 1, "uses x.__setitem__, which may do more than compute", 0),
    "index": (lambda x: VECTOR[int(x[0])], 2, 1, "uses a number that it computes as an index", 0),
    "transform": (KEPT["transform"][0], 3, 3, "uses np.fft, which may do more than compute", 0),
    "sorting": (KEPT["sorting many"][0], 6, 6, "sorts more than 5 numbers", 0),
    "growth": (lambda x: 2 * np.exp(x), 2, 2, "may grow beyond all numbers (exp(x[0]))", 0),
    "nothing": (lambda t: None, None, 1, "gives nothing", 0),
    "length": (lambda t: [t, t], None, 3, "gives 2 numbers where 3 are wanted", 0),
    "text": (lambda t: f"{t}", None, 1, "makes text", 0),
    "exception": (lambda x: x << 2, 1, 1, "fails as it is followed (TypeError: "
                  "unsupported operand type(s) for <<: 'float' and 'int')",
                  0),
}  # fmt: skip


@pytest.mark.parametrize("name", REASONS)
def test_what_is_more_than_computing_is_told(name: str) -> None:
    """With its line, counted from that of the function."""
    function, arguments, size, text, line = REASONS[name]
    found = why(function, arguments is None, arguments, size)
    assert found is not None
    assert found.text == text
    assert found.file == __file__
    assert found.line == function.__code__.co_firstlineno + line


def test_a_reason_lies_in_the_function_that_is_called() -> None:
    found = why(through_another, True, None, 1)
    assert found == why(logging, True, None, 1)


def test_what_is_no_function_is_told() -> None:
    methods = {rng.rand: "draws random numbers", np.random.rand: "draws random numbers"}
    methods[KEPT["a class"][0]] = "is an object of the class F, which may change"
    methods[LIST.append] = "is append(), which may do more than compute"
    methods[np.fft.fft] = "is fft(), which may do more than compute"
    for function, text in methods.items():
        found = why(function, True, None, 1)
        assert found is not None
        assert found.text == text


class Parameters(dict[str, float]):
    """A dictionary that raises KeyError for attributes that it has not, as many do."""

    __getattr__ = dict.__getitem__


def test_objects_that_raise_what_they_like_are_told() -> None:
    p = Parameters(gain=2.0)
    found = why(lambda t: t * p.gain, True, None, 1)
    assert found is not None
    assert found.text == "uses 'p', an object of the class Parameters, which may change"
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: t * p.gain))
    with Simulator(net) as sim:
        sim.run_steps(3)
    assert np.array_equal(sim.data[probe][:, 0], 2.0 * sim.trange())


@pytest.mark.parametrize("name", COMPILED)
def test_there_is_no_reason_against_simple_functions(name: str) -> None:
    assert why(*COMPILED[name]) is None


def test_expressions_read_as_the_function_does() -> None:
    traced = trace(steps, True, None, 1)
    assert traced is not None
    assert to_text(traced.expressions[0]) == "select(t < 0.1, 0, select(t < 0.2, 1, -1))"


def test_captured_values_that_change_are_noticed() -> None:
    value = 1.0

    def change(new: float) -> None:
        nonlocal value
        value = new

    with nengo.Network() as net:
        nengo.Probe(nengo.Node(lambda t: value * t))
    made = converted(net)
    assert not made.calls
    assert made.current()
    change(2.0)
    assert not made.current()
