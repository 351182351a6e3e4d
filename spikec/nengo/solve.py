"""Decoders of a Nengo network, solved together once it is built: Nengo's points and targets, our arithmetic.

`Building` stands in for Nengo's builder.  Where a connection is decoded by plain regularised least squares it
leaves zeros as weights, and remembers what to solve; `finish` solves all of it on all cores, in float64, and
fills them.
Decodings of one ensemble over the same points share activities and factorisation.
"""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

import nengo
import numpy as np
from nengo.builder import Builder, Model, Signal
from nengo.builder.connection import get_eval_points, get_targets, solve_for_decoders
from nengo.builder.transforms import multiply
from nengo.cache import NoDecoderCache
from nengo.rc import rc
from nengo.transforms import Dense, NoTransform
from nengo.utils.least_squares_solvers import Cholesky

from spikec import graph as g
from spikec.cache import Cache
from spikec.expressions import evaluate_all
from spikec.nef.blas import one_thread
from spikec.nef.solvers import solve
from spikec.nef.system import System, Workspace
from spikec.nengo.neurons import TYPES
from spikec.nengo.systems import Group, bundles, digest, exact
from spikec.tracing.functions import trace

# From this many neurons and points on, iteration to a millionth is faster than the exact solution.
LARGE = 1000


@dataclass(eq=False)
class Deferred:
    """Decoders (outputs x neurons) that are not solved yet; `weights`: signals that are made of them."""

    connection: nengo.Connection
    targets: g.Array
    info: dict[str, Any]
    weights: list[tuple[Signal, g.Array, g.Array | None]] = field(default_factory=list)

    def zeros(self) -> g.Array:
        return np.zeros((self.targets.shape[1], self.connection.pre_obj.n_neurons))

    def fill(self, decoders: g.Array, rmses: g.Array) -> None:
        """Put the decoders, by transform and encoders, where the weights are."""
        self.info["rmses"] = rmses
        for signal, transform, encoders in self.weights:
            weights = multiply(transform, decoders)
            if encoders is not None:
                weights = multiply(encoders.T, weights)
            # Signals show their memory for reading only; nobody has read it yet.
            np.copyto(signal.initial_value.base, weights)


def _build_solver(model: Model, solver: Any, conn: Any, rng: Any) -> Any:
    """Nengo's build of a solver, but without solving."""
    plain = type(solver) is nengo.solvers.LstsqL2 and type(solver.solver) is Cholesky
    if not plain or solver.solver.transpose is not None or rc.float_dtype == np.float16:
        return Builder.builders[nengo.solvers.Solver](model, solver, conn, rng)
    points = get_eval_points(model, conn, rng)
    deferred = Deferred(conn, _targets(conn, points), {})
    model.builder.defer(model, deferred, points)
    return points, deferred, deferred.info


def _targets(conn: Any, points: g.Array) -> g.Array:
    """The function at every point: all at once where it can be written as expressions."""
    if callable(conn.function):
        chosen = points[:, conn.pre_slice]
        traced = trace(conn.function, False, chosen.shape[1], conn.size_mid)
        if traced is not None:
            return evaluate_all(traced.expressions, chosen)
    return np.asarray(get_targets(conn, points, dtype=rc.float_dtype), np.float64)


def _build_transform(
    model: Model, transform: Any, sig_in: Any, decoders: Any = None, encoders: Any = None, rng: Any = None
) -> Any:
    """Nengo's build of a dense transform, but with weights that are filled later."""
    build = Builder.builders[type(transform)]
    if not isinstance(decoders, Deferred):
        return build(model, transform, sig_in, decoders=decoders, encoders=encoders, rng=rng)
    shape = (transform.size_out, transform.size_in)
    factor = np.array(1.0) if isinstance(transform, NoTransform) else transform.sample(rng=rng)
    given = Dense(shape, init=factor)
    made = Builder.builders[Dense](
        model, given, sig_in, decoders=decoders.zeros(), encoders=encoders, rng=rng
    )
    decoders.weights.append((made[1], np.asarray(factor, np.float64), encoders))
    return made


