"""What functions of x and t give: vectors of expressions, of a size that later stages can walk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikec.errors import Span
from spikec.expressions import Call, Expression
from spikec.language.values import Mistake, Value, expression

# Parts are shared in memory (x + x holds x once), but later stages walk and print them one by one.
MAX_NODES = 200_000
MAX_HEIGHT = 200


def vector(value: Value, span: Span) -> NDArray[Any]:
    """A number or vector as a vector.  Raises `Mistake` for a matrix."""
    if len(value.shape) > 1:
        raise Mistake("a vector is expected, not a matrix", span, "write one list of numbers")
    if 0 in value.shape:
        raise Mistake("the list is empty", span, "write at least one number")
    return np.atleast_1d(np.asarray(value.data, dtype=object if value.symbolic else np.float64))


def expressions(value: Value, span: Span) -> tuple[Expression, ...]:
    """The expressions of a number or vector.  Raises `Mistake` where they are too large."""
    found = tuple(expression(item) for item in vector(value, span))
    sizes: dict[int, tuple[int, int]] = {}
    nodes = height = 0
    for item in found:
        more, high = _measure(item, sizes)
        nodes, height = nodes + more, max(height, high)
    if nodes > MAX_NODES or height > MAX_HEIGHT:
        raise Mistake(
            f"the function has {nodes} operations, {height} one in another; "
            f"at most {MAX_NODES} and {MAX_HEIGHT} are possible",
            span,
            "split it over several nodes",
        )
    return found


def _measure(root: Expression, sizes: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """(nodes, height) of an expression as a tree; `sizes` remembers shared parts by their identity."""
    work = [root]
    while work:
        node = work[-1]
        arguments = node.arguments if isinstance(node, Call) else ()
        missing = [a for a in arguments if id(a) not in sizes]
        if missing:
            work += missing
            continue
        work.pop()
        known = [sizes[id(a)] for a in arguments]
        sizes[id(node)] = (1 + sum(n for n, _ in known), 1 + max((h for _, h in known), default=0))
    return sizes[id(root)]
