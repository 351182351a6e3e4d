"""`population` statements, and connections between populations: networks at the level of synapses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from spikec.errors import Diagnostic, Span
from spikec.graph import Tuned
from spikec.language import elements as e
from spikec.language import syntax as s
from spikec.language.evaluate import arguments, evaluate
from spikec.language.files import read_matrix, row_of
from spikec.language.frame import Frame
from spikec.language.processes import whole_steps
from spikec.language.signatures import Parameter, bind, convert, seed_of
from spikec.language.values import FREQUENCY, TIME, Entry, Mistake, Mistakes, Record, Text
from spikec.nef.neurons import DeltaLIF
from spikec.projections import Cells, FixedIndegree, FixedProbability, Pairs, Poisson, Projection, Rule

P = Parameter
T = TypeVar("T")

ARGUMENTS = ("neurons", "neuron", "drive", "current", "seed")
RULES: dict[str, tuple[Parameter, ...]] = {
    "fixed_indegree": (P("count", required=True, least=1.0), P("weight", required=True)),
    "fixed_probability": (P("p", required=True, least=0.0), P("weight", required=True)),
    "pairs": (P("file", kind="any", required=True), P("unit", TIME, positive=True)),
}
_NEURON = (
    P("tau_m", TIME, positive=True),
    P("tau_ref", TIME, least=0.0),
    P("threshold"),
    P("reset"),
)
_POISSON = (P("rate", FREQUENCY, required=True, least=0.0), P("weight", required=True))
# What a neuron, and a synapse drawn or read, take in the compiler.
NEURON_BYTES, SYNAPSE_BYTES = 150, 16
_WRITE_RULE = (
    "write transform fixed_indegree(100, weight=0.1), fixed_probability(0.1, weight=0.1) or pairs(...)"
)


def population(statement: s.Population, frame: Frame, path: str, dt: float) -> e.Cells:
    """Spiking neurons that represent no value.  Raises `Mistake`."""
    found = Mistakes()
    given = arguments(found, statement.arguments, frame.scope, "population", ARGUMENTS)
    if "neurons" not in given:
        name = statement.name.name
        what = f"the population {name!r} has no number of neurons"
        found.add(Mistake(what, statement.span, f"write population {name}(1000)"))

    def read(name: str, action: Callable[[Entry], T], default: T) -> T:
        entry = given.get(name)
        value = default if entry is None else found.attempt(action, entry)
        return default if value is None else value

    size = read("neurons", lambda entry: _whole(entry, "neurons of population"), 1)
    neuron = read("neuron", lambda entry: _neuron(entry, dt), DeltaLIF())
    current = read("current", lambda entry: float(convert(entry, P("current"), "population")), 0.0)
    drive = read("drive", lambda entry: _drive(entry, dt), None)
    seed = read("seed", seed_of, frame.seed)
    found.finish()
    frame.context.plan(float(NEURON_BYTES) * size, statement.span)
    ones, nothing = np.ones(size), np.zeros((size, 0))
    op = Cells(
        size=size, span=statement.span, path=path, dims=0, neuron=neuron, radius=1.0,
        tuning=Tuned(nothing, ones, np.full(size, current), lambda: nothing), seed=seed, drive=drive,
    )  # fmt: skip
    return e.Cells(path, size, statement.span, op)


def _whole(given: Entry, label: str) -> int:
    name, _, what = label.partition(" of ")
    value = float(convert(given, P(name), what))
    if value != int(value) or value < 1:
        wanted = f"{label} must be a whole number of at least 1, not {value:g}"
        raise Mistake(wanted, given.span, "write a number such as 100")
    return int(value)


def _record(given: Entry, names: tuple[str, ...], what: str) -> Record:
    if isinstance(given.value, Record) and given.value.name in names:
        return given.value
    remedy = " or ".join(f"{name}(...)" for name in names)
    raise Mistake(f"{what} must be {' or '.join(names)}", given.span, f"write {remedy}")


def _neuron(given: Entry, dt: float) -> DeltaLIF:
    record = _record(given, ("lif_delta",), "the neuron type of a population")
    neuron = DeltaLIF(**bind(record, _NEURON))
    with np.errstate(over="ignore"):  # programs may compute in float32
        for_ever = np.float32(neuron.reset) >= np.float32(neuron.threshold)
    if for_ever:
        raise Mistake(
            f"the reset of {neuron.reset:g} mV is not below the threshold of {neuron.threshold:g} mV",
            record.span,
            "write a reset below the threshold: else a neuron fires for ever",
        )
    if neuron.tau_ref > 0:
        whole_steps(neuron.tau_ref, dt, "tau_ref of lif_delta", record.span)
    return neuron


# A mean count per step beyond this is no drive of single spikes any more, and its table would grow.
_MOST_PER_STEP = 1000.0


def _drive(given: Entry, dt: float) -> Poisson | None:
    record = _record(given, ("poisson",), "the drive of a population")
    drive = Poisson(**bind(record, _POISSON))
    if drive.rate * dt > _MOST_PER_STEP:
        raise Mistake(
            f"a rate of {drive.rate:g} Hz is {drive.rate * dt:g} spikes in a step", record.span,
            f"write a rate of at most {_MOST_PER_STEP / dt:g}Hz; a constant input is current=...",
        )  # fmt: skip
    return drive


# ------------------------------------------------------------------------------------------ projections


def is_projection(source: e.View, target: e.View) -> bool:
    """Whether a connection leads from populations to populations."""
    return all(isinstance(p.element, e.Cells) for view in (source, target) for p in view.pieces)


def check_filtered(source: e.View, filtered: bool, span: Span) -> None:
    """What reads the activity of a population as a value needs a synapse.  Raises `Mistake` without one."""
    if not filtered and any(isinstance(p.element, e.Cells) for p in source.pieces):
        what = f"the activity of {source.name!r} needs a synapse to be read"
        raise Mistake(what, span, "write synapse 10ms")


def projection(
    statement: s.Connect,
    source: e.View,
    target: e.View,
    frame: Frame,
    dt: float,
    unique: Callable[[str], str],
) -> e.Projected:
    """A connection between two populations.  Raises `Mistake`."""
    given = {clause.name: clause for clause in statement.clauses}
    found = Mistakes()
    for view in (source, target):
        if len(view.pieces) != 1 or not view.pieces[0].whole:
            found.add(Mistake("a projection leads from a whole population to a whole population", view.span,
                              "leave the brackets out, or split the population in two"))  # fmt: skip
    for name in given.keys() - {"transform", "delay"}:
        found.add(Mistake(f"a connection between populations takes no {name}", given[name].span,
                          "leave it out: every spike changes the voltage by its weight"))  # fmt: skip
    if "transform" not in given:
        what = "a connection between populations needs a rule"
        found.add(Mistake(what, statement.span, _WRITE_RULE))
    record = found.attempt(_rule, given["transform"], frame) if "transform" in given else None
    steps = found.attempt(_steps, given["delay"], frame, dt) if "delay" in given else None
    found.finish()
    assert record is not None
    ends = source.pieces[0].total, target.pieces[0].total
    name = unique(f"{source.name}->{target.name}")
    parts = tuple(
        Projection(size=ends[1], span=statement.span, path=name, seed=frame.seed, sources=ends[0], rule=rule,
                   weight=weight, steps=late)
        for rule, weight, late in _rules(record, ends, steps, frame, dt)
    )  # fmt: skip
    return e.Projected(name, source.pieces[0].element, target.pieces[0].element, parts, statement.span)


def _rule(clause: s.Clause, frame: Frame) -> Record:
    given = Entry(evaluate(clause.values[0], frame.scope), clause.values[0].span)
    return _record(given, tuple(RULES), "the rule of a connection between populations")


def _steps(clause: s.Clause, frame: Frame, dt: float) -> int:
    span = clause.values[0].span
    entry = Entry(evaluate(clause.values[0], frame.scope), span)
    return whole_steps(float(convert(entry, P("delay", TIME), "a projection")), dt, "a delay", span)


def _rules(
    record: Record, ends: tuple[int, int], steps: int | None, frame: Frame, dt: float
) -> list[tuple[Rule, float, int]]:
    """(rule, weight, delay in steps) of every part of a projection: more than one where delays differ."""
    given = bind(record, RULES[record.name])
    if record.name == "pairs":
        return _pairs(given, ends, steps, frame, dt)
    if steps is None:
        raise Mistake("a connection between populations needs a delay", record.span, _write_delay(dt))
    rule: Rule
    if record.name == "fixed_indegree":
        count = given["count"]
        if count != int(count):
            raise Mistake(f"count of fixed_indegree must be a whole number, not {count:g}", record.span,
                          "write a number such as 100")  # fmt: skip
        rule, synapses = FixedIndegree(int(count)), count * ends[1]
    else:
        if given["p"] > 1:
            raise Mistake(f"a probability is at most 1, not {given['p']:g}", record.span, "write p=0.1")
        rule, synapses = FixedProbability(given["p"]), given["p"] * ends[0] * ends[1]
    frame.context.plan(SYNAPSE_BYTES * synapses, record.span)
    return [(rule, given["weight"], steps)]


def _write_delay(dt: float) -> str:
    """About 1.5 ms, in whole steps."""
    return f"write delay {max(1, round(0.0015 / dt)) * dt * 1000:g}ms"


# A longer delay in a file whose unit is not said is taken for one in ms.
_LONG = 0.5


def _pairs(
    arguments: dict[str, Any], ends: tuple[int, int], steps: int | None, frame: Frame, dt: float
) -> list[tuple[Rule, float, int]]:
    """Synapses of a file: columns source, target, weight (mV) and, without a `delay`, delay (in `unit`)."""
    given: Entry = arguments["file"]
    if not isinstance(given.value, Text):
        raise Mistake("pairs takes the name of a file", given.span, 'write pairs("synapses.csv")')
    table = read_matrix(given.value.value, given.span, frame.context, frame.scope.folder)
    frame.context.plan(SYNAPSE_BYTES * len(table), given.span)
    columns = "source, target, weight" if steps is not None else "source, target, weight, delay (in s)"
    wanted = len(columns.split(", "))
    if table.ndim != 2 or table.shape[1] != wanted:
        found = table.shape[1] if table.ndim == 2 else 1
        hint = f"give the columns {columns}" + ("" if steps is not None else f"; or {_write_delay(dt)}")
        raise Mistake(f"{given.value.value!r} has {found} column(s), not {wanted}", given.span, hint)
    for column, size, what in ((0, ends[0], "source"), (1, ends[1], "target")):
        numbers = table[:, column]
        wrong = np.flatnonzero((numbers != np.floor(numbers)) | (numbers < 0) | (numbers >= size))
        if len(wrong):
            place = _place(given, int(wrong[0]), frame)
            raise Mistake(f"{place} has {what} {numbers[wrong[0]]:g}", given.span,
                          f"neurons of this population are numbered 0 to {size - 1}")  # fmt: skip
    if steps is not None and "unit" in arguments:
        what = "unit is that of delays in the file, and the connection has a delay"
        raise Mistake(what, given.span, "leave one of them out")
    late = np.full(len(table), steps) if steps is not None else _delays(table[:, 3], arguments, frame, dt)
    return [(_part(table[late == d]), 0.0, int(d)) for d in np.unique(late)]


def _place(file: Entry, row: int, frame: Frame) -> str:
    return row_of(file.value.value, row, file.span, frame.context, frame.scope.folder)


def _delays(column: Any, arguments: dict[str, Any], frame: Frame, dt: float) -> Any:
    """Delays in steps; the first that is not a whole number of them, or none, is the mistake reported."""
    file: Entry = arguments["file"]
    seconds = column * arguments.get("unit", 1.0)
    if "unit" not in arguments and seconds.max() >= _LONG:
        name = file.value.value
        what = f"{_place(file, int(seconds.argmax()), frame)} has a delay of {seconds.max():g} s"
        frame.context.warnings.append(
            Diagnostic(what, file.span, f'where the file has delays in ms: pairs("{name}", unit=1ms)')
        )
    late = np.rint(seconds / dt)
    wrong = np.flatnonzero((late < 1) | (np.abs(seconds / dt - late) > 1e-6 * np.maximum(1, late)))
    if len(wrong):
        place = _place(file, int(wrong[0]), frame)
        whole_steps(float(seconds[wrong[0]]), dt, f"the delay in {place}", file.span)
    return late


def _part(table: Any) -> Pairs:
    table = table[np.argsort(table[:, 1], kind="stable")]
    return Pairs(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2].copy())
