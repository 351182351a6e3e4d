"""Learning rules as clauses of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nengo
from nengo.connection import LearningRule

from spikec.nengo.writing import words
from spikec.nengo.writing.scene import Scene

KINDS: dict[type, str] = {
    nengo.PES: "pes",
    nengo.RLS: "rls",
    nengo.BCM: "bcm",
    nengo.Oja: "oja",
    nengo.Voja: "voja",
}


def name_rules(scene: Scene) -> None:
    """Enter which rules each connection has in the text, in the order in which they change its weights, and
    name what they are told: `name.pes`, `name.pes2`, ...

    All rules that change the encoders of one ensemble are those of one connection: Voja follows whatever
    comes to the ensemble, and the order of connections is that in which they are added.
    """
    encoding: dict[Any, nengo.Connection] = {}
    for conn in dict.fromkeys(scene.network.all_connections):
        for rule in _rules(conn):
            encoders = rule.modifies == "encoders"
            has = encoding.setdefault(conn.post_obj, conn) if encoders else conn
            scene.rules.setdefault(has, []).append(rule)
    for conn, found in scene.rules.items():
        found.sort(key=lambda rule: _rank(scene, rule))
        _name(scene, conn)


def _name(scene: Scene, conn: nengo.Connection) -> None:
    name = scene.labels[conn]
    counts: dict[str, int] = {}
    for rule in scene.rules[conn]:
        kind = KINDS.get(type(rule.learning_rule_type))
        if kind is None:
            scene.refuse(
                f"connection {name}: the rule {type(rule.learning_rule_type).__name__} runs in Python",
                "take PES, RLS, BCM, Oja or Voja",
            )
            scene.labels.note(rule, f"{name}.rule")
            continue
        counts[kind] = counts.get(kind, 0) + 1
        scene.labels.note(rule, f"{name}.{kind}" + (str(counts[kind]) if counts[kind] > 1 else ""))
        if kind == "rls":
            _one_error(scene, rule)


def _rules(conn: nengo.Connection) -> list[LearningRule]:
    """The rules that Nengo has for a connection."""
    found = conn.learning_rule
    if isinstance(found, dict):
        return list(found.values())
    return found if isinstance(found, list) else [found] if found else []


def _rank(scene: Scene, rule: LearningRule) -> int:
    """When the change of a rule is added to the weights, or encoders, that it changes."""
    sig, conn = scene.model.sig, rule.connection
    target = sig[conn.post_obj]["encoders"] if rule.modifies == "encoders" else sig[conn]["weights"]
    return scene.rank(sig[rule]["delta"], target)


def learning(scene: Scene, conn: nengo.Connection) -> tuple[str, str]:
    """` learning ... as ...` with the rules of a connection, and what stands after it."""
    if not (rules := scene.rules.get(conn)):
        return "", ""
    texts = [_rule(scene, rule.learning_rule_type) for rule in rules]
    told = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    after = "".join(_relayed(scene, rule) for rule in rules)
    return f" learning {told} as {scene.labels[conn]}", after


def _one_error(scene: Scene, rule: LearningRule) -> None:
    """Note a relay for what an RLS to neurons is told: the language has an error for each of them, Nengo one
    for all.
    """
    sig, name = scene.model.sig[rule], scene.labels[rule]
    (rows, columns), followed = sig["delta"].shape, sig["pre_filtered"].size
    if columns != followed or rule.size_in not in (1, rows):
        scene.refuse(
            f"{name}: RLS follows {followed} neurons and is told {rule.size_in} numbers for weights of "
            f"{rows} x {columns}, with which Nengo's own simulator fails",
            "connect from all neurons, to an ensemble or to neurons of one dimension; or take PES",
        )
    elif rule.size_in < rows:
        scene.relays[rule] = scene.labels.new(f"{name}_error".replace(".", "_"))


def _relayed(scene: Scene, rule: LearningRule) -> str:
    """The relay of what a rule is told, where it has one."""
    relay = scene.relays.get(rule)
    if relay is None:
        return ""
    rows = scene.model.sig[rule]["delta"].shape[0]
    onto = f"{scene.labels[rule]} transform ones({rows}, 1)"
    return f"\nrelay {relay}[1]\nconnect {relay} -> {onto} synapse none"


def _rule(scene: Scene, rule: Any) -> str:
    if (kind := KINDS.get(type(rule))) is None:
        return ""  # refused by `name_rules`
    given = [f"rate={words.number(float(rule.learning_rate))}"]
    names: Sequence[str] = ("post",) if kind == "voja" else ("pre",)
    names = ("pre", "post") if kind in ("bcm", "oja") else names
    names = (*names, "theta") if kind == "bcm" else names
    for end in names:
        synapse = scene.filter(getattr(rule, f"{end}_synapse"))
        given.append(f"{end}_synapse={words.synapse(synapse)}")
    if kind == "oja":
        given.append(f"beta={words.number(float(rule.beta))}")
    return f"{kind}({', '.join(given)})"
