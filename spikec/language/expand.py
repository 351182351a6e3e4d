"""Statements to elements: parameters, modules in use and loops are expanded, all mistakes collected.

Connections and probes are kept aside until every object is known, so that statements may stand in any order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from spikec.language import cells, inputs, populate
from spikec.language import syntax as s
from spikec.language.context import Context, Enough
from spikec.language.elements import Array, Element
from spikec.language.evaluate import arguments, evaluate, limits, number
from spikec.language.frame import Broken, Default, Frame, Instance, Link, ModuleValue, Object, Origin
from spikec.language.imports import Library
from spikec.language.scope import FunctionValue, Scope, duplicate, suggestion
from spikec.language.signatures import Parameter, check_unit, convert, meant, seed_of
from spikec.language.values import UNITS, AlreadyReported, Entry, Mistake, Mistakes, Value

MAX_STATEMENTS = 1_000_000
MAX_MODULE_DEPTH = 24

_CLAUSES = ("synapse", "transform", "delay", "solver", "eval_points")
_DEFAULTS = {
    "ensemble": tuple(n for n in populate.ENSEMBLE_ARGUMENTS if n not in ("seed",)),
    "connection": _CLAUSES,
    "probe": ("synapse", "every", "solver"),
}


@dataclass
class Expander:
    """Walks statements; `elements`, `connects` and `probes` are what it found."""

    context: Context
    catalogue: Library
    dt: float
    elements: list[Element] = field(default_factory=list)
    connects: list[tuple[s.Connect | s.For, Frame, Link | None]] = field(default_factory=list)
    probes: list[tuple[s.Probe, Frame]] = field(default_factory=list)
    statements: int = 0

    def block(self, statements: Iterable[s.Statement], frame: Frame) -> None:
        """Expand a block: definitions first, then everything else in the order written."""
        statements = tuple(statements)
        for statement in statements:
            frame.attempt(self._define, statement, frame)
        for statement in statements:
            self._count(1, statement)
            frame.attempt(self._expand, statement, frame)

    def _count(self, n: int, statement: s.Statement) -> None:
        self.statements += n
        if self.statements > MAX_STATEMENTS:
            what = f"the model makes more than {MAX_STATEMENTS} statements"
            self.context.report(Mistake(what, statement.span, "make its loops smaller"))
            raise Enough

    # -------------------------------------------------------------------------------------- definitions

    def _define(self, statement: s.Statement, frame: Frame) -> None:
        match statement:
            case s.Param() if frame.depth:
                hint = "write let, or put it in the brackets of the module"
                raise Mistake("a param stands at the top of a file", statement.span, hint)
            case s.Param() | s.Let():
                define_value(statement, frame.scope)
            case s.FunctionDefinition():
                value = FunctionValue(statement, frame.scope)
                frame.scope.define(statement.name, lambda: value, statement.span)
            case s.Module():
                define_module(statement, frame)
            case s.Defaults():
                self._set_defaults(statement, frame)

    def _set_defaults(self, statement: s.Defaults, frame: Frame) -> None:
        known = _DEFAULTS[statement.kind]
        own: dict[str, Default] = dict(frame.defaults.get(statement.kind, {}))
        for argument in statement.arguments:
            if argument.name is None:
                self.context.defaults_lost = True
                raise Mistake("a default needs a name", argument.span, "write name = value")
            if argument.name not in known:
                self.context.defaults_lost = True
                what = f"defaults {statement.kind} has no {argument.name!r}"
                others = [kind for kind, names in _DEFAULTS.items() if argument.name in names]
                hint = f"write it in defaults {' or '.join(others)}" if others else ""
                raise Mistake(what, argument.span, hint or suggestion(argument.name, list(known)))
            own[argument.name] = Default(argument, frame.scope)
        frame.defaults[statement.kind] = own

    # ----------------------------------------------------------------------------------------- objects

    def _expand(self, statement: s.Statement, frame: Frame) -> None:
        match statement:
            case s.Param() | s.Let() if statement.name in frame.scope.bindings:
                # Also what nobody uses must be right.
                _check_value(statement, frame.scope.bindings[statement.name].get(statement.name))
            case s.Input() | s.InputFile() | s.Population() | s.FunctionNode() | s.Relay():
                self._declare(statement, frame)
            case s.Use():
                self._use(statement, frame)
            case s.Connect():
                self.connects.append((statement, frame, self._link(statement, frame)))
            case s.Probe():
                self.probes.append((statement, frame))
            case s.For() if _only_connects(statement):
                self.connects.append((statement, frame, None))
            case s.For() | s.If():
                for body, inner in self._blocks(statement, frame):
                    self.block(body, inner)
            case s.ModelName() | s.Setting() | s.Import():
                self._misplaced(statement, frame)

    def _misplaced(self, statement: s.Statement, frame: Frame) -> None:
        seed_of_module = isinstance(statement, s.Setting) and statement.name == "seed"
        if frame.depth and not (frame.in_module and seed_of_module):
            word = statement.name if isinstance(statement, s.Setting) else type(statement).__name__.lower()
            raise Mistake(f"{word!r} does not belong here", statement.span, "write it at the top of the file")

    def _declare(self, statement: Any, frame: Frame) -> None:
        declared = statement.name
        try:
            local = frame.local_name(declared)
        except (Mistake, AlreadyReported):
            frame.families.setdefault(declared.name, declared.span)
            raise
        obj: Object = Broken(statement.span)
        try:
            obj = self._build(statement, frame, frame.path + local)
        finally:
            frame.declare(declared, local, obj)
        if isinstance(obj, Array):
            self.elements.extend(obj.elements)
        elif isinstance(obj, Element):
            self.elements.append(obj)

    def _build(self, statement: s.Statement, frame: Frame, path: str) -> Element | Array:
        match statement:
            case s.Input():
                return inputs.declared(statement, frame, path, self.dt)
            case s.InputFile():
                return inputs.from_file(statement, frame, path, self.dt)
            case s.Population(kind="population"):
                return cells.population(statement, frame, path, self.dt)
            case s.Population():
                return populate.population(statement, frame, path, self.dt)
            case s.FunctionNode():
                return populate.function_node(statement, frame, path)
            case s.Relay():
                if statement.kind == "port":
                    if not frame.in_module:
                        raise Mistake(
                            "a port stands in a module", statement.span, f"write relay {statement.name.name}"
                        )
                    frame.ports.append(statement.name.name)
                return populate.relay(statement, frame, path)
        raise TypeError(statement)

    def _link(self, statement: s.Connect, frame: Frame) -> Link | None:
        """What the name of a connection stands for, where it has one."""
        if statement.name is None:
            return None
        local = frame.local_name(statement.name)
        link = Link(frame.path + local, statement.span)
        frame.declare(statement.name, local, link)
        return link

    # ------------------------------------------------------------------------------------------ control

    def links(self) -> Iterator[tuple[s.Connect, Frame, Link | None]]:
        """Every connection, with the frame that it is read in and what its name stands for."""
        for statement, frame, named in self.connects:
            if isinstance(statement, s.Connect):
                yield statement, frame, named
            else:
                yield from self._inside(statement, frame)

    def _inside(self, statement: s.Statement, frame: Frame) -> Iterator[tuple[s.Connect, Frame, Link | None]]:
        """The connections of a statement that makes nothing else, one by one: all their frames together would
        take more memory than what becomes of them.
        """
        if isinstance(statement, s.Connect):
            yield statement, frame, None
            return
        assert isinstance(statement, s.For | s.If)
        for body, inner in frame.attempt(self._blocks, statement, frame) or ():
            for part in body:
                self._count(1, part)
                yield from self._inside(part, inner)

    def _blocks(self, statement: s.For | s.If, frame: Frame) -> Iterable[tuple[s.Block, Frame]]:
        """What a loop or condition makes: blocks with the frames that they are read in.  Raises `Mistake`."""
        if isinstance(statement, s.If):
            return [self._chosen(statement, frame)]
        rounds = limits(statement.range, frame.scope)
        if len(rounds) and self._estimate(statement, frame, len(rounds)) + self.statements > MAX_STATEMENTS:
            raise Mistake(
                f"the loop makes more than {MAX_STATEMENTS} statements ({len(rounds)} rounds)",
                statement.range.span,
                "make the range smaller; many equal ensembles are an `array`",
            )
        return ((statement.body, frame.within({statement.variable: Value(float(i))})) for i in rounds)

    def _estimate(self, statement: s.For, frame: Frame, rounds: int) -> float:
        """Statements that a loop makes, with the ranges of loops in it taken at its first round."""
        total = 0.0
        first_round = frame.within({statement.variable: Value(0.0)})
        for inner in statement.body:
            total += 1
            if isinstance(inner, s.For):
                try:
                    start, stop = (
                        int(number(e, first_round.scope).data) for e in (inner.range.start, inner.range.stop)
                    )
                    total += self._estimate(inner, first_round, max(0, stop - start))
                except (Mistake, AlreadyReported, TypeError, ValueError):
                    total += 1
        return total * rounds

    def _chosen(self, statement: s.If, frame: Frame) -> tuple[s.Block, Frame]:
        """The block that a condition chooses, and its frame.  Raises `Mistake`."""
        value = number(statement.condition, frame.scope)
        if value.symbolic or value.shape or value.power:
            raise Mistake(
                "a condition is one plain number", statement.condition.span, "compare: if n > 1 { ... }"
            )
        return (statement.body if value.data else statement.otherwise), frame.within({})

    # ------------------------------------------------------------------------------------------ modules

    def _use(self, statement: s.Use, frame: Frame) -> None:
        local = frame.local_name(statement.name)
        try:
            instance = self._instantiate(statement, frame, frame.path + local)
        except (Mistake, AlreadyReported):
            frame.declare(statement.name, local, Broken(statement.span))
            raise
        frame.declare(statement.name, local, instance)
        self.block(self._module(statement, frame).definition.body, instance.frame)

    def _module(self, statement: s.Use, frame: Frame) -> ModuleValue:
        found = frame.modules.get(statement.module) or self.catalogue.standard(statement.module)
        if found is None:
            self.context.refuse_unread(statement.module)
            known = [*frame.modules, *self.catalogue.standard_names()]
            raise Mistake(
                f"unknown module {statement.module!r}", statement.span, suggestion(statement.module, known)
            )
        return found

    def _instantiate(self, statement: s.Use, frame: Frame, path: str) -> Instance:
        module = self._module(statement, frame)
        if frame.path.count(".") >= MAX_MODULE_DEPTH:
            circle = frame.is_within(module.definition)
            raise Mistake(
                f"modules are nested more than {MAX_MODULE_DEPTH} deep"
                + (f"; {statement.module!r} uses itself" if circle else ""),
                statement.span,
                "break the circle of modules" if circle else "use fewer within each other",
            )
        scope = module.scope.child()
        definition = module.definition
        names = tuple(name for name, _ in definition.parameters)
        takes = names if "seed" in names else (*names, "seed")
        found = Mistakes()
        given = arguments(found, statement.arguments, frame.scope, definition.name, takes)
        told = meant((a.name for a in statement.arguments), takes)
        for name, default in definition.parameters:
            if name in given:
                if given[name] is not None:
                    found.attempt(_as_default, name, given[name], default, definition)
                    scope.bind(name, given[name].value, given[name].span)
            elif default is not None:
                scope.define(name, partial(evaluate, default, scope), default.span)
            elif name not in told:
                note = (f"{definition.name} is defined here", definition.span)
                hint = f"write {definition.name}({name}=...)"
                found.add(Mistake(f"{definition.name} needs {name!r}", statement.span, hint, (note,)))
        found.finish()
        for name in names:
            frame.attempt(scope.bindings[name].get, name)
        seed = frame.seed
        if "seed" in given and "seed" not in names:
            seed = seed_of(given["seed"])
        given_at = {name: entry.span for name, entry in given.items()}
        origin = Origin(definition, statement.span, given_at, frame)
        inner = Frame(self.context, path + ".", scope, module.modules, seed, frame.depth + 1)
        inner.in_module, inner.origin = True, origin
        inner.defaults = {kind: dict(found) for kind, found in frame.defaults.items()}
        self._seed_of_module(definition, inner)
        return Instance(inner, statement.span)

    def _seed_of_module(self, definition: s.Module, inner: Frame) -> None:
        for statement in definition.body:
            if isinstance(statement, s.Setting) and statement.name == "seed":
                value = evaluate(statement.value, inner.scope)
                inner.seed = seed_of(Entry(value, statement.value.span))


def _only_connects(statement: s.Statement) -> bool:
    """Whether it makes connections without names, and nothing else."""
    match statement:
        case s.Connect():
            return statement.name is None
        case s.For():
            return all(map(_only_connects, statement.body))
        case s.If():
            return all(map(_only_connects, (*statement.body, *statement.otherwise)))
    return False


def _as_default(name: str, given: Entry, default: s.Expr | None, definition: s.Module) -> None:
    """Raise `Mistake` where a number is given in another unit than that of the default: time for time."""
    if isinstance(default, s.Number) and default.unit and isinstance(given.value, Value):
        power = UNITS[default.unit][1] if default.unit in UNITS else None
        try:
            check_unit(given.value, power, f"{name} of {definition.name}", given.span)
        except Mistake as mistake:
            d, note = mistake.diagnostic, (f"{definition.name} says here what it takes", default.span)
            raise Mistake(d.message, d.span, d.hint, (note,)) from None


def define_value(statement: s.Param | s.Let, scope: Scope) -> None:
    """Bind a parameter or constant, to be evaluated when first used."""
    scope.define(statement.name, partial(evaluate, statement.value, scope), statement.span)


def _check_value(statement: s.Param | s.Let, value: Any) -> None:
    """Raise `Mistake` for a parameter that is text, a distribution or the like."""
    if isinstance(statement, s.Param) and not isinstance(value, Value):
        what = f"the parameter {statement.name!r} is not a number"
        raise Mistake(what, statement.value.span, f"write let {statement.name} = ...")


def define_module(statement: s.Module, frame: Frame) -> None:
    """Enter a module with the scope of its file.  Raises `Mistake` if its name is taken."""
    if frame.depth:
        raise Mistake("a module is defined at the top of a file", statement.span, "move it out of the block")
    taken = frame.modules.get(statement.name)
    if taken is not None:
        raise duplicate(statement.name, statement.span, taken.definition.span)
    names = [name for name, _ in statement.parameters]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise Mistake(f"the parameter {twice[0]!r} is declared twice", statement.span, "rename one of them")
    frame.modules[statement.name] = ModuleValue(statement, frame.scope, frame.modules)


def set_parameter(given: float | Value, name: str, default: Any) -> Value:
    """A parameter set from outside; a bare number is in s or Hz where the model has a time or a frequency."""
    if not isinstance(default, Value) or default.shape or default.symbolic:
        raise Mistake(f"the parameter {name!r} is not a number", None, "only numbers can be set from outside")
    value = given if isinstance(given, Value) else Value(given, default.power)
    if not math.isfinite(value.data):
        raise Mistake(
            f"the parameter {name!r} is {value.data:g}, not a finite number", None, "give a finite number"
        )
    check_unit(value, default.power, f"the parameter {name!r}", None)
    return value


def setting(statement: s.Setting, scope: Scope) -> float:
    """The value of `dt 1ms` (s) or `seed 7`."""
    entry = Entry(evaluate(statement.value, scope), statement.value.span)
    if statement.name == "seed":
        return seed_of(entry)
    dt = float(convert(entry, Parameter("dt", 1, positive=True), "the model"))
    if not 1e-9 <= dt <= 1:
        raise Mistake(f"dt must be between 1e-9 s and 1 s, not {dt:g} s", entry.span, "write dt 1ms")
    return dt
