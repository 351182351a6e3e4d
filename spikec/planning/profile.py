"""The host profile: what the host's kernels and wires cost, measured once by `spike_runtime.calibrate`.

All costs are in ns.  A profile is a JSON file; the one of this host is kept in the cache folder (see
`measuring`), and the one shipped with the compiler ("reference") gives the same plan on every machine.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from spikec.errors import model_error
from spikec.records import dataclass

SCHEMA = 10
REFERENCE = "reference"
PRECISIONS = ("float32", "float64")
_SHIPPED = Path(__file__).with_name("reference_profile.json")

NEURON_COSTS = ("atom", "rest", "neuron", "dimension", "input", "row", "sum", "scan", "gathered", "activity")
STAGE_COSTS = (
    "step",
    "op",
    "expression",
    "sum",
    "join",
    "carried",
    "decoded",
    "lowpass",
    "filter",
    "filter_element",
    "filter_multiply",
    "delay",
    "table",
    "table_element",
    "noise",
    "linear_row",
    "linear_entry",
    "linear_run",
    "argument",
    "arithmetic",
    "transcendental",
    "output",
    "record",
    "events",
)
RECORDING_COSTS = ("sample", "number", "event")
WIRE_COSTS = ("latency", "message", "word")
# What says only how it was measured, where it was (see `measuring.was_slow`).
MEASURED = ("pace", "again")


@dataclass(frozen=True)
class Kernels:
    """Costs in one precision: `neurons` by kind of neuron (kernel) and cost, `stages` by name of
    `STAGE_COSTS`.

    `far`: what bytes of neurons' arrays cost that do not stay in the cache from one step to the next, for
    arrays of some sizes: (bytes, ns per byte, ns more per byte of rows side by side), sizes ascending.
    """

    neurons: Mapping[str, Mapping[str, float]]
    stages: Mapping[str, float]
    far: tuple[tuple[float, float, float], ...]

    def outside(self, size: float) -> tuple[float, float]:
        """ns per byte of arrays of so many bytes, of what is not in the cache, and more of rows side by side.

        Of 4 MB a step on an AMD EPYC (Zen 3) takes 0.004 ns per byte from the cache that its cores share, and
        0.06 for rows side by side where 24 MB do not stay there.
        """
        sizes, byte, row = np.transpose(self.far)
        return float(np.interp(size, sizes, byte)), float(np.interp(size, sizes, row))


@dataclass(frozen=True)
class HostProfile:
    """One kind of host: cores, bytes of cache of a core, kernels by precision, wires by transport and
    cost, and what recording costs beside the programs.
    """

    name: str
    cores: int
    cache: int
    kernels: Mapping[str, Kernels]
    wires: Mapping[str, Mapping[str, float]]
    recording: Mapping[str, float]
    schema: int = SCHEMA

    @property
    def digest(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the contents."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def cache_of(self, partitions: int) -> int:
        """Bytes of cache that each of so many partitions has: those beyond the cores share them."""
        return self.cache * self.cores // max(self.cores, partitions)


def load(source: str | Path) -> HostProfile:
    """The profile in file `source`; "reference": the one shipped.

    Raises `ModelError` where the file is not a profile.
    """
    return read(_SHIPPED if source == REFERENCE else Path(source))


def costs_of(kind: str) -> tuple[str, str]:
    """The names under which the costs of a kind of neuron may stand, the best first."""
    kind = kind.removeprefix("wide_")
    # Of types that send spikes of a rate, those around a LIF rate stand for all.
    return kind, "_".join((*kind.split("_")[:2], "lif_rate"))


def read(path: Path, precisions: Iterable[str] = PRECISIONS) -> HostProfile:
    """The profile in a file, of these precisions at least; raises `ModelError` where it cannot be read or is
    not a profile of this version.
    """
    again = "make one with: python -m spike_runtime.calibrate --output FILE"
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise model_error(f"cannot read the host profile {path}: {error.strerror}", again) from None
    except ValueError as error:
        raise model_error(f"{path} is not a host profile: {error}", again) from None
    try:
        return parse(body, precisions)
    except ValueError as error:
        raise model_error(f"{path} is not a host profile: {error}", again) from None


def parse(body: Any, precisions: Iterable[str] = PRECISIONS) -> HostProfile:
    """The profile in parsed JSON, of these precisions at least.

    Raises `ValueError` naming the first entry that is missing or wrong.
    """
    if not isinstance(body, dict) or body.get("schema") != SCHEMA:
        found = body.get("schema") if isinstance(body, dict) else None
        raise ValueError(f"its schema is {found!r}, this version reads schema {SCHEMA}")
    kernels = {name: _kernels(f"kernels.{name}", entry) for name, entry in _table(body, "kernels").items()}
    wires = {
        name: _costs(f"wires.{name}", entry, WIRE_COSTS) for name, entry in _table(body, "wires").items()
    }
    if missing := set(precisions) - set(kernels):
        raise ValueError(f"kernels.{min(missing)} is missing")
    if "ring" not in wires:
        raise ValueError("wires.ring is missing")
    cores, cache = (int(_number(name, body.get(name), 1)) for name in ("cores", "cache"))
    recording = _costs("recording", _table(body, "recording"), RECORDING_COSTS)
    for name in MEASURED:
        _number(name, body.get(name, 0.0))
    return HostProfile(str(body.get("name", "")), cores, cache, kernels, wires, recording)


def _kernels(place: str, entry: Any) -> Kernels:
    neurons = {
        kind: _costs(f"{place}.neurons.{kind}", costs, NEURON_COSTS)
        for kind, costs in _table(entry, "neurons", place).items()
    }
    stages = _costs(f"{place}.stages", _table(entry, "stages", place), STAGE_COSTS)
    return Kernels(neurons, stages, _far(f"{place}.far", entry.get("far")))


def _far(place: str, entry: Any) -> tuple[tuple[float, float, float], ...]:
    if not isinstance(entry, list) or not all(isinstance(one, list) and len(one) == 3 for one in entry):
        raise ValueError(f"{place} is not a list of [bytes, ns per byte, ns per byte of rows]")
    found = []
    for k, one in enumerate(entry):
        size, byte, row = (_number(f"{place}[{k}]", value) for value in one)
        found.append((size, byte, row))
    if not found or found != sorted(found):
        raise ValueError(f"{place} has no sizes that ascend")
    return tuple(found)


def _table(body: Any, name: str, place: str = "") -> dict[str, Any]:
    entry = body.get(name) if isinstance(body, dict) else None
    if not isinstance(entry, dict):
        raise ValueError(f"{place}{'.' if place else ''}{name} is missing")
    return entry


def _costs(place: str, entry: Any, names: tuple[str, ...]) -> dict[str, float]:
    if not isinstance(entry, dict):
        raise ValueError(f"{place} is not a table of costs")
    return {name: _number(f"{place}.{name}", entry.get(name)) for name in names}


def _number(place: str, value: Any, least: float = 0.0) -> float:
    if value is None:
        raise ValueError(f"{place} is missing")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{place} is {value!r}, not a number")
    if value < least:
        raise ValueError(f"{place} is {value:g}, less than {least:g}")
    return float(value)
