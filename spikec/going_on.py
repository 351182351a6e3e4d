"""States of sessions: written to the files that `spike-run --save-state` writes, and read from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from spike_runtime import statefile
from spike_runtime.python import UnsavedError
from spike_runtime.runfile import RunError

from spikec.sessions import Running


class Functions(Protocol):
    """Python functions that a session calls (see `spike_runtime.python.Begun`)."""

    def state(self) -> bytes: ...

    def restore(self, data: bytes) -> None: ...


def save(running: Running, path: Path, seed: int, functions: Functions | None) -> None:
    """Write the state of a session to a file, in place of what is there; `seed`: that of the network.

    Raises `RunError` where it cannot be saved: nothing is written then.
    """
    statefile.check_place(path, overwrite=True)
    try:
        saved = running.saved(seed)
        if saved.python and functions is not None:
            saved = replace(saved, pickled=functions.state())
        statefile.save(path, saved)
    except UnsavedError as error:
        raise RunError(f"the state cannot be saved to {path}: {error}") from error
    except OSError as error:
        raise RunError(f"the state cannot be saved to {path}: {error.strerror or error}") from None


def load(
    running: Running, path: Path, seed: int, functions: Functions | None, loaded: Callable[[], None]
) -> None:
    """Go on from the state in a file; `loaded` is called when the functions have theirs.

    Raises `RunError` where there is no state, or it is not of this network: all is as it was then.
    """
    saved = statefile.load(path)

    def restore() -> None:
        if saved.python and functions is not None:
            try:
                functions.restore(saved.pickled)
            except Exception as error:  # it is code of the user
                what = f"what {path} holds of Python cannot be loaded: {type(error).__name__}: {error}"
                raise RunError(f"{what}; {statefile.HERE.other}") from error
            loaded()

    running.load(saved, seed, path, restore)
