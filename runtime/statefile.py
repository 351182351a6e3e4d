"""Files that hold the state of a model, so that another run goes on from it: NumPy's `.npz`.

The arrays are those of `statemap`, by their keys, such as "weights/a->b.weights"; numpy.load opens them.
Beside them lies `about`: JSON that says of which model they are, after how many steps, and their shapes; and
`python`, where the model calls Python functions: a pickle of those of each partition that does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spike_runtime import npz
from spike_runtime.calls import PURE
from spike_runtime.manifest import Manifest, is_saved_state
from spike_runtime.runfile import RunError
from spike_runtime.statemap import Arrays, Entry, StateMap
from spike_runtime.unknown import PYTHON, is_unknown, unknown

FORMAT, ABOUT = 4, "about"
# What reading a file raises of which some bytes are others; RuntimeError: zip files of other kinds.
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError)
_LISTED = 5  # differences that are told one by one
LEARNED = ("weights", "inverse")  # kinds of arrays that hold what was learned


@dataclass(frozen=True, eq=False)
class Saved:
    """The state of a model after `step`.

    noise: the seed of its noise, which `seed` is not always.  python: SHA-256 of the Python that its programs
    call (see `spike_runtime.python`), "" where they call none; pickled: the states of that, one after the
    other.  followed: numbers of functions that a session had compiled first, and calls now (see
    `spike_runtime.calls`).
    """

    model: str
    seed: int
    noise: int
    dt: float
    precision: str
    step: int
    shapes: dict[str, tuple[int, ...]]
    arrays: Arrays = field(repr=False)
    python: str = ""
    followed: Sequence[int] = ()
    pickled: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Remedies:
    """What to do where a state is not of a model that was made so."""

    made: str
    dt: str
    precision: str
    seed: str
    other: str


COMPILED = Remedies(
    "was compiled with",
    "compile it with --dt {:g}s",
    "compile it with --precision {}",
    "compile it with --seed {}",
    "compile the model that it is of, or take what was learned alone with --load-weights",
)
HERE = Remedies(
    "has",
    "make it with dt={:g}",
    "make it with precision {}",
    "make the network with seed={}",
    "load it into the network that it is of",
)
# Of a state of a session whose functions no longer read what they were compiled with.
_AS_COMPILED = (
    "{} was saved after values that functions read had changed; the model has those that it was compiled with"
)
_FOLLOWED = (
    "{} was saved after values that functions read had changed, and this model has in advance what follows "
    "from them; load it with spikec.nengo.Simulator, or compile the model anew and begin at 0 s"
)
# The Python of a session, which was not compiled: its functions tell themselves whether they are those.
SESSION = "session"


@dataclass(frozen=True, eq=False)
class Begin:
    """What a run begins with: the step that it goes on after, the state of every partition, the seed of the
    noise, where a file says it, and what the user should know of that.
    """

    step: int = 0
    parts: list[Arrays] | None = None
    noise: int | None = None
    notes: tuple[str, ...] = ()


def begin(places: StateMap, state: Path | str | None, weights: Path | str | None, seed: int | None) -> Begin:
    """From a file to go on from (`state`), or one of which the learned weights alone are taken (`weights`).

    `seed`: that of the noise, None: that of the file.  With another one streams of random numbers begin anew.

    Raises `RunError` where there is no such file, or it does not fit the model.
    """
    if state and weights:
        raise RunError("load_weights takes what was learned, load_state everything; give one of them")
    if state:
        saved = load(Path(state))
        if seed not in (None, saved.noise):
            for key in (key for key in saved.arrays if key.startswith("stream/")):
                saved.arrays[key][:] = 0  # not seeded
        parts = parts_of(saved, places, Path(state), COMPILED)
        for arrays, partition in zip(parts, places.manifest.partitions, strict=True):
            if partition.python:
                arrays[PYTHON] = np.frombuffer(saved.pickled, np.uint8)
        notes = [_AS_COMPILED.format(state)] * bool(saved.followed)
        return Begin(saved.step, parts, saved.noise, tuple(notes))
    return _learned(places, Path(weights)) if weights else Begin()


def _learned(places: StateMap, path: Path) -> Begin:
    """Begin with the weights that the model and a file both have, by their names.

    Raises `RunError` where there are none, or one has another shape.
    """
    here = {entry.key: entry for entry in places.entries if entry.kind in LEARNED}
    if not here:
        raise RunError("the model learns nothing: it has no weights that could be loaded")
    saved, real = load(path), places.manifest.precision
    _check_settings(saved, places.manifest, path, COMPILED, precision=False)
    there = [key for key in sorted(saved.shapes) if key.partition("/")[0] in LEARNED]
    if not there:
        raise RunError(f"{path} holds nothing that was learned; save the state of a model that learns")
    both = [key for key in there if key in here]
    lacking, surplus = [key for key in here if key not in both], [key for key in there if key not in here]
    if not both:
        what = f"{path} holds nothing that this model learns; call the connection alike in both, with `as`"
        raise RunError(f"{what}\n  in the file: {_names(surplus)}\n  in the model: {_names(lacking)}")
    if different := [line for key in both if (line := _unlike(saved, here[key]))]:
        raise RunError(
            "\n  ".join([f"{path} is of other sizes; learn anew, or with as many neurons", *different])
        )
    notes = [f"{path} has no {_names(lacking)}: what is learned there begins as the model says"] * bool(
        lacking
    )
    notes += [f"the model has no {_names(surplus)}: what {path} holds of it is not taken"] * bool(surplus)
    arrays = {key: _rounded(saved.arrays[key], real) for key in both}
    return Begin(0, places.scatter(arrays, 0), notes=tuple(notes))


def _names(keys: Sequence[str]) -> str:
    """What arrays are of, in words."""
    shown = [
        name if kind == "weights" else f"{kind} {name}" for kind, _, name in (k.partition("/") for k in keys)
    ]
    more = [f"{len(keys) - _LISTED} more"] if len(keys) > _LISTED else []
    return ", ".join(shown[:_LISTED] + more)


def parts_of(saved: Saved, places: StateMap, path: Path, remedies: Remedies) -> list[Arrays]:
    """The state of every partition of a model; raises `RunError` where that in the file is not of it."""
    if saved.shapes.keys() != {entry.key for entry in places.entries}:  # another model, whatever its seed
        _check_alike(saved, places.entries, path, remedies)
    _check_settings(saved, places.manifest, path, remedies)
    _check_alike(saved, places.entries, path, remedies)
    _check_python(saved, places.manifest, path, remedies)
    return places.scatter(saved.arrays, saved.step)


def _rounded(values: NDArray[Any], precision: str) -> NDArray[Any]:
    made = values.astype(precision)
    if (lacking := is_unknown(values)).any():
        made[lacking] = unknown((), precision)
    return made


def check_place(path: Path, overwrite: bool) -> None:
    """Raises `RunError` where the state could not be saved to `path` at the end of a run."""
    # Folders that are missing are made when there is something to save.
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise RunError(f"{folder} is no folder; save the state elsewhere")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RunError(f"the folder {folder} cannot be written; save the state elsewhere")
    if path.is_dir():
        raise RunError(f"{path} is a folder; name a file to save the state to")
    if path.exists() and not is_saved_state(path):
        raise RunError(f"{path} exists and is not a saved state; give another file with --save-state")
    if path.exists() and not overwrite:
        raise RunError(f"{path} exists; give another file with --save-state, or --overwrite")


def of(places: StateMap, parts: list[Arrays], noise: int, step: int) -> Saved:
    """What is saved of a run whose partitions are in these states."""
    about = places.manifest
    shapes = {entry.key: entry.shape for entry in places.entries}
    arrays = places.gather(parts)
    pickled = b"".join(part[PYTHON].tobytes() for part in parts if PYTHON in part)
    return Saved(
        about.model, about.seed, noise, about.dt, about.precision, step, shapes, arrays,
        python_of(about), pickled=pickled,
    )  # fmt: skip


def python_of(manifest: Manifest) -> str:
    """SHA-256 of the Python of a model, "" where it calls none, `SESSION` where that was not compiled."""
    found = next((part.python.model for part in manifest.partitions if part.python), "")
    return found or SESSION * any(not name.startswith(PURE) for name in manifest.calls)


def save(path: Path, saved: Saved) -> None:
    """Write the file, which appears when it is whole.  Raises `OSError`."""
    apart = ("arrays", "pickled")
    about = {f.name: getattr(saved, f.name) for f in fields(saved) if f.name not in apart}
    about |= {"format": FORMAT, "pickled": hashlib.sha256(saved.pickled).hexdigest()}
    others = {PYTHON: np.frombuffer(saved.pickled, np.uint8)} if saved.python else {}
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by `tempfile`, whose files are for this user alone.
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            members = {ABOUT: np.array(json.dumps(about)), **others, **saved.arrays}
            npz.write(file, members.items())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def load(path: Path, made_with: str = "spike-run --save-state") -> Saved:
    """Read a file; raises `RunError` where there is none, or it is damaged: `made_with` is what makes one."""
    try:
        arrays = dict(npz.read(path))
        if ABOUT not in arrays:
            raise ValueError("it does not say of which model")
        about = json.loads(str(arrays.pop(ABOUT)))
        if about.pop("format") != FORMAT:
            raise RunError(f"{path} was written by another version of Spike; save the state again")
        about["shapes"] = {key: tuple(shape) for key, shape in about["shapes"].items()}
        pickled = arrays.pop(PYTHON).tobytes() if about.get("python") else b""
        if about.pop("pickled") != hashlib.sha256(pickled).hexdigest():
            raise ValueError("what it holds of Python has another checksum")
        saved = Saved(**about, arrays=arrays, pickled=pickled)
        _check_arrays(saved)
    except MemoryError:
        raise RunError(f"{path} does not fit the memory that is free") from None
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}; make it with {made_with}") from None
    except (zipfile.BadZipFile, zlib.error, *_DAMAGED) as error:
        raise RunError(
            f"{path} is not a state of a model, or is damaged: {error}; make it with {made_with}"
        ) from None
    return saved


def _check_arrays(saved: Saved) -> None:
    """Raises `ValueError` where arrays are not what the file says of them."""
    if saved.arrays.keys() != saved.shapes.keys():
        raise ValueError("arrays are missing")
    for key, array in saved.arrays.items():
        if key.startswith("spikes/"):
            rows, size = saved.shapes[key]
            fine = array.dtype == np.int64 and array.ndim == 2 and array.shape[1] == 2
            fine = fine and bool(((array >= 0) & (array < [rows, size])).all())
        elif key.startswith("stream/"):
            fine = array.shape == saved.shapes[key] and _is_stream(array)
        else:
            fine = array.shape == saved.shapes[key] and array.dtype == saved.precision
        if not fine:
            raise ValueError(f"{key} is not what the file says of it")


def _is_stream(array: NDArray[Any]) -> bool:
    """Whether this can be a stream of NumPy's random numbers."""
    from spike_runtime.ops.streams import ALL, BLOCK, CACHED, LENGTH, POSITION, WORDS  # with it Numba

    if array.shape != (LENGTH,) or array.dtype != np.int64:
        return False
    words = array[WORDS:]
    fine = 0 <= array[POSITION] <= BLOCK and array[CACHED] in (0, 1)
    return bool(fine and ((words >= 0) & (words <= ALL)).all())


