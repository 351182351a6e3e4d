"""Expected firing rates of populations at the level of synapses, from mean-field theory.

Each neuron sees Gaussian noise with the mean and variance of all its inputs, and fires at

    1 / r = tau_ref + tau_m sqrt(pi) integral of exp(u^2) (1 + erf u) du  from (reset - mu) / s to
    (threshold - mu) / s

with mu = J + tau_m sum of weight x rate, s^2 = tau_m sum of weight^2 x rate (Brunel 2000, equations 4 and
21; s is his sigma).  Rates that cause each other are iterated to a fixed point, in a fixed number of steps.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from spikec import graph as g
from spikec import projections as pj
from spikec.nef.neurons import DeltaLIF

ROUNDS, DAMPING = 200, 0.1
# Beyond, exp(u^2) leaves float64, and nothing fires.
_FAR = 25.0


def rates(graph: g.Graph) -> dict[str, float]:
    """Spikes per neuron and second of every population, by the name of its list of spikes."""
    names = [name for name, _ in graph.nodes(pj.Spikes)]
    cells = {name: graph.op(graph.inputs(name, "activity")[0]).neurons for name in names}
    arriving = {name: _arriving(graph, name) for name in names}
    found = dict.fromkeys(names, 0.0)
    for _ in range(ROUNDS):
        made = {name: _rate(cells[name], arriving[name], found) for name in names}
        found = {name: found[name] + DAMPING * (made[name] - found[name]) for name in names}
    return found


@cache
def _quadrature() -> tuple[g.Array, g.Array]:
    """Points and weights on [-1, 1] (Gauss and Legendre)."""
    return np.polynomial.legendre.leggauss(100)


def _arriving(graph: g.Graph, name: str) -> list[tuple[str, float, float]]:
    """(list of spikes, sum of weights, sum of squared weights) of every projection to a population."""
    atom = graph.inputs(name, "activity")[0]
    found = []
    for projection in graph.inputs(atom, "arriving"):
        op: pj.Projection = graph.op(projection)
        weights = op.rule.weights / op.size if isinstance(op.rule, pj.Pairs) else op.per_target * op.weight
        squares = (
            op.rule.weights**2 / op.size if isinstance(op.rule, pj.Pairs) else op.per_target * op.weight**2
        )
        found.append((graph.inputs(projection)[0], float(np.sum(weights)), float(np.sum(squares))))
    return found


def _rate(cells: pj.Cells, arriving: list[tuple[str, float, float]], known: dict[str, float]) -> float:
    neuron = cells.neuron
    assert isinstance(neuron, DeltaLIF)
    drive = cells.drive or pj.Poisson(0.0, 0.0)
    mean = drive.rate * drive.weight + sum(known[s] * weight for s, weight, _ in arriving)
    variance = drive.rate * drive.weight**2 + sum(known[s] * square for s, _, square in arriving)
    mu, sigma = float(cells.bias[0]) + neuron.tau_m * mean, math.sqrt(neuron.tau_m * variance)
    # Without noise the formula has a limit, the rate at a constant current; a little noise comes close.
    sigma = max(sigma, 0.01 * (neuron.threshold - neuron.reset))
    low, high = (neuron.reset - mu) / sigma, (neuron.threshold - mu) / sigma
    if high > _FAR:
        return 0.0
    from scipy.special import erfcx  # late: few models have populations

    low = max(low, high - 200.0) if high > 0 else low
    points, weights = _quadrature()
    u = low + (high - low) * (points + 1) / 2
    integral = (high - low) / 2 * float(weights @ erfcx(-u))
    return 1.0 / (neuron.tau_ref + neuron.tau_m * math.sqrt(math.pi) * integral)
