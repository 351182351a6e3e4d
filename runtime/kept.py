"""The state of a partition as others can use it: rings are unrolled, so that no place depends on the step.

    delayed_buffer      of every element what it keeps, the newest first
    spikes_history      rows of the last steps, the newest first
    sums                those that the partition added up in the last W steps, the newest first
    all others          as the program has them

W is the window of its wires (see `ring`).  `adopt` is the reverse: it also sends again what was on its way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spike_runtime.unknown import is_unknown
from spike_runtime.wires import called
from spike_runtime.wires.layout import COLUMNS, WINDOW

Arrays = Mapping[str, NDArray[Any]]
Words = NDArray[np.int64]
# What a step leaves that the next does not read, and what follows from other arrays.
_LEFT_OUT = ("status", "own", "synapses_arriving", "sums")


# What was recorded, and what a call of Python takes and gives in one step.
_BUFFERS = ("record_", "events_", "host_")


def portable(constants: Arrays, state: Arrays, past: Sequence[Words], step: int) -> dict[str, NDArray[Any]]:
    """The state after `step`; `past`: the sums of the last W steps, the newest first."""
    orders = _unrolled(constants, state, step)
    kept = {
        name: array[orders[name]] if name in orders else array.copy()
        for name, array in state.items()
        if name not in _LEFT_OUT and not name.startswith(_BUFFERS)
    }
    if "sums" in state:
        kept["sums"] = np.array(past)
    return kept


def adopt(constants: Arrays, state: Arrays, given: Arrays, step: int) -> None:
    """Make `state` that after `step`, as `portable` gave it; what is `unknown` there stays as it is."""
    rolled = _unrolled(constants, state, step)
    for name, values in given.items():
        if name == "sums":
            state[name][:] = values[0]
            if "own" in state:  # row m of the ring: the sums of step m - 1
                for late, sums in enumerate(values[1:]):
                    state["own"][(step - late) % len(state["own"])] = sums[constants["late"]]
        elif name == "spikes_history":
            state[name][rolled[name]] = values
        else:
            where = rolled.get(name, slice(None))
            state[name][where] = np.where(is_unknown(values), state[name][where], values)


def _unrolled(constants: Arrays, state: Arrays, step: int) -> dict[str, Words]:
    """By array that is used as a ring, where what it holds is, the newest first."""
    found = {}
    if "delayed_buffer" in state:
        lengths = constants["delayed_lengths"]
        owner = np.repeat(np.arange(len(lengths)), lengths)
        starts = (np.cumsum(lengths) - lengths)[owner]
        age = np.arange(len(owner)) - starts
        found["delayed_buffer"] = starts + (step - age) % lengths[owner]
    if "spikes_history" in state:
        rows = len(state["spikes_history"])
        found["spikes_history"] = (step - np.arange(rows)) % rows
    return found


def send_again(segment: Words, constants: Arrays, state: Arrays, past: Words, step: int) -> None:
    """Send what others read after `step` of the steps before: the sums of the last W of them, and spikes.

    The message of a window goes with its last step; what comes after begins the next one.
    """
    table = constants.get("send_wires", np.zeros((0, COLUMNS), np.int64))
    if len(table):
        window = int(table[0, WINDOW])
        for n in range(step - step % window - window + 1, step + 1):
            late = step - n
            sums = past[late] if late < len(past) else np.zeros_like(past[0])
            called.publish(segment, table, constants["send_rows"], sums, n)
    if len(constants.get("spikes_out", ())) and step:
        window = int(constants["spikes_window"][0])
        arguments = state["spikes_history"], constants["spikes_firsts"], window
        called.publish_lists(segment, constants["spikes_out"], *arguments, step)


def await_others(segment: Words, constants: Arrays, step: int) -> None:
    """Wait for what `send_again` of the others sends: a program waits only where a window begins."""
    table = constants.get("receive_wires", np.zeros((0, COLUMNS), np.int64))
    if len(table) and step % int(table[0, WINDOW]) and called.missing(segment, table):
        called.wait_for_messages(segment, table, step)
