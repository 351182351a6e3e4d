"""What learning rules add to their weights, as signals that probes record.

    delta(n) = W(n + 1) - W(n), a rule's part of it,   and P(n) of RLS,   both for the values of step n

`Weights` computes these where it changes: at the beginning of the next step.  A probe sees them in the step
that they are of, so that they are computed once more for it.
"""

from __future__ import annotations

from spikec import graph as g
from spikec import plasticity as pl
from spikec.program.synapses import add_at_once
from spikec.records import dataclass


@dataclass(frozen=True, eq=False, kw_only=True)
class Change(g.Operator):
    """y(n) = what rule number `rule` adds to the weights on port "weights": delta(n), row after row.

    What the rule reads is on ports of the same names; of what comes to it through a synapse the value that
    includes the activity of step n.  columns: those of the weights.
    """

    rule: int
    columns: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Inverse(Change):
    """y(n) = the entries of P(n) of an RLS, columns x columns; with `late` those of P(n - 1)."""

    late: bool = False


def change(graph: g.Graph, weights: str, rule: int, late: bool = False) -> str:
    """The node of what a rule adds to some weights, made where there is none; with `late` of the step
    before.
    """
    op, name = graph.op(weights), f"{weights}~{rule}.delta"
    size = op.size * op.columns
    made = _made(graph, weights, name, Change(size=size, span=op.span, rule=rule, columns=op.columns))
    if not late:
        return made
    if f"{name}.late" not in graph:
        graph.connect(made, graph.add(f"{name}.late", g.Delay(size=size, span=op.span, steps=1)))
    return f"{name}.late"


def inverse(graph: g.Graph, weights: str, rule: int, late: bool = False) -> str:
    """The node of P of an RLS, likewise."""
    op, name = graph.op(weights), f"{weights}~{rule}.inv_gamma" + ".late" * late
    made = Inverse(size=op.columns**2, span=op.span, rule=rule, columns=op.columns, late=late)
    return _made(graph, weights, name, made)


def _made(graph: g.Graph, weights: str, name: str, op: Change) -> str:
    if name not in graph:
        graph.connect(weights, graph.add(name, op), "weights")
    return name


def feed(graph: g.Graph) -> None:
    """Connect all changes to what their rules read; these have it already."""
    for name, op in list(graph.nodes(Change)):
        (weights,) = graph.inputs(name, "weights")
        rule: pl.Rule = graph.op(weights).rules[op.rule]
        for port in ports(op, rule):
            for source in graph.inputs(weights, f"{port}.{op.rule}"):
                now = _at_once(graph, f"{name}.{port}", source) if port in rule.filtered else source
                graph.connect(now, name, port)


def ports(op: Change, rule: pl.Rule) -> tuple[str, ...]:
    """What a change depends on of all that its rule reads."""
    if isinstance(op, Inverse):
        return () if op.late else ("pre",)
    return (*rule.reads, *rule.may_read)


def _at_once(graph: g.Graph, name: str, synapse: str) -> str:
    """What a synapse gives in the step after."""
    op, (source,) = graph.op(synapse), graph.inputs(synapse)
    add_at_once(graph, graph.add(name, g.Sum(size=op.size, span=op.span)), source, op)
    return name


def port_sizes(op: Change) -> dict[str, int]:
    """Length of the signals on every port; those of all rows have as many numbers as the weights."""
    if isinstance(op, Inverse):
        return {"pre": op.columns}
    rows = op.size // op.columns
    return {
        "weights": rows,
        "pre": op.columns,
        "learning": 1,
        **dict.fromkeys(("error", "post", "theta"), rows),
    }
