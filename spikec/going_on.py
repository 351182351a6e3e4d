"""States of sessions: written to the files that `spike-run --save-state` writes, and read from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from spike_runtime import statefile
from spike_runtime.python import UnsavedError
from spike_runtime.runfile import RunError
from spike_runtime.statefile import Saved as Saved

from spikec import graph as g
from spikec.program.state_names import state_names
from spikec.sessions import Running, prepared


class Functions(Protocol):
    """Python functions that a session calls (see `spike_runtime.python.Begun`)."""

    def state(self) -> bytes: ...

    def restore(self, data: bytes) -> None: ...


def save(
    running: Running, path: Path, seed: int, functions: Functions | None, followed: Sequence[int] = ()
) -> None:
    """Write the state of a session to a file, in place of what is there; `seed`: that of the network;
    `followed`: see `Saved`.

    Raises `RunError` where it cannot be saved: nothing is written then.
    """
    statefile.check_place(path, overwrite=True)
    try:
        saved = replace(running.saved(seed), followed=followed)
        if saved.python and functions is not None:
            saved = replace(saved, pickled=functions.state())
        statefile.save(path, saved)
    except UnsavedError as error:
        raise RunError(f"the state cannot be saved to {path}: {error}") from error
    except OSError as error:
        raise RunError(f"the state cannot be saved to {path}: {error.strerror or error}") from None


def go_on(old: Running, before: g.Graph, new: Running, after: g.Graph) -> None:
    """Have a session go on from another one.  `after`, its graph, is `before` with calls in place of some
    functions, which keep what was computed in advance, or shared, from being so: it may have more arrays.
    """
    was, now = prepared(before), prepared(after)
    names, others = state_names(now), state_names(was)
    sources: dict[str, str] = {}
    for node, name in names.items():
        while node not in others and node in was.merged:
            node = was.merged[node]
        if node in others:  # of nodes that pass on one signal, all of which have its name, one may be new
            sources.setdefault(name, others[node])
    given, arrays = old.arrays(), {}
    for key in new.arrays():
        kind, _, name = key.partition("/")
        arrays[key] = given[f"{kind}/{sources.get(name, name)}"]
    new.go_on(arrays, old.steps, old.failed)


def opened(path: Path) -> Saved:
    """The state in a file.  Raises `RunError` where there is none."""
    return statefile.load(path, "save_state")


def load(
    running: Running,
    saved: Saved,
    path: Path,
    seed: int,
    functions: Functions | None,
    loaded: Callable[[], None],
) -> None:
    """Go on from the state in the file `path`; `loaded` is called when the functions have theirs.

    Raises `RunError` where it is not of this network: all is as it was then.
    """

    def restore() -> None:
        if saved.python and functions is not None:
            try:
                functions.restore(saved.pickled)
            except Exception as error:  # it is code of the user
                what = f"what {path} holds of Python cannot be loaded: {type(error).__name__}: {error}"
                raise RunError(f"{what}; {statefile.HERE.other}") from error
            loaded()

    running.load(saved, seed, path, restore)
