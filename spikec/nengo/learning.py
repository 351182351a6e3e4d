"""Nengo's learning rules as weights of the graph that change.

    pre, error, ... -> SimPES ... -> delta,   weights += delta in the next step,   y += weights x

`Weights` computes all of this for one signal of weights: its rules, what gathers their changes, and (as
`Learned`) its products.  Either all these operators are native or none is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from nengo.builder import Operator, Signal
from nengo.builder.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo.builder.operator import Copy, DotInc
from nengo.builder.probe import SimProbe
from nengo.builder.processes import SimProcess

from spikec import plasticity as pl
from spikec.nengo.signals import Ints, Table, places, whole
from spikec.records import dataclass

# The signals that each rule reads, by the port of ours.
PORTS: dict[type, dict[str, str]] = {
    SimPES: {"pre": "pre_filtered", "error": "error"},
    SimRLS: {"pre": "pre_filtered", "error": "error"},
    SimBCM: {"pre": "pre_filtered", "post": "post_filtered", "theta": "theta"},
    SimOja: {"pre": "pre_filtered", "post": "post_filtered"},
    SimVoja: {"pre": "pre_decoded", "post": "post_filtered", "learning": "learning_signal"},
}


RULES: dict[type, type[pl.Rule]] = {
    SimPES: pl.PES, SimRLS: pl.RLS, SimBCM: pl.BCM, SimOja: pl.Oja, SimVoja: pl.Voja
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Learning:
    """A signal of weights with its rules; `group`: all operators that this stands for."""

    weights: Signal
    rules: tuple[Operator, ...]
    group: frozenset[Operator]


def learning(order: Sequence[Operator], table: Table) -> dict[Operator, Learning]:
    """The form of all operators of learned weights that the graph knows."""
    found: dict[Operator, Learning] = {}
    for base, uses in table.of.items():
        if uses.incs and not uses.sets and not uses.updates and base.ndim == 2:
            form = _learning(base, table)
            if form is not None:
                found |= dict.fromkeys((op for op in order if op in form.group), form)
    return found


def _learning(base: Signal, table: Table) -> Learning | None:
    rules = []
    for copy in table.of[base].incs:
        rule = _rule_of(copy, base, table)
        if rule is None or not _ours(rule, base, table):
            return None
        rules.append(rule)
    group = {*table.of[base].incs, *rules}
    for reader in table.of[base].reads:
        if _product(reader, base):
            group.add(reader)
        elif reader not in rules and not _recorded(reader, base):
            return None
    return Learning(base, tuple(rules), frozenset(group))


def _recorded(reader: Any, base: Signal) -> bool:
    """Whether an operator reads weights, or their change, for a probe: as they are, or through a synapse."""
    if isinstance(reader, SimProbe):
        return whole(reader.signal)
    known = type(reader) is SimProcess and reader.mode == "update" and reader.input is not None
    return known and reader.input.base is base and whole(reader.input)


def _rule_of(copy: Operator, base: Signal, table: Table) -> Operator | None:
    """The rule whose change an operator adds to the weights."""
    if type(copy) is not Copy or copy.src_slice is not None or copy.dst_slice is not None:
        return None
    if not (copy.inc and whole(copy.src) and whole(copy.dst) and copy.src.base.size == base.size):
        return None
    uses = table.of[copy.src.base]
    others = [reader for reader in uses.reads if reader is not copy]
    if len(uses.writers) != 1 or not all(_recorded(reader, copy.src.base) for reader in others):
        return None
    if len(others) == len(uses.reads) or np.any(copy.src.base.initial_value):
        return None
    return uses.writers[0]


def _ours(rule: Operator, base: Signal, table: Table) -> bool:
    """Whether a rule is one that the graph knows, for these weights."""
    if type(rule) not in PORTS:
        return False
    if isinstance(rule, SimRLS):
        inverse, columns = rule.inv_gamma, base.shape[1]
        start = np.asarray(inverse.initial_value)
        uses = table.of[inverse.base]
        recorded = all(_recorded(reader, inverse.base) for reader in uses.reads)
        return recorded and _fits(rule, base) and np.array_equal(start, np.eye(columns) * start[0, 0])
    return getattr(rule, "weights", base) is base and _fits(rule, base)


def _fits(rule: Operator, base: Signal) -> bool:
    """Whether what a rule reads has the size of the weights, or RLS to neurons one error for all rows: parts
    of neurons do not, where Nengo fails.
    """
    rows, columns = base.shape
    sizes = {pl.ROWS: rows, pl.COLUMNS: columns}
    holds = RULES[type(rule)].reads
    return all(
        signal.size == sizes[holds[port]] or one_error(rule, port)
        for port, signal in inputs(rule).items()
        if port in holds
    )


def one_error(rule: Operator, port: str) -> bool:
    """Whether a port is the error of an RLS that has one for all rows of its weights."""
    return isinstance(rule, SimRLS) and port == "error" and bool(rule.error.size == 1)


def _product(reader: Operator, base: Signal) -> bool:
    """Whether an operator multiplies by weights: by all of them, or by some rows and columns."""
    return (
        type(reader) is DotInc
        and reader.A.base is base
        and block(reader.A) is not None
        and reader.X.base is not base
        and reader.X.shape == (reader.A.shape[1],)
        and whole(reader.Y)
        and reader.Y.size == reader.A.shape[0]
    )


def block(signal: Signal) -> tuple[Ints, Ints] | None:
    """The rows and columns of a matrix of which a signal shows the entries, None where it is no matrix."""
    if signal.ndim != 2:
        return None
    rows, columns = np.divmod(places(signal), signal.base.shape[1])
    return rows[:, 0], columns[0]


def rule(op: Any, dt: float, columns: int, filtered: tuple[str, ...]) -> pl.Rule:
    """Our rule of an operator; `filtered`: ports that an activity comes to through a synapse."""
    match op:
        case SimPES():
            return pl.PES(rate=op.learning_rate, filtered=filtered)
        case SimRLS():
            return pl.RLS(
                rate=_rls_rate(float(op.inv_gamma.initial_value[0, 0]), dt, columns), filtered=filtered
            )
        case SimBCM():
            return pl.BCM(rate=op.learning_rate, filtered=filtered)
        case SimOja():
            return pl.Oja(rate=op.learning_rate, beta=op.beta, filtered=filtered)
    return pl.Voja(rate=op.learning_rate, scale=np.asarray(op.scale, np.float64), filtered=filtered)


def _rls_rate(start: float, dt: float, columns: int) -> float:
    """The learning rate of which start = rate dt / columns was made: the shortest one, as it was given."""
    rate = start * columns / dt
    given = float(f"{rate:.12g}")
    return given if given * dt / columns == start else rate


def inputs(op: Operator) -> dict[str, Signal]:
    """The signals that a rule reads, by port."""
    return {port: getattr(op, name) for port, name in PORTS[type(op)].items()}
