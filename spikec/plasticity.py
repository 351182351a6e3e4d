"""Learning: weights that change as the model runs, and the rules by which they change.

    x ------------------------------> Learned (y = W x) -> Filter -> ...
    error, activities -> Weights (W) ----^

`Weights` is memory: W(n + 1) = W(n) + what every rule adds for the values of step n, all from the same
W(n).  Every rule adds, to each row j, a multiple of a vector that all rows share, and takes away a part of
the row:

    W_j  <-  W_j - (sum of decay_j) W_j + sum of factor_j p

so rows are computed wherever they are needed, one without the other, from exact sums: copies are equal.
Rules are those of Nengo (nengo.learning_rules), in the same units.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.records import dataclass

# What a port holds: a number for every row of W, for every column, or one for all.
ROWS, COLUMNS, ONE = "rows", "columns", "one"


@dataclass(frozen=True, eq=False, kw_only=True)
class Rule:
    """A rule with its learning rate (per s).  `reads`: ports that it needs, `may_read`: ports it can do
    without.

    `filtered`: ports that an activity comes to through a synapse.  As in Nengo such a synapse has no delay:
    for the change of step n its value includes the activity of step n, as that of `Filter` at n + 1 does.
    """

    rate: float
    filtered: tuple[str, ...] = ()
    kind: ClassVar[str] = ""
    reads: ClassVar[dict[str, str]] = {}
    may_read: ClassVar[dict[str, str]] = {}


@dataclass(frozen=True, eq=False, kw_only=True)
class PES(Rule):
    """factor_j = -rate dt / columns error_j, p = pre (MacNeil and Eliasmith 2011, PLoS ONE 6:e22885)."""

    kind: ClassVar[str] = "pes"
    reads: ClassVar[dict[str, str]] = {"pre": COLUMNS, "error": ROWS}


@dataclass(frozen=True, eq=False, kw_only=True)
class RLS(Rule):
    """Recursive least squares: factor_j = -error_j / (1 + pre P pre), p = P pre, and then P <- P - p p' / (1
    + pre P pre).

    P begins as the identity times rate dt / columns (Sussillo and Abbott 2009, Neuron 63:544).
    """

    kind: ClassVar[str] = "rls"
    reads: ClassVar[dict[str, str]] = {"pre": COLUMNS, "error": ROWS}


@dataclass(frozen=True, eq=False, kw_only=True)
class BCM(Rule):
    """factor_j = rate dt post_j (post_j - theta_j), p = pre (Bienenstock, Cooper and Munro 1982, J Neurosci
    2:32).
    """

    kind: ClassVar[str] = "bcm"
    reads: ClassVar[dict[str, str]] = {"pre": COLUMNS, "post": ROWS, "theta": ROWS}


@dataclass(frozen=True, eq=False, kw_only=True)
class Oja(Rule):
    """factor_j = rate dt post_j, p = pre, decay_j = beta rate dt post_j^2 (Oja 1982, J Math Biol 15:267)."""

    beta: float = 1.0
    kind: ClassVar[str] = "oja"
    reads: ClassVar[dict[str, str]] = {"pre": COLUMNS, "post": ROWS}


@dataclass(frozen=True, eq=False, kw_only=True)
class Voja(Rule):
    """Encoders move towards what is represented: factor_j = rate dt (1 + learning) scale_j post_j, p = pre,
    decay_j = rate dt (1 + learning) post_j (Voelker, Crawford and Eliasmith 2014, UCNC 324).

    scale: length of every row of W, gain / radius.  A learning of -1 stops it.
    """

    scale: g.Array | None = None
    kind: ClassVar[str] = "voja"
    reads: ClassVar[dict[str, str]] = {"pre": COLUMNS, "post": ROWS}
    may_read: ClassVar[dict[str, str]] = {"learning": ONE}


@dataclass(frozen=True, eq=False, kw_only=True)
class Weights(g.Operator):
    """W(n), a matrix of `size` rows: what it sets has a component for every row.

    Rule k reads ports "pre.k", "error.k" and so on.  Before it is built, W(1) is described: E T D with T =
    `transform` (None: 1), E the scaled encoders of the ensemble on port "encoders" and D the decoders on port
    "decoders", each where there is one.
    """

    columns: int
    rules: tuple[Rule, ...]
    initial: g.Array | None = None
    transform: g.Array | float | None = None

    @property
    def delay(self) -> int:
        return 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Learned(g.Operator):
    """y(n) = W(n) x(n), W on port "weights"; x is most often the activity of neurons."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Entries(Learned):
    """y(n) = the entries of W(n), row after row, times x(n), a constant 1: weights as a signal.

    columns: those of W.
    """

    columns: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Encoding(g.Operator):
    """y = E x, E the scaled encoders (neurons x dims) of the ensemble on port "encoders", of neurons `rows`
    (None: of all): becomes a `Product`.

    by "gain": y = gain * x, by "bias": y = bias, which becomes a `Constant`.
    """

    rows: tuple[int, ...] | None = None
    by: str = "encoders"


