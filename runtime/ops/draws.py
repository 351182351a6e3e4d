"""Random vectors at every step, from streams of random numbers: the distributions that noise can have.

Of streams of NumPy's the numbers are those that Nengo's distributions of these names draw, in the same
order; of balls in three dimensions and more to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops.kernel import KernelOp, vector
from spike_runtime.ops.streams import begin, beta, exactly, exponential, normals, unit, units, whole

# Columns of the table of draws: numbers in a vector, where its stream is and ends, whether that is our own,
# where its parameters are and end, chosen components.
COLUMNS = ("size", "stream", "stream_end", "own", "parameter", "parameter_end", "chosen")


class Draws(KernelOp):
    """(streams, keys, table, parameters, columns, n) -> (streams, y): the chosen components of every vector.

    streams: see `streams`.  keys: a number of 64 bits for each.  table: int64, rows of COLUMNS.  parameters:
    float64, of each vector a factor, then those of the kind.  columns: chosen components, vector by vector.
    """

    __props__ = ("kind", "dtype")
    inplace: ClassVar[dict[int, int]] = {0: 0}

    def __init__(self, kind: str, dtype: str) -> None:
        super().__init__()
        self.kind, self.dtype = kind, dtype

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [inputs[0].type, vector(self.dtype)]

    def kernel(self) -> Callable[..., Any]:
        fill, real = KINDS[self.kind], np.dtype(self.dtype).type

        def draws(streams, keys, table, parameters, columns, n):  # type: ignore[no-untyped-def]
            y, out = np.empty(columns.shape[0], real), 0
            for k in range(table.shape[0]):
                size, first, last, own, p, end, chosen = table[k]
                stream, x = streams[first:last], np.empty(size, np.float64)
                begin(stream, keys[k], own, n.item())
                fill(stream, parameters[p + 1 : end], x)
                for i in range(chosen):
                    y[out + i] = real(parameters[p] * x[columns[out + i]])
                out += chosen
            return y

        return draws


@exactly
def _uniform(s, p, x):  # type: ignore[no-untyped-def]
    """p: the least, and how far above it they reach."""
    units(s, x)
    for i in range(x.shape[0]):
        x[i] = p[0] + p[1] * x[i]


@exactly
def _integers(s, p, x):  # type: ignore[no-untyped-def]
    """Whole numbers.  p: the least, and how far above it the largest is."""
    for i in range(x.shape[0]):
        x[i] = p[0] + np.float64(whole(s, np.int64(p[1])))


@exactly
def _gaussian(s, p, x):  # type: ignore[no-untyped-def]
    """p: mean, standard deviation."""
    normals(s, x)
    for i in range(x.shape[0]):
        x[i] = p[0] + p[1] * x[i]


@exactly
def _exponential(s, p, x):  # type: ignore[no-untyped-def]
    """p: scale, shift, the largest."""
    for i in range(x.shape[0]):
        x[i] = min(max(p[0] * exponential(s) + p[1], p[1]), p[2])


@exactly
def _choice(s, p, x):  # type: ignore[no-untyped-def]
    """p: how many rows, numbers in a row, the sum of the chances up to each row, the rows."""
    rows, columns = int(p[0]), int(p[1])
    edges, values = p[2 : 2 + rows], p[2 + rows :]
    for i in range(0, x.shape[0], columns):
        row = min(np.searchsorted(edges, unit(s)), rows - 1)
        x[i : i + columns] = values[row * columns : (row + 1) * columns]


@exactly
def _pdf(s, p, x):  # type: ignore[no-untyped-def]
    """Linear between points of the distribution function.  p: how many, what it is at each, their places."""
    count = int(p[0])
    known, values = p[1 : 1 + count], p[1 + count :]
    for i in range(x.shape[0]):
        u = unit(s)
        k = np.searchsorted(known, u, side="right") - 1
        if k < 0:
            x[i] = values[0]
        elif k >= count - 1 or known[k] == u:
            x[i] = values[k]
        else:
            slope = (values[k + 1] - values[k]) / (known[k + 1] - known[k])
            x[i] = slope * (u - known[k]) + values[k]


@exactly
def _squares(x):  # type: ignore[no-untyped-def]
    """The sum of squares of at most 128 numbers, added as NumPy does: eight sums side by side."""
    rest = 0
    total = -0.0
    if x.shape[0] >= 8:
        r = np.empty(8)
        for k in range(8):
            r[k] = x[k] * x[k]
        rest = x.shape[0] - x.shape[0] % 8
        for i in range(8, rest):
            r[i % 8] += x[i] * x[i]
        total = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
    for i in range(rest, x.shape[0]):
        total += x[i] * x[i]
    return total


@exactly
def _sum_of_squares(x):  # type: ignore[no-untyped-def]
    """As `_squares` for any length: halves of multiples of eight are added, and halves of these."""
    sums, ends, first = [0.0], [x.shape[0]], 0
    # Depth first, with the parts that are still to be added on a stack; -1 adds the two sums made last.
    while len(ends):
        end = ends.pop()
        if end < 0:
            last = sums.pop()
            sums[-1] += last
            continue
        count = end - first
        if count <= 128:
            sums.append(_squares(x[first:end]))
            first = end
            continue
        half = count // 2
        half -= half % 8
        ends.append(-1)
        ends.append(end)
        ends.append(first + half)
    return sums[-1]


@exactly
def _sphere(s, p, x):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """A direction."""
    normals(s, x)
    length = np.sqrt(_sum_of_squares(x))
    for i in range(x.shape[0]):
        x[i] /= length


@exactly
def _ball(s, p, x):  # type: ignore[no-untyped-def]
    """A direction, and a length.  p: the least length to the power of the dimensions."""
    _sphere(s, p, x)
    u = p[0] + (1.0 - p[0]) * unit(s)
    length = np.sqrt(u) if x.shape[0] == 2 else u ** (1.0 / x.shape[0])
    for i in range(x.shape[0]):
        x[i] *= length


@exactly
def _quasirandom(s, p, x):  # type: ignore[no-untyped-def]
    """p: what is added to each component, modulo 1."""
    for i in range(x.shape[0]):
        total = unit(s) + p[i]
        x[i] = total - 1.0 if total >= 1.0 else total


@exactly
def _root_beta(s, p, x):  # type: ignore[no-untyped-def]
    """p: both shapes of the beta distribution of the squares."""
    for i in range(x.shape[0]):
        x[i] = np.sqrt(beta(s, p[0], p[1]))


@exactly
def _cosine(s, p, x):  # type: ignore[no-untyped-def]
    """As `_root_beta`, after a sign for each."""
    for i in range(x.shape[0]):
        x[i] = 1.0 if unit(s) <= 0.5 else -1.0
    for i in range(x.shape[0]):
        x[i] *= np.sqrt(beta(s, p[0], p[1]))


KINDS: dict[str, Callable[..., Any]] = {
    "uniform": _uniform,
    "integers": _integers,
    "gaussian": _gaussian,
    "exponential": _exponential,
    "choice": _choice,
    "pdf": _pdf,
    "sphere": _sphere,
    "ball": _ball,
    "quasirandom": _quasirandom,
    "root_beta": _root_beta,
    "cosine": _cosine,
}
