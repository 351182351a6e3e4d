"""A session whose partitions are processes: each calls the Python functions that are its own.

They are forked from the caller's process before the first step, so functions find all that they use as it is
then, and change copies of it.  The engines of this process stay at rest: their state is brought up to date
when it is wanted, and where it is set anew the processes are ended, and the next step forks others.
"""

from __future__ import annotations

import contextlib
import mmap
import weakref
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from spike_runtime import crew
from spike_runtime.blocks import Block
from spike_runtime.engine import EngineError
from spike_runtime.forked import GoneError, Process, end_all, packed, ready, unpacked
from spike_runtime.session import BROKEN, Arrays, Session, Snapshot
from spike_runtime.statefile import Saved
from spike_runtime.wires.layout import STOP

# s between two looks at how far the others are, when one has failed.
LOOK = 0.002

# What a process says of steps: how many were completed, what they recorded, and the number of the call that
# raised, -1 of none, with what was raised.
Ran: TypeAlias = tuple[int, list[Block], tuple[int, Any] | None]


class Functions(Protocol):
    """What the functions of a session run on; calls are told by their names, as in `Manifest.calls`."""

    def state(self, calls: Collection[str] | None = None) -> bytes:
        """All that these calls hold (None: all); raises `spike_runtime.python.UnsavedError`."""

    def restore(self, data: bytes) -> None:
        """Hold that; what is of other calls stays."""

    def memory(self, calls: Collection[str]) -> Mapping[int, Any]:
        """Copies of the arrays that these calls use, by number."""

    def take(self, memory: Mapping[int, Any]) -> None:
        """Take over such arrays."""

    def tell(self, values: Mapping[int, Any]) -> None:
        """Take over values that the caller has changed."""