def add_current(graph: g.Graph, neurons: str, total: str) -> None:
    """Let a sum be the current of all neurons of a population that has its inputs: bias + E x + gain J, with
    J what is connected to its neurons, and what is added as it is.
    """
    size, span = graph.op(total).size, graph.op(total).span

    def add(by: str, given: str = "") -> None:
        made = graph.add(f"{total}.{by}", Encoding(size=size, span=span, by=by))
        graph.connect(neurons, made, "encoders")
        if given:
            graph.connect(given, made)
        graph.connect(made, total)

    add("bias")
    for port, by in (("x", "encoders"), ("J", "gain")):
        for given in graph.inputs(neurons, port):
            add(by, given)
    encoded = graph.inputs(neurons, "encoded")
    if len(encoded) > 1:
        added = graph.add(f"{total}.encoded", g.Sum(size=size, span=span))
        for given in encoded:
            graph.connect(given, added)
        encoded = [added]
    for given in encoded:
        graph.connect(given, total)


def entries(graph: g.Graph, weights: str) -> str:
    """The node of the entries of some weights as a signal, made where there is none."""
    name, op = f"{weights}.entries", graph.op(weights)
    if name not in graph:
        graph.add(name, Entries(size=op.size * op.columns, span=op.span, columns=op.columns))
        graph.connect(weights, name, "weights")
        graph.connect(graph.add(f"{name}.one", g.Constant(size=1, span=op.span, value=(1.0,))), name)
    return name


def ports(op: Weights) -> Iterator[tuple[str, str, bool]]:
    """(port, what it holds, whether it must be connected) for all rules."""
    for k, rule in enumerate(op.rules):
        yield from ((f"{port}.{k}", holds, True) for port, holds in rule.reads.items())
        yield from ((f"{port}.{k}", holds, False) for port, holds in rule.may_read.items())


def port_counts(op: Weights) -> dict[str, tuple[int, int]]:
    """The least and the most edges into every port."""
    described = {} if op.initial is not None else {"decoders": (0, 1), "encoders": (0, 1)}
    return {**described, **{port: (int(must), 1) for port, _, must in ports(op)}}


def port_sizes(op: Weights) -> dict[str, int]:
    """Length of the signals on every port."""
    lengths = {ROWS: op.size, COLUMNS: op.columns, ONE: 1}
    return {port: lengths[holds] for port, holds, _ in ports(op)}


def late(graph: g.Graph, name: str) -> bool:
    """Whether `name` is a product of learned weights that only synapses and delays read.

    Then it is computed one step late, before W changes: nothing needs it in the step that makes x, so the
    neurons that x comes from and those it goes to can be in different partitions.
    """
    if not isinstance(graph.op(name), Learned):
        return False
    readers = graph.readers(name)
    return bool(readers) and all(isinstance(graph.op(r), (g.Filter, g.Delay)) for r, _ in readers)


def rule_filters(graph: g.Graph) -> set[str]:
    """Synapses that rules read before they have a delay: they must stay filters."""
    return {
        source
        for name, op in graph.nodes(Weights)
        for source, port in graph.input_ports(name)
        for kind, _, rule in [port.partition(".")]
        if rule and kind in op.rules[int(rule)].filtered
    }


def reads_after(graph: g.Graph, name: str) -> int:
    """How many steps after its input was set an operator reads it: 0 for the same step."""
    op = graph.op(name)
    if isinstance(op, (g.Filter, g.Delay, Weights)):
        return int(op.delay)
    return int(late(graph, name))


def needed(op: Weights | Learned, port: str, mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Components of the signal on a port, of length `size`, that rows `mask` depend on."""
    if isinstance(op, Entries) and port == "weights":
        return np.asarray(mask.reshape(-1, op.columns).any(axis=1))
    by_row = port == "weights" if isinstance(op, Learned) else _by_row(op, port)
    return mask if by_row else np.ones(size, bool)


def _by_row(op: Weights, port: str) -> bool:
    return any(p == port and holds == ROWS for p, holds, _ in ports(op))
