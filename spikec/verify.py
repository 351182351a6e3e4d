"""What every pass may rely on and must leave true: the legality of the graph, one rule after the other."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
import numpy as np
import scipy.sparse as sp

from spikec import graph as g
from spikec.errors import InvalidGraph

# Ports on which each operator reads; "many" ports may have any number of edges, the others exactly one.
ONE: dict[type[g.Operator], tuple[str, ...]] = {
    g.Product: ("x",),
    g.Filter: ("x",),
    g.Delay: ("x",),
    g.Decoding: ("activity",),
    g.Decoders: ("activity",),
}
OPTIONAL: dict[type[g.Operator], tuple[str, ...]] = {
    g.Function: ("x",),
    g.Ensemble: ("x", "J"),
    g.Neurons: ("x", "J"),
    g.Atom: ("x", "J"),
}
MANY: dict[type[g.Operator], tuple[str, ...]] = {
    g.Sum: ("x",),
    g.ExactSum: ("activity",),
    g.Probe: ("x", "neurons"),
}


def verify(graph: g.Graph) -> g.Graph:
    """Return `graph` if it is legal; raise `InvalidGraph` naming the first broken rules otherwise."""
    problems = [p for name, op in graph.nodes() for p in _check_node(graph, name, op)]
    problems += _check_cycles(graph)
    if problems:
        raise InvalidGraph("\n".join(problems[:20]))
    return graph


def _check_node(graph: g.Graph, name: str, op: g.Operator) -> Iterator[str]:
    ports: dict[str, list[str]] = {}
    for source, edges in graph.nx._pred[name].items():
        expected = graph.op(source)
        for data in edges.values():
            ports.setdefault(data["port"], []).append(source)
            signal = data["signal"]
            if (signal.name, signal.size, signal.delay) != (source, expected.size, expected.delay):
                yield f"{name}: the signal on its edge from {source} is not what {source} sets"
    yield from _check_ports(name, op, ports)
    yield from _check_shapes(graph, name, op, ports)


def _check_ports(name: str, op: g.Operator, ports: dict[str, list[str]]) -> Iterator[str]:
    kind = type(op)
    one, optional, many = ONE.get(kind, ()), OPTIONAL.get(kind, ()), MANY.get(kind, ())
    for port, sources in ports.items():
        if port not in one and port not in optional and port not in many:
            yield f"{name}: {kind.__name__} has no port {port!r}"
        elif len(sources) > 1 and port not in many:
            yield f"{name}: port {port!r} of {kind.__name__} has {len(sources)} inputs"
    for port in one:
        if port not in ports:
            yield f"{name}: port {port!r} of {kind.__name__} has no input"


def _check_shapes(graph: g.Graph, name: str, op: g.Operator, ports: dict[str, list[str]]) -> Iterator[str]:
    for port, sources in ports.items():
        expected = _input_size(op, port)
        for source in sources:
            size = graph.op(source).size
            if expected is not None and size != expected:
                yield f"{name}: port {port!r} takes {expected} numbers, {source} sets {size}"
    matrix = getattr(op, "matrix", None)
    if matrix is not None and matrix.shape[0] != op.size:
        yield f"{name}: a matrix with {matrix.shape[0]} rows sets {op.size} numbers"
    if isinstance(matrix, (np.ndarray, sp.csr_array)) and not np.isfinite(_numbers(matrix)).all():
        yield f"{name}: its matrix holds numbers that are not finite"


def _numbers(matrix: g.Matrix) -> np.ndarray:
    return matrix if isinstance(matrix, np.ndarray) else matrix.data


def _input_size(op: g.Operator, port: str) -> int | None:
    """Length of the signals on a port, where it is fixed."""
    if isinstance(op, (g.Sum, g.Filter, g.Delay)) or (isinstance(op, g.Probe) and port == "x"):
        return op.size
    if isinstance(op, (g.Product, g.Decoders)):
        return None if op.matrix is None else int(op.matrix.shape[1])
    if isinstance(op, g.Function):
        return op.arguments
    population = op.neurons if isinstance(op, g.Atom) else op
    if isinstance(population, (g.Ensemble, g.Neurons)):
        return population.dims if port == "x" else population.size
    return None


def _check_cycles(graph: g.Graph) -> list[str]:
    """Count down the undelayed inputs of every node (Kahn 1962); a cycle keeps some."""
    waiting = dict.fromkeys(graph.nx, 0)
    successors: dict[str, list[str]] = {name: [] for name in graph.nx}
    for source, target, signal in graph.nx.edges(data="signal"):
        if signal.delay == 0:
            waiting[target] += 1
            successors[source].append(target)
    ready = [name for name, count in waiting.items() if count == 0]
    for name in ready:
        for target in successors[name]:
            waiting[target] -= 1
            if waiting[target] == 0:
                ready.append(target)
    if len(ready) == len(waiting):
        return []
    cycle = nx.find_cycle(graph.undelayed())
    return ["a cycle without delay: " + " -> ".join([*(edge[0] for edge in cycle), cycle[0][0]])]
