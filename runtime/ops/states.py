"""State of neurons as signals: synapses read it in another partition, or a step later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from spike_runtime.ops.kernel import KernelOp
from spike_runtime.ops.record import refractory_time


class ShowState(KernelOp):
    """(sums, state, table, scales) -> sums: numbers of the state, as the bits of float64 (see `Decode`).

    table: rows of (variable, first neuron, first row of sums, how many, whether the variable is the rest of
    LIF neurons, whose refractory time is meant); scales: as those of `RecordRest`, for each row of the table.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        def show_state(sums, state, table, scales):  # type: ignore[no-untyped-def]
            numbers = sums.view(np.float64)
            for k in range(table.shape[0]):
                variable, neuron, row, count, rests = table[k]
                for i in range(count):
                    value = np.float64(state[variable, neuron + i])
                    numbers[row + i] = refractory_time(value, scales[k]) if rests else value

        return show_state