class ApartSession(Session):
    """As `Session`, but for `functions`: gives what its calls run on now."""

    def __init__(self, *given: Any, functions: Callable[[], Functions], **options: Any) -> None:
        """For the rest see `Session`."""
        self.functions = functions
        self._processes: list[Process] = []
        self._told: dict[int, Any] = {}  # what they must know before the next step
        self._known = -1  # the step of the state that the engines here have
        super().__init__(*given, **options)
        weakref.finalize(self, end_all, self._processes)

    def _memory(self, words: int) -> NDArray[np.int64]:
        return np.frombuffer(mmap.mmap(-1, 8 * words), np.int64, words)

    # ------------------------------------------------------------------------------------------- running

    def _worth_threads(self, count: int) -> bool:  # noqa: ARG002
        return True  # the processes are there

    def _choose(self, steps: int) -> None:
        before = self._fast
        super()._choose(steps)
        if self._fast and not before:
            self._ask("compile")  # it is on disk now

    def _together(self, count: int) -> int:
        if not self._processes:
            self._told.clear()  # they begin with it
            on = enumerate(crew.idle_cores(len(self._engines)))
            self._processes += [Process(partial(self._answer, p), core, flushed=p > 0) for p, core in on]
        try:
            ran = self._run(count)
        except BaseException:
            end_all(self._processes)  # one may hang
            raise
        self._blocks += [block for _, blocks, _ in ran.values() for block in blocks]
        failed = [(done, *failure) for done, _, failure in ran.values() if failure]
        if failed:  # of those in the same step, the one that comes first in it
            _, number, error = min(failed, key=lambda found: found[:2])
            self._calls.error = unpacked(error)
            if number < 0:
                raise self._calls.take_error() or EngineError()
        return min(done for done, _, _ in ran.values())

    def _run(self, count: int) -> dict[int, Ran]:
        """Run so many steps in all processes; gives what each says of it.  Where one fails, the others go as
        far as it came.  Raises `EngineError` where a process is gone.
        """
        for process in self._processes:
            process.send("run", self.steps + 1, count, self._told)
        self._told = {}
        ran: dict[int, Ran] = {}
        waiting = dict(zip(self._processes, range(len(self._processes)), strict=True))
        while waiting:
            for process in ready(list(waiting), LOOK if len(ran) else None):
                p = waiting.pop(process)
                try:
                    ran[p] = process.reply()
                except GoneError as error:
                    raise _gone(p, error) from None
            least = min((done for done, *_ in ran.values()), default=count)
            words = [self._segment[self._engines[p].progress] for p in waiting.values()]
            if words and least < count and min(words) >= self.steps + least:
                self._segment[STOP] = 1
        return ran

    def _fail(self) -> None:
        try:
            super()._fail()
        except BaseException:
            self.broken = True  # also a single process: functions of other calls may have run
            raise

    # --------------------------------------------------------------------------------------------- state

    def recall(self, code: bool = False) -> None:
        """Bring here what the processes hold: the memory of functions; `code`: all that functions hold.

        Raises `spike_runtime.python.UnsavedError` where that cannot be kept.
        """
        functions = self.functions()
        self._check_known()
        for held in self._ask("code" if code else "memory"):
            if code:
                functions.restore(held)
            else:
                functions.take(held)

    def tell(self, values: Mapping[int, Any]) -> None:
        """Tell the processes, before their next step, what was changed here."""
        self._told |= values

    def renew(self) -> None:
        """End the processes; the next step forks others, whose functions begin with what is here then."""
        self._recall()
        self._calls.functions = self._by_number()
        end_all(self._processes)

    def _recall(self) -> None:
        """Have the state of the engines here."""
        if self._known == self.steps:
            return
        self._check_known()
        replies = self._ask("state")
        # Where there are no processes yet, it is here.
        for engine, (state, past) in zip(self._engines if replies else [], replies, strict=True):
            for name, value in state.items():
                engine.state[name][...] = value
            if engine.past is not None:
                engine.past.extend(past)
            engine.rewind(self.steps)
        self._known = self.steps

    def _check_known(self) -> None:
        """Raise `EngineError` where the processes were ended before what they hold was brought here."""
        if self.broken and not self._processes:
            raise EngineError(BROKEN)

    def state(self, partition: int) -> dict[str, NDArray[Any]]:
        self._recall()
        return super().state(partition)

    def streams(self) -> list[Arrays]:
        with contextlib.suppress(EngineError):  # a process is gone: it is broken from now on
            if not self.broken:
                self._recall()
        return super().streams()

    def snapshot(self) -> Snapshot:
        if not self.broken:
            self._recall()
        return super().snapshot()

    def arrays(self) -> Arrays:
        self._recall()
        return super().arrays()

    def saved(self, seed: int) -> Saved:
        if not (self.broken or self.failed):
            self._recall()
            self.recall(code=True)
        return super().saved(seed)

    def reset(self) -> None:
        end_all(self._processes)
        self._known = -1
        super().reset()

    def close(self) -> None:
        end_all(self._processes)
        super().close()

    def _ask(self, name: str) -> list[Any]:
        """What all processes answer; nothing where there are none.  Raises what one of them raises, and
        `EngineError` where one is gone.
        """
        for process in self._processes:
            process.send(name)
        replies, errors = [], []
        try:
            for p, process in enumerate(self._processes):
                try:
                    replies.append(process.reply())
                except GoneError as error:
                    raise _gone(p, error) from None
                except Exception as error:
                    errors.append(error)
        except BaseException:
            self.broken = True  # one is gone, or an answer may still come
            end_all(self._processes)
            raise
        if errors:
            raise errors[0]
        return replies

    # -------------------------------------------------------------------------------- in another process

    def _answer(self, p: int, name: str, *given: Any) -> Any:
        """What the process of a partition answers."""
        engine = self._engines[p]
        match name:
            case "run":
                return self._ran(p, *given)
            case "state":
                return self._state(engine), [sums.copy() for sums in engine.past or ()]
            case "compile":
                return engine.compile()
        functions, calls = self.functions(), self._calls_of(engine)
        return functions.state(calls) if name == "code" else functions.memory(calls)

    def _calls_of(self, engine: Any) -> list[str]:
        tables = (table for name, table in engine.constants.items() if name.endswith("_calls"))
        return [self.manifest.calls[row[0]] for table in tables for row in table.tolist()]

    def _ran(self, p: int, first: int, count: int, told: Mapping[int, Any]) -> Ran:
        """Run steps, with what the caller has changed."""
        if told:
            self.functions().tell(told)
        engine, done, failure = self._engines[p], [0] * len(self._engines), None
        try:
            self._go(p, first, count, done)
        except Exception as error:
            failure = -1, packed(error)
        number, raised = int(engine.state["status"][1]), self._calls.take_error()
        self._excuse(engine)
        if raised is not None:
            failure = number, packed(raised)
        blocks, self._blocks = self._blocks + engine.drain(), []
        return done[p], blocks, failure


def _gone(p: int, error: GoneError) -> EngineError:
    return EngineError(f"the process of partition {p} {error}")
