"""Rings and ZeroMQ: messages arrive once, in order and whole; what fails names the wire; nobody hangs."""

from __future__ import annotations

import itertools
import multiprocessing
import shutil
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import pytest
import zmq
from fake_engine import WORDS, model
from spike_runtime import manifest as schema
from spike_runtime import version
from spike_runtime.wires import ring, zeromq
from spike_runtime.wires import segment as shared
from spike_runtime.wires.layout import (
    COLUMNS,
    FIRST,
    SPIN_SHARED,
    STOP,
    TAIL,
    WAITING_NS,
    WIRE,
    SegmentLayout,
)
from spike_runtime.wires.layout import (
    WORDS as COLUMN_WORDS,
)

STEPS = 400


@nb.njit(nogil=True)
def exchange(segment: Any, out: Any, into: Any, rows: Any, first: int, steps: int, me: int, seen: Any) -> int:
    """Send me * 1000 + step + 7 i on every wire; `seen` receives the totals of every step."""
    sums = np.zeros(len(rows), np.int64)
    for step in range(first, first + steps):
        for i in range(len(rows)):
            sums[i] = me * 1000 + step + 7 * i
        if ring.publish(segment, out, rows, sums, step) < 0:
            return step
        if ring.collect(segment, into, rows, seen[step - first], step) < 0:
            return step
    return 0


def rings(manifest: schema.Manifest) -> tuple[SegmentLayout, np.ndarray]:
    layout = ring.segment_layout(manifest)
    descriptor = shared.create(layout.words)
    segment = shared.attach(descriptor, layout.words)
    ring.prepare(segment, SPIN_SHARED)
    return layout, segment


def same_rows(table: np.ndarray) -> np.ndarray:
    """Every wire carries rows 0 .. WORDS - 1."""
    table = table.copy()
    table[:, FIRST] = 0
    return table


def tables(layout: SegmentLayout, manifest: schema.Manifest, p: int) -> tuple[np.ndarray, np.ndarray]:
    return same_rows(ring.out_wire_table(layout, manifest, p)), same_rows(
        ring.in_wire_table(layout, manifest, p)
    )


@pytest.mark.parametrize("partitions", [2, 16])
def test_processes_exchange(partitions: int) -> None:
    manifest = model(partitions)
    layout, segment = rings(manifest)
    rows = np.arange(WORDS)
    results = shared.attach(shared.create(partitions * STEPS * WORDS), partitions * STEPS * WORDS)
    seen = results.reshape(partitions, STEPS, WORDS)

    def work(p: int) -> None:
        assert exchange(segment, *tables(layout, manifest, p), rows, 1, STEPS, p, seen[p]) == 0

    exchange(segment, *tables(layout, manifest, 0), rows, 1, 0, 0, seen[0])  # compiles once, for all
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work, args=(p,)) for p in range(partitions)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * partitions
    step, i = np.arange(1, STEPS + 1)[:, None], np.arange(WORDS)
    for p in range(partitions):
        others = sum(q for q in range(partitions) if q != p)
        assert (seen[p] == 1000 * others + (partitions - 1) * (step + 7 * i)).all()


def test_tables_are_sorted_and_count_rows() -> None:
    wires = (schema.Wire(2, 0, 5), schema.Wire(0, 2, 4), schema.Wire(1, 0, 6), schema.Wire(0, 1, 3))
    manifest = model(3)
    manifest = schema.Manifest(**{**vars(manifest), "wires": wires})
    layout = ring.segment_layout(manifest)
    out, into = ring.out_wire_table(layout, manifest, 0), ring.in_wire_table(layout, manifest, 0)
    assert out.shape == (2, COLUMNS)
    assert out[:, [WIRE, COLUMN_WORDS, FIRST]].tolist() == [[3, 3, 0], [1, 4, 3]]
    assert into[:, [WIRE, COLUMN_WORDS, FIRST]].tolist() == [[2, 6, 0], [0, 5, 6]]


