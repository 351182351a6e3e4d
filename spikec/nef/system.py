"""The linear system of a decoder solve: activities of a population at its evaluation points."""

from __future__ import annotations

import mmap
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from spikec.graph import Array, Neurons

_PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


Single = NDArray[np.float32]


class SilentError(ValueError):
    """No evaluation point makes any neuron active, so nothing can be decoded."""


@dataclass(frozen=True)
class System:
    """Activities A (points x neurons, Hz) of `neurons` at `points` (points x dims)."""

    neurons: Neurons
    points: Array

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.points), self.neurons.size

    @cached_property
    def _encoders(self) -> Array:
        return np.ascontiguousarray(self.neurons.scaled_encoders.T)

    def activities(self, start: int, stop: int, currents: Array, out: Array | Single | None = None) -> Array:
        """A for the points start .. stop in `out`, by default in place of the currents.

        `currents` is memory for J; both are (stop - start) x neurons.
        """
        # The same numbers; a matrix product with one inner index takes a slow path of NumPy.
        product = np.multiply if self.neurons.dims == 1 else np.matmul
        product(self.points[start:stop], self._encoders, out=currents)
        currents += self.neurons.bias
        return self.neurons.neuron.rates(currents, currents if out is None else cast(Array, out))


@dataclass(frozen=True)
class Solution:
    """Decoders (outputs x neurons) and their root mean square error over the evaluation points."""

    decoders: Array
    rmse: float


@dataclass
class Workspace:
    """Memory used again for every solve of a process: fresh pages cost more than the arithmetic on them.

    Large pages where the system has them: those of 4 kB cost 2 ms per MB to touch first, these a tenth.
    """

    _memory: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    def array(self, name: str, shape: tuple[int, ...], dtype: type = np.float64) -> NDArray[np.generic]:
        """An uninitialised array, valid until the same name is asked for again."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if name not in self._memory or self._memory[name].size < size:
            self._memory[name] = _large_pages(size)
        return self._memory[name][:size].view(dtype).reshape(shape)


def _large_pages(size: int) -> NDArray[np.uint8]:
    pages = mmap.mmap(-1, max(size, 1), **_PRIVATE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.uint8)
