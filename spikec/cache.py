"""A cache on disk of arrays by the SHA-256 of all that they depend on.

One entry is one file: the SHA-256 of what follows, then a `.npy` array.  Files appear whole, by a rename, so
that any number of compilers may share the folder; an entry that is damaged is dropped and made again.  The
folder is kept below a size by removing the entries that were used least recently.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikec.records import dataclass

DEFAULT_LIMIT = 2 * 1024**3
_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True)
class CacheInfo:
    """Where a cache is, how many entries it holds, and their size and the size allowed in bytes."""

    folder: Path
    entries: int
    size: int
    limit: int


def default_folder() -> Path:
    """$SPIKE_CACHE_DIR, else $XDG_CACHE_HOME/spike, else ~/.cache/spike."""
    if folder := os.environ.get("SPIKE_CACHE_DIR"):
        return Path(folder)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spike"


class Cache:
    """Arrays by key (hexadecimal).  Where the folder cannot be read or written, nothing is remembered."""

    def __init__(self, folder: Path | None = None, limit: int = DEFAULT_LIMIT) -> None:
        self.folder = (default_folder() if folder is None else Path(folder)) / "decoders"
        self.limit = limit

    def get(self, key: str) -> NDArray[np.float64] | None:
        """The array stored under `key`; None where there is none or it is damaged."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        body = memoryview(content)[_DIGEST:]
        if hashlib.sha256(body).digest() != content[:_DIGEST]:
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)  # the time of the last use, for eviction
        array: NDArray[np.float64] = np.load(io.BytesIO(body), allow_pickle=False)
        return array

    def put(self, key: str, array: NDArray[np.float64]) -> None:
        """Remember `array` under `key`, if it is small enough to be worth the room of others."""
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        body = buffer.getbuffer()
        if len(body) > self.limit // 2:
            return
        with suppress(OSError):
            self._write(self._path(key), hashlib.sha256(body).digest(), body)

    def _write(self, path: Path, digest: bytes, body: memoryview) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(digest)
                file.write(body)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def trim(self) -> None:
        """Remove the entries used least recently until the rest is within the limit."""
        entries = sorted(self._entries(), key=lambda entry: (entry[0], entry[2].name))
        excess = sum(size for _, size, _ in entries) - self.limit
        for _, size, path in entries:
            if excess <= 0:
                return
            with suppress(OSError):
                path.unlink()
            excess -= size

    def clear(self) -> None:
        """Remove every entry."""
        for _, _, path in self._entries():
            with suppress(OSError):
                path.unlink()

    def info(self) -> CacheInfo:
        entries = self._entries()
        return CacheInfo(self.folder, len(entries), sum(size for _, size, _ in entries), self.limit)

    def _entries(self) -> list[tuple[int, int, Path]]:
        """(time of last use in ns, bytes, path) of every file, unfinished ones included."""
        found = []
        with suppress(OSError), os.scandir(self.folder) as listing:
            for entry in listing:
                with suppress(OSError):
                    status = entry.stat()
                    found.append((status.st_mtime_ns, status.st_size, Path(entry.path)))
        return found

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npy"
