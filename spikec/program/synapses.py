"""Discretised synapses: zero-order hold of a transfer function, as the kernels of programs take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.records import dataclass

Array = NDArray[np.float64]

# A time constant of less than this part of a step is no filter (as in Nengo): its output is its input of
# the step before.
NEGLIGIBLE = 0.03


@dataclass(frozen=True)
class Discrete:
    """x(n) = A x(n-1) + B u(n-1); y(n) = C x(n), or with `direct` y(n) = C x(n-1) + D u(n-1).

    A: order x order (rows after one another), B, C: order numbers.  Order 0: y = D u.
    """

    A: tuple[float, ...]
    B: tuple[float, ...]
    C: tuple[float, ...]
    D: float

    @property
    def order(self) -> int:
        return len(self.B)

    @property
    def direct(self) -> bool:
        return self.D != 0 or self.order == 0

    @property
    def plain(self) -> bool:
        """Whether it passes its input on unchanged, one step later."""
        return self.order == 0 and self.D == 1

    def ahead(self) -> tuple[float, Discrete]:
        """y(n + 1) in step n: the part of u(n) in it, and what gives the rest, C A x(n) or C x(n).

        The states stay those of the filter.  A polynomial in z has roots near 1 that are nearly one where tau
        is many steps: its coefficients, rounded, are those of another filter.
        """
        if self.direct:
            return self.D, replace(self, D=0.0)
        b, c = np.array(self.B), np.array(self.C)
        A = np.reshape(self.A, (self.order, self.order))
        return float(c @ b), replace(self, C=_flat(c @ A))


@lru_cache(maxsize=1024)
def discretise(
    num: tuple[float, ...], den: tuple[float, ...], analog: bool, dt: float, method: str = "zoh"
) -> Discrete:
    """num(s) / den(s) at steps of dt seconds.  Zero-order hold: the exact response to an input of steps.

        [[A', B'], [0, 1]] = exp(dt [[A, B], [0, 0]])     for dx/dt = A x + B u

    scipy.signal has this too, but takes longer to import (0.37 s) than most models take to compile.
    """
    if method == "triangle":
        num, den = _triangle(num[0], dt)
    if analog and method == "zoh" and _negligible(num, den, dt):
        return Discrete((), (), (), num[-1] / den[-1])
    A, B, C, D = _state_space(num, den)
    order = len(B)
    if order and analog and method == "zoh":
        A, B = _hold(A, B, dt)
    elif order and analog:
        A, B, C, D = _bilinear(A, B, C, D, dt, IMPLICIT[method])
    return Discrete(_flat(A), _flat(B), _flat(C), D)


# The part of a step that is taken with the state at its end.
IMPLICIT = {"euler": 0.0, "bilinear": 0.5, "backward_diff": 1.0}


def _bilinear(
    A: Array, B: Array, C: Array, D: float, dt: float, part: float
) -> tuple[Array, Array, Array, float]:
    """x(n) = x(n-1) + dt (part (A x(n) + B u) + (1 - part) (A x(n-1) + B u)), solved for x(n)."""
    left = np.eye(len(B)) - part * dt * A
    held = np.linalg.solve(left, dt * B)
    out = np.linalg.solve(left.T, C)
    step: Array = np.asarray(np.linalg.solve(left, np.eye(len(B)) + (1 - part) * dt * A), np.float64)
    return step, np.asarray(held, np.float64), np.asarray(out, np.float64), D + part * float(C @ held)


def _triangle(length: float, dt: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Weights of the inputs of the last steps, falling linearly to 0 at `length` seconds, with sum 1."""
    taps = np.arange(round(length / dt) + 1, 0, -1, dtype=np.float64)
    return tuple((taps / taps.sum()).tolist()), (1.0, *([0.0] * (len(taps) - 1)))


def _hold(A: Array, B: Array, dt: float) -> tuple[Array, Array]:
    """A', B' of the equation above."""
    order = len(B)
    if order == 1 and A[0, 0]:
        return np.exp(dt * A), np.expm1(dt * A[0]) / A[0] * B
    from scipy.linalg import expm  # as long to import as NumPy, and most synapses are of the first order

    block = np.zeros((order + 1, order + 1))
    block[:order, :order], block[:order, order] = A, B
    held = expm(dt * block)
    return held[:order, :order], held[:order, order]


def _state_space(num: tuple[float, ...], den: tuple[float, ...]) -> tuple[Array, Array, Array, float]:
    """A, B, C, D of num / den in controllable canonical form; the order of num is at most that of den."""
    denominator = np.trim_zeros(np.asarray(den, np.float64), "f")
    order = len(denominator) - 1
    numerator = np.concatenate([np.zeros(max(0, order + 1 - len(num))), np.asarray(num, np.float64)])
    numerator, denominator = numerator[-(order + 1) :] / denominator[0], denominator / denominator[0]
    A = np.eye(order, k=-1)
    A[:1] = -denominator[1:]
    return (
        A,
        np.eye(order)[0] if order else np.zeros(0),
        numerator[1:] - numerator[0] * denominator[1:],
        float(numerator[0]),
    )


def _flat(matrix: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in np.ravel(matrix))


def _negligible(num: tuple[float, ...], den: tuple[float, ...], dt: float) -> bool:
    """Whether every pole is faster than the step, and there are no zeros."""
    if len(num) > 1 or len(den) == 1:
        return len(den) == 1
    poles = np.roots(np.trim_zeros(den, "f"))
    return poles.size == 0 or bool(np.all(np.abs(poles) * NEGLIGIBLE * dt >= 1))


def add_at_once(
    graph: g.Graph, name: str, source: str, op: g.Filter, unique: Callable[[str], str] = str
) -> None:
    """Make the sum `name` what a filter gives at step n that includes its input of step n, as one of Nengo's
    processes does: a part of the input, and a filter of the steps before.

    `unique`: makes a name of which there may be a node already another.
    """
    whole = of(op, graph.dt)
    first, _ = whole.ahead()
    if first:
        import scipy.sparse as sp

        part = g.Product(size=op.size, matrix=sp.diags_array(np.full(op.size, first), format="csr"))
        now = graph.add(unique(f"{name}.at_once"), part)
        graph.connect(source, now)
        graph.connect(now, name)
    if whole.order:
        late = graph.add(unique(f"{name}.late"), replace(op, ahead=True))
        graph.connect(source, late)
        graph.connect(late, name)


def of(op: g.Filter, dt: float) -> Discrete:
    """The discretised synapse of a `Filter`."""
    found = discretise(op.num, op.den, op.analog, dt, op.method)
    return found.ahead()[1] if op.ahead else found
