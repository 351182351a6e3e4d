"""Files of models in the canonical style, for `spikec fmt`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from spikec.errors import ModelError, model_error, writing
from spikec.language.files import decoded, read_text, replace_text
from spikec.language.format import format_text
from spikec.language.values import Mistake


def formatted(path: Path) -> tuple[str, str]:
    """Text of a file (of the standard input: `-`), and how it should be.  Raises `ModelError`."""
    if path.suffix == ".py":
        raise model_error(f"{path} is Python; fmt formats models in .spk files", "name a .spk file")
    try:
        text = decoded(sys.stdin.buffer.read(), "-") if str(path) == "-" else read_text(path, str(path), None)
    except Mistake as mistake:
        raise ModelError([mistake.diagnostic]) from None
    return text, format_text(text, str(path))


def written(path: Path, before: str, after: str, only_check: bool) -> dict[str, Any]:
    """Replace a file by what it should be, unless all is only looked at; what is told of it.

    The text itself, where it came from the standard input.  Raises `WriteError`.
    """
    told = {"file": str(path), "changed": before != after}
    if only_check:
        return told
    if str(path) == "-":
        return told | {"text": after}
    if before != after:
        with writing(path, "make the file and its folder writable, or format it with: fmt -"):
            replace_text(path, after)
    return told
