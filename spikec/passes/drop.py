"""Drop: what no probe depends on is not computed."""

from __future__ import annotations

import logging

from spikec import graph as g

log = logging.getLogger(__name__)


def drop(graph: g.Graph) -> g.Graph:
    """Remove every operator from which neither a probe nor a host call can be reached."""
    needed = _needed(graph)
    dead = [name for name in graph if name not in needed]
    if dead:
        log.info("drop: %d operators that no probe depends on", len(dead))
    result = graph.copy()
    for name in dead:
        result.remove(name)
    return result


def unobserved(graph: g.Graph) -> list[str]:
    """Paths of the ensembles that `drop` removes, for a note to the user."""
    needed = _needed(graph)
    return [op.path for name, op in graph.nodes((g.Ensemble, g.Neurons)) if name not in needed]


def _needed(graph: g.Graph) -> set[str]:
    """Names of the operators from which a probe or a host call can be reached, and of the ensembles onto
    which weights are solved that are.
    """
    needed = {name for name, _ in graph.nodes((g.Probe, g.HostCall))}
    work = list(needed)
    while work:
        name = work.pop()
        op = graph.op(name)
        onto = [op.onto] if isinstance(op, g.Decoding) and op.onto else []
        for source in (*graph.inputs(name), *onto):
            if source not in needed:
                needed.add(source)
                work.append(source)
    return needed
