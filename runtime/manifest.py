"""The manifest: what a compiled model consists of, and the checks it must pass before it is used.

A manifest is a JSON file; the programs and arrays that it names lie beside it, each with its SHA-256.  This
module needs nothing but the standard library, so that every tool can read a manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

SCHEMA = 8
NAME, STATE = "manifest.json", "state.json"

T = TypeVar("T")


class ManifestError(Exception):
    """A manifest, or a file that it names, cannot be used; the message says which, why and what to do."""


@dataclass(frozen=True)
class ArrayFile:
    """One array of a partition, a `.npy` file.  `state` changes during a run; it begins at 0 where it has no
    file.
    """

    name: str
    file: str
    dtype: str
    shape: tuple[int, ...]
    sha256: str
    state: bool = False


@dataclass(frozen=True)
class Cost:
    """Predicted time of one step of a partition in ns: own work by kind of operator, and the exchange."""

    compute: dict[str, float]
    exchange: float

    @property
    def total(self) -> float:
        return sum(self.compute.values()) + self.exchange


@dataclass(frozen=True)
class Python:
    """Python of the model that a program calls, in a pickle (see `spike_runtime.python`).

    `calls`: for people, what runs in each call, in the order in which it runs.  `model`: SHA-256 of the same
    pickle of all that the model calls, in whatever partition.
    """

    file: str
    sha256: str
    calls: tuple[tuple[str, ...], ...]
    model: str


@dataclass(frozen=True)
class Partition:
    """One program and its arrays.  `operators` counts operators by kind; `python`: what it calls."""

    index: int
    host: str
    program: str
    sha256: str
    arrays: tuple[ArrayFile, ...]
    neurons: int
    atoms: int
    operators: dict[str, int]
    cost: Cost
    python: Python | None = None

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """(file, SHA-256) of the program, of every array that has a file, and of what it calls."""
        arrays = ((a.file, a.sha256) for a in self.arrays if a.file)
        python = ((self.python.file, self.python.sha256),) if self.python else ()
        return ((self.program, self.sha256), *arrays, *python)


@dataclass(frozen=True)
class Host:
    """One host of a model that is spread over several (see `hosts` for what the fields mean)."""

    name: str
    address: str
    cores: int
    launch: tuple[str, ...] = ()
    folder: str = ""
    python: str = ""


@dataclass(frozen=True)
class Wire:
    """All that one partition sends another: `words` 64-bit integers per step; `signals` says whose, in order.

    One message holds those of `window` steps: what is read of them is at least so many steps late.  A wire
    that is `listed` carries lists of spikes: a message has as many numbers as its first says, at most
    `words` in all.
    """

    source: int
    target: int
    words: int
    signals: tuple[tuple[str, int], ...] = ()
    window: int = 1
    listed: bool = False


@dataclass(frozen=True)
class ProbePart:
    """What one partition records of a probe: columns `ranges` ((start, stop), ...) in that order.

    `slot` is the number of the recording among those of its partition.
    """

    partition: int
    slot: int
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Probe:
    """One probe.  A sample is taken at every step n with n % every < 1, at t = n dt.

    kind "value": floats, each column from one part.  "sum": parts hold 64-bit integers; their sum times
    2 ** -exponent is the value, with an exponent for each column, or one for all; columns that no part holds
    are 0.  "events": (step, neuron) pairs, neurons numbered in the whole population.

    `shape`: that of a sample where it is a matrix, of which the columns are the entries, row after row.
    `neurons`: the numbers of those in the columns, where these are some of a population.
    """

    name: str
    target: str
    kind: str
    attribute: str
    size: int
    every: float
    unit: str
    exponents: tuple[int, ...]
    parts: tuple[ProbePart, ...]
    ideal: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    neurons: tuple[int, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """A compiled model.  `precision` is "float32" or "float64"; `plan` holds what `spikec inspect` shows.

    `parameters`: what was given for parameters of the model, as text that can be given again ("0.02s").
    `hosts`: those that partitions name; none where all are on the host that runs the model.  `calls`: names
    of the Python functions that programs call, by number.  `state`: SHA-256 of the file `STATE`, which says
    where the state of every object is.
    """

    model: str
    seed: int
    dt: float
    precision: str
    neurons: int
    partitions: tuple[Partition, ...]
    wires: tuple[Wire, ...]
    probes: tuple[Probe, ...]
    hosts: tuple[Host, ...] = ()
    plan: dict[str, Any] = field(default_factory=dict)
    compiler: str = ""
    calls: tuple[str, ...] = ()
    state: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA


def find(path: Path) -> Path:
    """The manifest's file, given that or the folder that it is in; raises `ManifestError`."""
    try:
        if is_run(path):
            raise ManifestError(f"{path} is a run, not a compiled model; name what it was run from")
        return path / NAME if path.is_dir() else path
    except OSError as error:
        raise ManifestError(f"cannot read {path}: {error.strerror}; compile a model first") from None


