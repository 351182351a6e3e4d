"""What recording costs beside the programs: from what a worker sends to chunks on disk, in processor time."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from spike_runtime import frames
from spike_runtime.blocks import Block
from spike_runtime.calibrate_timing import fit
from spike_runtime.manifest import Cost, Manifest, Partition, Probe, ProbePart
from spike_runtime.record import Recorder

BLOCK = 1000  # steps
BLOCKS = 33  # two chunks of samples
NEURONS, RATE, WIDTH = 1000, 0.1, 64
REPEATS = 3


def measure() -> dict[str, float]:
    """ns of a sample of a probe, of a number in it, and of a spike (`sample`, `number`, `event`)."""
    random = np.random.default_rng(1)
    step, neuron = np.nonzero(random.random((BLOCK, NEURONS)) < RATE)
    spikes = (step * NEURONS + neuron).astype(np.int64)
    narrow = random.standard_normal((BLOCK, 1)).astype(np.float32)
    wide = random.standard_normal((BLOCK, WIDTH)).astype(np.float32)
    features = [
        {"sample": 1.0, "number": 1.0},
        {"sample": 1.0, "number": float(WIDTH)},
        {"event": len(spikes) / BLOCK},
    ]
    cases = (("value", 1, narrow), ("value", WIDTH, wide), ("events", NEURONS, spikes))
    return fit(features, [min(_time(*case) for _ in range(REPEATS)) for case in cases])


def _time(kind: str, size: int, data: np.ndarray) -> float:
    """ns per step of this process for a probe of which every block holds `data`."""
    part = Partition(0, "", "", "", (), 0, 0, {}, Cost({}, 0.0))
    probe = Probe("p", "p", kind, "value", size, 1, "", (), (ProbePart(0, 0, ((0, size),)),))
    manifest = Manifest("calibration", 0, 1e-3, "float32", 0, (part,), (), (probe,))
    here, there = socket.socketpair()

    def send() -> None:
        for number in range(BLOCKS):
            # Events of later blocks are of later steps.
            later = data + number * BLOCK * size if kind == "events" else data
            block = Block(0, 0, number * BLOCK, later)
            frames.send_recorded(there, [block], 0, (number + 1) * BLOCK)

    with here, there, tempfile.TemporaryDirectory(prefix="spike-calibrate-") as folder:
        recorder = Recorder(manifest, Path(folder) / "store", BLOCKS * BLOCK, 0)
        sender = threading.Thread(target=send)
        start = time.process_time_ns()
        sender.start()
        for _ in range(BLOCKS):
            frame = frames.receive(here)
            for block in frames.to_blocks(frame):
                recorder.add(block)
            recorder.complete(0, frame.values["step"])
        recorder.finish()
        spent = time.process_time_ns() - start
        sender.join()
    return spent / (BLOCKS * BLOCK)
