"""The version of the kernels' sources: no machine code on disk may outlive them."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
# What kernels are made of: they take constants and functions from each other's files.
_SOURCES = ("ops/*.py", "wires/*.py", "status.py", "addresses.py")


@cache
def source_version(folder: Path = _HERE) -> int:
    """A number that changes with any source of the kernels in `folder`."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _SOURCES for path in folder.glob(pattern)):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:6], "big")


def kernel_folder() -> Path:
    """Where kernels are kept that Numba compiles by themselves, a folder for each version of their sources.

    Numba itself looks only at the date of the file in which a function stands.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spike" / f"kernels-{source_version():012x}"
