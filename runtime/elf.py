"""What a 64-bit ELF object file needs of others: its undefined symbols (System V ABI, chapters 4 and 5)."""

from __future__ import annotations

import struct
import sys

_START = b"\x7fELF\x02" + (b"\x01" if sys.byteorder == "little" else b"\x02")
_HEADER, _SECTION, _SYMBOL = (struct.Struct("=" + f) for f in ("16sHHIQQQIHHHHHH", "IIQQQQIIQQ", "IBBHQQ"))
_SYMBOL_TABLE, _UNDEFINED = 2, 0


def needs(code: bytes) -> tuple[str, ...] | None:
    """Names of its undefined symbols, sorted; None where it is no such file."""
    if not code.startswith(_START):
        return None
    header = _HEADER.unpack_from(code)
    first, size, count = header[6], header[11], header[12]
    sections = [_SECTION.unpack_from(code, first + k * size) for k in range(count)]
    found = set()
    for _, kind, _, _, start, length, names, *_ in sections:
        if kind == _SYMBOL_TABLE:
            text = sections[names][4]
            for name, _, _, section, _, _ in _SYMBOL.iter_unpack(code[start : start + length]):
                if section == _UNDEFINED and name:
                    found.add(code[text + name : code.index(b"\0", text + name)].decode())
    return tuple(sorted(found))
