"""The compiled loops of programs: from disk where one of the same structure was compiled before.

What compiles them is imported only where that must be.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spike_runtime import native
from spike_runtime.known import Structure
from spike_runtime.table import Function

Arrays = dict[str, NDArray[Any]]

# The loops of this process, by the structure of their programs.
_loops: dict[str, Function] = {}


def loop_of(path: Path, constants: Arrays, state: Arrays, segment: NDArray[np.int64]) -> Function:
    """The compiled loop around the program at `path` (see `loop`); programs of one structure share it."""
    structure = Structure(path, constants, state)
    found = known_loop(structure)
    if found is None:
        found = _loops[structure.digest] = _compiled(structure, path, constants, state, segment)
    return found


def known_loop(structure: Structure) -> Function | None:
    """The loop of programs of this structure, where it was compiled before; None where not."""
    if structure.digest not in _loops and (address := native.load(structure.key)) is not None:
        _loops[structure.digest] = Function(address)
    return _loops.get(structure.digest)


def _compiled(
    structure: Structure, path: Path, constants: Arrays, state: Arrays, segment: NDArray[np.int64]
) -> Function:
    from spike_runtime import housing  # noqa: F401 (before PyTensor)
    from spike_runtime.addresses import address_of
    from spike_runtime.loop import codes_of, compile_loop

    compiled, _ = compile_loop(_module(path), constants, state, segment)
    if codes := codes_of(compiled):
        with suppress(OSError):
            native.keep(structure.key, codes)
    return Function(address_of(compiled))


def _module(path: Path) -> ModuleType:
    """A program as a module."""
    module = ModuleType(path.stem)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    return module
