"""Host calls: Nengo's operators that run as Nengo made them, on Nengo's own memory, once in every step.

A session runs them in its own process; in a compiled model they are kept in a pickle (see `recipes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from nengo.builder import Model, Operator, Signal
from nengo.builder.signal import SignalDict
from nengo.connection import LearningRule
from nengo.exceptions import SimulationError
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Step: TypeAlias = Callable[[], None]
HostFunction: TypeAlias = Callable[[int, Array], Array]


@dataclass(frozen=True, eq=False)
class Watch:
    """A signal that is copied at the end of a step: every `period` steps to what `into` holds, where there is
    such; and where it is `shown`, to what the call gives.
    """

    signal: Signal
    period: float
    shown: bool
    into: list[Any] | None


@dataclass(eq=False)
class Call:
    """Operators that run together in a step: call(n, x) -> y.

    x: values of `loads` from the graph, one after the other.  y: what these operators made of `gives`, then
    copies of what is shown.  In memory, those of `gives` that the graph adds to (`shared`) are 0 before the
    operators run: y is their part.  family: calls of one may use the same objects.
    """

    operators: list[Operator] = field(default_factory=list)
    loads: list[Signal] = field(default_factory=list)
    gives: list[Signal] = field(default_factory=list)
    shared: list[Signal] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    family: int = 0

    @property
    def parts(self) -> tuple[list[Any], ...]:
        """What tells one call from another."""
        return self.operators, self.loads, self.gives, self.shared

    def learns(self, model: Model) -> bool:
        """Whether a learning rule is among the operators."""
        rules = (signals for obj, signals in model.sig.items() if isinstance(obj, LearningRule))
        deltas = {signals["delta"].base for signals in rules if "delta" in signals}
        return any(signal.base in deltas for op in self.operators for signal in (*op.sets, *op.updates))

    @property
    def arguments(self) -> int:
        return sum(signal.size for signal in self.loads)

    @property
    def results(self) -> list[Signal]:
        """The signals in y."""
        return [*self.gives, *(watch.signal for watch in self.watches if watch.shown)]

    @property
    def size(self) -> int:
        return sum(signal.size for signal in self.results)

    def columns(self, place: int) -> NDArray[np.int64]:
        """Where in y the signal is that has this place among the results."""
        first = sum(signal.size for signal in self.results[:place])
        return np.arange(first, first + self.results[place].size)

    def function(
        self,
        clock: Clock,
        signals: SignalDict,
        steps: Mapping[Operator, Step],
        said: Callable[[Operator], str],
    ) -> HostFunction:
        """The function that computes this call on `signals`, with the step functions of its operators.

        `said`: an operator in words, for a note to Nengo's own errors, which do not tell where it is.
        """
        n_signal, t_signal, dt = signals[clock.step], signals[clock.time], clock.dt
        into = _slices([signals[s] for s in self.loads])
        y = np.zeros(self.size)
        out = [
            (y[first:last].reshape(a.shape), a)
            for a, first, last in _slices([signals[s] for s in self.results])
        ]
        zeroed = [signals[s] for s in self.shared]
        run = [(steps[op], op) for op in self.operators]
        watched = [(signals[w.signal], w.period, w.into) for w in self.watches if w.into is not None]

        def call(n: int, x: Array) -> Array:
            n_signal[...] = n
            t_signal[...] = n * dt
            for memory, first, last in into:
                memory[...] = x[first:last].reshape(memory.shape)
            for memory in zeroed:
                memory[...] = 0
            for step, op in run:
                try:
                    step()
                except SimulationError as error:
                    error.add_note(f"This was {said(op)}.")
                    raise
            for memory, period, kept in watched:
                if n % period < 1:
                    kept.append(memory.copy())
            for place, memory in out:
                place[...] = memory
            return y

        return call


@dataclass(frozen=True, eq=False)
class Clock:
    """The signals that tell the time, and the length of a step in s."""

    step: Signal
    time: Signal
    dt: float


def _slices(arrays: Sequence[NDArray[Any]]) -> list[tuple[NDArray[Any], int, int]]:
    ends = np.cumsum([0, *(array.size for array in arrays)])
    return [(a, int(ends[k]), int(ends[k + 1])) for k, a in enumerate(arrays)]
