"""Wires inside a program: `collect` the partial sums of steps before, `publish` those of this step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from spike_runtime.ops.kernel import KernelOp
from spike_runtime.status import STOPPED
from spike_runtime.wires import ring


class Collect(KernelOp):
    """(totals, status, segment, wires, rows, n) -> (totals, status): adds what was sent in step n - W.

    W is the window of the wires: they bring one message for W steps, and it waits for every message.  Status
    is set to (STOPPED, code) where a wire gave up.  The step's number is an input, so that nothing moves an
    exchange to another step or takes two for one.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0, 1: 1}

    def kernel(self) -> Callable[..., Any]:
        receive = ring.collect

        def collect(totals, status, segment, wires, rows, n):  # type: ignore[no-untyped-def]
            code = receive(segment, wires, rows, totals, n.item() - 1)
            if code != 0 and status[0] == 0:
                status[0], status[1] = STOPPED, code

        return collect


class Late(KernelOp):
    """(history, sums, rows, n) -> (history, totals): totals = sums, but sums[rows] of W - 1 steps ago.

    history: W - 1 rows, used as a ring.  What a partition adds itself to sums that others add to must be as
    late as what it receives from them.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def output_types(self, inputs: Sequence[Variable]) -> list[TensorType]:
        return [inputs[0].type, inputs[1].type]

    def kernel(self) -> Callable[..., Any]:
        def late(history, sums, rows, n):  # type: ignore[no-untyped-def]
            totals = sums.copy()
            oldest = history[n.item() % history.shape[0]]
            for i in range(rows.shape[0]):
                totals[rows[i]], oldest[i] = oldest[i], totals[rows[i]]
            return totals

        return late


class Publish(KernelOp):
    """(status, segment, wires, rows, sums, n) -> status: sends sums[rows] of step n on every wire.

    The message of a window goes with the last of its steps.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        send = ring.publish

        def publish(status, segment, wires, rows, sums, n):  # type: ignore[no-untyped-def]
            code = send(segment, wires, rows, sums, n.item()) if status[0] == 0 else 0
            if code != 0 and status[0] == 0:
                status[0], status[1] = STOPPED, code

        return publish
