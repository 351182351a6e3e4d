"""One population and its decodings: the unit of work of the build, and of what its cache remembers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import psutil

from spikec.errors import Diagnostic
from spikec.expressions import evaluate_all
from spikec.graph import Array, Decoders, Decoding, Ensemble, Neurons, Solver
from spikec.nef.distributions import DistributionError
from spikec.nef.neurons import TuningError
from spikec.nef.solvers import memory, solve
from spikec.nef.system import SilentError, Solution, System, Workspace
from spikec.nef.tuning import eval_points, initial_voltage, point_count, tune

VERSION = f"1 numpy {np.__version__}"
"""Part of every key: raised whenever the same description gives other numbers."""


@dataclass(frozen=True)
class Task:
    """An ensemble with the names and descriptions of all that is decoded from it."""

    name: str
    op: Ensemble
    decodings: tuple[tuple[str, Decoding], ...]

    def digest(self) -> bytes:
        """SHA-256 over all that the result depends on; places in the source and names do not count."""
        described = (VERSION, replace(self.op, span=None), [replace(d, span=None) for _, d in self.decodings])
        digest = hashlib.sha256()
        for piece in _pieces(described):
            digest.update(piece)
        return digest.digest()


@dataclass(frozen=True)
class Built:
    """The outcome of a task: neurons and decoders in the order of its decodings, or what is wrong with it."""

    neurons: Neurons | None = None
    solutions: tuple[Solution, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


def run(task: Task, workspace: Workspace) -> Built:
    """Tune the population and solve for its decoders; mistakes of the user come back as diagnostics."""
    try:
        neurons = tune(task.op)
    except (TuningError, DistributionError) as error:
        return Built(diagnostics=(Diagnostic(f"ensemble {task.name}: {error}", task.op.span, error.hint),))
    solutions: dict[str, Solution] = {}
    diagnostics: list[Diagnostic] = []
    for solver, distribution_digest, members in _groups(task):
        try:
            solutions |= _solve_group(task, neurons, solver, distribution_digest, members, workspace)
        except _DecodingError as error:
            diagnostics.append(error.diagnostic)
    if diagnostics:
        return Built(diagnostics=tuple(diagnostics))
    return Built(neurons, tuple(solutions[name] for name, _ in task.decodings))


class _DecodingError(Exception):
    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


_Members = list[tuple[str, Decoding]]


def _groups(task: Task) -> Iterator[tuple[Solver, str, _Members]]:
    """Decodings that share activities and a factorisation: (solver, digest of their own points, members)."""
    groups: dict[tuple[Solver, str], _Members] = {}
    for name, decoding in task.decodings:
        points = "" if decoding.eval_points is None else _digest_of(decoding.eval_points)
        groups.setdefault((decoding.solver, points), []).append((name, decoding))
    return ((solver, points, members) for (solver, points), members in groups.items())


def _solve_group(
    task: Task, neurons: Neurons, solver: Solver, points_digest: str, members: _Members, workspace: Workspace
) -> dict[str, Solution]:
    name, first = members[0]
    try:
        own = first.eval_points
        points = (
            neurons.eval_points if own is None else eval_points(task.op, own, f"eval_points {points_digest}")
        )
        _check_memory(task, len(points), first)
        targets = [_target(name, decoding, points) for name, decoding in members]
        solved = solve(System(neurons, points), targets, solver, workspace)
    except SilentError:
        hint = "lower the intercepts, raise the gains, or choose evaluation points where the neurons fire"
        message = f"nothing can be decoded from {task.name}: no neuron is active at any evaluation point"
        raise _DecodingError(Diagnostic(message, first.span or task.op.span, hint)) from None
    except DistributionError as error:
        raise _DecodingError(
            Diagnostic(f"evaluation points of {name}: {error}", first.span, error.hint)
        ) from None
    except ValueError as error:
        raise _DecodingError(Diagnostic(f"{name}: {error}", first.span)) from None
    return {name: solution for (name, _), solution in zip(members, solved, strict=True)}


def _check_memory(task: Task, points: int, decoding: Decoding) -> None:
    needed, there = memory(task.op.size, points), psutil.virtual_memory().total
    if needed > there:
        message = (
            f"decoders of {task.name} ({task.op.size} neurons, {points} evaluation points) need "
            f"{needed / 1e9:.0f} GB of memory to solve for; this machine has {there / 1e9:.0f} GB"
        )
        hint = "give n_eval_points, or represent the value by an array of smaller ensembles"
        raise _DecodingError(Diagnostic(message, decoding.span or task.op.span, hint))


def _target(name: str, decoding: Decoding, points: Array) -> Array:
    """Values of the decoded function at the points (points x outputs)."""
    values = evaluate_all(decoding.expressions, points)
    if np.isfinite(values).all():
        return values
    row, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
    place = ", ".join(f"{x:.4g}" for x in points[row])
    message = f"the function decoded by {name} is {values[row, column]} at the evaluation point [{place}]"
    hint = "keep it finite within the radius, for example with max(), or give other evaluation points"
    raise _DecodingError(Diagnostic(message, decoding.span, hint))


def decoders(decoding: Decoding, solution: Solution) -> Decoders:
    """The operator in the place of `decoding`."""
    return Decoders(size=decoding.size, span=decoding.span, matrix=solution.decoders, rmse=solution.rmse)


def flatten(built: Built) -> Array:
    """All numbers of a successful outcome, one after the other."""
    assert built.neurons is not None
    n = built.neurons
    arrays = [n.encoders, n.gain, n.bias, n.eval_points]
    arrays += [np.append(s.decoders.ravel(), s.rmse) for s in built.solutions]
    return np.concatenate([a.ravel() for a in arrays])


def flat_size(task: Task) -> int:
    """How many numbers `flatten` gives."""
    op = task.op
    fixed = op.size * (op.dims + 2) + point_count(op, op.eval_points) * op.dims
    return fixed + sum(d.size * op.size + 1 for _, d in task.decodings)


def unflatten(task: Task, numbers: Array) -> Built:
    """The inverse of `flatten` for the task that gave the numbers."""
    op, offset = task.op, 0

    def take(*shape: int) -> Array:
        nonlocal offset
        count = int(np.prod(shape))
        offset += count
        return numbers[offset - count : offset].reshape(shape)

    neurons = Neurons(
        size=op.size,
        span=op.span,
        path=op.path,
        dims=op.dims,
        neuron=op.neuron,
        radius=op.radius,
        encoders=take(op.size, op.dims),
        gain=take(op.size),
        bias=take(op.size),
        eval_points=take(point_count(op, op.eval_points), op.dims),
        seed=op.seed,
        # Drawn again: it is no part of what is solved.
        initial_voltage=initial_voltage(op),
    )
    return Built(
        neurons, tuple(Solution(take(d.size, op.size), float(take(1)[0])) for _, d in task.decodings)
    )


def _digest_of(value: object) -> str:
    return hashlib.sha256(b"".join(_pieces(value))).hexdigest()[:16]


def _pieces(value: Any) -> Iterator[bytes]:
    """Bytes that tell any two descriptions apart, exact for every float and array."""
    if isinstance(value, np.ndarray):
        yield f"array {value.dtype.str} {value.shape} ".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif is_dataclass(value):
        yield f"{type(value).__name__}(".encode()
        for field in fields(value):
            yield f"{field.name}=".encode()
            yield from _pieces(getattr(value, field.name))
        yield b")"
    elif isinstance(value, tuple | list):
        yield f"[{len(value)} ".encode()
        for item in value:
            yield from _pieces(item)
        yield b"]"
    else:
        yield f"{type(value).__name__} {value!r};".encode()
