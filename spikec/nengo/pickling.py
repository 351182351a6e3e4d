"""What host calls run, as bytes: the user's functions and classes with their code, libraries by their names.

Code of the model's folder goes in by value, so what is compiled stays what it was when files change, and runs
on hosts that have no such files.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from dis import get_instructions
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

from spikec.errors import ModelError, model_error
from spikec.nengo.calls import Recipe, itself
from spikec.nengo.files import NetworkFile, is_of_folder, running, text
from spikec.nengo.words import Words

# What Python writes into modules that it imports, and what it adds anew.
_OF_IMPORT = ("__builtins__", "__cached__", "__loader__", "__spec__")
# What functions need of their module, even where they do not name it.
_OF_MODULES = ("__name__", "__package__", "__path__", "__file__")
# The pickler is one in Python, of which a level of nesting takes several frames.
_DEPTH = 10_000


def pickled(recipe: Recipe, file: NetworkFile, words: Words) -> bytes:
    """The bytes of a recipe, the same for the same model.  Raises `ModelError` that names what cannot be
    written.
    """
    with _deep():
        try:
            while True:
                data, found = _dumped(recipe, file)
                if len(found) == len(recipe.modules):
                    return data
                recipe = replace(recipe, modules=found)
        except ModelError:
            raise
        except Exception as error:  # whatever an object raises when it is asked for its state
            raise _refused(recipe, file, words, error) from error


def _dumped(value: Any, file: NetworkFile) -> tuple[bytes, dict[str, ModuleType]]:
    """The bytes, and the modules of the model's folder that functions in them import when they are called."""
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, file)
    with _by_value(file):
        pickler.dump(value)
    return buffer.getvalue(), dict(sorted(pickler.imported.items()))


class _Names(dict[str, Any]):
    """Stands for the global names of a module that goes by value: one dictionary for all its functions."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__(
            {k: names[k] for k in ("__name__", "__package__", "__path__", "__file__") if k in names}
        )
        self.module = ModuleType(self["__name__"])  # stands for the module


class _Pickler(pickle._Pickler):
    """cloudpickle's, with three things of its own: sets have an order; a class gets no mark by which other
    pickles would find it; and a module that goes by value is one, with its functions and as an object.

    It derives from the pickler in Python, for that in C does not ask about sets.  What it takes of
    cloudpickle is not public there, so pyproject.toml bounds its version.
    """

    dispatch_table = cloudpickle.Pickler.dispatch_table
    _function_reduce = cloudpickle.Pickler._function_reduce
    _dynamic_function_reduce = cloudpickle.Pickler._dynamic_function_reduce
    _function_getnewargs = cloudpickle.Pickler._function_getnewargs

    def __init__(self, buffer: io.BytesIO, file: NetworkFile) -> None:
        super().__init__(buffer, protocol=5)
        self.globals_ref: dict[int, dict[str, Any]] = {}
        self.imported: dict[str, ModuleType] = {}
        self._file = file
        self._stands: dict[int, _Names] = {}

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if kind in (set, frozenset):
            return kind, (sorted(value, key=lambda item: (type(item).__name__, repr(item))),)
        if kind is _Names:
            return vars, (value.module,)
        if kind is ModuleType:
            return self._module(value)
        if kind is FunctionType and is_of_folder(value.__globals__, self._file.path):
            self.globals_ref[id(value.__globals__)] = self._names(value.__globals__)
            self._find_imports(value.__code__, value.__globals__)
        reduced = cloudpickle.Pickler.reducer_override(self, value)
        if isinstance(value, type) and reduced is not NotImplemented:
            mark = cloudpickle.cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS.get(value)
            arguments = tuple(None if item is mark else item for item in reduced[1])
            return (reduced[0], arguments, *reduced[2:])
        return reduced

    def _names(self, names: dict[str, Any]) -> _Names:
        if id(names) not in self._stands:
            self._stands[id(names)] = made = _Names(names)
            self._stands[id(vars(made.module))] = made
        return self._stands[id(names)]

    def _module(self, module: ModuleType) -> Any:
        if id(vars(module)) in self._stands and self._stands[id(vars(module))].module is module:
            return ModuleType, (module.__name__,), dict(self._stands[id(vars(module))])
        if not is_beside(module, self._file):
            return NotImplemented
        names = {name: item for name, item in vars(module).items() if name not in _OF_IMPORT}
        return itself, (self._names(vars(module)).module,), names

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
            if not is_of_folder(found, self._file.path):
                return False
        module = importlib.import_module(name)
        if is_beside(module, self._file):
            self.imported[name] = module
        return name in self.imported


def _refused(recipe: Recipe, file: NetworkFile, words: Words, error: Exception) -> ModelError:
    for op in recipe.host:
        try:
            _dumped(op, file)
        except Exception as found:  # as above
            return _cannot(words.of(op), found)
    return _cannot("what the model runs in Python", error)


def _cannot(what: str, error: Exception) -> ModelError:
    return model_error(
        f"{what} cannot be kept in the compiled model: {error}",
        "open files, windows and connections in the first step, not before, and give the node its size_out, "
        "for else Nengo calls its function when it is made; "
        "or run the model in Python: spikec.nengo.Simulator",
    )


@contextmanager
def _deep() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def _by_value(file: NetworkFile) -> Iterator[None]:
    """Functions and classes of the model's folder go by value, with those of the file itself."""
    own = [file.module, *(m for m in list(sys.modules.values()) if is_beside(m, file))]
    before = cloudpickle.list_registry_pickle_by_value()
    new = {module.__name__: module for module in own if module.__name__ in sys.modules}
    new = {name: module for name, module in new.items() if name not in before}
    for module in new.values():
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in new.values():
            cloudpickle.unregister_pickle_by_value(module)


def is_beside(module: ModuleType, file: NetworkFile) -> bool:
    """Whether a module is of the folder of the model's file, and not installed there."""
    return is_of_folder(vars(module), file.path)
