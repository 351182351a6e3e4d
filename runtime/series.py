"""What is recorded of one probe, as arrays of a Zarr store: samples, or events.

Every file is replaced whole, so the arrays can be read at any time.  Chunks are large, for each is a file;
`show` writes what there is of one that is not whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from spike_runtime import sampling
from spike_runtime.chunks import Array, create_group
from spike_runtime.files import Files
from spike_runtime.manifest import Manifest, Probe
from spike_runtime.runfile import group_name

EVENTS_CHUNK = 1 << 18
TIME_CHUNK = 1 << 16
_CHUNK_BYTES = 4 << 20
_MOST_SAMPLES, _LEAST_SAMPLES = 1 << 14, 16


class Series(Protocol):
    """What is recorded of one probe.  Steps are those up to which everything has been added.

    not_finite: the step of the first sample on disk that is no finite number, None where there is none.
    """

    not_finite: int | None

    def add(self, part: int, first: int, data: NDArray[Any]) -> None: ...

    def advance(self, step: int) -> None:
        """Write the chunks that are whole."""

    def show(self, step: int) -> None:
        """Write what there is of the next chunk."""

    def cut(self, step: int) -> None:
        """Leave nothing behind `step`."""

    def written(self) -> int:
        """The last step up to which everything is on disk, as far as that is known."""


def series_of(
    root: Path, probe: Probe, manifest: Manifest, files: Files, steps: int, start: int = 0
) -> Series:
    """What is recorded of `probe` in the steps after `start` up to `steps`, written in `root` by `files`."""
    about = {
        "probe": probe.name,
        "target": probe.target,
        "kind": probe.kind,
        "attribute": probe.attribute,
        "units": probe.unit,
        "size": probe.size,
        "every": probe.every,
        "dt": manifest.dt,
        "ideal": list(probe.ideal),
        "shape": list(probe.shape),
        "neurons": list(probe.neurons),
    }
    group = root / group_name(probe.name)
    create_group(group, files, about)
    if probe.kind == "events":
        return Events(group, probe, manifest, files, start)
    return Samples(group, probe, manifest, files, steps, start)


def chunk_samples(columns: int, itemsize: int) -> int:
    """Samples in one chunk: a power of two, at most 16384, and about 4 MB unless that were less than 16."""
    samples = _MOST_SAMPLES
    while samples > _LEAST_SAMPLES and samples * columns * itemsize > _CHUNK_BYTES:
        samples //= 2
    return samples


def columns_of(ranges: tuple[tuple[int, int], ...]) -> NDArray[np.int64] | slice:
    """Column numbers of a part, in the order of its data."""
    if len(ranges) == 1:
        return slice(*ranges[0])
    return np.fromiter(chain.from_iterable(range(*pair) for pair in ranges), np.int64)


class Samples:
    """Probes with samples every so many steps: values from one part each, or integers to be summed.

    Samples are counted from those on that the run itself takes.
    """

    def __init__(
        self, group: Path, probe: Probe, manifest: Manifest, files: Files, steps: int, start: int
    ) -> None:
        self._probe, self._dtype, self._dt = probe, np.dtype(manifest.precision), manifest.dt
        self._chunk = chunk_samples(probe.size, self._dtype.itemsize)
        self._scale = -np.array(probe.exponents, np.int32)
        self._columns = [columns_of(part.ranges) for part in probe.parts]
        self._pending: dict[int, NDArray[Any]] = {}
        self._whole = self._on_disk = self._timed = 0  # chunks; samples
        self._start, self._before = start, sampling.count(start, probe.every)
        self._samples = self._count(steps)
        self.not_finite: int | None = None
        self._time = _times(group, files, TIME_CHUNK, "time", self._samples)
        # Memory of the last chunk; of the first, it is there before steps are timed.
        self._spare: NDArray[Any] | None = self._room()
        self._spare[: self._samples] = 0
        about = {"units": probe.unit, "long_name": f"{probe.attribute} of {probe.target}"}
        self._value = Array(
            group / "value",
            files,
            (self._samples, probe.size),
            self._chunk,
            self._dtype,
            ("time", "column"),
            about,
        )

    def _count(self, step: int) -> int:
        """Samples up to a step."""
        return sampling.count(step, self._probe.every) - self._before

    def add(self, part: int, first: int, data: NDArray[Any]) -> None:
        first -= self._before
        for start, stop in _spans(first, first + len(data), self._chunk):
            chunk, offset = self._buffer(start // self._chunk), start % self._chunk
            rows, piece = slice(offset, offset + stop - start), data[start - first : stop - first]
            if self._probe.kind == "sum":
                chunk[rows, self._columns[part]] += piece
            else:
                chunk[rows, self._columns[part]] = piece

    def advance(self, step: int) -> None:
        while (self._whole + 1) * self._chunk <= self._count(step):
            self._write((self._whole + 1) * self._chunk)
            self._spare = self._pending.pop(self._whole)
            self._whole += 1

    def show(self, step: int) -> None:
        if (samples := self._count(step)) > self._on_disk:
            self._write(samples)

    def written(self) -> int:
        return max(self._start, int(sampling.steps(self._before + self._on_disk, self._probe.every)))

    def cut(self, step: int) -> None:
        if (samples := self._count(step)) < self._samples:
            self._value.resize(samples)
            self._time.resize(samples)

    def _buffer(self, number: int) -> NDArray[Any]:
        if number not in self._pending:
            buffer, self._spare = self._spare, None
            if buffer is None:
                buffer = self._room()
            elif self._probe.kind == "sum":
                buffer[:] = 0
            self._pending[number] = buffer
        return self._pending[number]

    def _room(self) -> NDArray[Any]:
        """Memory for a chunk, or for all samples where those are fewer."""
        kind = np.dtype(np.int64) if self._probe.kind == "sum" else self._dtype
        return np.zeros((min(self._chunk, self._samples), self._probe.size), kind)

    def _write(self, stop: int) -> None:
        """Write the chunk that `stop` is in or ends, which has nothing behind that."""
        start = self._whole * self._chunk
        data = self._buffer(self._whole)[: stop - start]
        if self._probe.kind == "sum":
            data = np.ldexp(data.astype(np.float64), self._scale).astype(self._dtype)
        if self.not_finite is None:
            self._look(data[max(self._on_disk - start, 0) :], max(self._on_disk, start))
        self._write_times(stop)
        self._value.write(self._whole, data)
        self._on_disk = stop

    def _look(self, data: NDArray[Any], first: int) -> None:
        """Note the first of some samples, numbered from `first`, that is no finite number."""
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(data.sum()):  # four times as fast, and of what is not finite neither is the sum
                return
        finite = np.isfinite(data)
        if not finite.all():
            sample = first + int(np.argmin(finite.all(axis=1)))
            self.not_finite = int(sampling.steps(self._before + sample + 1, self._probe.every))

    def _write_times(self, stop: int) -> None:
        """The times of all samples before `stop`, in whole chunks: a long run begins as soon as a short."""
        while self._timed < min(stop, self._samples):
            end = min(self._timed + TIME_CHUNK, self._samples)
            numbers = self._before + np.arange(self._timed + 1, end + 1)
            taken = sampling.steps(numbers, self._probe.every)
            self._time.write(self._timed // TIME_CHUNK, taken * self._dt)
            self._timed = end


class Events:
    """Spikes: numbers step * size + neuron of all parts, merged in their order."""

    def __init__(self, group: Path, probe: Probe, manifest: Manifest, files: Files, start: int) -> None:
        self._dt, self._size = manifest.dt, max(1, probe.size)
        self.not_finite: int | None = None
        self._pending: list[list[NDArray[np.int64]]] = [[] for _ in probe.parts]
        self._merged: list[NDArray[np.int64]] = []  # of the chunk that is not whole
        self._count = self._whole = 0  # events in `_merged`; events in whole chunks
        self._last = 0  # the last step of which an event is on disk
        self._written = start  # the last step of which all are
        self._time = _times(group, files, EVENTS_CHUNK, "event", 0)
        about = {"units": "1", "long_name": f"neuron of {probe.target}"}
        self._neuron = Array(group / "neuron", files, (0,), EVENTS_CHUNK, np.int32, ("event",), about)

    def add(self, part: int, first: int, data: NDArray[Any]) -> None:  # noqa: ARG002 (events have no number)
        if len(data):
            self._pending[part].append(data)

    def advance(self, step: int) -> None:
        ready = [piece for part in self._pending for piece in _taken(part, (step + 1) * self._size)]
        if ready:
            # Each piece is in order: a stable sort only merges them.
            self._merged.append(np.sort(np.concatenate(ready), kind="stable"))
            self._count += len(self._merged[-1])
        if self._count >= EVENTS_CHUNK:
            merged = np.concatenate(self._merged)
            whole = len(merged) // EVENTS_CHUNK * EVENTS_CHUNK
            for start in range(0, whole, EVENTS_CHUNK):
                self._write(merged[start : start + EVENTS_CHUNK])
                self._whole += EVENTS_CHUNK
            self._merged, self._count = [merged[whole:]], len(merged) - whole
        # A chunk may end amid the events of a step.
        self._written = max(self._written, self._last - 1) if self._count else step

    def show(self, step: int) -> None:  # `advance` has taken all events before it
        if self._count:
            self._merged = [np.concatenate(self._merged)]
            self._write(self._merged[0])
        self._written = step

    def written(self) -> int:
        return self._written

    def cut(self, step: int) -> None:
        if self._last <= step:
            return
        length = min(self._time.shape[0], self._neuron.shape[0])
        kept = 0
        while length and not kept:
            number = (length - 1) // EVENTS_CHUNK
            start = number * EVENTS_CHUNK
            times = self._time.read(number)[: length - start]
            kept = int(np.searchsorted(times, (step + 0.5) * self._dt))  # NaN comes after all numbers
            length = start + kept
        for array in (self._time, self._neuron):
            if array.shape[0] > length:
                array.resize(length)

    def _write(self, events: NDArray[np.int64]) -> None:
        stop = self._whole + len(events)
        step, neuron = np.divmod(events, self._size)
        self._neuron.resize(stop)
        self._neuron.write(self._whole // EVENTS_CHUNK, neuron)
        self._time.resize(stop)
        self._time.write(self._whole // EVENTS_CHUNK, step * self._dt)
        self._last = int(step[-1])


def _taken(pieces: list[NDArray[np.int64]], limit: int) -> list[NDArray[np.int64]]:
    """Take what is below `limit` out of pieces that ascend."""
    taken = []
    while pieces and pieces[0][0] < limit:
        count = int(np.searchsorted(pieces[0], limit))
        taken.append(pieces[0][:count])
        pieces[:1] = [pieces[0][count:]] if count < len(pieces[0]) else []
    return taken


def _times(group: Path, files: Files, chunk: int, dimension: str, size: int) -> Array:
    """The array of times in s; NaN where nothing was written."""
    return Array(group / "time", files, (size,), chunk, np.float64, (dimension,), {"units": "s"})


def _spans(start: int, stop: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Cut start .. stop at multiples of `chunk`."""
    while start < stop:
        end = min(stop, (start // chunk + 1) * chunk)
        yield start, end
        start = end
