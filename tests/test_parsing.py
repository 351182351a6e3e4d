"""Several threads make simulators at once: each parses programs."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from spike_runtime.parsing import parsed

PROGRAM = Path(__file__).parent / "golden" / "basal_ganglia" / "program_0.txt"


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns whenever there may be garbage, which is often."""
    usual = gc.get_threshold()

    def take_turns(*_: object) -> None:
        time.sleep(1e-6)

    gc.callbacks.append(take_turns)
    gc.set_threshold(50)
    yield
    gc.set_threshold(*usual)
    gc.callbacks.remove(take_turns)


@pytest.mark.usefixtures("hasty")
def test_threads_parse_at_once() -> None:
    text = PROGRAM.read_text(encoding="utf-8")
    with ThreadPoolExecutor(4) as threads:
        trees = list(threads.map(parsed, [text] * 200))
    assert {len(tree.body) for tree in trees} == {len(trees[0].body)}
