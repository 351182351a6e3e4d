"""What the tests of the language share: mistakes of a model, and paths and matrices of its graph."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from spikec import graph as g
from spikec.errors import ModelError
from spikec.frontend import load, loads


def mistakes(text: str, **options: object) -> list[tuple[int, int, str, str]]:
    """(line, column, message, remedy) of every mistake in a model."""
    with pytest.raises(ModelError) as caught:
        loads(text, "m.spk", **options)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    return [
        (d.span.line, d.span.column, d.message, d.hint) if d.span else (0, 0, d.message, d.hint)
        for d in caught.value.diagnostics
    ]


def load_mistakes(path: Path, **options: object) -> list[tuple[int, int, str, str]]:
    with pytest.raises(ModelError) as caught:
        load(path, **options)  # type: ignore[arg-type]
    return [
        (d.span.line, d.span.column, d.message, d.hint) if d.span else (0, 0, d.message, d.hint)
        for d in caught.value.diagnostics
    ]


def dense(matrix: g.Matrix) -> g.Array:
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def path_from(graph: g.Graph, source: str, target: str) -> list[str]:
    """Kinds of the operators on the only path between two nodes."""
    (found,) = nx.all_simple_paths(nx.DiGraph(graph.nx), source, target)
    return [type(graph.op(n)).__name__ for n in found]


def response(graph: g.Graph, source: str, target: str) -> g.Array:
    """The matrix from a source to a target through sums, filters (as gain 1) and products."""
    size = graph.op(source).size
    total = np.zeros((graph.op(target).size, size))
    for found in nx.all_simple_paths(nx.DiGraph(graph.nx), source, target):
        m = np.eye(size)
        for name in found:
            op = graph.op(name)
            if isinstance(op, g.Product):
                m = dense(op.matrix) @ m
        total += m
    return total


def table(graph: g.Graph, name: str, steps: range) -> g.Array:
    """Values of a `Table` at the steps given, by its definition."""
    op = graph.op(name)
    assert isinstance(op, g.Table)
    rows = []
    for n in steps:
        at = n % op.period if op.period else n
        rows.append(op.samples[max(0, int(np.searchsorted(op.starts, at, side="right")) - 1)])
    return np.array(rows)
