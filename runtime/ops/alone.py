"""One process at a time: what several would make alike, one makes, and the others find it on disk."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256

from spike_runtime.version import opened_kernel_folder


@contextmanager
def alone(name: str, wait: bool = True) -> Iterator[bool]:
    """While no other process is here with the same name; without `wait` False where another is.

    The locks lie beside what is kept.  Names share 256 of them: nobody waits inside for another name.  Where
    there is no place for locks, or the file system has none, several make the same.
    """
    lock = f"{sha256(name.encode()).hexdigest()[:2]}.lock"
    mine = True
    with ExitStack() as held:
        try:
            file = held.enter_context((opened_kernel_folder() / lock).open("w"))
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            mine = False
        except OSError:
            pass
        yield mine
