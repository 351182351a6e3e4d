"""One BLAS thread per call while decoders are solved.

The build spreads ensembles over processes of its own.  BLAS threads below those would fight for the same
cores, and the rounding of a product would depend on how many there are.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import cast

import numpy as np

_PREFIXES = ("scipy_openblas", "openblas")
_SUFFIXES = ("64_", "", "_64")
_lock = Lock()
_users = 0
_saved: list[int] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, every OpenBLAS that NumPy and SciPy brought uses one thread; other libraries are left alone."""
    global _users
    with _lock:
        if _users == 0:
            _saved[:] = [get() for get, _ in _controls()]
            _set([1] * len(_saved))
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _set(_saved)


def _set(threads: list[int]) -> None:
    for (_, put), count in zip(_controls(), threads, strict=True):
        put(count)


@cache
def _controls() -> tuple[tuple[ctypes._NamedFuncPointer, ctypes._NamedFuncPointer], ...]:
    """The pair (get threads, set threads) of every OpenBLAS beside NumPy and SciPy."""
    return tuple(pair for library in _libraries() for pair in _pairs(library))


def named(routine: str) -> ctypes._NamedFuncPointer | None:
    """A routine of the OpenBLAS beside NumPy whose integers have 64 bits, if that is what NumPy brought."""
    for library in _libraries():
        for prefix in _PREFIXES:
            found = getattr(library, f"{prefix.removesuffix('openblas')}{routine}64_", None)
            if found is not None:
                return cast("ctypes._NamedFuncPointer", found)
    return None


@cache
def _libraries() -> tuple[ctypes.CDLL, ...]:
    folders = [Path(np.__file__).parent.with_suffix(".libs"), _scipy().with_suffix(".libs")]
    return tuple(ctypes.CDLL(str(p)) for folder in folders for p in sorted(folder.glob("*openblas*")))


def _pairs(
    library: ctypes.CDLL,
) -> Iterator[tuple[ctypes._NamedFuncPointer, ctypes._NamedFuncPointer]]:
    for prefix in _PREFIXES:
        for suffix in _SUFFIXES:
            get = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
            put = getattr(library, f"{prefix}_set_num_threads{suffix}", None)
            if get is not None and put is not None:
                yield get, put


@cache
def arithmetic() -> str:
    """What decides the last bits of a product here: libraries, their kernels, the instruction set."""
    from numpy._core._multiarray_umath import (  # type: ignore[import-not-found]
        __cpu_features__ as features,
    )

    used = sorted(name for name, there in features.items() if there)
    return f"numpy {np.__version__} scipy {_scipy_version()} blas {' '.join(_kernels())} cpu {' '.join(used)}"


def _scipy() -> Path:
    """The folder of SciPy, which is not imported: that takes as long as many a model."""
    spec = find_spec("scipy")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _scipy_version() -> str:
    text = (_scipy() / "version.py").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)"', text, re.MULTILINE)
    return found[1] if found else text


@cache
def has_small_products() -> bool:
    """Whether OpenBLAS has kernels that do not copy the factors of a small product first: with AVX-512."""
    return any(name.lower() in ("skylakex", "cooperlake", "sapphirerapids") for name in _kernels())


def _kernels() -> Iterator[str]:
    """The kernels that every OpenBLAS chose for this processor, such as SkylakeX."""
    for library in _libraries():
        for prefix in _PREFIXES:
            for suffix in _SUFFIXES:
                name = getattr(library, f"{prefix}_get_corename{suffix}", None)
                if name is not None:
                    name.restype = ctypes.c_char_p
                    yield name().decode("ascii", "replace")
