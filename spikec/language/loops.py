"""Algebraic loops: circles of connections none of which holds a step of delay."""

from __future__ import annotations

from spikec.errors import Diagnostic
from spikec.language.elements import Connection
from spikec.language.lower import Lowering


def loops(lowering: Lowering) -> list[Diagnostic]:
    """A mistake per circle: its connections, and which of them needs a synapse."""
    if lowering.graph.is_acyclic():
        return []
    import networkx as nx

    undelayed = lowering.graph.undelayed()
    diagnostics = []
    for component in nx.strongly_connected_components(undelayed):
        part = undelayed.subgraph(sorted(component))
        if len(component) > 1 or nx.number_of_selfloops(part):
            diagnostics.append(_diagnostic(nx.find_cycle(part, source=min(component)), lowering))
    diagnostics.sort(key=lambda d: (d.span.line, d.span.column) if d.span else (0, 0))
    return diagnostics


def _diagnostic(cycle: list[tuple[str, str]], lowering: Lowering) -> Diagnostic:
    links: list[Connection] = []
    for source, target in cycle:
        link = lowering.links.get((source, target))
        if link is not None and link not in links:
            links.append(link)
    links.sort(key=lambda link: (link.span.file, link.span.line, link.span.column))
    # The last one written closes the circle.
    last = links[-1]
    names = ", ".join(repr(link.name) for link in links)
    notes = [(f"{link.name!r} has no synapse", link.span) for link in links[:-1]]
    for source, _ in cycle:
        # Part of what a relay's synapse gives is its input of the same step.
        if source.endswith(".at_once") and (span := lowering.graph.op(source.removesuffix(".at_once")).span):
            relay = source.removesuffix(".at_once")
            notes.append((f"the synapse of {relay!r} takes the input of the same step: it is no delay", span))
    return Diagnostic(
        f"algebraic loop: {names}; each needs the value of the others in the same step",
        last.span,
        f"give {last.name!r} a synapse or a delay, such as synapse lowpass(5ms)",
        tuple(notes),
    )
