"""What every pass may rely on and must leave true: the legality of the graph, one rule after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, cast

import numpy as np

from spikec import changes as ch
from spikec import graph as g
from spikec import plasticity as pl
from spikec import projections as pj
from spikec.errors import InvalidGraph

MANY = 1 << 60
_CHANGE = {"weights": (1, 1), **dict.fromkeys(("pre", "error", "post", "theta", "learning"), (0, 1))}
# Ports of each operator: the least and the most edges into them.
PORTS: dict[type[g.Operator], dict[str, tuple[int, int]]] = {
    g.Product: {"x": (1, 1)},
    g.Filter: {"x": (1, 1)},
    g.Delay: {"x": (1, 1)},
    g.Decoding: {"activity": (1, 1)},
    g.Decoders: {"activity": (1, 1)},
    g.Function: {"x": (0, 1)},
    g.Ensemble: {"x": (0, 1), "J": (0, 1), "encoded": (0, MANY)},
    g.Neurons: {"x": (0, 1), "J": (0, 1), "encoded": (0, MANY)},
    g.Atom: {"x": (0, 1), "J": (0, 1), "arriving": (0, MANY)},
    pj.Cells: {"x": (0, 1), "J": (0, 1), "arriving": (0, MANY)},
    pj.Spikes: {"activity": (0, MANY)},
    pj.Projection: {"spikes": (1, 1)},
    g.Sum: {"x": (0, MANY)},
    g.ExactSum: {"activity": (0, MANY)},
    g.HostCall: {"x": (0, 1), "after": (0, MANY)},
    g.HostValue: {"activity": (1, 1)},
    g.StateValue: {"neurons": (0, 1), "activity": (0, MANY)},
    g.Probe: {"x": (0, MANY), "neurons": (0, MANY), "weights": (0, 1)},
    pl.Learned: {"weights": (1, 1), "x": (1, 1)},
    pl.Entries: {"weights": (1, 1), "x": (1, 1)},
    pl.Encoding: {"encoders": (1, 1), "x": (0, 1)},
    ch.Change: _CHANGE,
    ch.Inverse: _CHANGE,
}
_NONE: dict[str, tuple[int, int]] = {}


def _own_size(op: Any) -> dict[str, int]:
    return {"x": op.size}


def _columns(op: Any) -> dict[str, int]:
    return {} if op.matrix is None else dict.fromkeys(("x", "activity"), int(op.matrix.shape[1]))


def _population(op: Any) -> dict[str, int]:
    population = op.neurons if isinstance(op, g.Atom) else op
    return {
        "x": population.dims,
        "J": population.size,
        "arriving": population.size,
        "encoded": population.size,
    }


# Length of the signals on each port, where it is fixed.
SIZES: dict[type[g.Operator], Callable[[Any], dict[str, int]]] = {
    **dict.fromkeys((g.Sum, g.Filter, g.Delay), _own_size),
    g.Probe: lambda op: {} if op.picks or op.neurons is not None else _own_size(op),
    pl.Weights: pl.port_sizes,
    pl.Learned: lambda op: {"weights": op.size},
    pl.Entries: lambda op: {"weights": op.size // op.columns, "x": 1},
    **dict.fromkeys((ch.Change, ch.Inverse), ch.port_sizes),
    **dict.fromkeys((g.Product, g.Decoders), _columns),
    **dict.fromkeys((g.Ensemble, g.Neurons, pj.Cells, g.Atom), _population),
    pj.Projection: lambda op: {"spikes": op.sources},
    **dict.fromkeys((g.Function, g.HostCall), lambda op: {"x": op.arguments}),
}


def verify(graph: g.Graph) -> g.Graph:
    """Return `graph` if it is legal; raise `InvalidGraph` naming the first broken rules otherwise.

    What was found legal before and has not changed since is not looked at again: each rule is about an
    operator and its inputs, a new cycle leads through an input that has changed, and two probes of one name
    are found where one of them has.
    """
    changed = [name for name in graph if name in graph.changed] if graph.changed else []
    problems = [p for name in changed for p in _check_node(graph, name, graph.op(name))]
    if any(isinstance(graph.op(name), g.Probe) for name in changed):
        problems += _check_probes(graph)
    problems += _check_cycles(graph) if graph.rewired else []
    if problems:
        raise InvalidGraph("\n".join(problems[:20]))
    graph.changed, graph.rewired = set(), False
    return graph


def _check_node(graph: g.Graph, name: str, op: g.Operator) -> list[str]:
    edges = graph.input_ports(name)
    ports = tuple([port for _, port in edges])
    problems: list[str] = []
    if isinstance(op, pl.Weights):
        problems += _check_ports(name, type(op), ports, pl.port_counts(op))
    elif not _legal(cast(Any, type(op)), ports):
        problems += _check_ports(name, type(op), ports, PORTS.get(type(op), _NONE))
    if type(op) in SIZES and edges:
        expected = SIZES[type(op)](op)
        for source, port in edges:
            size = graph.op(source).size
            if expected.get(port, size) != size:
                problems.append(f"{name}: port {port!r} takes {expected[port]} numbers, {source} sets {size}")
    if isinstance(op, (g.Product, g.Decoders)) and op.matrix is not None:
        problems += _check_matrix(name, op.size, op.matrix)
    if isinstance(op, pl.Weights) and op.initial is not None:
        problems += _check_matrix(name, op.size, op.initial)
    return problems


def _check_probes(graph: g.Graph) -> list[str]:
    """Recordings are found by the names of probes, so that no two may have the same."""
    found: dict[str, str] = {}
    return [
        f"{node}: its recording is called {op.name!r}, as that of {found[op.name]}"
        for node, op in graph.nodes(g.Probe)
        if found.setdefault(op.name, node) != node
    ]


@lru_cache(maxsize=1024)
def _legal(kind: type[g.Operator], ports: tuple[str, ...]) -> bool:
    """Whether operators of a kind may have edges on these ports: so many have the same that it is kept."""
    return not any(_check_ports("", kind, ports, PORTS.get(kind, _NONE)))


def _check_ports(
    name: str, operator: type[g.Operator], ports: tuple[str, ...], allowed: dict[str, tuple[int, int]]
) -> Iterator[str]:
    kind = operator.__name__
    counts: dict[str, int] = {}
    for port in ports:
        counts[port] = counts.get(port, 0) + 1
    for port, count in counts.items():
        if port not in allowed:
            yield f"{name}: {kind} has no port {port!r}"
        elif count > allowed[port][1]:
            yield f"{name}: port {port!r} of {kind} has {count} inputs"
    for port, (least, _) in allowed.items():
        if counts.get(port, 0) < least:
            yield f"{name}: port {port!r} of {kind} has no input"


def _check_matrix(name: str, size: int, matrix: g.Matrix) -> Iterator[str]:
    if matrix.shape[0] != size:
        yield f"{name}: a matrix with {matrix.shape[0]} rows sets {size} numbers"
    numbers = matrix if isinstance(matrix, np.ndarray) else matrix.data
    # One pass for all that is well: a sum is finite only if its terms are.
    if not np.isfinite(numbers.sum()) and not np.isfinite(numbers).all():
        yield f"{name}: its matrix holds numbers that are not finite"


def circles(graph: g.Graph) -> set[str]:
    """Names of the operators that depend on themselves within a step."""
    import networkx as nx

    found = nx.strongly_connected_components(graph.undelayed())
    return {name for component in found if len(component) > 1 for name in component}


def _check_cycles(graph: g.Graph) -> list[str]:
    if graph.is_acyclic():
        return []
    import networkx

    cycle = networkx.find_cycle(graph.undelayed())
    return ["a cycle without delay: " + " -> ".join([*(edge[0] for edge in cycle), cycle[0][0]])]
