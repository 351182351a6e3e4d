"""Mistakes in the use of `Network`, with the line of the caller's own file."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

import spikec
from spikec.errors import Diagnostic, ModelError, Span

_OWN = str(Path(spikec.__file__).parent) + os.sep


class NetworkError(ModelError):
    """A mistake in how a network is described or run."""


def here() -> Span | None:
    """The line of the first caller outside of this package."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_OWN):
        if frame.f_back is None:
            return None
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, line).rstrip()
    indent = len(text) - len(text.lstrip())
    return Span(file, line, indent + 1, line, len(text) + 1)


def text_of(span: Span | None) -> dict[str, str]:
    """The text of the file that a span is in, by its name."""
    return {} if span is None else {span.file: "".join(linecache.getlines(span.file))}


def mistake(message: str, hint: str) -> NoReturn:
    """Raise a `NetworkError` for the line of the caller."""
    span = here()
    raise NetworkError([Diagnostic(message, span, hint)], text_of(span))


def nearest(name: str, known: Iterable[str], what: str) -> str:
    """A remedy for a name that is not known: the nearest one that is, or some of all."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"{what}: {', '.join(names[:8])}" if names else f"there are no {what} yet"
