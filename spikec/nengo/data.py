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
    """The samples of one probe, with room for more, so that few of many steps copy what was there."""

    def __init__(self) -> None:
        self._room: NDArray[Any] = np.zeros(0)
        self._length = 0

    def extend(self, samples: Iterable[Any]) -> None:
        """Take more of them, one after the other."""
        piece = np.asarray(samples if isinstance(samples, np.ndarray) else list(samples))
        if not len(piece):
            return
        first, self._length = self._length, self._length + len(piece)
        if first == 0:
            self._room = piece
        elif self._length > len(self._room):
            larger = np.empty((max(self._length, 2 * first), *piece.shape[1:]), piece.dtype)
            larger[:first] = self._room[:first]
            self._room = larger
        self._room[first : self._length] = piece

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Any:
        return iter(self.array())

    def array(self) -> NDArray[Any]:
        """All samples, samples x shape of the signal; not to be written to."""
        whole = self._room[: self._length]
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
