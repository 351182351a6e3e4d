"""The states that workers give in a run, put together and written to its file while the run goes on."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

from spike_runtime import frames, statefile
from spike_runtime.statemap import Arrays, StateMap


class Saving:
    """`step`: that of the state in the file, 0 before there is one; `failure`: why there is no later one.

    Both are those of the last state when `finish` has returned.
    """

    def __init__(self, path: Path, places: StateMap, noise: int) -> None:
        """noise: the seed of the noise of the run."""
        self.path, self.step, self.failure = path, 0, ""
        self._places, self._noise = places, noise
        self._given: dict[int, frames.Arrays] = {}
        self._whole: dict[int, set[int]] = {}
        self._causes: dict[int, str] = {}
        self._writing: Thread | None = None

    def take(self, frame: frames.Frame) -> None:
        """A piece of an array, of the state of a partition after a step.

        The first of a state waits until the state before is written, so that memory stays bounded.
        """
        step = frame.values["step"]
        if step not in self._given:
            self.finish()
            self._given[step] = frames.Arrays()
        self._given[step].take(frame)

    def complete(self, partition: int, step: int, cause: str) -> None:
        """A partition has given all, but for what cannot be saved (`cause`); write what all have given."""
        whole = self._whole.setdefault(step, set())
        whole.add(partition)
        if cause:
            self._causes[step] = cause
        partitions = self._places.manifest.partitions
        if len(whole) < len(partitions):
            return
        self.finish()
        del self._whole[step]
        arrays = self._given.pop(step, frames.Arrays()).of
        self.failure = self._causes.pop(step, "")
        if self.failure:
            return
        parts = [arrays.pop(part.index, {}) for part in partitions]
        writing = Thread(target=self._write, args=(parts, step))
        writing.start()
        self._writing = writing

    def finish(self) -> None:
        """Wait until what is complete is written."""
        if self._writing:
            self._writing.join()
            self._writing = None

    def _write(self, parts: list[Arrays], step: int) -> None:
        try:
            saved = statefile.of(self._places, parts, self._noise, step)
            parts.clear()
            statefile.save(self.path, saved)
        except OSError as error:
            self.failure = str(error.strerror or error)
        except MemoryError:
            self.failure = "out of memory"
        except Exception as error:  # in a thread nobody would see it, and the results are whole without
            self.failure = f"{type(error).__name__}: {error}"
        else:
            self.step = step