def test_rings_do_not_overlap() -> None:
    layout = ring.segment_layout(model(4))
    spans = sorted((r.head, r.payload + r.slots * (1 + WORDS)) for r in layout.rings)
    assert spans[0][0] >= layout.control(4)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert spans[-1][1] <= layout.words


def test_rows_choose_what_is_sent_and_where_it_is_added() -> None:
    manifest = model(2, chain=True)
    layout, segment = rings(manifest)
    sums, totals = np.array([10, 20, 30, 40]), np.array([1, 1, 1, 1, 1])
    out, into = ring.out_wire_table(layout, manifest, 0), ring.in_wire_table(layout, manifest, 1)
    assert ring.publish(segment, out, np.array([3, 0, 2]), sums, 9) == 0
    assert ring.collect(segment, into, np.array([4, 4, 1]), totals, 9) == 0
    assert totals.tolist() == [1, 31, 1, 1, 51]


@pytest.mark.parametrize("received", [[5, 6, 7], [8, 2, 5], [2, 3, 5]])
@pytest.mark.parametrize("sent", [[3, 4, 5], [6, 1, 4], [0, 1, 3]])
def test_rows_in_one_run_are_copied_as_others(sent: list[int], received: list[int]) -> None:
    layout, segment = rings(manifest := model(2))
    out, into = ring.out_wire_table(layout, manifest, 0), ring.in_wire_table(layout, manifest, 1)
    given, added = np.array(sent), np.array(received)
    ring.runs(out, given)
    ring.runs(into, added)
    assert list(out[:, FIRST]) == ([~3] if sent[0] == 3 else [0])
    assert list(into[:, FIRST]) == ([~5] if received[0] == 5 else [0])
    sums, totals, expected = np.arange(100, 120) ** 2, np.arange(20), np.arange(20)
    for step in (1, 2, 3):
        assert ring.publish(segment, out, given, sums + step, step) == 0
    for step in (1, 2, 3):  # its writer is ahead
        assert ring.collect(segment, into, added, totals, step) == 0
        expected[added] += (sums + step)[given]
        assert totals.tolist() == expected.tolist()


def test_wrong_step_names_the_wire() -> None:
    manifest = model(3)
    layout, segment = rings(manifest)
    rows, words = np.arange(WORDS), np.zeros(WORDS, np.int64)
    for p in (0, 2):
        out, _ = tables(layout, manifest, p)
        ring.publish(segment, out, rows, words, 4 if p == 0 else 5)
    status = ring.collect(segment, tables(layout, manifest, 1)[1], rows, words, 4)
    number = ring.wrong_wire(status)
    assert number is not None
    assert (manifest.wires[number].source, manifest.wires[number].target) == (2, 1)
    assert ring.wrong_wire(0) is None
    assert ring.wrong_wire(ring.STOPPED) is None


def start(call: Callable[[], int]) -> tuple[threading.Thread, list[int]]:
    result: list[int] = []
    thread = threading.Thread(target=lambda: result.append(call()), daemon=True)
    thread.start()
    return thread, result


@pytest.mark.parametrize("side", ["reader", "writer"])
def test_stop_flag_releases_who_waits(side: str) -> None:
    manifest = model(2, chain=True)
    layout, segment = rings(manifest)
    rows, words = np.arange(WORDS), np.zeros(WORDS, np.int64)
    out, into = tables(layout, manifest, 0)[0], tables(layout, manifest, 1)[1]
    if side == "reader":
        thread, result = start(lambda: ring.collect(segment, into, rows, words, 1))
        own = layout.control(1)
    else:
        for step in range(layout.rings[0].slots):
            assert ring.publish(segment, out, rows, words, step) == 0
        thread, result = start(lambda: ring.publish(segment, out, rows, words, 99))
        own = layout.control(0)
    time.sleep(0.2)
    assert thread.is_alive()
    segment[STOP] = 1
    thread.join(2)
    assert result == [ring.STOPPED]
    assert segment[own + WAITING_NS] > 50_000_000


