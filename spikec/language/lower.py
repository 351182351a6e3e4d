"""The checked model to the dataflow graph.

A connection becomes   source -> Decoding or Function -> Delay -> Filter -> Product -> Sum of the target.   An
ensemble `a` is the node `a`, its input vector the sum `a.in`, currents into its neurons `a.neurons.in`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec import plasticity as pl
from spikec.errors import Diagnostic, Span
from spikec.expressions import Expression, identity
from spikec.language import elements as e
from spikec.language.lower_elements import add_element, current, encoded, passes_on, rates
from spikec.language.lower_learning import (
    add_encoded_first,
    change,
    finish_learning,
    learned_encoders,
    learned_product,
)
from spikec.language.lower_matrices import Part, dense, gather, pick, route
from spikec.language.lower_nodes import Nodes
from spikec.language.probes import STATES
from spikec.language.solving import own_decoders, placed
from spikec.language.transforms import Convolution, Sparse
from spikec.language.values import Mistake
from spikec.language.vocabulary import Synapse
from spikec.nef.distributions import DistributionError, sample
from spikec.nef.sampling import Streams
from spikec.populations import state_value

T = TypeVar("T")


class Lowering:
    """The graph under construction.

    `links`: which connection made an edge, where no synapse or delay is before it, for errors about loops.
    `mistakes`: those that only the graph shows; nothing is added after the first.
    """

    def __init__(self, graph: g.Graph) -> None:
        self.graph, self.nodes = graph, Nodes(graph)
        self.links: dict[tuple[str, str], e.Connection] = {}
        self.mistakes: list[Diagnostic] = []
        # What learned weights give, where their connection has a name.
        self.outputs: list[e.Element] = []

    def attempt(self, action: Callable[[T, Lowering], None], item: T) -> None:
        """Add something to the graph."""
        try:
            if not self.mistakes:
                action(item, self)
        except Mistake as mistake:
            self.mistakes.append(mistake.diagnostic)


def lower(model: e.CheckedModel) -> Lowering:
    """The graph of a checked model: each connection goes into it when it is checked, and is not kept."""
    lowering = Lowering(g.Graph(model.name, model.dt, model.seed, parameters=model.parameters))
    for element in model.elements:
        add_element(element, lowering.graph)
    projections = []
    for link in model.connections:
        if isinstance(link, e.Connection):
            lowering.attempt(_connection, link)
        else:
            projections.append(link)
    for projected in projections:
        lowering.attempt(_projection, projected)
    add_encoded_first(lowering.graph)
    for probe in model.probes:
        lowering.attempt(_probe, probe)
    finish_learning(lowering.outputs, lowering.graph)
    return lowering


# --------------------------------------------------------------------------------------------- elements


def _neural(element: e.Element) -> bool:
    return isinstance(element, e.Population) and element.ensemble is not None


def _value(element: e.Element) -> str:
    """The node that holds the value of an element without neurons."""
    return f"{element.path}.in" if isinstance(element, e.Population) else element.path


def _entry(piece: e.Piece, attribute: str, graph: g.Graph) -> str:
    """The sum that a connection to a piece ends in."""
    element = piece.element
    if attribute == "neurons":
        name = f"{element.path}.neurons.in"
        if name not in graph:
            graph.add(name, g.relay(piece.total, element.span))
            graph.connect(name, element.path, "J")
        return name
    # The name that the graph has already, for there may be very many; encoders that learn read it instead.
    if _neural(element) and (known := graph.inputs(element.path, "x")):
        return known[0]
    return element.path if passes_on(element) else f"{element.path}.in"


def _add_parts(link: e.Connection, lowering: Lowering) -> None:
    """Add what leads to the rules of a connection and what its weights give, and those that it is between,
    whose connection may come later.
    """
    parts = [rule.input for rule in link.learning] + [
        view.pieces[0].element for view in (link.source, link.target)
    ]
    if link.output is not None:
        lowering.outputs.append(link.output)
    for part in (*parts, link.output):
        if isinstance(part, e.RuleInput | e.LearnedOutput) and part.path not in lowering.graph:
            add_element(part, lowering.graph)


# ------------------------------------------------------------------------------------------ connections


@dataclass(frozen=True)
class _Path:
    """How each piece of a source is read: its functions, and what follows.

    `alike`: operators that were made for it, for pieces are many, and most of them alike.
    """

    name: str
    view: e.View
    functions: tuple[tuple[Expression, ...], ...] | None
    synapse: Synapse | None
    delay: int
    solver: g.Solver
    eval_points: g.Distribution | None
    targets: e.FloatArray | None = None
    alike: dict[Hashable, g.Operator] = field(default_factory=dict)

    def operator(self, key: Hashable, make: Callable[[], g.Operator]) -> g.Operator:
        """What `make` gives, or gave for that key."""
        if key not in self.alike:
            self.alike[key] = make()
        return self.alike[key]


def _connection(link: e.Connection, lowering: Lowering) -> None:
    graph = lowering.graph
    _add_parts(link, lowering)
    path = _Path(
        link.name, link.source, link.functions, link.synapse, link.delay, link.solver, link.eval_points,
        link.targets,
    )  # fmt: skip
    transform = _matrix(link)
    learns = any(w.kind == "weights" for w in link.weights)
    if link.solver.weights and not learns:
        _weights(link, transform, path, lowering)
        learned_encoders(link, graph)
        return
    # Only what learns needs all entries of a sparse transform.
    if learns and (learned := learned_product(link, graph, dense(transform))):
        size = e.rows(link.target, link.solver.weights)
        if link.output is not None:
            graph.connect(learned, link.output.path)
        node = _remember(link.name, learned, size, path, lowering.nodes, link)
        sources, transform = [Part(node, range(size), size)], None
    else:
        sources = _sources(path, lowering.nodes, link)
    targets = _targets(link, graph)
    ends = route(lowering.nodes, link.name, sources, targets, transform, link.span)
    learned_encoders(link, graph)
    if link.synapse is None and not link.delay:
        for edge in ends:
            lowering.links.setdefault(edge, link)


def _targets(link: e.Connection, graph: g.Graph) -> list[Part]:
    """The sums that a connection ends in; that of currents where it has weights to neurons."""
    if link.solver.weights:
        element = link.target.pieces[0].element
        assert isinstance(element, e.Population)
        return [Part(encoded(element, graph), range(element.neurons), element.neurons)]
    return [Part(_entry(p, link.target.attribute, graph), p.components, p.total) for p in link.target.pieces]


def _weights(link: e.Connection, transform: float | g.Matrix | None, path: _Path, lowering: Lowering) -> None:
    """From all neurons of the source to all of the target, by weights that take the place of decoders."""
    graph, (piece,), (end,) = lowering.graph, link.source.pieces, link.target.pieces
    assert isinstance(end.element, e.Population)
    target, size = end.element.path, end.element.neurons
    expressions = link.functions[0] if link.functions else ()
    op = g.Decoding(
        size=size, span=link.span, expressions=expressions, targets=link.targets,
        solver=link.solver, eval_points=link.eval_points, onto=target,
        transform=placed(link, dense(transform)),
    )  # fmt: skip
    node = graph.add(f"{link.name}.decode", op)
    graph.connect(piece.element.path, node, "activity")
    node = _remember(link.name, node, size, path, lowering.nodes, link)
    entry = encoded(end.element, graph)
    graph.connect(node, entry)
    lowering.links[node, entry] = link


def _projection(link: e.Projected, lowering: Lowering) -> None:
    graph = lowering.graph
    for k, part in enumerate(link.parts):
        name = graph.add(link.name + f".{k}" * (len(link.parts) > 1), part)
        graph.connect(link.source.path, name, "spikes")
        graph.connect(name, link.target.path, "arriving")


def _matrix(link: e.Connection) -> float | g.Matrix | None:
    """The transform as a number or matrix; random ones are drawn here, keyed by the connection's name."""
    made, shape = link.transform, (link.target.size, link.outputs)
    if isinstance(made, Sparse | Convolution):
        values = made.values
        return made.matrix(
            shape, _drawn(link, values, *made.drawn) if isinstance(values, g.Distribution) else values
        )
    return _drawn(link, made, *shape) if isinstance(made, g.Distribution) else made


