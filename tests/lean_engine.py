"""The engine of runs, where what compiles may not be imported."""

from __future__ import annotations

import sys
from typing import Any

from spike_runtime import engine


class Engine(engine.Engine):
    """As its base, until a state would have to be compiled for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._check_imports()

    def release(self) -> None:
        super().release()
        self._check_imports()

    def begin(self, first: int) -> None:
        super().begin(first)
        self._check_imports()

    def _check_imports(self) -> None:
        found = {"numba", "pytensor"} & set(sys.modules)
        if found:
            raise engine.EngineError(f"{', '.join(sorted(found))} imported")
