"""Signals within connections and rules as statements: what a probe of them reads is made once more."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
from nengo.connection import LearningRule
from nengo.ensemble import Neurons

from spikec.nengo.writing import words
from spikec.nengo.writing.links import copied, is_neural
from spikec.nengo.writing.scene import Scene

# Statements that stand before a probe, and what it then records.
Found = tuple[str, str]


def chosen(obj: nengo.Probe) -> Any:
    """The components of its object that a probe records."""
    return slice(None) if obj.slice is None else obj.slice


def activity(scene: Scene, ensemble: nengo.Ensemble, part: Any, name: str) -> Found:
    """The activity of neurons.  Spikes are recorded as numbers, by a relay."""
    neurons = f"{scene.labels[ensemble]}.neurons{words.part(part, ensemble.n_neurons)}"
    if not ensemble.neuron_type.spiking:
        return "", neurons
    return _relayed(scene, neurons, len(np.arange(ensemble.n_neurons)[part]), name)


def _relayed(scene: Scene, source: str, size: int, name: str, synapse: str = "") -> Found:
    """A relay of what a source gives; with a synapse its value includes that of the same step."""
    relay = scene.labels.new(f"{name}_values".replace(".", "_"))
    return f"relay {relay}[{size}]{synapse}\nconnect {source} -> {relay} synapse none\n", relay


def rule_signal(scene: Scene, obj: nengo.Probe, name: str) -> Found | None:
    """What a learning rule is told, or an activity through the synapse that it has there."""
    rule: LearningRule = obj.obj
    if obj.attr == "error":
        return "", scene.told(rule) + words.part(chosen(obj), rule.size_in)
    if obj.attr in ("delta", "inv_gamma"):  # of matrices Nengo records no parts
        return "", f"{scene.labels[rule]}.{obj.attr}"
    kind = rule.learning_rule_type
    ends = {
        "activities": "pre", "pre_filtered": "pre", "post_filtered": "post", "theta": "theta",
    }  # fmt: skip
    end = ends.get(obj.attr)
    if end is None or obj.slice is not None:
        return None
    target = rule.connection.pre if end == "pre" else rule.connection.post
    base = target.obj if hasattr(target, "obj") else target
    ensemble = base.ensemble if isinstance(base, Neurons) else base
    part: Any = slice(None)
    if end == "pre" and isinstance(base, Neurons) and isinstance(kind, nengo.PES):
        part = rule.connection.pre_slice
    synapse = scene.filter(getattr(kind, f"{end}_synapse"))
    if synapse is None:
        return activity(scene, ensemble, part, name)
    neurons = f"{scene.labels[ensemble]}.neurons{words.part(part, ensemble.n_neurons)}"
    size = len(np.arange(ensemble.n_neurons)[part])
    return _relayed(scene, neurons, size, name, f" synapse {words.synapse(synapse)}")


def connection_signal(scene: Scene, obj: nengo.Probe, name: str) -> tuple[str, str, str] | None:
    """What goes into a connection, or comes out of it, made by a relay: statements, the relay, and a synapse
    that the probe has in its place.
    """
    conn: nengo.Connection = obj.obj
    own = words.synapse_clause(scene.filter(obj.synapse), default=False)
    if obj.attr == "input":
        pre = conn.pre_obj
        if isinstance(pre, Neurons) or is_neural(pre):
            ensemble = pre.ensemble if isinstance(pre, Neurons) else pre
            return (*activity(scene, ensemble, slice(None), name), own)
        return "", scene.labels[pre], own
    weights = scene.model.sig[conn]["weights"]
    learns = weights is not None and scene.converted.sides.learning(weights.base)
    if obj.attr != "output":
        return None
    relay = scene.labels.new(f"{name}_values".replace(".", "_"))
    size = scene.model.sig[conn]["weighted"].size
    given = f"{scene.labels[conn]}.output", "", ""
    source, clauses, before = given if learns else copied(scene, conn)
    synapse = words.synapse_clause(scene.filter(conn.synapse), default=False)
    # A probe sees what a synapse gives after the step, as a relay with one does, others what it gave before.
    after, inner = (synapse, " synapse none") if not own else ("", synapse or " synapse none")
    return f"{before}relay {relay}[{size}]{after}\nconnect {source} -> {relay}{clauses}{inner}\n", relay, own
