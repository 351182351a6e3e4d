"""The NEF build: every described ensemble becomes neurons, every decoding a decoder matrix.

Ensembles are independent of each other, so they are spread over processes; each is solved with one BLAS
thread, so that its numbers do not depend on how many processes there are nor on what else is in the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from spikec.cache import Cache
from spikec.errors import Diagnostic, ModelError, Span
from spikec.graph import Decoders, Decoding, Ensemble, Graph, Neurons, Product
from spikec.nef.pool import run_all
from spikec.nef.tasks import Built, Task, decoders, flat_size, flatten, unflatten

Progress = Callable[[str, int, int], None]

_BUNDLE_NEURONS = 4000  # of small ensembles that share one entry of the cache


def build(
    graph: Graph, cache: Cache | None = None, jobs: int | None = None, progress: Progress | None = None
) -> Graph:
    """A copy of `graph` with `Neurons` for every `Ensemble` and `Decoders` for every `Decoding`.

    The result depends on the graph alone: not on `jobs` (processes; default: one per core) or on the cache.
    `progress(stage, done, total)` counts ensembles.  Raises `ModelError` with all mistakes found.
    """
    tasks = [_task(graph, name, op) for name, op in graph.nodes(Ensemble)]
    outcomes = _outcomes(tasks, cache, jobs, progress)
    _raise_mistakes([d for outcome in outcomes for d in outcome.diagnostics])
    built = graph.copy()
    for task, outcome in zip(tasks, outcomes, strict=True):
        assert outcome.neurons is not None
        built.replace(task.name, replace(outcome.neurons, span=task.op.span))
        for (name, decoding), solution in zip(task.decodings, outcome.solutions, strict=True):
            built.replace(name, decoders(decoding, solution))
    for name, decoding in graph.nodes(Decoding):
        if not decoding.expressions:
            built.replace(name, Decoders(size=decoding.size, span=decoding.span, matrix=None))
    for name, neurons in list(built.nodes(Neurons)):
        _scale_currents(built, name, neurons)
    return built


def _scale_currents(graph: Graph, name: str, neurons: Neurons) -> None:
    """Multiply currents into neurons by their gains, as in Nengo: J = gain (e . x + current) + bias."""
    sources = graph.inputs(name, "J")
    if sources:
        import scipy.sparse as sp
    for k, source in enumerate(sources):
        gains = Product(
            size=neurons.size, span=neurons.span, matrix=sp.diags_array(neurons.gain, format="csr")
        )
        scaled = graph.add(f"{name}.neurons.current" + f".{k}" * (k > 0), gains)
        graph.connect(source, scaled)
        ports = [port for other, port in graph.input_ports(name) if other == source and port != "J"]
        graph.disconnect(source, name)
        for port in ports:
            graph.connect(source, name, port)
        graph.connect(scaled, name, "J")


def _task(graph: Graph, name: str, op: Ensemble) -> Task:
    readers = dict.fromkeys(reader for reader, port in graph.readers(name) if port == "activity")
    described = ((reader, graph.op(reader)) for reader in readers)
    return Task(
        name, op, tuple((reader, d) for reader, d in described if isinstance(d, Decoding) and d.expressions)
    )


def _outcomes(
    tasks: Sequence[Task], cache: Cache | None, jobs: int | None, progress: Progress | None
) -> list[Built]:
    """Outcomes of all tasks in their order, those that the cache holds from there."""
    total, done = len(tasks), 0
    outcomes: dict[int, Built] = {}
    missing: list[tuple[str, list[int]]] = []
    for key, members in _bundles(tasks) if cache else [("", list(range(total)))]:
        known = _load(cache, key, [tasks[i] for i in members])
        outcomes.update(zip(members, known, strict=False))
        if not known:
            missing.append((key, members))
    done = len(outcomes)

    def report(count: int) -> None:
        if progress:
            progress("build", done + count, total)

    report(0)
    indices = [i for _, members in missing for i in members]
    outcomes.update(zip(indices, run_all([tasks[i] for i in indices], jobs, report), strict=True))
    if cache:
        for key, members in missing:
            _store(cache, key, [outcomes[i] for i in members])
        if missing:
            cache.trim()
    return [outcomes[i] for i in range(total)]


def _bundles(tasks: Sequence[Task]) -> Iterator[tuple[str, list[int]]]:
    """(key, indices) of runs of tasks with a cache entry each: one file per small ensemble would be slow.

    A run also ends where a digest says so, so that a new ensemble changes the bundle it is in and no other.
    """
    members: list[int] = []
    digest, neurons = hashlib.sha256(), 0
    for i, task in enumerate(tasks):
        own = task.digest()
        digest.update(own)
        members.append(i)
        neurons += task.op.size
        if neurons >= _BUNDLE_NEURONS or own[0] < 8 or i == len(tasks) - 1:
            yield digest.hexdigest(), members
            members, digest, neurons = [], hashlib.sha256(), 0


def _load(cache: Cache | None, key: str, tasks: Sequence[Task]) -> list[Built]:
    """Outcomes from the cache, or none."""
    numbers = None if cache is None else cache.get(key)
    sizes = [flat_size(task) for task in tasks] if numbers is not None else []
    if numbers is None or numbers.shape != (sum(sizes),):
        return []
    outcomes, offset = [], 0
    for task, size in zip(tasks, sizes, strict=True):
        outcomes.append(unflatten(task, numbers[offset : offset + size]))
        offset += size
    return outcomes


def _store(cache: Cache, key: str, outcomes: Sequence[Built]) -> None:
    if not any(outcome.diagnostics for outcome in outcomes):
        cache.put(key, np.concatenate([flatten(outcome) for outcome in outcomes]))


def _raise_mistakes(diagnostics: list[Diagnostic]) -> None:
    """One error per mistake: an array of ensembles made by one line of the source has it once."""
    seen: dict[tuple[Span | str, str], Diagnostic] = {}
    for diagnostic in diagnostics:
        seen.setdefault((diagnostic.span or diagnostic.message, diagnostic.hint), diagnostic)
    if seen:
        raise ModelError(list(seen.values()))
