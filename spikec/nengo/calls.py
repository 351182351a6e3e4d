"""Host calls: Nengo's operators that run as Nengo made them, on Nengo's own memory, once in every step.

A session runs them in its own process; in a compiled model they are kept as a `Recipe`, in a pickle.  Whoever
loads that needs this file and Nengo, and nothing else of the compiler.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from nengo.builder import Operator, Signal
from nengo.builder.processes import SimProcess
from nengo.builder.signal import SignalDict
from nengo.rc import rc
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Step: TypeAlias = Callable[[], None]
HostFunction: TypeAlias = Callable[[int, Array], Array]


@dataclass(frozen=True, eq=False)
class Watch:
    """A signal that is copied at the end of a step, every `period` steps, to what `into` holds; where it is
    `shown`, its copy is part of what the call gives instead.
    """

    signal: Signal
    period: float
    shown: bool = False
    into: list[Any] = field(default_factory=list)


@dataclass(eq=False)
class Call:
    """Operators that run together in a step: call(n, x) -> y.

    x: values of `loads` from the graph, one after the other.  y: what these operators made of `gives`, then
    copies of what is shown.  In memory, those of `gives` that the graph adds to (`shared`) are 0 before the
    operators run: y is their part.
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

    def function(self, clock: Clock, signals: SignalDict, steps: Mapping[Operator, Step]) -> HostFunction:
        """The function that computes this call on `signals`, with the step functions of its operators."""
        n_signal, t_signal, dt = signals[clock.step], signals[clock.time], clock.dt
        into = _slices([signals[s] for s in self.loads])
        out = _slices([signals[s] for s in self.results])
        zeroed = [signals[s] for s in self.shared]
        run = [steps[op] for op in self.operators]
        watched = [(signals[w.signal], w.period, w.into) for w in self.watches if not w.shown]
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


@dataclass(frozen=True, eq=False)
class Clock:
    """The signals that tell the time, and the length of a step in s."""

    step: Signal
    time: Signal
    dt: float


def begun(
    calls: Sequence[Call],
    order: Sequence[Operator],
    host: frozenset[Operator],
    clock: Clock,
    signals: SignalDict,
    seed: int,
) -> dict[str, HostFunction]:
    """The functions of all calls, by their names in the graph, on memory as it is at first.

    order: the operators of `host` in the order of Nengo's steps, and all processes.  Step functions are made
    in this order, and each process draws its seed from random numbers by `seed`, as in Nengo's simulator
    (without its optimizer, which changes that order).
    """
    for signal in signals:
        signals.reset(signal)
    rng = np.random.RandomState(seed)
    steps: dict[Operator, Step] = {}
    for op in order:
        if op in host:
            steps[op] = op.make_step(signals, clock.dt, rng)
        elif isinstance(op, SimProcess):
            op.process.get_rng(rng)
    return {f"host.{k}": call.function(clock, signals, steps) for k, call in enumerate(calls)}


@dataclass(frozen=True, eq=False)
class Recipe:
    """All that the calls of a compiled model need.

    `order`, `host`, `clock`, `seed`: see `begun`.  `bits`: the precision of Nengo.  `folder`: that of the
    model's file.  `modules`: those of the folder that functions import when they are called.
    """

    calls: tuple[Call, ...]
    order: tuple[Operator, ...]
    host: tuple[Operator, ...]
    clock: Clock
    seed: int
    bits: int
    folder: str
    modules: Mapping[str, ModuleType] = field(default_factory=dict)

    def functions(self) -> dict[str, HostFunction]:
        """The functions, by their names; they begin at the first step."""
        for name, module in self.modules.items():
            sys.modules.setdefault(name, module)
        if self.folder not in sys.path:
            sys.path.append(self.folder)  # last: what is kept, and what is installed, comes first
        rc.set("precision", "bits", str(self.bits))
        signals = SignalDict()
        for op in self.host:
            op.init_signals(signals)
        used = [s for call in self.calls for s in (*call.loads, *call.results)]
        for signal in (self.clock.step, self.clock.time, *used):
            if signal not in signals:
                signals.init(signal)
        return begun(self.calls, self.order, frozenset(self.host), self.clock, signals, self.seed)


def itself(module: ModuleType) -> ModuleType:
    """A module, to be filled with what it holds."""
    return module


def _slices(arrays: Sequence[NDArray[Any]]) -> list[tuple[NDArray[Any], int, int]]:
    ends = np.cumsum([0, *(array.size for array in arrays)])
    return [(a, int(ends[k]), int(ends[k + 1])) for k, a in enumerate(arrays)]
