"""How far a sender over ZeroMQ may be ahead, and what happens where nobody tells it that it may go on."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from fake_engine import WORDS, model
from spike_runtime.wires import ring, zeromq
from spike_runtime.wires.layout import MOST_SLOTS, STOP, TAIL
from test_wires import Node, pair, start, tables

STEPS = 2 * MOST_SLOTS + 100  # more than the rings of both sides and the credit hold
CREDIT = 8


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    """A partition that only sends, and one that only receives, at most `CREDIT` messages behind."""
    monkeypatch.setattr(zeromq, "credit", lambda _: CREDIT)
    monkeypatch.setattr(zeromq, "_ASK_AFTER", 0.2)
    monkeypatch.setattr(zeromq, "_ANSWER_WITHIN", 3.0)
    return pair("ipc", tmp_path, model(2, chain=True))


def send(node: Node, steps: int) -> int:
    out, rows = tables(node.layout, node.manifest, 0)[0], np.arange(WORDS)
    for step in range(steps):
        if ring.publish(node.segment, out, rows, rows + step, step) != 0:
            return step
    return steps


def receive(node: Node, steps: int) -> list[int]:
    into, rows = tables(node.layout, node.manifest, 1)[1], np.arange(WORDS)
    totals = np.zeros(WORDS, np.int64)
    for step in range(steps):
        if ring.collect(node.segment, into, rows, totals, step) != 0:
            break
    return totals.tolist()


def close(nodes: list[Node]) -> None:
    for node in nodes:
        node.segment[STOP] = 1
        node.pump.close()


def test_a_sender_waits_for_credit_and_loses_nothing(nodes: list[Node]) -> None:
    sender, sent = start(lambda: send(nodes[0], STEPS))
    slots, tail = nodes[1].layout.rings[0].slots, tables(nodes[1].layout, nodes[1].manifest, 1)[1][0, TAIL]
    end = time.monotonic() + 20
    while nodes[1].segment[tail] < slots and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.3)
    assert nodes[1].segment[tail] == slots
    assert sender.is_alive()  # the rings on both sides and its credit are used up
    assert receive(nodes[1], STEPS) == [STEPS * i + STEPS * (STEPS - 1) // 2 for i in range(WORDS)]
    sender.join(30)
    assert sent == [STEPS]
    assert [node.pump.failure for node in nodes] == [None, None]
    close(nodes)


def test_a_reader_that_pauses_is_not_taken_for_gone(nodes: list[Node]) -> None:
    """Its program is slow, but its thread answers."""
    sender, sent = start(lambda: send(nodes[0], STEPS))
    time.sleep(1.5 * zeromq._ANSWER_WITHIN)
    receive(nodes[1], STEPS)
    sender.join(30)
    assert sent == [STEPS]
    assert nodes[0].pump.failure is None
    close(nodes)


def test_a_lost_acknowledgement_is_asked_for(nodes: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    acknowledge = nodes[1].pump._acknowledge

    def lossy(number: int) -> None:
        told.append(number)
        if len(told) > 4:
            acknowledge(number)

    monkeypatch.setattr(nodes[1].pump, "_acknowledge", lossy)
    sender, sent = start(lambda: send(nodes[0], STEPS))
    receive(nodes[1], STEPS)
    sender.join(30)
    assert sent == [STEPS]
    assert nodes[0].pump.failure is None
    close(nodes)


def test_acknowledgements_that_never_come_name_the_wire(
    nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes[1].pump, "_acknowledge", lambda _: None)
    reader, _ = start(lambda: receive(nodes[1], STEPS))
    sender, sent = start(lambda: send(nodes[0], STEPS))
    sender.join(30)
    assert sent[0] < STEPS
    assert r"wire 0 (partition 0 to partition 1): step" in str(nodes[0].pump.failure)
    assert "was not acknowledged" in str(nodes[0].pump.failure)
    close(nodes)
    reader.join(5)
