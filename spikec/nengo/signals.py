"""Who touches which of Nengo's signals, and where a view lies in its base.

In a step, Nengo's operators set a signal, then increment it, then read it, and at last update it: what is
updated in step n is read in step n + 1.  A signal may be a view of another, its base.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from nengo.builder import Operator, Signal
from nengo.builder.operator import SimPyFunc, TimeUpdate
from nengo.params import FrozenObject, Parameter
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def places(signal: Signal) -> Ints:
    """Numbers of the elements of `signal` among those of its base, in the shape of `signal`."""
    base = np.arange(signal.base.size, dtype=np.int64)
    if not signal.is_view:
        return base.reshape(signal.shape)
    strides = tuple(8 * s for s in signal.elemstrides)
    view = np.lib.stride_tricks.as_strided(base[signal.elemoffset :], signal.shape, strides, writeable=False)
    return np.ascontiguousarray(view)


def whole(signal: Signal) -> bool:
    """Whether a signal is all of its base, in order."""
    return not signal.is_view or (
        signal.size == signal.base.size
        and np.array_equal(places(signal).ravel(), np.arange(signal.base.size))
    )


@dataclass
class Uses:
    """The operators that set, increment, update and read a base signal, or a view of it."""

    sets: list[Operator] = field(default_factory=list)
    incs: list[Operator] = field(default_factory=list)
    updates: list[Operator] = field(default_factory=list)
    reads: list[Operator] = field(default_factory=list)

    @property
    def writers(self) -> list[Operator]:
        return [*self.sets, *self.incs, *self.updates]


class Table:
    """Uses of every base signal of a model."""

    def __init__(self, operators: Iterable[Operator]) -> None:
        self.of: dict[Signal, Uses] = defaultdict(Uses)
        for op in operators:
            for kind in ("sets", "incs", "updates", "reads"):
                for base in dict.fromkeys(signal.base for signal in getattr(op, kind)):
                    getattr(self.of[base], kind).append(op)

    def constant(self, signal: Signal) -> bool:
        """Whether nothing ever writes a signal."""
        uses = self.of.get(signal.base)
        return uses is None or not uses.writers

    def covered(self, base: Signal) -> NDArray[np.bool_]:
        """Which elements of a base signal are set anew in every step."""
        mask = np.zeros(base.size, bool)
        for op in self.of[base].sets:
            for signal in op.sets:
                if signal.base is base:
                    mask[set_places(op, signal)] = True
        return mask


def set_places(op: Operator, signal: Signal) -> Ints:
    """Elements of its base that an operator sets: a copy may have a list of places besides the view."""
    found = places(signal)
    chosen = getattr(op, "dst_slice", None)
    return (found if chosen is None else found[chosen]).ravel()


def is_time(op: Operator) -> bool:
    """Whether an operator counts steps: those who run a graph know the time."""
    return isinstance(op, TimeUpdate)


def plain(op: Operator) -> bool:
    """Whether Nengo only moves, adds and multiplies with it."""
    return type(op).__module__ == "nengo.builder.operator" and not isinstance(op, SimPyFunc)


def holds(op: Operator) -> list[Any]:
    """The objects that an operator runs, or holds: none where it is plain."""
    if plain(op):
        return []
    held = [op.fn] if isinstance(op, SimPyFunc) else [v for v in vars(op).values() if type(v) is not list]
    for item in held:  # Nengo keeps parameters apart from the objects that have them
        if isinstance(item, FrozenObject):
            names = [n for n in dir(type(item)) if isinstance(getattr(type(item), n, None), Parameter)]
            held += [getattr(item, name) for name in names]
    return [item for item in held if not (isinstance(item, FrozenObject) and _is_of_nengo(item))]


def _is_of_nengo(item: Any) -> bool:
    return type(item).__module__.startswith("nengo.")
