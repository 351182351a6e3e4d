"""Scopes: which names mean what, resolved on demand so that statements may stand in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from spikec.errors import Span
from spikec.language import syntax as s
from spikec.language.context import Context
from spikec.language.values import AlreadyReported, Mistake


@dataclass(frozen=True, eq=False)
class FunctionValue:
    """A named function with the scope its body is read in."""

    definition: s.FunctionDefinition
    scope: Scope


@dataclass(eq=False)
class Binding:
    """A name whose value is computed when first asked for."""

    compute: Callable[[], Any]
    span: Span | None
    state: str = "new"
    value: Any = None

    def get(self, name: str) -> Any:
        if self.state == "done":
            return self.value
        if self.state == "failed":
            raise AlreadyReported
        if self.state == "running":
            raise Mistake(
                f"the value of {name!r} depends on itself", self.span, "break the circle of definitions"
            )
        self.state = "running"
        try:
            self.value = self.compute()
        except BaseException:
            self.state = "failed"
            raise
        self.state = "done"
        return self.value


@dataclass(eq=False)
class Scope:
    """Names of values (parameters, constants, functions, loop variables) at one place of a model."""

    context: Context
    folder: Path | None
    parent: Scope | None = None
    bindings: dict[str, Binding] = field(default_factory=dict)
    overrides: dict[str, Callable[[], Any]] = field(default_factory=dict)

    def child(self) -> Scope:
        return Scope(self.context, self.folder, self)

    def bind(self, name: str, value: Any, span: Span | None = None) -> None:
        self.bindings[name] = Binding(lambda: value, span, "done", value)

    def define(self, name: str, compute: Callable[[], Any], span: Span) -> None:
        """Bind `name` to what `compute` will give.  Raises `Mistake` if the name is taken here."""
        if name in self.bindings:
            raise duplicate(name, span, self.bindings[name].span)
        self.bindings[name] = Binding(self.overrides.get(name, compute), span)

    def find(self, name: str) -> Binding | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.bindings:
                return scope.bindings[name]
            scope = scope.parent
        return None

    def names(self) -> list[str]:
        own = list(self.bindings)
        return own + (self.parent.names() if self.parent else [])


def duplicate(name: str, span: Span, first: Span | None) -> Mistake:
    notes = (("it is declared here first", first),) if first else ()
    return Mistake(f"the name {name!r} is declared twice", span, "give one of them another name", notes)


def nearest(name: str, candidates: list[str]) -> str | None:
    """What was most likely meant: the same in other case, the same letters swapped, else what looks alike.

    A name of one letter looks like too many.
    """
    for alike in (str.lower, lambda text: "".join(sorted(text.lower()))):
        if same := [c for c in candidates if alike(c) == alike(name)]:
            return same[0]
    for written in (name, name.lower()) if len(name) > 1 else ():
        if close := get_close_matches(written, candidates, n=1, cutoff=0.6):
            return close[0]
    return None


def suggestion(name: str, known: list[str], also: Iterable[str] = ()) -> str:
    """A remedy for an unknown name: the nearest of those `known` or `also` there, or a list of the known."""
    if near := nearest(name, [*known[:2000], *also]):
        return f"did you mean {near!r}?"
    if not known:
        return "declare it first"
    return "known names: " + listed(known)


def listed(names: Iterable[str]) -> str:
    """The first dozen of some names."""
    ordered = sorted(set(names))
    return ", ".join(ordered[:12]) + (", ..." if len(ordered) > 12 else "")
