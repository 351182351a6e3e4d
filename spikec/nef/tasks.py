"""One population and its decodings: what is solved, and what the cache remembers of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from spikec.errors import Diagnostic
from spikec.expressions import evaluate_all
from spikec.graph import Array, Decoders, Decoding, Ensemble, Neurons
from spikec.nef.blas import arithmetic
from spikec.nef.distributions import DistributionError
from spikec.nef.neurons import TuningError
from spikec.nef.solvers import memory, solve
from spikec.nef.system import SilentError, Solution, System, Workspace
from spikec.nef.tuning import eval_points, tune
from spikec.records import dataclass

VERSION = "14"
"""Part of every key: raised whenever the same description gives other numbers."""


@dataclass(frozen=True, slots=True)
class Task:
    """An ensemble with the names and descriptions of all that is decoded from it.

    `description`: SHA-256 over all but the seed and path that key its random numbers; places in the source
    and names do not count.
    """

    name: str
    op: Ensemble
    decodings: tuple[tuple[str, Decoding], ...]
    description: bytes

    def digest(self) -> bytes:
        """SHA-256 over all that the result depends on."""
        return hashlib.sha256(self.description + f"{self.op.seed}\0{self.op.path}".encode()).digest()


class Describer:
    """Makes tasks.  What many ensembles share, such as the distributions of an array, is looked at once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[tuple[Any, ...], bytes]] = {}
        self._tasks: dict[tuple[bytes, ...], bytes] = {}
        self._start = hashlib.sha256(f"{VERSION} {arithmetic()}".encode()).digest()

    def task(self, name: str, op: Ensemble, decodings: Sequence[tuple[str, Decoding]]) -> Task:
        pieces = (self._start, self.described(op), *(self.described(decoding) for _, decoding in decodings))
        known = self._tasks.get(pieces)
        if known is None:
            known = self._tasks[pieces] = hashlib.sha256(b"".join(pieces)).digest()
        return Task(name, op, tuple(decodings), known)

    def described(self, op: Ensemble | Decoding) -> bytes:
        """SHA-256 over all of an operator but the seed and path that key its random numbers."""
        values = _DESCRIBED[type(op)](op)
        key = tuple(map(id, values))
        known = self._known.get(key)
        if known is None:
            # The values are kept too: their numbers could be others' when they are gone.
            pieces = [type(op).__name__.encode(), *(_digest(value) for value in values)]
            known = self._known[key] = (values, hashlib.sha256(b"".join(pieces)).digest())
        return known[1]


def _digest(value: object) -> bytes:
    return hashlib.sha256(b"".join(_pieces(value))).digest()


def _described(kind: type[Ensemble] | type[Decoding]) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*(f.name for f in fields(kind) if f.name not in ("span", "path", "seed")))


_DESCRIBED = {kind: _described(kind) for kind in (Ensemble, Decoding)}


