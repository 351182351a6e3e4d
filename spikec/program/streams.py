"""Streams of random numbers: the stages of what is drawn from them, and those of neurons that draw.

A stream of NumPy's is state, which every partition that draws from it goes through as a whole; one of our own
follows from key and step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from spikec import graph as g
from spikec.errors import InvalidGraph
from spikec.nef.converted import Converted, StochasticSpiking
from spikec.nef.draws import drawn
from spikec.program import layout as la
from spikec.program.stages import Ints, ints, joined

# Numbers of a stream, and of one of our own (as in `spike_runtime.ops.streams`).
LENGTH, OWN_LENGTH = 627, 4
# Numbers of 32 bits that a neuron takes whose rate is rounded at random.
WORDS = 2


def draws(operators: Sequence[tuple[str, g.Draws, Ints]], dt: float) -> list[tuple[la.Draws, list[str]]]:
    """A stage for each kind of draw with its nodes, of nodes with the components that are needed of each."""
    kinds: dict[str, list[tuple[str, g.Draws, Ints, tuple[float, ...]]]] = {}
    for name, op, chosen in operators:
        kind, parameters = drawn(op.distribution, op.size)
        kinds.setdefault(kind, []).append((name, op, chosen, parameters))
    return [
        (_stage(kind, members, dt), [name for name, *_ in members]) for kind, members in sorted(kinds.items())
    ]


def _stage(kind: str, members: Sequence[tuple[str, g.Draws, Ints, tuple[float, ...]]], dt: float) -> la.Draws:
    table, numbers, first, p = [], [], 0, 0
    streams: dict[str, int] = {}
    for name, op, chosen, parameters in members:
        stop, end = first + (LENGTH if op.numpy else OWN_LENGTH), p + 1 + len(parameters)
        table.append((op.size, first, stop, not op.numpy, p, end, len(chosen)))
        # As Nengo computes the factor: the last bit counts.
        numbers.append(np.array([1.0 / np.sqrt(dt) if op.scale else 1.0, *parameters]))
        if op.numpy:
            streams[name] = first
        first, p = stop, end
    arrays = {
        "keys": np.array([_key(op) for _, op, _, _ in members], np.uint64),
        "table": ints(table),
        "parameters": joined(numbers, np.float64),
        "columns": joined([chosen for _, _, chosen, _ in members], np.int64),
    }
    state = {"streams": np.zeros(first, np.int64)}
    return la.Draws(f"drawn_{kind}", arrays, state, len(members), kind, streams)


def _key(op: g.Draws) -> int:
    if op.numpy:
        return op.seed
    digest = hashlib.sha256(f"{op.seed}\0{op.key}\0draws".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def of_populations(atoms: Sequence[tuple[str, g.Atom]]) -> tuple[Ints, dict[str, int]]:
    """Of atoms whose populations draw from streams of NumPy's: rows of (where the stream is, numbers to skip
    before and after the atom), and where that of each population is.

    Raises `InvalidGraph` where the neurons of a population must be together or in order, and are not.
    """
    rows = []
    done: dict[str, int] = {}
    last = {_population(path): path for path, _ in atoms}
    streams = {population: LENGTH * k for k, population in enumerate(last)}
    for path, atom in atoms:
        population = _population(path)
        before, stop = done.get(population, 0), atom.start + atom.size
        if atom.start < before or (atom.start > before and not _skips(atom)):
            raise InvalidGraph(f"{path}: neurons of {population} that draw in order are apart")
        left = atom.neurons.size - stop if path == last[population] and _skips(atom) else 0
        rows.append((streams[population], WORDS * (atom.start - before), WORDS * left))
        done[population] = stop
    return ints(rows), streams


def _population(path: str) -> str:
    return path.rpartition("#")[0]


def _skips(atom: g.Atom) -> bool:
    """Whether every neuron draws equally many numbers, so that those of others can be passed over."""
    return isinstance(atom.neurons.neuron, StochasticSpiking)


def streamed(atom: g.Atom) -> bool:
    """Whether the population of an atom draws from a stream of NumPy's."""
    neuron = atom.neurons.neuron
    return isinstance(neuron, Converted) and neuron.stream is not None
