"""What one compilation shares: the files read, the mistakes found, and bounds, so that it ends and fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from spikec.errors import Diagnostic, Span
from spikec.language.values import AlreadyReported, Mistake

# Numbers in matrices and recordings; what loops, lists and functions evaluate; mistakes worth reading.
MAX_ITEMS = 50_000_000
MAX_ROUNDS = 1_000_000
MAX_MISTAKES = 50

_INDEX = re.compile(r"\[\d+\]")

P = ParamSpec("P")
T = TypeVar("T")


class Enough(Exception):  # noqa: N818 - no mistake of its own
    """So many mistakes are in the list that it is not worth going on."""


@dataclass
class Context:
    """`items`, `rounds` and `bytes_planned` count what the model has asked for so far.

    `unread` are names whose declarations could not be parsed ("*": any).  `bytes_moment` is the most that one
    step of the compilation takes and gives back; `decoded` are paths of ensembles whose plain value has been
    counted, `read` in which ways connections read what they come from.  `defaults_lost`: a statement
    `defaults` holds a mistake, so not all that others take is known.
    """

    folder: Path | None
    allow_outside: bool
    memory_limit: float
    sources: dict[str, str] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    # Defaults by their place: why it holds for nothing that was given it, None where it does for one.
    idle: dict[Span, Diagnostic | None] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    defaults_lost: bool = False
    bytes_planned: float = 0.0
    bytes_moment: float = 0.0
    decoded: set[str] = field(default_factory=set)
    read: set[Hashable] = field(default_factory=set)
    # All that were found; of those that are alike the place in the list, the first, and how many more.
    found: set[tuple[str, Span | None, str]] = field(default_factory=set)
    alike: dict[tuple[object, ...], tuple[int, Diagnostic, int]] = field(default_factory=dict)
    items: float = 0.0
    rounds: float = 0.0
    calls: int = 0
    # The step in s; None until it is known.
    dt: float | None = None

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
        """Put a mistake, and those found with it, in the list once.  Raises `Enough` where that is full.

        Of those that differ in the indices of names alone, as in rounds of a loop, the first is told, with
        the number of the others.
        """
        d = mistake.diagnostic
        if (d.message, d.span, d.hint) not in self.found:
            self.found.add((d.message, d.span, d.hint))
            key = (d.span, _INDEX.sub("[]", d.message), _INDEX.sub("[]", d.hint))
            place, first, more = self.alike.get(key, (len(self.diagnostics), d, -1))
            self.alike[key] = place, first, more + 1
            several = replace(first, message=f"{first.message} (and {more + 1} more like this)")
            self.diagnostics[place : place + 1] = [several if more >= 0 else d]
        if len(self.diagnostics) >= MAX_MISTAKES:
            raise Enough
        for other in mistake.others:
            self.report(other)

    def refuse_unread(self, name: str) -> None:
        """Raise `AlreadyReported` for a name whose declaration could not be read."""
        if name in self.unread or "*" in self.unread:
            raise AlreadyReported

    def default(self, span: Span, warning: Diagnostic | None) -> None:
        """Note that a default holds for an object, or why not, which is told where it holds for none."""
        self.idle[span] = warning and self.idle.get(span, warning)

    def idle_defaults(self) -> list[Diagnostic]:
        """Warnings of defaults that hold for nothing that was given them."""
        return [one for one in self.idle.values() if one]

    def reserve(self, count: float, what: str, span: Span) -> None:
        """Count the numbers of a matrix before it is made.  Raises `Mistake` above the bound."""
        limit = int(min(MAX_ITEMS, self.memory_limit // 8))
        if self.items + count > limit:
            raise Mistake(
                f"{what} makes {readable(count)} items; a model may make at most {limit} in all",
                span,
                "make it smaller; large matrices belong in .npy files",
            )
        self.items += count

    def spend(self, count: float, what: str, span: Span) -> None:
        """Count what loops, lists and functions evaluate, beforehand.  Raises `Mistake` above the bound."""
        if self.rounds + count > MAX_ROUNDS:
            raise Mistake(
                f"{what}; a model may evaluate at most {MAX_ROUNDS} in all",
                span,
                "make it smaller; many equal ensembles are an `array`, large matrices belong in .npy files",
            )
        self.rounds += count

    def plan(self, size: float, span: Span, moment: float = 0.0) -> None:
        """Count memory before it is allocated: `size` to the end, `moment` for a while.

        Raises `Mistake` with the size where it does not fit.
        """
        planned, largest = self.bytes_planned + size, max(self.bytes_moment, moment)
        if planned + largest > self.memory_limit:
            sizes, digits = (planned + largest, self.memory_limit), 3
            while digits < 15 and len({readable_bytes(size, digits) for size in sizes}) == 1:
                digits += 1
            needed, limit = (readable_bytes(size, digits) for size in sizes)
            raise Mistake(
                f"the model needs about {needed} of memory up to here; the limit is {limit}",
                span,
                "use fewer neurons or dimensions, smaller or sparser matrices, or --memory-limit",
            )
        self.bytes_planned, self.bytes_moment = planned, largest

    @property
    def bytes_needed(self) -> float:
        """What compiling the model takes at the peak, about."""
        return self.bytes_planned + self.bytes_moment


def readable(count: float) -> str:
    """A whole number, short where it is very large."""
    return f"{count:.0f}" if count < 1e15 else f"{count:g}"


def readable_bytes(size: float, digits: int = 3) -> str:
    units = ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.{digits}g} {units[0]}"
