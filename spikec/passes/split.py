"""Split: every population becomes atoms of at most 256 neurons, every decoding an exact sum over them.

Atoms are the same for every number of partitions, and the unit of partitioning.  A partial sum is rounded
once to an integer multiple of 2 ** -exponent; the exponent follows from the largest value that the sum can
take.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from spikec import graph as g
from spikec import projections as pj

ATOM = 256
# The largest sum takes about this many bits: 2 ** -50 of it is below the rounding of float64, and the rest
# of the 63 bits is head-room for activities beyond the bound (neurons whose rate has none).
BITS_BOUNDED, BITS_UNBOUNDED = 50, 40


def split(graph: g.Graph) -> g.Graph:
    """`Neurons` and `Decoders` to `Atom` and `ExactSum`; spikes are recorded from an exact sum of the
    activity.
    """
    result = graph.copy()
    for name, neurons in list(result.nodes(g.Neurons)):
        cells = isinstance(neurons, pj.Cells)
        recorded = [r for r, port in result.readers(name) if port == "neurons"]
        recorded = [r for r in recorded if result.op(r).attribute == "spikes"]
        if cells:
            targets = [r for r, port in result.readers(name) if port == "spikes"]
            spikes = _spikes(result, name) if recorded or targets else None
            _read_from(result, name, spikes, targets, "spikes")
        else:
            spikes = _activity(result, name) if recorded else None
        _read_from(result, name, spikes, recorded, "x")
        _split_one(result, name, neurons, spikes if cells else None)
    for name, call in list(result.nodes(g.HostCall)):
        _place(result, name, call)
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


def _split_one(graph: g.Graph, name: str, neurons: g.Neurons, spikes: str | None) -> None:
    decoders = [(r, graph.op(r)) for r, port in graph.readers(name) if port == "activity"]
    probes = [r for r, port in graph.readers(name) if port == "neurons"]
    inputs = graph.input_ports(name)
    bound = activity_bound(neurons, graph.dt)
    graph.remove(name)
    for target, op in decoders:
        graph.replace(
            target, g.ExactSum(size=op.size, span=op.span, exponent=_exponent(neurons, op.matrix, bound))
        )
    for k, start in enumerate(range(0, neurons.size, ATOM)):
        stop = min(neurons.size, start + ATOM)
        atom = g.Atom(
            size=stop - start,
            span=neurons.span,
            neurons=neurons,
            start=start,
            targets=tuple(target for target, _ in decoders),
            decoders=tuple(None if op.matrix is None else op.matrix[:, start:stop] for _, op in decoders),
        )
        path = graph.add(f"{name}#{k}", atom)
        for source, port in inputs:
            graph.connect(source, path, port)
        for target, _ in decoders:
            graph.connect(path, target, "activity")
        if spikes is not None:
            graph.connect(path, spikes, "activity")
        for probe in probes:
            graph.connect(path, probe, "neurons")


def activity_bound(neurons: g.Neurons, dt: float) -> g.Array:
    """The largest activity (Hz) of every neuron while |x| <= radius; where rates have no bound, more can
    occur.
    """
    scale = np.abs(neurons.gain) * np.linalg.norm(neurons.encoders, axis=1)
    return neurons.neuron.max_activity(dt, scale + np.abs(neurons.bias))


def _exponent(neurons: g.Neurons, matrix: g.Array | None, bound: g.Array) -> int:
    largest = float(bound.max(initial=0.0) if matrix is None else (np.abs(matrix) @ bound).max(initial=0.0))
    bits = BITS_BOUNDED if neurons.neuron.bounded else BITS_UNBOUNDED
    return bits - math.ceil(math.log2(largest)) if largest > 0 else bits
