"""Files that are replaced whole; large ones are written past the memory that the system keeps of files.

That memory is new for every file.  A virtual machine that gives back what it does not use has to ask for each
page of it: a chunk of 3.2 MB took 9 ms of a processor that way and 0.24 where its pages were there; past them
it takes 0.5 to 0.8, and 2 to 9 ms of waiting for the disk, in which partitions have the processor.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from pathlib import Path
from typing import BinaryIO

# Where this much is written directly, in whole blocks, from memory that begins at a page.
_LARGE, _BLOCK = 1 << 20, 4096
# Bytes per s: a disk that takes less is given no more directly, for the system's memory holds what it cannot.
_SLOW = 1e8
_DIRECT = getattr(os, "O_DIRECT", 0)  # not every system has it, nor every file system


class Files:
    """Writes the files of a run, one at a time."""

    def __init__(self) -> None:
        self._direct = bool(_DIRECT)
        self._room: mmap.mmap | None = None

    def prepare(self, size: int) -> None:
        """Have memory for files of up to `size` bytes now, and not when steps are timed."""
        if self._direct and size >= _LARGE and (self._room is None or len(self._room) < size):
            self._room = mmap.mmap(-1, size)
            self._room[::_BLOCK] = bytes(-(-size // _BLOCK))

    def replace(self, path: Path, content: bytes) -> None:
        """Replace a file whole, or leave it as it is; its folder may not be there yet.  Raises `OSError`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.partial")
        try:
            with draft.open("wb") as file:
                done = self._write_directly(file, content) if self._direct and len(content) >= _LARGE else 0
                file.seek(done)
                file.write(memoryview(content)[done:])
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def _write_directly(self, file: BinaryIO, content: bytes) -> int:
        """Write the first bytes of a new file; gives how many, none where that cannot be."""
        whole, start, done = len(content) // _BLOCK * _BLOCK, time.monotonic(), 0
        self.prepare(len(content))
        assert self._room is not None
        self._room[:whole] = memoryview(content)[:whole]
        flags = fcntl.fcntl(file, fcntl.F_GETFL)
        try:
            fcntl.fcntl(file, fcntl.F_SETFL, flags | _DIRECT)
            with memoryview(self._room)[:whole] as room:
                done = os.write(file.fileno(), room)
        except OSError:
            pass  # whatever it is, it comes again where it is not for writing directly
        finally:
            fcntl.fcntl(file, fcntl.F_SETFL, flags)
        self._direct = done == whole and whole > _SLOW * (time.monotonic() - start)
        return done