@dataclass(frozen=True, slots=True)
class Solved:
    """Solutions in the order of a task's decodings, or what is wrong with them."""

    solutions: tuple[Solution, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


class DecodingError(Exception):
    """A mistake of the user in what is to be decoded."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def run(tasks: Sequence[Task], workspace: Workspace) -> list[Solved]:
    """Solve for the decoders of populations of one description; mistakes of the user come back as
    diagnostics.
    """
    try:
        neurons = tune([task.op for task in tasks])
    except (TuningError, DistributionError) as error:
        if len(tasks) > 1:  # each is told its own
            return [run([task], workspace)[0] for task in tasks]
        message = f"ensemble {tasks[0].name}: {error}"
        return [Solved(diagnostics=(Diagnostic(message, tasks[0].op.span, error.hint),))]
    solutions: list[dict[int, Solution]] = [{} for _ in tasks]
    mistakes = []
    for members in _groups(tasks[0]):
        try:
            _solve_group(tasks, neurons, members, workspace, solutions)
        except DecodingError as error:
            mistakes.append(error.diagnostic)
    if mistakes and len(tasks) > 1:  # here too
        return [run([task], workspace)[0] for task in tasks]
    if mistakes:
        return [Solved(diagnostics=tuple(mistakes))]
    return [Solved(tuple(found[k] for k in sorted(found))) for found in solutions]


def _groups(task: Task) -> list[list[int]]:
    """Decodings that share activities and a factorisation, by their numbers."""
    groups: dict[object, list[int]] = {}
    for k, (_, decoding) in enumerate(task.decodings):
        points = "" if decoding.eval_points is None else _digest_of(decoding.eval_points)
        groups.setdefault((_digest_of(decoding.solver), points), []).append(k)
    return list(groups.values())


def _solve_group(
    tasks: Sequence[Task],
    neurons: Sequence[Neurons],
    members: list[int],
    workspace: Workspace,
    solutions: list[dict[int, Solution]],
) -> None:
    """Add the solutions of the decodings `members` of every task."""
    first = tasks[0].decodings[members[0]][1]
    if first.solver.kind == "no_solver":
        for found, task in zip(solutions, tasks, strict=True):
            found.update((k, _given(task.op, task.decodings[k][1])) for k in members)
        return
    own, task = first.eval_points, tasks[0]
    distribution = task.op.eval_points if own is None else own
    purpose = "eval_points" if own is None else f"eval_points {_digest_of(own)}"
    try:
        all_points = eval_points([t.op for t in tasks], distribution, purpose)
        _check_memory(task, all_points.shape[1], first)
        values = [_targets(tasks, i, all_points) for i in members]
        for k, points in enumerate(all_points):
            task = tasks[k]
            solved = solve(System(neurons[k], points), [Y[k] for Y in values], first.solver, workspace)
            solutions[k].update(zip(members, solved, strict=True))
    except SilentError:
        hint = "lower the intercepts, raise the gains, or choose evaluation points where the neurons fire"
        message = f"nothing can be decoded from {task.name}: no neuron is active at any evaluation point"
        raise DecodingError(Diagnostic(message, first.span or task.op.span, hint)) from None
    except DistributionError as error:
        message = f"evaluation points of {task.decodings[members[0]][0]}: {error}"
        raise DecodingError(Diagnostic(message, first.span, error.hint)) from None
    except ValueError as error:
        raise DecodingError(Diagnostic(f"{task.decodings[members[0]][0]}: {error}", first.span)) from None


def _given(op: Ensemble, decoding: Decoding) -> Solution:
    """Decoders that the model gives, 0 where it gives none."""
    values = decoding.solver.values
    return Solution(np.zeros((decoding.size, op.size)) if values is None else values.T.copy(), 0.0)


def _check_memory(task: Task, points: int, decoding: Decoding) -> None:
    needed, there = memory(task.op.size, points), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        message = (
            f"decoders of {task.name} ({task.op.size} neurons, {points} evaluation points) need "
            f"{needed / 1e9:.0f} GB of memory to solve for; this machine has {there / 1e9:.0f} GB"
        )
        hint = "give n_eval_points, or represent the value by an array of smaller ensembles"
        raise DecodingError(Diagnostic(message, decoding.span or task.op.span, hint))


def _targets(tasks: Sequence[Task], member: int, points: Array) -> Array:
    """Values of a decoded function at the points of every task (tasks x points x outputs)."""
    name, decoding = tasks[0].decodings[member]
    if decoding.targets is not None:
        if len(decoding.targets) != points.shape[1]:
            count, rows = points.shape[1], len(decoding.targets)
            message = f"{name} gives values at {rows} points, but there are {count} evaluation points"
            raise DecodingError(Diagnostic(message, decoding.span, "give eval_points, one for each value"))
        values = np.tile(decoding.targets, (len(tasks), 1))
    else:
        values = evaluate_all(decoding.expressions, points.reshape(-1, points.shape[2]))
    if np.isfinite(values).all():
        values = values if decoding.transform is None else values @ decoding.transform.T
        return values.reshape(len(tasks), -1, values.shape[1])
    row, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
    name, decoding = tasks[row // points.shape[1]].decodings[member]
    place = ", ".join(f"{x:.4g}" for x in points.reshape(-1, points.shape[2])[row])
    message = f"the function decoded by {name} is {values[row, column]} at the evaluation point [{place}]"
    hint = "keep it finite within the radius, for example with max(), or give other evaluation points"
    raise DecodingError(Diagnostic(message, decoding.span, hint))


def decoders(decoding: Decoding, solution: Solution) -> Decoders:
    """The operator in the place of `decoding`."""
    return Decoders(size=decoding.size, span=decoding.span, matrix=solution.decoders, rmse=solution.rmse)


def flatten(solved: Solved, out: Array) -> None:
    """All numbers of a successful outcome, one after the other."""
    start = 0
    for s in solved.solutions:
        out[start : start + s.decoders.size] = s.decoders.ravel()
        out[start + s.decoders.size] = s.rmse
        start += s.decoders.size + 1


def flat_size(task: Task) -> int:
    """How many numbers `flatten` gives."""
    return sum(d.size * task.op.size + 1 for _, d in task.decodings)


def unflatten(task: Task, numbers: Array) -> Solved:
    """The inverse of `flatten` for the task that gave the numbers."""
    solutions, start = [], 0
    for _, decoding in task.decodings:
        stop = start + decoding.size * task.op.size
        matrix = numbers[start:stop].reshape(decoding.size, task.op.size)
        solutions.append(Solution(matrix, float(numbers[stop])))
        start = stop + 1
    return Solved(tuple(solutions))


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
