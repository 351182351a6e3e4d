"""Python's parser, for several threads."""

from __future__ import annotations

import ast
from threading import RLock
from typing import Any

# Python 3.11 counts how deep a tree is for all threads together, and fails where another thread makes one
# while garbage is collected (https://github.com/python/cpython/issues/106905).
_one_thread = RLock()


def parsed(source: str, mode: str = "exec") -> Any:
    """The tree of a text of Python.  Raises `SyntaxError`."""
    with _one_thread:
        return ast.parse(source, mode=mode)
