"""From a Nengo network in a file to what the compiler takes: a graph, and the Python that it calls.

Nengo's builder makes the model as for the `Simulator`, so what is compiled gives the same results.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import nengo
from nengo.builder import Model
from nengo.cache import DecoderCache, NoDecoderCache, get_default_decoder_cache
from nengo.rc import rc

from spikec import graph as g
from spikec.errors import model_error
from spikec.nef.blas import one_thread
from spikec.nengo.convert import Converted, convert
from spikec.nengo.files import NetworkFile, running, text
from spikec.nengo.naming import called
from spikec.nengo.pickling import pickled
from spikec.nengo.recipes import Recipe
from spikec.nengo.solve import Building
from spikec.nengo.words import Words
from spikec.program.calls import Python

# The seed of a network that has none: what is compiled must not depend on chance.
SEED = 0


@dataclass(frozen=True)
class Compilable:
    """A network as a graph.  `python`: what its host calls run, None where there are none.  `calls`: that in
    words, `reasons`: why functions among them are none of the graph; only where it is not `solved`.
    `notes`: what the user should know.
    """

    graph: g.Graph
    precision: str
    python: Python | None
    calls: tuple[tuple[str, ...], ...]
    reasons: dict[str, str]
    notes: tuple[str, ...]


def compilable(
    file: NetworkFile,
    seed: int | None = None,
    dt: float | None = None,
    precision: str | None = None,
    cache: bool = True,
    jobs: int | None = None,
    solved: bool = True,
) -> Compilable:
    """The graph of a network.

    `seed` replaces that of the network, and the simulator's is the next number, as in Nengo; `dt`: 1 ms where
    it is None; `precision`: what `nengo.rc` says.  `cache`: whether decoders are kept on disk, `jobs`: cores
    to solve them on.  Not `solved`: only to look at, without decoders and without what host calls run.
    Raises `ModelError` where there is no probe, and with what Nengo, or the user's own code, says is wrong.
    """
    if solved and not file.network.all_probes:
        raise model_error(
            f"{file.name} records nothing: it has no probe",
            "add one, for example: nengo.Probe(a, synapse=0.01)",
        )
    file.network.seed, notes = seeded(file.network, seed, file.name)
    with precise(precision) as bits:
        given = called(file.network, vars(file.module))
        kept = get_default_decoder_cache() if cache else NoDecoderCache()
        with running(file.path, text(file.path), f"{file.name} cannot be built"):
            model = built(file.network, file.model, dt, kept, jobs, solved)
            made = convert(model, file.network.seed + 1, file.model, given)
        made.graph.seed = file.network.seed  # of runs and saved states: all else has drawn its numbers
        words = Words(model, given)
        calls = tuple(words.of_call(call) for call in made.host_calls)
        python = None
        if made.host_calls and solved:
            python = _python(file, made, words, bits, calls)
    reasons = {} if solved else words.reasons(made.host_calls)
    return Compilable(
        made.graph, "float64" if bits == 64 else "float32", python, calls, reasons, tuple(notes)
    )


@contextmanager
def precise(precision: str | None) -> Iterator[int]:
    """Nengo's precision in bits, set for a while where one is asked for."""
    before = int(rc.get("precision", "bits"))
    bits = before if precision is None else int(precision.removeprefix("float"))
    rc.set("precision", "bits", str(bits))
    try:
        yield bits
    finally:
        rc.set("precision", "bits", str(before))


def seeded(
    network: nengo.Network,
    seed: int | None,
    called: str,
    remedy: str = "write seed=... in the file, or give --seed",
) -> tuple[int, list[str]]:
    """The seed that is taken: `seed`, that of the network, or `SEED`, which a note tells."""
    taken = network.seed if seed is None else seed
    return (SEED, [f"{called} has no seed, so {SEED} is taken; {remedy}"]) if taken is None else (taken, [])


def built(
    network: nengo.Network,
    label: str,
    dt: float | None,
    cache: DecoderCache | None = None,
    jobs: int | None = None,
    solved: bool = True,
) -> Model:
    """Nengo's model, in steps of 1 ms where `dt` is None; its decoders are solved together at the end."""
    building = Building(jobs)
    step = 0.001 if dt is None else float(dt)
    model = Model(dt=step, label=label, decoder_cache=cache, builder=building)
    with one_thread():  # the last bits of what solvers give depend on how many there are
        model.build(network)
    if solved:
        building.finish(model)
    return model


def _python(
    file: NetworkFile, made: Converted, words: Words, bits: int, calls: tuple[tuple[str, ...], ...]
) -> Python:
    """What host calls run, and that of each partition; `calls`: in words."""
    said = {op: words.of(op) for op in made.order if op in made.host}
    # Names that Nengo gives hold addresses, which are others in every process.
    for op in made.order:
        op.tag = None
        for signal in op.all_signals:
            signal._name = signal.base._name = ""
    recipe = Recipe(made.what, said, file.network.seed + 1, bits, str(file.folder))

    def of(names: Collection[str]) -> bytes:
        return pickled(recipe.of(names), file)

    return Python(of(recipe.what.calls), calls, of)
