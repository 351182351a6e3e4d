"""Populations of neurons in the graph: built, and split into atoms.  `graph.py` has their descriptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spikec.dataflow import Graph, Operator
from spikec.nef.neurons import NeuronType
from spikec.records import dataclass

Array = NDArray[np.float64]


# ----------------------------------------------------------------------------------------- neurons, built


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Population(Operator):
    """What all atoms of a population share, and those of others that are alike: its type of neuron, and the
    seed of its random numbers.

    State is 0 before step 1, but for the variables that `initial_state` gives (one value per neuron each).
    """

    dims: int
    neuron: NeuronType
    seed: int
    initial_state: Mapping[str, Array] = field(default_factory=dict)


class Tuning(Protocol):
    """Encoders (neurons x dims), gains and biases of a population, and its evaluation points."""

    @property
    def encoders(self) -> Array: ...

    @property
    def gain(self) -> Array: ...

    @property
    def bias(self) -> Array: ...

    @property
    def points(self) -> Callable[[], Array]: ...


@dataclass(frozen=True, eq=False)
class Tuned:
    """A tuning that is there.  `nef.tuning` has one that is drawn when it is asked for."""

    encoders: Array
    gain: Array
    bias: Array
    points: Callable[[], Array]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Neurons(Population):
    """A built population: J = scaled_encoders x + bias (+ port "J"), activity a = neuron(J).  size = neurons.

    scaled_encoders: neurons x dims = gain * encoders / radius.  Activity is in spikes (spiking: the count
    of spikes in the step, which stands for count * amplitude / dt) or in the unit of the rate neuron (Hz).
    `path` keys its random numbers.
    """

    path: str
    radius: float
    tuning: Tuning

    @property
    def encoders(self) -> Array:
        return self.tuning.encoders

    @property
    def gain(self) -> Array:
        return self.tuning.gain

    @property
    def bias(self) -> Array:
        return self.tuning.bias

    @property
    def eval_points(self) -> Array:
        """Evaluation points (points x dims), drawn again: they are most of what a population is solved from,
        and nothing needs them after that.
        """
        return self.tuning.points()

    @property
    def scaled_encoders(self) -> Array:
        return self.encoders * (self.gain / self.radius)[:, None]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Decoders(Operator):
    """y = matrix a, matrix of size x neurons, in units of the represented value per Hz.

    `matrix` None: y is the activity itself (connections from neurons), size = neurons.
    `rmse` is the root mean square error over the evaluation points, in units of y.
    """

    matrix: Array | None
    rmse: float = 0.0


# ----------------------------------------------------------------------------------------- neurons, split


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Atom(Operator):
    """Neurons start .. start + size of the population `path`, with the rows it contributes to every sum it
    feeds.

    Out-edges lead to `ExactSum` nodes; it adds `rows[i]` decoded rows, or None for the activity itself, to
    the sum named `targets[i]`; 0 where that is a `StateValue`.

    `numbers` (rows x size) are those of a program, in its precision or in float64: scaled encoders, a row for
    each dimension, where there is an input on port "x"; the bias; decoders in units of their sums, target
    after target.  Atoms of `Cells` have none.
    """

    path: str
    neurons: Population
    start: int
    targets: tuple[str, ...]
    rows: tuple[int | None, ...]
    numbers: NDArray[np.floating]

    @property
    def decoded(self) -> int:
        """Rows that are decoded, of all targets together."""
        return sum(count or 0 for count in self.rows)

    @property
    def encoders(self) -> NDArray[np.floating]:
        """dims x size, 0 x size where it has no input."""
        return self.numbers[: max(0, len(self.numbers) - 1 - self.decoded)]

    @property
    def bias(self) -> NDArray[np.floating]:
        row: NDArray[np.floating] = self.numbers[len(self.encoders)]
        return row

    @property
    def block(self) -> NDArray[np.floating]:
        """Decoders of all targets, `decoded` x size."""
        return self.numbers[len(self.numbers) - self.decoded :]

    @property
    def decoders(self) -> tuple[NDArray[np.floating] | None, ...]:
        """Decoders of every target, None for the activity."""
        ends = accumulate((count or 0 for count in self.rows), initial=0)
        return tuple(
            None if count is None else self.block[first : first + count]
            for count, first in zip(self.rows, ends, strict=False)
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class ExactSum(Operator):
    """y = sum over atoms of their partial vectors, each rounded once to an integer multiple of 2 **
    -exponent.

    Integers are exact in any order, so the sum does not depend on which partition holds which atom.
    """

    exponent: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Bits(ExactSum):
    """y = numbers of which each is made in one place: the bits of float64 numbers in place of whole numbers.

    Nobody else adds to a number, so that the exact sum over partitions is the numbers themselves.
    """

    exponent: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class StateValue(Bits):
    """y = a state variable of a population on port "neurons", of its atoms on port "activity" once it is
    split, as a signal that synapses read.
    """

    variable: str


def state_value(graph: Graph, population: str, neurons: int, variable: str) -> str:
    """The node of a state variable of a population as a signal, made where there is none."""
    name = f"{population}~{variable}"
    if name not in graph:
        span = graph.op(population).span
        graph.connect(
            population, graph.add(name, StateValue(size=neurons, span=span, variable=variable)), "neurons"
        )
    return name
