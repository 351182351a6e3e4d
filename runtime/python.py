"""Python of a model that programs call in a run: kept beside them in a pickle, loaded where it is called.

The compiler writes the pickle where a Nengo model holds Python that cannot be compiled.  It is the user's own
code, found by the manifest and checked against its SHA-256 before it is loaded, like every program.
"""

from __future__ import annotations

import hashlib
import pickle
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from spike_runtime.calls import Call
from spike_runtime.manifest import Manifest, ManifestError, Python

# Frames of ours between a program and what it calls.
OWN_FRAMES = 2


class Recipe(Protocol):
    """What the pickle holds."""

    def functions(self) -> Mapping[str, Call]:
        """Functions that begin anew, by the names in `Manifest.calls`."""


def functions(manifest: Manifest, folder: Path, python: Python) -> Sequence[Call]:
    """The functions that programs call, by number.

    Raises `ManifestError` where they have changed, need a module that is not installed, or cannot be made.
    """
    try:
        data = (folder / python.file).read_bytes()
        if hashlib.sha256(data).hexdigest() != python.sha256:  # of what is loaded, not of what was there
            path = folder / python.file
            raise ManifestError(
                f"{path} was changed after it was compiled (checksum); compile the model again"
            )
        recipe: Recipe = pickle.loads(data)
        made = recipe.functions()
    except ManifestError:
        raise
    except ImportError as error:
        raise ManifestError(
            f"the model calls Python that needs what is not installed here: {error}"
        ) from None
    except Exception as error:  # reading a pickle runs code of the user, which may raise anything
        text = "".join(traceback.format_exception(error))
        raise ManifestError(f"the Python that the model calls cannot be loaded:\n{text}") from None
    return [made[name] for name in manifest.calls]


def explained(error: BaseException | None, step: int, dt: float) -> str:
    """What a function raised, with its own traceback."""
    assert error is not None
    shown = traceback.TracebackException.from_exception(error)
    shown.stack = traceback.StackSummary.from_list(shown.stack[OWN_FRAMES:])
    what = f"Python of the model raised {type(error).__name__} at {step * dt:g} s, step {step}"
    return f"{what}\n{''.join(shown.format()).rstrip()}"
