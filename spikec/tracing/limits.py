"""How far a function is followed, and how long the expressions are that are compiled.

Loops are written out, each round of them, and what is used twice is computed twice: sizes may double with
every round, so they are known before anything walks over an expression.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeAlias

from spikec.expressions import ENTRY, FUNCTIONS, Call, Expression

# A program grows with the functions of a model: longer ones run as they are.  Measured (2 cores, 64 bits): a
# program with one of 192, 384, 576 or 1984 operations compiles in 3.0, 3.6, 4.3 or 13.7 s, and a step takes
# 2.0, 2.2, 2.5 or 4.5 us; with a call of Python 12 us, which also keeps partitions together.
MOST_NODES = 600
# Python reads no program with 200 brackets in each other.
MOST_NESTED = 190
# All operations, and instructions of Python, on all paths.  To follow that many takes 0.1 s and 0.02 s.
MOST_MADE, MOST_INSTRUCTIONS = 5_000, 100_000
TOO_LARGE = f"is too large to compile: with its loops written out it has more than {MOST_NODES} operations"
TOO_DEEP = f"is too large to compile: more than {MOST_NESTED} of its operations follow from each other"
TOO_MUCH = f"makes more than {MOST_MADE:,} operations as it is followed, maybe in a loop without end"
ENDLESS = f"runs {MOST_INSTRUCTIONS:,} instructions and more as it is followed, maybe in a loop without end"
# What a program writes with two brackets in each other.
_TWICE = {ENTRY, *(name for name, function in FUNCTIONS.items() if "cast(" in function.pytensor)}
# What marks the global variables of functions that are followed: no name that they could use.
FOLLOWED = "followed by spikec"

Extent: TypeAlias = tuple[int, int]


class UntraceableError(Exception):
    """A function does what no expression says; the text is what, as in "gives nothing"."""


def extent(function: str, inner: Iterable[Extent]) -> Extent:
    """How many operations and numbers a call holds, and how many brackets in each other its program has."""
    sizes, depths = zip(*inner, strict=True)
    return 1 + sum(sizes), max(depths) + 1 + (function in _TWICE)


def extent_of(expression: Expression) -> Extent:
    """The extent of an expression."""
    if not isinstance(expression, Call):
        return 1, 0
    return extent(expression.function, map(extent_of, expression.arguments))


def too_large(expressions: Iterable[Expression]) -> str:
    """Why expressions are too large to compile; empty where they are not."""
    sizes, depths = zip((0, 0), *map(extent_of, expressions), strict=True)
    return TOO_LARGE if sum(sizes) > MOST_NODES else TOO_DEEP if max(depths) > MOST_NESTED else ""


@contextmanager
def bounded(most: int) -> Iterator[None]:
    """Functions that are followed raise `UntraceableError` here when they have run that many instructions.

    Lines would not do: `while True: pass` is one instruction, of which Python reports none but the first.
    """
    left = most

    def count(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001 - as Python calls it
        nonlocal left
        left -= 1
        if left < 0:
            raise UntraceableError(ENDLESS)
        return count

    def enter(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001 - as Python calls it
        if FOLLOWED not in frame.f_globals:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return count

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)
