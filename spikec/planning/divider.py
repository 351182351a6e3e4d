"""Asks the partitioner to deal the vertices of a hypergraph to blocks, and remembers what it answered."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from array import array
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from spikec.cache import Cache
from spikec.errors import SpikeError
from spikec.planning import kahypar

# Of what the cache holds: another where the partitioner is asked otherwise.
VERSION = "blocks 3"


class PartitionerError(SpikeError):
    """The partitioner's process ended before it answered."""

    exit_code = 1


class Divider:
    """Blocks from the partitioner, or from `cache`, if there is one, where the same was asked before.

    To be used in a `with` statement: the partitioner is started when it is asked first, and ended there.
    """

    def __init__(self, cache: Cache | None = None) -> None:
        self._cache = cache
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Divider:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()

    def blocks(
        self,
        count: int,
        largest: Sequence[int],
        weights: Sequence[int],
        prices: Sequence[int],
        pins: Sequence[Sequence[int]],
    ) -> list[int]:
        """Which of `count` blocks each vertex is in, by the `weights` of vertices and the `prices` of
        hyperedges; `largest`: the most that each block may weigh, where they are not to be alike.

        Raises `PartitionerError`.
        """
        ends = array("i", chain.from_iterable(pins))
        header = (count, len(weights), len(pins), len(ends), *largest)
        numbers = (array("q", weights), array("q", prices), array("i", map(len, pins)), ends)
        question = (b" ".join(b"%d" % number for number in header) + b"\n", *numbers)
        key = _key(question)
        if self._cache and (found := self._cache.get(key)) is not None:
            return [int(block) for block in found]
        blocks = self._asked(question, len(weights))
        if self._cache:
            self._cache.put(key, np.array(blocks, np.float64))
        return blocks

    def _asked(self, question: Sequence[bytes | array[int]], vertices: int) -> list[int]:
        self._process = process = self._process or _started()
        assert process.stdin
        assert process.stdout
        with suppress(BrokenPipeError):
            for part in question:
                process.stdin.write(part)
            process.stdin.flush()
        answer = process.stdout.read(8 * vertices)
        if len(answer) < 8 * vertices:
            raise PartitionerError(_ended(process.wait()))
        return array("q", answer).tolist()


def _started() -> subprocess.Popen[bytes]:
    """The partitioner's process, in which nothing else is loaded."""
    threads = min(8, os.cpu_count() or 1)
    command = [sys.executable, "-I", "-S", kahypar.__file__, str(_library().parent), str(threads)]
    # Ctrl-C goes to this process only.
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)


def _ended(code: int) -> str:
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return (
        f"error: the partitioner {how}\n  help: if memory is short, use fewer partitions or a smaller model"
    )


def _library() -> Path:
    """The file of Mt-KaHyPar's module."""
    found = find_spec("mtkahypar")
    assert found
    assert found.origin
    return Path(found.origin)


def _key(question: Sequence[bytes | array[int]]) -> str:
    """That of an answer in the cache."""
    about: tuple[Any, ...] = (VERSION, _library().stat().st_size, kahypar.EPSILON, kahypar.SEED)
    digest = hashlib.sha256(repr(about).encode())
    for part in question:
        digest.update(part)
    return digest.hexdigest()
