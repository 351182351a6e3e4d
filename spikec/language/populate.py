"""Declarations to elements: inputs, ensembles, arrays, function nodes, relays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from spikec.errors import Span
from spikec.expressions import Component, Expression, Time
from spikec.graph import Distribution, Ensemble
from spikec.language import memory
from spikec.language import syntax as s
from spikec.language import vocabulary as v
from spikec.language.elements import Array, FunctionNode, Population, Relay, Source
from spikec.language.evaluate import a_number, arguments, evaluate, integer, number
from spikec.language.frame import Frame
from spikec.language.outputs import expressions
from spikec.language.processes import PROCESSES, process
from spikec.language.signatures import Parameter, convert, meant, seed_of
from spikec.language.values import FREQUENCY, TIME, AlreadyReported, Entry, Mistake, Mistakes, Record, Value
from spikec.nef.neurons import LIF, NeuronType
from spikec.nef.solvers import memory as solve_memory

ENSEMBLE_ARGUMENTS = (
    "neurons", "dims", "radius", "neuron", "encoders", "max_rates", "intercepts", "gain", "bias",
    "eval_points", "n_eval_points", "normalize_encoders", "initial_voltage", "initial_refractory_time",
    "initial_adaptation", "initial_recovery", "noise", "seed",
)  # fmt: skip
ARRAY_ARGUMENTS = (*ENSEMBLE_ARGUMENTS, "count")

_DISTRIBUTIONS = {
    "encoders": 0,
    "max_rates": FREQUENCY,
    "intercepts": 0,
    "gain": 0,
    "bias": 0,
    "eval_points": 0,
    "initial_voltage": 0,
    "initial_refractory_time": TIME,
    "initial_adaptation": 0,
    "initial_recovery": 0,
}
_LIF = LIF()  # one for all, so that what is alike is seen to be
# Arguments that give state before the first step, by what follows.
_INITIAL = "initial_"

Entries = dict[str, Entry]


def population(statement: s.Population, frame: Frame, path: str, dt: float) -> Population | Array:
    """An ensemble, or an array of `count` of them whose paths are `path[0]`, `path[1]`, ..."""
    kind = statement.kind
    found = Mistakes()
    entries = found.attempt(_defaults, frame, ARRAY_ARGUMENTS) or {}
    names = ARRAY_ARGUMENTS if kind == "array" else ENSEMBLE_ARGUMENTS
    written = arguments(found, statement.arguments, frame.scope, kind, names)
    entries |= written
    told = meant((a.name for a in statement.arguments), names)
    for name in ("neurons", "count") if kind == "array" else ("neurons",):
        if name not in entries and name not in told:
            example = "(100, count=16)" if kind == "array" else "(100)"
            found.add(
                Mistake(
                    f"the {kind} {statement.name.name!r} has no {_MISSING[name]}",
                    statement.span,
                    f"write {kind} {statement.name.name}{example}",
                )
            )
    sizes = _sizes(entries, found)
    options = _options(entries, found)
    _initial_state(options, entries, written, frame, found)
    seed = found.attempt(seed_of, entries["seed"], kind) if entries.get("seed") else frame.seed
    noisy = found.attempt(_noise, entries, seed or 0, sizes, frame, dt)
    if not found.any:
        found.attempt(_check_rows, entries, sizes)
        found.attempt(_check_choices, entries, options, sizes["dims"])
    found.finish()
    count, span = sizes["count"], statement.span
    _plan_memory(sizes, options.get("n_eval_points", 0), span, frame)
    paths = [path] if kind == "ensemble" else [f"{path}[{i}]" for i in range(count)]
    own = [_own_rows(options, k, sizes) for k in range(count)]
    made = [_ensemble(p, sizes, given, seed or 0, noisy, span) for p, given in zip(paths, own, strict=True)]
    return made[0] if kind == "ensemble" else Array(path, tuple(made), span)


def _initial_state(
    options: dict[str, Any], entries: Entries, written: Entries, frame: Frame, found: Mistakes
) -> None:
    """Put `initial_voltage` and the like together; as defaults they hold for neurons that have the state,
    and are warned of where no neurons do.
    """
    neuron, given = options.get("neuron", _LIF), []
    states = () if neuron is None else neuron.state  # none in direct mode
    for name in [name for name in options if name.startswith(_INITIAL)]:
        variable, distribution = name.removeprefix(_INITIAL), options.pop(name)
        entry = entries[name]
        assert entry is not None  # it is what the option was made of
        mistake = None if variable in states else _stateless(variable, entry.span, neuron)
        if mistake is None:
            given.append((variable, distribution))
        if name not in written:
            frame.context.default(entry.span, mistake.diagnostic if mistake else None)
        elif mistake:
            found.add(mistake)
    options["initial_state"] = tuple(given)


def _stateless(variable: str, span: Span, neuron: NeuronType | None) -> Mistake:
    kind = "an ensemble in direct mode has" if neuron is None else f"neurons of type {neuron.kind} have"
    others = [_INITIAL + state for state in neuron.state] if neuron else []
    hint = f"these have {' and '.join(others)}" if others else "or take spiking neurons"
    return Mistake(
        f"{kind} no {variable.replace('_', ' ')} to begin with",
        span,
        f"leave {_INITIAL}{variable} out{';' if others else ','} {hint}",
    )


_MISSING = {"neurons": "number of neurons", "count": "count"}


def _defaults(frame: Frame, names: tuple[str, ...]) -> Entries:
    found = frame.defaults.get("ensemble", {})
    entries: Entries = {}
    for name, default in found.items():
        if name in names:
            a = default.argument
            entries[name] = Entry(evaluate(a.value, default.scope), a.value.span, a.name)
    return entries


def _whole(entry: Entry, name: str, what: str) -> int:
    value = convert(entry, Parameter(name), what)
    if value != int(value) or value < 1:
        wanted = "a whole number of at least 1"
        raise Mistake(
            f"{name} of {what} must be {wanted}, not {value:g}", entry.span, "write a number such as 100"
        )
    return int(value)


def _sizes(entries: Entries, found: Mistakes) -> dict[str, int]:
    """Neurons, dimensions and count; 1 where none is written."""
    sizes = {}
    for name, what in (("neurons", "ensemble"), ("dims", "ensemble"), ("count", "array")):
        entry = entries.get(name)
        sizes[name] = (found.attempt(_whole, entry, name, what) if entry else None) or 1
    return sizes


def _own_rows(options: dict[str, Any], k: int, sizes: dict[str, int]) -> dict[str, Any]:
    """The options of ensemble k of an array: its own rows of what has a row for every neuron of all."""
    neurons, count = sizes["neurons"], sizes["count"]

    def own(found: Any, name: str = "") -> Any:
        if not isinstance(found, Distribution) or found.kind != "samples" or name == "eval_points":
            return found
        rows = found.parameters[0]
        row = name == "encoders" and sizes["dims"] > 1 and np.ndim(rows) == 1
        if row or np.ndim(rows) == 0 or len(rows) != neurons * count:
            return found
        return v.samples(np.asarray(rows[k * neurons : (k + 1) * neurons]))

    if count == 1:
        return options
    made = {name: own(found, name) for name, found in options.items()}
    return made | {"initial_state": tuple((name, own(found)) for name, found in options["initial_state"])}


def _plan_memory(sizes: dict[str, int], points: int, span: Span, frame: Frame) -> None:
    """Refuse what would not fit before anything of it is allocated."""
    # Who asks for many points wants to decode from them.
    solve = float(solve_memory(sizes["neurons"], points))
    shape = (sizes["neurons"], sizes["dims"], sizes["count"])
    frame.context.plan(memory.populations(*shape), span, solve + memory.evaluation(*shape, points))


def _options(entries: Entries, found: Mistakes) -> dict[str, Any]:
    """The arguments of an ensemble but for its sizes and seed, as `Ensemble` takes them."""
    options: dict[str, Any] = {}

    def take(name: str, convert_entry: Callable[[Entry], Any]) -> None:
        entry = entries.get(name)
        value = found.attempt(convert_entry, entry) if entry else None
        if entry and (value is not None or name == "neuron"):
            options[name] = value

    take("neuron", lambda entry: v.neuron_type(entry.value, entry.span))
    for name, power in _DISTRIBUTIONS.items():
        take(name, partial(_distribution, name=name, power=power))
    take("radius", lambda entry: convert(entry, Parameter("radius", positive=True), "ensemble"))
    take("n_eval_points", lambda entry: _whole(entry, "n_eval_points", "ensemble"))
    take("normalize_encoders", lambda e: bool(convert(e, Parameter("normalize_encoders"), "ensemble")))
    return options


def _distribution(entry: Entry, name: str, power: int) -> Distribution:
    return v.distribution(entry.value, entry.span, f"{name} of an ensemble", power)


def _ensemble(
    path: str, sizes: dict[str, int], options: dict[str, Any], seed: int, noise: Source | None, span: Span
) -> Population:
    neurons, dims = sizes["neurons"], sizes["dims"]
    if options.get("neuron", True) is None:
        return Population(path, dims, span, neurons, None)
    op = Ensemble(size=neurons, span=span, path=path, dims=dims, seed=seed, **{"neuron": _LIF, **options})
    return Population(path, dims, span, neurons, op, noise)


def _noise(entries: Entries, seed: int, sizes: dict[str, int], frame: Frame, dt: float) -> Source | None:
    """Noise added to the input current of every neuron."""
    if "noise" not in entries:
        return None
    entry = entries["noise"]
    if entry is None:
        raise AlreadyReported
    if not isinstance(entry.value, Record) or entry.value.name not in PROCESSES:
        listed = ", ".join(PROCESSES)
        raise Mistake(
            f"the noise of an ensemble is one of {listed}", entry.span, "write noise=white_noise(std=0.1)"
        )
    return process(entry.value, frame, dt, seed, sizes["neurons"], sizes["count"])[1]


def _check_rows(entries: Entries, sizes: dict[str, int]) -> None:
    """Explicit samples must fit: one row per neuron (or one for all) with one column per dimension; in an
    array also one per neuron of all its ensembles.
    """
    neurons, dims, every = sizes["neurons"], sizes["dims"], sizes["neurons"] * sizes["count"]
    for name, rows in (("encoders", neurons), ("eval_points", None)):
        entry = entries.get(name)
        if entry is None or not isinstance(entry.value, Value):
            continue
        array = entry.value.array
        array = array if array.ndim == 2 else array.reshape(-1, 1) if dims == 1 else array.reshape(1, -1)
        if array.shape[1] != dims or (rows is not None and array.shape[0] not in (1, rows, every)):
            wanted = f"{rows} x {dims}" if rows else f"points x {dims}"
            raise Mistake(
                f"{name} have shape {array.shape[0]} x {array.shape[1]}; the ensemble needs {wanted}",
                entry.span,
                "give one row per neuron and one column per dimension"
                if rows
                else "give one column per dimension",
            )
    for name in ("max_rates", "intercepts", "gain", "bias", *(n for n in entries if n.startswith(_INITIAL))):
        entry = entries.get(name)
        if entry is None or not isinstance(entry.value, Value):
            continue
        array = entry.value.array
        if array.size not in (1, neurons, every) or (array.ndim and len(array) != array.size):
            shape = " x ".join(map(str, array.shape))
            raise Mistake(
                f"{name} has {shape} values for {neurons} neurons",
                entry.span,
                "give one value per neuron, or one for all",
            )


def _check_choices(entries: Entries, options: dict[str, Any], dims: int) -> None:
    """Options of `choice` are numbers for what each neuron has one of, else rows, a number per dimension."""
    given = options | {_INITIAL + name: distribution for name, distribution in options["initial_state"]}
    for name, distribution in given.items():
        if not isinstance(distribution, Distribution) or distribution.kind != "choice":
            continue
        rows = name in ("encoders", "eval_points")
        wanted, shape = dims if rows else 1, np.shape(distribution.parameters[0])
        columns = shape[1] if len(shape) == 2 else shape[0] if wanted > 1 else 1
        if columns != wanted:
            entry = entries[name]
            assert entry is not None  # it is what the option was made of
            raise Mistake(
                f"an option of choice for {name} is {wanted} number{'s' * (wanted != 1)}, not {columns}",
                entry.span,
                "give every option one number per dimension, such as choice([[1, 0], [0, 1]]) for two"
                if rows
                else "write numbers without inner brackets, such as choice([0, 0.1])",
            )


def function_node(statement: s.FunctionNode, frame: Frame, path: str) -> FunctionNode:
    """y = f(x, t): arguments with a size are parts of the input, one after the other; `t` is the time."""
    scope = frame.scope.child()
    scope.bind("t", Value(Time()))
    offset = 0
    for name, size in statement.arguments:
        if size is None and name == "t":
            continue
        length = 1 if size is None else integer(size, frame.scope, "the size of an argument")
        if length < 1:
            raise Mistake("the size of an argument is at least 1", statement.span, f"write {name}[1]")
        frame.context.reserve(length, "the argument", statement.span)
        vector = components(range(offset, offset + length))
        scope.bind(name, Value(vector[0] if size is None else vector))
        offset += length
    outputs = expressions(number(statement.value, scope), statement.value.span)
    return FunctionNode(path, len(outputs), statement.span, offset, outputs)


def components(indices: range | tuple[int, ...]) -> Any:
    """A symbolic vector of x[i] for the indices given."""
    out = np.empty(len(indices), dtype=object)
    for k, i in enumerate(indices):
        out[k] = Component(i)
    return out


def relay(statement: s.Relay, frame: Frame, path: str) -> Relay:
    """A relay or port of a size (1 where none is written), with the synapse that it has."""
    size = (
        1
        if statement.size is None
        else integer(statement.size, frame.scope, f"the size of a {statement.kind}")
    )
    if size < 1:
        raise Mistake(
            f"the size of a {statement.kind} is at least 1, not {size}",
            statement.span,
            f"write {statement.kind} {statement.name.name}[1]",
        )
    frame.context.reserve(size, f"the {statement.kind}", statement.span)
    synapse = None
    if statement.synapse is not None:
        synapse = v.synapse(evaluate(statement.synapse, frame.scope), statement.synapse.span)
    return Relay(path, size, statement.span, synapse)


def time_function(argument: str, value: s.Expr, frame: Frame) -> tuple[Expression, ...]:
    """Expressions of an input that is a function of time."""
    scope = frame.scope.child()
    scope.bind(argument, Value(Time()))
    made = evaluate(value, scope)
    if isinstance(made, Record) and made.name in PROCESSES:
        what = f"{made.name} is a process, not a function of {argument}"
        raise Mistake(what, value.span, f"leave ({argument}) out: input u = {made.name}(...)")
    return expressions(a_number(made, value), value.span)
