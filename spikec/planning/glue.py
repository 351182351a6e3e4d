"""What keeps atoms together: who reads several of them in the step that makes their values, and where.

Notes for the error that a model cannot be cut into so many partitions.
"""

from __future__ import annotations

from typing import Any

from spikec import graph as g
from spikec.errors import Span
from spikec.nef.converted import Converted
from spikec.planning.hypergraph import Reads

Note = tuple[str, Span | None]
MOST = 5


def notes(graph: g.Graph, who: Reads) -> list[Note]:
    """For every probe and connection without a synapse that joins atoms, and every population that draws in
    turn, what it is and where it stands.

    What joins most atoms comes first; `MOST` of them at the most.
    """
    found: dict[Note, int] = {}
    for k, names in enumerate(who.readers):
        sums = [who.sums[s] for s, _ in who.sums_now.of(k)]
        if isinstance(graph.op(names[0]), g.Probe):
            atoms = sum(len(graph.inputs(s, "activity")) for s in sums)
            found[_of_probe(graph, names[0], sums)] = atoms * (atoms > 1)
        else:
            for s in sums:
                note = _of_connection(graph, names[0], s)
                found[note] = found.get(note, 0) + len(names) + len(graph.inputs(s, "activity"))
    for name, op in graph.nodes(g.Atom):
        if isinstance(op.neurons.neuron, Converted) and op.neurons.neuron.in_order:
            note = _of_stream(name, op)
            found[note] = found.get(note, 0) + 1
    joining = [note for note, atoms in found.items() if atoms]
    return sorted(joining, key=lambda note: -found[note])[:MOST]


def _of_probe(graph: g.Graph, name: str, sums: list[str]) -> Note:
    probe = graph.op(name)
    populations = dict.fromkeys(_source(graph, s) for s in sums)
    text = f"probe {probe.name!r} computes with {_several(list(populations))} without a synapse"
    return f"{text}; add one, for example: synapse 10ms", probe.span


def _of_stream(name: str, atom: g.Atom) -> Note:
    text = f"the neurons of {name.rpartition('#')[0]!r} draw from one stream of random numbers, in turn"
    return f"{text}; leave out stream=...", atom.span


def _of_connection(graph: g.Graph, atom: str, total: str) -> Note:
    op = graph.op(atom)
    text = f"{_source(graph, total)} is connected to {_named(op)} without a synapse"
    # One decoding may serve several connections: then only the ensemble's place is certain.
    place = graph.op(total) if len(graph.readers(total)) == 1 else op
    text += "; add one, for example: synapse 5ms"
    if isinstance(op, g.HostCall) and op.learns:
        text += (
            ", or if its learning rule reads them, take PES, RLS, BCM, Oja or Voja, which are cut anywhere"
        )
    return text, place.span


def _source(graph: g.Graph, total: str) -> str:
    """The population that a sum is decoded from, or the host call whose values these are."""
    return _named(graph.op(graph.inputs(total, "activity")[0]))


def _named(op: Any) -> str:
    """A population, or what is host calls."""
    return "what runs in Python" if isinstance(op, g.HostCall) else repr(op.path)


def _several(sources: list[str]) -> str:
    return ", ".join(sources[:3]) + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")
