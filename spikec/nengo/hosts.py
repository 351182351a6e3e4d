"""Which operators run together in a host call.

Operators that share memory or objects are a family, which is in one process.  They are gathered into as few
calls as can be: call k holds those that need what call k - 1 gives, by way of the graph; what they hand each
other by memory needs no call of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dis import get_instructions
from typing import Any

from nengo.builder import Operator, Signal
from nengo.params import Parameter

from spikec.nengo.calls import Call, Watch
from spikec.nengo.recipes import draws_seed
from spikec.nengo.sides import Sides
from spikec.nengo.signals import holds, is_time
from spikec.sharing import families

# Objects that functions hold of which it is looked whether they share them, which takes about half a second.
MOST_FOLLOWED = 200_000


def calls(
    order: Sequence[Operator],
    after: dict[Operator, Sequence[Operator]],
    sides: Sides,
    given: set[Signal],
    extra: Sequence[Operator],
    watches: Sequence[Watch],
) -> list[Call]:
    """The calls of a model, family by family, in the order in which they run.

    after: the operators that come after each in a step (Nengo's dependencies).  given: base signals whose
    values in the graph have parts made by hosts.  extra: natives that also run as hosts, for `watches`.
    """
    levels = _levels(order, after, sides)
    running = {*sides.host, *extra}
    members = _families([op for op in order if op in running], sides, set(extra))
    result: list[Call] = []
    left = list(watches)
    for family, operators in enumerate(members):
        written = {s.base for op in operators for s in (*op.sets, *op.incs, *op.updates)}
        last = family == len(members) - 1
        watched = [watch for watch in left if last or watch.signal.base in written]
        left = [watch for watch in left if watch not in watched]
        made = _family(operators, levels, sides, watched)
        seen: set[Signal] = set()
        for call in made:
            call.family = family
            _signals(call, sides, given, seen)
        result += made
    return result


def _family(
    operators: Sequence[Operator], levels: Mapping[Operator, int], sides: Sides, watches: Sequence[Watch]
) -> list[Call]:
    """The calls of operators that share a memory."""
    made: dict[int, Call] = defaultdict(Call)
    for op in operators:
        made[levels[op]].operators.append(op)
    if watches:
        loaded = any(sides.in_graph(w.signal.base) and not _updated(sides, w.signal.base) for w in watches)
        made[max(made, default=0) + bool(made and loaded)].watches += watches
    return [made[level] for level in sorted(made)]


def _families(operators: Sequence[Operator], sides: Sides, extra: set[Operator]) -> list[list[Operator]]:
    """Operators that need no memory and no object of each other, in lists.

    What also has a value in the graph is handed over there, but for what the graph computes as well.
    """
    roots, memory = [], list[set[Any]]()
    for op in operators:
        roots.append(holds(op))
        memory.append({s.base for s in op.all_signals if _is_handed_on(s.base, sides, extra)})
    if others := [k for k, op in enumerate(operators) if _draws(op)]:
        # What these draw decides what all others draw that come after them.
        for k in others + [k for k, op in enumerate(operators) if draws_seed(op)]:
            memory[k].add(_draws)
    found: dict[int, list[Operator]] = defaultdict(list)
    numbers = families(roots, memory, (Signal, Parameter), MOST_FOLLOWED)
    for op, family in zip(operators, numbers, strict=True):
        found[family].append(op)
    return list(found.values())


def _draws(op: Operator) -> bool:
    """Whether an operator that is none of Nengo's uses the simulator's random numbers to make its step."""
    code = getattr(type(op).make_step, "__code__", None)
    if type(op).make_step.__module__.startswith("nengo.") or code is None or code.co_argcount < 4:
        return False
    return code.co_varnames[3] in {step.argval for step in get_instructions(code) if "LOAD" in step.opname}


def _is_handed_on(base: Signal, sides: Sides, extra: set[Operator]) -> bool:
    """Whether operators hand each other the value of a signal by memory alone."""
    writers = sides.table.of[base].writers if base in sides.table.of else []
    if not writers or is_time(writers[0]):
        return False
    return not sides.in_graph(base) or not extra.isdisjoint(writers)


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
