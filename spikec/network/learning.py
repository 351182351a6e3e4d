"""Connections that learn: hPES, the error-driven rule PES beside the homeostatic rule BCM.

    change of W_ij in a step = rate (s gain_i (e_i . error) a_j + 10 (1 - s) gain_i b_i (b_i - theta_i) a_j)

with the share s of supervision (`supervision_ratio`), encoders e, the activities a of `pre` and b of `post`
(spikes in a step) after a synapse, and theta as b after another of 20 ms (Bekolay, Kolbeck and Eliasmith
2013, CogSci).  Both parts are rules of one matrix of weights (`spikec.plasticity`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikec import graph as g
from spikec import plasticity as pl
from spikec.nef.sampling import Streams
from spikec.nef.tuning import tune
from spikec.network.builder import Builder
from spikec.network.describe import array
from spikec.network.mistakes import here, mistake
from spikec.network.nodes import Ensemble, Origin
from spikec.records import dataclass

THETA_PSTC, UNSUPERVISED = 0.02, 10.0
LARGEST_FIRST = 1e-3


@dataclass(frozen=True)
class HPES:
    """rate: of learning, in a step; supervised: share of PES; pstc: of the synapses that it reads (s)."""

    rate: float
    supervised: float
    pstc: float


def share_of(given: Any) -> float:
    """A supervision ratio.  Raises `NetworkError` where it is none."""
    if not isinstance(given, (int, float)) or not 0 <= given <= 1:
        mistake(f"supervision_ratio is a number from 0 to 1, not {given!r}", "give 1 for PES alone")
    return float(given)


def learn(
    builder: Builder,
    rule: HPES,
    pre: Ensemble,
    post: Ensemble,
    error: Origin,
    pstc: float,
    weight_matrix: Any,
) -> None:
    """Add weights from every member of `pre` to every member of `post`."""
    dims = post.dimensions * post.array_size
    if error.dimensions != dims:
        mistake(
            f"an error of {error.dimensions} numbers cannot teach {post.name!r}, which has {dims}",
            "give an error for every dimension",
        )
    link = builder.link(f":{pre.name}->{post.name} learned")
    first = _first(builder, weight_matrix, pre, post, link)
    wrong, _ = builder.gathered(f"{link}.error", list(error.parts))
    for i in range(post.array_size):
        part = builder.slice(f"{link}.error.{i}", wrong, i * post.dimensions, post.dimensions, -post.radius)
        name, path = f"{link}.{i}", post.paths[i]
        op = pl.Encoding(size=post.neurons_num, span=here())
        encoded = builder.add(f"{name}.encoded", op, x=part, encoders=path)
        signals = {"error": encoded, **_homeostasis(builder, rule, post, i, name)}
        for k in range(pre.array_size):
            number = k * post.array_size + i
            _weights(builder, rule, pre.paths[k], path, first[number], signals, pstc, f"{name}.{k}")


def _homeostasis(builder: Builder, rule: HPES, post: Ensemble, i: int, name: str) -> dict[str, str]:
    """b and theta of a member of `post`, in Hz and times the root of the gains, which so enter both."""
    if rule.supervised == 1:
        return {}
    path = post.paths[i]
    (neurons,) = tune([post.populations[i]])
    activity = builder.lowpass(f"{name}.post", builder.activity(path, neurons.size), rule.pstc)
    b = builder.product(f"{name}.scaled", _diagonal(np.sqrt(np.abs(neurons.gain))), activity)
    return {"post": b, "theta": builder.lowpass(f"{name}.theta", b, THETA_PSTC)}


def _diagonal(values: g.Array) -> g.Matrix:
    import scipy.sparse as sp

    return sp.diags_array(values, format="csr")


def _weights(
    builder: Builder,
    rule: HPES,
    pre: str,
    post: str,
    first: g.Array,
    signals: dict[str, str],
    pstc: float,
    name: str,
) -> None:
    rows, columns = first.shape
    dt = builder.graph.dt
    rules: list[pl.Rule] = []
    ports: dict[str, str] = {}
    activity = builder.activity(pre, columns)
    filtered = builder.lowpass(f"{name}.pre", activity, rule.pstc)
    if rule.supervised > 0:
        # A step of PES is -rate dt / columns error a, with a in Hz: here a is in spikes in a step.
        rules.append(pl.PES(rate=rule.supervised * rule.rate * columns, filtered=("pre",)))
        ports |= {"pre_0": filtered, "error_0": signals["error"]}
    if rule.supervised < 1:
        rate = (1 - rule.supervised) * UNSUPERVISED * rule.rate * dt * dt
        k = len(rules)
        rules.append(pl.BCM(rate=rate, filtered=("pre",)))
        ports |= {f"pre_{k}": filtered, f"post_{k}": signals["post"], f"theta_{k}": signals["theta"]}
    op = pl.Weights(size=rows, columns=columns, span=here(), rules=tuple(rules), initial=first)
    weights = builder.add(f"{name}.weights", op, **ports)
    product = builder.add(f"{name}.product", pl.Learned(size=rows, span=here()), weights=weights, x=activity)
    current = builder.lowpass(f"{name}.filter", product, pstc)
    builder.graph.connect(current, builder.currents(post, rows).node)


def _first(builder: Builder, given: Any, pre: Ensemble, post: Ensemble, link: str) -> g.Array:
    """The first weights: pairs of members (those of `pre` outermost) x neurons of post x neurons of pre."""
    pairs, rows, columns = pre.array_size * post.array_size, post.neurons_num, pre.neurons_num
    if given is None:
        drawn = Streams([(builder.graph.seed, link, "weight_matrix")]).uniform((pairs, rows, columns))[0]
        return np.asarray(LARGEST_FIRST * (2.0 * drawn - 1.0))
    matrix = array("a weight_matrix", given)
    if matrix.size != pairs * rows * columns or matrix.shape[-2:] != (rows, columns):
        mistake(
            f"a weight_matrix of shape {np.shape(given)} cannot lead from {pre.name!r} to {post.name!r}",
            f"give {rows} rows of {columns} numbers" + f", {pairs} times" * (pairs > 1),
        )
    return matrix.reshape(pairs, rows, columns)
