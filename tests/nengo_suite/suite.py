"""Plugin of Nengo's own tests: which simulator they get, and which of them run.

NENGO_SUITE: "nengo" for Nengo's own simulator, a number of partitions, or "translate".
NENGO_SUITE_THIRD: 0, 1 or 2 runs a third of the tests, chosen by the hashes of their names.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from typing import Any

import nengo


def pytest_configure() -> None:
    """Every process has a cache of decoders of its own: processes that share one wait for each other."""
    nengo.rc.set("decoder_cache", "path", tempfile.mkdtemp(prefix="nengo-decoders-"))


def simulator(request: Any) -> type:  # noqa: ARG001 (the signature that Nengo's plugin calls)
    """The class that tests call `Simulator`."""
    which = os.environ.get("NENGO_SUITE", "1")
    if which == "nengo":
        return nengo.Simulator  # type: ignore[no-any-return]
    if which == "translate":
        from translating import Translating

        return Translating
    from spikec.nengo import Simulator

    Simulator.default_partitions = int(which)
    return Simulator


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Keep a third."""
    third = os.environ.get("NENGO_SUITE_THIRD", "")
    if third:
        dropped = [item for item in items if _third(item.nodeid) != int(third)]
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if _third(item.nodeid) == int(third)]


def _third(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 3
