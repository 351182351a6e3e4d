"""The layout of a partition: stages over ragged arrays, in the order of a step.

A stage is one statement of the program, and serves all operators of its kind in the partition, so that a
program grows with the number of kinds and not with the size of the model.  Signals are addressed by their
place in two vectors: `before`, what filters and delays read (values of the step before), and `values`, all
signals of this step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spikec.projections import Projection
from spikec.records import dataclass


def zeros(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """State that begins at 0: it takes no memory until a run has it.  Not to be changed."""
    return np.broadcast_to(np.zeros((), dtype), shape)


# Numbers of a joined array that are put together at a time.
BLOCK = 1 << 16


class Joined:
    """A constant array that is made when it is read: one vector of pieces that are elsewhere already.

    Such are the numbers of atoms, which are most of what a model holds.
    """

    def __init__(self, pieces: Callable[[], Iterable[NDArray[Any]]], size: int, dtype: str) -> None:
        self.pieces, self.size, self.dtype = pieces, size, np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.size,)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def blocks(self) -> Iterator[NDArray[Any]]:
        """The array in vectors of some length, one after the other."""
        block: list[NDArray[Any]] = []
        size = 0
        for piece in self.pieces():
            block.append(piece.ravel())
            size += piece.size
            if size >= BLOCK:
                yield np.concatenate(block, dtype=self.dtype, casting="unsafe")
                block, size = [], 0
        if block:
            yield np.concatenate(block, dtype=self.dtype, casting="unsafe")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        made, first = np.empty(self.size, self.dtype), 0
        for block in self.blocks():
            made[first : first + len(block)] = block
            first += len(block)
        return made if dtype is None else made.astype(dtype, copy=False)


@dataclass(frozen=True, eq=False)
class Stage:
    """Base: `name` is a prefix of the stage's arrays; `arrays` are constant, `state` changes during a run.

    `operators` counts the operators of the graph that the stage serves.
    """

    name: str
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    state: dict[str, NDArray[Any]] = field(default_factory=dict)
    operators: int = 0

    def reference(self, array: str) -> str:
        """How the program names one of this stage's arrays."""
        return f"{'s' if array in self.state else 'a'}.{self.name}_{array}"


class Decoded(Stage):
    """Exact sums of the step before (`delayed`) or of this step as floats; arrays rows, scale."""


class Lowpass(Stage):
    """First-order synapses; arrays source, decay, gain; state value."""


class Traces(Stage):
    """First-order synapses of learned weights that are only recorded; arrays runs, coefficients; state value.

    What they give is no part of `values`: there are as many as weights.
    """


class StateSpace(Stage):
    """Synapses of other orders; arrays sources, filters, coefficients; state x."""


class Delays(Stage):
    """Delays; arrays sources, lengths; state buffer."""


class Constants(Stage):
    """Values that never change; array value."""


@dataclass(frozen=True, eq=False)
class Expressions(Stage):
    """Functions of one form: PyTensor source of the outputs, with c[i] for row i of array `constants`.

    With `arguments` > 0 they read x[0], x[1], ...: array `arguments` holds the places of every x[0], then
    of every x[1] ...  `tables`: what is read as `a.tables`, one array for the whole model.
    With an array `steps` the output is the place there of the first entry of a row, and these lead to all.
    """

    outputs: tuple[str, ...] = ()
    arguments: int = 0
    tables: NDArray[np.float64] | None = None

    @property
    def width(self) -> int:
        """How many numbers each function gives."""
        return len(self.arrays.get("steps", self.outputs))


class Tables(Stage):
    """Tables; arrays samples, starts, tables, columns."""


class NoiseSources(Stage):
    """Noise; arrays parameters, keys."""


@dataclass(frozen=True, eq=False)
class Draws(Stage):
    """Random vectors of one kind; arrays keys, table, parameters, columns; state streams.

    `streams`: where that of a node begins, for those whose state is more than the number of the step.
    """

    kind: str = ""
    streams: dict[str, int] = field(default_factory=dict)


class Linear(Stage):
    """Sums of products; arrays values, pointers, columns."""


@dataclass(frozen=True, eq=False)
class LearnedProducts(Stage):
    """Rows of learned weights times signals of the step before, or of this step; array table."""

    dtype: str = "float32"


class Learning(Stage):
    """Weights that learn; arrays matrices, rules, constants, places, scales; state weights, inverse."""


class Changes(Stage):
    """What rules add to weights, and P of RLS; arrays matrices, rules, constants, places, scales."""


