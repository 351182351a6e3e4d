"""What stands where a model is to be written: what is refused, and how the new takes the place of the old."""

from __future__ import annotations

import os
import re
from pathlib import Path

from spikec.errors import model_error

ELSEWHERE = "move it away, or name another file with -o"


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raises `ModelError` where the file `path` and the folder beside it may not be replaced.

    Replaced are, with `overwrite`, a plain file and a plain folder of nothing but arrays that the file names.
    """
    if path.suffix != ".spk":
        raise model_error(f"{path} does not end in .spk", f"name a file such as {path.stem or 'model'}.spk")
    folder = path.with_suffix("")
    for there, plain, what in ((path, path.is_file(), "file"), (folder, folder.is_dir(), "folder")):
        if os.path.lexists(there) and (there.is_symlink() or not plain):
            raise model_error(f"{there} is in the way: it is no plain {what}", ELSEWHERE)
    existing = [p for p in (path, folder) if p.exists()]
    if existing and not overwrite:
        listed = " and ".join(map(str, existing))
        raise model_error(
            f"{listed} exist{'s' * (len(existing) == 1)}", "name another file with -o, or add --overwrite"
        )
    others = sorted({p.name for p in folder.iterdir()} - _named(path)) if folder.is_dir() else []
    if others:
        named = f"which {path} does not name" if path.exists() else f"and there is no {path}"
        raise model_error(f"the folder {folder} holds {', '.join(others[:3])}, {named}", ELSEWHERE)


def _named(path: Path) -> set[str]:
    """The files in the folder beside it that a model names."""
    if not path.exists():
        return set()
    text = path.read_text(encoding="utf-8", errors="replace")
    return set(re.findall(rf'"{re.escape(path.stem)}/([^"/]+\.npy)"', text))


def replace(home: Path, path: Path) -> None:
    """Put the file and the folder that are in `home` where they belong: both, or none where that fails.

    `home` is a folder beside them, and takes what they replace.
    """
    aside, places = home / "replaced", (path.with_suffix(""), path)
    aside.mkdir()
    moves = [(old, aside / old.name) for old in places if old.exists()]
    moves += [(home / new.name, new) for new in places if (home / new.name).exists()]
    try:
        for source, target in moves:
            os.replace(source, target)
    except BaseException:  # also an interrupt
        for source, target in reversed(moves):
            if not source.exists():
                os.replace(target, source)
        raise
