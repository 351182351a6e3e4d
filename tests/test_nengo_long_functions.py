"""Functions of nodes with loops, long and without end: followed for a bounded time, then run as they are."""

# ruff: noqa: ARG001, ARG002, ARG005 - functions of nodes are given the time, and need not use it
from __future__ import annotations

import ast
import math
import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest
from converted import Simulator, converted, nengo

from spikec.expressions import Call, Component, to_pytensor
from spikec.tracing.functions import trace, why
from spikec.tracing.limits import ENDLESS, MOST_NESTED, TOO_DEEP, TOO_LARGE, TOO_MUCH, extent_of, too_large
from spikec.tracing.purity import TOO_DEEP as DEEP_CALLS


def euler(t: float, x: Any, rounds: int = 40) -> Any:
    y = x[0]
    for _ in range(rounds):
        y = y + 0.01 * (x[0] - y)
    return y


def pendulum(t: float, x: Any) -> Any:
    q, v = x[0], x[1]
    for _ in range(20):
        v = v - 0.001 * (np.sin(q) + 0.1 * v)
        q = q + 0.001 * v
    return q


def waiting(t: float, x: Any) -> Any:
    while t < 0:
        pass
    return x[0]


def stuck(t: float, x: Any) -> Any:
    if t > 5:
        while True: pass  # fmt: skip  # noqa: E701 - on one line it is one instruction
    return x[0]


def endless(t: float, x: Any) -> Any:
    return x[0] if t < 5 else sum(0 for _ in iter(int, 1))


def counted(t: float, x: Any) -> Any:
    return x[0] + sum([1e-5 * k for k in range(20_000)])


def newton(t: float, x: Any) -> Any:
    y = 1.0
    while abs(y * y - abs(x[0]) - 1) > 1e-9:
        y = 0.5 * (y + (abs(x[0]) + 1) / y)
    return y


def crossed(t: float, x: Any) -> Any:
    return np.outer(np.arange(100.0), np.ones(100) * x[0])[2, 3]


def factorial(t: float, x: Any) -> Any:
    return x[0] * factorial(t - 1, x) if t > 1 else x[0]


def broken(t: float, x: Any) -> Any:
    for i in range(20):
        for j in range(20):
            if i * j > 30 + x[0]:
                break
    return i + j + x[0]


REASONS = {
    euler: TOO_LARGE, pendulum: TOO_LARGE, newton: TOO_LARGE, crossed: TOO_MUCH, waiting: TOO_MUCH,
    stuck: ENDLESS, counted: ENDLESS, factorial: DEEP_CALLS, endless: "calls iter()",
    broken: "branches more than 32 times",
}  # fmt: skip


@pytest.mark.parametrize("function", REASONS)
def test_long_functions_run_as_they_are(function: Any) -> None:
    """With their reasons; and the numbers are Nengo's."""
    size = 2 if function is pendulum else 1
    found = why(function, True, size, 1, held=True)
    assert found is not None
    assert found.text.startswith(REASONS[function])
    assert found.file == __file__
    with nengo.Network(seed=1) as net:
        stimulus = nengo.Node(lambda t: [np.cos(9 * t), np.sin(9 * t)][:size])
        node = nengo.Node(function, size_in=size, size_out=1)
        nengo.Connection(stimulus, node, synapse=None)
        probe = nengo.Probe(node)
    assert converted(net).host_calls
    with Simulator(net) as ours, nengo.Simulator(net, progress_bar=False) as theirs:
        ours.run_steps(20)
        theirs.run_steps(20)
    assert np.array_equal(ours.data[probe], theirs.data[probe])


TABLE = [0.1 * k for k in range(50)]


def looked_up(t: float, x: Any, rounds: int) -> Any:
    y = x[0]
    for _ in range(rounds):
        y = TABLE[int(abs(y) * 3) % 50]
    return y


def test_short_loops_are_compiled() -> None:
    assert trace(lambda t, x: looked_up(t, x, 2), True, 1, 1, held=True) is not None
    found = why(lambda t, x: looked_up(t, x, 99), True, 1, 1, held=True)
    assert found is not None
    assert found.text == TOO_DEEP
    assert trace(lambda t, x: euler(t, x, 5), True, 1, 1) is not None
    assert why(lambda t, x: [x[0] + 0.5 * k for k in range(50)], True, 1, 50) is None


def test_a_tracer_of_the_user_is_kept() -> None:
    """Debuggers set one: it is there again, whether a function is compiled or not."""

    def tracer(frame: FrameType, event: str, argument: Any) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        for function in (waiting, euler, math.sin):
            trace(function, True, 1, 1)
            assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


def test_sums_of_many_entries_are_compiled_as_far_as_python_reads_them() -> None:
    """Programs hold one bracket for each number that is added."""
    assert trace(np.sum, False, MOST_NESTED + 1, 1) is not None
    found = why(lambda x: np.sum(x), False, MOST_NESTED + 2, 1)
    assert found is not None
    assert found.text == TOO_DEEP


@pytest.mark.parametrize("function", ["+", "<", "select"])
def test_python_reads_the_deepest_programs(function: str) -> None:
    expression: Any = Component(0)
    deeper = Call("+", (expression, expression))
    while not too_large([deeper]):
        expression = deeper
        deeper = Call(function, (expression,) + (Component(0),) * (2 if function == "select" else 1))
    assert extent_of(expression)[1] > MOST_NESTED - 3
    ast.parse(f"function_1_0 = outputs([{to_pytensor(expression, 'x[{}]'.format)}], x[0], REAL)")


def filled(x: Any) -> Any:
    TABLE = np.zeros(1000)
    for k in range(1000):
        TABLE[k] = x[0] * k
    return TABLE.sum()


def test_a_variable_of_its_own_is_not_taken_for_a_global_one() -> None:
    found = why(filled, False, 1, 1, held=True)
    assert found is not None
    assert found.text == TOO_LARGE


def square(x: Any) -> Any:
    return np.square(x)


def test_a_function_may_have_the_name_of_what_it_calls() -> None:
    assert why(square, False, 1, 1) is None


class Learner:
    """Methods, of which one reads nothing of its object, and one changes it."""

    gain = 2.0

    def choose(self, t: float, x: Any) -> Any:
        return 0.5 * x

    def scale(self, t: float, x: Any) -> Any:
        return self.gain * x

    def step(self, t: float) -> Any:
        self.gain = 1.0 + t
        return t


def test_a_method_that_reads_nothing_of_its_object_is_compiled() -> None:
    """Also where Python beside it changes the object; then those that read of it stay Python."""
    learner = Learner()
    with nengo.Network() as net:
        for method in (learner.choose, learner.scale):
            nengo.Probe(nengo.Node(method, size_in=1, size_out=1))
        nengo.Node(learner.step, size_out=1)
    operators = [op for call in converted(net).host_calls for op in call.operators]
    ran = {op.fn.__name__ for op in operators if hasattr(op, "fn")}
    assert ran == {"scale", "step"}
    found = why(learner.scale, True, 1, 1)
    assert found is not None
    assert found.text == "is a method of an object of the class Learner, which may change"
