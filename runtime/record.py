"""Probes to disk: one writer puts together what all partitions recorded and streams it to a Zarr store.

The store has one group for each probe.  Probes of kind "value" and "sum" are arrays `value`, samples x
columns, with the coordinate `time` (s); events are the arrays `time` (s) and `neuron`, sorted by
(step, neuron).  Nothing is written of a step that not all partitions have completed.  What is written, chunk
by chunk, depends on the probe alone: the finished store is the same to the byte however the model was cut.

Every file is replaced whole, so the store opens at any time, also after a crash.  `value` has its full length
from the start, and what was not recorded (yet) reads as NaN.  Of events the neurons are written before the
times: there are as many as there are times that are not NaN.  Chunks are large, for each costs about a
millisecond; what a slow model has recorded of one is written about every second.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from spike_runtime.blocks import Block
from spike_runtime.chunks import create_group
from spike_runtime.files import Files
from spike_runtime.manifest import Manifest, Probe
from spike_runtime.runfile import RecordError
from spike_runtime.series import Series, series_of

# Chunks that are not whole are written every so many seconds, and in at most this part of the time.
_SHOWN_EVERY, _SHOWN_SHARE = 1.0, 0.02


class Recorder:
    """Streams the probes of a run of the steps after `start` up to `steps` to a new Zarr store at `path`.

    Raises `RecordError` where the disk refuses.
    """

    def __init__(self, manifest: Manifest, path: Path, steps: int, seed: int, start: int = 0) -> None:
        self._manifest = manifest
        self._complete = [start] * len(manifest.partitions)
        self._start = self._step = start
        self._series: list[Series] = []
        self._path = path
        self._shown, self._show_after = time.monotonic(), _SHOWN_EVERY
        self._written = [start] * len(manifest.probes)
        files = Files()
        with _Guard("the store", path):
            attributes = {"model": manifest.model, "dt": manifest.dt, "seed": seed, "unit_of_time": "s"}
            create_group(path, files, attributes)
        for probe in manifest.probes:
            with self._guard(probe):
                self._series.append(series_of(path, probe, manifest, files, steps, start))

    def add(self, block: Block) -> None:
        """Take what a part recorded."""
        with self._guard(self._manifest.probes[block.probe]):
            self._series[block.probe].add(block.part, block.first_sample, block.data)

    def complete(self, partition: int, step: int) -> None:
        """Everything that `partition` recorded up to `step` has been added: write what is whole by that."""
        self._complete[partition] = step
        if (least := min(self._complete)) == self._step:
            return
        self._step = least
        self._each("advance")
        start = time.monotonic()
        if start - self._shown > self._show_after:
            self._show()
            self._shown = time.monotonic()
            self._show_after = max(_SHOWN_EVERY, (self._shown - start) / _SHOWN_SHARE)

    def _show(self) -> None:
        """Write what there is of chunks of which nothing was written since the last time."""
        for k, (series, probe) in enumerate(zip(self._series, self._manifest.probes, strict=True)):
            if series.written() == self._written[k]:
                with self._guard(probe):
                    series.show(self._step)
            self._written[k] = series.written()

    def finish(self) -> int:
        """Write the rest, cut off at the last step that all partitions completed, which is the result."""
        for what in ("advance", "show", "cut"):
            self._each(what)
        return self._step

    @property
    def not_finite(self) -> dict[str, int]:
        """Probes with a sample that is no finite number, and the step of the first."""
        found = zip(self._manifest.probes, self._series, strict=False)
        return {probe.name: series.not_finite for probe, series in found if series.not_finite is not None}

    def abandon(self) -> int:
        """The disk refuses: keep what is written; gives the last step that all hold."""
        step = min((series.written() for series in self._series), default=self._start)
        for series in self._series:
            with contextlib.suppress(OSError):
                series.cut(step)
        return step

    def _each(self, what: str) -> None:
        for series, probe in zip(self._series, self._manifest.probes, strict=True):
            with self._guard(probe):
                getattr(series, what)(self._step)

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
