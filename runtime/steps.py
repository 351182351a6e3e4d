"""All steps of a worker's partitions: chunk by chunk, in turn, handing over what each recorded."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from spike_runtime.blocks import Block
from spike_runtime.cores import displaced
from spike_runtime.outbox import Outbox
from spike_runtime.pace import Pace
from spike_runtime.python import UnsavedError
from spike_runtime.runfile import Times
from spike_runtime.table import Entry
from spike_runtime.unknown import PYTHON
from spike_runtime.wires.layout import EXCHANGE_NS, PROGRESS, STOP, TAKEN, WAITING_NS, Ring, SegmentLayout
from spike_runtime.wires.turns import STOPPED, Turns

# How many chunks a partition may be ahead of another one of its worker: bounds what waits to be recorded.
AHEAD = 2
# s that one which failed waits for others to read what it sent.
PATIENCE = 1.0


class Engine(Protocol):
    """What runs a program.  `chunk`: the most steps from `begin` to `end`; `entry`: what runs them.

    `room`: steps of which what was drained stays as it is; `shared_words`: the memory that `share` takes.
    """

    chunk: int
    room: int
    shared_words: int

    @property
    def entry(self) -> Entry: ...

    def begin(self, first: int) -> None:
        """Make ready to run steps from `first` on; raises where the partition failed."""

    def end(self, first: int, done: int) -> None:
        """Note that so many steps from `first` on were run; raises where none could be."""

    def share(self, memory: NDArray[np.int64]) -> None:
        """Record samples into `memory`, which whoever takes them has too."""

    def drain(self) -> list[Block]:
        """What was recorded since the last call; the arrays stay as they are for `room` steps."""

    def release(self) -> None:
        """Python functions of the model are called no more."""

    def remember(self) -> None:
        """Be ready to give the state at the end."""

    def portable(self) -> dict[str, NDArray[Any]]:
        """The state after the last step (see `kept`)."""

    def python(self) -> bytes:
        """The state of the Python functions that it calls, if any."""

    def adopt(self, arrays: dict[str, NDArray[Any]], step: int) -> None:
        """Go on after `step`, from a state."""


@dataclass(eq=False)
class _Member:
    """One of the partitions: the step with which its chunk begins, the last step handed over, times in ns."""

    partition: int
    engine: Engine
    own: int
    first: int = 1
    done: int = 0
    ended: int = 0
    recording: int = 0
    given: bool = False


@dataclass(frozen=True, eq=False)
class Keeping:
    """After which steps the state is kept: the last of the run, and every so many, if `every` is not 0.

    window: the most steps that a message holds: as many before each of these are a chunk of their own each.
    """

    pace: Pace
    window: int
    every: int

    def next(self, done: int, start: int) -> int:
        """The next of these steps after `done`, in a run that began after `start`."""
        periods = (done - start) // self.every + 1 if self.every else 0
        return min(self.pace.last, start + periods * self.every) if periods else self.pace.last


class Steps:
    """`at` is the partition at work, to blame where something fails."""

    def __init__(
        self,
        partitions: Sequence[int],
        engines: Sequence[Engine],
        turns: Turns,
        segment: NDArray[np.int64],
        layout: SegmentLayout,
        sent: Sequence[Ring] = (),
        start: int = 0,
    ) -> None:
        """`sent`: rings from these partitions to those of other workers.  All go on after step `start`."""
        self.at = partitions[0]
        self._turns, self._segment, self._sent = turns, segment, sent
        self._members = [
            _Member(p, engine, layout.control(p), done=start)
            for p, engine in zip(partitions, engines, strict=True)
        ]
        for member in self._members:
            segment[member.own + TAKEN] = start
        self._began, self._start, self._last = start, 0, start
        self._displaced = 0
        self._keeping: Keeping | None = None

    @property
    def done(self) -> int:
        """The last step that all have completed."""
        return min(member.done for member in self._members)

    @property
    def last(self) -> int:
        """The last step of the run."""
        return self._last

    def run(self, outbox: Outbox, steps: int, chunk: int, keeping: Keeping | None = None) -> None:
        """Run up to step `steps`, or until the run is stopped; raises what goes wrong in a partition.

        keeping: where the state is kept; then it also goes as far as it is told, and may end before.
        """
        self._start, self._last, self._keeping = time.perf_counter_ns(), steps, keeping
        self._displaced = displaced()
        try:
            self._give(chunk, outbox)
            while (place := self._run()) != STOPPED or self._may_go_on():
                if place != STOPPED:
                    self._hand_over(place, outbox)
                self._give(chunk, outbox)
            for place in self._unfinished():
                self._hand_over(place, outbox)
        except Exception:  # whatever it is: the others must be stopped first, then it goes on
            failed = self.at
            self._let_others_read()
            self._segment[STOP] = 1  # nobody need wait for this one
            for place in self._unfinished():
                if self._members[place].partition != failed:
                    with contextlib.suppress(Exception):  # the first failure is the one to tell
                        self._hand_over(place, outbox)
            self.at = failed
            raise

    def times(self) -> dict[int, Times]:
        """Where the time went, by partition.  What is not its own work is waiting, for others or its turn."""
        found, lost = {}, displaced() - self._displaced
        for place, member in enumerate(self._members):
            inside, exchange = (int(self._segment[member.own + k]) for k in (WAITING_NS, EXCHANGE_NS))
            compute = max(0, self._turns.busy(place) - inside - exchange)
            spent = compute + exchange + member.recording
            waiting = max(0, member.ended - self._start - spent)
            steps = member.done - self._began
            found[member.partition] = Times(steps, compute, exchange, waiting, member.recording, lost)
        return found

    def _let_others_read(self) -> None:
        """Wait a moment until all that was sent is read: others record as far as they can from it."""
        end = time.monotonic() + PATIENCE
        while any(self._segment[ring.head] != self._segment[ring.tail] for ring in self._sent):
            if self._segment[STOP] or time.monotonic() > end:
                break
            time.sleep(1e-3)

    def _run(self) -> int:
        try:
            return self._turns.run()
        except Exception:  # goes on, with the partition to blame
            self.at = self._members[self._turns.place].partition
            raise

    def _may_go_on(self) -> bool:
        """Wait until it may go further, where that is all that is missing."""
        if not self._keeping or self._segment[STOP] or self.done >= self._last:
            return False
        return self._keeping.pace.wait()

    def _farthest(self, chunk: int) -> int:
        """The step to which partitions may go now."""
        if self._keeping:
            pace = self._keeping.pace
            pace.look()
            self._last = pace.last
            if pace.may < pace.last:
                return min(pace.may, self.done + AHEAD * chunk)
        return min(self._last, self.done + AHEAD * chunk)

    def _chunk_end(self, done: int, chunk: int) -> int:
        """The end of the chunk that begins after `done`."""
        if not self._keeping:
            return min(self._last, done + chunk)
        border = self._keeping.next(done, self._began) - self._keeping.window + 1
        return min(border, done + chunk, self._keeping.pace.may) if done < border else done + 1

    def _give(self, chunk: int, outbox: Outbox) -> None:
        """Let all begin a chunk that are done with the last one and not too far ahead; wait where what they
        recorded has to be taken first.
        """
        farthest = self._farthest(chunk)
        for place, member in enumerate(self._members):
            if not member.given and member.done < farthest:
                self.at = member.partition
                end = self._chunk_end(member.done, chunk)
                outbox.wait(partial(self._has_room, member, end))
                member.given, member.first = True, member.done + 1
                member.engine.begin(member.first)
                self._turns.give(place, end)

    def _has_room(self, member: _Member, end: int) -> bool:
        """Whether a partition can record up to step `end`, or need not any more."""
        taken = self._segment[member.own + TAKEN]
        return bool(end - taken <= member.engine.room or self._segment[STOP])

    def _hand_over(self, place: int, outbox: Outbox) -> None:
        """What a partition recorded since it began its chunk."""
        member, start = self._members[place], time.perf_counter_ns()
        self.at, member.given = member.partition, False
        ran = self._turns.done(place) - member.done
        member.engine.end(member.first, ran)
        member.done += ran
        self._segment[member.own + PROGRESS] = member.done
        outbox.put(member.engine.drain(), member.partition, member.done)
        if self._keeping and ran and self._keeping.next(member.done - 1, self._began) == member.done:
            self._keep(member, outbox)
        member.ended = time.perf_counter_ns()
        member.recording += member.ended - start
        if ran == 0 and not self._segment[STOP]:
            raise RuntimeError(f"the program stopped at step {member.done} of itself")

    def _keep(self, member: _Member, outbox: Outbox) -> None:
        """Hand over the state of a partition."""
        arrays, cause = member.engine.portable(), ""
        try:
            if python := member.engine.python():
                arrays[PYTHON] = np.frombuffer(python, np.uint8)
        except UnsavedError as error:
            cause = str(error)
        outbox.keep(arrays, cause, member.partition, member.done)

    def _unfinished(self) -> list[int]:
        """Places of those that are in a chunk, where the run ends before its time."""
        return [place for place, member in enumerate(self._members) if member.given]
