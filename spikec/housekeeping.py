"""What Spike keeps on this machine: how large it is, and its removal, for `spikec cache`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from spike_runtime.version import kernel_folder, profile_name

from spikec.cache import Cache, default_folder
from spikec.errors import writing
from spikec.language.context import readable_bytes
from spikec.records import dataclass


@dataclass(frozen=True)
class Kept:
    """Files or folders of one kind, with what becomes of them by themselves, and their bytes."""

    what: str
    stays: str
    paths: tuple[Path, ...]
    size: int


def found() -> list[Kept]:
    """What there is on this machine."""
    machine, decoders = kernel_folder().parent, Cache()
    limit = f"at most {readable_bytes(decoders.limit)}: the least used go first"
    kinds = [
        ("decoders", limit, [decoders.folder]),
        ("machine code", "of other versions and of programs goes 30 days after its last use", _code(machine)),
        ("host profile", "the costs that this machine was measured to have", sorted(_profiles())),
    ]
    made = []
    for what, stays, paths in kinds:
        there = tuple(path for path in paths if path.exists())
        made.append(Kept(what, stays, there, sum(map(_size, there))))
    return made


def _profiles() -> Iterator[Path]:
    """Of all versions, each of which has its own; the first ones had one name."""
    stem = profile_name().partition("-")[0]
    return default_folder().glob(f"{stem}*.json")


def _code(folder: Path) -> list[Path]:
    """Machine code of all versions, and what PyTensor keeps where it has no home."""
    return [*sorted(folder.glob(f"{kernel_folder().name.partition('-')[0]}-*")), folder / "pytensor"]


def _size(path: Path) -> int:
    total = 0
    for file in path.rglob("*") if path.is_dir() else [path]:
        with suppress(OSError):  # another process may remove it meanwhile
            total += file.stat().st_size if file.is_file() else 0
    return total


def clear(kept: Sequence[Kept]) -> None:
    """Remove it all.  Raises `WriteError`."""
    for path in (path for one in kept for path in one.paths):
        with writing(path, "make its folder writable"):
            # A link to a folder elsewhere stays, for the next run to fill.
            for each in path.iterdir() if path.is_symlink() and path.is_dir() else [path]:
                if each.is_dir() and not each.is_symlink():
                    shutil.rmtree(each, onerror=_unless_gone)
                else:
                    each.unlink(missing_ok=True)


def _unless_gone(_what: object, _path: str, error: tuple[Any, BaseException, Any]) -> None:
    """Go on where another process was faster, raise anything else."""
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]


def as_text(kept: Sequence[Kept], cleared: bool) -> str:
    """What was found, or removed, for people."""
    folders = sorted({str(path.parent) for one in kept for path in one.paths})
    if not folders:
        return f"{default_folder()}: empty"
    total = f"{', '.join(folders)}: {readable_bytes(sum(one.size for one in kept))}"
    if cleared:
        return f"{total} removed"
    lines = [f"  {one.what:<14}{readable_bytes(one.size):>10}   {one.stays}" for one in kept if one.paths]
    return "\n".join([total, *lines, "Empty it with: spikec cache --clear"])


def as_json(kept: Sequence[Kept], cleared: bool) -> str:
    """The same for programs."""
    parts = [
        {"what": one.what, "paths": [str(path) for path in one.paths], "bytes": one.size} for one in kept
    ]
    return json.dumps({"bytes": sum(one.size for one in kept), "cleared": cleared, "kept": parts})
