"""Syntax to the checked model: names, shapes and units; all mistakes of a file are reported together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from spikec.errors import Diagnostic
from spikec.language import syntax as s
from spikec.language.context import Context
from spikec.language.elements import CheckedModel, Connection, Projected, Recorded
from spikec.language.evaluate import evaluate
from spikec.language.expand import Expander, define_value, set_parameter, setting
from spikec.language.frame import Frame, Link
from spikec.language.imports import Library
from spikec.language.links import connection
from spikec.language.probes import probe
from spikec.language.scope import Scope, duplicate, suggestion
from spikec.language.settings import Settings, in_text
from spikec.language.values import Mistake, Value

DEFAULT_DT = 0.001
SHORTEST_DT, LONGEST_DT = 1e-9, 1.0

T = TypeVar("T")


def check(
    model: s.Model,
    context: Context,
    given: Settings,
) -> CheckedModel:
    """The model with everything resolved and expanded; what is `given` replaces what the model says.

    Mistakes are in the list of `context` when all connections and probes of the model have been taken: it is
    then without the statements that hold or depend on one.  Raises `Enough` where they are too many to go on.
    """
    return _Checker(model, context).run(given.parameters, given.seed, given.dt)


def in_order(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """Mistakes in the order of the text."""

    def place(d: Diagnostic) -> tuple[str, int, int]:
        return (d.span.file, d.span.line, d.span.column) if d.span else ("", 0, 0)

    return sorted(diagnostics, key=place)


class _Checker:
    def __init__(self, model: s.Model, context: Context) -> None:
        self.model = model
        self.context = context
        self.frame = Frame(context, "", Scope(context, context.folder), {}, 0)
        self.name = Path(model.file).stem
        self.dt = DEFAULT_DT
        self.catalogue = Library(context)
        if context.folder is not None:
            self.catalogue.reading.append((context.folder / Path(model.file).name).resolve())

    def run(
        self, parameters: Mapping[str, float | Value], seed: int | None, dt: float | None
    ) -> CheckedModel:
        self._imports()
        self._override(parameters)
        self._settings(seed, dt)
        expander = Expander(self.context, self.catalogue, self.dt)
        expander.block(self.model.statements, self.frame)
        return CheckedModel(
            self.name,
            self.dt,
            self.frame.seed,
            tuple(expander.elements),
            self._connections(expander),
            self._probes(expander),
            self.context.sources,
            self._given(),
        )

    def _imports(self) -> None:
        for statement in self.model.statements:
            if isinstance(statement, s.Import):
                self.context.attempt(self.catalogue.include, statement, self.frame)

    def _override(self, parameters: Mapping[str, float | Value]) -> None:
        """Give parameters set from outside the unit of what the model writes for them."""
        declared = {p.name: p for p in self.model.statements if isinstance(p, s.Param)}
        overridden: dict[str, float | Value] = {}
        for name, value in parameters.items():
            if name not in declared and ({name, "*"} & self.context.unread):
                continue
            if name not in declared:
                hint = suggestion(name, list(declared))
                self.context.report(Mistake(f"the model has no parameter {name!r}", None, hint))
                continue
            overridden[name] = value
        scope = self.frame.scope
        for name, value in overridden.items():
            self.context.attempt(self._set, name, value, declared[name], scope)

    def _set(self, name: str, value: float | Value, statement: s.Param, scope: Scope) -> None:
        scope.overrides[name] = lambda: set_parameter(value, name, evaluate(statement.value, scope))

    def _given(self) -> dict[str, str]:
        """What parameters were set to from outside, as text that could set them again."""
        if self.context.diagnostics:
            return {}
        made = {n: self.context.attempt(value) for n, value in sorted(self.frame.scope.overrides.items())}
        return {name: in_text(value) for name, value in made.items() if value is not None}

    def _settings(self, seed: int | None, dt: float | None) -> None:
        """`model`, `seed` and `dt` hold for the whole model, wherever they stand."""
        # They may use parameters, which are defined again, with everything else, when the block is expanded.
        scope = Scope(self.context, self.context.folder, self.frame.scope)
        scope.overrides = self.frame.scope.overrides
        for statement in self.model.statements:
            if isinstance(statement, s.Param | s.Let):
                self.context.attempt(define_value, statement, scope)
        seen: dict[str, s.Statement] = {}
        for statement in self.model.statements:
            if isinstance(statement, s.Setting | s.ModelName):
                self.context.attempt(self._setting, statement, scope, seen)
        if seed is not None:
            self.frame.seed = seed
        if dt is not None:
            self.dt = dt
        if not 0 <= self.frame.seed < 2**63:
            self.context.report(
                Mistake(f"the seed {seed} is not in 0 .. 2^63 - 1", None, "give a seed such as 7")
            )
        if not SHORTEST_DT <= self.dt <= LONGEST_DT:
            hint = "give a step such as 0.001 (s)"
            self.context.report(Mistake(f"a step of {self.dt:g} s is not between 1e-9 s and 1 s", None, hint))
            self.dt = DEFAULT_DT
        self.context.dt = self.dt

    def _setting(
        self, statement: s.Setting | s.ModelName, scope: Scope, seen: dict[str, s.Statement]
    ) -> None:
        word = "model" if isinstance(statement, s.ModelName) else statement.name
        if word in seen:
            mistake = duplicate(word, statement.span, seen[word].span).diagnostic
            raise Mistake(f"{word!r} is written twice", statement.span, "remove one of them", mistake.notes)
        seen[word] = statement
        if isinstance(statement, s.ModelName):
            self.name = statement.name
        elif statement.name == "seed":
            self.frame.seed = int(setting(statement, scope))
        else:
            self.dt = setting(statement, scope)

    def _connections(self, expander: Expander) -> Iterator[Connection | Projected]:
        counts: dict[str, int] = {}

        def unique(name: str) -> str:
            counts[name] = counts.get(name, 0) + 1
            return name if counts[name] == 1 else f"{name}#{counts[name]}"

        made: dict[Link, Connection | Projected | None] = {}

        def make(statement: s.Connect, frame: Frame, named: Link | None) -> Connection | Projected | None:
            if named is None:
                return frame.attempt(connection, statement, frame, self.dt, unique)
            if named not in made:
                made[named] = None
                made[named] = frame.attempt(connection, statement, frame, self.dt, unique, named)
            return made[named]

        # A connection may lead to a rule of one that is written later, which is made then.
        for statement, frame, named in expander.connects:
            if named is not None:
                named.made = partial(make, statement, frame, named)  # type: ignore[assignment,arg-type]
        for place in expander.links():
            if (link := make(*place)) is not None:
                yield link

    def _probes(self, expander: Expander) -> Iterator[Recorded]:
        taken: dict[str, s.Probe] = {}
        for statement, frame in expander.probes:
            yield from frame.attempt(probe, statement, frame, self.dt, taken) or ()
