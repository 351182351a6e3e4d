"""Wires inside a program: `collect` the partial sums of the step before, `publish` those of this step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from spike_runtime.ops.kernel import KernelOp
from spike_runtime.status import STOPPED
from spike_runtime.wires import ring


class Collect(KernelOp):
    """(totals, status, segment, wires, rows, n) -> (totals, status): adds what the wires brought for step n -
    1.

    Waits for every message.  Status is set to (STOPPED, code) where a wire gave up.  The step's number is
    an input, so that nothing moves an exchange to another step or takes two for one.
    """

    inplace: ClassVar[dict[int, int]] = {0: 0, 1: 1}

    def kernel(self) -> Callable[..., Any]:
        receive = ring.collect

        def collect(totals, status, segment, wires, rows, n):  # type: ignore[no-untyped-def]
            code = receive(segment, wires, rows, totals, n.item() - 1)
            if code != 0 and status[0] == 0:
                status[0], status[1] = STOPPED, code
            return totals, status

        return collect


class Publish(KernelOp):
    """(status, segment, wires, rows, sums, n) -> status: sends sums[rows] of step n on every wire."""

    inplace: ClassVar[dict[int, int]] = {0: 0}

    def kernel(self) -> Callable[..., Any]:
        send = ring.publish

        def publish(status, segment, wires, rows, sums, n):  # type: ignore[no-untyped-def]
            code = send(segment, wires, rows, sums, n.item()) if status[0] == 0 else 0
            if code != 0 and status[0] == 0:
                status[0], status[1] = STOPPED, code
            return status

        return publish
