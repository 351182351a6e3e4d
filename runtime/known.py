"""Which programs were compiled before on this machine: those of one structure share their machine code."""

from __future__ import annotations

import ast
import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from spike_runtime import native
from spike_runtime.parsing import parsed

# What compiling takes at the least, and more for each call in the program, in s (rough).  Kernels are
# compiled either way.
KNOWN, NEW, PER_CALL = 0.05, 0.15, 0.02


class Structure:
    """The structure of a program: its text without names of models, and the types of its arrays."""

    def __init__(self, program: Path, *arrays: Mapping[str, NDArray[Any]]) -> None:
        tree = parsed(program.read_text(encoding="utf-8"))
        body = [node for node in tree.body if not isinstance(node, ast.Expr)]  # all but the docstring
        self._calls = sum(isinstance(node, ast.Call) for node in ast.walk(tree))
        types = sorted((name, a.dtype.str, a.ndim) for given in arrays for name, a in given.items())
        text = "\n".join(ast.unparse(node) for node in body)
        self.digest = hashlib.sha256(f"{text}\n{types}".encode()).hexdigest()
        self.key = f"program {self.digest}"
        self._mark = native.place(self.key)

    @property
    def seconds(self) -> float:
        """What it takes to have it compiled, about."""
        return KNOWN if self._mark.exists() else NEW + PER_CALL * self._calls

    def remember(self) -> None:
        """It is compiled now, and kept where there is a place for that, if only by Numba."""
        with contextlib.suppress(OSError):
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            self._mark.touch()
