"""Errors of the compiler: where a mistake stands, what it is, and how to mend it.

Every error a user can cause is a `Diagnostic`.  A stage collects all of its diagnostics
and raises them together as one `ModelError`; the command line renders them and exits with 2.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spikec.records import dataclass


@dataclass(frozen=True)
class Span:
    """A place in a source text; lines and columns count from 1, the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class Diagnostic:
    """One mistake: `message` says what is wrong, `hint` what to do, `notes` where a cause stands; `trace` is
    the traceback of code of the user's that raised an exception.
    """

    message: str
    span: Span | None = None
    hint: str = ""
    notes: tuple[tuple[str, Span], ...] = ()
    trace: str = ""

    def render(self, sources: dict[str, str] | None = None, kind: str = "error") -> str:
        """Text of this diagnostic with the source line and a caret under the place."""
        lines = [_located(kind, self.message, self.span, sources or {})]
        lines += [_located("note", text, span, sources or {}) for text, span in self.notes]
        if self.hint:
            lines.append(f"  help: {self.hint}")
        return self.trace + "\n".join(lines)

    def as_data(self) -> dict[str, Any]:
        """As data for programs; a place is left out where there is none."""
        return {
            "message": self.message,
            "hint": self.hint,
            **(asdict(self.span) if self.span else {}),
            "notes": [{"message": note, **asdict(span)} for note, span in self.notes],
        }


def _located(kind: str, message: str, span: Span | None, sources: dict[str, str]) -> str:
    if span is None:
        return f"{kind}: {message}"
    head = f"{span.file}:{span.line}:{span.column}: {kind}: {message}"
    text = sources.get(span.file, "").splitlines()
    if not 0 < span.line <= len(text):
        return head
    source, start, width = _excerpt(text[span.line - 1], span)
    margin = " " * len(str(span.line))
    return f"{head}\n  {span.line} | {source}\n  {margin} | {' ' * start}{'^' * width}"


def _excerpt(line: str, span: Span, limit: int = 100) -> tuple[str, int, int]:
    """The part of a source line that is worth printing: a 10 MB line is cut around the mistake."""
    line = line.replace("\t", " ")
    end = span.end_column if span.end_line == span.line else len(line) + 1
    start, width = span.column - 1, max(1, end - span.column)
    if len(line) > limit:
        first = max(0, start - limit // 2)
        line, start = line[first : first + limit], start - first
    return line, start, max(1, min(width, len(line) - start))


# What the disk says, not the place.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.ENOMEM)


class SpikeError(Exception):
    """Base of every error that a user can cause; `exit_code` is what the commands return."""

    exit_code = 2


class ModelError(SpikeError):
    """The mistakes that one stage found in a model, all together."""

    def __init__(self, diagnostics: list[Diagnostic], sources: dict[str, str] | None = None) -> None:
        self.diagnostics = list(diagnostics)
        self.sources = dict(sources or {})
        super().__init__("\n".join(d.render(self.sources) for d in self.diagnostics))


class ModelWarning(UserWarning):
    """What a model says in vain, as nothing uses, reads or feeds it; or that it recorded no finite number."""


class WriteError(SpikeError):
    """Something cannot be written; the message names it, the cause and what to do.

    `exit_code`: 2 where it is a bad place, 1 where the disk is full or fails.
    """

    def __init__(self, what: Path, cause: OSError, remedy: str) -> None:
        super().__init__(f"error: cannot write {what}: {cause.strerror or cause}\n  help: {remedy}")
        self.exit_code = 1 if cause.errno in _DISK else 2


@contextmanager
def writing(what: Path, remedy: str) -> Iterator[None]:
    """Say of what the system refuses in this block that `what` cannot be written, whatever file it was of.

    Raises `WriteError`.
    """
    try:
        yield
    except OSError as error:
        more = "make room there, or " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise WriteError(what, error, more + remedy) from error


class InvalidGraph(AssertionError):  # noqa: N818 - what it says of the graph
    """The compiler broke its own rules: a pass gave a graph that `verify()` refuses."""


def model_error(message: str, hint: str = "", span: Span | None = None) -> ModelError:
    """A `ModelError` with a single diagnostic."""
    return ModelError([Diagnostic(message, span, hint)])
