"""Imported before PyTensor, which wants a folder in the user's home as soon as it is imported."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from spike_runtime.version import check_room, opened_kernel_folder


def house_pytensor() -> None:
    """Where there can be none, give it one beside ours, or one that lasts as long as this process."""
    flags, home = os.environ.get("PYTENSOR_FLAGS", ""), Path.home() / ".pytensor"
    if "compiledir" in flags or _is_usable(home if home.exists() else home.parent):
        return
    try:
        own = opened_kernel_folder().parent / "pytensor"
    except OSError:
        own = Path(tempfile.mkdtemp(prefix="spike-pytensor-"))
        atexit.register(_remove, own, os.getpid())
    os.environ["PYTENSOR_FLAGS"] = ",".join(filter(None, (flags, f"base_compiledir={own}")))


def _is_usable(folder: Path) -> bool:
    if not os.access(folder, os.W_OK):
        return False
    with contextlib.suppress(OSError):
        check_room(folder)
        return True
    return False


def _remove(folder: Path, maker: int) -> None:
    if os.getpid() == maker:  # and not a process that was forked
        shutil.rmtree(folder, ignore_errors=True)


house_pytensor()
