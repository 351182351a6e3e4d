"""A small engine for tests of the runtime: exchanges integers on every wire, records all kinds of probe.

SPIKE_FAKE="WHAT:PARTITION:STEP" makes one partition misbehave at a step; SPIKE_FAKE_SLOW="PARTITION:SECONDS"
makes one sleep in every chunk.  SPIKE_FAKE_ROOM: chunks of values that are kept in memory that is shared.
"""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from spike_runtime import manifest as schema
from spike_runtime import native, progress
from spike_runtime.blocks import Block
from spike_runtime.table import Entry, pack
from spike_runtime.wires import called
from spike_runtime.wires.layout import PROGRESS, STOP, in_wire_table, out_wire_table

WORDS = 3
ENGINE = "fake_engine:Engine"


def model(partitions: int, chain: bool = False, wired: bool = True) -> schema.Manifest:
    """A manifest with wires between all partitions, or only from each to the next, and three probes."""
    count = range(partitions)
    parts = tuple(
        schema.Partition(p, "", f"program_{p}.py", "", (), 1, 1, {}, schema.Cost({}, 0.0)) for p in count
    )
    pairs = [(p, q) for p in count for q in count if (q == p + 1 if chain else p != q)]
    probes = (
        schema.Probe(
            "value",
            "x",
            "value",
            "value",
            partitions,
            1,
            "",
            (),
            tuple(_part(p, 0, (p, p + 1)) for p in count),
        ),
        schema.Probe(
            "sum", "y", "sum", "value", WORDS, 2, "V", (4,), tuple(_part(p, 1, (0, WORDS)) for p in count)
        ),
        schema.Probe(
            "spikes",
            "z",
            "events",
            "spikes",
            partitions,
            1,
            "",
            (),
            tuple(_part(p, 2, (p, p + 1)) for p in count),
        ),
    )
    wires = tuple(schema.Wire(p, q, WORDS) for p, q in pairs if wired)
    return schema.Manifest("fake", 5, 0.001, "float64", partitions, parts, wires, probes)


def write(folder: Path, manifest: schema.Manifest) -> Path:
    """The manifest and empty programs on disk; gives the manifest's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in manifest.partitions:
        (folder / part.program).write_text("")
    path = folder / "manifest.json"
    path.write_text(schema.dump(manifest))
    return path


def _part(partition: int, slot: int, columns: tuple[int, int]) -> schema.ProbePart:
    return schema.ProbePart(partition, slot, (columns,))


def steps() -> int:
    """The address of the compiled steps: from disk, where they were compiled before, without Numba."""
    source = Path(__file__).with_name("fake_steps.py").read_text(encoding="utf-8")
    key = hashlib.sha256(source.encode()).hexdigest()
    address = native.load(key)
    if address is None:
        import fake_steps

        address = fake_steps.compile_and_keep(key)
    return address


STEPS = steps()


class Engine:
    """Every wire carries `sums`; probe "value" records the sum of all that came, "sum" the sums.

    Values are kept in the memory that it is given.
    """

    room = 1 << 62

    def __init__(
        self, manifest: Any, _folder: Any, partition: int, segment: Any, layout: Any, seed: Any
    ) -> None:
        self.partition, self.segment, self.seed = partition, segment, seed or 0
        self.count = len(manifest.partitions)
        self.chunk = int(os.environ.get("SPIKE_FAKE_CHUNK", 7 + 3 * partition))
        self.out = out_wire_table(layout, manifest, partition)
        into = in_wire_table(layout, manifest, partition)
        # Every wire carries the same rows.
        self.rows = np.tile(np.arange(WORDS), len(manifest.partitions))
        self.blocks: list[Block] = []
        self.kept: Any = None
        self.log = np.zeros((self.chunk, 1 + WORDS), np.int64)
        self.sums = np.zeros(WORDS, np.int64)
        # Its number, and whether it has fallen silent.
        self.about, status = np.array([partition, 0]), np.zeros(2, np.int64)
        self.arrays = [
            segment,
            self.out,
            into,
            self.rows,
            self.sums,
            self.sums.copy(),
            self.about,
            self.log,
            status,
        ]
        self.table = pack(self.arrays)
        word = layout.control(partition) + PROGRESS
        self.entry = Entry(STEPS, word, self.table.ctypes.data, status.ctypes.data)
        what, _, where = os.environ.get("SPIKE_FAKE", "").partition(":")
        self.fault = what if where and int(where.split(":")[0]) == partition else ""
        self.fault_step = int(where.split(":")[1]) if self.fault else 0
        slow, _, seconds = os.environ.get("SPIKE_FAKE_SLOW", "").partition(":")
        self.pause = float(seconds) if slow == str(partition) else 0.0

    def begin(self, first: int) -> None:
        if first == 1:
            called.publish(self.segment, self.out, self.rows, self.sums, 0)
        if self.fault and first <= self.fault_step < first + self.chunk:
            self._misbehave()
        if self.pause:
            time.sleep(self.pause)

    def end(self, first: int, done: int) -> None:
        steps = np.arange(first, first + done)
        log = self.log[steps % len(self.log)]
        spiking = steps[(steps * 7 + self.partition) % 5 == 0]
        even = steps % 2 == 0
        events = spiking * self.count + self.partition
        self.blocks += self._values(first - 1, log[:, :1].astype(float) + self.seed)
        self.blocks += [
            Block(1, self.partition, (first - 1) // 2, log[even, 1:]),
            Block(2, self.partition, 0, events),
        ]

    @property
    def shared_words(self) -> int:
        return int(os.environ.get("SPIKE_FAKE_ROOM", "300")) * self.chunk

    def share(self, memory: Any) -> None:
        self.kept, self.room = memory.view(np.float64)[:, None], len(memory)

    def _values(self, first: int, data: Any) -> list[Block]:
        if self.kept is None:
            return [Block(0, self.partition, first, data)]
        start = first % len(self.kept)
        whole = min(len(data), len(self.kept) - start)
        self.kept[start : start + whole], self.kept[: len(data) - whole] = data[:whole], data[whole:]
        pieces = (first, self.kept[start : start + whole]), (first + whole, self.kept[: len(data) - whole])
        return [Block(0, self.partition, number, piece) for number, piece in pieces]

    def drain(self) -> list[Block]:
        blocks, self.blocks = self.blocks, []
        return blocks

    def _misbehave(self) -> None:
        if self.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.fault == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.fault == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif self.fault == "mute":
            self.about[1] = 1
        elif self.fault == "halt":
            self.segment[STOP] = 1
        elif self.fault == "raise":
            raise ValueError("no such luck")
        elif self.fault == "exit":
            os._exit(7)
        elif self.fault == "memory":
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + (64 << 20), size + (64 << 20)))
            self.hoard = np.ones(1 << 40, np.int8)


def compiles(*given: Any) -> Engine:
    """An engine whose program has four kernels that take their time, as does what calls them."""
    for _ in progress.told("abcd"):
        time.sleep(0.15)
    progress.tell(4, 4)
    time.sleep(0.3)
    return Engine(*given)


def refuses(_manifest: Any, folder: Path, *_: Any) -> Engine:
    """An engine whose files are not those of the manifest."""
    raise schema.ManifestError(f"{folder / 'program_0.py'} was changed after it was compiled (checksum)")