def test_full_ring_goes_on_when_read() -> None:
    manifest = model(2, chain=True)
    layout, segment = rings(manifest)
    rows, count = np.arange(WORDS), 5 * layout.rings[0].slots
    out, into = tables(layout, manifest, 0)[0], tables(layout, manifest, 1)[1]
    words = np.arange(WORDS)

    def write() -> int:
        return sum(ring.publish(segment, out, rows, words + step, step) for step in range(count))

    thread, result = start(write)
    time.sleep(0.2)
    assert segment[out[0, TAIL]] == layout.rings[0].slots
    totals = np.zeros(WORDS, np.int64)
    for step in range(count):
        assert ring.collect(segment, into, rows, totals, step) == 0
    thread.join(5)
    assert result == [0]
    assert totals.tolist() == [count * i + count * (count - 1) // 2 for i in range(WORDS)]


def test_shared_memory_has_no_name() -> None:
    before = set(Path("/dev/shm").iterdir())
    segment = shared.attach(shared.create(1000), 1000)
    assert set(Path("/dev/shm").iterdir()) == before
    assert not segment.any()


# ------------------------------------------------------------------------------------------------- ZeroMQ

RUN = bytes(range(16))


def checker() -> zeromq.Checker:
    return zeromq.Checker(RUN, 1, model(2).wires)


def frame(step: int, run: bytes = RUN, wire: int = 0) -> bytes:
    return zeromq.pack(run, wire, step, np.arange(WORDS).tobytes())


def test_frames_in_order_pass() -> None:
    check = checker()
    for step in range(3):
        number, found, words = check.check(frame(step))
        assert (number, found, words.tolist()) == (0, step, [0, 1, 2])


NAME = r"wire 0 \(partition 0 to partition 1\)"


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([frame(4), frame(6)], NAME + ": the frame of step 5 was lost"),
        ([frame(4), frame(4)], NAME + ": the frame of step 4 came again"),
        ([frame(4), frame(3)], NAME + ": the frame of step 3 came again"),
        ([frame(4)[:-1] + b"x"], NAME + ": the frame of step 4 is damaged"),
        ([frame(4)[:-8]], NAME + ": the frame of step 4 is damaged"),
        ([frame(4, run=bytes(16))], "partition 1 received a foreign frame: it claims to be of wire 0"),
        ([frame(4, wire=1)], "partition 1 received a foreign frame: it claims to be of wire 1"),
        ([b"GET / HTTP/1.1\r\n" * 9], "partition 1 received a foreign frame"),
        ([b""], "partition 1 received a foreign frame"),
    ],
)
def test_bad_frames_are_refused(frames: list[bytes], message: str) -> None:
    check = checker()
    for good in frames[:-1]:
        check.check(good)
    with pytest.raises(zeromq.WireError, match=message):
        check.check(frames[-1])


class Node:
    """A partition over ZeroMQ, in this process."""

    def __init__(self, partition: int, bind: str, manifest: schema.Manifest | None = None) -> None:
        self.manifest = manifest or model(2)
        self.layout = ring.segment_layout(self.manifest, (partition,))
        self.segment = shared.attach(shared.create(self.layout.words), self.layout.words)
        ring.prepare(self.segment, 0, 0)
        self.partition = partition
        self.pump = zeromq.Pump(self.manifest, partition, RUN, self.layout, self.segment, bind)

    def steps(self, first: int, count: int) -> tuple[int, np.ndarray]:
        seen = np.zeros((count, WORDS), np.int64)
        own = tables(self.layout, self.manifest, self.partition)
        status = exchange(self.segment, *own, np.arange(WORDS), first, count, self.partition, seen)
        return status, seen