class Building(Builder):
    """Nengo's builder, which defers plain solves until `finish`."""

    builders: ClassVar[ChainMap[type, Any]] = ChainMap(
        {nengo.solvers.LstsqL2: _build_solver, Dense: _build_transform, NoTransform: _build_transform},
        Builder.builders,
    )

    def __init__(self, jobs: int | None = None) -> None:
        """`jobs`: cores to solve on, all where it is None."""
        self._jobs, self._groups = jobs or os.cpu_count() or 1, dict[Any, Group]()

    def defer(self, model: Model, deferred: Deferred, points: g.Array) -> None:
        """Solve for a connection later."""
        conn = deferred.connection
        ensemble = conn.pre_obj
        own = None if conn.eval_points is None else conn
        key = (ensemble, own, conn.solver.reg)
        if key not in self._groups:
            built = model.params[ensemble]
            numbers = (built.encoders, built.gain, built.bias, ensemble.radius, points)
            encoders, gain, bias, radius, given = (np.asarray(a, np.float64) for a in numbers)
            self._groups[key] = Group(
                ensemble.neuron_type, encoders, gain, bias, float(radius), given, float(conn.solver.reg), []
            )
        self._groups[key].deferred.append(deferred)

    def finish(self, model: Model) -> None:
        """Solve for all that was deferred.

        Raises Nengo's `BuildError` where no neuron of an ensemble is ever active.
        """
        groups, self._groups = list(self._groups.values()), {}
        cache = None if isinstance(model.decoder_cache, NoDecoderCache) else Cache()
        with one_thread(), ThreadPoolExecutor(self._jobs) as pool:
            list(pool.map(lambda bundle: _solve_bundle(bundle, cache), bundles(groups)))


def _solve_bundle(groups: Sequence[Group], cache: Cache | None) -> None:
    if any(not type(group.neuron).__module__.startswith("nengo.") for group in groups):
        cache = None  # code of a user, which may change
    key = digest(groups) if cache is not None else ""
    known = cache.get(key) if cache is not None else None
    sizes = [(d.zeros().shape, d) for group in groups for d in group.deferred]
    if known is not None and known.size == sum(rows * (columns + 1) for (rows, columns), _ in sizes):
        place = 0
        for (rows, columns), deferred in sizes:
            numbers = known[place : place + rows * (columns + 1)].reshape(rows, columns + 1)
            deferred.fill(np.ascontiguousarray(numbers[:, :-1]), numbers[:, -1].copy())
            place += numbers.size
        return
    found = []
    for group in groups:
        for deferred, (decoders, rmses) in zip(group.deferred, _solve(group), strict=True):
            deferred.fill(decoders, rmses)
            found.append(np.column_stack([decoders, rmses]).ravel())
    if cache is not None:
        cache.put(key, np.concatenate(found))


def _solve(group: Group) -> list[tuple[g.Array, g.Array]]:
    """Decoders, and their root mean square errors by output, for all targets of a group."""
    targets = [d.targets for d in group.deferred]
    make = TYPES.get(type(group.neuron))
    if make is not None and min(len(group.gain), len(group.points)) >= LARGE:
        size, dims = group.encoders.shape
        neurons = g.Neurons(
            size=size, path="", dims=dims, neuron=make(group.neuron), radius=group.radius,
            tuning=g.Tuned(group.encoders, group.gain, group.bias, lambda: group.points), seed=0,
        )  # fmt: skip
        solutions = solve(
            System(neurons, group.points), targets, g.Solver("lstsq_l2", group.regularisation), Workspace()
        )
        return [(s.decoders, np.full(len(s.decoders), s.rmse)) for s in solutions]
    A = group.activities()
    if not A.any():
        # Nengo says what is wrong.
        conn = group.deferred[0].connection
        solve_for_decoders(conn, group.gain, group.bias, group.inputs(), targets[0], np.random)
    return exact(A, targets, group.regularisation)