def _check_settings(
    saved: Saved, model: Manifest, path: Path, remedies: Remedies, precision: bool = True
) -> None:
    """Raises `RunError` where a file is of another step or seed, or `precision`, than the model."""
    for what, there, here, option in (
        ("steps of {} s", saved.dt, model.dt, remedies.dt),
        ("precision {}", saved.precision, model.precision, remedies.precision),
        ("seed {}", saved.seed, model.seed, remedies.seed),
    ):
        if there != here and (precision or not what.startswith("precision")):
            raise RunError(
                f"{path} is of {what.format(there)}, the model {remedies.made} {what.format(here)}; "
                f"{option.format(there)}"
            )


def _check_alike(saved: Saved, entries: Sequence[Entry], path: Path, remedies: Remedies) -> None:
    """Raises `RunError` where a file does not hold just the arrays of the model, in their shapes."""
    different = [line for entry in entries if (line := _unlike(saved, entry))]
    known = {entry.key for entry in entries}
    surplus = [key.partition("/") for key in sorted(saved.shapes) if key not in known]
    different += [f"{kind} {name}: not in the model" for kind, _, name in surplus]
    if different:
        more = [f"and {len(different) - _LISTED} more"] if len(different) > _LISTED else []
        what = f"{path} is not of this model; {remedies.other}"
        if saved.followed and remedies is COMPILED:
            what = _FOLLOWED.format(path)
        lines = [what, *different[:_LISTED], *more]
        raise RunError("\n  ".join(lines))


def _unlike(saved: Saved, entry: Entry) -> str:
    """How an array of the model differs from that in a file, "" where it does not."""
    shape = saved.shapes.get(entry.key)
    if shape is None:
        return f"{entry.kind} {entry.name}: not in the file"
    sizes = f"{_size(shape)} in the file, {_size(entry.shape)} in the model"
    return "" if shape == entry.shape else f"{entry.kind} {entry.name}: {sizes}"


def _check_python(saved: Saved, model: Manifest, path: Path, remedies: Remedies) -> None:
    """Raises `RunError` where the functions that a model calls are not those that its state is of."""
    here = python_of(model)
    if saved.python == here or (saved.python and here and SESSION in (saved.python, here)):
        return
    if not saved.python or not here:
        which = "the file" if saved.python else "the model"
        what = f"only {which} has functions, processes or neurons that run in Python"
    else:
        what = "the Python that the model calls was another when it was saved"
    raise RunError(f"{path} is not of this model: {what}; {remedies.other}")


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