def pair(transport: str, folder: Path, manifest: schema.Manifest | None = None) -> list[Node]:
    binds = ["tcp://127.0.0.1:*"] * 2 if transport == "tcp" else [f"ipc://{folder}/{p}" for p in range(2)]
    nodes = [Node(p, bind, manifest) for p, bind in enumerate(binds)]
    endpoints = [node.pump.endpoint for node in nodes]
    for node in nodes:
        node.pump.greet(endpoints)
    for node in nodes:
        node.pump.await_greetings()
        node.pump.start()
    return nodes


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_pumps_carry_the_same_numbers(transport: str, tmp_path: Path) -> None:
    nodes = pair(transport, tmp_path)
    results: dict[int, tuple[int, np.ndarray]] = {}
    threads = [
        threading.Thread(target=lambda node=node: results.update({node.partition: node.steps(1, 100)}))
        for node in nodes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for node in nodes:
        node.pump.close()
    assert [(node.pump.failure, results[node.partition][0]) for node in nodes] == [(None, 0)] * 2
    for node in nodes:
        expected = 1000 * (1 - node.partition) + np.arange(1, 101)[:, None] + 7 * np.arange(WORDS)
        assert (results[node.partition][1] == expected).all()


def test_foreign_frame_stops_a_partition(tmp_path: Path) -> None:
    nodes = pair("tcp", tmp_path)
    context: zmq.Context[Any] = zmq.Context()
    intruder = context.socket(zmq.PUSH)
    intruder.connect(nodes[1].pump.endpoint)
    thread, result = start(lambda: nodes[1].steps(1, 5)[0])
    intruder.send(b"who goes there")
    thread.join(5)
    assert result == [1]
    assert nodes[1].segment[STOP]
    assert "partition 1 received a foreign frame" in str(nodes[1].pump.failure)
    for node in nodes:
        node.pump.close()
    context.destroy(linger=0)


def test_frames_that_say_they_are_longer_than_any_are_cut_off(tmp_path: Path) -> None:
    """ZeroMQ takes memory for what a frame says that it holds; nobody but its peer is to notice."""
    nodes = pair("tcp", tmp_path)
    host, port = nodes[1].pump.endpoint.removeprefix("tcp://").split(":")
    greeting = b"\xff" + bytes(8) + b"\x7f\3\0NULL".ljust(54, b"\0")
    ready = b"\4\x1a\5READY\x0bSocket-Type\0\0\0\4PUSH"
    with socket.create_connection((host, int(port)), timeout=10) as intruder:
        intruder.sendall(greeting + ready + b"\2" + (1 << 40).to_bytes(8, "big") + b"x" * 100)
        while intruder.recv(4096):  # ends where the other side does
            pass
    threads = [start(lambda node=node: node.steps(1, 5)[0]) for node in nodes]
    for thread, _ in threads:
        thread.join(30)
    for node in nodes:
        node.pump.close()
    assert [result for _, result in threads] == [[0], [0]]
    assert [node.pump.failure for node in nodes] == [None, None]


def test_missing_partner_names_the_wire(tmp_path: Path) -> None:
    node = Node(1, f"ipc://{tmp_path}/1")
    node.pump.greet([f"ipc://{tmp_path}/0", node.pump.endpoint])
    with pytest.raises(zeromq.WireError, match=NAME + ": no connection"):
        node.pump.await_greetings(timeout=0.1)
    node.pump.close()


def test_kernels_on_disk_belong_to_the_version_of_all_their_sources(tmp_path: Path) -> None:
    sources = Path(version.__file__).parent
    for name in ("ops", "wires"):
        shutil.copytree(sources / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("status.py", "addresses.py", "events.py"):
        shutil.copy(sources / name, tmp_path)
    same = version.source_version(tmp_path)
    assert same == version.source_version(sources)
    assert f"kernels-{same:012x}" in ring.publish._cache.cache_path
    for k, changed in enumerate(("wires/layout.py", "status.py", "ops/neurons.py")):
        other = tmp_path / str(k)
        shutil.copytree(tmp_path, other, ignore=shutil.ignore_patterns("[0-9]"))
        (other / changed).write_text((other / changed).read_text() + "# changed\n")
        assert version.source_version(other) != same, changed
