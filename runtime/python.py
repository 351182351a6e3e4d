"""Python of a model that programs call in a run: kept beside them in a pickle, loaded where it is called.

The compiler writes the pickle where a Nengo model holds Python that cannot be compiled.  It is the user's own
code, found by the manifest and checked against its SHA-256 before it is loaded, like every program.  A saved
state of such a model holds a pickle too, of the functions as they were then.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from spike_runtime.calls import Call
from spike_runtime.manifest import Manifest, ManifestError, Python

# Frames of ours between a program and what it calls.
OWN_FRAMES = 2


class UnsavedError(Exception):
    """The state of Python cannot be saved; the message says of what, and why."""


class Begun(Protocol):
    """Functions on memory of their own: all that a model calls, or those of one partition."""

    def functions(self) -> Mapping[str, Call]:
        """The functions, by their names in `Manifest.calls`, as they are now."""

    def state(self) -> bytes:
        """All that they need to go on from here; raises `UnsavedError`."""

    def restore(self, data: bytes) -> None:
        """Go on from there, where `data` is one such state after the other: of all functions of the model.
        Raises `ValueError` where it is of others.
        """


class Recipe(Protocol):
    """What the pickle holds."""

    def begin(self) -> Begun:
        """Functions that begin anew."""


class Loaded:
    """The functions that the program of one partition calls."""

    def __init__(self, manifest: Manifest, folder: Path, python: Python) -> None:
        """Raises `ManifestError` where they have changed, need a module that is not installed, or cannot be
        made.
        """
        data = (folder / python.file).read_bytes()
        if hashlib.sha256(data).hexdigest() != python.sha256:  # of what is loaded, not of what was there
            path = folder / python.file
            raise ManifestError(
                f"{path} was changed after it was compiled (checksum); compile the model again"
            )
        self._names = manifest.calls
        with _running("the Python that the model calls cannot be loaded"):
            recipe: Recipe = loads(data)
            self._begun = recipe.begin()
            self._made = self._begun.functions()

    @property
    def functions(self) -> dict[int, Call]:
        """The functions by number."""
        return {k: self._made[name] for k, name in enumerate(self._names) if name in self._made}

    def state(self) -> bytes:
        """What they need to go on from here; raises `UnsavedError`."""
        return self._begun.state()

    def restore(self, data: bytes) -> None:
        """Go on from a state.  Raises `ManifestError` where that cannot be."""
        with _running("the saved state of what the model runs in Python cannot be loaded"):
            self._begun.restore(data)
            self._made = self._begun.functions()


def loads(data: bytes, memory: Sequence[Any] = ()) -> Any:
    """What `data` is the pickle of; `memory`: what it holds by number (see `spikec.keeping`).

    It is code of the user, so whoever calls this knows where it comes from.  Raises whatever that raises.
    """
    return load(io.BytesIO(data), memory)


def load(file: IO[bytes], memory: Sequence[Any] = ()) -> Any:
    """The same of the pickle that comes next in a file."""
    with warnings.catch_warnings():
        # Nengo says it of every node without a function, whose sizes are alike, where it gets them back.
        warnings.filterwarnings("ignore", r"'Node\.size_out' is being overwritten")
        return _Unpickler(file, memory).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], memory: Sequence[Any]) -> None:
        super().__init__(file)
        self._memory = memory

    def persistent_load(self, number: int) -> Any:
        return self._memory[number]


@contextmanager
def _running(what: str) -> Iterator[None]:
    """Reading a pickle runs code of the user, which may raise anything."""
    try:
        yield
    except ImportError as error:
        raise ManifestError(
            f"the model calls Python that needs what is not installed here: {error}"
        ) from None
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        raise ManifestError(f"{what}:\n{text}") from None


def explained(error: BaseException | None, step: int, dt: float) -> str:
    """What a function raised, with its own traceback."""
    assert error is not None
    shown = traceback.TracebackException.from_exception(error)
    shown.stack = traceback.StackSummary.from_list(shown.stack[OWN_FRAMES:])
    what = f"Python of the model raised {type(error).__name__} at {step * dt:g} s, step {step}"
    return f"{what}\n{''.join(shown.format()).rstrip()}{_looked_for(error)}"


def _looked_for(error: BaseException) -> str:
    """Where a file was looked for that is not there."""
    name = error.filename if isinstance(error, FileNotFoundError) else None
    if not isinstance(name, str | Path) or Path(name).is_absolute():
        return ""
    return (
        f"\n{str(name)!r} was looked for in {Path.cwd()}; start the run in the folder of the file, "
        "or write Path(__file__).parent before its name in the model"
    )
