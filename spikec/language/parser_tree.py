"""Lark's tree to the nodes of `spikec.language.syntax`: one method per rule of the grammar, bottom up."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from lark import Transformer_NonRecursive, v_args
from lark.tree import Meta

from spikec.errors import Diagnostic, Span
from spikec.language import syntax as s

MAX_DEPTH = 150

_NUMBER = re.compile(r"((?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(.*)")


@dataclass
class Shifts:
    """Words that were put in the place of others: columns after them are not those of the text as written."""

    words: list[tuple[int, int, int, int]] = field(default_factory=list)

    def add(self, place: Span, length: int) -> None:
        """The word at `place` has become one of another length."""
        self.words.append((place.line, place.column, place.end_column - place.column, length))

    def column(self, line: int, column: int) -> int:
        """The column as it was written."""
        for at, start, before, now in reversed(self.words):
            if at == line and column > start:
                column = column - now + before if column >= start + now else min(column, start + before)
        return column

    def original(self, span: Span | None) -> Span | None:
        """The span as it was written."""
        if span is None or not self.words:
            return span
        start, end = self.column(span.line, span.column), self.column(span.end_line, span.end_column)
        return Span(span.file, span.line, start, span.end_line, max(end, start + 1))

    def ends_before(self, span: Span, text: str) -> bool:
        """Whether nothing but space lies between the word replaced last and `span`."""
        if not self.words or self.words[-1][0] != span.line:
            return False
        _, start, _, now = self.words[-1]
        return not text.split("\n")[span.line - 1][start - 1 + now : span.column - 1].strip()


class BadStatement(Exception):  # noqa: N818 - becomes a diagnostic
    """What the grammar allows and no statement means."""

    def __init__(self, message: str, span: Span, hint: str) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(message, span, hint)


class TooDeep(BadStatement):
    """An expression is a tree higher than `MAX_DEPTH`; later stages walk it by recursion."""

    def __init__(self, span: Span) -> None:
        super().__init__(
            f"the expression chains more than {MAX_DEPTH} operators",
            span,
            "give parts of it names with `let` or `function`, or use `sum([...])`",
        )


@v_args(meta=True)
class Builder(Transformer_NonRecursive):
    def __init__(self, file: str, shifts: Shifts) -> None:
        super().__init__()
        self.file = file
        self.shifts = shifts

    def _span(self, meta: Meta) -> Span:
        if meta.empty:
            return Span(self.file, 1, 1, 1, 1)
        span = Span(self.file, meta.line, meta.column, meta.end_line, meta.end_column)
        return self.shifts.original(span) or span

    def _deeper(self, span: Span, *parts: Any) -> int:
        depth = 1 + max((getattr(p, "depth", 1) for p in parts if p is not None), default=0)
        if depth > MAX_DEPTH:
            raise TooDeep(span)
        return depth

    def start(self, _: Meta, children: list[Any]) -> s.Model:
        return s.Model(self.file, tuple(children))

    # ------------------------------------------------------------------------------------ expressions

    def number(self, meta: Meta, children: list[Any]) -> s.Number:
        match = _NUMBER.fullmatch(children[0])
        assert match is not None
        return s.Number(self._span(meta), float(match[1]), match[2], str(children[0]))

    def text(self, meta: Meta, children: list[Any]) -> s.Text:
        return s.Text(self._span(meta), str(children[0])[1:-1])

    def name(self, meta: Meta, children: list[Any]) -> s.Name:
        return s.Name(self._span(meta), str(children[0]))

    def items(self, meta: Meta, children: list[Any]) -> s.List:
        span, items = self._span(meta), tuple(c for c in children if c is not None)
        return s.List(span, items, depth=self._deeper(span, *items))

    def comprehension(self, meta: Meta, children: list[Any]) -> s.Comprehension:
        span, (body, variable, limits) = self._span(meta), children
        return s.Comprehension(span, body, str(variable), limits, depth=self._deeper(span, body))

    def range(self, meta: Meta, children: list[Any]) -> s.Range:
        return s.Range(self._span(meta), *children)

    def slice(self, meta: Meta, children: list[Any]) -> s.Slice:
        return s.Slice(self._span(meta), *children)

    def index(self, meta: Meta, children: list[Any]) -> s.Index:
        span, (base, part) = self._span(meta), children
        return s.Index(span, base, part, depth=self._deeper(span, base, part))

    def positional(self, meta: Meta, children: list[Any]) -> s.Argument:
        return s.Argument(self._span(meta), children[0])

    def named(self, meta: Meta, children: list[Any]) -> s.Argument:
        return s.Argument(self._span(meta), children[1], name=str(children[0]))

    def keyed(self, meta: Meta, children: list[Any]) -> s.Argument:
        return s.Argument(self._span(meta), children[1], key=children[0])

    def arguments(self, _: Meta, children: list[Any]) -> tuple[s.Argument, ...]:
        return tuple(c for c in children if c is not None)

    def call(self, meta: Meta, children: list[Any]) -> s.Call:
        span, arguments = self._span(meta), children[1] or ()
        depth = self._deeper(span, *(a.value for a in arguments))
        return s.Call(span, str(children[0]), arguments, depth=depth)

    def unary(self, meta: Meta, children: list[Any]) -> s.Unary:
        span, (operator, operand) = self._span(meta), children
        return s.Unary(span, str(operator), operand, depth=self._deeper(span, operand))

    def binary(self, meta: Meta, children: list[Any]) -> s.Binary:
        span, (left, operator, right) = self._span(meta), children
        return s.Binary(span, str(operator), left, right, depth=self._deeper(span, left, right))

    # ------------------------------------------------------------------------------------- references

    def declared(self, meta: Meta, children: list[Any]) -> s.Declared:
        return s.Declared(self._span(meta), str(children[0]), tuple(children[1:]))

    def probe_name(self, meta: Meta, children: list[Any]) -> s.Declared:
        attributes = [c for c in children if isinstance(c, s.Attribute)]
        name = ".".join([str(children[0]), *(a.name for a in attributes)])
        return s.Declared(self._span(meta), name, tuple(children[1 + len(attributes) :]))

    def reference(self, meta: Meta, children: list[Any]) -> s.Reference:
        return s.Reference(self._span(meta), str(children[0]), tuple(children[1:]))

    def attribute(self, meta: Meta, children: list[Any]) -> s.Attribute:
        return s.Attribute(self._span(meta), str(children[0]))

    def subscript(self, meta: Meta, children: list[Any]) -> s.Subscript:
        return s.Subscript(self._span(meta), children[0])

    # ------------------------------------------------------------------------------------- statements

    def model_name(self, meta: Meta, children: list[Any]) -> s.ModelName:
        return s.ModelName(self._span(meta), str(children[0]))

    def param(self, meta: Meta, children: list[Any]) -> s.Param:
        return s.Param(self._span(meta), str(children[0]), children[1])

    def let(self, meta: Meta, children: list[Any]) -> s.Let:
        return s.Let(self._span(meta), str(children[0]), children[1])

    def setting(self, meta: Meta, children: list[Any]) -> s.Setting:
        return s.Setting(self._span(meta), str(children[0]), children[1])

    def import_file(self, meta: Meta, children: list[Any]) -> s.Import:
        return s.Import(self._span(meta), str(children[0])[1:-1])

    def defaults(self, meta: Meta, children: list[Any]) -> s.Defaults:
        return s.Defaults(self._span(meta), str(children[0]), children[1] or ())

    def input(self, meta: Meta, children: list[Any]) -> s.Input:
        name, argument, value = children
        return s.Input(self._span(meta), name, None if argument is None else str(argument), value)

    def input_file(self, meta: Meta, children: list[Any]) -> s.InputFile:
        name, file, every, *options = children
        span = Span(self.file, file.line, file.column, file.end_line, file.end_column)
        return s.InputFile(
            self._span(meta), name, s.Text(span, str(file)[1:-1]), every, tuple(map(str, options))
        )

    def population(self, meta: Meta, children: list[Any]) -> s.Population:
        return s.Population(self._span(meta), str(children[0]), children[1], children[2] or ())

    def node_argument(self, _: Meta, children: list[Any]) -> tuple[str, s.Expr | None]:
        return str(children[0]), children[1]

    def function_node(self, meta: Meta, children: list[Any]) -> s.FunctionNode:
        name, *arguments, value = children
        return s.FunctionNode(self._span(meta), name, tuple(a for a in arguments if a is not None), value)

    def relay_name(self, meta: Meta, children: list[Any]) -> tuple[s.Declared, s.Expr | None]:
        name, *brackets = children
        size = brackets.pop() if brackets else None
        return s.Declared(self._span(meta), str(name), tuple(brackets)), size

    def relay(self, meta: Meta, children: list[Any]) -> s.Relay:
        kind, (name, size), synapse = children
        return s.Relay(self._span(meta), str(kind), name, size, synapse)

    def function(self, meta: Meta, children: list[Any]) -> s.FunctionDefinition:
        name, *arguments, value = children
        return s.FunctionDefinition(self._span(meta), str(name), tuple(map(str, arguments)), value)

    def connect(self, meta: Meta, children: list[Any]) -> s.Connect:
        clauses, name = self._named("connection", children[2:])
        return s.Connect(self._span(meta), children[0], children[1], clauses, name)

    def probe(self, meta: Meta, children: list[Any]) -> s.Probe:
        clauses, name = self._named("probe", children[1:])
        return s.Probe(self._span(meta), children[0], clauses, name)

    def _named(self, what: str, children: list[Any]) -> tuple[tuple[s.Clause, ...], s.Declared | None]:
        """Clauses, and the name that stands anywhere among them."""
        names = [c for c in children if isinstance(c, s.Declared)]
        if len(names) > 1:
            raise BadStatement(f"the {what} is named twice", names[1].span, "remove one of the names")
        return tuple(c for c in children if isinstance(c, s.Clause)), names[0] if names else None

    def named_as(self, _: Meta, children: list[Any]) -> s.Declared:
        declared: s.Declared = children[0]
        return declared

    def probed(self, meta: Meta, children: list[Any]) -> s.Clause:
        return s.Clause(self._span(meta), str(children[0]))

    def _clause(self, name: str, meta: Meta, children: list[Any]) -> s.Clause:
        return s.Clause(self._span(meta), name, tuple(children))

    def via(self, meta: Meta, children: list[Any]) -> s.Clause:
        return self._clause("via", meta, children)

    def synapse(self, meta: Meta, children: list[Any]) -> s.Clause:
        return self._clause("synapse", meta, children)

    def transform_clause(self, meta: Meta, children: list[Any]) -> s.Clause:
        return self._clause("transform", meta, children)

    def delay(self, meta: Meta, children: list[Any]) -> s.Clause:
        return self._clause("delay", meta, children)

    def solver(self, meta: Meta, children: list[Any]) -> s.Clause:
        return self._clause("solver", meta, children)

    def eval_points(self, meta: Meta, children: list[Any]) -> s.Clause:
        return self._clause("eval_points", meta, children)

    def learning(self, meta: Meta, children: list[Any]) -> s.Clause:
        return self._clause("learning", meta, children)

    def every(self, meta: Meta, children: list[Any]) -> s.Clause:
        return self._clause("every", meta, children)

    def ideal(self, meta: Meta, children: list[Any]) -> s.Clause:
        return self._clause("ideal", meta, children)

    def use(self, meta: Meta, children: list[Any]) -> s.Use:
        module, arguments, name = children
        return s.Use(self._span(meta), str(module), arguments or (), name)

    def parameter(self, _: Meta, children: list[Any]) -> tuple[str, s.Expr | None]:
        return str(children[0]), children[1]

    def module(self, meta: Meta, children: list[Any]) -> s.Module:
        name, *parameters, body = children
        return s.Module(self._span(meta), str(name), tuple(p for p in parameters if p is not None), body)

    def for_loop(self, meta: Meta, children: list[Any]) -> s.For:
        return s.For(self._span(meta), str(children[0]), children[1], children[2])

    def condition(self, meta: Meta, children: list[Any]) -> s.If:
        return s.If(self._span(meta), children[0], children[1], children[2] or ())

    def block(self, _: Meta, children: list[Any]) -> tuple[s.Statement, ...]:
        return tuple(children)
