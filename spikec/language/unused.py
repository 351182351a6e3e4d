"""Warnings of what a model says in vain: names that nothing uses, objects that nothing reads or feeds.

Only what stands in the model's own file is looked at, each declaration once: whoever uses a module of another
file cannot change it.  A declaration in a module counts as read, or fed, where one use of the module does so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

from spikec.errors import Diagnostic
from spikec.language import elements as e
from spikec.language import syntax as s

_OBJECTS = (s.Input, s.InputFile, s.Population, s.FunctionNode, s.Relay)
# More of them would hide the first ones.
MOST_WARNINGS, _MOST_PARTS = 50, 3


def unused(model: s.Model, flow: Flow) -> list[Diagnostic]:
    """Warnings, when connections and probes have passed; none of a file of modules, which others import."""
    if not flow.made:
        return []
    flow.finish()
    found = [*_names(model), *_rules(flow)]
    for statement, inside in _statements(model.statements):
        if isinstance(statement, _OBJECTS):
            found += _object(statement, inside, flow)
        elif isinstance(statement, s.Use) and not inside:
            found += _use(statement, flow)
    return found[:MOST_WARNINGS]


def _statements(block: tuple[s.Statement, ...], inside: bool = False) -> Iterator[tuple[s.Statement, bool]]:
    """Statements of a block and of those in it, with whether they stand in a module."""
    for statement in block:
        yield statement, inside
        if isinstance(statement, s.Module):
            yield from _statements(statement.body, True)
        elif isinstance(statement, s.For):
            yield from _statements(statement.body, inside)
        elif isinstance(statement, s.If):
            yield from _statements((*statement.body, *statement.otherwise), inside)


# ------------------------------------------------------------------------------------------------- names


def _names(model: s.Model) -> Iterator[Diagnostic]:
    """Parameters, constants, functions and modules that the file does not use again."""
    words = {s.Param: "parameter", s.Let: "constant", s.FunctionDefinition: "function", s.Module: "module"}
    declared: list[Any] = [one for one, _ in _statements(model.statements) if type(one) in words]
    used = _used(model.statements) if declared else set()
    for one in declared:
        if one.name not in used:
            what = words[type(one)]
            yield Diagnostic(
                f"nothing uses the {what} {one.name!r}", one.span, f"use it, or remove the {what}"
            )


def _used(root: object) -> set[str]:
    """Names of values, functions and modules that are used somewhere in a tree."""
    used: set[str] = set()
    inner: dict[type, list[str]] = {}
    work = [root]
    while work:
        node = work.pop()
        if isinstance(node, tuple):
            work += node
        elif isinstance(node, s.Node):
            match node:
                case s.Name():
                    used.add(node.name)
                case s.Call():
                    used.add(node.function)
                case s.Use():
                    used.add(node.module)
            if type(node) not in inner:
                inner[type(node)] = [f.name for f in fields(node)]
            work += [getattr(node, name) for name in inner[type(node)]]
    return used


# -------------------------------------------------------------------------------------------------- flow


class Flow:
    """Who reads and feeds whom, by the connections and probes that have passed.

    `made`: elements by their declaration, which is known by the identity of its span; `ports`: relays by the
    module in use that they are in.  `fed`: elements by
    their identity, with the components that connections end in, None for all.  `read`, `entered`:
    declarations, and modules in use by their names, that something else reads or records, or feeds.
    `recorded`: elements that probes record, by their identity; `learning`: connections that learn.
    """

    def __init__(self, elements: Iterable[e.Element]) -> None:
        self.made: dict[int, list[e.Element]] = defaultdict(list)
        self.ports: dict[str, list[e.Element]] = defaultdict(list)
        self.fed: dict[int, set[int] | None] = {}
        self.read: set[int | str] = set()
        self.entered: set[int | str] = set()
        self.recorded: set[int] = set()
        self.learning: list[e.Connection] = []
        for element in elements:
            self.made[id(element.span)].append(element)
            if isinstance(element, e.Relay):
                self.ports[_use_of(element)].append(element)

    def connections(
        self, passing: Iterable[e.Connection | e.Projected]
    ) -> Iterator[e.Connection | e.Projected]:
        """The same, noted as they pass."""
        for link in passing:
            if isinstance(link, e.Projected):
                self._join([link.source], [link.target])
                self.fed[id(link.target)] = None
            else:
                self._join(_elements(link.source), _elements(link.target))
                for piece in link.target.pieces:
                    self._feed(piece, piece.whole or link.target.attribute == "neurons")
                if link.learning:
                    self.learning.append(link)
            yield link

    def probes(self, passing: Iterable[e.Recorded]) -> Iterator[e.Recorded]:
        """The same, noted as they pass."""
        for probe in passing:
            self.recorded |= {
                id(element.weights if isinstance(element, e.LearnedChange) else element)
                for element in _elements(probe.source)
            }
            self._join(_elements(probe.source), ())
            yield probe

    def finish(self) -> None:
        """Who records weights records what both ends do."""
        for link in self.learning:
            learned = [*link.weights, *([link.output] if link.output else [])]
            if any(id(element) in self.recorded for element in learned):
                self._join([*_elements(link.source), *_elements(link.target)], ())

    def _join(self, sources: list[e.Element], targets: Iterable[e.Element]) -> None:
        """Note that all sources lead to all targets, or into a probe where there are none."""
        for key in (_declaration, _use_of):
            first: set[int | str] = {key(element) for element in sources}
            last: set[int | str] = {key(element) for element in targets} or {""}
            self.read |= {name for name in first if last - {name}}
            self.entered |= {name for name in last if first - {name}}

    def _feed(self, piece: e.Piece, whole: bool) -> None:
        known = self.fed.setdefault(id(piece.element), set())
        if whole:
            self.fed[id(piece.element)] = None
        elif known is not None:
            known.update(piece.components)

    def missing(self, element: e.Element) -> list[int]:
        """Components of what an element takes that nothing is connected to."""
        fed = self.fed.get(id(element), set())
        return (
            []
            if fed is None or _drives_itself(element)
            else [k for k in range(_takes(element)) if k not in fed]
        )


def _elements(view: e.View) -> list[e.Element]:
    return [piece.element for piece in view.pieces]


def _declaration(element: e.Element) -> int:
    return id(element.span)


def _use_of(element: e.Element) -> str:
    """The module in use at the top of the model that an element is in: `wheel` of `wheel[2].x`, else ""."""
    first, inside, _ = element.path.partition(".")
    return first.partition("[")[0] if inside else ""


def _takes(element: e.Element) -> int:
    """How many numbers can be connected to an element."""
    if isinstance(element, e.FunctionNode):
        return element.arguments
    return 0 if isinstance(element, e.Input) else element.size


def _drives_itself(element: e.Element) -> bool:
    """Whether noise, or a current of their own, drives neurons that nothing is connected to."""
    if isinstance(element, e.Cells):
        return element.op.drive is not None or bool(element.op.tuning.bias.any())
    return isinstance(element, e.Population) and element.noise is not None


# ---------------------------------------------------------------------------------------------- warnings


def _object(statement: Any, inside: bool, flow: Flow) -> Iterator[Diagnostic]:
    """A declaration that nothing reads, where the model has probes, or that something should feed."""
    elements = flow.made.get(id(statement.span), [])
    if not elements:
        return
    kind = {s.FunctionNode: "node"}.get(type(statement)) or getattr(statement, "kind", "input")
    name = statement.name.name
    if flow.recorded and id(statement.span) not in flow.read:
        yield Diagnostic(
            f"nothing reads the {kind} {name!r}, and no probe records it: it is left out",
            statement.name.span,
            f"connect it to something, or record it: probe {elements[0].path}; or remove it",
        )
        return
    parts = [(element, missing) for element in elements if (missing := flow.missing(element))]
    # A module may leave a port to those who need it.
    if parts and (not inside or len(parts) == len(elements)):
        told = ", ".join(_part(element, missing) for element, missing in parts[:_MOST_PARTS])
        more = f" and {len(parts) - _MOST_PARTS} more" if len(parts) > _MOST_PARTS else ""
        yield Diagnostic(
            f"nothing is connected to {told}{more}: what it takes stays 0",
            statement.name.span,
            f"connect something to it: connect NAME -> {_part(*parts[0])}; or remove it",
        )


def _part(element: e.Element, missing: list[int]) -> str:
    """`a`, or `a[1]` and `a[2:5]` of what nothing is connected to."""
    if len(missing) == _takes(element):
        return element.path
    first, last = missing[0], missing[-1]
    if last - first + 1 == len(missing):
        return f"{element.path}[{first}]" if first == last else f"{element.path}[{first}:{last + 1}]"
    return f"{element.path}[{missing}]"


def _use(statement: s.Use, flow: Flow) -> Iterator[Diagnostic]:
    """A module in use that nothing outside of it reads, or feeds where it has ports for that."""
    name = statement.name.name
    if flow.recorded and name not in flow.read:
        yield Diagnostic(
            f"nothing reads {name!r}, and no probe records anything of it: it is left out",
            statement.name.span,
            "connect one of its ports to something, or record one; or remove it",
        )
        return
    theirs = [p for p in flow.ports[name] if p.span.file != statement.span.file]
    parts = [(p, missing) for p in theirs if (missing := flow.missing(p))]
    # A module that is fed may have ports for those who need them, but a port is fed as a whole.
    if name in flow.entered:
        parts = [(p, missing) for p, missing in parts if len(missing) < _takes(p)]
    if ports := [_part(*part) for part in parts]:
        yield Diagnostic(
            f"nothing is connected to {', '.join(ports[:_MOST_PARTS])}: what they take stays 0",
            statement.name.span,
            f"connect something to it: connect NAME -> {ports[0]}",
        )


def _rules(flow: Flow) -> Iterator[Diagnostic]:
    """Rules that follow an error, and are given none."""
    for link in flow.learning:
        for rule in link.learning:
            if "error" not in rule.rule.reads:
                continue
            if rule.input is None:
                what, hint = f"the connection {link.name} has no name", "name it: connect ... as NAME"
            elif flow.missing(rule.input):
                what, hint = (
                    f"nothing is connected to {rule.input.path}",
                    f"connect ERROR -> {rule.input.path}",
                )
            else:
                continue
            span = rule.input.span if rule.input else link.span
            yield Diagnostic(f"{what}, so the rule is given no error and changes nothing", span, hint)
