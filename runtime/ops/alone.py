"""One process at a time: what several would make alike, one makes, and the others find it on disk."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytensor


@contextmanager
def alone(name: str, wait: bool = True) -> Iterator[bool]:
    """While no other process is here with the same name; without `wait` False where another is."""
    with (Path(pytensor.config.compiledir) / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
