"""Machine code on disk that is loaded without what compiled it.

PyTensor and Numba take a second and more to be imported, and to find out that they have compiled a program
before.  So what they made of it, object files as they are, is also kept in one file with all that it calls.
llvmlite puts that in memory, with nothing of theirs but the few C functions that their code calls.

A file is found by what was compiled (its key) and by all that machine code depends on besides: the processor,
versions, settings (`machine`).  It is used only where its checksum is right and this process has all
that it calls; else, and where object files are none that can be looked into, the usual way is gone.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import llvmlite
import numpy as np
from llvmlite import binding
from spike_runtime import version
from spike_runtime.files import Files

_MAGIC = b"spike code 1\n"
_CHECKSUM = 32
# Settings that are no matter of machine code: how many threads, where files lie.
_NO_MATTER = ("NUMBA_NUM_THREADS", "NUMBA_CACHE_DIR")
_PLACES = ("compiledir=", "base_compiledir=")
# Files beside this one that say how loops are made and what they are given, besides the kernels' own.
_LAYOUT = ("loop.py", "table.py")

# What was loaded lasts as long as the process, under the names by which others call it.
_engines: list[Any] = []
_loaded: set[str] = set()


@dataclass(frozen=True)
class Code:
    """An object file: which function of it is called, by which name others call that ("" where by none), what
    it calls itself, and its bytes.
    """

    entry: str
    name: str
    needs: tuple[str, ...]
    code: bytes


def place(key: str) -> Path:
    """Where the machine code of `key` is kept."""
    return version.kernel_folder() / "programs" / hashlib.sha256(f"{machine()}\n{key}".encode()).hexdigest()


def keep(key: str, codes: Sequence[Code]) -> None:
    """Keep machine code: what is called comes before what calls it, last what `load` gives.

    Raises `OSError`.
    """
    listed = [asdict(code) | {"code": len(code.code)} for code in codes]
    head = json.dumps([place(key).name, listed]).encode() + b"\n"
    body = b"".join([head, *(code.code for code in codes)])
    version.opened_kernel_folder()
    place(key).parent.mkdir(exist_ok=True)
    _remove_unused(place(key).parent)
    Files().replace(place(key), _MAGIC + hashlib.sha256(body).digest() + body)


def _remove_unused(folder: Path) -> None:
    """Remove files that were last used longer ago than `version.KEPT`."""
    for file in folder.iterdir():
        with suppress(OSError):  # somebody else removes it
            if time.time() - file.stat().st_mtime > version.KEPT:
                file.unlink()


def load(key: str) -> int | None:
    """The address of the function kept by `key`; None where there is none that can be used here."""
    codes = _read(place(key))
    own = {code.name for code in codes}
    # LLVM ends the process where it does not find one.
    if not all(_is_known(name) for code in codes for name in code.needs if name not in own):
        return None
    address = None
    for code in codes:
        address = _in_memory(code)
    return address


def _read(path: Path) -> list[Code]:
    """What a file holds; nothing where there is none, or it is damaged, or another's."""
    try:
        content = path.read_bytes()
    except OSError:
        return []
    with suppress(OSError):  # of another user
        os.utime(path)  # it is used now
    start = len(_MAGIC) + _CHECKSUM
    if content[:start] != _MAGIC + hashlib.sha256(content[start:]).digest():
        return []
    end = content.index(b"\n", start) + 1
    name, listed = json.loads(content[start:end])
    codes = []
    for entry in listed if name == path.name else ():
        size = entry["code"]
        codes.append(Code(**entry | {"needs": tuple(entry["needs"]), "code": content[end : end + size]}))
        end += size
    return codes


def _in_memory(code: Code) -> int | None:
    """The address of a function, which from now on has its name."""
    if code.name in _loaded:
        return None
    # An engine for each: functions of different processes that are not called by name may be named alike.
    engine = _engine()
    engine.add_object_file(binding.ObjectFileRef.from_data(code.code))
    engine.finalize_object()
    address: int = engine.get_function_address(code.entry)
    _engines.append(engine)
    if code.name:
        binding.add_symbol(code.name, address)
        _loaded.add(code.name)
    return address


def _engine() -> Any:
    return binding.create_mcjit_compiler(
        binding.parse_assembly(""), _target().create_target_machine(jit=True)
    )


@cache
def _first_engine() -> Any:
    """LLVM looks for functions in this process only when there is an engine."""
    return _engine()


@cache
def _target() -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_triple(binding.get_process_triple())


def _is_known(name: str) -> bool:
    """Whether code may call a function by its name; from now on it can."""
    _first_engine()
    if name in _helpers():
        binding.add_symbol(name, _helpers()[name])
    return binding.address_of_symbol(name) is not None


@cache
def _helpers() -> dict[str, int]:
    """What Numba's code calls, under its names there: functions in C, and objects of Python, by address."""
    support, dynamic = _extension("numba._helperlib").c_helpers, _extension("numba._dynfunc").c_helpers
    memory = _extension("numba.core.runtime._nrt_python")
    memory.memsys_use_cpython_allocator()
    exceptions = {f"PyExc_{k}": id(v) for k, v in vars(builtins).items() if isinstance(v, type)}
    return {
        **support,  # those of the C library by their own names
        **{f"numba_{name}": address for name, address in {**support, **dynamic}.items()},
        **{name if name[0] == "_" else f"NRT_{name}": address for name, address in memory.c_helpers.items()},
        **exceptions,
        "_Py_NoneStruct": id(None),
    }


def _extension(name: str) -> Any:
    """A module of Numba that is written in C, without the package, whose import takes 0.3 s."""
    if name in sys.modules:
        return sys.modules[name]
    *folders, own = name.split(".")
    place = _folder(folders[0]).joinpath(*folders[1:])
    found = PathFinder.find_spec(own, [str(place)])
    assert found is not None
    assert found.origin is not None
    loader = ExtensionFileLoader(name, found.origin)
    module = loader.create_module(ModuleSpec(name, loader, origin=found.origin))
    loader.exec_module(module)
    sys.modules.pop(name, None)  # whoever imports the package finds it anew
    return module


@cache
def machine() -> str:
    """All that machine code depends on, but what was compiled."""
    settings = {
        name: ",".join(part for part in value.split(",") if not part.startswith(_PLACES))
        for name, value in sorted(os.environ.items())
        if name.startswith(("NUMBA_", "PYTENSOR_")) and name not in _NO_MATTER
    }
    home = os.environ.get("PYTENSORRC", Path.home() / ".pytensorrc")
    files = [
        _folder("numba") / "_version.py",
        _folder("pytensor") / "_version.py",
        *map(Path(__file__).with_name, _LAYOUT),
        Path(".numba_config.yaml"),
        *map(Path, str(home).split(os.pathsep)),
    ]
    features = binding.get_host_cpu_features().flatten()
    return repr((
        version.source_version(),
        sys.version_info[:3],
        (np.__version__, llvmlite.__version__, binding.llvm_version_info),
        (binding.get_process_triple(), binding.get_host_cpu_name(), features),
        {name: value for name, value in settings.items() if value},
        [file.read_bytes() if file.is_file() else b"" for file in files],
    ))  # fmt: skip


def _folder(package: str) -> Path:
    """Where a package is installed, without importing it."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])
