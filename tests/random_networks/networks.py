"""`network`: the random Nengo network of a seed."""

from __future__ import annotations

from typing import Any

from converted import nengo
from nengo.ensemble import Neurons
from nengo.exceptions import NengoException

from random_networks import parts
from random_networks.draw import Draw
from random_networks.semantic import semantic


def network(seed: int) -> nengo.Network:
    """Nodes, ensembles and networks, connected at random; what Nengo refuses is left out."""
    draw = Draw(seed)
    with nengo.Network(seed=draw.below(1000)) as made:
        if draw.chance(0.3):
            made.config[nengo.Ensemble].max_rates = nengo.dists.Uniform(50, 100)
        if draw.chance(0.2):
            made.config[nengo.Connection].synapse = draw.synapse(delays=True)
        objects = _objects(draw)
        for _ in range(draw.below(12, 2)):
            _connect(draw, objects)
        for obj in objects:
            if isinstance(obj, nengo.Node) and draw.chance(0.5):
                nengo.Probe(
                    draw.part(obj, obj.size_out), synapse=draw.synapse(), sample_every=parts.sampling(draw)
                )
        if not made.all_probes:
            nengo.Probe(objects[-1])
    return made


def _objects(draw: Draw) -> list[Any]:
    """What is connected, in the order in which it is computed within a step."""
    makers = [parts.node] * draw.below(4, 1) + [parts.ensemble] * draw.below(5, 1)
    makers += [parts.array] * draw.chance(0.25) + [parts.network] * draw.chance(0.35)
    makers += [parts.convolved] * draw.chance(0.12) + [semantic] * draw.chance(0.07)
    return [obj for make in makers for obj in make(draw)]


def _connect(draw: Draw, objects: list[Any]) -> None:
    """One connection, perhaps with a rule and with probes.

    Only those from what is before to what is after need no synapse: circles have one.
    """
    first, second = draw.below(len(objects)), draw.below(len(objects))
    source, target = objects[first], objects[second]
    if not source.size_out or not target.size_in:
        return
    pre, post = draw.part(source, source.size_out), draw.part(target, target.size_in)
    own, other = (getattr(obj, "ensemble", obj) for obj in (source, target))
    synapse = draw.synapse(delays=first >= second or own is other)
    try:
        made = nengo.Connection(pre, post, synapse=synapse, **_arguments(draw, pre, post))
        _teach(draw, made, [obj for obj in objects if not isinstance(obj, Neurons)])
    except NengoException:  # not all goes with all
        return
    if draw.chance(0.2):
        nengo.Probe(made, draw.pick("output", "input"), synapse=draw.pick(None, 0.01))


def _arguments(draw: Draw, pre: Any, post: Any) -> dict[str, Any]:
    source, target = (getattr(view, "obj", view) for view in (pre, post))
    neurons = isinstance(source, Neurons)
    represents = _represents(source)
    given: dict[str, Any] = {}
    columns = pre.size_out
    if not neurons and draw.chance(0.4):
        columns = draw.below(4, 1)
        given["function"] = draw.function(columns)
    scale = 0.006 / columns**0.5 if neurons else 0.3
    if columns != post.size_in or neurons or draw.chance(0.4):
        given["transform"] = draw.transform(post.size_in, columns, scale, not represents)
    if represents and draw.chance(0.35):
        weights = _represents(target) and post is target and draw.chance(0.4)
        given["solver"] = draw.solver(weights, source.n_neurons, columns)
        if given["solver"].weights:
            given["transform"] = draw.normal(post.size_in, columns, scale=scale)
    if represents and draw.chance(0.1):
        given["eval_points"] = draw.normal(80, source.dimensions)
        given["scale_eval_points"] = draw.chance(0.5)
    return given


def _represents(obj: Any) -> bool:
    """Whether it is an ensemble with neurons."""
    return isinstance(obj, nengo.Ensemble) and not isinstance(obj.neuron_type, nengo.Direct)


def _teach(draw: Draw, made: Any, sources: list[Any]) -> None:
    """Let a connection learn, if it may."""
    pre, post = made.pre_obj, made.post_obj
    if (
        (_represents(pre) or isinstance(pre, Neurons))
        and draw.chance(0.35)
        and not isinstance(made.transform, nengo.Sparse)
    ):
        between = isinstance(pre, Neurons) or made.solver.weights
        made.learning_rule_type = draw.rule(between)
        rules = made.learning_rule if isinstance(made.learning_rule, list) else [made.learning_rule]
        for rule in rules:
            _probe_rule(draw, rule)
            told = [obj for obj in sources if obj.size_out == rule.size_in]
            if rule.size_in and told:
                nengo.Connection(draw.pick(*told), rule, synapse=draw.synapse(delays=True))
        if draw.chance(0.6):
            nengo.Probe(made, "weights", sample_every=0.005)
    elif _represents(post) and made.post == post and draw.chance(0.2):
        made.learning_rule_type = nengo.Voja(learning_rate=1e-3, post_synapse=draw.pick(0.005, 0.02))
        _probe_rule(draw, made.learning_rule)


def _probe_rule(draw: Draw, rule: Any) -> None:
    if draw.chance(0.5):
        nengo.Probe(rule, draw.pick(*rule.probeable), sample_every=draw.pick(None, 0.01))


__all__ = ["network"]
