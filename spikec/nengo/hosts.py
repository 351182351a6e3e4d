"""Which operators run together in a host call.

They are gathered into as few calls as can be.  Call k holds the operators that need what call k - 1 gives, by
way of the graph; what they hand each other by memory needs no call of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from nengo.builder import Operator, Signal

from spikec.nengo.calls import Call, Watch
from spikec.nengo.sides import Sides


def calls(
    order: Sequence[Operator],
    after: dict[Operator, Sequence[Operator]],
    sides: Sides,
    given: set[Signal],
    extra: Sequence[Operator],
    watches: Sequence[Watch],
) -> list[Call]:
    """The calls of a model, in the order in which they run.

    after: the operators that come after each in a step (Nengo's dependencies).  given: base signals whose
    values in the graph have parts made by hosts.  extra: natives that also run as hosts, for `watches`.
    """
    levels = _levels(order, after, sides)
    running = {*sides.host, *extra}
    made: dict[int, Call] = defaultdict(Call)
    for op in order:
        if op in running:
            made[levels[op]].operators.append(op)
    if watches:
        loaded = any(sides.in_graph(w.signal.base) and not _updated(sides, w.signal.base) for w in watches)
        made[max(made, default=0) + bool(made and loaded)].watches += watches
    result = [made[level] for level in sorted(made)]
    seen: set[Signal] = set()
    for call in result:
        _signals(call, sides, given, seen)
    return result


def _levels(
    order: Sequence[Operator], after: dict[Operator, Sequence[Operator]], sides: Sides
) -> dict[Operator, int]:
    """The number of the call that each host belongs to; natives have that of the last call they need."""
    hosts = set(sides.host)
    level = dict.fromkeys(order, 0)
    for op in order:
        written = {s.base for s in (*op.sets, *op.incs)} if op in hosts else set()
        for later in after[op]:
            by_graph = later not in hosts or any(
                s.base in written and sides.in_graph(s.base) for s in later.reads
            )
            level[later] = max(level[later], level[op] + (op in hosts and by_graph))
    return level


def _updated(sides: Sides, base: Signal) -> bool:
    return base in sides.table.of and bool(sides.table.of[base].updates)


def _signals(call: Call, sides: Sides, given: set[Signal], seen: set[Signal]) -> None:
    """Find what a call loads from the graph (each signal once in a step, first use) and gives to it."""
    read = [s.base for op in call.operators for s in op.reads]
    read += [w.signal.base for w in call.watches if not _updated(sides, w.signal.base)]
    for base in dict.fromkeys(read):
        if base not in seen and sides.in_graph(base):
            call.loads.append(base)
            seen.add(base)
    hosts = [op for op in call.operators if op not in sides.native]
    written = [s.base for op in hosts for s in (*op.sets, *op.incs, *op.updates)]
    for base in dict.fromkeys(written):
        if base in given:
            call.gives.append(base)
            if sides.in_graph(base):
                call.shared.append(base)
