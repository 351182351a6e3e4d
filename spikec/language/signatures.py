"""The arguments that each word of the vocabulary takes, with their units, bounds and defaults."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from spikec.errors import Span
from spikec.language.scope import nearest, suggestion
from spikec.language.values import (
    FREQUENCY,
    PLAIN,
    TIME,
    Entry,
    Mistake,
    Mistakes,
    Record,
    Text,
    Value,
    dimension_name,
)
from spikec.records import dataclass

_REMEDIES = {
    TIME: "write a time with its unit, such as {0}ms or {1}s",
    FREQUENCY: "write a frequency with its unit, such as {0}Hz",
    PLAIN: "write a plain number, without a unit",
}


# Words of Nengo, and others for the same.
_ALIASES = {
    "n_neurons": "neurons", "n": "neurons", "dimensions": "dims", "size": "dims", "neuron_type": "neuron",
    "n_ensembles": "count", "rates": "max_rates", "sigma": "std",
}  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """One argument: `power` None takes any unit; `kind` "number", "vector", "matrix" or "any"."""

    name: str
    power: int | None = PLAIN
    kind: str = "number"
    required: bool = False
    positive: bool = False
    least: float | None = None
    none: float | None = None  # what the word `none` stands for: a bound that is not there


def bind(record: Record, parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    """The arguments of a record by name, in the order of the parameters: floats, arrays or, for kind "any",
    what was evaluated.

    Raises `Mistake` for arguments that are unknown, missing, given twice, of a wrong unit or out of bounds.
    """
    mistakes = Mistakes()
    found = assign(record.name, record.entries, tuple(p.name for p in parameters), mistakes)
    told = meant((e.name for e in record.entries), tuple(p.name for p in parameters))
    missing = [p.name for p in parameters if p.required and p.name not in found and p.name not in told]
    if missing:
        mistakes.add(
            Mistake(
                f"{record.name} needs {missing[0]}", record.span, f"write {record.name}({missing[0]}=...)"
            )
        )
    known = {p.name: p for p in parameters}
    values = {name: mistakes.attempt(convert, e, known[name], record.name) for name, e in found.items()}
    mistakes.finish()
    return {p.name: values[p.name] for p in parameters if p.name in values}


def assign(
    what: str, entries: tuple[Entry, ...], names: tuple[str, ...], mistakes: Mistakes
) -> dict[str, Entry]:
    """Entries by the name of the parameter they give; those that give none are mistakes."""
    found: dict[str, Entry] = {}
    for position, entry in enumerate(entries):
        name = mistakes.attempt(_parameter, what, position, entry, names, found)
        if name is not None:
            found[name] = entry
    return found


def meant(written: Iterable[str | None], names: tuple[str, ...]) -> set[str]:
    """The arguments that unknown ones most likely stand for: that these are missing needs no mistake more."""
    unknown = [name for name in written if name is not None and name not in names]
    near = (nearest(_ALIASES.get(name, name), list(names)) for name in unknown)
    return {name for name in near if name is not None}


def _parameter(
    what: str, position: int, entry: Entry, names: tuple[str, ...], found: dict[str, Entry]
) -> str:
    """The parameter that an entry gives.  Raises `Mistake`."""
    name = entry.name
    if entry.key is not None:
        raise Mistake(f"{what} takes no `key: value` pairs", entry.span, "write name=value")
    if name is None:
        if position >= len(names):
            raise Mistake(f"{what} takes at most {len(names)} argument(s)", entry.span, "remove this one")
        name = names[position]
    if name not in names:
        hint = suggestion(_ALIASES.get(name, name), list(names))
        raise Mistake(f"{what} has no argument {name!r}", entry.whole or entry.span, hint)
    if name in found:
        raise Mistake(f"{what} is given {name} twice", entry.whole or entry.span, "remove one of them")
    return name


def convert(entry: Entry, parameter: Parameter, what: str) -> Any:
    """The value of one argument as a float, an array, or as it is.  Raises `Mistake`."""
    if parameter.kind == "any":
        return entry
    value = entry.value
    label = f"{parameter.name} of {what}"
    if parameter.none is not None and isinstance(value, Record) and value.name == "none":
        bind(value, ())
        return parameter.none
    if not isinstance(value, Value) or value.symbolic:
        raise Mistake(f"{label} must be {_wanted(parameter)}", entry.span, _remedy(parameter, 5.0))
    check_unit(value, parameter.power, label, entry.span)
    if parameter.kind == "vector":
        return np.atleast_1d(value.array)
    if parameter.kind == "matrix":
        return value.array
    if value.shape:
        raise Mistake(
            f"{label} must be one number, not {value.describe()}", entry.span, _remedy(parameter, 5.0)
        )
    _check_bounds(float(value.data), parameter, label, entry.span)
    return float(value.data)


_UNITS = {TIME: "1ms", FREQUENCY: "1Hz"}


def check_unit(value: Value, power: int | None, label: str, span: Span | None) -> None:
    """Raise `Mistake` unless `value` has the dimension `power`: a bare number is no time."""
    if power is None or value.power == power:
        return
    example = float(value.array.flat[0]) if value.array.size else 5.0
    wanted, hint = dimension_name(power), remedy(power, example, value.power)
    if value.shape and value.power == PLAIN and power in _UNITS:
        hint = f"multiply it by its unit, such as {_UNITS[power]} * load(...)"
    raise Mistake(f"{label} must be {wanted}, not {value.describe()}", span, hint)


def remedy(power: int, example: float, given: int = PLAIN) -> str:
    """How to write a quantity of a dimension: "write 5ms or 0.005s"."""
    if power == TIME and given == PLAIN and 0 < example < 10:
        if example == int(example):
            return f"write {example:g}s or {example:g}ms"
        # What is below a half was most likely meant in seconds, what is above in milliseconds.
        ms = example * 1000 if example < 0.5 else example
        return f"write {ms:g}ms or {ms / 1000:g}s"
    if power == TIME and given == PLAIN and example >= 10:
        return f"write {example:g}ms or {example / 1000:g}s"
    if power == FREQUENCY and given == PLAIN and example > 0:
        return f"write {example:g}Hz"
    return _REMEDIES.get(power, "give it the same unit").format("5", "0.005")


def _wanted(parameter: Parameter) -> str:
    return {TIME: "a time", FREQUENCY: "a frequency"}.get(parameter.power or 0, "a number")


def _remedy(parameter: Parameter, example: float) -> str:
    return _REMEDIES[PLAIN] if parameter.power is None else remedy(parameter.power, example)


def _check_bounds(number: float, parameter: Parameter, label: str, span: Span) -> None:
    unit = {TIME: " s", FREQUENCY: " Hz"}.get(parameter.power or 0, "")
    if parameter.positive and number <= 0:
        raise Mistake(f"{label} must be above 0, not {number:g}{unit}", span, _above_zero(parameter))
    if parameter.least is not None and number < parameter.least:
        raise Mistake(
            f"{label} must be at least {parameter.least:g}, not {number:g}{unit}",
            span,
            "write a larger number",
        )


def _above_zero(parameter: Parameter) -> str:
    if parameter.power == TIME and parameter.name.startswith("tau"):
        return "write a time such as 5ms; a connection without a filter is `synapse none`"
    return "write a larger number"


def text_of(value: Any) -> str | None:
    return value.value if isinstance(value, Text) else None


def seed_of(entry: Entry, what: str = "the model") -> int:
    """A seed: a whole number from 0 to 2^63 - 1."""
    value = convert(entry, Parameter("seed", least=0.0), what)
    if value != int(value) or value >= 2**63:
        raise Mistake("a seed is a whole number of at least 0", entry.span, "write a number such as 7")
    return int(value)
