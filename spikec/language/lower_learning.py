"""Connections that learn to the dataflow graph: weights with their rules, and what these read.

activity -> Learned (W) -> synapse -> ... -> target        for rules that change decoders or weights
input of an ensemble -> Learned (E) -> its current J        for rules that change encoders
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikec import changes as ch
from spikec import graph as g
from spikec import plasticity as pl
from spikec.expressions import identity
from spikec.language import elements as e
from spikec.language.lower_matrices import Part, gather
from spikec.language.lower_nodes import Nodes
from spikec.language.solving import placed
from spikec.language.vocabulary import Synapse


def learned_product(link: e.Connection, graph: g.Graph, transform: float | e.FloatArray | None) -> str | None:
    """The node W x of a connection whose weights learn, None where they do not."""
    learned = [rule for rule in link.learning if not isinstance(rule.rule, pl.Voja)]
    if not learned:
        return None
    source: e.Element = link.source.pieces[0].element
    assert isinstance(source, e.Population | e.Cells)
    decoded = link.source.attribute != "neurons"
    name = next(weights.path for weights in link.weights if weights.kind == "weights")
    size, columns = e.rows(link.target, link.solver.weights), source.neurons if decoded else link.source.size
    op = pl.Weights(
        size=size, columns=columns, span=link.span, rules=tuple(rule.rule for rule in learned),
        transform=transform if decoded and not link.solver.weights else None,
        initial=None if decoded else np.asarray(transform),
    )  # fmt: skip
    graph.add(name, op)
    if decoded:
        graph.add(f"{link.name}.decode", _decoding(link, transform))
        graph.connect(source.path, f"{link.name}.decode", "activity")
        graph.connect(f"{link.name}.decode", name, "decoders")
    for k, rule in enumerate(learned):
        _read(link, graph, name, k, rule)
    product = graph.add(f"{link.name}.learned", pl.Learned(size=size, span=link.span))
    graph.connect(name, product, "weights")
    graph.connect(_presynaptic(graph, link), product)
    return product


def _decoding(link: e.Connection, transform: float | e.FloatArray | None) -> g.Decoding:
    """What the weights are solved for at the beginning."""
    functions = () if link.functions is None else link.functions[0]
    if link.functions is None and link.targets is None:
        (piece,) = link.source.pieces
        whole = identity(piece.element.size)
        functions = tuple(whole[k] for k in piece.components)
    weights = link.solver.weights
    return g.Decoding(
        size=e.rows(link.target, True) if weights else link.outputs, span=link.span, expressions=functions,
        targets=link.targets, solver=link.solver, eval_points=link.eval_points,
        onto=link.target.pieces[0].element.path if weights else "",
        transform=placed(link, transform) if weights else None,
    )  # fmt: skip


def _read(link: e.Connection, graph: g.Graph, weights: str, k: int, rule: e.LearningRule) -> None:
    """Connect what rule k of some weights reads."""
    target = link.target.pieces[0].element
    for port, synapse in rule.synapses.items():
        node = _presynaptic(graph, link) if port == "pre" else _activity(graph, target, link)
        graph.connect(_filtered(graph, node, synapse, f"{weights}.{k}.{port}", link), weights, f"{port}.{k}")
    if "error" not in rule.rule.reads:
        return
    neural = link.target.attribute == "neurons"
    part = link.target.pieces[0]
    rows = e.rows(link.target, link.solver.weights)
    # RLS is told an error for each row, PES one to be encoded for each neuron.
    encoded = isinstance(rule.rule, pl.PES) and (neural or link.solver.weights)
    size = target.size if neural and encoded else link.target.size if encoded else rows
    # Where the connection has no name, nothing leads to its rules.
    error = (
        rule.input.path if rule.input else graph.add(f"{weights}.{k}.error", g.Sum(size=size, span=link.span))
    )
    if encoded:
        if not neural and not part.whole:
            # An error of some dimensions is 0 in the others.
            taken = np.eye(target.size)[:, list(part.components)]
            widened = g.Product(size=target.size, span=link.span, matrix=taken)
            graph.connect(error, graph.add(f"{weights}.{k}.whole", widened))
            error = f"{weights}.{k}.whole"
        chosen = tuple(part.components) if neural and not part.whole else None
        encoding = pl.Encoding(size=rows, span=link.span, rows=chosen)
        by_neuron = graph.add(f"{weights}.{k}.encoded", encoding)
        graph.connect(target.path, by_neuron, "encoders")
        graph.connect(error, by_neuron)
        error = by_neuron
    graph.connect(error, weights, f"error.{k}")


def learned_encoders(link: e.Connection, graph: g.Graph) -> None:
    """Let the encoders of the target learn.  All that comes to the ensemble goes through them."""
    for rule in link.learning:
        if not isinstance(rule.rule, pl.Voja):
            continue
        target = link.target.pieces[0].element
        assert isinstance(target, e.Population)
        name = f"{target.path}.encoders"
        if name not in graph:
            _replace_encoders(graph, target, name, link)
        op: pl.Weights = graph.op(name)
        k = len(op.rules)
        graph.replace(name, replace(op, rules=(*op.rules, rule.rule)))
        graph.connect(f"{target.path}.in", name, f"pre.{k}")
        node = _filtered(
            graph, _activity(graph, target, link), rule.synapses["post"], f"{name}.{k}.post", link
        )
        graph.connect(node, name, f"post.{k}")
        if rule.input:
            graph.connect(rule.input.path, name, f"learning.{k}")


def _replace_encoders(graph: g.Graph, target: e.Population, name: str, link: e.Connection) -> None:
    weights = pl.Weights(size=target.neurons, columns=target.size, span=link.span, rules=())
    graph.connect(target.path, graph.add(name, weights), "encoders")
    product = graph.add(f"{target.path}.encoded", pl.Learned(size=target.neurons, span=link.span))
    graph.connect(name, product, "weights")
    graph.connect(f"{target.path}.in", product)
    graph.disconnect(f"{target.path}.in", target.path)
    graph.connect(product, target.path, "encoded")


def add_encoded_first(graph: g.Graph) -> None:
    """Let what encoders that learn give be added before all else that is added to the currents.

    Probes of currents come after this: they take what is added to the neurons as it is then.
    """
    for name, _ in list(graph.nodes(pl.Learned)):
        if (others := f"{name}.in") in graph and name.endswith(".encoded"):
            graph.disconnect(name, name.removesuffix(".encoded"))
            graph.connect(name, others, place=0)


def finish_learning(outputs: list[e.Element], graph: g.Graph) -> None:
    """What can be made when all is known of which encoders learn, and of what is read of learned weights."""
    _encode_by_learned(graph)
    ch.feed(graph)
    for output in outputs:
        if not graph.readers(output.path):
            graph.remove(output.path)


def change(element: e.LearnedChange, graph: g.Graph, late: bool) -> str:
    """The node of what a rule adds to weights, or of P of an RLS; `finish_learning` connects it."""
    weights = element.weights.path
    number = next(k for k, rule in enumerate(graph.op(weights).rules) if rule is element.rule)
    return (ch.inverse if element.inverse else ch.change)(graph, weights, number, late)


def _encode_by_learned(graph: g.Graph) -> None:
    """Let errors for neurons of an ensemble be encoded by what its encoders are now, where these learn."""
    for name, op in list(graph.nodes(pl.Encoding)):
        (target,) = graph.inputs(name, "encoders")
        learned = f"{target}.encoders"
        if op.by != "encoders" or learned not in graph:
            continue
        product = pl.Learned(size=graph.op(learned).size, span=op.span)
        graph.disconnect(target, name)
        if op.rows is None:
            graph.replace(name, product)
            graph.connect(learned, name, "weights")
            continue
        (error,) = graph.inputs(name, "x")
        graph.disconnect(error, name)
        graph.add(f"{name}.all", product)
        graph.connect(learned, f"{name}.all", "weights")
        graph.connect(error, f"{name}.all")
        taken = np.eye(product.size)[list(op.rows)]
        graph.replace(name, g.Product(size=op.size, span=op.span, matrix=taken))
        graph.connect(f"{name}.all", name)


def _presynaptic(graph: g.Graph, link: e.Connection) -> str:
    """The activity that a connection learns from: of all neurons of its source, or of those that it names."""
    (piece,) = link.source.pieces
    node = _activity(graph, piece.element, link)
    if link.source.attribute != "neurons" or piece.whole:
        return node
    if (name := f"{link.name}.chosen.join") not in graph:
        gather(Nodes(graph), f"{link.name}.chosen", [Part(node, piece.components, piece.total)], link.span)
    return name


def _activity(graph: g.Graph, element: e.Element, link: e.Connection) -> str:
    """The activity of all neurons of an element: one node for all that learns from it."""
    name = f"{element.path}.activity"
    if name not in graph:
        assert isinstance(element, e.Population | e.Cells)
        graph.add(name, g.Decoding(size=element.neurons, span=link.span, expressions=()))
        graph.connect(element.path, name, "activity")
    return name


def _filtered(graph: g.Graph, node: str, synapse: Synapse | None, name: str, link: e.Connection) -> str:
    if synapse is None:
        return node
    size, s = graph.op(node).size, synapse
    graph.add(
        name, g.Filter(size=size, span=link.span, num=s.num, den=s.den, analog=s.analog, method=s.method)
    )
    graph.connect(node, name)
    return name
