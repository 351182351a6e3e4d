"""Opens what a run recorded, as labelled arrays with times and units."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from spike_runtime import runfile
from spike_runtime.runfile import RunError, RunFile, group_name

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Run:
    """A run on disk: `path` is its directory, `about` how it was made and how it ended."""

    path: Path
    about: RunFile

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the probes, in the order of the model."""
        return self.about.probes

    @property
    def status(self) -> str:
        """ "running", "complete", "stopped" or "failed"."""
        return self.about.status

    @property
    def measured(self) -> tuple[dict[str, float], ...]:
        """us per step of each partition by kind (compute, ...); empty where the run failed."""
        return tuple(times.per_step() for times in self.about.times)

    @property
    def step_time(self) -> float:
        """us of wall clock per step of the slowest partition, recording included; NaN if not measured."""
        return max((sum(kinds.values()) for kinds in self.measured), default=float("nan"))

    @property
    def recording(self) -> float:
        """us of a processor per step that recording took beside the partitions; 0 if not measured."""
        return self.about.recorder * 1e6 / max(1, self.about.recorded)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should look into: probes that recorded something that is not a finite number."""
        return tuple(
            f"{name} is not a finite number at {step * self.about.dt:g} s; look for a division by 0, a root "
            "or logarithm of a negative number, or values that grow without bound in what leads to it"
            for name, step in self.about.not_finite.items()
        )

    @property
    def store(self) -> Path:
        """The Zarr store; `xarray.open_zarr(run.store, group=..., consolidated=False)` opens a probe."""
        return self.path / runfile.STORE

    def probe(self, name: str) -> xr.DataArray:
        """What a probe recorded.

        Values: samples x columns, dimensions (time, column), or samples x rows x columns where a sample is
        a matrix, as learned weights of Nengo; coordinate `time` in s, and `neuron` where columns are some
        of a population.  Spikes: the time of every spike in s, dimension `event`, with the coordinate
        `neuron`.  Attributes: `units`, what was probed, and how.
        Raises `RunError` where the run has no such probe.
        """
        data = self.dataset(name)
        if data.attrs["kind"] == "events":
            spikes = data["time"].assign_coords(neuron=data["neuron"])
            return spikes.rename(name).assign_attrs(data.attrs | {"units": "s"})
        value = data["value"].rename(name).assign_attrs(data.attrs)
        if neurons := value.attrs.get("neurons"):  # runs of before this was kept have none
            return value.assign_coords(neuron=("column", neurons))
        return _matrices(value) if value.attrs.get("shape") else value

    def dataset(self, name: str) -> xr.Dataset:
        """The arrays of a probe as they are stored, cut off at the last step that was recorded."""
        if name not in self.names:
            raise RunError(
                f"there is no probe {name!r} in {self.path}; it has: {', '.join(self.names) or 'none'}"
            )
        if not self.store.is_dir():
            raise RunError(f"{self.path} holds no results: {self.about.cause or self.about.status}")
        return _dataset(self, name)

    def __repr__(self) -> str:
        about = self.about
        return (
            f"Run({str(self.path)!r}: {about.model}, {about.status}, "
            f"{about.recorded * about.dt:g} s of {about.steps * about.dt:g} s, "
            f"probes: {', '.join(self.names)})"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: how the run ended, and its probes."""
        about = self.about
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{escape(' x '.join(map(str, self.probe(name).shape)))}</td></tr>"
            for name in (self.names if self.store.is_dir() else ())
        )
        return (
            f"<p><b>{escape(about.model)}</b>: {escape(about.status)}, "
            f"{about.recorded * about.dt:g} s of {about.steps * about.dt:g} s</p>"
            f"<table><tr><th>probe</th><th>recorded</th></tr>{rows}</table>"
        )


def open_run(path: Path | str) -> Run:
    """The run in directory `path`; raises `RunError` where there is none."""
    return Run(Path(path), runfile.load(Path(path)))


def _dataset(run: Run, name: str) -> xr.Dataset:
    """What was never written reads as NaN: a run that crashed, or goes on, ends before it."""
    import xarray as xr

    def opened(*left_out: str) -> xr.Dataset:
        return xr.open_zarr(
            run.store, group=group_name(name), consolidated=False, chunks=None, drop_variables=left_out
        )

    try:
        if run.status in ("complete", "stopped"):
            return opened()
        data = opened("neuron")
        if data.attrs["kind"] == "events":
            # The neurons of events are written before their times: there may be more of them.
            neuron, count = opened("time")[["neuron"]], _count(~np.isnan(data["time"].values))
            return data.isel(event=slice(count)).merge(neuron.isel(event=slice(count)))
        return data.isel(time=slice(_count(~np.isnan(data["value"].values).all(axis=1))))
    except (FileNotFoundError, KeyError):
        cause = run.about.cause or "the run has only begun"
        if run.status in ("complete", "stopped"):
            cause = f"files are missing from {run.store}; run again"
        raise RunError(f"{run.path} holds nothing of the probe {name!r}: {cause}") from None


def _matrices(value: xr.DataArray) -> xr.DataArray:
    """Samples as the matrices that they are, of which the store has the entries row after row."""
    import xarray as xr

    shape = value.attrs["shape"]
    names = ("row", "column") if len(shape) == 2 else [f"axis_{k}" for k in range(len(shape))]
    matrices = value.values.reshape(len(value), *shape)
    return xr.DataArray(matrices, {"time": value["time"]}, ("time", *names), value.name, value.attrs)


def _count(written: NDArray[np.bool_]) -> int:
    """How many there are up to the last that was written."""
    return int(np.flatnonzero(written)[-1]) + 1 if written.any() else 0
