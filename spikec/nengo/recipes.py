"""What host calls run on: memory and step functions of their own; and the recipe for it, which is pickled.

Calls that share nothing may be in different partitions, and so in different processes: each has what is its
own.  Whoever loads a recipe needs this file, `calls`, `keeping` and Nengo, and nothing else of the compiler.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import nengo.utils.numpy as npext
import numpy as np
from nengo.base import Process
from nengo.builder import Operator, Signal
from nengo.builder.processes import SimProcess
from nengo.builder.signal import SignalDict
from nengo.rc import rc
from spike_runtime.python import UnsavedError, load

from spikec.keeping import Own, bytes_of, is_of_folder, why
from spikec.nengo.calls import Call, Clock, HostFunction, Step

# Names of modules that recipes brought into this process.
_CLAIMED: set[str] = set()


@dataclass(frozen=True)
class Blank:
    """The shape and type of a signal that other partitions' calls use."""

    shape: tuple[int, ...]
    dtype: Any


@dataclass(eq=False)
class Begun:
    """Calls on memory of their own: the functions of a run, all or those of a partition.

    calls: by their names in the graph.  host: the operators that the model's calls run, in the order of
    Nengo's steps, None: in another partition; bases: the signals that they share.  steps: what runs each;
    said: each in words; own: whose code is the user's; modules: names of those that are theirs, None where
    what modules hold is no part of the state; kind: what tells these operators from others.  places: what
    functions of the graph read that the caller changes (see `following`).
    """

    calls: Mapping[str, Call]
    host: Sequence[Operator | None]
    bases: Sequence[Signal | Blank]
    kind: bytes
    clock: Clock
    signals: SignalDict
    steps: dict[Operator, Step]
    said: Callable[[Operator], str]
    own: Own
    modules: Collection[str] | None
    places: list[Any] = field(default_factory=list)

    def tell(self, values: Mapping[int, Any]) -> None:
        """What was changed in the caller's process is so here, by the numbers of `places`."""
        for k, value in values.items():
            self.places[k].take(value)

    def functions(self) -> dict[str, HostFunction]:
        """The functions of all calls, by their names in the graph."""
        given = self.clock, self.signals, self.steps, self.said
        return {name: call.function(*given) for name, call in self.calls.items()}

    def state(self, calls: Collection[str] | None = None) -> bytes:
        """What the functions need to go on as they would from here: all that they hold, with their code; or
        what those of some calls hold, by their names.

        Raises `UnsavedError` that names what cannot be kept.
        """
        memory, running = self._memory(), self._operators(calls)
        modules = {
            name: m for name, m in list(sys.modules.items()) if self._is_own(name) and self.own(vars(m))
        }
        steps = {k: self.steps[op] for k, op in enumerate(self.host) if op in running}
        everything = self.memory(calls), steps, modules
        try:
            return self.kind + bytes_of(everything, self.own, memory, self.modules is not None)
        except Exception as error:  # whatever an object raises when it is asked for its state
            raise UnsavedError(self._refused(memory, error)) from error

    def restore(self, data: bytes) -> None:
        """Go on from states, one after the other: their objects take the place of those that are, as far as
        they are of these calls; memory stays where it is.

        Raises `ValueError` where they are of other operators.
        """
        memory, file, found = self._memory(), io.BytesIO(data), []
        while kind := file.read(len(self.kind)):
            if kind != self.kind:
                raise ValueError("it is of other functions, processes or neurons")
            found.append(load(file, memory))
        for values, steps, modules in found:
            self.take(values)
            own = ((self.host[k], step) for k, step in steps.items())
            self.steps |= {op: step for op, step in own if op is not None}
            here = self.modules is None
            sys.modules.update({name: m for name, m in modules.items() if here or self._is_own(name)})

    def memory(self, calls: Collection[str] | None = None) -> dict[int, Any]:
        """Copies of what operators share that changes, of all calls or of some, by number."""
        own = {id(self.signals[s.base]) for op in self._operators(calls) for s in op.all_signals}
        memory = self._memory()
        own |= {id(array) for array in memory[:2]}
        return {k: a.copy() for k, a in enumerate(memory) if id(a) in own and _changes(a)}

    def take(self, memory: Mapping[int, Any]) -> None:
        """Take over what `memory` gave."""
        here = self._memory()
        for k, value in memory.items():
            here[k][...] = value

    def _operators(self, calls: Collection[str] | None) -> set[Operator]:
        """Those of some calls, or all."""
        chosen = self.calls if calls is None else self.calls.keys() & calls
        return {op for name in chosen for op in self.calls[name].operators}

    def _memory(self) -> list[Any]:
        """What operators share: of every signal that they use, in a fixed order."""
        kept = [np.zeros(s.shape, s.dtype) if isinstance(s, Blank) else self.signals[s] for s in self.bases]
        return [self.signals[self.clock.step], self.signals[self.clock.time], *kept]

    def _is_own(self, module: str) -> bool:
        """Whether what a module holds is part of the state, and not of that of another partition here."""
        return self.modules is not None and (module in self.modules or module not in _CLAIMED)

    def _refused(self, memory: Sequence[Any], error: Exception) -> str:
        for op, step in self.steps.items():
            try:
                bytes_of(step, self.own, memory, self.modules is not None)
            except Exception as found:  # as above
                return f"{self.said(op)} cannot be kept: {why(found)}"
        return f"what the model runs in Python cannot be kept: {why(error)}"


