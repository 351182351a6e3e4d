"""Canonical text of a model: `spikec fmt`.

Statements stand one on a line, blocks are indented by two spaces, blank lines are kept (at most one), and
comments stay before the statement, or at the end of the line, that they were written with.  The text parses
to the same model, and formatting it again changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from spikec.language import syntax as s
from spikec.language.format_expressions import (
    INDENT,
    WIDTH,
    fitted,
    fitted_arguments,
    flat,
    flat_part,
    flat_range,
)
from spikec.language.format_expressions import argument as flat_argument
from spikec.language.parser import parse

_COMMENT_OR_TEXT = re.compile(r'"[^"\n]*"|#[^\n]*')


def format_text(text: str, file: str) -> str:
    """The canonical text of a model.  Raises `ModelError` if it does not parse."""
    model = parse(text, file)
    printer = _Printer(_comments(text), text.split("\n"))
    printer.block(model.statements, "")
    printer.rest("")
    return "".join(f"{line}\n" for line in printer.lines)


@dataclass(frozen=True)
class _Comment:
    line: int
    column: int
    text: str
    alone: bool


def _comments(text: str) -> list[_Comment]:
    found = []
    for match in _COMMENT_OR_TEXT.finditer(text):
        if match.group(0).startswith("#"):
            start = text.rfind("\n", 0, match.start()) + 1
            alone = not text[start : match.start()].strip()
            line = text.count("\n", 0, match.start()) + 1
            found.append(_Comment(line, match.start() - start + 1, match.group(0).rstrip(), alone))
    return found


@dataclass
class _Printer:
    comments: list[_Comment]
    source: list[str]
    lines: list[str] = field(default_factory=list)
    next_comment: int = 0
    last_line: int = 0
    commented: int = 0

    def block(self, statements: Iterable[s.Statement], indent: str) -> None:
        for statement in statements:
            self._comments_before(statement.span.line, indent, statement.span.column)
            self._blank_line(statement.span.line)
            self._statement(statement, indent)

    def rest(self, indent: str) -> None:
        """The comments after the last statement."""
        self._comments_before(len(self.source) + 1, indent)

    def _comments_before(self, line: int, indent: str, column: int = 0) -> None:
        """Write the comments that stand before a place, each on a line of its own."""
        while self.next_comment < len(self.comments):
            comment = self.comments[self.next_comment]
            if (comment.line, comment.column) >= (line, column):
                return
            self._blank_line(comment.line)
            self.lines.append(indent + comment.text)
            self.last_line = comment.line
            self.next_comment += 1

    def _blank_line(self, line: int) -> None:
        """Keep one of the blank lines before a line of the source."""
        between = self.source[self.last_line : line - 1]
        opened = bool(self.lines) and self.lines[-1].endswith("{")
        if self.lines and self.lines[-1] and not opened and any(not text.strip() for text in between):
            self.lines.append("")

    def _statement(self, statement: s.Statement, indent: str) -> None:
        match statement:
            case s.Module():
                parameters = ", ".join(n if d is None else f"{n}={flat(d)}" for n, d in statement.parameters)
                self._compound(
                    f"module {statement.name}({parameters})", statement.body, indent, statement.span.end_line
                )
            case s.For():
                head = f"for {statement.variable} in {flat_range(statement.range)}"
                self._compound(head, statement.body, indent, statement.span.end_line)
            case s.If():
                self._condition(statement, indent)
            case _:
                self._inner_comments(statement, indent)
                self._emit(statement_text(statement, indent), indent, statement.span.end_line)

    def _inner_comments(self, statement: s.Statement, indent: str) -> None:
        """Comments within a statement that goes over several lines stand before it."""
        span = statement.span
        if span.end_line > span.line:
            self._comments_before(span.end_line, indent)

    def _emit(self, text: str, indent: str, end_line: int) -> None:
        first, *more = (indent + text).split("\n")
        self.lines += [first, *more]
        self.last_line = end_line
        self._comment_after(end_line)

    def _comment_after(self, line: int) -> None:
        """A comment at the end of the line that a statement ends on stays there."""
        if self.next_comment < len(self.comments):
            comment = self.comments[self.next_comment]
            if comment.line == line and not comment.alone and self.commented != len(self.lines):
                self.lines[-1] += "  " + comment.text
                self.commented = len(self.lines)
                self.next_comment += 1

    def _compound(self, head: str, body: tuple[s.Statement, ...], indent: str, end_line: int) -> None:
        self.lines.append(f"{indent}{head} {{")
        self._opened(body, end_line)
        self.block(body, indent + INDENT)
        self._comments_before(end_line, indent + INDENT)
        self.lines.append(indent + "}")
        self.last_line = end_line
        self._comment_after(end_line)

    def _opened(self, body: tuple[s.Statement, ...], end_line: int) -> None:
        """Note the line on which the body begins, so that blank lines before it are dropped."""
        self.last_line = max(self.last_line, (body[0].span.line if body else end_line) - 1)

    def _condition(self, statement: s.If, indent: str) -> None:
        body, otherwise = statement.body, statement.otherwise
        self.lines.append(f"{indent}if {flat(statement.condition)} {{")
        self._opened(body, statement.span.end_line)
        self.block(body, indent + INDENT)
        if otherwise:
            self.lines.append(indent + "} else {")
            self._opened(otherwise, statement.span.end_line)
            self.block(otherwise, indent + INDENT)
        self._comments_before(statement.span.end_line, indent + INDENT)
        self.lines.append(indent + "}")
        self.last_line = statement.span.end_line
        self._comment_after(statement.span.end_line)


# ------------------------------------------------------------------------------------------- statements


def statement_text(statement: s.Statement, indent: str) -> str:
    """A statement that is no block, without its indentation; lines after the first are indented in full."""
    match statement:
        case s.ModelName():
            return f"model {statement.name}"
        case s.Param():
            return _assigned(f"param {statement.name} = ", statement.value, indent)
        case s.Let():
            return _assigned(f"let {statement.name} = ", statement.value, indent)
        case s.Setting():
            return f"{statement.name} {flat(statement.value)}"
        case s.Import():
            return f'import "{statement.file}"'
        case s.Defaults():
            return _defaults(statement, indent)
        case s.FunctionDefinition():
            return _assigned(
                f"function {statement.name}({', '.join(statement.arguments)}) = ", statement.value, indent
            )
        case s.Connect():
            head = f"connect {reference(statement.source)} -> {reference(statement.target)}"
            return _clauses(head, statement.clauses, _named(statement), indent)
        case s.Probe():
            head = f"probe {reference(statement.target)}"
            return _clauses(head, statement.clauses, _named(statement), indent)
    return _object_text(statement, indent)


def _object_text(statement: s.Statement, indent: str) -> str:
    match statement:
        case s.Input():
            argument = "" if statement.argument is None else f"({statement.argument})"
            return _assigned(f"input {declared(statement.name)}{argument} = ", statement.value, indent)
        case s.InputFile():
            options = "".join(f" {o}" for o in statement.options)
            every = flat(statement.every)
            return f'input {declared(statement.name)} from "{statement.file.value}" every {every}{options}'
        case s.Population():
            return _called(f"{statement.kind} {declared(statement.name)}", statement.arguments, "", indent)
        case s.FunctionNode():
            sizes = ", ".join(n if size is None else f"{n}[{flat(size)}]" for n, size in statement.arguments)
            return _assigned(f"node {declared(statement.name)}({sizes}) = ", statement.value, indent)
        case s.Relay():
            size = "" if statement.size is None else f"[{flat(statement.size)}]"
            through = "" if statement.synapse is None else f" synapse {flat(statement.synapse)}"
            return f"{statement.kind} {declared(statement.name)}{size}{through}"
        case s.Use():
            return _called(
                f"use {statement.module}", statement.arguments, f" as {declared(statement.name)}", indent
            )
    raise TypeError(statement)


def _named(statement: s.Connect | s.Probe) -> str:
    return "" if statement.name is None else f" as {declared(statement.name)}"


def declared(name: s.Declared) -> str:
    return name.name + "".join(f"[{flat(i)}]" for i in name.indices)


def reference(ref: s.Reference) -> str:
    trailers = (
        f".{t.name}" if isinstance(t, s.Attribute) else f"[{flat_part(t.part)}]" for t in ref.trailers
    )
    return ref.name + "".join(trailers)


def _assigned(head: str, value: s.Expr, indent: str) -> str:
    return head + fitted(value, WIDTH - len(indent) - len(head), indent)


def _called(head: str, arguments: tuple[s.Argument, ...], tail: str, indent: str) -> str:
    text = f"{head}({', '.join(map(flat_argument, arguments))}){tail}"
    if len(indent) + len(text) <= WIDTH or not arguments:
        return text
    return head + fitted_arguments(arguments, indent) + tail


def _defaults(statement: s.Defaults, indent: str) -> str:
    inside = ", ".join(
        f"{a.name} = {flat(a.value)}" if a.name else flat_argument(a) for a in statement.arguments
    )
    text = f"defaults {statement.kind} {{ {inside} }}" if inside else f"defaults {statement.kind} {{ }}"
    if len(indent) + len(text) <= WIDTH:
        return text
    return f"defaults {statement.kind} " + fitted_arguments(statement.arguments, indent, "{", "}")


def _clauses(head: str, clauses: tuple[s.Clause, ...], tail: str, indent: str) -> str:
    words = [" ".join([c.name, *map(flat, c.values)]) for c in clauses]
    text = " ".join([head, *words]) + tail
    if len(indent) + len(text) <= WIDTH:
        return text
    inner = indent + INDENT
    broken = []
    for c in clauses:
        start = c.name + " " if c.values else c.name
        broken.append(start + "".join(fitted(v, WIDTH - len(inner) - len(start), inner) for v in c.values))
    return "\n".join([head, *(inner + line for line in broken)]) + tail
