"""What the tests of recording share: a model of three probes, its blocks and what they hold."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from spike_runtime import manifest as schema
from spike_runtime import runfile
from spike_runtime.blocks import Block
from spike_runtime.record import Recorder

STEPS = 2600
COLUMNS = 5
EXPONENT = 6


def model(parts: int) -> schema.Manifest:
    """Three probes, cut into `parts` partitions: columns and neurons dealt out singly, sums in all."""
    partitions = tuple(
        schema.Partition(p, "", "", "", (), 1, 1, {}, schema.Cost({}, 0.0)) for p in range(parts)
    )

    def probe(name: str, kind: str, size: int, every: int, exponent: int = 0) -> schema.Probe:
        dealt = tuple(
            schema.ProbePart(
                p,
                0,
                ((0, size),) if kind == "sum" else tuple((i, i + 1) for i in range(p, size, parts)),
            )
            for p in range(parts)
        )
        return schema.Probe(
            name, f"the {name}", kind, "value", size, every, "V", (exponent,), dealt, ("sin(t)",)
        )

    probes = (
        probe("held", "value", COLUMNS, 1),
        probe("a/b: __sum", "sum", 2, 3, EXPONENT),
        probe("spikes", "events", COLUMNS, 1),
    )
    return schema.Manifest("m", 1, 0.001, "float32", COLUMNS, partitions, (), probes)


def value(step: Any, column: Any) -> Any:
    return np.sin(step * (column + 1.0)).astype(np.float32)


def total(step: np.ndarray) -> np.ndarray:
    return np.stack([step * 5 - 777, step * step], axis=1)


def blocks(parts: int, part: int, first: int, last: int) -> list[Block]:
    """What a part records in steps first .. last."""
    columns = np.arange(part, COLUMNS, parts)
    step = np.arange(first, last + 1)
    held = value(step[:, None], columns[None, :])
    thirds = step[step % 3 == 0]
    # Parts of the sum: big numbers that cancel, as integers may.
    share = 10**9 * (part + 1) if part < parts - 1 else -(10**9) * (parts * (parts - 1) // 2)
    mine = (total(thirds) if part == 0 else 0) + np.full((len(thirds), 2), share if parts > 1 else 0)
    spikes = np.array([n * COLUMNS + c for n in step for c in columns if (n * (c + 2)) % 7 == 0], np.int64)
    return [
        Block(0, part, first - 1, held),
        Block(1, part, (first - 1) // 3, mine),
        Block(2, part, 0, spikes),
    ]


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def play(folder: Path, parts: int, borders: list[list[int]], order: list[int], steps: int = STEPS) -> int:
    """Record with the given borders of blocks of each part; `order` says which part comes next."""
    recorder = Recorder(model(parts), folder, steps, seed=3)
    queues = [list(zip([0, *b], b, strict=False)) for b in borders]
    for part in [*order, *(p for p in range(parts) for _ in queues[p])]:
        if queues[part % parts]:
            first, last = queues[part % parts].pop(0)
            for block in blocks(parts, part % parts, first + 1, last):
                recorder.add(block)
            recorder.complete(part % parts, last)
    return recorder.finish()


def about(folder: Path, **changes: Any) -> runfile.RunFile:
    fields = {
        "model": "m",
        "manifest": str(folder),
        "manifest_sha256": "",
        "seed": 3,
        "dt": 0.001,
        "steps": STEPS,
        "transport": "ring",
        "probes": ("held", "a/b: __sum", "spikes"),
        "pid": os.getpid(),
    }
    return runfile.RunFile(**(fields | changes))
