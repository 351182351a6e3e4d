"""From a `.spk` file or string to the dataflow graph: parse, check, lower."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikec.errors import ModelError, model_error
from spikec.graph import Graph
from spikec.language.check import check as check_model
from spikec.language.check import in_order
from spikec.language.context import Context, Enough
from spikec.language.files import read_text
from spikec.language.loops import loops
from spikec.language.lower import lower
from spikec.language.memory import available
from spikec.language.parser import read
from spikec.language.settings import Settings, settings
from spikec.language.unused import Flow, unused
from spikec.language.values import Mistake
from spikec.nef.blas import one_thread


def load(path: Path | str, **given: Any) -> Graph:
    """The graph of the model in the file `path`.

    `given` are the settings of `spikec.language.settings`: parameters, seed, dt, allow_outside, memory_limit.
    A model that needs more memory than that limit is refused.  Raises `ModelError` with all mistakes found.
    """
    path = Path(path)
    return _graph(_read(path), str(path), path.parent, settings(given))


def loads(text: str, name: str = "<string>", folder: Path | str | None = None, **given: Any) -> Graph:
    """The graph of a model given as text, with its files in `folder`.  Otherwise as `load`."""
    if not isinstance(text, str):
        raise model_error(
            f"a model is text, not {type(text).__name__}", "for a file, give its path to compile"
        )
    return _graph(text, name, None if folder is None else Path(folder), settings(given))


def _graph(text: str, name: str, folder: Path | None, given: Settings) -> Graph:
    with collector_paused(), one_thread():
        limit = available() if given.memory_limit is None else given.memory_limit
        parsed = read(text, name)
        context = Context(folder, given.allow_outside, limit, {name: text}, list(parsed.diagnostics))
        context.unread = parsed.unread
        if parsed.model is None:
            raise ModelError(context.diagnostics, context.sources)
        try:
            model = check_model(parsed.model, context, given)
            flow = Flow(model.elements)
            connections, probes = flow.connections(model.connections), flow.probes(model.probes)
            lowering = lower(replace(model, connections=connections, probes=probes))
        except Enough:
            raise ModelError(in_order(context.diagnostics), context.sources) from None
        found = context.diagnostics
        # A statement that could not be read, and defaults that are not known, may break a loop.
        if not parsed.diagnostics and not context.defaults_lost:
            found = [*found, *(lowering.mistakes or loops(lowering))]
        if found:
            raise ModelError(in_order(found), context.sources)
        lowering.graph.sources.update(context.sources)
        lowering.graph.memory = context.bytes_needed
        warnings = [*context.warnings, *context.idle_defaults(), *unused(parsed.model, flow)]
        lowering.graph.warnings = tuple(in_order(warnings))
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


def called(file: Path) -> str:
    """The name of a model: that of its file without the suffix, or of the package that the file is."""
    return file.resolve().parent.name if file.name == "__init__.py" else file.stem


def check(path: Path | str, **given: Any) -> Graph:
    """As `load`: a model is right when its graph can be made; nothing is solved or built."""
    return load(path, **given)


def _read(path: Path) -> str:
    try:
        return read_text(path, str(path), None)
    except Mistake as mistake:
        raise ModelError([mistake.diagnostic]) from None