def _drawn(link: e.Connection, distribution: g.Distribution, rows: int, columns: int) -> e.FloatArray:
    streams = Streams([(link.seed, link.name, "transform")])
    try:
        drawn: e.FloatArray = sample(distribution.kind, distribution.parameters, rows, columns, streams)[0]
    except DistributionError as error:
        raise Mistake(str(error), link.span, error.hint) from None
    return drawn


def _sources(path: _Path, nodes: Nodes, owner: e.Connection | e.Recorded) -> list[Part]:
    """The filtered signals of each piece, with the components of them that are taken."""
    parts = []
    several = len(path.view.pieces) > 1
    for i, piece in enumerate(path.view.pieces):
        name = f"{path.name}.{i}" if several else path.name
        functions = None if path.functions is None else path.functions[i]
        node = _read(name, i, functions, path, nodes, owner)
        size = nodes.graph.op(node).size
        node = _remember(name, node, size, path, nodes, owner)
        whole_value = functions is None and path.targets is None
        taken = piece.components if whole_value else range(size)
        parts.append(Part(node, taken, size))
    return parts


def _read(
    name: str,
    place: int,
    functions: tuple[Expression, ...] | None,
    path: _Path,
    nodes: Nodes,
    owner: e.Connection | e.Recorded,
) -> str:
    """The node of a piece's value, activity, or function of its value."""
    piece = path.view.pieces[place]
    element = piece.element
    if path.view.attribute == "neurons":
        activity = nodes.operator(
            ("activity", piece.total), lambda: g.Decoding(size=piece.total, span=owner.span, expressions=())
        )
        return nodes.after(element.path, f"{name}.activity", activity, "activity")
    if _neural(element):
        # Pieces of one function have one tuple; of given decoders each piece has its own.
        solver = own_decoders(path.solver, path.view, place)
        own = None if solver is path.solver else place
        key = ("decode", element.size if functions is None else id(functions), own)
        what = ("decode", element.size, functions, solver, path.eval_points, path.targets)
        decoding = partial(_decoding, functions, element.size, path, solver, owner)
        op = path.operator(key, lambda: nodes.operator(what, decoding))
        return nodes.after(element.path, f"{name}.decode", op, "activity")
    value = _value(element)
    if functions is None:
        return value
    function = nodes.operator(
        ("function", element.size, functions),
        lambda: g.Function(
            size=len(functions), span=owner.span, expressions=functions, arguments=element.size
        ),
    )
    return nodes.after(value, f"{name}.function", function)


