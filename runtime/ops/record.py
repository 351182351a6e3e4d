"""Recording into buffers that the worker empties between calls: `(buffer, ...) -> buffer`, in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numba.extending import register_jitable
from spike_runtime.events import SLOTS
from spike_runtime.ops.kernel import KernelOp
from spike_runtime.ops.simd import pointer
from spike_runtime.status import FULL


@register_jitable
def sample(step, every, length):  # type: ignore[no-untyped-def]
    """Row of the sample of this step in a ring of so many, -1 where there is none (see `sampling`); few
    divisions, which take long.  `every` is a whole number or a float.
    """
    if every == 1:
        return (step - 1) % length
    return (int(step // every) - 1) % length if step % every < 1 else -1


@register_jitable
def width_and_first(starts, p, place, length):  # type: ignore[no-untyped-def]
    """Of recording p of a buffer: how many columns it has, and where its sample in row `place` begins."""
    width = starts[p + 1] - starts[p]
    return width, starts[p] * length + place * width


class Record(KernelOp):
    """One sample each of some recordings, at steps n with n % every < 1:
    (buffer, signal, columns, starts, n, every) -> buffer.

    buffer: samples x columns in all; of recording p, with columns starts[p] .. starts[p + 1], all samples lie
    together, used as a ring: sample k = n // every goes to row (k - 1) % samples.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        def record(buffer, signal, columns, starts, n, every):  # type: ignore[no-untyped-def]
            place = sample(n.item(), every[0], buffer.shape[0])
            if place >= 0:
                B, S, C = pointer(buffer), pointer(signal), pointer(columns)
                for p in range(starts.shape[0] - 1):
                    width, first = width_and_first(starts, p, place, buffer.shape[0])
                    for i in range(width):
                        B[first + i] = S[C[starts[p] + i]]

        return record


class RecordState(KernelOp):
    """As `Record`, of state variables: (buffer, state, variables, neurons, starts, n, every) -> buffer."""

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        def record_state(buffer, state, variables, neurons, starts, n, every):  # type: ignore[no-untyped-def]
            place = sample(n.item(), every[0], buffer.shape[0])
            if place >= 0:
                B = pointer(buffer)
                for p in range(starts.shape[0] - 1):
                    width, first = width_and_first(starts, p, place, buffer.shape[0])
                    for i in range(width):
                        k = starts[p] + i
                        B[first + i] = state[variables[k], neurons[k]]

        return record_state


@register_jitable
def refractory_time(rest, scale):  # type: ignore[no-untyped-def]
    """The refractory time in s of a LIF neuron with this rest (see `lif`); scale: dt, G and tau_rc.

    As in Nengo, it counts from the beginning of the last step.
    """
    dt, G, tau_rc = scale
    whole = np.floor(rest / G)
    active = -tau_rc * np.log1p(-((whole + 1.0) * G - rest))
    return (whole + 2.0) * dt - min(active, dt)


class RecordRest(KernelOp):
    """As `RecordState`, of the refractory time in s of LIF neurons: (buffer, state, variables, neurons,
    scales, starts, n, every) -> buffer.

    The variable is their rest; scales: rows as `refractory_time` takes them, for each neuron one.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        def record_rest(buffer, state, variables, neurons, scales, starts, n, every):  # type: ignore[no-untyped-def]
            place = sample(n.item(), every[0], buffer.shape[0])
            if place >= 0:
                B = pointer(buffer)
                for p in range(starts.shape[0] - 1):
                    width, first = width_and_first(starts, p, place, buffer.shape[0])
                    for i in range(width):
                        k = starts[p] + i
                        rest = np.float64(state[variables[k], neurons[k]])
                        B[first + i] = refractory_time(rest, scales[k])

        return record_rest


@register_jitable
def crowded(k, events):  # type: ignore[no-untyped-def]
    """Whether the next step might not fit after the first k rows: see `event_capacity`."""
    return 4 * k > 3 * events.shape[1]


class RecordEvents(KernelOp):
    """Spikes as they happen: (events, count, status, sums, sources, n) -> (events, count, status).

    sources: runs of neurons as rows of (first row of sums, neurons, units per spike, probe slot, first
    neuron, size of the population).  A neuron that spiked appends a column to `events`: step * size +
    neuron, and spikes * `SLOTS` + slot; count[0] columns are there.  Status is set to FULL when the next
    step might not fit.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0, 1: 1, 2: 2}

    def kernel(self) -> Callable[..., Any]:
        full = crowded

        def record_events(events, count, status, sums, sources, n):  # type: ignore[no-untyped-def]
            k, step = count[0], n.item()
            for r in range(sources.shape[0]):
                first, units, slot = sources[r, 0], sources[r, 2], sources[r, 3]
                half = units // 2
                event = step * sources[r, 5] + sources[r, 4]
                for i in range(sources[r, 1]):
                    rounded = sums[first + i] + half
                    if rounded >= units:  # few do, and only they divide
                        events[0, k] = event + i
                        events[1, k] = rounded // units * SLOTS + slot
                        k += 1
            count[0] = k
            if full(k, events) and status[0] == 0:
                status[0] = FULL

        return record_events