def _changes(array: Any) -> bool:
    """Whether something of Nengo's memory changes from step to step."""
    return isinstance(array, np.ndarray) and array.flags.writeable


@dataclass(frozen=True, eq=False)
class Operations:
    """What calls run: all of a model, or those of a partition.

    calls, host, bases, kind, clock: see `Begun`.  order: the operators in the order of Nengo's steps, and
    processes that draw random numbers then; None: one of the graph, or of another partition, draws a seed.
    """

    calls: Mapping[str, Call]
    order: Sequence[Operator | None]
    host: Sequence[Operator | None]
    bases: Sequence[Signal | Blank]
    kind: bytes
    clock: Clock

    def of(self, calls: Collection[str]) -> Operations:
        """What some calls run."""
        chosen = {name: call for name, call in self.calls.items() if name in calls}
        own = {op for call in chosen.values() for op in call.operators}
        used = {s.base for op in own for s in op.all_signals}
        drawing = (op for op in self.order if op in own or draws_seed(op))
        order = tuple(op if op in own or _draws_itself(op) else None for op in drawing)
        host = tuple(op if op in own else None for op in self.host)
        bases = tuple(base if base in used else _blank(base) for base in self.bases)
        return replace(self, calls=chosen, order=order, host=host, bases=bases)

    def begin(
        self,
        signals: SignalDict,
        seed: int,
        said: Callable[[Operator], str],
        own: Own,
        modules: Collection[str] | None,
    ) -> Begun:
        """The calls on memory as it is at first.

        Step functions are made in their order, and each process draws its seed from random numbers by `seed`,
        as in Nengo's simulator (without its optimizer, which changes that order).
        """
        for signal in signals:
            signals.reset(signal)
        rng, running = np.random.RandomState(seed), {*self.host}
        steps: dict[Operator, Step] = {}
        for op in self.order:
            if op is None:
                rng.randint(npext.maxint)
            elif op in running:
                steps[op] = op.make_step(signals, self.clock.dt, rng)
            elif isinstance(op, SimProcess):
                op.process.get_rng(rng)
        what = self.calls, self.host, self.bases, self.kind, self.clock
        return Begun(*what, signals, steps, said, own, modules)


def operations(
    calls: Sequence[Call], order: Sequence[Operator], host: Collection[Operator], clock: Clock
) -> Operations:
    """What all calls of a model run; they are called host.0, host.1 and so on."""
    running = tuple(op for op in order if op in host)
    bases = tuple(dict.fromkeys(s.base for op in running for s in op.all_signals))
    kinds = [(type(op).__qualname__, [s.shape for s in op.all_signals]) for op in running]
    kind = hashlib.sha256(repr(kinds).encode()).digest()
    return Operations({f"host.{k}": c for k, c in enumerate(calls)}, order, running, bases, kind, clock)


def draws_seed(op: Any) -> bool:
    """Whether the step of an operator draws a seed when it is made."""
    return isinstance(op, SimProcess) and (op.process.seed is None or _draws_itself(op))


def _draws_itself(op: Any) -> bool:
    """Whether a process draws as it likes."""
    return isinstance(op, SimProcess) and type(op.process).get_rng is not Process.get_rng


def _blank(base: Signal | Blank) -> Blank:
    if isinstance(base, Blank):
        return base
    return Blank((0,) if base.sparse else base.shape, base.dtype)


@dataclass(frozen=True, eq=False)
class Recipe:
    """All that calls of a compiled model need.

    `said`: the operators in words.  `seed`: that of the simulator; `bits`: the precision of Nengo; `folder`:
    that of the model's file; `modules`: those of the folder that functions import when they are called.
    """

    what: Operations
    said: Mapping[Operator, str]
    seed: int
    bits: int
    folder: str
    modules: Mapping[str, ModuleType] = field(default_factory=dict)

    def of(self, calls: Collection[str]) -> Recipe:
        """That of some calls."""
        what = self.what.of(calls)
        return replace(self, what=what, said={op: self.said[op] for op in what.host if op is not None})

    def begin(self) -> Begun:
        """The calls, before the first step."""
        for name, module in self.modules.items():
            sys.modules.setdefault(name, module)
        _CLAIMED.update(self.modules)
        if self.folder not in sys.path:
            sys.path.append(self.folder)  # last: what is kept, and what is installed, comes first
        rc.set("precision", "bits", str(self.bits))
        signals, clock = SignalDict(), self.what.clock
        for op in self.said:
            op.init_signals(signals)
        used = [s for call in self.what.calls.values() for s in (*call.loads, *call.results)]
        for signal in (clock.step, clock.time, *used):
            if signal not in signals:
                signals.init(signal)
        own = partial(is_of_folder, folder=Path(self.folder))
        return self.what.begin(signals, self.seed, self.said.__getitem__, own, self.modules.keys())
