"""What probes recorded, as Nengo's users know it: `sim.data[probe]` is an array, a row for each sample."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np
from nengo.builder.signal import Signal, SignalDict
from nengo.exceptions import SimulationError
from nengo.simulator import SimulationData as NengoData
from numpy.typing import NDArray


class Samples:
    """The samples of one probe, in pieces that are joined when they are asked for."""

    def __init__(self) -> None:
        self._pieces: list[NDArray[Any]] = []

    def extend(self, samples: Iterable[Any]) -> None:
        """Take more of them, one after the other."""
        piece = np.asarray(samples if isinstance(samples, np.ndarray) else list(samples))
        if len(piece):
            self._pieces.append(piece)

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def __iter__(self) -> Any:
        return iter(self.array())

    def array(self) -> NDArray[Any]:
        """All samples, samples x shape of the signal; not to be written to."""
        if len(self._pieces) != 1:
            self._pieces = [np.concatenate(self._pieces)] if self._pieces else []
        whole = self._pieces[0] if self._pieces else np.zeros(0)
        whole.setflags(write=False)
        return whole


class Signals(SignalDict):
    """Nengo's memory, as users see it: what lives in the graph alone is not there once steps have run."""

    def __init__(
        self,
        memory: SignalDict,
        unseen: Collection[Signal],
        copied: Collection[Signal] | None,
        running: Callable[[], bool],
    ) -> None:
        """`unseen`: signals that are not there while `running()`; `copied`: those that are copies of what is
        computed elsewhere (None: all), so nothing can be written to them.
        """
        super().__init__(memory)
        self._unseen, self._copied, self._running = unseen, copied, running

    def __getitem__(self, key: Signal) -> Any:
        if key.base in self._unseen and self._running():
            raise SimulationError(
                f"{key} is computed in compiled code, which does not keep it; probe it to see its values"
            )
        value = super().__getitem__(key)
        if isinstance(value, np.ndarray) and (self._copied is None or key.base in self._copied):
            value = value.view()
            value.setflags(write=False)
        return value

    def __str__(self) -> str:
        """Every signal with its value, or that it is not kept."""
        lost = self._unseen if self._running() else frozenset()
        return "".join(
            f"{key!r} {'(computed in compiled code, not kept)' if key.base in lost else repr(self[key])}\n"
            for key in self
        )


class SimulationData(NengoData):
    """Probes as arrays, and all else as Nengo's builder made it."""

    def __getitem__(self, key: Any) -> Any:
        value = self.raw[key]
        return value.array() if isinstance(value, Samples) else super().__getitem__(key)
