"""The checked model: every object and connection by itself, with paths, sizes and numbers.

`check` makes it of syntax, `lower` makes the graph of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spikec.errors import Span
from spikec.expressions import Expression
from spikec.graph import Distribution, Ensemble, Solver
from spikec.language.transforms import Convolution, Sparse
from spikec.language.vocabulary import Synapse
from spikec.nef.neurons import NeuronType
from spikec.plasticity import Rule
from spikec.projections import Cells as CellsOperator
from spikec.projections import Projection
from spikec.records import dataclass

FloatArray = NDArray[np.float64]

# ---------------------------------------------------------------------------------------------- sources


@dataclass(frozen=True)
class ConstantSource:
    values: tuple[float, ...]


@dataclass(frozen=True)
class TimeSource:
    expressions: tuple[Expression, ...]


@dataclass(frozen=True, eq=False)
class Recording:
    """Rows of `samples`, one every `every` steps; held, or interpolated where `linear`."""

    samples: FloatArray
    every: float
    linear: bool
    repeat: bool


@dataclass(frozen=True, eq=False)
class Steps:
    """Row k of `values` from `times[k]` (s) on."""

    times: tuple[float, ...]
    values: FloatArray


@dataclass(frozen=True)
class WhiteSignal:
    """Noise of equal power up to `high` (Hz), repeating every `period` (s), of root mean square `rms`; each
    dimension begins where it comes nearest to `start`.
    """

    period: float
    high: float
    rms: float
    seed: int
    start: float | None = None


@dataclass(frozen=True)
class WhiteNoise:
    """Independent samples of a distribution, through a synapse where it has one; with the random numbers that
    NumPy's RandomState(seed) gives where it is `numpy`.
    """

    distribution: Distribution
    scale: bool
    seed: int
    numpy: bool = False
    synapse: Synapse | None = None


@dataclass(frozen=True, eq=False)
class Curve:
    """Row k of `values` at times[k] (s), interpolated by `kind` between them, 0 outside."""

    times: tuple[float, ...]
    values: FloatArray
    kind: str


@dataclass(frozen=True, eq=False)
class Presented:
    """Rows of `values` for `each` (s), one after the other: again and again, or once, and the last stays."""

    values: FloatArray
    each: float
    repeat: bool = True


Source = ConstantSource | TimeSource | Recording | Steps | WhiteSignal | WhiteNoise | Curve | Presented


# --------------------------------------------------------------------------------------------- elements


@dataclass(frozen=True, eq=False, slots=True)
class Element:
    """One object of the model: its value is a vector of `size`."""

    path: str
    size: int
    span: Span


@dataclass(frozen=True, eq=False)
class Input(Element):
    source: Source


@dataclass(frozen=True, eq=False, slots=True)
class Population(Element):
    """`ensemble` is None in direct mode, where the value is the input; `noise`, a number for each neuron, is
    added to the currents.
    """

    neurons: int
    ensemble: Ensemble | None
    noise: Source | None = None


@dataclass(frozen=True, eq=False)
class Cells(Element):
    """A population at the level of synapses: `size` spiking neurons that represent no value."""

    op: CellsOperator

    @property
    def neurons(self) -> int:
        return self.size


def neuron_of(element: Element) -> NeuronType | None:
    """The neuron type of what has neurons, None for everything else."""
    if isinstance(element, Cells):
        return element.op.neuron
    return element.ensemble.neuron if isinstance(element, Population) and element.ensemble else None


def neurons_of(element: Element) -> int:
    """How many neurons an element has."""
    assert isinstance(element, Population | Cells)
    return element.neurons


def rows(target: View, weights: bool) -> int:
    """Rows of the weights of a connection: numbers that it gives its target, or with `weights` the neurons
    that it is solved for.
    """
    return neurons_of(target.pieces[0].element) if weights else target.size


@dataclass(frozen=True, eq=False)
class FunctionNode(Element):
    """y = expressions(x, t), x of length `arguments`."""

    arguments: int
    expressions: tuple[Expression, ...]


@dataclass(frozen=True, eq=False)
class Relay(Element):
    """Passes its input on: y = x, or x through a synapse that includes the x of the same step."""

    synapse: Synapse | None = None


@dataclass(frozen=True, eq=False)
class RuleInput(Element):
    """What is connected to a learning rule: the error, or what turns learning on."""


@dataclass(frozen=True, eq=False)
class LearnedOutput(Element):
    """What learned weights give, before the synapse of their connection."""


@dataclass(frozen=True, eq=False)
class LearnedWeights(Element):
    """A matrix that learning changes, row after row; `kind`: "weights" or "encoders"."""

    kind: str


@dataclass(frozen=True, eq=False)
class LearnedChange(Element):
    """What a rule adds to `weights` in a step, row after row; or with `inverse` P of an RLS."""

    weights: LearnedWeights
    rule: Rule
    inverse: bool


@dataclass(frozen=True, eq=False)
class LearningRule:
    """A rule under its name; `synapses` by the port of the activity that each filters."""

    name: str
    rule: Rule
    synapses: dict[str, Synapse | None]
    input: RuleInput | None


@dataclass(frozen=True, eq=False)
class Array:
    """Ensembles side by side; their values one after the other are its value."""

    path: str
    elements: tuple[Population, ...]
    span: Span

    @property
    def size(self) -> int:
        return sum(e.size for e in self.elements)

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """All elements whole: made once, for a loop may refer to the array as often as it has elements."""
        return tuple(Piece(e, range(e.size), e.size) for e in self.elements)


# ------------------------------------------------------------------------------------------ connections


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """Components of one element's value, or of its neurons."""

    element: Element
    components: range | tuple[int, ...]
    total: int

    @property
    def whole(self) -> bool:
        return self.components == range(self.total)


