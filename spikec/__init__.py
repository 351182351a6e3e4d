"""Spike: compile spiking neural networks and run them on all cores.

    import spikec

    model = spikec.compile("models/product.spk", partitions=2)
    run = model.run("2s")
    run.probe("product").plot()

The names below are loaded when they are first used, so that `import spikec` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikec.api import Compiled, compile, compile_text, open_manifest
    from spikec.errors import ModelError, ModelWarning, SpikeError

__version__ = "0.1.0"
__all__ = ["Compiled", "ModelError", "ModelWarning", "SpikeError", "compile", "compile_text", "open_manifest"]

_HOMES = {
    "Compiled": "spikec.api",
    "compile": "spikec.api",
    "compile_text": "spikec.api",
    "open_manifest": "spikec.api",
    "ModelError": "spikec.errors",
    "ModelWarning": "spikec.errors",
    "SpikeError": "spikec.errors",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
