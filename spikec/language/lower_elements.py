"""Elements of a checked model to operators: an ensemble `a` is the node `a`, its input the sum `a.in`."""

from __future__ import annotations

from dataclasses import replace

from spikec import graph as g
from spikec import plasticity as pl
from spikec.language import elements as e
from spikec.language.lower_sources import add_noise, filter_of, source
from spikec.nef.converted import Converted
from spikec.program.synapses import add_at_once


def add_element(element: e.Element, graph: g.Graph) -> None:
    path = element.path
    match element:
        case e.Input() if isinstance(element.source, e.WhiteNoise):
            add_noise(element.source, path, element.size, element.span, graph)
        case e.Input():
            graph.add(path, source(element, graph.dt))
        case e.Population():
            entry = graph.add(f"{path}.in", g.relay(element.size, element.span))
            if element.ensemble is not None:
                graph.add(path, element.ensemble)
                graph.connect(entry, path)
                _noise(element, graph)
        case e.Cells():
            graph.add(path, element.op)
        case e.FunctionNode():
            _function_node(element, graph)
        case e.Relay() | e.RuleInput() | e.LearnedOutput():
            graph.add(path, g.Sum(size=element.size, span=element.span))
            if not passes_on(element):
                _at_once(element, graph)


def _function_node(element: e.FunctionNode, graph: g.Graph) -> None:
    path, count = element.path, element.arguments
    op = g.Function(size=element.size, span=element.span, expressions=element.expressions, arguments=count)
    if count:
        graph.add(f"{path}.in", g.Sum(size=count, span=element.span))
    graph.add(path, op)
    if count:
        graph.connect(f"{path}.in", path)


def _at_once(element: e.Element, graph: g.Graph) -> None:
    """A synapse that includes the input of the same step: a part of that, and a filter of those before."""
    assert isinstance(element, e.Relay)
    assert element.synapse is not None
    path, span, size = element.path, element.span, element.size
    graph.add(f"{path}.in", g.Sum(size=size, span=span))
    add_at_once(graph, path, f"{path}.in", filter_of(element.synapse, size, span))


def _noise(element: e.Population, graph: g.Graph) -> None:
    """Noise is added to J of every neuron: a gain does not change it, as in Nengo."""
    if element.noise is not None:
        made = e.Input(f"{element.path}.noise", element.neurons, element.span, element.noise)
        add_element(made, graph)
        graph.connect(made.path, encoded(element, graph))


def encoded(element: e.Population, graph: g.Graph) -> str:
    """The sum of what is added to J as it is."""
    name = f"{element.path}.encoded.in"
    if name not in graph:
        graph.add(name, g.relay(element.neurons, element.span))
        graph.connect(name, element.path, "encoded")
    return name


def passes_on(element: e.Element) -> bool:
    """Whether the value of an element is what arrives at it."""
    made_here = isinstance(element, e.RuleInput | e.LearnedOutput)
    return made_here or (isinstance(element, e.Relay) and element.synapse is None)


def current(graph: g.Graph, element: e.Element) -> str:
    """The node of the current J of all neurons, of what has been connected to them by now."""
    path, name = element.path, f"{element.path}.current"
    if name in graph:
        return name
    graph.add(name, g.relay(e.neurons_of(element), element.span))
    pl.add_current(graph, path, name)
    return name


def rates(graph: g.Graph, population: str) -> str:
    """The node of the rates of which neurons send spikes: the activity of a population of the base type that
    is given the same.
    """
    name = f"{population}~rates"
    if name not in graph:
        op: g.Ensemble = graph.op(population)
        assert isinstance(op.neuron, Converted)
        base = op.neuron.base
        state = tuple((variable, value) for variable, value in op.initial_state if variable in base.state)
        graph.add(name, replace(op, neuron=base, initial_state=state))
        for source, port in graph.input_ports(population):
            graph.connect(source, name, port)
        activity = g.Decoding(size=op.size, span=op.span, expressions=())
        graph.connect(name, graph.add(f"{name}.activity", activity), "activity")
    return f"{name}.activity"
