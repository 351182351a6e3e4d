"""Arguments of `connect` and `connect_neurons` to matrices."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from spikec.graph import Array
from spikec.network.describe import array
from spikec.network.mistakes import mistake
from spikec.network.nodes import Ensemble


def transform_of(
    pre: int, post: int, transform: Any, weight: Any, index_pre: Any, index_post: Any
) -> float | Array:
    """The matrix (post x pre) of a connection, or the factor of one that keeps every component in its place.

    Without `transform`, component index_pre[i] goes to index_post[i] times `weight`; the shorter list is
    repeated.  Without a list, it is that of all components.
    """
    if transform is not None:
        if not (isinstance(weight, Real) and weight == 1 and index_pre is None and index_post is None):
            mistake(
                "a connection has a transform, or weight, index_pre and index_post, not both",
                "put the weight into the transform",
            )
        return _matrix(transform, post, pre, "transform")
    if not isinstance(weight, Real):
        mistake(f"the weight of a connection is a number, not {weight!r}", "give a matrix as transform")
    if index_pre is None and index_post is None and pre == post:
        return float(weight)
    columns, rows = _indices(index_pre, pre, "index_pre"), _indices(index_post, post, "index_post")
    matrix = np.zeros((post, pre))
    for i in range(max(len(rows), len(columns))):
        matrix[rows[i % len(rows)], columns[i % len(columns)]] = float(weight)
    return matrix


def _indices(given: Any, size: int, what: str) -> Sequence[int]:
    if given is None:
        return range(size)
    values = [given] if isinstance(given, Integral) else list(given)
    bad = [v for v in values if not isinstance(v, Integral) or not -size <= int(v) < size]
    if bad or not values:
        mistake(
            f"{what} holds {bad[0]!r}, which is no component of {size}" if bad else f"{what} is empty",
            f"give whole numbers from 0 to {size - 1}",
        )
    return [int(v) for v in values]


def _matrix(given: Any, rows: int, columns: int, what: str) -> Array:
    """rows x columns; the rows may be given by member of an array: members x rows of each x columns."""
    matrix = array(f"a {what}", given)
    shape = matrix.shape
    if matrix.ndim == 3:
        matrix = matrix.reshape(-1, matrix.shape[2])
    if matrix.shape != (rows, columns):
        mistake(
            f"a {what} of shape {shape} cannot lead from {columns} numbers to {rows}",
            f"give {rows} rows of {columns} numbers",
        )
    return matrix


def weights_of(
    given: Any, pre: Ensemble | None, values: int, post: Ensemble, computed: bool
) -> tuple[Array, bool]:
    """The matrix from values or neurons of `pre` to all neurons of `post`, and whether it is from neurons.

    Rows: neurons of `post`, or those of one of its members for all alike; columns: `values`, or neurons of
    `pre`.  Both may be divided by member.  computed: whether the values are those of a function, which
    neurons do not have.
    """
    rows, own = post.array_size * post.neurons_num, post.neurons_num
    sending = 0 if pre is None else pre.array_size * pre.neurons_num
    matrix = array("a weight_matrix", given)
    shape = matrix.shape
    if matrix.ndim == 4:
        matrix = matrix.reshape(*matrix.shape[:2], -1)
    elif matrix.ndim == 3 and pre and matrix.shape[1:] == (pre.array_size, pre.neurons_num):
        matrix = matrix.reshape(len(matrix), -1)
    if matrix.ndim == 3:
        matrix = matrix.reshape(-1, matrix.shape[2])
    if matrix.ndim != 2 or matrix.shape[0] not in (rows, own) or matrix.shape[1] not in (values, sending):
        columns = f"{values} (values)" + f" or {sending} (neurons)" * bool(sending)
        mistake(
            f"a weight_matrix of shape {shape} cannot lead to the {rows} neurons of {post.name!r}",
            f"give {rows} rows of {columns} numbers",
        )
    # As many neurons as values: upstream takes the matrix for one between neurons.
    neural = matrix.shape[1] == sending and not (computed and values == sending)
    return np.tile(matrix, (rows // len(matrix), 1)), neural
