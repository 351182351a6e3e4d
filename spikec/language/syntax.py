"""The abstract syntax of a `.spk` file: what was written, with its place, nothing resolved.

Every node is frozen and carries the `Span` it was read from.  Spans take no part in comparison, so two texts
that mean the same (before and after formatting) have equal trees.
"""

from __future__ import annotations

from dataclasses import field, fields
from typing import TypeAlias

from spikec.errors import Span
from spikec.records import dataclass


@dataclass(frozen=True)
class Node:
    span: Span = field(compare=False, repr=False)


# -------------------------------------------------------------------------------------------- expressions


@dataclass(frozen=True)
class Expr(Node):
    """Base of expressions.  `depth` is the height of the tree, bounded by the parser."""

    depth: int = field(compare=False, repr=False, kw_only=True, default=1)


@dataclass(frozen=True)
class Number(Expr):
    """A literal with its unit ("" where it has none); `text` is how it was written."""

    value: float
    unit: str
    text: str


@dataclass(frozen=True)
class Text(Expr):
    value: str


@dataclass(frozen=True)
class Name(Expr):
    name: str


@dataclass(frozen=True)
class List(Expr):
    items: tuple[Expr, ...]


@dataclass(frozen=True)
class Range(Node):
    """start..stop, the end is exclusive."""

    start: Expr
    stop: Expr


@dataclass(frozen=True)
class Comprehension(Expr):
    """[body for variable in start..stop]."""

    body: Expr
    variable: str
    range: Range


@dataclass(frozen=True)
class Slice(Node):
    start: Expr | None
    stop: Expr | None
    step: Expr | None


@dataclass(frozen=True)
class Index(Expr):
    """base[part]: a component, a slice, or a list of components."""

    base: Expr
    part: Expr | Slice


@dataclass(frozen=True)
class Argument(Node):
    """`value`, `name = value`, or `key: value`."""

    value: Expr
    name: str | None = None
    key: Expr | None = None


@dataclass(frozen=True)
class Call(Expr):
    function: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Unary(Expr):
    operator: str
    operand: Expr


@dataclass(frozen=True)
class Binary(Expr):
    operator: str
    left: Expr
    right: Expr


# ----------------------------------------------------------------------------------- references to objects


@dataclass(frozen=True)
class Attribute(Node):
    name: str


@dataclass(frozen=True)
class Subscript(Node):
    part: Expr | Slice


@dataclass(frozen=True)
class Reference(Node):
    """An object or a part of it: `position.x[0:2]`, `mem[3].neurons`."""

    name: str
    trailers: tuple[Attribute | Subscript, ...] = ()


@dataclass(frozen=True)
class Declared(Node):
    """The name a statement declares, with the indices that tell members of a family apart: `e[i]`."""

    name: str
    indices: tuple[Expr, ...] = ()


# --------------------------------------------------------------------------------------------- statements


@dataclass(frozen=True)
class Statement(Node):
    pass


Block: TypeAlias = tuple[Statement, ...]


@dataclass(frozen=True)
class ModelName(Statement):
    name: str


@dataclass(frozen=True)
class Param(Statement):
    """`param name = value`: a number that whoever compiles the model may set."""

    name: str
    value: Expr


@dataclass(frozen=True)
class Let(Statement):
    """`let name = value`: a name for a value."""

    name: str
    value: Expr


@dataclass(frozen=True)
class Setting(Statement):
    """`seed 7` or `dt 1ms`."""

    name: str
    value: Expr


@dataclass(frozen=True)
class Import(Statement):
    file: str


@dataclass(frozen=True)
class Defaults(Statement):
    kind: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Input(Statement):
    """`input name = value`; with `argument` a function of time, `input name(t) = value`."""

    name: Declared
    argument: str | None
    value: Expr


@dataclass(frozen=True)
class InputFile(Statement):
    """`input name from "file" every interval [linear] [repeat]`."""

    name: Declared
    file: Text
    every: Expr
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Population(Statement):
    """`ensemble name(arguments)` or `array name(arguments)`."""

    kind: str
    name: Declared
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class FunctionNode(Statement):
    """`node name(x[size], t) = value`; `arguments` are (name, size or None)."""

    name: Declared
    arguments: tuple[tuple[str, Expr | None], ...]
    value: Expr


@dataclass(frozen=True)
class Relay(Statement):
    """`relay name[size] synapse ...`, or `port name[size]` in a module."""

    kind: str
    name: Declared
    size: Expr | None
    synapse: Expr | None = None


@dataclass(frozen=True)
class FunctionDefinition(Statement):
    name: str
    arguments: tuple[str, ...]
    value: Expr


@dataclass(frozen=True)
class Clause(Node):
    """One word of a connection or probe with its values, such as `synapse lowpass(5ms)`."""

    name: str
    values: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Connect(Statement):
    source: Reference
    target: Reference
    clauses: tuple[Clause, ...]
    name: Declared | None = None


@dataclass(frozen=True)
class Probe(Statement):
    target: Reference
    clauses: tuple[Clause, ...]
    name: Declared | None = None


@dataclass(frozen=True)
class Use(Statement):
    module: str
    arguments: tuple[Argument, ...]
    name: Declared


@dataclass(frozen=True)
class Module(Statement):
    """`module name(parameter, parameter = default) { ... }`."""

    name: str
    parameters: tuple[tuple[str, Expr | None], ...]
    body: Block


@dataclass(frozen=True)
class For(Statement):
    variable: str
    range: Range
    body: Block


@dataclass(frozen=True)
class If(Statement):
    condition: Expr
    body: Block
    otherwise: Block = ()


@dataclass(frozen=True)
class Model:
    """A whole file."""

    file: str
    statements: Block = field(default=())


def names_within(root: object, span: Span) -> list[str]:
    """Names of values that are used within `span`, in the order in which they stand."""
    found: list[str] = []
    work = [root]
    while work:
        node = work.pop()
        if isinstance(node, tuple):
            work += reversed(node)
        elif isinstance(node, Node) and _overlap(node.span, span):
            if isinstance(node, Name):
                found.append(node.name)
            work += reversed([getattr(node, f.name) for f in fields(node)])
    return found


def _overlap(one: Span, other: Span) -> bool:
    begins, ends = (one.line, one.column), (one.end_line, one.end_column)
    return begins < (other.end_line, other.end_column) and (other.line, other.column) < ends