@dataclass(frozen=True, eq=False)
class NeuronGroup(Stage):
    """Atoms of one neuron type; arrays atoms, parameters; state neurons.  `joined`: encoders, bias, decoders.

    `rows`: what the rows of the state are (see `membranes`).  `members`: the number, within the group, of the
    first neuron of every atom.  `streams`: where in the state of that name those of populations begin.
    """

    kind: str = ""
    rows: tuple[str, ...] = ()
    members: dict[str, int] = field(default_factory=dict)
    joined: dict[str, Joined] = field(default_factory=dict)
    streams: dict[str, int] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays and its state."""
        kept = (*self.arrays.values(), *self.state.values())
        return sum(array.nbytes for array in kept) + sum(array.nbytes for array in self.joined.values())


@dataclass(frozen=True, eq=False)
class StateValues(Stage):
    """State of the neurons of a group, put into sums bit for bit; arrays table, scales.  `of`: the group."""

    of: str = ""


class HostCalls(Stage):
    """Calls of Python functions, one after the other; arrays calls, places; state memory.  `operators`:
    the functions in them.
    """


@dataclass(frozen=True, eq=False)
class SpikeLists(Stage):
    """Lists of spikes of the last steps; array firsts; state history.  `numbers`: population of every
    list."""

    numbers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Part:
    """The synapses of a projection to `runs` of its targets: (first, end, number of the first in the
    partition).  `events`: how many of them carry a spike in a step, as is expected.
    """

    op: Projection
    runs: tuple[tuple[int, int, int], ...]
    exponent: int
    events: float


@dataclass(frozen=True, eq=False)
class Projections(Stage):
    """Synapses between populations; array table; state arriving.  Arrays pointers, targets and weights are
    made of `parts` when they are written.
    """

    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, eq=False)
class CellGroup(Stage):
    """Atoms of populations; arrays atoms, parameters, keys, chances, aliases; state neurons, with `rows`."""

    kind: str = ""
    rows: tuple[str, ...] = ()
    members: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Recording(Stage):
    """Recordings of one interval: arrays columns (or variables, neurons), every; slots, the numbers of the
    recordings, and starts, where the columns of each begin.  `of`: values, sums, or the name of a neuron
    group.
    """

    of: str = "values"


class Events(Stage):
    """Recordings of spikes; array sources."""


class SpikeEvents(Stage):
    """Recordings of spikes that are kept as lists; arrays probes, pointers, columns."""


@dataclass(frozen=True, eq=False)
class Held:
    """Whose state is in the arrays of a partition: nodes with the components that are there, in order.

    `memory`: synapses and delays, stage after stage; `weights`: of each the place of the first in the vector,
    and the rows.
    """

    memory: Mapping[str, NDArray[np.int64]]
    carried: Mapping[str, NDArray[np.int64]]
    weights: Mapping[str, tuple[int, NDArray[np.int64]]]


@dataclass(frozen=True)
class SpikeExchange:
    """Messages that list spikes, one every `window` steps: their words at the most by target, and whether any
    come.
    """

    window: int
    send: dict[int, int]
    receives: bool

    @property
    def any(self) -> bool:
        return bool(self.send) or self.receives


@dataclass(frozen=True, eq=False)
class Layout:
    """A whole partition.  `levels` are tuples of stages whose outputs join `values` one level after the
    other.  `rest` are neurons that add to nothing that is sent: they come after the messages.

    `sums`: length of the vector of partial sums.  `sum_rows` tells where each exact sum starts in it.
    `carried`: places in `values` of what filters will read in the next step.  `send`, `receive`: rows of
    sums for each wire, by partition.  `window`: steps that one message holds, which is how late received sums
    are; `late`: rows of sums that this partition and others add to, and that it must read as late.
    """

    partition: int
    dtype: str
    dt: float
    sums: int
    sum_rows: dict[str, int]
    decoded: Decoded | None
    late_products: LearnedProducts | None
    memory: tuple[Stage, ...]
    learning: Learning | None
    sources: tuple[Stage, ...]
    levels: tuple[tuple[Stage, ...], ...]
    neurons: tuple[Stage, ...]
    rest: tuple[Stage, ...]
    cells: tuple[Stage, ...]
    carried: NDArray[np.int64]
    recordings: tuple[Stage, ...]
    send: dict[int, NDArray[np.int64]]
    receive: dict[int, NDArray[np.int64]]
    window: int
    spikes: SpikeExchange
    late: NDArray[np.int64]
    held: Held

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Every stage, in the order of the program."""
        return (
            *(s for s in (self.decoded, self.late_products) if s),
            *self.memory,
            *((self.learning,) if self.learning else ()),
            *self.sources,
            *(s for level in self.levels for s in level),
            *self.neurons,
            *self.rest,
            *self.cells,
            *self.recordings,
        )

    @property
    def neuron_count(self) -> int:
        """Neurons of this partition."""
        return sum(s.state["neurons"].shape[1] for s in self._groups)

    @property
    def atom_count(self) -> int:
        """Atoms of this partition."""
        return sum(len(s.arrays["atoms"]) for s in self._groups)

    @property
    def _groups(self) -> list[Stage]:
        return [s for s in self.stages if isinstance(s, (NeuronGroup, CellGroup))]
