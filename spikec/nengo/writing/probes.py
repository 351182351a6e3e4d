"""Probes as statements of the language."""

from __future__ import annotations

import nengo
import numpy as np
from nengo.connection import LearningRule
from nengo.ensemble import Neurons

from spikec.nengo.writing import words
from spikec.nengo.writing.links import decoded, is_neural
from spikec.nengo.writing.scene import Scene
from spikec.nengo.writing.signals import activity, connection_signal, rule_signal
from spikec.nengo.writing.signals import chosen as _slice

# Constants of more numbers are not recorded again and again.
MOST_WEIGHTS = 100_000
STATES = ("voltage", "refractory_time", "adaptation", "recovery", "rate_out")


def probe(scene: Scene, obj: nengo.Probe) -> tuple[str, str]:
    """A probe with what must stand before it: (`probe WHAT ...`, statements or nothing)."""
    name = scene.labels[obj]
    before, what, clauses = _probed(scene, obj, name)
    if obj.sample_every is not None and float(obj.sample_every) / scene.model.dt > 1:
        clauses += f" every {words.time(float(obj.sample_every))}"
    state = f".{obj.attr}" if obj.attr in STATES else ""
    written = "" if name == what + state else f" as {name}"
    return f"probe {what}{clauses}{written}", before


def _probed(scene: Scene, obj: nengo.Probe, name: str) -> tuple[str, str, str]:
    """Statements before the probe, what it records, and its clauses."""
    target, synapse = obj.obj, words.synapse_clause(scene.filter(obj.synapse), default=False)
    if isinstance(target, Neurons):
        return _neurons(scene, obj, name, synapse)
    if isinstance(target, nengo.Node) or (
        isinstance(target, nengo.Ensemble) and obj.attr == "decoded_output"
    ):
        what = scene.labels[target] + words.part(_slice(obj), target.size_out)
        if is_neural(target):
            return (
                "",
                what,
                decoded(scene, _made_for(scene, obj), f"{scene.labels[target]}.decoders") + synapse,
            )
        return "", what, synapse
    if isinstance(target, nengo.Ensemble) and obj.attr == "input":
        return "", f"{scene.labels[target]}.input" + words.part(_slice(obj), target.size_in), synapse
    if isinstance(target, LearningRule) and (found := rule_signal(scene, obj, name)):
        return (*found, synapse)
    if isinstance(target, nengo.Connection) and (made := connection_signal(scene, obj, name)):
        return made
    return _matrix(scene, obj, name, synapse)


def _matrix(scene: Scene, obj: nengo.Probe, name: str, synapse: str) -> tuple[str, str, str]:
    """Weights and encoders: those that are learned, or constant."""
    if obj.slice is None and (learned := _learned(scene, obj)):
        return "", learned, synapse
    if _constant(scene, obj):
        return (*_presented(scene, obj, name), synapse)
    _refuse(scene, obj, name)
    return "", name, ""


def _constant(scene: Scene, obj: nengo.Probe) -> bool:
    """Whether a probe is of weights or encoders that do not learn."""
    key = {"weights": "weights", "scaled_encoders": "encoders"}.get(obj.attr)
    signal = scene.model.sig[obj.obj].get(key) if key else None
    return signal is not None and signal.size <= MOST_WEIGHTS and scene.converted.sides.table.constant(signal)


def _presented(scene: Scene, obj: nengo.Probe, name: str) -> tuple[str, str]:
    """Weights that do not learn as a constant input, row after row, and its name."""
    label = scene.labels.new(f"{name}_values".replace(".", "_"))
    key = "weights" if obj.attr == "weights" else "encoders"
    values = np.ravel(scene.model.sig[obj.obj][key].initial_value)
    return f"input {label} = {scene.files.text(label, values)}\n", label


def _made_for(scene: Scene, obj: nengo.Probe) -> nengo.Connection:
    """The connection that Nengo's builder made for a probe of what is decoded."""
    made = [c for c in scene.model.params if isinstance(c, nengo.Connection) and c.post_obj is obj]
    return made[0]


def _neurons(scene: Scene, obj: nengo.Probe, name: str, synapse: str) -> tuple[str, str, str]:
    """Activity or state of neurons.  Spikes without a synapse are recorded as numbers, by a relay."""
    ensemble = obj.obj.ensemble
    brackets = words.part(_slice(obj), ensemble.n_neurons)
    neurons = f"{scene.labels[ensemble]}.neurons{brackets}"
    if obj.attr in STATES:
        return "", neurons if brackets else scene.labels[ensemble], f" {obj.attr}{synapse}"
    if obj.attr == "input":
        return "", f"{scene.labels[ensemble]}.neurons.input{brackets}", synapse
    if obj.attr not in ("output", "spikes", "rates"):
        _refuse(scene, obj, name)
        return "", neurons, ""
    if synapse:
        return "", neurons, synapse
    return (*activity(scene, ensemble, _slice(obj), name), "")


def _learned(scene: Scene, obj: nengo.Probe) -> str:
    """What is learned, where a probe is of that: `name.weights`, `name.encoders`."""
    if isinstance(obj.obj, nengo.Connection) and obj.attr == "weights":
        changes = scene.converted.sides.learning(scene.model.sig[obj.obj]["weights"].base)
        return f"{scene.labels[obj.obj]}.weights" if changes else ""
    if obj.attr == "scaled_encoders":
        target = obj.obj.connection.post_obj if isinstance(obj.obj, LearningRule) else obj.obj
        for conn, rules in scene.rules.items():
            if conn.post_obj is target and any(rule.modifies == "encoders" for rule in rules):
                return f"{scene.labels[conn]}.encoders"
    return ""


def _refuse(scene: Scene, obj: nengo.Probe, name: str) -> None:
    kinds = {LearningRule: "a learning rule", nengo.Ensemble: "an ensemble", Neurons: "neurons"}
    kind = kinds.get(type(obj.obj), f"a {type(obj.obj).__name__.lower()}")
    filtered = " through a synapse" if obj.synapse is not None else ""
    hint = "leave the probe out, or record what the object is connected to"
    scene.refuse(f"probe {name}: the {obj.attr} of {kind} cannot be recorded{filtered} in the language", hint)
