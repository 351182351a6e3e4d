"""The states that workers give in a run, put together and written to its file."""

from __future__ import annotations

from pathlib import Path

from spike_runtime import frames, statefile
from spike_runtime.statemap import StateMap


class Saving:
    """`step`: that of the state in the file, 0 before there is one; `failure`: why there is no later one."""

    def __init__(self, path: Path, places: StateMap, noise: int) -> None:
        """noise: the seed of the noise of the run."""
        self.path, self.step, self.failure = path, 0, ""
        self._places, self._noise = places, noise
        self._given: dict[int, frames.Arrays] = {}
        self._whole: dict[int, set[int]] = {}
        self._causes: dict[int, str] = {}

    def take(self, frame: frames.Frame) -> None:
        """A piece of an array, of the state of a partition after a step."""
        self._given.setdefault(frame.values["step"], frames.Arrays()).take(frame)

    def complete(self, partition: int, step: int, cause: str) -> None:
        """A partition has given all, but for what cannot be saved (`cause`); write what all have given."""
        whole = self._whole.setdefault(step, set())
        whole.add(partition)
        if cause:
            self._causes[step] = cause
        partitions = self._places.manifest.partitions
        if len(whole) < len(partitions):
            return
        del self._whole[step]
        arrays = self._given.pop(step, frames.Arrays()).of
        self.failure = self._causes.pop(step, "")
        if self.failure:
            return
        saved = statefile.of(
            self._places, [arrays.pop(part.index, {}) for part in partitions], self._noise, step
        )
        try:
            statefile.save(self.path, saved)
        except OSError as error:
            self.failure = str(error.strerror or error)
        else:
            self.step = step
