"""Host calls: Nengo's operators that run as Nengo made them, on Nengo's own memory, once in every step.

A session runs them in its own process; in a compiled model they are kept as a `Recipe`, in a pickle.  Whoever
loads that needs this file, `keeping` and Nengo, and nothing else of the compiler.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from nengo.builder import Operator, Signal
from nengo.builder.processes import SimProcess
from nengo.builder.signal import SignalDict
from nengo.exceptions import SimulationError
from nengo.rc import rc
from numpy.typing import NDArray
from spike_runtime.python import UnsavedError, loads

from spikec.keeping import Own, bytes_of, is_of_folder, why

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
        out = _slices([signals[s] for s in self.results])
        zeroed = [signals[s] for s in self.shared]
        run = [(steps[op], op) for op in self.operators]
        watched = [(signals[w.signal], w.period, w.into) for w in self.watches if w.into is not None]
        y = np.zeros(self.size)

        def call(n: int, x: Array) -> Array:
            n_signal[...] = n
            t_signal[...] = n_signal * dt
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


@dataclass(eq=False)
class Begun:
    """Calls on memory of their own: the functions of a run.

    host: the operators that they run, in the order of Nengo's steps; steps: what runs each; said: each in
    words; own: whose code is the user's; modules: whether what their modules hold is part of the state;
    places: what functions of the graph read that the caller changes (see `following`).
    """

    calls: Sequence[Call]
    host: Sequence[Operator]
    clock: Clock
    signals: SignalDict
    steps: dict[Operator, Step]
    said: Callable[[Operator], str]
    own: Own
    modules: bool
    places: list[Any] = field(default_factory=list)

    def tell(self, values: Mapping[int, Any]) -> None:
        """What was changed in the caller's process is so here, by the numbers of `places`."""
        for k, value in values.items():
            self.places[k].take(value)

    def functions(self) -> dict[str, HostFunction]:
        """The functions of all calls, by their names in the graph."""
        made = (call.function(self.clock, self.signals, self.steps, self.said) for call in self.calls)
        return {f"host.{k}": function for k, function in enumerate(made)}

    def state(self, calls: Collection[str] | None = None) -> bytes:
        """What the functions need to go on as they would from here: all that they hold, with their code; or
        what those of some calls hold, by their names.

        Raises `UnsavedError` that names what cannot be kept.
        """
        memory, own = self._memory(), self._operators(calls)
        modules = {name: m for name, m in list(sys.modules.items()) if self.modules and self.own(vars(m))}
        steps = [self.steps[op] if op in own else None for op in self.host]
        everything = self.memory(calls), steps, modules
        try:
            return self._kind() + bytes_of(everything, self.own, memory, self.modules)
        except Exception as error:  # whatever an object raises when it is asked for its state
            raise UnsavedError(self._refused(memory, error)) from error

    def restore(self, data: bytes) -> None:
        """Go on from a state: its objects take the place of those that are; memory stays where it is.

        Raises `ValueError` where it is of other operators.
        """
        kind = self._kind()
        if data[: len(kind)] != kind:
            raise ValueError("it is of other functions, processes or neurons")
        values, steps, modules = loads(data[len(kind) :], self._memory())
        self.take(values)
        found = zip(self.host, steps, strict=True)
        self.steps |= {op: step for op, step in found if step is not None}
        sys.modules.update(modules)

    def memory(self, calls: Collection[str] | None = None) -> list[Any]:
        """Copies of what operators share, of all calls or of some; None for what is not theirs, or never
        changes.
        """
        own = {id(self.signals[s.base]) for op in self._operators(calls) for s in op.all_signals}
        own |= {id(array) for array in self._memory()[:2]}
        return [a.copy() if id(a) in own and _changes(a) else None for a in self._memory()]

    def take(self, memory: Sequence[Any]) -> None:
        """Take over what `memory` gave."""
        for array, value in zip(self._memory(), memory, strict=True):
            if value is not None:
                array[...] = value

    def _operators(self, calls: Collection[str] | None) -> set[Operator]:
        """Those of some calls, or all."""
        if calls is None:
            return set(self.host)
        return {op for k, call in enumerate(self.calls) if f"host.{k}" in calls for op in call.operators}

    def _memory(self) -> list[Any]:
        """What operators share: of every signal that they use, in a fixed order."""
        bases = dict.fromkeys(s.base for op in self.host for s in op.all_signals)
        return [self.signals[s] for s in (self.clock.step, self.clock.time, *bases)]

    def _kind(self) -> bytes:
        """What tells these operators from others."""
        kinds = [(type(op).__qualname__, [s.shape for s in op.all_signals]) for op in self.host]
        return hashlib.sha256(repr(kinds).encode()).digest()

    def _refused(self, memory: Sequence[Any], error: Exception) -> str:
        for op in self.host:
            try:
                bytes_of(self.steps[op], self.own, memory, self.modules)
            except Exception as found:  # as above
                return f"{self.said(op)} cannot be kept: {why(found)}"
        return f"what the model runs in Python cannot be kept: {why(error)}"


def _changes(array: Any) -> bool:
    """Whether something of Nengo's memory changes from step to step."""
    return isinstance(array, np.ndarray) and array.flags.writeable


def begun(
    calls: Sequence[Call],
    order: Sequence[Operator],
    host: frozenset[Operator],
    clock: Clock,
    signals: SignalDict,
    seed: int,
    said: Callable[[Operator], str],
    own: Own,
    modules: bool,
) -> Begun:
    """The calls on memory as it is at first.

    order: the operators of `host` in the order of Nengo's steps, and all processes.  Step functions are made
    in this order, and each process draws its seed from random numbers by `seed`, as in Nengo's simulator
    (without its optimizer, which changes that order).  For the rest see `Begun`.
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
    return Begun(calls, tuple(steps), clock, signals, steps, said, own, modules)


@dataclass(frozen=True, eq=False)
class Recipe:
    """All that the calls of a compiled model need.

    `order`, `host`, `clock`, `seed`: see `begun`.  `said`: those of `host` in words.  `bits`: the precision
    of Nengo.  `folder`: that of the model's file.  `modules`: those of the folder that functions import when
    they are called.
    """

    calls: tuple[Call, ...]
    order: tuple[Operator, ...]
    host: tuple[Operator, ...]
    said: tuple[str, ...]
    clock: Clock
    seed: int
    bits: int
    folder: str
    modules: Mapping[str, ModuleType] = field(default_factory=dict)

    def begin(self) -> Begun:
        """The calls, before the first step."""
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
        said = dict(zip(self.host, self.said, strict=True)).__getitem__
        own = partial(is_of_folder, folder=Path(self.folder))
        host = frozenset(self.host)
        return begun(self.calls, self.order, host, self.clock, signals, self.seed, said, own, modules=True)


def _slices(arrays: Sequence[NDArray[Any]]) -> list[tuple[NDArray[Any], int, int]]:
    ends = np.cumsum([0, *(array.size for array in arrays)])
    return [(a, int(ends[k]), int(ends[k + 1])) for k, a in enumerate(arrays)]
