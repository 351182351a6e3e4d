"""Narrow: where a decoded vector is only used through a matrix with fewer rows, decode those rows.

    T filter(D a) = filter((T D) a)

A dot product of two 64-dimensional vectors needs one decoded number and not 64, on the wire as in the kernel.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from spikec import graph as g

log = logging.getLogger(__name__)


def narrow(graph: g.Graph) -> g.Graph:
    """Multiply matrices into decoders where all readers together need fewer rows than are decoded."""
    result = graph.copy()
    for name, op in list(result.nodes(g.Decoders)):
        products = _products(result, name)
        if op.matrix is not None and products and sum(result.op(p).size for _, p in products) < op.size:
            log.info("narrow: %s from %d rows to those of %s", name, op.size, [p for _, p in products])
            for filtered, product in products:
                _move(result, name, filtered, product)
            for node in dict.fromkeys([f for f, _ in products]):
                result.remove(node)
            result.remove(name)
    return result


def _products(graph: g.Graph, name: str) -> list[tuple[str, str]]:
    """(filter, product) of every use of a decoded vector; empty where it is used in any other way."""
    found = []
    for filtered, _ in graph.readers(name):
        if not isinstance(graph.op(filtered), g.Filter):
            return []
        for product, _ in graph.readers(filtered):
            if not isinstance(graph.op(product), g.Product):
                return []
            found.append((filtered, product))
    return found


def _move(graph: g.Graph, name: str, filtered: str, product: str) -> None:
    """Replace decoders -> filter -> product by (product x decoders) -> filter, which takes the product's
    name.
    """
    op, synapse, matrix = graph.op(name), graph.op(filtered), graph.op(product).matrix
    decoders = np.asarray(matrix @ op.matrix)
    made = graph.add(
        f"{name}~{product}", g.Decoders(size=len(decoders), span=op.span, matrix=decoders, rmse=op.rmse)
    )
    graph.connect(graph.inputs(name)[0], made, "activity")
    ends = graph.ends(product)
    graph.remove(product)
    graph.add(product, replace(synapse, size=len(decoders)))
    graph.connect(made, product)
    for reader, port, place in ends:
        graph.connect(product, reader, port, place)
