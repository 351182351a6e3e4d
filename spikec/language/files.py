"""Files beside a model: imports, matrices and recordings; nothing outside its folder unless allowed."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikec.errors import Span
from spikec.language.context import Context
from spikec.language.scope import listed, nearest
from spikec.language.values import Mistake


def locate(name: str, span: Span | None, context: Context, folder: Path | None) -> Path:
    """The path of a file named in a model, relative to the file that names it.  Raises `Mistake`."""
    if folder is None or context.folder is None:
        raise Mistake(
            f"the model is not a file, so it has no folder to read {name!r} from",
            span,
            "give the folder, or save it",
        )
    path = folder / name
    root = context.folder.resolve()
    if not context.allow_outside and not path.resolve().is_relative_to(root):
        raise Mistake(
            f"{name!r} is outside of the model's folder",
            span,
            "move the file beside the model, or pass --allow-outside",
        )
    if not path.is_file():
        own = Path(span.file).name if span else ""
        raise Mistake(f"there is no file {name!r} beside the model", span, _nearby(name, path, own))
    return path


def _nearby(name: str, path: Path, own: str) -> str:
    """The remedy: the file of the same kind whose name is alike, else all that there are beside `own`."""
    suffix = path.suffix
    try:
        found = sorted(p.stem for p in path.parent.iterdir() if p.suffix == suffix and p.is_file())[:1000]
    except OSError:
        return "check the name of the folder"
    there = [stem for stem in found if stem + suffix != own]
    if near := nearest(path.stem, there):
        return f"did you mean {Path(name).with_name(near + suffix).as_posix()!r}?"
    if not there:
        return f"the folder holds no {'other ' * bool(found)}{suffix or 'such'} file"
    return "the folder holds " + listed([stem + suffix for stem in there])


def read_text(path: Path, name: str, span: Span | None) -> str:
    """Text of a UTF-8 file.  Raises `Mistake` that says where another encoding shows."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Mistake(
            f"cannot read {name!r}: {error.strerror}", span, "check the name and the permissions"
        ) from None
    return decoded(data, name)


def replace_text(path: Path, text: str) -> None:
    """Put `text` in the place of a file's, all at once: whatever fails, the file is the old or the new one.

    The mode stays, and a link stays a link.  Raises `OSError`.
    """
    path = path.resolve()
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def decoded(data: bytes, name: str) -> str:
    """Text of UTF-8.  Raises `Mistake` that says where another encoding shows."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        place = Span(name, line, column, line, column + 1)
        raise Mistake(
            f"{name!r} is not UTF-8 text (byte {error.start})", place, "save the file as UTF-8"
        ) from None


def read_matrix(name: str, span: Span, context: Context, folder: Path | None) -> NDArray[np.float64]:
    """Numbers of a `.csv` or `.npy` file: a vector or a matrix.  Raises `Mistake`."""
    path = locate(name, span, context, folder)
    size = path.stat().st_size
    if size * 2 > context.memory_limit:
        raise Mistake(f"{name!r} has {size} bytes, too many for the memory", span, "use a smaller file")
    if path.suffix == ".npy":
        values = _read_npy(path, name, span)
    elif path.suffix == ".csv":
        values, _ = _read_csv(path, name, span)
    else:
        raise Mistake(f"{name!r} is neither .csv nor .npy", span, "save the numbers as .csv or .npy")
    if not values.size:
        raise Mistake(f"{name!r} holds no numbers", span, "save at least one row of them")
    if values.ndim not in (1, 2):
        raise Mistake(
            f"{name!r} has shape {values.shape}, not that of a vector or matrix", span, "save one or two axes"
        )
    if not np.isfinite(values).all():
        raise Mistake(
            f"{name!r} holds values that are not finite", span, "remove NaN and infinity from the file"
        )
    return values


def row_of(name: str, row: int, span: Span, context: Context, folder: Path | None) -> str:
    """Where row `row` (from 0) of a file that was read as a matrix stands: its line, as editors count."""
    path = locate(name, span, context, folder)
    if path.suffix == ".csv":
        return f"line {_read_csv(path, name, span)[1][row]} of {name!r}"
    return f"row {row} (from 0) of {name!r}"


def _read_npy(path: Path, name: str, span: Span) -> NDArray[np.float64]:
    try:
        values = np.load(path, allow_pickle=False)
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
            raise ValueError("it does not hold real numbers")
    except (OSError, ValueError, EOFError) as error:
        raise Mistake(
            f"cannot read {name!r}: {error}", span, "save it with numpy.save, without pickle"
        ) from None
    return values.astype(np.float64)


def _read_csv(path: Path, name: str, span: Span) -> tuple[NDArray[np.float64], list[int]]:
    """Numbers of a file, and the line of every row."""
    rows: list[list[float]] = []
    lines: list[int] = []
    named = False
    reader = csv.reader(read_text(path, name, span).splitlines())
    for row in reader:
        line = reader.line_num
        if not row or row[0].lstrip().startswith("#"):
            continue
        try:
            rows.append([float(cell) for cell in row])
            lines.append(line)
        except ValueError:
            # The first row may hold the names of the columns.
            if not rows and not named:
                named = True
                continue
            raise Mistake(
                f"line {line} of {name!r} is not numbers separated by commas", span, "mend the file"
            ) from None
        if len(rows[-1]) != len(rows[0]):
            raise Mistake(
                f"line {line} of {name!r} has {len(row)} columns, not {len(rows[0])}", span, "mend the file"
            )
    return np.array(rows, dtype=np.float64), lines
