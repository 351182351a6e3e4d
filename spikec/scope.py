"""Scopes: which names mean what, resolved on demand so that statements may stand in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from spikec import syntax as s
from spikec.errors import Diagnostic, Span
from spikec.values import AlreadyReported, Mistake

MAX_ITEMS = 50_000_000

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Context:
    """What one compilation shares: files read, mistakes found, bounds on what may be allocated."""

    folder: Path | None
    allow_outside: bool
    memory_limit: int
    sources: dict[str, str] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    bytes_planned: int = 0
    items: int = 0
    calls: int = 0

    def attempt(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What `action` gives; None where it raises a mistake, which is put in the list."""
        try:
            return action(*args, **kwargs)
        except AlreadyReported:
            return None
        except Mistake as mistake:
            self.report(mistake)
            return None

    def report(self, mistake: Mistake) -> None:
        if mistake.diagnostic not in self.diagnostics:
            self.diagnostics.append(mistake.diagnostic)

    def reserve(self, count: float, what: str, span: Span) -> None:
        """Count what a loop, list or matrix makes, before it is made.  Raises `Mistake` above the bound."""
        self.items += int(min(count, 10**18))
        limit = min(MAX_ITEMS, self.memory_limit // 8)
        if self.items > limit:
            raise Mistake(
                f"{what} makes {int(count)} items; a model may make at most {limit} in all",
                span,
                "make it smaller; many equal ensembles are an `array`, large matrices belong in .npy files",
            )


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


def suggestion(name: str, known: list[str]) -> str:
    """A remedy for an unknown name: the nearest one, or the list of what there is."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    if not known:
        return "declare it first"
    listed = sorted(set(known))
    return "known names: " + ", ".join(listed[:12]) + (", ..." if len(listed) > 12 else "")
