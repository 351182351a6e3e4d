"""Recording into buffers that the worker empties between calls: `(buffer, ...) -> buffer`, in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from spike_runtime.ops.kernel import KernelOp
from spike_runtime.status import FULL


class Record(KernelOp):
    """One sample at steps n with n % every == 0: (buffer, signal, columns, n, every) -> buffer.

    buffer: samples x columns, used as a ring: sample n / every goes to row (n / every - 1) % samples.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        def record(buffer, signal, columns, n, every):  # type: ignore[no-untyped-def]
            step, interval = n.item(), every[0]
            if step % interval == 0:
                row = buffer[(step // interval - 1) % buffer.shape[0]]
                for i in range(columns.shape[0]):
                    row[i] = signal[columns[i]]
            return buffer

        return record


class RecordState(KernelOp):
    """As `Record`, of state variables: (buffer, state, variables, neurons, n, every) -> buffer."""

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        def record_state(buffer, state, variables, neurons, n, every):  # type: ignore[no-untyped-def]
            step, interval = n.item(), every[0]
            if step % interval == 0:
                row = buffer[(step // interval - 1) % buffer.shape[0]]
                for i in range(neurons.shape[0]):
                    row[i] = state[variables[i], neurons[i]]
            return buffer

        return record_state


class RecordEvents(KernelOp):
    """Spikes as they happen: (events, count, status, sums, sources, n) -> (events, count, status).

    sources: rows of (row of sums, units per spike, probe slot, neuron).  A neuron that spiked appends
    (slot, step, neuron, number of spikes) to `events`; count[0] rows are there.  Status is set to FULL when
    the next step might not fit.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0, 1: 1, 2: 2}

    def kernel(self) -> Callable[..., Any]:
        def record_events(events, count, status, sums, sources, n):  # type: ignore[no-untyped-def]
            k, step = count[0], n.item()
            for i in range(sources.shape[0]):
                units = sources[i, 1]
                spikes = (sums[sources[i, 0]] + units // 2) // units
                if spikes > 0:
                    events[k, 0], events[k, 1], events[k, 2], events[k, 3] = (
                        sources[i, 2],
                        step,
                        sources[i, 3],
                        spikes,
                    )
                    k += 1
            count[0] = k
            if k + sources.shape[0] > events.shape[0] and status[0] == 0:
                status[0] = FULL
            return events, count, status

        return record_events


def event_capacity(sources: int, chunk: int) -> int:
    """Rows of an events buffer: room for 10 % of the neurons to spike at every step, and for all in any one
    step.
    """
    return int(max(min(sources * chunk // 10, 1 << 22), 4 * sources))
