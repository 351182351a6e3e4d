"""Modules of other files: what a model imports, and the standard library.

An imported file gives its modules, functions and constants.  The modules of the standard library need no
import; a model's own module of the same name comes first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from spikec.errors import ModelError
from spikec.language import syntax as s
from spikec.language.context import Context
from spikec.language.evaluate import evaluate
from spikec.language.files import locate, read_text
from spikec.language.frame import Frame, ModuleValue
from spikec.language.parser import parse
from spikec.language.scope import FunctionValue, Scope, duplicate
from spikec.language.values import AlreadyReported, Mistake


@dataclass
class Library:
    """Files read so far, by their place on disk; `reading` is the chain of imports under way."""

    context: Context
    read: dict[Path, Frame] = field(default_factory=dict)
    reading: list[Path] = field(default_factory=list)
    standards: dict[str, ModuleValue] = field(default_factory=dict)

    def include(self, statement: s.Import, frame: Frame) -> None:
        """Enter the modules, functions and constants of a file into `frame`.  Raises `Mistake`."""
        path = locate(statement.file, statement.span, self.context, frame.scope.folder).resolve()
        if path in self.reading:
            start = self.reading.index(path)
            chain = " -> ".join(p.name for p in [*self.reading[start:], path])
            raise Mistake(
                f"the imports form a circle: {chain}", statement.span, "move what both need to a third file"
            )
        other = self._frame(path, statement)
        for name, module in other.modules.items():
            if name in frame.modules and frame.modules[name] is not module:
                raise duplicate(name, statement.span, frame.modules[name].definition.span)
            frame.modules[name] = module
        for name, binding in other.scope.bindings.items():
            taken = frame.scope.bindings.get(name)
            if taken is not None and taken is not binding:
                raise duplicate(name, statement.span, taken.span)
            frame.scope.bindings[name] = binding

    def _frame(self, path: Path, statement: s.Import) -> Frame:
        if path in self.read:
            return self.read[path]
        self.reading.append(path)
        try:
            text = read_text(path, statement.file, statement.span)
            name = self._display(path, statement)
            self.context.sources[name] = text
            try:
                model = parse(text, name)
            except ModelError as error:
                self.context.diagnostics.extend(error.diagnostics)
                raise AlreadyReported from None
            self.read[path] = self.definitions(model, path.parent)
        finally:
            self.reading.pop()
        return self.read[path]

    def _display(self, path: Path, statement: s.Import) -> str:
        base = Path(statement.span.file).parent
        return str(base / statement.file) if self.context.folder else path.name

    def definitions(self, model: s.Model, folder: Path | None) -> Frame:
        """The definitions of a file; its objects and connections are not made."""
        frame = Frame(self.context, "", Scope(self.context, folder), {}, 0)
        for statement in model.statements:
            try:
                self._define(statement, frame)
            except AlreadyReported:
                pass
            except Mistake as mistake:
                self.context.report(mistake)
        return frame

    def _define(self, statement: s.Statement, frame: Frame) -> None:
        scope = frame.scope
        match statement:
            case s.Import():
                self.include(statement, frame)
            case s.Module():
                if statement.name in frame.modules:
                    first = frame.modules[statement.name].definition.span
                    raise duplicate(statement.name, statement.span, first)
                frame.modules[statement.name] = ModuleValue(statement, scope, frame.modules)
            case s.FunctionDefinition():
                value = FunctionValue(statement, scope)
                scope.define(statement.name, lambda: value, statement.span)
            case s.Param() | s.Let():
                scope.define(statement.name, lambda: evaluate(statement.value, scope), statement.span)

    # --------------------------------------------------------------------------------- standard library

    def standard(self, name: str) -> ModuleValue | None:
        """A module of the standard library; its file has the module's name."""
        if name not in standard_texts():
            return None
        if name not in self.standards:
            file = f"<standard library>/{name}.spk"
            self.context.sources[file] = standard_texts()[name]
            frame = self.definitions(_standard_model(name, file), None)
            self.standards.update(frame.modules)
        return self.standards[name]

    def standard_names(self) -> list[str]:
        return list(standard_texts())


@cache
def standard_texts() -> dict[str, str]:
    """Text of each file of the standard library, by the name of the module it holds."""
    folder = files("spike_grammar")
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".spk")), key=lambda f: f.name)
    return {f.name.removesuffix(".spk"): f.read_text(encoding="utf-8") for f in found}


@cache
def _standard_model(name: str, file: str) -> s.Model:
    return parse(standard_texts()[name], file)
