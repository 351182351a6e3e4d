"""What a model takes in memory while it is compiled, known before anything of it is allocated.

Bytes at the peak, above those of the compiler itself.  The figures were measured, kind by kind, as slopes
over the size of a model; a test compares their sum with the peak of whole compilations.
"""

from __future__ import annotations

import os
from pathlib import Path

from spikec.errors import Span
from spikec.expressions import Expression
from spikec.graph import Ensemble
from spikec.language.context import Context
from spikec.language.elements import Population, View
from spikec.nef.solvers import memory as solve_memory
from spikec.nef.tuning import point_count

ATOM_NEURONS = 256

# Objects of the graph, of the plan and of the manifest: for each ensemble, and for each run of 256 neurons.
ENSEMBLE = 1000
ATOM = 700
# For each neuron: encoder (for each dimension), bias, in float32; and while it is tuned, which so many are at
# a time, or all of one population.
NEURON_DIMENSION = 4
NEURON = 4
TUNED, MOST_TUNED = 24, 8_000
# For each evaluation point and dimension, of the ensembles that are solved for at a time, which have so many.
POINT, MOST_POINTS = 16, 30_000
# For each number decoded and neuron: decoders, their atoms' blocks, and those of the program.
DECODER = 20
# For each entry of a matrix that is full; what is mostly 0 takes more for each entry that is not.
FULL_ENTRY = 34
SPARSE_ENTRY = 150
# For each number of learned weights that is recorded through a synapse, and of what changes them.
FILTERED_ENTRY = 48
# For each operator of a connection, each end of one, and each sample of a recording or process.
OPERATOR = 500
EDGE = 150
SAMPLE = 52
# For each sample of all tables but one, of those that are computed one after the other.
KEPT_SAMPLE = 12


def available() -> int:
    """Bytes of this machine's memory, or those that its control group may take where they are fewer."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(file).read_text(encoding="ascii")))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return total


def populations(neurons: float, dims: float, count: float) -> float:
    """`count` ensembles of so many neurons and dimensions."""
    objects = ENSEMBLE + ATOM * max(1.0, neurons / ATOM_NEURONS)
    return count * (objects + neurons * (NEURON + NEURON_DIMENSION * dims))


def evaluation(neurons: float, dims: float, count: float, points: float) -> float:
    """What of those that are tuned or solved for at a time is not kept: encoders, gains and biases, and the
    evaluation points (0: the default number) with values.
    """
    points = (points or max(750.0, 2.0 * neurons)) * dims
    tuned = TUNED * min(count * neurons * dims, max(neurons * dims, MOST_TUNED))
    return tuned + POINT * min(count * points, max(points, MOST_POINTS))


def matrix(entries: float, filled: float | None = None) -> float:
    """A matrix of so many entries, of which `filled` (None: all) are not 0."""
    if filled is None or 4 * filled >= entries:
        return FULL_ENTRY * entries
    return 8.0 * entries + SPARSE_ENTRY * filled


def plan_reading(
    view: View, functions: tuple[tuple[Expression, ...], ...] | None, context: Context, span: Span
) -> None:
    """Count what is decoded for a connection or probe: decoders, and for a moment the solve for them.

    The plain value of an ensemble is decoded once, whoever reads it.  Raises `Mistake` where it does not fit.
    """
    if view.attribute != "value":
        return
    for k, piece in enumerate(view.pieces):
        element = piece.element
        if not isinstance(element, Population) or element.ensemble is None:
            continue
        outputs = element.size if functions is None else len(functions[k])
        if functions is None and element.path in context.decoded:
            continue
        if functions is None:
            context.decoded.add(element.path)
        size = OPERATOR + DECODER * float(outputs) * element.neurons
        context.plan(size, span, _solve(element.ensemble, outputs))


def _solve(op: Ensemble, outputs: int) -> float:
    return float(solve_memory(op.size, point_count(op, op.eval_points), outputs))
