"""The arrays of a group of atoms: tables of offsets, parameters, encoders and decoders of a neuron type."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.errors import InvalidGraph
from spikec.nef import neurons as nt
from spikec.nef.converted import Converted, PoissonSpiking, StochasticSpiking
from spikec.nef.izhikevich import Izhikevich
from spikec.program import layout as la
from spikec.program import membranes
from spikec.program.membranes import Kept, initial
from spikec.program.stages import VECTOR
from spikec.program.streams import LENGTH, of_populations, streamed

# From this many rows on it is cheaper to add the decoders of the few neurons that spiked than to multiply
# by zeros (64,000 LIF of 8 dimensions: 2.2 ns per neuron-step gathered, 2.7 dense; at 4 rows 1.3 and 1.2).
GATHER_ROWS = 8


def parameters(neuron: nt.NeuronType, dt: float) -> tuple[float, ...]:
    """Parameters p[1], p[2], ... of the kernel of a neuron type (p[0] is set for each atom)."""
    match neuron:
        case Converted():
            return parameters(neuron.base, dt)
        case nt.AdaptiveLIF():
            step = neuron.inc_n * neuron.amplitude / dt
            return (dt, *membranes.lines(neuron, dt), neuron.min_voltage, neuron.tau_n, step)
        case nt.LIF():
            return (dt, *membranes.lines(neuron, dt), neuron.min_voltage)
        case nt.AdaptiveLIFRate():
            return (dt, neuron.tau_rc, neuron.tau_ref, neuron.amplitude, neuron.tau_n, neuron.inc_n)
        case nt.LIFRate():
            return (dt, neuron.tau_rc, neuron.tau_ref, neuron.amplitude)
        case nt.SpikingRectifiedLinear():
            return (dt,)
        case nt.RectifiedLinear():
            return (dt, neuron.amplitude)
        case nt.Sigmoid() | nt.Tanh():
            return (dt, neuron.tau_ref)
        case Izhikevich():
            return (dt, neuron.tau_recovery, neuron.coupling, neuron.reset_voltage, neuron.reset_recovery)
    raise InvalidGraph(f"no kernel for neurons of type {type(neuron).__name__}")


def neuron_group(
    name: str,
    kept: Kept,
    atoms: Sequence[tuple[str, g.Atom]],
    graph: g.Graph,
    places: Callable[[str], np.ndarray],
    sum_rows: dict[str, int],
    dtype: str,
) -> la.NeuronGroup:
    """The stage of all `atoms`, which are of one neuron type, `kept` alike (parameters may differ)."""
    own, neuron = [atom for _, atom in atoms], atoms[0][1].neurons.neuron
    table = np.empty((len(atoms), 11), np.int64)
    scales = np.empty((len(atoms), 1 + len(parameters(neuron, graph.dt))), dtype)
    n = e = d = 0
    for k, (path, atom) in enumerate(atoms):
        ports = {port: source for source, port in graph.input_ports(path)}
        count, dims = atom.decoded, len(atom.encoders)
        x = int(places(ports["x"])[0]) if "x" in ports else 0
        current = int(places(ports["J"])[atom.start]) if "J" in ports else -1
        dense = [t for t, decoded in zip(atom.targets, atom.rows, strict=True) if decoded]
        activity, scale = _activity(atom, graph, sum_rows)
        first = sum_rows[dense[0]] if dense else 0
        table[k] = (n, atom.size, dims, x, e, count, d, first, _gathers(atom), current, activity)
        scales[k] = (scale, *parameters(atom.neurons.neuron, graph.dt))
        n, e, d = n + atom.size, e + atom.size * dims, d + atom.size * count
    arrays = {"atoms": table, "parameters": scales}
    if isinstance(neuron, (StochasticSpiking, PoissonSpiking)):
        arrays["keys"] = np.array([_key(atom) for atom in own], np.uint64)
    numbers = {
        "encoders": la.Joined(lambda: (in_vectors(atom.encoders, dtype) for atom in own), e, dtype),
        "bias": la.Joined(lambda: (atom.bias for atom in own), n, dtype),
        "decoders": la.Joined(lambda: (a.block.T if _gathers(a) else a.block for a in own), d, dtype),
    }
    begun = any(atom.neurons.initial_state for atom in own) or membranes.REST in kept.rows
    first_state = (np.zeros if begun else la.zeros)((len(kept.rows), n), dtype)
    state: dict[str, NDArray[Any]] = {"neurons": first_state}
    streams: dict[str, int] = {}
    if streamed(own[0]):
        arrays["drawn"], streams = of_populations(atoms)
        state["streams"] = np.zeros(LENGTH * len(streams), np.int64)
    members = dict(zip((path for path, _ in atoms), table[:, 0].tolist(), strict=True))
    for path, atom in atoms if begun else ():
        first = members[path]
        first_state[:, first : first + atom.size] = initial(atom, kept.rows, graph.dt, dtype)
    return la.NeuronGroup(name, arrays, state, len(atoms), kept.kind, kept.rows, members, numbers, streams)


def in_vectors(encoders: NDArray[np.floating], dtype: str) -> NDArray[np.floating]:
    """Encoders (dims x neurons) as kernels walk through them: dims x neurons of one vector after the other;
    the last has those that are left.
    """
    dims, count = encoders.shape
    lanes = VECTOR // np.dtype(dtype).itemsize
    whole = count - count % lanes
    blocks = encoders[:, :whole].reshape(dims, whole // lanes, lanes).swapaxes(0, 1)
    return np.concatenate([blocks.ravel(), encoders[:, whole:].ravel()])


def _gathers(atom: g.Atom) -> bool:
    """Whether decoders are stored neuron after neuron: only those that spiked are read."""
    return atom.decoded >= GATHER_ROWS and atom.neurons.neuron.spiking


def _key(atom: g.Atom) -> int:
    """What keys the random numbers of an atom, or seeds the stream of its population."""
    neurons = atom.neurons
    if streamed(atom):
        return int(neurons.neuron.stream)  # type: ignore[attr-defined]
    digest = hashlib.sha256(f"{neurons.seed}\0{atom.path}\0spikes {atom.start}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def _activity(atom: g.Atom, graph: g.Graph, sum_rows: dict[str, int]) -> tuple[int, float]:
    """Row of the sum that takes this atom's activity itself (-1: none), and its units of activity."""
    targets = [t for t, count in zip(atom.targets, atom.rows, strict=True) if count is None]
    if not targets:
        return -1, 0.0
    if len(targets) > 1:
        raise InvalidGraph(f"the activity of {atom.path} is summed twice: {targets}")
    per_unit = nt.unit(atom.neurons.neuron, graph.dt)
    return sum_rows[targets[0]] + atom.start, per_unit * 2.0 ** graph.op(targets[0]).exponent
