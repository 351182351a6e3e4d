"""How far a run is, for who shows it: which program is compiled, then the steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """How far a run is: steps that all partitions have begun, of how many; wall clock so far in s.

    `compiling`: before the first step which program, and what of it, is compiled, in words.
    """

    step: int
    steps: int
    dt: float
    elapsed: float
    compiling: str = ""

    @property
    def real_time_factor(self) -> float:
        """Simulated seconds per second of wall clock."""
        return self.step * self.dt / self.elapsed if self.elapsed else 0.0

    @property
    def remaining(self) -> float:
        """Seconds of wall clock still to go, at the speed so far."""
        return self.elapsed * (self.steps - self.step) / self.step if self.step else float("inf")


# Who hears of the kernels that this process compiles: (number of the kernel, from 0; of how many).
_listeners: list[Callable[[int, int], None]] = []


@contextlib.contextmanager
def heard_by(listener: Callable[[int, int], None]) -> Iterator[None]:
    """Tell `listener` what is compiled in this block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def told(kernels: Sequence[T]) -> Iterator[T]:
    """Kernels one after another, each told when it is asked for."""
    for number, kernel in enumerate(kernels):
        tell(number, len(kernels))
        yield kernel


def tell(kernel: int, kernels: int) -> None:
    """This kernel is compiled now; after the last of them what calls them."""
    for listener in _listeners:
        listener(kernel, kernels)
