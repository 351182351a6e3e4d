"""The compiler from model to manifest, stage by stage: read `compile_graph` as its table of contents."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from numbers import Integral
from pathlib import Path
from typing import Any

from spike_runtime.manifest import Manifest

from spikec.cache import Cache
from spikec.errors import ModelError, model_error, writing
from spikec.frontend import collector_paused
from spikec.graph import Graph, Probe
from spikec.nef.blas import one_thread
from spikec.nef.build import build
from spikec.passes.advance import advance
from spikec.passes.drop import drop
from spikec.passes.fold import fold, pass_on
from spikec.passes.narrow import narrow
from spikec.passes.select import select
from spikec.passes.share import share
from spikec.passes.split import split
from spikec.planning import measuring, plan, profile, sites
from spikec.program import emit
from spikec.program.calls import Python
from spikec.records import dataclass
from spikec.verify import verify

VERSION = "0.1.0"

Progress = Callable[[str, int, int], None]
# Called with the name of a stage and what it made; returns False to stop there.
Inspect = Callable[[str, Any], bool]

PRECISIONS = ("float32", "float64")
TRANSPORTS = ("ring", "ipc", "tcp")


@dataclass(frozen=True)
class Options:
    """How to compile: everything but the model."""

    partitions: int | str = 1
    precision: str = "float32"
    transport: str = "ring"
    host_profile: str | Path | None = None
    jobs: int | None = None
    cache: bool = True
    hosts: str | Path | None = None

    def __post_init__(self) -> None:
        """Raises `ModelError` where an option has a value that it cannot have."""
        for name, allowed in (("precision", PRECISIONS), ("transport", TRANSPORTS)):
            value = getattr(self, name)
            if value not in allowed:
                raise model_error(f"{name} cannot be {value!r}", f"use one of: {', '.join(allowed)}")
        if self.partitions != "auto" and not _whole(self.partitions):
            raise model_error(
                f"{self.partitions!r} is not a number of partitions", 'give 1 or more, or "auto"'
            )
        if self.jobs is not None and not _whole(self.jobs):
            raise model_error(
                f"{self.jobs!r} is not a number of jobs", "give 1 or more, or None for all cores"
            )
        if not isinstance(self.cache, bool):
            raise model_error(
                f"cache is True or False, not {self.cache!r}", "give cache=False to solve again"
            )
        if self.hosts and self.transport == "ipc":
            raise model_error(
                "transport ipc joins partitions of one host only", "with several hosts, use ring or tcp"
            )


def _whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def compile_graph(
    model: Graph,
    output: Path,
    options: Options,
    progress: Progress | None = None,
    inspect: Inspect | None = None,
    python: Python | None = None,
    keep: bool = True,
) -> Manifest | None:
    """Compile a dataflow graph into the folder `output`.

    `python`: what its host calls run.  `keep`: whether `model` is needed afterwards, and what `inspect` is
    given; else the model is empty then, and nothing of it is in memory longer than it has to be.
    Returns the manifest, or None where `inspect` stopped the compilation.
    Raises `ModelError` for mistakes of the user, with nothing written.
    """
    try:
        # One thread of BLAS: how a product is rounded must not depend on their number.
        with collector_paused(), one_thread():
            return _compile(model, output, options, progress, inspect or (lambda *_: True), python, keep)
    except ModelError as error:
        raise ModelError(error.diagnostics, model.sources | error.sources) from None


def _compile(
    model: Graph,
    output: Path,
    options: Options,
    progress: Progress | None,
    look: Inspect,
    python: Python | None,
    keep: bool,
) -> Manifest | None:
    if not any(True for _ in model.nodes(Probe)):
        raise model_error(
            "the model records nothing: it has no probe", "add one, for example: probe NAME synapse 10ms"
        )
    # What was named is read now: nothing is solved in vain where it is bad.
    between = [sites.BETWEEN_HOSTS] if options.hosts else []
    needed = measuring.needs(model, options.precision, [options.transport, *between])
    named = profile.load(options.host_profile) if options.host_profile else None
    own = cache(lambda: named or measuring.of_this_host(needed, progress))
    spread = sites.load(Path(options.hosts), own) if options.hosts else None
    graph = verify(model) if keep else verify(model).moved()
    if not look("lower", graph):
        return None
    tell = progress or (lambda *_: None)
    for stage, apply in passes(options, progress, options.precision):
        tell(stage, 0, 1)
        graph = verify(apply(graph))
        if not look(stage, graph):
            return None
    host = spread or own()
    tell("plan", 0, 1)
    kept = Cache() if options.cache else None
    made = plan.make_plan(graph, options.partitions, host, options.precision, options.transport, kept)
    if not look("plan", made) or not look("program", made):
        return None
    tell("write", 0, 1)
    with writing(output, "name another folder with -o"):
        return emit.emit(
            graph,
            made.layouts,
            made.recorded,
            made.summary,
            made.costs,
            output,
            f"spikec {VERSION}",
            made.spread.places,
            made.spread.hosts,
            python,
            keep,
        )


def passes(
    options: Options, progress: Progress | None = None, dtype: str = "float64"
) -> list[tuple[str, Callable[[Graph], Graph]]]:
    """Graph to graph: described neurons become arrays in `build`, populations become atoms in `split`.

    dtype: the precision of what atoms hold, that of their programs or a higher one.  `build` and the last one
    take their graph to pieces.
    """
    decoders = Cache() if options.cache else None
    return [
        ("drop", drop),
        ("share", share),
        # Folding leaves operators behind that nothing reads.
        ("fold", lambda graph: drop(fold(graph))),
        # What advances leaves sums of one term, and what advances to one place twice is shared again.
        ("advance", lambda graph: share(pass_on(advance(graph)))),
        ("build", lambda graph: build(graph, decoders, options.jobs, progress, keep=False)),
        ("narrow", narrow),
        # What a probe then records of atoms itself, nothing has to compute.
        ("split", lambda graph: drop(select(split(graph, dtype, keep=False)))),
    ]
