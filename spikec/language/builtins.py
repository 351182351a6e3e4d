"""Names that every model knows: constants, functions of vectors and matrices, words that make records."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from spikec.errors import Span
from spikec.language.files import read_matrix
from spikec.language.values import PLAIN, Mistake, Text, Value, apply, call, finite

if TYPE_CHECKING:
    from spikec.language.scope import Scope

CONSTANTS: dict[str, float] = {"pi": math.pi, "e": math.e, "true": 1.0, "false": 0.0}

RECORDS: frozenset[str] = frozenset(
    [
        "lif",
        "lif_rate",
        "adaptive_lif",
        "adaptive_lif_rate",
        "izhikevich",
        "regular_spiking",
        "stochastic_spiking",
        "poisson_spiking",
        "rectified_linear",
        "spiking_rectified_linear",
        "sigmoid",
        "direct",
        "uniform",
        "gaussian",
        "choice",
        "exponential",
        "hypersphere",
        "ball",
        "sphere",
        "scattered_ball",
        "scattered_sphere",
        "cosine_similarity",
        "sqrt_beta",
        "lowpass",
        "alpha",
        "double_exp",
        "linear_filter",
        "triangle",
        "none",
        "lstsq_l2",
        "lstsq",
        "lstsq_l2nz",
        "lstsq_noise",
        "lstsq_mult_noise",
        "lstsq_l1",
        "lstsq_drop",
        "nnls",
        "nnls_l2",
        "nnls_l2nz",
        "no_solver",
        "white_signal",
        "white_noise",
        "filtered_noise",
        "brown_noise",
        "numpy",
        "present_input",
        "piecewise",
        "pdf",
        "quasirandom",
        "subvector_length",
        "sparse",
        "convolution",
        "convolution_transpose",
        "lif_delta",
        "poisson",
        "fixed_indegree",
        "fixed_probability",
        "pairs",
        "pes",
        "rls",
        "bcm",
        "oja",
        "voja",
    ]
)

# Also functions: records where they stand without arguments, or with named ones: `tanh(tau_ref=2ms)`.
ALSO_RECORDS: frozenset[str] = frozenset({"tanh", "identity"})

Builtin = Callable[[list[Any], Span, "Scope"], Value]


def _count(value: Any, span: Span, what: str) -> int:
    if (
        not isinstance(value, Value)
        or value.symbolic
        or value.shape
        or value.power
        or value.data != int(value.data)
    ):
        raise Mistake(f"{what} takes whole numbers", span, f"write {what}(3)")
    if value.data < 1:
        raise Mistake(f"{what} takes numbers of 1 or more", span, "write a size of at least 1")
    return int(value.data)


def _arity(values: list[Any], least: int, most: int, what: str, span: Span) -> None:
    if not least <= len(values) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise Mistake(f"{what} takes {wanted} argument(s), not {len(values)}", span, "see the reference")
    for value in values:
        if not isinstance(value, Value):
            raise Mistake(f"{what} takes numbers", span, "write numbers, vectors or matrices")


def _filled(what: str, fill: float) -> Builtin:
    def build(values: list[Any], span: Span, scope: Scope) -> Value:
        _arity(values, 1, 2, what, span)
        shape = tuple(_count(v, span, what) for v in values)
        scope.context.reserve(math.prod(shape), what, span)
        return Value(np.full(shape, fill))

    return build


def _identity(values: list[Any], span: Span, scope: Scope) -> Value:
    _arity(values, 1, 1, "identity", span)
    n = _count(values[0], span, "identity")
    scope.context.reserve(n * n, "identity", span)
    return Value(np.eye(n))


def _diag(values: list[Any], span: Span, scope: Scope) -> Value:
    _arity(values, 1, 1, "diag", span)
    vector = values[0]
    if vector.symbolic or len(vector.shape) != 1:
        raise Mistake("diag takes a vector of numbers", span, "write diag([1, 2])")
    scope.context.reserve(vector.shape[0] ** 2, "diag", span)
    return Value(np.diag(vector.array), vector.power)


def _transpose(values: list[Any], span: Span, _: Scope) -> Value:
    _arity(values, 1, 1, "transpose", span)
    if len(values[0].shape) != 2:
        raise Mistake("transpose takes a matrix", span, "write transpose([[1, 2], [3, 4]])")
    return Value(values[0].data.T.copy(), values[0].power)


def _length(values: list[Any], span: Span, _: Scope) -> Value:
    _arity(values, 1, 1, "len", span)
    return Value(float(values[0].shape[0]) if values[0].shape else 1.0)


def _sum(values: list[Any], span: Span, _: Scope) -> Value:
    _arity(values, 1, 1, "sum", span)
    value = values[0]
    if not value.symbolic:
        return finite(Value(float(np.sum(value.data)), value.power), span)
    return Value(_balanced([*np.asarray(value.data, dtype=object).ravel()]))


def _balanced(items: list[Any]) -> Any:
    """Sum in a tree, so that its height is the logarithm of the number of items."""
    while len(items) > 1:
        paired = [call("+", a, b) for a, b in zip(items[::2], items[1::2], strict=False)]
        items = paired + items[len(paired) * 2 :]
    return items[0] if items else 0.0


def _dot(values: list[Any], span: Span, scope: Scope) -> Value:
    _arity(values, 2, 2, "dot", span)
    a, b = values
    if not a.shape or not b.shape or a.shape[-1] != b.shape[0]:
        one, other = (" x ".join(map(str, v.shape)) or "a number" for v in values)
        raise Mistake(
            f"the product of shapes {one} and {other} does not exist", span, "make the inner sizes equal"
        )
    scope.context.reserve(math.prod((*a.shape[:-1], *b.shape[1:])), "the product", span)
    if not (a.symbolic or b.symbolic):
        product = a.data @ b.data
        return finite(Value(float(product) if np.ndim(product) == 0 else product, a.power + b.power), span)
    return _symbolic_dot(a, b, span)


def _symbolic_dot(a: Value, b: Value, span: Span) -> Value:
    left = np.atleast_2d(np.asarray(a.data, dtype=object))
    right = np.asarray(b.data, dtype=object).reshape(b.shape[0], -1)
    out = np.empty((left.shape[0], right.shape[1]), dtype=object)
    for i, j in np.ndindex(out.shape):
        out[i, j] = _balanced([*apply("*", [Value(left[i]), Value(right[:, j])], span).data])
    shape = (*a.shape[:-1], *b.shape[1:])
    return Value(out.reshape(shape) if shape else out[0, 0])


def _concat(values: list[Any], span: Span, _: Scope) -> Value:
    _arity(values, 1, 64, "concat", span)
    if len({len(v.shape) == 2 for v in values}) != 1 or len({v.shape[1:] for v in values}) > 1:
        raise Mistake("concat takes vectors, or matrices of equal width", span, "make the rows equally long")
    if len({v.power for v in values}) > 1:
        raise Mistake("the parts of concat differ in unit", span, "give all of them the same unit")
    symbolic = any(v.symbolic for v in values)
    parts = [np.atleast_1d(np.asarray(v.data, dtype=object if symbolic else np.float64)) for v in values]
    return Value(np.concatenate(parts), PLAIN if symbolic else values[0].power)


def _norm(values: list[Any], span: Span, scope: Scope) -> Value:
    _arity(values, 1, 1, "norm", span)
    return apply("sqrt", [_sum([apply("*", [values[0], values[0]], span)], span, scope)], span)


def _expm(values: list[Any], span: Span, scope: Scope) -> Value:
    """The exponential of a square matrix: exp(A t) is what x' = A x does in the time t."""
    _arity(values, 1, 1, "expm", span)
    matrix = values[0]
    if matrix.symbolic or matrix.power or len(matrix.shape) != 2 or len(set(matrix.shape)) != 1:
        raise Mistake(
            f"expm takes a square matrix of plain numbers, not {matrix.describe()}",
            span,
            "write expm(A * (dt / tau)) with a matrix A of n rows and n columns",
        )
    scope.context.reserve(matrix.shape[0] ** 2, "expm", span)
    import scipy.linalg

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an overflow is told below
        return finite(Value(np.asarray(scipy.linalg.expm(matrix.array))), span)


def _load(values: list[Any], span: Span, scope: Scope) -> Value:
    if len(values) != 1 or not isinstance(values[0], Text):
        raise Mistake("load takes the name of a file", span, 'write load("weights.npy")')
    return Value(read_matrix(values[0].value, values[0].span, scope.context, scope.folder))


FUNCTIONS_OF_VALUES: dict[str, Builtin] = {
    "identity": _identity,
    "zeros": _filled("zeros", 0.0),
    "ones": _filled("ones", 1.0),
    "diag": _diag,
    "transpose": _transpose,
    "len": _length,
    "sum": _sum,
    "dot": _dot,
    "concat": _concat,
    "norm": _norm,
    "expm": _expm,
    "load": _load,
}
