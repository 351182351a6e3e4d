"""Learning rules as clauses of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nengo
from nengo.connection import LearningRule
from nengo.ensemble import Neurons

from spikec.nengo.writing import words
from spikec.nengo.writing.scene import Scene

KINDS: dict[type, str] = {
    nengo.PES: "pes",
    nengo.RLS: "rls",
    nengo.BCM: "bcm",
    nengo.Oja: "oja",
    nengo.Voja: "voja",
}


def name_rules(scene: Scene, conn: nengo.Connection) -> None:
    """Name what the rules of a connection are told: `name.pes`, `name.pes2`, ..."""
    name = scene.labels[conn]
    counts: dict[str, int] = {}
    for rule in _ordered(scene, conn):
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


def _ordered(scene: Scene, conn: nengo.Connection) -> list[LearningRule]:
    """The rules of a connection, in the order in which they change its weights."""
    found = conn.learning_rule
    rules = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else [found]

    def rank(rule: LearningRule) -> int:
        delta = scene.model.sig[rule]["delta"]
        target = scene.model.sig[conn]["weights"]
        if rule.modifies == "encoders":
            target = scene.model.sig[conn.post_obj]["encoders"]
        return scene.rank(delta, target)

    return sorted(rules, key=rank)


def learning(scene: Scene, conn: nengo.Connection) -> str:
    """` learning ...` with the rules of a connection."""
    if isinstance(conn.post_obj, Neurons) and any(
        isinstance(rule.learning_rule_type, nengo.RLS) for rule in _ordered(scene, conn)
    ):
        scene.refuse(
            f"connection {scene.labels[conn]}: RLS learns decoders in the language, not weights to neurons",
            "connect to the ensemble itself, or take PES",
        )
    texts = [_rule(scene, rule.learning_rule_type) for rule in _ordered(scene, conn)]
    return f" learning {texts[0]}" if len(texts) == 1 else f" learning [{', '.join(texts)}]"


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
