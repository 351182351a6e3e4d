"""What host calls run, as bytes: the user's functions and classes with their code, libraries by their names.

Code of the model's folder goes in by value, so what is compiled stays what it was when files change, and runs
on hosts that have no such files.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from spikec.errors import ModelError, model_error
from spikec.nengo.calls import Recipe
from spikec.nengo.files import NetworkFile
from spikec.nengo.words import Words

# Where a model lies beside the sources of these, they are libraries all the same.
LIBRARIES = ("spikec", "spike_runtime", "nengo")


def pickled(recipe: Recipe, file: NetworkFile, words: Words) -> bytes:
    """The bytes of a recipe, the same for the same model.  Raises `ModelError` that names what cannot be
    written.
    """
    with _by_value(file):
        try:
            return _dumped(recipe)
        except Exception as error:  # whatever an object raises when it is asked for its state
            raise _refused(recipe, words, error) from error


def _dumped(value: Any) -> bytes:
    """Classes that go by value have a random name in the pickle: they get one that follows from theirs."""
    buffer = io.BytesIO()
    cloudpickle.CloudPickler(buffer, protocol=5).dump(value)
    data = buffer.getvalue()
    tracked = getattr(cloudpickle.cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_CLASS", {})
    for kind, mark in list(tracked.items()):
        name = f"{kind.__module__}.{kind.__qualname__}"
        data = data.replace(mark.encode(), hashlib.sha256(name.encode()).hexdigest()[: len(mark)].encode())
    return data


def _refused(recipe: Recipe, words: Words, error: Exception) -> ModelError:
    for op in recipe.host:
        try:
            _dumped(op)
        except Exception as found:
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
def _by_value(file: NetworkFile) -> Iterator[None]:
    """Modules of the model's folder go by value, with the file itself."""
    own = [file.module, *(m for m in list(sys.modules.values()) if is_beside(m, file))]
    own = [module for module in dict.fromkeys(own) if module.__name__ in sys.modules]
    before = cloudpickle.list_registry_pickle_by_value()
    new = [module for module in own if module.__name__ not in before]
    for module in new:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in new:
            cloudpickle.unregister_pickle_by_value(module)


def is_beside(module: ModuleType, file: NetworkFile) -> bool:
    """Whether a module is of the folder of the model's file, and not installed there."""
    path = getattr(module, "__file__", None)
    if not path or module.__name__.partition(".")[0] in LIBRARIES:
        return False
    folder = file.path.resolve().parent
    inside = Path(path).resolve()
    return folder in inside.parents and "site-packages" not in inside.parts
