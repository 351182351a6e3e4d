"""Expressions as text: the fewest brackets that keep the meaning, long lines broken at commas."""

from __future__ import annotations

from spikec.language import syntax as s

WIDTH = 100
INDENT = "  "

_LEVELS = {"+": 2, "-": 2, "*": 3, "/": 3, "%": 3, "@": 3, "^": 5}
_COMPARISON, _UNARY, _POSTFIX = 1, 4, 6


def _level(expr: s.Expr) -> int:
    match expr:
        case s.Binary():
            return _LEVELS.get(expr.operator, _COMPARISON)
        case s.Unary():
            return _UNARY
    return _POSTFIX


def flat(expr: s.Expr) -> str:
    """The expression on one line."""
    match expr:
        case s.Number():
            return expr.text
        case s.Text():
            return f'"{expr.value}"'
        case s.Name():
            return expr.name
        case s.List():
            return "[" + ", ".join(map(flat, expr.items)) + "]"
        case s.Comprehension():
            return f"[{flat(expr.body)} for {expr.variable} in {flat_range(expr.range)}]"
        case s.Index():
            return f"{_bracketed(expr.base, _POSTFIX)}[{flat_part(expr.part)}]"
        case s.Call():
            return f"{expr.function}({', '.join(map(argument, expr.arguments))})"
        case s.Unary():
            return expr.operator + _bracketed(expr.operand, _UNARY)
        case s.Binary():
            return _binary(expr)
    raise TypeError(expr)


def _binary(expr: s.Binary) -> str:
    level = _level(expr)
    if expr.operator == "^":
        # Binds to the right, and its exponent may have a sign.
        return f"{_bracketed(expr.left, level + 1)}^{_bracketed(expr.right, _UNARY)}"
    # A chain leans to the left: walk it in a loop.
    parts = []
    node: s.Expr = expr
    while isinstance(node, s.Binary) and _level(node) == level and node.operator != "^":
        parts.append(f" {node.operator} {_bracketed(node.right, level + 1)}")
        node = node.left
    return _bracketed(node, level) + "".join(reversed(parts))


def _bracketed(expr: s.Expr, least: int) -> str:
    text = flat(expr)
    return text if _level(expr) >= least else f"({text})"


def flat_range(range_: s.Range) -> str:
    start = flat(range_.start)
    # "1." before ".." would read as a number that goes on.
    return f"{start} .. {flat(range_.stop)}" if start.endswith(".") else f"{start}..{flat(range_.stop)}"


def flat_part(part: s.Expr | s.Slice) -> str:
    if not isinstance(part, s.Slice):
        return flat(part)
    text = (
        ("" if part.start is None else flat(part.start))
        + ":"
        + ("" if part.stop is None else flat(part.stop))
    )
    return text if part.step is None else f"{text}:{flat(part.step)}"


def argument(a: s.Argument) -> str:
    """One argument on one line."""
    if a.name is not None:
        return f"{a.name}={flat(a.value)}"
    return flat(a.value) if a.key is None else f"{flat(a.key)}: {flat(a.value)}"


def fitted(expr: s.Expr, room: int, indent: str) -> str:
    """The expression in `room` characters of its first line, or broken over lines inside of its brackets."""
    text = flat(expr)
    if len(text) <= room:
        return text
    inner = indent + INDENT
    match expr:
        case s.List() if expr.items:
            return _broken("[", [fitted(i, WIDTH - len(inner), inner) for i in expr.items], "]", indent)
        case s.Call() if expr.arguments:
            return f"{expr.function}" + fitted_arguments(expr.arguments, indent)
    return text


def fitted_arguments(
    arguments: tuple[s.Argument, ...], indent: str, open_: str = "(", close: str = ")"
) -> str:
    """Arguments in brackets, one on each line."""
    inner = indent + INDENT
    lines = []
    for a in arguments:
        head = f"{a.name}=" if a.name is not None else "" if a.key is None else f"{flat(a.key)}: "
        lines.append(head + fitted(a.value, WIDTH - len(inner) - len(head), inner))
    return _broken(open_, lines, close, indent)


def _broken(open_: str, items: list[str], close: str, indent: str) -> str:
    inner = indent + INDENT
    return open_ + "\n" + "".join(f"{inner}{item},\n" for item in items) + indent + close
