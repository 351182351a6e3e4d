"""Linear systems of decoders over Nengo's points, and their exact solution."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikec.graph import Array
from spikec.nef.blas import arithmetic

# Neurons of ensembles that are solved, and kept in the cache, together.
BUNDLE = 4000


@dataclass(eq=False)
class Group:
    """What is decoded from one ensemble over the same points (points x dims) with one regularisation."""

    neuron: Any
    encoders: Array
    gain: Array
    bias: Array
    radius: float
    points: Array
    regularisation: float
    deferred: list[Any]

    def inputs(self) -> Array:
        """Encoded points, points x neurons, before gain and bias."""
        return np.asarray(self.points @ (self.encoders.T / self.radius))

    def activities(self) -> Array:
        """Rates at all points, points x neurons."""
        return np.asarray(self.neuron.rates(self.inputs(), self.gain, self.bias))


def exact(A: Array, targets: Sequence[Array], regularisation: float) -> list[tuple[Array, Array]]:
    """D minimising ||A D - Y||^2 + m sigma^2 ||D||^2, sigma = regularisation times the largest activity, by
    Cholesky factors in float64, as Nengo's `LstsqL2`; with the root mean square errors.
    """
    from scipy.linalg import cho_factor, cho_solve

    points, neurons = A.shape
    dual = points < neurons
    Y = np.concatenate(targets, axis=1)
    gram = A @ A.T if dual else A.T @ A
    gram[np.diag_indices(len(gram))] += points * (regularisation * A.max()) ** 2
    solved = cho_solve(cho_factor(gram, overwrite_a=True), Y if dual else A.T @ Y)
    decoders = A.T @ solved if dual else solved
    rmses = np.sqrt(np.mean((Y - A @ decoders) ** 2, axis=0))
    ends = np.cumsum([0, *(t.shape[1] for t in targets)])
    parts = [slice(int(ends[k]), int(ends[k + 1])) for k in range(len(targets))]
    return [(np.ascontiguousarray(decoders[:, p].T), rmses[p]) for p in parts]


def bundles(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Runs of groups: small ones share an entry of the cache, and what it takes to start a solve."""
    members: list[Group] = []
    neurons = 0
    for k, group in enumerate(groups):
        members.append(group)
        neurons += len(group.gain)
        if neurons >= BUNDLE or k == len(groups) - 1:
            yield members
            members, neurons = [], 0


def digest(groups: Sequence[Group]) -> str:
    """SHA-256 of all that decoders depend on."""
    made = hashlib.sha256(arithmetic().encode())
    for group in groups:
        kind = type(group.neuron)
        made.update(
            f"{kind.__module__}.{kind.__qualname__} {group.neuron!r} {group.regularisation!r}".encode()
        )
        arrays = [group.encoders, group.gain, group.bias, np.array(group.radius), group.points]
        for array in (*arrays, *(d.targets for d in group.deferred)):
            made.update(repr(array.shape).encode())
            made.update(np.ascontiguousarray(array).data)
    return made.hexdigest()
