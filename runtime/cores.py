"""The cores of this machine that a process may use."""

from __future__ import annotations

import os
from pathlib import Path


def allowed_cores() -> list[int]:
    """The cores that this process may use; none where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def displaced() -> int:
    """ns for which something else had the core when this thread could have run (the second number of Linux's
    schedstat); 0 where the system does not say.
    """
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def core_count() -> int:
    """How many cores this process may use."""
    return len(allowed_cores()) or os.cpu_count() or 1
