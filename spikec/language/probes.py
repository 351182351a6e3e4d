"""`probe` statements: what is recorded, of what, how often, and in which unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from spikec.expressions import Expression, Time, columns
from spikec.graph import Solver, interval
from spikec.language import elements as e
from spikec.language import memory
from spikec.language import syntax as s
from spikec.language.cells import check_filtered
from spikec.language.evaluate import evaluate, kind_of
from spikec.language.frame import Frame
from spikec.language.links import Given, clauses, duration, functions, solver, synapse
from spikec.language.outputs import expressions
from spikec.language.references import resolve
from spikec.language.scope import duplicate, suggestion
from spikec.language.solving import check_solver
from spikec.language.values import Mistake, Mistakes, Value
from spikec.nef.converted import Converted

STATES = ("spikes", "voltage", "refractory_time", "adaptation", "recovery", "rate_out")
_UNITS = {"spikes": "spikes", "refractory_time": "s", "rate_out": "Hz", "neurons": "Hz"}


def probe(statement: s.Probe, frame: Frame, dt: float, taken: dict[str, s.Probe]) -> list[e.Recorded]:
    """A probe; one per ensemble where neurons of an array are recorded.  Raises `Mistake`."""
    given = clauses(statement.clauses, frame, "probe")
    found = Mistakes()
    view = found.attempt(_viewed, statement, given, frame)
    computed = found.attempt(functions, given.get("via"), view) if view else None
    filtered = found.attempt(synapse, given.get("synapse"), None)
    solved = found.attempt(solver, given.get("solver"))
    every = found.attempt(_interval, given["every"], dt) if "every" in given else 1
    ideal = found.attempt(_ideal, given.get("ideal"))
    name = found.attempt(_name, statement, view, frame) if view else None
    found.finish()
    assert view is not None
    recorded = e.Recorded(
        name=name or "",
        source=view,
        functions=computed,
        synapse=filtered,
        solver=solved or Solver(),
        every=every or 1,
        unit=_UNITS.get(view.attribute, ""),
        ideal=ideal,
        span=statement.span,
    )
    _check_ideal(recorded, given.get("ideal"))
    check_solver(recorded, view.size, given["solver"].span if "solver" in given else statement.span)
    if view.attribute == "neurons":
        check_filtered(view, recorded.synapse is not None, statement.span)
    memory.plan_reading(view, recorded.functions, frame.context, statement.span)
    changes = isinstance(view.pieces[0].element, e.LearnedChange)
    if changes or (view.attribute == "weights" and recorded.synapse is not None):
        frame.context.plan(float(memory.FILTERED_ENTRY) * view.pieces[0].total, statement.span)
    recorded = _of_events(recorded, statement.clauses)
    made = _per_ensemble(recorded, statement.clauses)
    for one in made:
        _enter(one.name, statement, taken)
    return made


def _viewed(statement: s.Probe, given: dict[str, Given], frame: Frame) -> e.View:
    written = [c.values[0] for c in statement.clauses if c.name == "synapse"]
    filtered = any(not (isinstance(value, s.Name) and value.name == "none") for value in written)
    return _with_attribute(resolve(statement.target, frame), given, filtered)


def _name(statement: s.Probe, view: e.View, frame: Frame) -> str:
    """The name that is written, with the path of the module that it is in; else that of what is recorded."""
    return view.name if statement.name is None else frame.path + frame.local_name(statement.name)


def _enter(name: str, statement: s.Probe, taken: dict[str, s.Probe]) -> None:
    """Enter the name of a recording.  Raises `Mistake` where it is taken."""
    if name in taken:
        mistake = duplicate(name, statement.span, taken[name].span)
        raise Mistake(
            f"two probes are named {name!r}",
            statement.span,
            "name one of them: probe ... as name",
            mistake.diagnostic.notes,
        )
    taken[name] = statement


def _with_attribute(view: e.View, given: dict[str, Given], filtered: bool) -> e.View:
    """The view with the state variable that a word such as `spikes` names; `.neurons` is what they send."""
    words = [name for name in given if name in STATES]
    word = words[0] if words else None
    if len(words) > 1:
        hint = f"write another probe: probe {view.name} {words[1]}"
        raise Mistake(f"a probe records one of {words[0]} and {words[1]}", given[words[1]].span, hint)
    if word is not None:
        if view.attribute == "value":
            neural = all(e.neuron_of(p.element) for p in view.pieces)
            if not neural or not all(p.whole for p in view.pieces):
                raise Mistake(
                    f"{view.name!r} has no {word}", view.span, "name an ensemble that is not in direct mode"
                )
            view = replace(view, pieces=tuple(_neurons(p) for p in view.pieces))
        elif view.attribute != "neurons":
            owner = view.pieces[0].element.path
            raise Mistake(f"{view.name!r} has no {word}", view.span, f"write probe {owner}.neurons {word}")
        view = replace(view, name=f"{view.name.removesuffix('.neurons')}.{word}", attribute=word)
    # Filtered spikes are numbers at every step, spikes themselves are events.
    if view.attribute == "neurons" and not filtered and all(map(_spiking, view.pieces)):
        return replace(view, attribute="spikes")
    return view


def _neurons(piece: e.Piece) -> e.Piece:
    """All neurons of the ensemble that a piece is of."""
    assert isinstance(piece.element, e.Population)
    count = piece.element.neurons
    return e.Piece(piece.element, range(count), count)


def _spiking(piece: e.Piece) -> bool:
    neuron = e.neuron_of(piece.element)
    return neuron is not None and neuron.spiking and not neuron.negative


def _interval(given: Given, dt: float) -> float:
    """Steps between samples.  Raises `Mistake` where that is less than one."""
    assert given.value is not None
    what = "the interval of a probe"
    time = duration(given, dt, what)
    if (found := interval(time / dt)) < 1:
        message = f"{what} must be at least the step of {dt:g} s, not {time:g} s"
        raise Mistake(message, given.value.span, f"write {dt * 1000:g}ms for every step")
    return found


def _ideal(given: Given | None) -> tuple[Expression, ...] | None:
    if given is None:
        return None
    assert given.value is not None
    scope = given.scope.child()
    scope.bind("t", Value(Time()))
    value = evaluate(given.value, scope)
    if not isinstance(value, Value):
        raise Mistake(
            f"ideal takes expressions of t, not {kind_of(value)}",
            given.value.span,
            "write ideal [sin(t), cos(t)]",
        )
    found = expressions(value, given.value.span)
    if any(True for one in found for _ in columns(one)):
        hint = "record that beside: input NAME(t) = ..., and probe NAME"
        raise Mistake("ideal reads no entries by a computed index", given.value.span, hint)
    return found


def _check_ideal(recorded: e.Recorded, given: Given | None) -> None:
    if recorded.ideal is None or given is None:
        return
    size = recorded.source.size if recorded.functions is None else sum(map(len, recorded.functions))
    if len(recorded.ideal) != size:
        raise Mistake(
            f"ideal has {len(recorded.ideal)} value(s), but the probe records {size}",
            given.span,
            "give one per dimension",
        )


def _of_events(recorded: e.Recorded, written: tuple[s.Clause, ...]) -> e.Recorded:
    """Spikes are recorded one by one, whatever `defaults` say.  Raises `Mistake` where `every` is written."""
    if recorded.source.attribute != "spikes":
        return recorded
    for clause in written:
        if clause.name == "every":
            whose = recorded.source.pieces[0].element.path
            hint = f"leave it out, or record rates: probe {whose}.neurons synapse 20ms every 10ms"
            raise Mistake("every spike is recorded, at its own time; there is no `every`", clause.span, hint)
    return replace(recorded, every=1)


def _per_ensemble(recorded: e.Recorded, written: tuple[s.Clause, ...]) -> list[e.Recorded]:
    view = recorded.source
    if view.attribute not in STATES:
        return [recorded]
    for piece in view.pieces:
        _check_state(piece, view)
    refused = ("via",) if view.attribute != "spikes" else ("via", "synapse")
    for clause in written:
        if clause.name in refused:
            hint = "record .neurons" if clause.name == "synapse" else "leave it out"
            raise Mistake(f"a probe of {view.attribute} takes no {clause.name}", clause.span, hint)
    # A synapse that `defaults` give is for values.
    if all(clause.name != "synapse" for clause in written):
        recorded = replace(recorded, synapse=None)
    if len(view.pieces) == 1:
        return [recorded]
    name: Callable[[int], str] = lambda i: f"{recorded.name}[{i}]"  # noqa: E731
    return [
        replace(recorded, name=name(i), source=replace(view, pieces=(piece,)))
        for i, piece in enumerate(view.pieces)
    ]


def _check_state(piece: e.Piece, view: e.View) -> None:
    neuron = e.neuron_of(piece.element)
    assert neuron is not None
    rates = ("rate_out",) * isinstance(neuron, Converted)
    known = [*(("spikes",) if _spiking(piece) else ()), *(x for x in neuron.state if x in STATES), *rates]
    if view.attribute not in known:
        hint = (
            suggestion(view.attribute, known) if known else "probe .neurons for the activity of rate neurons"
        )
        raise Mistake(f"neurons of type {neuron.kind} have no {view.attribute}", view.span, hint)