@dataclass(frozen=True, eq=False)
class View:
    """What a reference means: pieces side by side.  `attribute`: "value", "neurons", "weights" or a state
    variable.
    """

    name: str
    pieces: tuple[Piece, ...]
    attribute: str
    span: Span

    @property
    def size(self) -> int:
        return sum(len(p.components) for p in self.pieces)


Transform = float | FloatArray | Distribution | Sparse | Convolution | None


@dataclass(frozen=True, eq=False)
class Connection:
    """source -> functions (one tuple per piece, or None) -> synapse -> delay -> transform -> target.

    `targets`: values of the function at the evaluation points, instead of functions.
    """

    name: str
    source: View
    target: View
    functions: tuple[tuple[Expression, ...], ...] | None
    synapse: Synapse | None
    transform: Transform
    delay: int
    solver: Solver
    eval_points: Distribution | None
    seed: int
    span: Span
    learning: tuple[LearningRule, ...] = ()
    weights: tuple[LearnedWeights, ...] = ()
    targets: FloatArray | None = None
    output: LearnedOutput | None = None

    @property
    def outputs(self) -> int:
        """Numbers that the functions give, or the source where there are none."""
        if self.targets is not None:
            return int(self.targets.shape[1])
        return self.source.size if self.functions is None else sum(map(len, self.functions))


@dataclass(frozen=True, eq=False)
class Projected:
    """A connection between populations, a part for every delay."""

    name: str
    source: Element
    target: Element
    parts: tuple[Projection, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class Recorded:
    """A probe: `source` through its function and synapse, every `every` steps."""

    name: str
    source: View
    functions: tuple[tuple[Expression, ...], ...] | None
    synapse: Synapse | None
    solver: Solver
    every: float
    unit: str
    ideal: tuple[Expression, ...] | None
    span: Span


@dataclass(frozen=True, eq=False)
class CheckedModel:
    """Connections and probes are read once: each is checked, and its mistakes reported, when it is taken."""

    name: str
    dt: float
    seed: int
    elements: tuple[Element, ...]
    connections: Iterator[Connection | Projected]
    probes: Iterator[Recorded]
    sources: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
