"""Probes to disk: one writer puts together what all partitions recorded and streams it to a Zarr store.

The store has one group for each probe.  Probes of kind "value" and "sum" are arrays `value`, samples x
columns, with the coordinate `time` (s); events are the arrays `time` (s) and `neuron`, sorted by
(step, neuron).  A chunk is written as soon as every part of it is there, whole and atomically, and its length
depends on the probe alone: the store is the same to the byte however the model was cut.  `value` has its full
length from the start, and what was not recorded (yet) reads as NaN: the store opens at any time, also after a
crash.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np
import zarr
from numpy.typing import NDArray
from spike_runtime.blocks import Block
from spike_runtime.manifest import Manifest, Probe

EVENTS_CHUNK = 16384
TIME_CHUNK = 65536
_CHUNK_BYTES = 4 << 20
_MOST_SAMPLES, _LEAST_SAMPLES = 1024, 16


class RecordError(Exception):
    """Results cannot be written; the message names the probe, the file and the cause."""


def group_name(probe: str) -> str:
    """Name of a probe's group in the store: the probe's, with what a path cannot hold escaped."""
    name = quote(probe, safe=" []()+-=,.:@")
    if name.startswith("__"):
        return "%5F" + name[1:]
    return name if name.strip(".") else name.replace(".", "%2E")


def chunk_samples(columns: int, itemsize: int) -> int:
    """Samples in one chunk: a power of two, at most 1024, and about 4 MB unless that were less than 16."""
    samples = _MOST_SAMPLES
    while samples > _LEAST_SAMPLES and samples * columns * itemsize > _CHUNK_BYTES:
        samples //= 2
    return samples


def columns_of(ranges: tuple[tuple[int, int], ...]) -> NDArray[np.int64]:
    """Column numbers of a part, in the order of its data."""
    return np.fromiter(chain.from_iterable(range(*pair) for pair in ranges), np.int64)


class _Series(Protocol):
    def add(self, part: int, first: int, data: NDArray[Any]) -> None: ...

    def advance(self, step: int) -> None: ...

    def finish(self, step: int) -> None: ...

    def abandon(self) -> int | None: ...


class Recorder:
    """Streams the probes of a run of `steps` steps to a new Zarr store at `path`.

    Raises `RecordError` where the disk refuses.
    """

    def __init__(self, manifest: Manifest, path: Path, steps: int, seed: int) -> None:
        self._manifest = manifest
        self._complete = [0] * len(manifest.partitions)
        self._parts = [[part.partition for part in probe.parts] for probe in manifest.probes]
        self._series: list[_Series] = []
        self._path = path
        with _Guard("the store", path):
            attributes = {"model": manifest.model, "dt": manifest.dt, "seed": seed, "unit_of_time": "s"}
            root = zarr.create_group(path, attributes=attributes)
        for probe in manifest.probes:
            with self._guard(probe):
                self._series.append(_series(root, probe, manifest, steps))

    def add(self, block: Block) -> None:
        """Take what a part recorded."""
        with self._guard(self._manifest.probes[block.probe]):
            self._series[block.probe].add(block.part, block.first_sample, block.data)

    def complete(self, partition: int, step: int) -> None:
        """Everything that `partition` recorded up to `step` has been added: write what is whole by that."""
        self._complete[partition] = step
        for number, probe in enumerate(self._manifest.probes):
            with self._guard(probe):
                self._series[number].advance(self._step(number))

    def finish(self) -> int:
        """Write the rest, cut off at the last step that all partitions completed, which is the result."""
        step = min(self._complete)
        for number, probe in enumerate(self._manifest.probes):
            with self._guard(probe):
                self._series[number].finish(step)
        return step

    def abandon(self) -> int:
        """The disk refuses: keep the whole chunks that are written; gives the last step that all hold."""
        steps = [step for series in self._series if (step := series.abandon()) is not None]
        return min(steps, default=0)

    def _step(self, probe: int) -> int:
        return min((self._complete[partition] for partition in self._parts[probe]), default=0)

    def _guard(self, probe: Probe) -> _Guard:
        partitions = sorted({part.partition for part in probe.parts})
        label = f"partition{'s'[: len(partitions) > 1]} {', '.join(map(str, partitions))}"
        return _Guard(f"probe {probe.name!r} of {label}", self._path)


class _Guard:
    """Names the probe and the place in errors of the operating system."""

    def __init__(self, what: str, path: Path) -> None:
        self._what, self._path = what, path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise RecordError(
                f"cannot record {self._what} to {self._path}: {error.strerror or error}"
            ) from error


class _Samples:
    """Probes with a sample at every `every`-th step: values from one part each, or integers to be summed."""

    def __init__(self, group: zarr.Group, probe: Probe, manifest: Manifest, steps: int) -> None:
        self._probe, self._dtype = probe, np.dtype(manifest.precision)
        self._chunk = chunk_samples(probe.size, self._dtype.itemsize)
        self._columns = [columns_of(part.ranges) for part in probe.parts]
        self._pending: dict[int, NDArray[Any]] = {}
        self._written = 0
        samples = steps // probe.every
        self._value = group.create_array(
            "value",
            shape=(samples, probe.size),
            chunks=(self._chunk, probe.size),
            dtype=self._dtype,
            fill_value=np.nan,
            dimension_names=("time", "column"),
            attributes={"units": probe.unit, "long_name": f"{probe.attribute} of {probe.target}"},
        )
        self._time = _vector(group, "time", np.float64, TIME_CHUNK, "time", {"units": "s"}, samples)
        self._timed, self._samples, self._interval = 0, samples, (probe.every, manifest.dt)

    def _write_times(self, stop: int) -> None:
        """The times of all samples before `stop`, in whole chunks: a long run begins as soon as a short."""
        every, dt = self._interval
        while self._timed < stop:
            end = min(self._timed + TIME_CHUNK, self._samples)
            self._time[self._timed : end] = np.arange(self._timed + 1, end + 1) * every * dt
            self._timed = end

    def add(self, part: int, first: int, data: NDArray[Any]) -> None:
        for start, stop in _spans(first, first + len(data), self._chunk):
            chunk, offset = self._buffer(start // self._chunk), start % self._chunk
            rows, piece = slice(offset, offset + stop - start), data[start - first : stop - first]
            if self._probe.kind == "sum":
                chunk[rows, self._columns[part]] += piece
            else:
                chunk[rows, self._columns[part]] = piece

    def advance(self, step: int) -> None:
        while (self._written + 1) * self._chunk <= step // self._probe.every:
            self._write(self._written * self._chunk, (self._written + 1) * self._chunk)
            self._written += 1

    def finish(self, step: int) -> None:
        self.advance(step)
        samples, start = step // self._probe.every, self._written * self._chunk
        if start < samples:
            self._write(start, samples)
        self._cut(samples)

    def abandon(self) -> int | None:
        samples = min(self._written * self._chunk, self._value.shape[0])
        with contextlib.suppress(OSError):
            self._cut(samples)
        return int(samples) * self._probe.every

    def _cut(self, samples: int) -> None:
        if samples < self._value.shape[0]:
            self._value.resize((samples, self._probe.size))
            self._time.resize((samples,))

    def _buffer(self, number: int) -> NDArray[Any]:
        if number not in self._pending:
            kind = np.int64 if self._probe.kind == "sum" else self._dtype
            self._pending[number] = np.zeros((self._chunk, self._probe.size), kind)
        return self._pending[number]

    def _write(self, start: int, stop: int) -> None:
        number = start // self._chunk
        data = self._buffer(number)[: stop - start]
        if self._probe.kind == "sum":
            data = np.ldexp(data.astype(np.float64), -self._probe.exponent).astype(self._dtype)
        self._write_times(stop)
        self._value[start:stop] = data
        del self._pending[number]


class _Events:
    """Spikes: (step, neuron) pairs of all parts, merged in order of (step, neuron)."""

    def __init__(self, group: zarr.Group, probe: Probe, manifest: Manifest) -> None:
        self._dt = manifest.dt
        self._pending = [np.zeros((0, 2), np.int64) for _ in probe.parts]
        self._merged = np.zeros((0, 2), np.int64)
        self._time = _vector(group, "time", np.float64, EVENTS_CHUNK, "event", {"units": "s"}, 0)
        about = {"units": "1", "long_name": f"neuron of {probe.target}"}
        self._neuron = _vector(group, "neuron", np.int64, EVENTS_CHUNK, "event", about, 0)

    def add(self, part: int, first: int, data: NDArray[Any]) -> None:  # noqa: ARG002 (events have no number)
        self._pending[part] = np.concatenate([self._pending[part], data])

    def advance(self, step: int) -> None:
        self._merge(step)
        whole = len(self._merged) // EVENTS_CHUNK * EVENTS_CHUNK
        for start in range(0, whole, EVENTS_CHUNK):
            self._append(self._merged[start : start + EVENTS_CHUNK])
        self._merged = self._merged[whole:]

    def finish(self, step: int) -> None:
        self.advance(step)
        if len(self._merged):
            self._append(self._merged)

    def abandon(self) -> int | None:
        return None  # arrays of events hold what was written, and nothing else

    def _merge(self, step: int) -> None:
        ready = np.concatenate([pairs[pairs[:, 0] <= step] for pairs in self._pending] or [self._merged[:0]])
        self._pending = [pairs[pairs[:, 0] > step] for pairs in self._pending]
        order = np.lexsort((ready[:, 1], ready[:, 0]))
        self._merged = np.concatenate([self._merged, ready[order]])

    def _append(self, pairs: NDArray[np.int64]) -> None:
        self._neuron.append(pairs[:, 1])
        self._time.append(pairs[:, 0] * self._dt)


def _series(root: zarr.Group, probe: Probe, manifest: Manifest, steps: int) -> _Series:
    about = {
        "probe": probe.name,
        "target": probe.target,
        "kind": probe.kind,
        "attribute": probe.attribute,
        "unit": probe.unit,
        "size": probe.size,
        "every": probe.every,
        "dt": manifest.dt,
        "ideal": list(probe.ideal),
    }
    group = root.create_group(group_name(probe.name), attributes=about)
    if probe.kind == "events":
        return _Events(group, probe, manifest)
    return _Samples(group, probe, manifest, steps)


def _vector(
    group: zarr.Group, name: str, dtype: Any, chunk: int, dimension: str, attributes: Any, size: int
) -> zarr.Array:
    return group.create_array(
        name,
        shape=(size,),
        chunks=(chunk,),
        dtype=dtype,
        dimension_names=(dimension,),
        attributes=attributes,
    )


def _spans(start: int, stop: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Cut start .. stop at multiples of `chunk`."""
    while start < stop:
        end = min(stop, (start // chunk + 1) * chunk)
        yield start, end
        start = end
