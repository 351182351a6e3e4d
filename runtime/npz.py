"""NumPy's `.npz`, fast where it holds many small arrays: 10,000 ensembles have tens of thousands.

A `.npz` is a zip file of `.npy` files.  Python's `zipfile` and NumPy take 60 us to write such a member, and
130 to read one; most of it for headers, of which there are few different ones.  Members are stored as they
are, with 64-bit sizes (APPNOTE.TXT of PKWARE, version 6.3, sections 4.3 to 4.5).
"""

from __future__ import annotations

import functools
import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

# Versions needed, flag of names in UTF-8, 1980-01-01, sizes that stand in the extra field instead.
_VERSION, _UTF8, _DAY, _APART = 45, 1 << 11, 33, 0xFFFFFFFF
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END64, _LOCATOR, _END = struct.Struct("<4sQ2H2I4Q"), struct.Struct("<4sIQI"), struct.Struct("<4s4H2IH")
_MODE = 0o600 << 16


def write(file: BinaryIO, arrays: Iterable[tuple[str, NDArray[Any]]]) -> None:
    """Write arrays by their names.  Raises `OSError`."""
    directory, place, count = [], 0, 0
    for name, array in arrays:
        title = f"{name}.npy".encode()
        head, data = _header(array.dtype.str, array.shape), np.ascontiguousarray(array)
        body = data.reshape(-1).view(np.uint8).data if data.size else b""
        size, crc = len(head) + data.nbytes, zlib.crc32(body, zlib.crc32(head))
        same = _VERSION, _UTF8, 0, 0, _DAY, crc, _APART, _APART, len(title)
        file.write(_LOCAL.pack(b"PK\3\4", *same, 20) + title + struct.pack("<2H2Q", 1, 16, size, size) + head)
        file.write(body)
        extra = struct.pack("<2H3Q", 1, 24, size, size, place)
        rest = len(extra), 0, 0, 0, _MODE, _APART
        directory.append(_CENTRAL.pack(b"PK\1\2", _VERSION, *same, *rest) + title + extra)
        place, count = place + _LOCAL.size + len(title) + 20 + size, count + 1
    listed = b"".join(directory)
    end = _END64.size - 12, _VERSION, _VERSION, 0, 0, count, count, len(listed), place
    file.write(listed + _END64.pack(b"PK\6\6", *end))
    file.write(_LOCATOR.pack(b"PK\6\7", 0, place + len(listed), 1))
    few = min(count, 0xFFFF)
    file.write(_END.pack(b"PK\5\6", 0, 0, few, few, min(len(listed), _APART), min(place, _APART), 0))


def read(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays of a file, by their names; also one that NumPy wrote.

    Raises `OSError`, `zipfile.BadZipFile`, `zlib.error`, or what NumPy raises, where there is none, or it is
    damaged.
    """
    with (
        zipfile.ZipFile(path) as archive,
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1:
                yield name, _stored(content, member)
            else:
                yield name, np.lib.format.read_array(io.BytesIO(archive.read(member)), allow_pickle=False)


def _stored(content: mmap.mmap, member: zipfile.ZipInfo) -> NDArray[Any]:
    """The array of a member that is not compressed, in memory of its own."""
    first = member.header_offset + _LOCAL.size
    begin = content[member.header_offset : first]
    sign, *_, name, extra = _LOCAL.unpack(begin) if len(begin) == _LOCAL.size else (b"", 0, 0)
    start = first + name + extra
    if sign != b"PK\3\4" or content[first : first + name] != member.orig_filename.encode():
        raise zipfile.BadZipFile(f"{member.filename} is not where it should be")
    with memoryview(content)[start : start + member.file_size] as data:
        if zlib.crc32(data) != member.CRC:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {member.filename!r}")
        if bytes(data[:8]) != b"\x93NUMPY\1\0":
            return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        length = 10 + int.from_bytes(data[8:10], "little")
        dtype, shape, order = _described(bytes(data[:length]))
        return np.frombuffer(data[length:], dtype).copy().reshape(shape, order=order)


@functools.lru_cache
def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """What stands before the numbers of a `.npy` file."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@functools.lru_cache
def _described(header: bytes) -> tuple[np.dtype[Any], tuple[int, ...], Any]:
    """What a header says: the kind of numbers, how many, in which order."""
    buffer = io.BytesIO(header)
    np.lib.format.read_magic(buffer)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(buffer)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return dtype, shape, "F" if fortran else "C"
