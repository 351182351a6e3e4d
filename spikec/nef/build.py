"""The NEF build: every described ensemble becomes neurons, every decoding a decoder matrix.

Ensembles of one description are tuned together; decoders are solved one ensemble after the other, spread over
processes, each with one BLAS thread, so that the numbers do not depend on how many processes there are nor on
what else is in the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from spikec.cache import Cache
from spikec.errors import Diagnostic, ModelError, Span
from spikec.graph import Array, Decoders, Decoding, Ensemble, Graph, Neurons, Product
from spikec.nef.distributions import DistributionError
from spikec.nef.neurons import TuningError
from spikec.nef.pool import run_all
from spikec.nef.tasks import Describer, Solved, Task, decoders, flat_size, flatten, unflatten
from spikec.nef.tuning import populations, tune
from spikec.nef.weights import build_weights

Progress = Callable[[str, int, int], None]

_RUN_NEURONS = 8000  # times dimensions, of ensembles that are tuned together
_BUNDLE_NEURONS = 4000  # of small ensembles that share one entry of the cache


def build(
    graph: Graph,
    cache: Cache | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
    keep: bool = True,
) -> Graph:
    """A copy of `graph` with `Neurons` for every `Ensemble` and `Decoders` for every `Decoding`.

    The result depends on the graph alone: not on `jobs` (processes; default: one per core) or on the cache.
    `progress(stage, done, total)` counts ensembles.  `keep`: whether `graph` is needed afterwards; else it is
    empty then.  Raises `ModelError` with all mistakes found.
    """
    describer = Describer()
    tasks = [_task(graph, name, op, describer) for name, op in graph.nodes(Ensemble)]
    tasks = [_weighted(task, graph, describer) for task in tasks]
    outcomes = _outcomes(tasks, cache, jobs, progress)
    _raise_mistakes([d for task in tasks for d in outcomes[task.name].diagnostics])
    built = graph.copy() if keep else graph.moved()
    kinds = _alike(tasks, describer)
    for task in tasks:
        for (name, decoding), solution in zip(task.decodings, outcomes.pop(task.name).solutions, strict=True):
            built.replace(name, decoders(decoding, solution))
    tasks.clear()
    for members in kinds:
        for task, neurons in zip(members, populations([task.op for task in members]), strict=True):
            built.replace(task.name, neurons)
        members.clear()
    for name, decoding in list(built.nodes(Decoding)):
        if not decoding.solved:
            built.replace(name, Decoders(size=decoding.size, span=decoding.span, matrix=None))
    scale(built)
    return built


def check_populations(graph: Graph) -> None:
    """Draw one ensemble of each description; nothing is solved.

    Raises `ModelError` with all that cannot exist.
    """
    describer = Describer()
    kinds = {describer.described(op): (name, op) for name, op in reversed(list(graph.nodes(Ensemble)))}
    diagnostics = []
    for name, op in reversed(kinds.values()):
        try:
            tune([op])
        except (TuningError, DistributionError) as error:
            diagnostics.append(Diagnostic(f"ensemble {name}: {error}", op.span, error.hint))
    _raise_mistakes(diagnostics)


def scale(graph: Graph) -> None:
    """Give neurons that are built their currents in the unit of J, and learned weights their first matrix."""
    for name, neurons in list(graph.nodes(Neurons)):
        _scale_currents(graph, name, neurons)
    build_weights(graph)


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


def _task(graph: Graph, name: str, op: Ensemble, describer: Describer) -> Task:
    readers = dict.fromkeys(reader for reader, port in graph.readers(name) if port == "activity")
    described = ((reader, graph.op(reader)) for reader in readers)
    return describer.task(
        name, op, [(reader, d) for reader, d in described if isinstance(d, Decoding) and d.solved]
    )


def _weighted(task: Task, graph: Graph, describer: Describer) -> Task:
    """A task in which solving for weights is solving for many outputs: E T f(x) instead of T f(x)."""
    if not any(decoding.onto for _, decoding in task.decodings):
        return task
    made = []
    for name, decoding in task.decodings:
        matrix = _encoders(graph.op(decoding.onto)) if decoding.onto else None
        if matrix is not None:
            matrix = matrix if decoding.transform is None else matrix @ decoding.transform
            decoding = replace(decoding, transform=matrix)
        made.append((name, decoding))
    return describer.task(task.name, task.op, made)


def _encoders(op: Ensemble) -> Array | None:
    """Scaled encoders of an ensemble; None where it cannot be, which solving for it tells."""
    try:
        return tune([op])[0].scaled_encoders
    except (TuningError, DistributionError):
        return None


def _alike(tasks: Sequence[Task], describer: Describer) -> list[list[Task]]:
    """Tasks with ensembles of one description, in runs that are tuned together."""
    kinds: dict[bytes, list[Task]] = {}
    for task in tasks:
        kinds.setdefault(describer.described(task.op), []).append(task)
    runs = []
    for members in kinds.values():
        run = max(1, _RUN_NEURONS // max(1, members[0].op.size * members[0].op.dims))
        runs += [members[first : first + run] for first in range(0, len(members), run)]
    return runs


def _outcomes(
    tasks: Sequence[Task],
    cache: Cache | None,
    jobs: int | None,
    progress: Progress | None,
) -> dict[str, Solved]:
    """Outcomes of all tasks by name, those that the cache holds from there."""
    outcomes: dict[str, Solved] = {}
    missing: list[tuple[str, list[Task]]] = []
    for key, members in _bundles(tasks) if cache else [("", list(tasks))]:
        known = _load(cache, key, members)
        outcomes.update(zip((t.name for t in members), known, strict=False))
        if not known:
            missing.append((key, members))
    total, done = len(tasks), len(outcomes)

    def report(count: int) -> None:
        if progress:
            progress("build", done + count, total)

    report(0)
    new = [task for _, members in missing for task in members]
    solved = run_all(new, jobs, report)
    outcomes.update(zip((task.name for task in new), solved, strict=True))
    if cache:
        for key, members in missing:
            _store(cache, key, members, [outcomes[task.name] for task in members])
        if missing:
            cache.trim()
    return outcomes


def _bundles(tasks: Sequence[Task]) -> Iterator[tuple[str, list[Task]]]:
    """(key, tasks) of runs of tasks with a cache entry each: one file per small ensemble would be slow.

    A run also ends where a digest says so, so that a new ensemble changes the bundle it is in and no other.
    """
    members: list[Task] = []
    digest, neurons = hashlib.sha256(), 0
    for i, task in enumerate(tasks):
        own = task.digest()
        digest.update(own)
        members.append(task)
        neurons += task.op.size
        if neurons >= _BUNDLE_NEURONS or own[0] < 8 or i == len(tasks) - 1:
            yield digest.hexdigest(), members
            members, digest, neurons = [], hashlib.sha256(), 0


def _load(cache: Cache | None, key: str, tasks: Sequence[Task]) -> list[Solved]:
    """Outcomes from the cache, or none."""
    numbers = None if cache is None else cache.get(key)
    sizes = [flat_size(task) for task in tasks] if numbers is not None else []
    if numbers is None or numbers.shape != (sum(sizes),):
        return []
    parts = np.split(numbers, np.cumsum(sizes)[:-1])
    return [unflatten(task, part) for task, part in zip(tasks, parts, strict=True)]


def _store(cache: Cache, key: str, tasks: Sequence[Task], outcomes: Sequence[Solved]) -> None:
    if any(outcome.diagnostics for outcome in outcomes):
        return
    ends = np.cumsum([flat_size(task) for task in tasks])
    numbers = np.zeros(ends[-1])
    for part, outcome in zip(np.split(numbers, ends[:-1]), outcomes, strict=True):
        flatten(outcome, part)
    cache.put(key, numbers)


def _raise_mistakes(diagnostics: list[Diagnostic]) -> None:
    """One error per mistake: an array of ensembles made by one line of the source has it once."""
    seen: dict[tuple[Span | str, str], Diagnostic] = {}
    for diagnostic in diagnostics:
        seen.setdefault((diagnostic.span or diagnostic.message, diagnostic.hint), diagnostic)
    if seen:
        raise ModelError(list(seen.values()))
