"""What host calls run, as bytes: the user's functions and classes with their code, libraries by their names.

Code of the model's folder goes in by value, so what is compiled stays what it was when files change, and runs
on hosts that have no such files.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from dis import get_instructions
from types import CodeType, FunctionType, ModuleType
from typing import Any

from spikec.errors import ModelError, model_error
from spikec.keeping import Pickler, by_value, deep, is_of_folder, why
from spikec.nengo.files import NetworkFile, running, text
from spikec.nengo.recipes import Recipe


def pickled(recipe: Recipe, file: NetworkFile) -> bytes:
    """The bytes of a recipe, the same for the same model.  Raises `ModelError` that names what cannot be
    written.
    """
    with deep():
        try:
            while True:
                data, found = _dumped(recipe, file)
                if len(found) == len(recipe.modules):
                    return data
                recipe = replace(recipe, modules=found)
        except ModelError:
            raise
        except Exception as error:  # whatever an object raises when it is asked for its state
            raise _refused(recipe, file, error) from error


def _dumped(value: Any, file: NetworkFile) -> tuple[bytes, dict[str, ModuleType]]:
    """The bytes, and the modules of the model's folder that functions in them import when they are called."""
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, file)
    with by_value([file.module, *(m for m in list(sys.modules.values()) if is_beside(m, file))]):
        pickler.dump(value)
    return buffer.getvalue(), dict(sorted(pickler.imported.items()))


class _Pickler(Pickler):
    """Also finds the modules of the model's folder that functions import when they are called."""

    def __init__(self, buffer: io.BytesIO, file: NetworkFile) -> None:
        super().__init__(buffer, lambda names: is_of_folder(names, file.folder))
        self.imported: dict[str, ModuleType] = {}
        self._file = file

    def _met(self, function: FunctionType) -> None:
        self._find_imports(function.__code__, function.__globals__)

    def _find_imports(self, code: CodeType, names: Mapping[str, Any]) -> None:
        """Modules of the folder that a function imports when it is called, with their packages."""
        before: list[Any] = [None, None]
        for step in get_instructions(code):
            if step.opname == "IMPORT_NAME":
                self._import("." * before[0] + step.argval, before[1] or (), names)
            before = [before[1], step.argval]
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                self._find_imports(inner, names)

    def _import(self, name: str, parts: tuple[str, ...], names: Mapping[str, Any]) -> None:
        path = self._file.path
        with running(path, text(path), "what its functions import cannot be kept"), suppress(ImportError):
            full = importlib.util.resolve_name(name, names.get("__package__"))
            levels = full.split(".")
            if not all(self._keep(".".join(levels[: k + 1])) for k in range(len(levels))):
                return
            for part in parts if hasattr(self.imported[full], "__path__") else ():
                self._keep(f"{full}.{part}")

    def _keep(self, name: str) -> bool:
        """Keeps a module if it is of the folder; whether it is.  Others are not imported before they must."""
        if name not in sys.modules:
            spec = importlib.util.find_spec(name)
            found = {"__name__": name, "__file__": spec.origin if spec else None}
            if not is_of_folder(found, self._file.folder):
                return False
        module = importlib.import_module(name)
        if is_beside(module, self._file):
            self.imported[name] = module
        return name in self.imported


def _refused(recipe: Recipe, file: NetworkFile, error: Exception) -> ModelError:
    """The first operator that cannot be kept, by itself or with those before it."""
    operators, failed = list(recipe.said), dict[int, Exception]()

    def fails(count: int) -> bool:
        try:
            _dumped(operators[:count], file)
        except Exception as found:  # as above
            failed[count] = found
        return count in failed

    first = bisect_left(range(len(operators) + 1), True, key=fails)
    what = recipe.said[operators[first - 1]] if first in failed else "what the model runs in Python"
    error = failed.get(first, error)
    return model_error(
        f"{what} cannot be kept in the compiled model: {why(error)}",
        "open files, windows and connections in the first step, not before, and give the node its size_out, "
        "for else Nengo calls its function when it is made; "
        "or run the model in Python: spikec.nengo.Simulator",
    )


def is_beside(module: ModuleType, file: NetworkFile) -> bool:
    """Whether a module is of the folder of the model's file, and not installed there."""
    return is_of_folder(vars(module), file.folder)
