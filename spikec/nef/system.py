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
_TILE = 80_000  # numbers of A: all of a small ensemble, which takes 10 % less of a solve than five tiles


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
    def _weights(self) -> Array:
        """Encoders, and biases in the last row: (dims + 1) x neurons."""
        made = np.empty((self.neurons.dims + 1, self.neurons.size))
        made[:-1], made[-1] = self.neurons.scaled_encoders.T, self.neurons.bias
        return made

    @cached_property
    def _inputs(self) -> Array:
        """The points, and 1 for the bias: points x (dims + 1)."""
        made = np.ones((len(self.points), self.neurons.dims + 1))
        made[:, :-1] = self.points
        return made

    @cached_property
    def _below(self) -> Array:
        """Weights that give how far currents are below the onset of firing."""
        made = -self._weights
        made[-1] += self.neurons.neuron.onset
        return made

    def activities(self, start: int, stop: int, out: Array) -> None:
        """A for the points start .. stop in `out` ((stop - start) x neurons)."""
        np.matmul(self._inputs[start:stop], self._weights, out=out)
        self.neurons.neuron.rates(out, out)

    def single_activities(self, start: int, stop: int, below: Array, out: Single) -> None:
        """The same in float32; `below` is memory of the shape of `out`."""
        np.matmul(self._inputs[start:stop], self._below, out=below)
        self.neurons.neuron.rates_in_float32(below, out)

    def matrix(self, workspace: Workspace) -> Array:
        """A for all points, in memory of `workspace`."""
        A = cast(Array, workspace.array("activities", self.shape))
        for start, stop in self._tiles():
            self.activities(start, stop, A[start:stop])
        return A

    def single(self, workspace: Workspace) -> Single:
        """A for all points in float32, in memory of `workspace`."""
        A = cast(Single, workspace.array("activities", self.shape, np.float32))
        tiles = self._tiles()
        below = cast(Array, workspace.array("below", (tiles[0][1], self.neurons.size)))
        for start, stop in tiles:
            self.single_activities(start, stop, below[: stop - start], A[start:stop])
        return A

    def _tiles(self) -> list[tuple[int, int]]:
        """Ranges of points: what steps from point to rate work on is near a core, and calls are few."""
        points, neurons = self.shape
        step = max(_TILE // neurons, 8)
        return [(start, min(start + step, points)) for start in range(0, points, step)]


@dataclass(frozen=True, slots=True)
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
    _arrays: dict[tuple[str, tuple[int, ...], type], NDArray[np.generic]] = field(default_factory=dict)

    def array(self, name: str, shape: tuple[int, ...], dtype: type = np.float64) -> NDArray[np.generic]:
        """An uninitialised array, valid until the same name is asked for again."""
        known = self._arrays.get((name, shape, dtype))
        if known is not None:
            return known
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if name not in self._memory or self._memory[name].size < size:
            self._memory[name] = _large_pages(size)
            self._arrays = {key: array for key, array in self._arrays.items() if key[0] != name}
        made: NDArray[np.generic] = self._memory[name][:size].view(dtype).reshape(shape)
        self._arrays[name, shape, dtype] = made
        return made


def _large_pages(size: int) -> NDArray[np.uint8]:
    pages = mmap.mmap(-1, max(size, 1), **_PRIVATE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.uint8)
