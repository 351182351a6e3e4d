"""Frames: the objects of one module instance (or of the whole model), by their names in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from spikec.errors import Span
from spikec.language import syntax as s
from spikec.language.context import Context
from spikec.language.elements import Array, Connection, Element
from spikec.language.evaluate import integer
from spikec.language.scope import Scope, duplicate
from spikec.language.values import AlreadyReported, Mistake

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Broken:
    """An object whose declaration holds a mistake that is reported already."""

    span: Span


@dataclass(frozen=True, eq=False)
class ModuleValue:
    """A module with the scope of the file that defines it."""

    definition: s.Module
    scope: Scope
    modules: dict[str, ModuleValue]


@dataclass(frozen=True, eq=False)
class Instance:
    """A module in use: its frame, and where it is used."""

    frame: Frame
    span: Span


@dataclass(eq=False)
class Link:
    """A connection with a name; `made` gives it once every object is known, None where it has a mistake."""

    path: str
    span: Span
    made: Callable[[], Connection | None] | None = None


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a module is used: the place, those of the arguments given there, and the frame it stands in."""

    definition: s.Module
    span: Span
    arguments: dict[str, Span]
    outer: Frame

    def blame(self, mistake: Mistake) -> Mistake:
        """A mistake in the text of another file's module, at the argument that it comes from.

        Who uses a module of a library cannot change its text: the place there becomes a note.
        """
        span = mistake.diagnostic.span
        if span is None or span.file != self.definition.span.file or span.file == self.span.file:
            return mistake
        used = [n for n in s.names_within(self.definition.body, span) if n in self.arguments]
        used = list(dict.fromkeys(used))
        place = (
            self.arguments[used[0]] if len(used) == 1 else self.span
        )  # nobody knows which of several is wrong
        d = mistake.diagnostic
        note = (f"{self.definition.name} uses {' and '.join(used) or 'what it is given'} here", span)
        return Mistake(d.message, place, d.hint, (note, *d.notes))


@dataclass(frozen=True, eq=False)
class Default:
    """One argument or clause that `defaults` gives, with the scope it is read in."""

    argument: s.Argument
    scope: Scope


Object = Element | Array | Instance | Link | Broken


@dataclass(eq=False)
class Frame:
    """`path` is what stands before the names of its objects ("position."); `seed` keys their randomness."""

    context: Context
    path: str
    scope: Scope
    modules: dict[str, ModuleValue]
    seed: int
    depth: int = 0
    objects: dict[str, Object] = field(default_factory=dict)
    families: dict[str, Span] = field(default_factory=dict)
    defaults: dict[str, dict[str, Default]] = field(default_factory=dict)
    ports: list[str] = field(default_factory=list)
    in_module: bool = False
    origin: Origin | None = None

    def attempt(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What `action` gives; None where it raises a mistake, which goes to whom it belongs."""
        try:
            return action(*args, **kwargs)
        except AlreadyReported:
            return None
        except Mistake as found:
            for mistake in (found, *found.others):
                self.context.report(self.blame(mistake))
            return None

    def blame(self, mistake: Mistake) -> Mistake:
        """A mistake at its place, or at the argument that a module of another file was given."""
        origin = self.origin
        while origin is not None:
            mistake, origin = origin.blame(mistake), origin.outer.origin
        return mistake

    def is_within(self, module: s.Module) -> bool:
        """Whether it belongs to a use of a module, directly or by way of others."""
        origin = self.origin
        while origin is not None and origin.definition is not module:
            origin = origin.outer.origin
        return origin is not None

    def within(self, values: dict[str, Any]) -> Frame:
        """The same frame with more names of values: the body of a loop."""
        scope = self.scope.child()
        for name, value in values.items():
            scope.bind(name, value)
        return Frame(
            self.context, self.path, scope, self.modules, self.seed, self.depth + 1, self.objects,
            self.families, self.defaults, self.ports, self.in_module, self.origin,
        )  # fmt: skip

    def local_name(self, declared: s.Declared) -> str:
        """The name with the values of its indices: `e[3]`."""
        indices = [integer(i, self.scope, "the index of a name") for i in declared.indices]
        return declared.name + "".join(f"[{i}]" for i in indices)

    def declare(self, declared: s.Declared, local: str, obj: Object) -> None:
        """Enter an object.  Raises `Mistake` if its name is taken."""
        taken = self.objects.get(local)
        if taken is not None:
            mistake = duplicate(local, declared.span, taken.span)
            if taken.span == obj.span and isinstance(taken, Broken):
                raise AlreadyReported
            if taken.span == obj.span:
                raise Mistake(
                    f"the name {local!r} is declared in every round of a loop",
                    declared.span,
                    f"number it with the loop's variable, such as {declared.name}[i]",
                )
            raise mistake
        if (declared.name in self.families) != bool(declared.indices) and (
            declared.name in self.families or declared.name in self.objects
        ):
            first = self.families.get(declared.name) or self.objects[declared.name].span
            raise duplicate(declared.name, declared.span, first)
        self.objects[local] = obj
        if declared.indices:
            self.families.setdefault(declared.name, declared.span)

    def names(self) -> list[str]:
        """Names of objects, for suggestions."""
        plain = [n for n in self.objects if "[" not in n]
        return plain + list(self.families)
