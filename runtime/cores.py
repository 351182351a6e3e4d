"""The cores of this machine that a process may use."""

from __future__ import annotations

import os


def allowed_cores() -> list[int]:
    """The cores that this process may use; none where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def core_count() -> int:
    """How many cores this process may use."""
    return len(allowed_cores()) or os.cpu_count() or 1
