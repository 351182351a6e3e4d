"""Advance: synapses and delays move before the sums and matrices that they follow, towards the neurons.

    filter(sum of M_i x_i) = sum of M_i filter(x_i)

Both sides are equal because a synapse is linear and begins at 0.  What is decoded then meets its step of
delay first, so that ensembles whose values are summed without a synapse (the products of a circular
convolution, the coefficients of a delay network) can still be in different partitions.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from spikec import graph as g
from spikec import plasticity as pl

log = logging.getLogger(__name__)

MEMORY = (g.Filter, g.Delay)
LINEAR = (g.Sum, g.Product)
# What is made in one partition only.
DECODED = (g.Decoding, g.Decoders, g.StateValue, g.HostCall, pl.Learned)


def advance(graph: g.Graph) -> g.Graph:
    """Move every filter and delay that reads a sum or product of values decoded in the same step."""
    result = graph.copy()
    decoded = _decoded(result)
    kept = pl.rule_filters(result)
    work = [name for name, _ in result.nodes(MEMORY) if name not in kept]
    count = 0
    while work:
        name = work.pop(0)
        source = result.inputs(name)[0]
        if source in decoded and isinstance(result.op(source), LINEAR) and name not in result.inputs(source):
            work += _move(result, name, source)
            count += 1
    if count:
        log.info("advance: %d synapses and delays moved before sums and matrices", count)
    return result


def _decoded(graph: g.Graph) -> set[str]:
    """Signals that depend on a decoded value of the same step."""
    reached: set[str] = set()
    work = [name for name, _ in graph.nodes(DECODED)]
    while work:
        name = work.pop()
        if name not in reached:
            reached.add(name)
            work += [
                r
                for r, _ in graph.readers(name)
                if graph.op(r).delay == 0 and not isinstance(graph.op(r), g.Probe)
            ]
    return reached


def _move(graph: g.Graph, name: str, source: str) -> list[str]:
    """memory(linear(x_i)) becomes linear(memory(x_i)) under the name of the memory; returns the new
    memories.
    """
    memory, linear = graph.op(name), graph.op(source)
    terms = graph.inputs(source)
    ends = graph.ends(name)
    graph.remove(name)
    if not graph.readers(source):
        graph.remove(source)
    made = {}
    for k, term in enumerate(dict.fromkeys(terms)):
        made[term] = graph.add(f"{name}~{k}", _of_size(memory, graph.op(term).size))
        graph.connect(term, made[term])
    graph.add(name, linear)
    for term in terms:
        graph.connect(made[term], name)
    for reader, port, place in ends:
        graph.connect(name, reader, port, place)
    return list(made.values())


def _of_size(op: g.Operator, size: int) -> g.Operator:
    """The same synapse or delay of a vector of another length."""
    assert isinstance(op, MEMORY)
    return replace(op, size=size)
