"""Spikes as lists: kept until their delay is over, delivered to the targets of each, recorded.

A partition keeps the spikes of the last steps in `history`: row n % rows is step n.  First come the numbers
of spikes of every population, then, from `firsts[population]` on, the neurons that spiked.  What other
partitions send is appended to the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from spike_runtime.events import SLOTS
from spike_runtime.ops.kernel import KernelOp
from spike_runtime.ops.record import crowded
from spike_runtime.status import FULL, STOPPED
from spike_runtime.wires import lists


class Deliver(KernelOp):
    """(arriving, history, firsts, table, pointers, targets, weights, n) -> (arriving, history).

    arriving[i] becomes the sum of the weights of all spikes that arrive at neuron i in step n: integers,
    exact in any order.  table: rows of (delay, population, first pointer, weight, first weight, shift), one
    for each projection.  The targets of its source s are targets[pointers[first + s] : pointers[first + s +
    1]].  All have `weight`; or, where first weight is not -1, each its own: weights[first weight + k] <<
    shift for the k-th target of the projection.  Then the row of step n begins: with a delay of all rows,
    it was read just before.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0, 1: 1}

    def kernel(self) -> Callable[..., Any]:
        def deliver(arriving, history, firsts, table, pointers, targets, weights, n):  # type: ignore[no-untyped-def]
            step, rows = n.item(), history.shape[0]
            arriving[:] = 0
            for p in range(table.shape[0]):
                late, population, first, weight, own, shift = table[p]
                row, place = history[(step - late) % rows], firsts[population]
                for q in range(row[population]):
                    s = first + row[place + q]
                    if own < 0:
                        for k in range(pointers[s], pointers[s + 1]):
                            arriving[targets[k]] += weight
                    else:
                        offset = own - pointers[first]
                        for k in range(pointers[s], pointers[s + 1]):
                            arriving[targets[k]] += np.int64(weights[offset + k]) << shift
            history[step % rows, : firsts.shape[0]] = 0

        return deliver


class RecordSpikes(KernelOp):
    """(events, count, status, history, firsts, probes, pointers, columns, n) -> (events, count, status): as
    `RecordEvents`.

    probes: rows of (population, slot of the probe, size of the probe, first pointer).  A neuron has the
    columns from pointers[first + neuron] to the next pointer; with a first pointer of -1 that of its number.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0, 1: 1, 2: 2}

    def kernel(self) -> Callable[..., Any]:
        full = crowded

        def record_spikes(events, count, status, history, firsts, probes, pointers, columns, n):  # type: ignore[no-untyped-def]
            k, step = count[0], n.item()
            row = history[step % history.shape[0]]
            for p in range(probes.shape[0]):
                population, slot, size, first = probes[p]
                place = firsts[population]
                for q in range(row[population]):
                    neuron = row[place + q]
                    start, stop = np.int64(0), np.int64(1)
                    if first >= 0:
                        start, stop = pointers[first + neuron], pointers[first + neuron + 1]
                    for c in range(start, stop):
                        events[0, k] = step * size + (columns[c] if first >= 0 else neuron)
                        events[1, k] = SLOTS + slot
                        k += 1
            count[0] = k
            if full(k, events) and status[0] == 0:
                status[0] = FULL

        return record_spikes


class CollectSpikes(KernelOp):
    """(history, status, segment, wires, firsts, window, n) -> (history, status): the spikes of others join.

    Once in a window, at its first step, those of the whole window before.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0, 1: 1}

    def kernel(self) -> Callable[..., Any]:
        receive = lists.collect

        def collect_spikes(history, status, segment, wires, firsts, window, n):  # type: ignore[no-untyped-def]
            code = receive(segment, wires, history, firsts, window[0], n.item() - 1)
            if code != 0 and status[0] == 0:
                status[0], status[1] = STOPPED, code

        return collect_spikes


class PublishSpikes(KernelOp):
    """(status, segment, wires, history, firsts, window, n) -> status: sends spikes, once in a window."""

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        send = lists.publish

        def publish_spikes(status, segment, wires, history, firsts, window, n):  # type: ignore[no-untyped-def]
            code = send(segment, wires, history, firsts, window[0], n.item()) if status[0] == 0 else 0
            if code != 0 and status[0] == 0:
                status[0], status[1] = STOPPED, code

        return publish_spikes