def _decoding(
    functions: tuple[Expression, ...] | None,
    dims: int,
    path: _Path,
    solver: g.Solver,
    owner: e.Connection | e.Recorded,
) -> g.Decoding:
    """Without a function all of x is decoded, and sliced afterwards, so that connections share it."""
    expressions = identity(dims) if functions is None else functions
    size = len(expressions)
    if path.targets is not None:
        size, expressions = path.targets.shape[1], ()
    return g.Decoding(
        size=size, span=owner.span, expressions=expressions,
        solver=solver, eval_points=path.eval_points, targets=path.targets,
    )  # fmt: skip


def _remember(
    name: str, node: str, size: int, path: _Path, nodes: Nodes, owner: e.Connection | e.Recorded
) -> str:
    """The delay and the synapse after a node.

    Both orders are equal; in this one what crosses a cut may be as late as the delay.
    """
    if path.delay:
        delay = nodes.operator(
            ("delay", size, path.delay), lambda: g.Delay(size=size, span=owner.span, steps=path.delay)
        )
        node = nodes.after(node, f"{name}.delay", delay)
    if path.synapse is not None:
        synapse = nodes.operator(
            ("filter", size, path.synapse), partial(_filter, size, path.synapse, owner.span)
        )
        node = nodes.after(node, f"{name}.filter", synapse)
    return node


def _filter(size: int, s: Synapse, span: Span | None) -> g.Filter:
    return g.Filter(size=size, span=span, num=s.num, den=s.den, analog=s.analog, method=s.method)


# ----------------------------------------------------------------------------------------------- probes


def _probe(probe: e.Recorded, lowering: Lowering) -> None:
    view, graph, nodes = probe.source, lowering.graph, lowering.nodes
    name = f"probe {probe.name}"
    path, piece = _probe_path(name, probe), view.pieces[0]
    if isinstance(piece.element, e.LearnedWeights) and probe.synapse is None and piece.whole:
        _add_probe(probe, graph, piece.element.path, view.size, "weights", "weights")
    elif view.attribute in ("value", "neurons"):
        node, size = gather(nodes, name, _sources(path, nodes, probe), probe.span)
        _add_probe(probe, graph, node, size, "value", "x")
    elif view.attribute in ("input", "current", "weights", "rate_out") or probe.synapse is not None:
        late = probe.synapse is not None
        signals = [(_signal_of(p, view.attribute, graph, late), p) for p in view.pieces]
        parts = [
            Part(_remember(name, node, p.total, path, nodes, probe), p.components, p.total)
            for node, p in signals
        ]
        node, size = pick(nodes, name, parts, probe.span)
        attribute = {"current": "input"}.get(view.attribute, view.attribute)
        _add_probe(probe, graph, node, size, attribute if attribute in ("input", "weights") else "value", "x")
    else:
        _add_probe(probe, graph, piece.element.path, view.size, view.attribute, "neurons")


def _signal_of(piece: e.Piece, attribute: str, graph: g.Graph, late: bool) -> str:
    """The node of what goes into an element or its neurons, of their state, of weights that learn, or of what
    a rule adds to them (`late`: in the step before, as synapses read it).
    """
    element = piece.element
    if isinstance(element, e.LearnedChange):
        return change(element, graph, late)
    if attribute == "rate_out":
        return rates(graph, element.path)
    if attribute in STATES:
        return state_value(graph, element.path, piece.total, attribute)
    if attribute == "weights":
        return pl.entries(graph, element.path)
    if attribute == "current":
        return current(graph, element)
    return element.path if passes_on(element) else f"{element.path}.in"


def _probe_path(name: str, probe: e.Recorded) -> _Path:
    return _Path(name, probe.source, probe.functions, probe.synapse, 0, probe.solver, None)


def _add_probe(probe: e.Recorded, graph: g.Graph, node: str, size: int, attribute: str, port: str) -> None:
    recorded = "input" if probe.source.attribute == "current" else probe.source.attribute
    op = g.Probe(
        size=size, span=probe.span, name=probe.name, attribute=attribute, every=probe.every, unit=probe.unit,
        ideal=probe.ideal, target=probe.source.name.removesuffix(f".{recorded}"),
        neurons=_numbers(probe.source.pieces[0]) if port == "neurons" else None,
    )  # fmt: skip
    graph.add(f"probe {probe.name}", op)
    graph.connect(node, f"probe {probe.name}", port)


def _numbers(piece: e.Piece) -> NDArray[np.int64] | None:
    """The neurons that are recorded, None for all."""
    return None if piece.whole else np.array(piece.components, np.int64)
