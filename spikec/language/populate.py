"""Declarations to elements: inputs, ensembles, arrays, function nodes, relays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spikec.errors import Span
from spikec.expressions import Component, Expression, Time
from spikec.graph import Ensemble
from spikec.language import memory
from spikec.language import syntax as s
from spikec.language import vocabulary as v
from spikec.language.elements import Array, FunctionNode, Population, Relay, WhiteNoise
from spikec.language.evaluate import entry, evaluate, integer, number
from spikec.language.frame import Frame
from spikec.language.noise import white_noise
from spikec.language.outputs import expressions
from spikec.language.scope import Scope
from spikec.language.signatures import Parameter, assign, convert, seed_of
from spikec.language.values import FREQUENCY, Entry, Mistake, Record, Value
from spikec.nef.neurons import LIF
from spikec.nef.solvers import memory as solve_memory

ENSEMBLE_ARGUMENTS = (
    "neurons", "dims", "radius", "neuron", "encoders", "max_rates", "intercepts", "gain", "bias",
    "eval_points", "n_eval_points", "normalize_encoders", "noise", "seed",
)  # fmt: skip
ARRAY_ARGUMENTS = (*ENSEMBLE_ARGUMENTS, "count")

_DISTRIBUTIONS = {
    "encoders": 0,
    "max_rates": FREQUENCY,
    "intercepts": 0,
    "gain": 0,
    "bias": 0,
    "eval_points": 0,
}

Entries = dict[str, Entry]


def population(statement: s.Population, frame: Frame, path: str) -> Population | Array:
    """An ensemble, or an array of `count` of them whose paths are `path[0]`, `path[1]`, ..."""
    names = ARRAY_ARGUMENTS if statement.kind == "array" else ENSEMBLE_ARGUMENTS
    given = assign(statement.kind, _entries(statement.arguments, frame.scope), names)
    entries = _defaults(frame, names) | given
    if "neurons" not in entries:
        raise Mistake(
            f"the {statement.kind} {statement.name.name!r} has no number of neurons",
            statement.span,
            f"write {statement.kind} {statement.name.name}(100)",
        )
    if statement.kind == "ensemble":
        _plan_memory(entries, 1, statement.span, frame)
        return _ensemble(entries, frame, path, statement.span)
    if "count" not in entries:
        raise Mistake("the array has no count", statement.span, "write array name(100, count=16)")
    count = _whole(entries["count"], "count", "array")
    _plan_memory(entries, count, statement.span, frame)
    return _array(entries, count, frame, path, statement.span)


def _entries(arguments: tuple[s.Argument, ...], scope: Scope) -> tuple[Entry, ...]:
    return tuple(entry(a, scope) for a in arguments)


def _defaults(frame: Frame, names: tuple[str, ...]) -> Entries:
    found = frame.defaults.get("ensemble", {})
    entries = {}
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


def _sizes(entries: Entries) -> tuple[int, int]:
    dims = _whole(entries["dims"], "dims", "ensemble") if "dims" in entries else 1
    return _whole(entries["neurons"], "neurons", "ensemble"), dims


def _plan_memory(entries: Entries, count: int, span: Span, frame: Frame) -> None:
    """Refuse what would not fit before anything of it is allocated."""
    neurons, dims = _sizes(entries)
    given = entries.get("n_eval_points")
    points = _whole(given, "n_eval_points", "ensemble") if given else 0
    # Who asks for many points wants to decode from them.
    solve = float(solve_memory(neurons, points))
    frame.context.plan(memory.populations(neurons, dims, count, points), span, solve)


def _ensemble(entries: Entries, frame: Frame, path: str, span: Span) -> Population:
    neurons, dims = _sizes(entries)
    neuron = (
        LIF() if "neuron" not in entries else v.neuron_type(entries["neuron"].value, entries["neuron"].span)
    )
    if neuron is None:
        return Population(path, dims, span, neurons, None)
    options: dict[str, Any] = {}
    for name, power in _DISTRIBUTIONS.items():
        if name in entries:
            options[name] = v.distribution(
                entries[name].value, entries[name].span, f"{name} of an ensemble", power
            )
    _check_rows(entries, neurons, dims)
    if "radius" in entries:
        options["radius"] = convert(entries["radius"], Parameter("radius", positive=True), "ensemble")
    if "n_eval_points" in entries:
        options["n_eval_points"] = _whole(entries["n_eval_points"], "n_eval_points", "ensemble")
    if "normalize_encoders" in entries:
        flag = convert(entries["normalize_encoders"], Parameter("normalize_encoders"), "ensemble")
        options["normalize_encoders"] = bool(flag)
    seed = frame.seed if "seed" not in entries else seed_of(entries["seed"])
    op = Ensemble(size=neurons, span=span, path=path, dims=dims, neuron=neuron, seed=seed, **options)
    return Population(path, dims, span, neurons, op, _noise(entries, seed))


def _noise(entries: Entries, seed: int) -> WhiteNoise | None:
    """Noise added to the input current of every neuron."""
    if "noise" not in entries:
        return None
    entry = entries["noise"]
    if not isinstance(entry.value, Record) or entry.value.name != "white_noise":
        raise Mistake(
            "the noise of an ensemble is white_noise", entry.span, "write noise=white_noise(std=0.1)"
        )
    size, noise = white_noise(entry.value, seed)
    if size != 1:
        raise Mistake("the noise of an ensemble has no dims", entry.span, "every neuron has noise of its own")
    return noise


def _check_rows(entries: Entries, neurons: int, dims: int) -> None:
    """Explicit samples must fit: one row per neuron (or one for all) with one column per dimension."""
    for name, rows in (("encoders", neurons), ("eval_points", None)):
        entry = entries.get(name)
        if entry is None or not isinstance(entry.value, Value):
            continue
        array = entry.value.array
        array = array if array.ndim == 2 else array.reshape(-1, 1) if dims == 1 else array.reshape(1, -1)
        if array.shape[1] != dims or (rows is not None and array.shape[0] not in (1, rows)):
            wanted = f"{rows} x {dims}" if rows else f"points x {dims}"
            raise Mistake(
                f"{name} have shape {array.shape[0]} x {array.shape[1]}; the ensemble needs {wanted}",
                entry.span,
                "give one row per neuron and one column per dimension"
                if rows
                else "give one column per dimension",
            )
    for name in ("max_rates", "intercepts", "gain", "bias"):
        entry = entries.get(name)
        if (
            entry is not None
            and isinstance(entry.value, Value)
            and entry.value.array.size not in (1, neurons)
        ):
            raise Mistake(
                f"{name} has {entry.value.array.size} values for {neurons} neurons",
                entry.span,
                "give one value per neuron, or one for all",
            )


def _array(entries: Entries, count: int, frame: Frame, path: str, span: Span) -> Array:
    first = _ensemble(entries, frame, f"{path}[0]", span)
    elements = [first]
    for i in range(1, count):
        here = f"{path}[{i}]"
        op = None if first.ensemble is None else replace(first.ensemble, path=here)
        elements.append(replace(first, path=here, ensemble=op))
    return Array(path, tuple(elements), span)


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
    """A relay or port of a size (1 where none is written)."""
    size = (
        1
        if statement.size is None
        else integer(statement.size, frame.scope, f"the size of a {statement.kind}")
    )
    if size < 1:
        raise Mistake(
            f"the size of a {statement.kind} is at least 1, not {size}",
            statement.span,
            "write a size above 0; what numbers a name comes before it, as in r[i][1]",
        )
    frame.context.reserve(size, f"the {statement.kind}", statement.span)
    return Relay(path, size, statement.span)


def time_function(argument: str, value: s.Expr, frame: Frame) -> tuple[Expression, ...]:
    """Expressions of an input that is a function of time."""
    scope = frame.scope.child()
    scope.bind(argument, Value(Time()))
    return expressions(number(value, scope), value.span)
