"""The directory of a run: one run at a time holds it; some disk space is kept back for the end."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from spike_runtime.runfile import RUN_FILE, STORE, RunError

LOCK, RESERVE = ".lock", ".reserve"
_RESERVE_BYTES = 1 << 16


@contextlib.contextmanager
def held(output: Path | None, model: Path, overwrite: bool) -> Iterator[Path]:
    """The directory of a run, held in this block: `output`, or a new one beside the compiled `model`.

    It is held by a lock that ends with the process, however that ends: another run is refused until then,
    also with `overwrite`.  Where nothing was put into it, what was made goes again.
    Raises `RunError` where another run holds it, something there must not be replaced, or the disk refuses.
    """
    if output is not None:
        _check(output)
    try:
        folder, made = (output, _make(output)) if output is not None else _free(model)
    except OSError as error:
        raise _refused(output or model.resolve().parent, error) from None
    lock = -1
    try:
        lock = _lock(folder)
        if (folder / RUN_FILE).is_file() and not overwrite:
            raise RunError(f"{folder} already holds a run; give another directory with -o, or --overwrite")
        yield folder
    finally:
        with contextlib.suppress(OSError):
            if lock >= 0:
                (folder / LOCK).unlink(missing_ok=True)
                os.close(lock)
            for path in made:
                path.rmdir()


def prepare(folder: Path) -> None:
    """Take out what an older run left; raises `RunError` where the disk refuses."""
    try:
        shutil.rmtree(folder / STORE, ignore_errors=True)
        (folder / RUN_FILE).unlink(missing_ok=True)
        (folder / RESERVE).write_bytes(bytes(_RESERVE_BYTES))
    except OSError as error:
        raise _refused(folder, error) from None


def release_reserve(folder: Path) -> None:
    """Free the disk space that was kept back, so that a full disk can still hold how the run ended."""
    (folder / RESERVE).unlink(missing_ok=True)


def _check(folder: Path) -> None:
    """Raises `RunError` where `folder` is no place for a run; of one that begins, there may be a lock."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; give another directory with -o")
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if there and not there & {RUN_FILE, LOCK, RESERVE}:
        raise RunError(f"{folder} is not empty and not a run; give another directory with -o")


def _refused(folder: Path, error: OSError) -> RunError:
    return RunError(f"cannot make {folder}: {error.strerror}; give another directory with -o")


def _make(folder: Path) -> list[Path]:
    """Make a directory; gives what was made, the innermost first."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return made


def _free(model: Path) -> tuple[Path, list[Path]]:
    """A new directory beside that of the model, which the next compilation replaces."""
    model = model.resolve()
    for number in itertools.count(1):
        folder = model.parent / f"{model.name}-run-{number}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder, [folder]
    raise AssertionError


def _lock(folder: Path) -> int:
    """Lock `folder`; gives the descriptor that holds the lock.  Raises `RunError` where another has it."""
    while True:
        try:
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _refused(folder, error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 99).decode(errors="replace").strip() or "it is only beginning"
            os.close(lock)
            raise RunError(
                f"{folder} holds a run that is going ({holder}); "
                "wait for its end, stop it, or give another directory with -o"
            ) from None
        except OSError:
            pass  # this file system has no locks: better a run than none
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), os.stat(folder / LOCK)):
                _sign(lock)
                return lock
        os.close(lock)  # who held it took it away meanwhile


def _sign(lock: int) -> None:
    """Say who holds it, for messages."""
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        os.write(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
