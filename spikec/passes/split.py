"""Split: every population becomes atoms of at most 256 neurons, every decoding an exact sum over them.

Atoms are the same for every number of partitions, and the unit of partitioning.  A partial sum is rounded
once to an integer multiple of 2 ** -exponent; the exponent follows from the largest value that the sum can
take.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from spikec import graph as g
from spikec import projections as pj
from spikec.errors import Span
from spikec.nef.neurons import NeuronType, unit
from spikec.store import Store

ATOM = 256
# The largest sum takes about this many bits: 2 ** -50 of it is below the rounding of float64, and the rest
# of the 63 bits is head-room for activities beyond the bound (neurons whose rate has none).
BITS_BOUNDED, BITS_UNBOUNDED = 50, 40
# Parts of gain + |bias|: neurons whose largest current is below the first are silent but for rounding; the
# largest activity is taken to be above the second, so that 8 times gain + |bias| fits.
SILENT, STEEP = 1e-9, 1 / 512


def split(graph: g.Graph, dtype: str = "float64", keep: bool = True) -> g.Graph:
    """`Neurons` and `Decoders` to `Atom` and `ExactSum`; spikes are recorded from an exact sum of the
    activity.

    dtype: the precision of what atoms hold, that of their programs or a higher one.
    keep: whether `graph` is needed afterwards; else it is empty then, and every population goes with its
    arrays as soon as its atoms are made.
    """
    result, store = graph.copy() if keep else graph.moved(), Store()
    for name in [name for name, _ in result.nodes(g.Neurons)]:
        neurons = result.op(name)
        cells = isinstance(neurons, pj.Cells)
        recorded = [r for r, port in result.readers(name) if port == "neurons"]
        recorded = [r for r in recorded if getattr(result.op(r), "attribute", "") == "spikes"]
        if cells:
            targets = [r for r, port in result.readers(name) if port == "spikes"]
            spikes = _spikes(result, name) if recorded or targets else None
            _read_from(result, name, spikes, targets, "spikes")
        else:
            spikes = _activity(result, name) if recorded else None
        _read_from(result, name, spikes, recorded, "x")
        _split_one(result, name, neurons, spikes if cells else None, dtype, store)
    for name, call in list(result.nodes(g.HostCall)):
        _place(result, name, call)
    for name, function in list(result.nodes((g.TimeFunction, g.Function))):
        if function.call:
            _call(result, name, function)
    return result


def _place(graph: g.Graph, name: str, call: g.HostCall) -> None:
    """What a host call gives becomes a signal of its own, which other partitions may read.

    Probes record numbers, and not their bits: they read them through a sum.
    """
    value, probed = f"{name}.value", f"{name}.probed"
    read = [(reader, port) for reader, port in graph.readers(name) if port != "after"]
    if not read:
        return
    graph.replace(name, replace(call, targets=(value,)))
    graph.add(value, g.HostValue(size=call.size, span=call.span))
    recorded = [reader for reader, _ in read if isinstance(graph.op(reader), g.Probe)]
    if recorded:
        graph.add(probed, g.Sum(size=call.size))
        graph.connect(value, probed)
    for reader in dict.fromkeys(reader for reader, _ in read):
        ports = [port for other, port in graph.readers(name) if other == reader]
        graph.disconnect(name, reader)
        for port in ports:
            graph.connect(name if port == "after" else probed if reader in recorded else value, reader, port)
    graph.connect(name, value, "activity")


def _call(graph: g.Graph, name: str, function: g.TimeFunction | g.Function) -> None:
    """The node of a function is what a host call of its own gives; probes read it as in `_place`."""
    call, probed = f"{name}.call", f"{name}.probed"
    arguments = getattr(function, "arguments", 0)
    size, span = function.size, function.span
    graph.add(
        call, g.HostCall(size=size, span=span, call=function.call, arguments=arguments, targets=(name,))
    )
    for source in graph.inputs(name):
        graph.disconnect(source, name)
        graph.connect(source, call)
    graph.replace(name, g.HostValue(size=size, span=span, function=True))
    recorded = [r for r, _ in graph.readers(name) if isinstance(graph.op(r), g.Probe)]
    if recorded:
        graph.connect(name, graph.add(probed, g.Sum(size=size)))
        _read_from(graph, name, probed, recorded, "x")
    graph.connect(call, name, "activity")


def _read_from(graph: g.Graph, name: str, source: str | None, readers: list[str], port: str) -> None:
    """Let all `readers` of `name` read `source` instead, on `port`."""
    for reader in sorted(set(readers)):
        graph.disconnect(name, reader)
        graph.connect(str(source), reader, port)


def _spikes(graph: g.Graph, name: str) -> str:
    return graph.add(f"{name}.spikes", pj.Spikes(size=graph.op(name).size))


def _activity(graph: g.Graph, name: str) -> str:
    """The node of the activity itself: the one that connections from the neurons read, where there is one."""
    for reader, port in graph.readers(name):
        if port == "activity" and graph.op(reader).matrix is None:
            return reader
    activity = graph.add(f"{name}.activity", g.Decoders(size=graph.op(name).size, matrix=None))
    graph.connect(name, activity, "activity")
    return activity


def _split_one(
    graph: g.Graph, name: str, neurons: g.Neurons, spikes: str | None, dtype: str, store: Store
) -> None:
    decoders = [(r, graph.op(r)) for r, port in graph.readers(name) if port == "activity"]
    probes = [r for r, port in graph.readers(name) if port == "neurons"]
    states = [r for r in probes if isinstance(graph.op(r), g.StateValue)]
    inputs = graph.input_ports(name)
    bound = activity_bound(neurons, graph.dt)
    graph.remove(name)
    exponents = [_exponent(neurons, op.matrix, bound) for _, op in decoders]
    for (target, op), exponent in zip(decoders, exponents, strict=True):
        graph.replace(target, _exact_sum(op.size, op.span, exponent))
    shared: dict[str, Any] = {
        "path": neurons.path,
        "neurons": _population(neurons),
        "span": neurons.span,
        "targets": (*(target for target, _ in decoders), *states),
        "rows": _rows(
            *(None if op.matrix is None else len(op.matrix) for _, op in decoders), *[0] * len(states)
        ),
    }
    factor = unit(neurons.neuron, graph.dt)
    blocks = [
        (op.matrix, factor * 2.0**exponent)
        for (_, op), exponent in zip(decoders, exponents, strict=True)
        if op.matrix is not None
    ]
    driven = any(port == "x" for _, port in inputs)
    for k, start in enumerate(range(0, neurons.size, ATOM)):
        stop = min(neurons.size, start + ATOM)
        rows = _numbers(neurons, start, stop, driven, blocks)
        numbers = store.array((sum(map(len, rows)), stop - start), dtype)
        np.concatenate(rows, out=numbers, casting="unsafe")
        path = graph.add(f"{name}#{k}", g.Atom(size=stop - start, start=start, numbers=numbers, **shared))
        for source, port in inputs:
            graph.connect(source, path, port)
        for target, _ in decoders:
            graph.connect(path, target, "activity")
        if spikes is not None:
            graph.connect(path, spikes, "activity")
        for reader in probes:
            graph.connect(path, reader, "activity" if reader in states else "neurons")


@lru_cache(maxsize=1024)
def _exact_sum(size: int, span: Span | None, exponent: int) -> g.ExactSum:
    """One object for all that are alike, as those of an array are."""
    return g.ExactSum(size=size, span=span, exponent=exponent)


@lru_cache(maxsize=1024)
def _rows(*counts: int | None) -> tuple[int | None, ...]:
    """One object for all that are alike here too."""
    return counts


def _population(neurons: g.Neurons) -> g.Population:
    """What atoms need to know of their population: not its arrays."""
    if isinstance(neurons, pj.Cells):
        return neurons
    made = _alike(neurons.size, neurons.dims, neurons.neuron, neurons.seed)
    return replace(made, initial_state=neurons.initial_state) if neurons.initial_state else made


@lru_cache(maxsize=1024)
def _alike(size: int, dims: int, neuron: NeuronType, seed: int) -> g.Population:
    return g.Population(size=size, dims=dims, neuron=neuron, seed=seed)


def _numbers(
    neurons: g.Neurons, start: int, stop: int, driven: bool, blocks: list[tuple[g.Array, float]]
) -> list[g.Array]:
    """Scaled encoders, where there is an input, bias, and decoders of some neurons: rows of these.

    blocks: decoders with what they are multiplied by, to be in units of their sums.
    """
    if isinstance(neurons, pj.Cells):
        return [np.zeros((0, stop - start))]
    rows = [neurons.bias[None, start:stop], *(matrix[:, start:stop] * factor for matrix, factor in blocks)]
    if driven:
        gains = neurons.gain[start:stop] / neurons.radius
        rows.insert(0, (neurons.encoders[start:stop] * gains[:, None]).T)
    return rows


def activity_bound(neurons: g.Neurons, dt: float) -> g.Array:
    """The largest activity (Hz) of every neuron while |x| <= radius; where rates have no bound, more can
    occur: several radii away those of steep neurons are far larger, and those of others first begin.
    """
    scale = np.abs(neurons.gain) * np.linalg.norm(neurons.encoders, axis=1)
    within, beyond = scale + neurons.bias, scale + np.abs(neurons.bias)
    silent = within <= SILENT * beyond
    return neurons.neuron.max_activity(dt, np.where(silent, beyond, np.maximum(within, beyond * STEEP)))


def _exponent(neurons: g.Neurons, matrix: g.Array | None, bound: g.Array) -> int:
    largest = float(bound.max(initial=0.0) if matrix is None else (np.abs(matrix) @ bound).max(initial=0.0))
    bits = BITS_BOUNDED if neurons.neuron.bounded else BITS_UNBOUNDED
    return bits - math.ceil(math.log2(largest)) if largest > 0 else bits
