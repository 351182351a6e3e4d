"""From a `.spk` file or string to the dataflow graph: parse, check, lower."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spikec.errors import ModelError
from spikec.graph import Graph
from spikec.language.check import check as check_model
from spikec.language.context import Context
from spikec.language.files import read_text
from spikec.language.loops import refuse_loops
from spikec.language.lower import lower
from spikec.language.memory import available
from spikec.language.parser import read
from spikec.language.values import Mistake


def load(
    path: Path,
    parameters: dict[str, float] | None = None,
    seed: int | None = None,
    dt: float | None = None,
    allow_outside: bool = False,
    memory_limit: int | None = None,
) -> Graph:
    """The graph of the model in the file `path`.

    `parameters` override the model's `param`s (in s and Hz), `seed` and `dt` (s) its settings.  Files outside
    of the model's folder are read only with `allow_outside`.  A model that needs more than `memory_limit`
    bytes (default: the memory of this machine) is refused.  Raises `ModelError` with all mistakes found.
    """
    path = Path(path)
    return loads(_read(path), str(path), path.parent, parameters, seed, dt, allow_outside, memory_limit)


def loads(
    text: str,
    name: str = "<string>",
    folder: Path | None = None,
    parameters: dict[str, float] | None = None,
    seed: int | None = None,
    dt: float | None = None,
    allow_outside: bool = False,
    memory_limit: int | None = None,
) -> Graph:
    """The graph of a model given as text, with its files in `folder`.  Otherwise as `load`."""
    with collector_paused():
        limit = available() if memory_limit is None else memory_limit
        parsed = read(text, name)
        context = Context(folder, allow_outside, limit, {name: text}, list(parsed.diagnostics))
        context.unread = parsed.unread
        if parsed.model is None:
            raise ModelError(context.diagnostics, context.sources)
        model = check_model(parsed.model, context, parameters, seed, dt)
        try:
            lowering = lower(model)
        except Mistake as mistake:
            raise ModelError([mistake.diagnostic], model.sources) from None
        refuse_loops(lowering, model)
        lowering.graph.sources.update(model.sources)
        lowering.graph.memory = context.bytes_needed
        return lowering.graph


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage collection: a large model is a million objects that stay; each search visits them all.

    It would be 28 % of the time of a compilation.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def check(
    path: Path,
    parameters: dict[str, float] | None = None,
    seed: int | None = None,
    dt: float | None = None,
    allow_outside: bool = False,
    memory_limit: int | None = None,
) -> Graph:
    """As `load`: a model is right when its graph can be made; nothing is solved or built."""
    return load(path, parameters, seed, dt, allow_outside, memory_limit)


def _read(path: Path) -> str:
    try:
        return read_text(path, str(path), None)
    except Mistake as mistake:
        raise ModelError([mistake.diagnostic]) from None
