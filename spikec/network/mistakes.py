"""Mistakes in the use of `Network`, with the line of the caller's own file."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from inspect import Parameter, signature
from types import FrameType
from typing import NoReturn, ParamSpec, TypeVar

from spikec.errors import Diagnostic, ModelError, Span

_OWN = ("spikec", "spike_runtime")
P = ParamSpec("P")
T = TypeVar("T")


class NetworkError(ModelError):
    """A mistake in how a network is described or run."""


def here() -> Span | None:
    """The line of the first caller outside of the compiler and the runtime."""
    frame = sys._getframe(1)
    while _own(frame):
        if frame.f_back is None:
            return None
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, line).rstrip()
    indent = len(text) - len(text.lstrip())
    return Span(file, line, indent + 1, line, len(text) + 1)


def _own(frame: FrameType) -> bool:
    """Whether it is code of the compiler, of the runtime, or of a program."""
    name = str(frame.f_globals.get("__name__"))
    return name.partition(".")[0] in _OWN or frame.f_code.co_filename == "<program>"


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


def runtime_mistake(error: Exception) -> NoReturn:
    """Raise a `NetworkError` for what the runtime refuses, or for a step that failed."""
    what, _, more = str(error).partition("; ")
    remedy, *lines = more.splitlines() or [""]
    mistake("\n".join([what, *lines]), remedy)


def arguments_checked(method: Callable[P, T]) -> Callable[P, T]:
    """The same; arguments that it does not take, or that are missing, are a `NetworkError` with a remedy."""
    takes = signature(method)
    names = [name for name in takes.parameters if name != "self"]
    title = "Network" if method.__name__ == "__init__" else method.__name__
    open_ended = any(p.kind is Parameter.VAR_KEYWORD for p in takes.parameters.values())

    @wraps(method)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        for name in kwargs:
            if name not in names and not open_ended:
                mistake(f"{title} has no argument {name!r}", nearest(name, names, "arguments"))
        try:
            takes.bind(*args, **kwargs)
        except TypeError as error:
            mistake(f"{title}: {error}", f"its arguments are {', '.join(names)}")
        return method(*args, **kwargs)

    return checked
