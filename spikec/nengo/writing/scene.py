"""What the translation of one network knows: its built model, its names, files and what it cannot say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import FunctionType, MethodType
from typing import Any

import nengo
import numpy as np
from nengo.builder import Model, Operator, Signal
from nengo.connection import LearningRule

from spikec import graph as g
from spikec.errors import Diagnostic, Span
from spikec.expressions import Expression, Table, with_tables
from spikec.keeping import is_of_user
from spikec.nengo.convert import Converted
from spikec.nengo.naming import Labels
from spikec.nengo.processes import Synapse, coefficients
from spikec.nengo.writing import words
from spikec.tracing.functions import why
from spikec.tracing.reasons import Reason

# Arrays of so many numbers, and texts of so many characters, stand in the text itself.
MOST_NUMBERS, MOST_CHARACTERS = 12, 60
AS_IT_IS = (
    "compile the network as it is (spikec compile FILE.py:NAME); or, where nothing leads back to it, "
    "record what it gives, and present that: input NAME from a file"
)
PYTHON = f"write it with arithmetic, branches and functions of NumPy that only compute; or {AS_IT_IS}"


class Files:
    """Arrays in a folder beside the text; equal ones are one file."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.arrays: dict[str, g.Array] = {}
        self._known: dict[bytes, str] = {}

    def text(self, name: str, values: Any) -> str:
        """How the text names an array: by its numbers, or by a file called `name`."""
        array = np.ascontiguousarray(values, np.float64)
        if array.size <= MOST_NUMBERS:
            written = words.matrix(array)
            if len(written) <= MOST_CHARACTERS:
                return written
        return f'load("{self.file(name, array)}")'

    def file(self, name: str, values: Any) -> str:
        """The path of a file with an array, from the folder of the text."""
        name = re.sub(r"\[(\d+)\]", r"_\1", name)
        array = np.ascontiguousarray(values, np.float64)
        digest = hashlib.sha256(repr(array.shape).encode() + array.tobytes()).digest()
        if digest not in self._known:
            found, count = name, 1
            while found in self.arrays:
                count += 1
                found = f"{name}_{count}"
            self.arrays[found] = array
            self._known[digest] = found
        return f"{self.folder}/{self._known[digest]}.npy"


@dataclass(eq=False)
class Scene:
    """A network on its way to text.  `mistakes`: what cannot be said, collected; `arrays`: those written.
    `rules`: of connections; `relays`: of what some of them are told.
    """

    network: nengo.Network
    model: Model
    converted: Converted
    labels: Labels
    files: Files
    arrays: dict[str, tuple[nengo.Ensemble, ...]] = field(default_factory=dict)
    rules: dict[nengo.Connection, list[LearningRule]] = field(default_factory=dict)
    relays: dict[LearningRule, str] = field(default_factory=dict)
    mistakes: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    @cached_property
    def variable(self) -> str:
        """What the rounds of loops are numbered by."""
        return self.labels.new("i")

    def listed(self, name: str, expressions: Sequence[Expression]) -> str:
        """Expressions of x and t as text; tables that they read are arrays called after `name`."""
        return words.listed([with_tables(e, lambda table: self._table(name, table)) for e in expressions])

    def _table(self, name: str, table: Table) -> str:
        samples = table.samples[:, 0] if table.samples.shape[1] == 1 else table.samples
        return f'load("{self.files.file(f"{name}.table", samples)}")'

    def told(self, obj: Any) -> str:
        """What an object is connected to by: its name, or the relay of what a rule is told."""
        return self.relays.get(obj) or self.labels[obj]

    def refuse(self, message: str, hint: str) -> None:
        """Note something that cannot be said, once for all who need it."""
        if (mistake := Diagnostic(message, None, hint)) not in self.mistakes:
            self.mistakes.append(mistake)

    def refuse_function(self, what: str, function: Any, time: bool, arguments: int | None, size: int) -> None:
        """Note a function in Python that is no expression: `what` has it; why, and where."""
        asked = (function, time, arguments, size)
        reason = why(*asked, held=True) or why(*asked) or Reason("runs in Python")
        text, place = reason.text, self._line(reason.file, reason.line) or self._place(function)
        if (own := _of_user(function)) is not None:
            text += f" ({reason.file}:{reason.line})" if reason.line else ""
            place = self._place(own)
        self.mistakes.append(Diagnostic(f"{what}: its function {text}", place, PYTHON))

    def _place(self, function: Any) -> Span | None:
        """The first line of a function, or of what is called of an object."""
        called = function if isinstance(function, (FunctionType, MethodType)) else type(function).__call__
        code = getattr(called, "__code__", None)
        return None if code is None else self._line(code.co_filename, code.co_firstlineno)

    def _line(self, file: str, line: int) -> Span | None:
        """A line of a file, without the spaces before it."""
        if not line:
            return None
        try:
            with open(file, encoding="utf-8") as source:
                self.sources.setdefault(file, source.read())
        except (OSError, UnicodeDecodeError):
            return None
        lines = self.sources[file].splitlines()
        end = len(lines[line - 1]) if line <= len(lines) else 1
        start = end - len(lines[line - 1].lstrip()) if line <= len(lines) else 0
        return Span(file, line, start + 1, line, end + 1)

    # ------------------------------------------------------------------------------------------ operators

    def form(self, op: Operator | None) -> Any:
        """What an operator is in the graph; None where it runs as Nengo made it."""
        return None if op is None else self.converted.sides.native.get(op)

    def writers(self, signal: Signal) -> list[Operator]:
        """The operators that write a signal."""
        table = self.converted.sides.table
        return table.of[signal.base].writers if signal.base in table.of else []

    def rank(self, signal: Signal, target: Signal) -> int:
        """When in a step a signal is added to another: the order of the terms of a sum."""
        ranked = [{read.base for read in op.reads} for op in self.writers(target)]
        direct = (k for k, read in enumerate(ranked) if signal.base in read)
        through = (
            k
            for k, read in enumerate(ranked)
            if any(r.base is signal.base for base in read for op in self.writers(base) for r in op.reads)
        )
        return next(direct, next(through, 0))

    def filter(self, process: Any) -> Synapse | None:
        """The filter that a synapse is; None for no synapse, and for what is refused."""
        if process is None:
            return None
        found = coefficients(process, self.model.dt)
        if found is None:
            self.refuse(
                f"the synapse {process} is no linear filter of Nengo's own",
                "take Lowpass, Alpha, LinearFilter or Triangle",
            )
        return found


def _of_user(function: Any) -> FunctionType | None:
    """The function of the user's own that a library has wrapped into `function`, as `nengo.spa.Input` does;
    None where it is no such function.
    """
    if not isinstance(function, FunctionType) or is_of_user(function.__globals__):
        return None
    held = (cell.cell_contents for cell in function.__closure__ or ())
    return next((f for f in held if isinstance(f, FunctionType) and is_of_user(f.__globals__)), None)
