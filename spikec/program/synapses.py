"""Discretised synapses: zero-order hold of a transfer function, as the kernels of programs take it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.signal import BadCoefficients, cont2discrete, tf2ss

from spikec import graph as g

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


@lru_cache(maxsize=1024)
def discretise(num: tuple[float, ...], den: tuple[float, ...], analog: bool, dt: float) -> Discrete:
    """Zero-order hold of num(s) / den(s) at steps of dt seconds."""
    if analog and _negligible(num, den, dt):
        return Discrete((), (), (), num[-1] / den[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BadCoefficients)
        A, B, C, D = tf2ss(num, den)
    if len(A) and analog:
        A, B, C, D, _ = cont2discrete((A, B, C, D), dt, method="zoh")
    return Discrete(_flat(A), _flat(B), _flat(C), float(np.ravel(D)[0]))


def _flat(matrix: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in np.ravel(matrix))


def _negligible(num: tuple[float, ...], den: tuple[float, ...], dt: float) -> bool:
    """Whether every pole is faster than the step, and there are no zeros."""
    if len(num) > 1 or len(den) == 1:
        return len(den) == 1
    poles = np.roots(np.trim_zeros(den, "f"))
    return poles.size == 0 or bool(np.all(np.abs(poles) * NEGLIGIBLE * dt >= 1))


def of(op: g.Filter, dt: float) -> Discrete:
    """The discretised synapse of a `Filter`."""
    return discretise(op.num, op.den, op.analog, dt)
