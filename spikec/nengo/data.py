"""What probes recorded, as Nengo's users know it: `sim.data[probe]` is an array, a row for each sample."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
from nengo.builder.signal import Signal, SignalDict
from nengo.exceptions import SimulationError
from nengo.simulator import SimulationData as NengoData
from numpy.typing import NDArray


class Samples(Sequence[Any]):
    """The samples of one probe, with room for more, so that few of many steps copy what was there.

    As in Nengo's list of arrays, samples can be taken and deleted, from another thread too, while steps are
    made: then what was recorded and its length are exchanged as one.
    """

    def __init__(self) -> None:
        self._held: tuple[NDArray[Any], int] = np.zeros(0), 0

    def extend(self, samples: Iterable[Any]) -> None:
        """Take more of them, one after the other."""
        piece = np.asarray(samples if isinstance(samples, np.ndarray) else list(samples))
        if not len(piece):
            return
        room, first = self._held
        length = first + len(piece)
        if first == 0:
            room = piece
        elif length > len(room):
            larger = np.empty((max(length, 2 * first), *piece.shape[1:]), piece.dtype)
            larger[:first] = room[:first]
            room = larger
        room[first:length] = piece
        self._held = room, length

    def __len__(self) -> int:
        return self._held[1]

    def __getitem__(self, which: Any) -> Any:
        """One sample, or a list of those of a slice."""
        found = self.array()[which]
        return list(found) if isinstance(which, slice) else found

    def __delitem__(self, which: Any) -> None:
        kept = np.delete(self.array(), which, axis=0)
        self._held = kept, len(kept)

    def __iter__(self) -> Any:
        return iter(self.array())

    def array(self) -> NDArray[Any]:
        """All samples, samples x shape of the signal; not to be written to."""
        room, length = self._held
        whole = room[:length]
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
