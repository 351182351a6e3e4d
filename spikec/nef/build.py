"""The NEF build: every described ensemble becomes neurons, every decoding a decoder matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikec.cache import Cache
from spikec.expressions import evaluate_all
from spikec.graph import Decoders, Decoding, Ensemble, Graph
from spikec.nef.solvers import solve
from spikec.nef.tuning import eval_points, tune

Progress = Callable[[str, int, int], None]


def build(
    graph: Graph, cache: Cache | None = None, jobs: int | None = None, progress: Progress | None = None
) -> Graph:
    """A copy of `graph` with `Neurons` for every `Ensemble` and `Decoders` for every `Decoding`."""
    built = graph.copy()
    for name, op in graph.nodes(Ensemble):
        neurons = tune(op)
        built.replace(name, neurons)
        for reader, port in graph.readers(name):
            d = graph.op(reader)
            if port != "activity" or not isinstance(d, Decoding):
                continue
            points = neurons.eval_points if d.eval_points is None else eval_points(op, d.eval_points, reader)
            A = op.neuron.rates(points @ neurons.scaled_encoders.T + neurons.bias)
            Y = evaluate_all(d.expressions, points)
            (D,) = solve(A, [Y], d.solver)
            built.replace(
                reader,
                Decoders(
                    size=d.size,
                    span=d.span,
                    matrix=D.T.copy(),
                    rmse=float(np.sqrt(np.mean((A @ D - Y) ** 2))),
                ),
            )
    return built