def is_run(path: Path) -> bool:
    """Whether a directory is that of a run."""
    try:
        return (path / "run.json").is_file() and not (path / NAME).exists()
    except OSError:  # whoever reads it says why
        return False


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def dump(manifest: Manifest) -> str:
    """JSON text of a manifest, ending with the digest of the rest, so that an edit by hand is noticed."""
    body = saved(manifest)
    return json.dumps(body | {"sha256": _digest(body)}, indent=1) + "\n"


def saved(manifest: Manifest) -> dict[str, Any]:
    """What is saved of a manifest: all but what few models have, where it is empty."""
    # The plan is plain values already, and the longest part.
    body = asdict(replace(manifest, plan={})) | {"plan": manifest.plan}
    for name in ("calls", "parameters"):
        if not body[name]:
            del body[name]
    for part in body["partitions"]:
        if not part["python"]:
            del part["python"]
    return body


def load(path: Path) -> Manifest:
    """The manifest at `path`.

    Raises `ManifestError` where there is none, or it is damaged, edited, or of another version.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"cannot read {path}: {error.strerror}; compile a model first") from None
    except ValueError as error:
        raise ManifestError(f"{path} {_instead(path, error)}") from None
    if not isinstance(body, dict) or "schema" not in body:
        raise ManifestError(f"{path} is not a manifest; compile the model again")
    if body["schema"] != SCHEMA:
        raise ManifestError(
            f"{path} has schema {body['schema']}, this version reads schema {SCHEMA}; compile the model again"
        )
    digest = body.pop("sha256", None)
    if digest != _digest(body):
        raise ManifestError(f"{path} was changed after it was compiled (checksum); compile the model again")
    return _manifest(body)


def _instead(path: Path, error: ValueError) -> str:
    """What a file is that is no JSON, and what to do."""
    if path.suffix == ".spk":
        return f"is a model; compile it first: spikec compile {path}"
    if path.suffix == ".py":
        return f"is Python; compile the Nengo network in it first: spikec compile {path}:NAME"
    if is_saved_state(path):
        return "is a saved state; name the manifest of the model, and this file with --load-state"
    if path.name != NAME:
        return f"is not a manifest; name the {NAME} that spikec compile wrote"
    reason = "it is not text" if isinstance(error, UnicodeDecodeError) else str(error)
    return f"is not a manifest: {reason}; compile the model again"


def is_saved_state(path: Path) -> bool:
    """Whether a file seems to be a saved state, by its name or its first bytes (of a zip file)."""
    with suppress(OSError):  # who reads it says what is wrong
        if path.is_file():
            with path.open("rb") as file:
                return path.suffix == ".npz" or file.read(4) == b"PK\3\4"
    return False


def check_present(manifest: Manifest, folder: Path, partitions: Iterable[int]) -> None:
    """Every file of these partitions is there (workers check what is in them); raises `ManifestError`."""
    for partition in partitions:
        for name, _ in manifest.partitions[partition].files:
            if not (folder / name).is_file():
                raise ManifestError(f"{folder / name} is missing; compile the model again")


def check_files(manifest: Manifest, folder: Path, partition: int) -> None:
    """Compare the program and arrays of one partition with their checksums; raises `ManifestError`."""
    part = manifest.partitions[partition]
    for name, digest in part.files:
        path = folder / name
        if not path.is_file():
            raise ManifestError(f"{path} is missing; compile the model again")
        if sha256(path) != digest:
            raise ManifestError(
                f"{path} was changed after it was compiled (checksum); compile the model again"
            )


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _manifest(body: dict[str, Any]) -> Manifest:
    body["partitions"] = tuple(
        _make(
            Partition,
            p,
            arrays=tuple(_make(ArrayFile, a, shape=tuple(a["shape"])) for a in p["arrays"]),
            cost=_make(Cost, p["cost"]),
            python=_python(p.get("python")),
        )
        for p in body["partitions"]
    )
    body["calls"] = tuple(body.get("calls", ()))
    body["hosts"] = tuple(_make(Host, h, launch=tuple(h["launch"])) for h in body.get("hosts", ()))
    body["wires"] = tuple(_make(Wire, w, signals=tuple(map(tuple, w["signals"]))) for w in body["wires"])
    body["probes"] = tuple(
        _make(
            Probe,
            p,
            ideal=tuple(p["ideal"]),
            shape=tuple(p["shape"]),
            neurons=tuple(p["neurons"]),
            exponents=tuple(p["exponents"]),
            parts=tuple(_make(ProbePart, q, ranges=tuple(map(tuple, q["ranges"]))) for q in p["parts"]),
        )
        for p in body["probes"]
    )
    return _make(Manifest, body)


def _python(body: dict[str, Any] | None) -> Python | None:
    if body is None:
        return None
    if "model" not in body:
        raise ManifestError("the model was compiled by another version of Spike; compile it again")
    return _make(Python, body, calls=tuple(map(tuple, body["calls"])))


def _make(kind: type[T], body: dict[str, Any], **replaced: Any) -> T:
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{k: v for k, v in (body | replaced).items() if k in names})
