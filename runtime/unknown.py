"""What states hold beside the numbers of a model: those that nobody knows, and Python's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Beside the arrays of a partition, the state of the Python functions that it calls, as bytes.
PYTHON = "python"

# A NaN for numbers that are not known. Arithmetic makes NaN of other bits: these are values like others.
_UNKNOWN: dict[str, np.unsignedinteger[Any]] = {
    "float32": np.uint32(0x7FC5504B),
    "float64": np.uint64(0x7FF85350494B4500),
    "int64": np.uint64(0xFFFFFFFFFFFFFFFF),  # -1, which no stream of random numbers holds
}


def unknown(shape: int | tuple[int, ...], precision: str) -> NDArray[Any]:
    """Numbers that are not known."""
    return np.full(shape, _UNKNOWN[precision]).view(precision)


def is_unknown(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which numbers are not known."""
    bits = _UNKNOWN[values.dtype.name]
    return np.asarray(values.view(bits.dtype) == bits)
