"""Initial weights of connections that learn: from decoders and encoders, once these are there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spikec import graph as g
from spikec import plasticity as pl


def build_weights(graph: g.Graph) -> None:
    """Give every `Weights` of a graph with built neurons its first matrix, in place; `Encoding`
    becomes `Product`.
    """
    for name, op in list(graph.nodes(pl.Weights)):
        if op.initial is None:
            _describe(graph, name, op)
    for name, op in list(graph.nodes(pl.Encoding)):
        neurons = _taken(graph, name, "encoders")
        graph.replace(name, _encoded_by(neurons, op))
    for name, _ in list(graph.nodes(g.Neurons)):
        _add_encoded(graph, name)


def _encoded_by(neurons: g.Neurons, op: pl.Encoding) -> g.Operator:
    """What an `Encoding` becomes."""
    if op.by == "bias":
        return g.Constant(size=op.size, span=op.span, value=tuple(neurons.bias.tolist()))
    if op.by == "gain":
        import scipy.sparse as sp

        return g.Product(size=op.size, span=op.span, matrix=sp.diags_array(neurons.gain, format="csr"))
    matrix = neurons.scaled_encoders if op.rows is None else neurons.scaled_encoders[list(op.rows)]
    return g.Product(size=op.size, span=op.span, matrix=matrix)


def _describe(graph: g.Graph, name: str, op: pl.Weights) -> None:
    """W(1) = E T D, and the length of every encoder for the rules that keep it."""
    neurons, decoders = _taken(graph, name, "encoders"), _taken(graph, name, "decoders")
    factors = [] if neurons is None else [neurons.scaled_encoders]
    factors += [op.transform] if isinstance(op.transform, np.ndarray) else []
    factors += [] if decoders is None else [decoders.matrix]
    initial = factors[0]
    for factor in factors[1:]:
        initial = initial @ factor
    if isinstance(op.transform, float):
        initial = initial * op.transform
    rules = op.rules
    if neurons is not None:
        scale = neurons.gain / neurons.radius
        rules = tuple(replace(r, scale=scale) if isinstance(r, pl.Voja) else r for r in rules)
    graph.replace(name, replace(op, initial=initial, transform=None, rules=rules))


def _taken(graph: g.Graph, name: str, port: str) -> Any:
    """The operator on a port, None where there is none; the edge is removed, and decoders that
    nobody else reads.
    """
    sources = graph.inputs(name, port)
    if not sources:
        return None
    source = sources[0]
    op = graph.op(source)
    others = [(s, p) for s, p in graph.input_ports(name) if s == source and p != port]
    graph.disconnect(source, name)
    for s, p in others:
        graph.connect(s, name, p)
    if isinstance(op, g.Decoders) and not graph.readers(source):
        graph.remove(source)
    return op


def _add_encoded(graph: g.Graph, name: str) -> None:
    """What comes on port "encoded" is a current in the unit of J already, and is added to port "J"."""
    encoded, currents = graph.inputs(name, "encoded"), graph.inputs(name, "J")
    if not encoded:
        return
    op = graph.op(name)
    for port, sources in (("encoded", encoded), ("J", currents)):
        for _ in sources:
            _taken(graph, name, port)
    total = encoded[0]
    if len(encoded) + len(currents) > 1:
        total = graph.add(f"{name}.neurons.total", g.Sum(size=op.size, span=op.span))
        for source in (*encoded, *currents):
            graph.connect(source, total)
    graph.connect(total, name, "J")
