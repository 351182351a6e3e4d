"""`learning` clauses: the rules of a connection, what they need of its ends, and what they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from spikec import plasticity as pl
from spikec.errors import Span
from spikec.language import elements as e
from spikec.language import syntax as s
from spikec.language import vocabulary as v
from spikec.language.evaluate import evaluate_one_of, kind_of
from spikec.language.scope import Scope, suggestion
from spikec.language.signatures import Parameter, bind
from spikec.language.values import Entry, Mistake, Record, Value, together
from spikec.records import dataclass

_RATE = Parameter("rate", least=0.0)
_PRE, _POST = (Parameter(f"{end}_synapse", kind="any") for end in ("pre", "post"))
# What each rule takes, and its rate where none is given, as in Nengo.
RULES: dict[str, tuple[type[pl.Rule], float, tuple[Parameter, ...]]] = {
    "pes": (pl.PES, 1e-4, (_RATE, _PRE)),
    "rls": (pl.RLS, 1e-3, (_RATE, _PRE)),
    "bcm": (pl.BCM, 1e-9, (_RATE, _PRE, _POST, Parameter("theta_synapse", kind="any"))),
    "oja": (pl.Oja, 1e-6, (_RATE, _PRE, _POST, Parameter("beta", least=0.0))),
    "voja": (pl.Voja, 1e-2, (_RATE, _POST)),
}
# Rules that follow an error, and those that change weights between neurons.
_ERROR, _NEURAL = ("pes", "rls"), ("bcm", "oja")
_THETA = v.Synapse((1.0,), (1.0, 1.0))


@dataclass(frozen=True, eq=False)
class Ends:
    """A connection that learns: its ends, and the path of its name, "" where it has none.

    `matrix`: whether its transform is one; `weights`: whether it is solved for weights to neurons.
    """

    source: e.View
    target: e.View
    matrix: bool
    weights: bool
    path: str


def rules(clause: s.Expr, scope: Scope, ends: Ends) -> tuple[e.LearningRule, ...]:
    """The rules of a clause: one, or a list of them.  Raises `Mistake`."""
    written = clause.items if isinstance(clause, s.List) else (clause,)
    if not written:
        raise Mistake("there is no rule", clause.span, "write learning pes(rate=1e-4)")
    found = together(partial(_rule, one, scope, ends) for one in written)
    names: dict[str, int] = {}
    made = []
    for rule, inputs, synapses, span in found:
        count = names[rule.kind] = names.get(rule.kind, 0) + 1
        name = rule.kind + (str(count) if count > 1 else "")
        path = f"{ends.path}.{name}"
        entry = e.RuleInput(path, inputs, span) if inputs and ends.path else None
        made.append(e.LearningRule(name, rule, synapses, entry))
    return tuple(made)


def _rule(expr: s.Expr, scope: Scope, ends: Ends) -> tuple[pl.Rule, int, dict[str, v.Synapse | None], Span]:
    value = evaluate_one_of(expr, scope, "learning rule", RULES)
    if not isinstance(value, Record) or value.name not in RULES:
        name = value.name if isinstance(value, Record) else kind_of(value)
        raise Mistake(f"{name} is not a learning rule", expr.span, suggestion(name, list(RULES)))
    kind, rate, parameters = RULES[value.name]
    given = bind(value, parameters)
    _CHECKS[value.name](value.name, ends, expr.span)
    synapses = _synapses(value.name, given)
    filtered = tuple(port for port, synapse in synapses.items() if synapse is not None)
    options = {"beta": given["beta"]} if "beta" in given else {}
    rule = kind(rate=given.get("rate", rate), filtered=filtered, **options)
    return rule, _inputs(value.name, ends), synapses, expr.span


def _synapses(kind: str, given: dict[str, Any]) -> dict[str, v.Synapse | None]:
    """The synapse of every activity that a rule reads; that of post is that of pre where it is not given."""

    def read(name: str, default: v.Synapse | None) -> v.Synapse | None:
        entry: Entry | None = given.get(f"{name}_synapse")
        return default if entry is None else v.synapse(entry.value, entry.span)

    pre = read("pre", v.DEFAULT_SYNAPSE)
    if kind == "voja":
        return {"post": read("post", v.DEFAULT_SYNAPSE)}
    if kind in _ERROR:
        return {"pre": pre}
    both = {"pre": pre, "post": read("post", pre)}
    return {**both, "theta": read("theta", _THETA)} if kind == "bcm" else both


def _inputs(kind: str, ends: Ends) -> int:
    """How many numbers may be connected to a rule.  RLS has no encoders between: an error for each row."""
    if kind == "rls":
        return e.rows(ends.target, ends.weights)
    if kind in _ERROR:
        return ends.target.pieces[0].element.size if ends.target.attribute == "neurons" else ends.target.size
    return int(kind == "voja")


# --------------------------------------------------------------------------------------------- the ends


def _whole_population(view: e.View) -> bool:
    """Whether a view is all of one ensemble, or all of its neurons."""
    (piece, *others) = view.pieces
    return not others and piece.whole and e.neuron_of(piece.element) is not None


def _of_one_population(view: e.View) -> bool:
    """Whether a view is of one ensemble, or of its neurons: all or a part."""
    return len(view.pieces) == 1 and e.neuron_of(view.pieces[0].element) is not None


def _learns_weights(kind: str, ends: Ends, span: Span) -> None:
    """From neurons of one population.  Raises `Mistake`."""
    neurons = ends.source.attribute == "neurons"
    if not _of_one_population(ends.source):
        raise Mistake(
            f"{kind} learns from the neurons of one ensemble; {ends.source.name!r} is not one",
            span,
            "connect from an ensemble with neurons; of an array, write a connection for each element",
        )
    if neurons and not ends.matrix:
        raise Mistake(
            f"{kind} changes a matrix of weights, which a connection from neurons does not have",
            span,
            f"give it one: transform zeros({ends.target.size}, {ends.source.size})",
        )


def _error(kind: str, ends: Ends, span: Span) -> None:
    _learns_weights(kind, ends, span)
    if kind == "rls" or ends.target.attribute != "neurons":
        return
    encoded = isinstance(ends.target.pieces[0].element, e.Population)
    if not encoded or not _of_one_population(ends.target):
        raise Mistake(
            f"{kind} cannot learn weights to {ends.target.name!r}",
            span,
            "connect to neurons of one ensemble",
        )


def _neural(kind: str, ends: Ends, span: Span) -> None:
    both = (ends.source, ends.target)
    if not ends.weights and not all(view.attribute == "neurons" and _whole_population(view) for view in both):
        hint = "connect a.neurons -> b.neurons with a matrix, or add solver lstsq_l2(weights=true)"
        raise Mistake(f"{kind} changes weights from neurons to neurons", span, hint)
    _learns_weights(kind, ends, span)


def _encoders(kind: str, ends: Ends, span: Span) -> None:
    if ends.target.attribute != "value" or not _of_one_population(ends.target):
        raise Mistake(
            f"{kind} changes the encoders of an ensemble; {ends.target.name!r} has none",
            span,
            "connect to one ensemble with neurons",
        )


_CHECKS: dict[str, Callable[[str, Ends, Span], None]] = {
    **dict.fromkeys(_ERROR, _error),
    **dict.fromkeys(_NEURAL, _neural),
    "voja": _encoders,
}


# ---------------------------------------------------------------------------------------------- its name


# What may be recorded of a rule, as Nengo calls it; the second of RLS alone.
DELTA, INVERSE = "delta", "inv_gamma"


def change_of(
    link: e.Connection, path: str, parts: Sequence[s.Attribute | s.Subscript], span: Span
) -> e.View | None:
    """`learned.pes.delta`, what a rule adds to the weights in a step, and `learned.rls.inv_gamma`; None for
    other parts.
    """
    words = [part.name for part in parts[:2] if isinstance(part, s.Attribute)]
    rule = next((r for r in link.learning if words[:1] == [r.name]), None)
    if rule is None or words[1:] not in ([DELTA], [INVERSE]):
        return None
    inverse = words[1] == INVERSE
    if inverse and not isinstance(rule.rule, pl.RLS):
        return None
    kind = "encoders" if isinstance(rule.rule, pl.Voja) else "weights"
    weights = next(w for w in link.weights if w.kind == kind)
    size = (weights.size // e.rows(link.target, link.solver.weights)) ** 2 if inverse else weights.size
    name = f"{path}.{rule.name}.{words[1]}"
    change = e.LearnedChange(name, size, weights.span, weights, rule.rule, inverse)
    return e.View(name, (_all(change),), "weights", span)


def part_of(link: e.Connection, path: str, part: s.Attribute, as_target: bool, span: Span) -> e.View:
    """`learned.pes`, what a rule is told; `learned.output`, what the weights give; `learned.weights` to be
    recorded.  Raises `Mistake`.
    """
    rule = next((r for r in link.learning if r.name == part.name), None)
    matrices = {w.kind: w for w in link.weights}
    if rule is None and part.name == "output" and link.output is not None:
        if as_target:
            raise Mistake(f"{path}.output cannot be connected to", part.span, "connect to the target itself")
        return e.View(f"{path}.output", (_all(link.output),), "value", span)
    if rule is None and part.name not in matrices:
        known = [*(r.name for r in link.learning), *matrices, *(["output"] if link.output else [])]
        raise Mistake(f"{path!r} has no part {part.name!r}", part.span, suggestion(part.name, known))
    name = f"{path}.{part.name}"
    record = f"record what it learned: probe {path}.{next(iter(matrices))}"
    if rule is None:
        if as_target:
            raise Mistake(f"{name!r} cannot be connected to", part.span, record)
        return e.View(name, (_all(matrices[part.name]),), "weights", span)
    if rule.input is None:
        hint = f"{rule.rule.kind} follows activities only" if as_target else record
        raise Mistake(f"{name!r} is told nothing", part.span, hint)
    return e.View(name, (_all(rule.input),), "value", span)


def _all(element: e.Element) -> e.Piece:
    return e.Piece(element, range(element.size), element.size)


def matrices(link_name: str, ends: Ends, found: Sequence[e.LearningRule]) -> tuple[e.LearnedWeights, ...]:
    """The matrices that rules change: weights of the connection, by its own name where it has one, and
    encoders of its target.
    """
    made = []
    span = ends.source.span
    if any(not isinstance(r.rule, pl.Voja) for r in found):
        neurons = ends.source.attribute == "neurons"
        columns = ends.source.size if neurons else e.neurons_of(ends.source.pieces[0].element)
        path = f"{ends.path or link_name}.weights"
        made.append(e.LearnedWeights(path, e.rows(ends.target, ends.weights) * columns, span, "weights"))
    if any(isinstance(r.rule, pl.Voja) for r in found):
        element = ends.target.pieces[0].element
        path = f"{element.path}.encoders"
        made.append(e.LearnedWeights(path, element.size * e.neurons_of(element), span, "encoders"))
    return tuple(made)


def output(ends: Ends, found: Sequence[e.LearningRule]) -> e.LearnedOutput | None:
    """What the weights of a connection with a name give; None where rules change encoders only."""
    if not ends.path or all(isinstance(r.rule, pl.Voja) for r in found):
        return None
    return e.LearnedOutput(f"{ends.path}.output", e.rows(ends.target, ends.weights), ends.source.span)


def is_matrix(transform: Any) -> bool:
    """Whether a transform has an entry for every pair of neurons."""
    return transform is not None and not isinstance(transform, float | Value)
