"""Host calls: operators that run as Nengo made them, on Nengo's own memory, once in every step.

They are gathered into as few calls as can be.  Call k holds the operators that need what call k - 1 gives, by
way of the graph; what they hand each other by memory needs no call of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from nengo.builder import Model, Operator, Signal
from nengo.builder.signal import SignalDict
from numpy.typing import NDArray

from spikec.nengo.sides import Sides
from spikec.nengo.signals import Ints

Array: TypeAlias = NDArray[np.float64]
Step: TypeAlias = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Watch:
    """A signal that is copied at the end of a step, every `period` steps, to what `into` holds."""

    signal: Signal
    period: float
    into: list[Any] = field(default_factory=list)


@dataclass(eq=False)
class Call:
    """Operators that run together in a step: call(n, x) -> y.

    x: values of `loads` from the graph, one after the other.  y: what these operators made of `gives`.  In
    memory, those of `gives` that the graph adds to (`shared`) are 0 before the operators run: y is their
    part.
    """

    operators: list[Operator] = field(default_factory=list)
    loads: list[Signal] = field(default_factory=list)
    gives: list[Signal] = field(default_factory=list)
    shared: list[Signal] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)

    @property
    def parts(self) -> tuple[list[Any], ...]:
        """What tells one call from another."""
        return self.operators, self.loads, self.gives, self.shared

    @property
    def arguments(self) -> int:
        return sum(signal.size for signal in self.loads)

    @property
    def size(self) -> int:
        return sum(signal.size for signal in self.gives)

    def columns(self, base: Signal) -> Ints:
        """Where in y the part of a signal is."""
        first = sum(signal.size for signal in self.gives[: self.gives.index(base)])
        return np.arange(first, first + base.size)

    def function(
        self, model: Model, signals: SignalDict, steps: dict[Operator, Step]
    ) -> Callable[[int, Array], Array]:
        """The function that computes this call on `signals`, with the step functions of its operators."""
        n_signal, t_signal, dt = signals[model.step], signals[model.time], model.dt
        into = _slices([signals[s] for s in self.loads])
        out = _slices([signals[s] for s in self.gives])
        zeroed = [signals[s] for s in self.shared]
        run = [steps[op] for op in self.operators]
        watched = [(signals[w.signal], w.period, w.into) for w in self.watches]
        y = np.zeros(self.size)

        def call(n: int, x: Array) -> Array:
            n_signal[...] = n
            t_signal[...] = n_signal * dt
            for memory, first, last in into:
                memory[...] = x[first:last].reshape(memory.shape)
            for memory in zeroed:
                memory[...] = 0
            for step in run:
                step()
            for memory, period, kept in watched:
                if n % period < 1:
                    kept.append(memory.copy())
            for memory, first, last in out:
                y[first:last] = memory.ravel()
            return y

        return call


def _slices(arrays: Sequence[NDArray[Any]]) -> list[tuple[NDArray[Any], int, int]]:
    ends = np.cumsum([0, *(array.size for array in arrays)])
    return [(a, int(ends[k]), int(ends[k + 1])) for k, a in enumerate(arrays)]


def calls(
    order: Sequence[Operator],
    after: dict[Operator, Sequence[Operator]],
    sides: Sides,
    given: set[Signal],
    extra: Sequence[Operator],
    watches: Sequence[Watch],
) -> list[Call]:
    """The calls of a model, in the order in which they run.

    after: the operators that come after each in a step (Nengo's dependencies).  given: base signals whose
    values in the graph have parts made by hosts.  extra: natives that also run as hosts, for `watches`.
    """
    levels = _levels(order, after, sides)
    running = {*sides.host, *extra}
    made: dict[int, Call] = defaultdict(Call)
    for op in order:
        if op in running:
            made[levels[op]].operators.append(op)
    if watches:
        loaded = any(sides.in_graph(w.signal.base) and not _updated(sides, w.signal.base) for w in watches)
        made[max(made, default=0) + bool(made and loaded)].watches += watches
    result = [made[level] for level in sorted(made)]
    seen: set[Signal] = set()
    for call in result:
        _signals(call, sides, given, seen)
    return result


def _levels(
    order: Sequence[Operator], after: dict[Operator, Sequence[Operator]], sides: Sides
) -> dict[Operator, int]:
    """The number of the call that each host belongs to; natives have that of the last call they need."""
    hosts = set(sides.host)
    level = dict.fromkeys(order, 0)
    for op in order:
        written = {s.base for s in (*op.sets, *op.incs)} if op in hosts else set()
        for later in after[op]:
            by_graph = later not in hosts or any(
                s.base in written and sides.in_graph(s.base) for s in later.reads
            )
            level[later] = max(level[later], level[op] + (op in hosts and by_graph))
    return level


def _updated(sides: Sides, base: Signal) -> bool:
    return base in sides.table.of and bool(sides.table.of[base].updates)


def _signals(call: Call, sides: Sides, given: set[Signal], seen: set[Signal]) -> None:
    """Find what a call loads from the graph (each signal once in a step, first use) and gives to it."""
    read = [s.base for op in call.operators for s in op.reads]
    read += [w.signal.base for w in call.watches if not _updated(sides, w.signal.base)]
    for base in dict.fromkeys(read):
        if base not in seen and sides.in_graph(base):
            call.loads.append(base)
            seen.add(base)
    hosts = [op for op in call.operators if op not in sides.native]
    written = [s.base for op in hosts for s in (*op.sets, *op.incs, *op.updates)]
    for base in dict.fromkeys(written):
        if base in given:
            call.gives.append(base)
            if sides.in_graph(base):
                call.shared.append(base)
