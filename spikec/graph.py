"""The dataflow graph: typed, frozen operators on the nodes, signals on the edges.

Every operator sets one signal, a vector of `size` numbers, once per step; an edge carries that signal to a
reader, on one of the reader's ports.  `t = n dt` at step n = 1, 2, ...; what a `Filter` or `Delay` gives at
step n depends only on what its input was at steps before n, so those edges carry a delay.

    sources      Constant, TimeFunction, Table, Noise, Draws
    arithmetic   Function (of one vector), Sum, Product (matrix)
    memory       Filter (synapse), Delay
    neurons      Ensemble -> Neurons -> Atom (described, built, split); Decoding -> Decoders -> ExactSum;
                 StateValue
    Python       HostCall, and after the split what it gives: HostValue
    results      Probe

The language lowers to `Ensemble` and `Decoding` (descriptions); `nef.build` makes `Neurons` and `Decoders`
(arrays) of them; `passes.split` makes `Atom` and `ExactSum` of those.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spikec.dataflow import Graph as Graph
from spikec.dataflow import Operator as Operator
from spikec.errors import Span
from spikec.expressions import Expression
from spikec.nef.neurons import NeuronType
from spikec.populations import Array as Array
from spikec.populations import Atom as Atom
from spikec.populations import Bits as Bits
from spikec.populations import Decoders as Decoders
from spikec.populations import ExactSum as ExactSum
from spikec.populations import Neurons as Neurons
from spikec.populations import Population as Population
from spikec.populations import StateValue as StateValue
from spikec.populations import Tuned as Tuned
from spikec.records import dataclass

if TYPE_CHECKING:
    import scipy.sparse as sp

# SciPy's sparse matrices take longer to import than NumPy: only models that have one do it.
Matrix: TypeAlias = "Array | sp.csr_array"


# ------------------------------------------------------------------------------------------------ sources


@dataclass(frozen=True, eq=False, kw_only=True)
class Constant(Operator):
    """u = value."""

    value: tuple[float, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class TimeFunction(Operator):
    """u_k = expressions_k(t).  `call`: see `Function`."""

    expressions: tuple[Expression, ...]
    call: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Table(Operator):
    """u = samples[k] for steps starts[k] <= n < starts[k + 1]; before starts[0] it is samples[0].

    samples: rows x size.  starts: rows, increasing step numbers.  With `period` > 0 (steps) the table
    repeats: n is taken modulo it; otherwise the last row holds for ever.  What interpolates is sampled at
    every step.
    """

    samples: Array
    starts: NDArray[np.int64]
    period: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Noise(Operator):
    """Independent samples at every step, a pure function of (seed, key, component, step).

    distribution "gaussian": a + b * N(0, 1); "uniform": uniform on [a, b).  With `scale` the sample is
    divided by sqrt(dt), so that filtered noise does not depend on the step.
    """

    distribution: str
    a: float
    b: float
    scale: bool
    key: str
    seed: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Draws(Operator):
    """A sample of `distribution`, a vector, at every step; with `scale` divided by sqrt(dt).

    The numbers of (seed, key, step), or with `numpy` those that NumPy's RandomState(seed) gives, one step
    after the other, as Nengo draws them: then there is no key, and seed < 2^32.  See `nef.draws` for the
    distributions.
    """

    distribution: Distribution
    scale: bool
    seed: int
    key: str = ""
    numpy: bool = False


# --------------------------------------------------------------------------------------------- arithmetic


@dataclass(frozen=True, eq=False, kw_only=True)
class Function(Operator):
    """y_k = expressions_k(x, t); one input on port "x" of length `arguments` (0 where it has no input).

    call: where there is one, the expressions stand for the function of that name, which changes nothing: the
    split makes a `HostCall` of it, so that all else is as if the expressions were computed.
    """

    expressions: tuple[Expression, ...]
    arguments: int
    call: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sum(Operator):
    """y = sum of the inputs on port "x"; 0 where there are none."""


@lru_cache(maxsize=1024)
def relay(size: int, span: Span | None) -> Sum:
    """The sum of so many numbers that stands at a place in the source: one object for a whole array."""
    return Sum(size=size, span=span)


@dataclass(frozen=True, eq=False, kw_only=True)
class Product(Operator):
    """y = matrix x, matrix of size x (length of x), dense or CSR."""

    matrix: Matrix


# ------------------------------------------------------------------------------------------------- memory


@dataclass(frozen=True, eq=False, kw_only=True)
class Filter(Operator):
    """A linear synapse with transfer function num(s) / den(s), highest power first, discretised by `method`:
    "zoh" (zero-order hold), "euler", "bilinear", "backward_diff".

    y(n) depends on x(n - 1), x(n - 2), ...: one step of delay.  `analog` False: num and den are in z
    already, or the method is "triangle", a response that falls linearly to 0 in num[0] seconds.
    `ahead`: y(n) is y(n + 1) of this filter less the part of x(n) in it, which is added elsewhere.
    """

    num: tuple[float, ...]
    den: tuple[float, ...]
    analog: bool = True
    method: str = "zoh"
    ahead: bool = False

    @property
    def delay(self) -> int:
        return 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Delay(Operator):
    """y(n) = x(n - steps), 0 before; steps >= 1."""

    steps: int

    @property
    def delay(self) -> int:
        return self.steps


# ------------------------------------------------------------------------------------- neurons, described


@dataclass(frozen=True)
class Distribution:
    """A distribution by name with its parameters, or explicit samples (`kind` "samples": values, rows x
    columns).

    kinds: uniform(low, high), gaussian(mean, std), choice(options), exponential(scale, shift, high),
    hypersphere(surface 0/1, min_magnitude), sobol() (scattered over the hypersphere), subvector lengths
    cosine_similarity(dims) and sqrt_beta(n, m), samples(values).
    """

    kind: str
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Solver:
    """Decoder solver: `kind` "lstsq_l2" (regularisation relative to the maximum activity), "lstsq", ... (see
    `nef.constrained`), or "no_solver": the decoders are `values` (neurons x outputs; None: 0).

    `regularisation`: the kind's one main constant.  `options`: others.  `solvers`: those that it uses.
    `weights`: it solves for the weights to every neuron of the target, not for decoders.
    """

    kind: str = "lstsq_l2"
    regularisation: float = 0.1
    options: tuple[tuple[str, float], ...] = ()
    solvers: tuple[Solver, ...] = ()
    weights: bool = False
    values: Array | None = None

    def option(self, name: str, default: float) -> float:
        return dict(self.options).get(name, default)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Ensemble(Operator):
    """A population as described: `size` neurons representing `dims` dimensions.  Ports "x" (dims) and "J"
    (size): the current of neuron i is gain[i] (encoder[i] . x / radius + J[i]) + bias[i].

    `path` keys its random numbers, with `seed` where the model gives one (else the model's seed).
    Explicit gains and biases override max_rates and intercepts.
    """

    path: str
    dims: int
    neuron: NeuronType
    seed: int
    radius: float = 1.0
    encoders: Distribution = Distribution("hypersphere", (1, 0.0))
    max_rates: Distribution = Distribution("uniform", (200.0, 400.0))
    intercepts: Distribution = Distribution("uniform", (-1.0, 0.9))
    gain: Distribution | None = None
    bias: Distribution | None = None
    eval_points: Distribution = Distribution("hypersphere", (0, 0.0))
    n_eval_points: int | None = None
    normalize_encoders: bool = True
    noise: Distribution | None = None
    initial_state: tuple[tuple[str, Distribution], ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Decoding(Operator):
    """What is to be decoded from the ensemble on port "activity": `expressions` of the represented x.

    `eval_points` None: those of the ensemble.  y = D a, D solved for the least error over evaluation points.
    `targets` (points x outputs): the values there, instead of expressions.  Neither: the activity a of the
    neurons itself (size = neurons), nothing is solved.

    `onto`: y are the currents into the neurons of that ensemble, and what is solved for are weights W with
    W a near E T f(x), E its scaled encoders and T the `transform` (dims x outputs of f).  Built, `transform`
    is E T.
    """

    expressions: tuple[Expression, ...]
    solver: Solver = Solver()
    eval_points: Distribution | None = None
    targets: Array | None = None
    onto: str = ""
    transform: Array | None = None

    @property
    def solved(self) -> bool:
        return bool(self.expressions) or self.targets is not None


# ------------------------------------------------------------------------------------------------- Python


@dataclass(frozen=True, eq=False, kw_only=True)
class HostCall(Operator):
    """y = call(n, x): Python code, called once in step n, in the one partition that owns it.

    Port "x": its argument, `arguments` numbers in all (no input where it has none).  Port "after": host calls
    that run before it in a step.  `size` may be 0.  It has effects of its own, so it is never dropped and
    never shared.  `call` is its name among the functions that whoever runs the graph provides.  `functions`:
    how many functions of the model it runs, for predictions.  `family`: calls of one family are in one
    partition.  `learns`: whether learning rules are among what it runs.

    The split puts a `HostValue`, one of `targets`, between it and its readers: as neurons are, it is computed
    in one place, and what it gives crosses wires.
    """

    call: str
    arguments: int
    targets: tuple[str, ...] = ()
    functions: int = 1
    family: int = 0
    learns: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class HostValue(Bits):
    """y = what the host call on port "activity" gives.  `function`: whether it stands for a `Function` or
    `TimeFunction`.
    """

    function: bool = False


# What is computed in one partition only.  Everything else is computed wherever it is needed.
PLACED = (Atom, HostCall)


# ------------------------------------------------------------------------------------------------ results


@dataclass(frozen=True, eq=False)
class Pick:
    """Which components of an exact sum stand in which columns of a probe."""

    columns: NDArray[np.int64]
    components: NDArray[np.int64]


def interval(period: float) -> float:
    """`Probe.every` for samples so many steps apart: what is whole but for rounding, as 3 * 0.1, is whole."""
    whole = round(min(period, 2.0**53))  # no run is longer
    return whole if abs(period - whole) < 1e-6 or period > whole + 1 else period


@dataclass(frozen=True, eq=False, kw_only=True)
class Probe(Operator):
    """Records its input (port "x") at steps n with n % every < 1 under `name`; `target` is what the model
    calls that.

    With `picks`, one for each input, it records components of exact sums, and 0 in all other columns.  Of
    spikes and state it records those `neurons` alone, one in each column, or all where it is None; of a value
    they only say whose the columns are.

    `attribute`: "value" (any signal), "spikes", "voltage", "refractory_time", "adaptation" (state of the
    neurons on port "neurons") or "input" (the vector into an ensemble).  `ideal`: expressions of t, where
    one is known.  `shape`: of a sample that is a matrix, recorded row after row; () of a vector.
    """

    name: str
    attribute: str = "value"
    every: float = 1
    unit: str = ""
    ideal: tuple[Expression, ...] | None = None
    target: str = ""
    picks: tuple[Pick, ...] = ()
    neurons: NDArray[np.int64] | None = None
    shape: tuple[int, ...] = ()

    def columns_of(self, start: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(column, neuron) of what is recorded of the neurons start .. start + size, by column."""
        if self.neurons is None:
            return np.arange(start, start + size), np.arange(start, start + size)
        columns = np.flatnonzero((self.neurons >= start) & (self.neurons < start + size))
        return columns, self.neurons[columns]
