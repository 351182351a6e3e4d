"""Ideals: what a probe should be, as an expression of the time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spike_runtime.ideal import IdealError, evaluate, evaluate_all

from spikec import expressions as ex

T = np.linspace(0.0, 2.0, 41)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t", T),
        ("1.5", np.full(41, 1.5)),
        ("pi", np.full(41, np.pi)),
        ("sin(6.28 * t) / 2", np.sin(6.28 * T) / 2),
        ("(-t) ^ 2", T**2),
        ("2 ^ t ^ 2", 2 ** (T**2)),
        ("t % 0.3", T % 0.3),
        ("abs(t - 1)", abs(T - 1)),
        ("select(t < 1, 3, -1)", np.where(T < 1, 3.0, -1.0)),
        ("(t >= 0.4) * (t <= 0.8)", ((T >= 0.4) & (T <= 0.8)).astype(float)),
        ("round(10 * t)", np.round(10 * T)),
        ("atan2(max(t, 0.5), 2)", np.arctan2(np.maximum(T, 0.5), 2)),
    ],
)
def test_ideals_have_the_values_of_their_expressions(text: str, expected: np.ndarray) -> None:
    np.testing.assert_allclose(evaluate(text, T), expected, rtol=1e-14)


def test_every_function_of_the_language_can_be_read() -> None:
    places = (ex.Time(), ex.Number(0.5), ex.Number(2.0))
    for name, function in ex.FUNCTIONS.items():
        call = ex.Call(name, places[: function.arity])
        text = ex.to_text(call)
        np.testing.assert_array_equal(evaluate(text, T), ex.evaluate(call, t=T), err_msg=text)


def trees() -> st.SearchStrategy[ex.Expression]:
    leaves = st.sampled_from([ex.Time(), ex.Number(0.5), ex.Number(-2.0), ex.Number(1e-07), ex.Number(np.pi)])
    names = st.sampled_from(["+", "-", "*", "/", "^", "%", "neg", "<", ">=", "==", "select", "min", "sin"])

    def calls(inner: st.SearchStrategy[ex.Expression]) -> st.SearchStrategy[ex.Expression]:
        return names.flatmap(
            lambda n: st.tuples(*[inner] * ex.FUNCTIONS[n].arity).map(lambda a: ex.Call(n, a))
        )

    return st.recursive(leaves, calls, max_leaves=8)


@settings(deadline=None, derandomize=True)
@given(trees())
def test_the_text_of_an_expression_means_the_same(tree: ex.Expression) -> None:
    expected = np.broadcast_to(ex.evaluate(tree, t=T), T.shape)
    np.testing.assert_array_equal(evaluate(ex.to_text(tree), T), expected, err_msg=ex.to_text(tree))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').getcwd()",
        "().__class__",
        "x[0]",
        "np.load(t)",
        "'t'",
        "[t]",
        "lambda: t",
        "t if t else t",
        "sin(t, t, t)",
        "(t",
        "(" * 3000 + "t" + ")" * 3000,
    ],
)
def test_nothing_else_is_evaluated(text: str) -> None:
    with pytest.raises(IdealError):
        evaluate(text, T)


def test_all_ideals_together_are_columns() -> None:
    values = evaluate_all(("t", "2.0"), T)
    np.testing.assert_array_equal(values, np.stack([T, np.full(41, 2.0)], axis=1))
