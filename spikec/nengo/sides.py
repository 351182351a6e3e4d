"""Which operators become operators of the graph ("native"), and which run as Nengo made them ("host").

An operator is native where it has a form, and where all signals that it writes can be sums in the graph:

    set, then incremented    a sum of what natives and hosts add to it
    updated                  a filter, by one native operator and nobody else
    incremented without      a state that gathers from step to step: all its writers are hosts, but for
    being set                weights that rules of learning change

Cheap operators between hosts are hosts too: their values need not enter the graph and leave it again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from nengo.builder import Operator, Signal
from nengo.builder.probe import SimProbe

from spikec.nengo.forms import Form, Preset
from spikec.nengo.learning import Learning
from spikec.nengo.linear import Linear
from spikec.nengo.noise import Random
from spikec.nengo.processes import Synapse
from spikec.nengo.signals import Table, is_time, places
from spikec.records import dataclass

CHEAP = (Preset, Linear, Synapse)
# What has a state that it updates by itself.
FILTERS = (Synapse, Random)


@dataclass(frozen=True, eq=False)
class Sides:
    """native: operators with their forms.  host: all others that do something, in the order of steps."""

    table: Table
    native: dict[Operator, Form]
    host: tuple[Operator, ...]

    def hosts(self, operators: Sequence[Operator]) -> list[Operator]:
        """Those of `operators` that are hosts."""
        return [op for op in operators if op not in self.native and not _nothing(op)]

    def in_graph(self, base: Signal) -> bool:
        """Whether a signal has a value in the graph of which hosts are not the only source."""
        writers = self.table.of[base].writers if base in self.table.of else []
        return any(op in self.native for op in writers)

    def learning(self, base: Signal) -> Learning | None:
        """The form of learned weights, where a signal is such."""
        writers = self.table.of[base].incs if base in self.table.of else []
        form = self.native.get(writers[0]) if writers else None
        return form if isinstance(form, Learning) and form.weights is base else None

    def change(self, base: Signal) -> tuple[Operator, Learning] | None:
        """The rule that makes a signal, with the form of its weights, where it is the change of these or what
        else the rule keeps.
        """
        updates = self.table.of[base].updates if base in self.table.of else []
        form = self.native.get(updates[0]) if len(updates) == 1 else None
        return (updates[0], form) if isinstance(form, Learning) else None

    def only_host(self, base: Signal) -> bool:
        """Whether hosts are all that write a signal."""
        uses = self.table.of.get(base)
        return uses is not None and bool(uses.writers) and not self.in_graph(base)


def _nothing(op: Operator) -> bool:
    """Whether an operator has no step of its own to run: time is known, and probes are read otherwise."""
    return is_time(op) or isinstance(op, SimProbe)


def sides(
    order: Sequence[Operator], table: Table, forms: dict[Operator, Form], kept_host: set[Operator]
) -> Sides:
    """The side of every operator; those in `kept_host` are hosts whatever they are."""
    native = {op for op in forms if op not in kept_host}
    while True:
        count = len(native)
        for base, uses in table.of.items():
            if not _can_be_a_sum(base, table, forms, native):
                native.difference_update(uses.writers)
        if len(native) == count:
            break
    native -= _between_hosts(order, table, forms, native)
    host = tuple(op for op in order if op not in native and not _nothing(op))
    return Sides(table, {op: forms[op] for op in order if op in native}, host)


def _can_be_a_sum(base: Signal, table: Table, forms: dict[Operator, Form], native: set[Operator]) -> bool:
    uses = table.of[base]
    learned = [form for op in uses.writers if isinstance(form := forms.get(op), Learning)]
    if learned and (uses.updates or base is learned[0].weights):
        # Weights, and what rules keep: all operators of these, or none.
        return len(learned) == len(uses.writers) and learned[0].group <= native
    if uses.updates:
        # The output or the state of a filter: written by nobody else.
        writers = uses.writers
        return len(writers) == 1 and writers[0] in native and isinstance(forms[writers[0]], FILTERS)
    if uses.incs:
        covered = table.covered(base)
        return all(
            covered[places(signal).ravel()].all() or _increment_is_set(op, signal, covered)
            for op in uses.incs
            for signal in op.incs
            if signal.base is base
        )
    return True


def _increment_is_set(op: Operator, signal: Signal, covered: np.ndarray) -> bool:
    chosen = getattr(op, "dst_slice", None)
    return chosen is not None and bool(covered[places(signal)[chosen].ravel()].all())


def _between_hosts(
    order: Sequence[Operator], table: Table, forms: dict[Operator, Form], native: set[Operator]
) -> set[Operator]:
    """Cheap natives whose inputs come from hosts alone and go to hosts alone."""
    found = {op for op in native if isinstance(forms[op], CHEAP)}

    def inside(ops: Sequence[Operator]) -> bool:
        return all(op in found or op not in native for op in ops)

    while True:
        gone = set()
        for op in found:
            written = [s.base for s in (*op.sets, *op.incs, *op.updates)]
            ours = all(inside(table.of[b].reads) and inside(table.of[b].writers) for b in written)
            if not ours or not all(inside(table.of[s.base].writers) for s in op.reads):
                gone.add(op)
        if not gone:
            break
        found -= gone
    return _reached(order, table, found, native)


def _reached(
    order: Sequence[Operator], table: Table, found: set[Operator], native: set[Operator]
) -> set[Operator]:
    """Those of `found` that are joined to a host by signals."""
    work = [op for op in order if op not in native and not _nothing(op)]
    seen = set(work)
    while work:
        op = work.pop()
        for signal in op.all_signals:
            uses = table.of[signal.base]
            # What nobody writes joins nobody, nor does the time.
            if uses.writers and not is_time(uses.writers[0]):
                for other in (*uses.writers, *uses.reads):
                    if other in found and other not in seen:
                        seen.add(other)
                        work.append(other)
    return found & seen
