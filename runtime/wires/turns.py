"""Several partitions of one process in turn: each runs a few steps, while it lacks neither messages nor room.

Where a host has more partitions than cores, a change of process for each partition and step would take longer
than many a step.  So each process has several partitions, and a compiled loop goes round them (see `rounds`);
only where none of them can go on does it wait (see `waiting`), for any of the messages that they lack.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from spike_runtime.manifest import Manifest
from spike_runtime.table import Entry
from spike_runtime.wires import called
from spike_runtime.wires.layout import WINDOW, WIRE, SegmentLayout, in_wire_table, out_wire_table

Words = NDArray[np.int64]

# Of a partition: its entry, the next step and the last of its chunk, its rows in the tables of wires, and for
# how long it ran.
LOOP, PROGRESS, TABLE, STATUS, NEXT, LAST, IN, IN_END, OUT, OUT_END, BUSY_NS, COLUMNS = range(12)
STOPPED = -1
# The most steps of a turn.  More would be kinder to the caches; but what goes round between processes would
# be with one of them for long, while the other waits.
LONGEST = 4


class Turns:
    """The partitions of one process, by their places in `partitions`."""

    def __init__(
        self,
        manifest: Manifest,
        layout: SegmentLayout,
        segment: Words,
        partitions: Sequence[int],
        entries: Sequence[Entry],
        start: int = 0,
    ) -> None:
        """All go on after step `start`."""
        self._segment, self._seat = segment, layout.seat(partitions[0])
        self._state = np.zeros((len(partitions), COLUMNS), np.int64)
        into = [_windowed(in_wire_table(layout, manifest, p), manifest) for p in partitions]
        out = [_windowed(out_wire_table(layout, manifest, p), manifest) for p in partitions]
        self._into, self._out = np.concatenate(into), np.concatenate(out)
        for tables, end in ((into, IN_END), (out, OUT_END)):
            self._state[:, end] = np.cumsum([len(table) for table in tables])
            self._state[1:, end - 1] = self._state[:-1, end]
        for state, entry in zip(self._state, entries, strict=True):
            state[[LOOP, PROGRESS, TABLE, STATUS]] = entry.loop, entry.progress, entry.table, entry.status
            state[NEXT] = start + 1
        self._turn = np.zeros(1, np.int64)
        self.run()  # compiles, where that must be

    def give(self, place: int, last: int) -> None:
        """Let a partition run up to step `last`."""
        self._state[place, LAST] = last

    def done(self, place: int) -> int:
        """The last step that a partition has completed."""
        return int(self._state[place, NEXT]) - 1

    def busy(self, place: int) -> int:
        """For how long a partition ran, in ns."""
        return int(self._state[place, BUSY_NS])

    def run(self) -> int:
        """Run all until one has done the last step that it may, or has left a status; gives its place, or
        `STOPPED` where the run was stopped, or none may run.
        """
        if len(self._state) == 1:
            return called.run_alone(self._segment, self._state[0], self._seat)
        return called.take_turns(self._segment, self._state, self._into, self._out, self._seat, self._turn)

    @property
    def place(self) -> int:
        """Whose turn it was last."""
        return int(self._turn[0])


def _windowed(table: Words, manifest: Manifest) -> Words:
    """A table of wires with the window of each, lists too."""
    table[:, WINDOW] = [manifest.wires[number].window for number in table[:, WIRE]]
    return table
