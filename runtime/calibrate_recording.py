"""What recording costs beside the programs, from what a worker hands over to chunks on disk, in ns."""

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

BLOCK, LONG = 1000, 8192  # steps between messages, of spikes and of samples, which fast models hand over
BLOCKS, FEW = 33, 4  # messages: of samples two chunks
NEURONS, RATE, WIDTH = 1000, 0.1, 64
REPEATS = 5


def measure() -> dict[str, float]:
    """ns of a sample of a probe, of a number in it, and of a spike (`sample`, `number`, `event`)."""
    random = np.random.default_rng(1)
    step, neuron = np.nonzero(random.random((BLOCK, NEURONS)) < RATE)
    spikes = (step * NEURONS + neuron).astype(np.int64)
    narrow = random.standard_normal((LONG, 1)).astype(np.float32)
    wide = random.standard_normal((LONG, WIDTH)).astype(np.float32)
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
    length, count = (BLOCK, BLOCKS) if kind == "events" else (LONG, FEW)
    shared = data.reshape(-1).view(np.int64)

    def send() -> None:
        for number in range(count):
            # Events of later blocks are of later steps; samples lie in memory that both sides have.
            later, memory = (data + number * length * size, None) if kind == "events" else (data, shared)
            block = Block(0, 0, number * length, later)
            frames.send_recorded(there, [block], 0, (number + 1) * length, memory)

    with here, there, tempfile.TemporaryDirectory(prefix="spike-calibrate-") as folder:
        recorder = Recorder(manifest, Path(folder) / "store", count * length, 0)
        sender = threading.Thread(target=send)
        start = time.process_time_ns()
        sender.start()
        for _ in range(count):
            frame = frames.receive(here)
            for block in frames.to_blocks(frame, shared):
                recorder.add(block)
            recorder.complete(0, frame.values["step"])
        recorder.finish()
        spent = time.process_time_ns() - start
        sender.join()
    return spent / (count * length)
