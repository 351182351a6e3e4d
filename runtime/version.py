"""The version of the kernels' sources: no machine code on disk may outlive them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
# What kernels are made of: they take constants and functions from each other's files.
_SOURCES = ("ops/*.py", "wires/*.py", "status.py", "addresses.py", "events.py")

# What a host profile depends on: the loop around kernels, and how they are measured.
_MEASURED = (*_SOURCES, "loop.py", "calibrate*.py")

_PREFIX, _MARK = "kernels-", "used"
# How long machine code is kept that nobody uses, in s.
KEPT = 30 * 24 * 3600.0
# Bytes that a new model may need there: Numba fails where it cannot write what it has compiled.
_ROOM = 4 << 20


@cache
def source_version(folder: Path = _HERE, sources: tuple[str, ...] = _SOURCES) -> int:
    """A number that changes with any source of the kernels in `folder`, or with others of its files."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in sources for path in folder.glob(pattern)):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:6], "big")


def profile_name(folder: Path = _HERE) -> str:
    """The file with what the kernels of this version cost on this host.

    Another version may compute in another way: with costs of the one before, neurons in 8-D were
    predicted to take 28 % longer than they did.
    """
    return f"host_profile-{source_version(folder, _MEASURED):012x}.json"


def kernel_folder() -> Path:
    """Where machine code is kept, a folder for each version of the sources of kernels.

    Numba itself looks only at the date of the file in which a function stands.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spike" / f"{_PREFIX}{source_version():012x}"


@cache
def opened_kernel_folder() -> Path:
    """That folder, made where it is missing, and marked as used now.

    Who is the first of a version removes those of others that were not used for `KEPT`.
    Raises `OSError` where it cannot be made, or is full.
    """
    folder = kernel_folder()
    mark = folder / _MARK
    first = not mark.exists()
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
    check_room(folder)
    if first:
        remove_unused(folder.parent)
    return folder


def check_room(folder: Path) -> None:
    """Raises `OSError` where the disk, or what the user may have of it, is full."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, _ROOM)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None


def remove_unused(base: Path) -> None:
    """Remove the machine code of versions that were last used longer ago than `KEPT`."""
    for folder in base.glob(f"{_PREFIX}*"):
        mark = folder / _MARK
        try:
            used = (mark if mark.exists() else folder).stat().st_mtime
        except OSError:  # somebody else removes it
            continue
        if time.time() - used > KEPT:
            shutil.rmtree(folder, ignore_errors=True)
