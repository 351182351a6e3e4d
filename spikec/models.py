"""What commands take as a model: a file in the language, or a Nengo network in a Python file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikec import frontend
from spikec.errors import Diagnostic, ModelError, model_error
from spikec.graph import Ensemble, Graph, Probe
from spikec.language.settings import settings

if TYPE_CHECKING:
    from spikec.nengo.files import NetworkFile
    from spikec.nengo.writing.translate import Translated
    from spikec.program.calls import Python

# Settings that only models in the language have, and what to do instead.
ONLY_LANGUAGE = {
    "parameters": ("--param", "set it in the Python file, for example by a function that makes the network"),
    "allow_outside": ("--allow-outside", "leave it out: a Python file reads what it likes"),
    "memory_limit": ("--memory-limit", "leave it out: Nengo builds a network without looking at memory"),
}

# NumPy takes seeds below 2^32, and that of the simulator is one more.
LAST_SEED = 2**32 - 2


@dataclass(frozen=True)
class Model:
    """A model to compile.

    `precision` of its program.  `python`: what its host calls run, `calls`: that in words.
    `notes`: what the user should know.  `size`: neurons and ensembles of a network.  `reasons`: why functions
    among the calls are not compiled, where it is only looked at.
    """

    graph: Graph
    precision: str
    python: Python | None = None
    calls: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    reasons: dict[str, str] = field(default_factory=dict)


def divided(target: str) -> tuple[str, str]:
    """File and name of a network: what follows the last colon, where a Python file is before it."""
    file, colon, name = target.rpartition(":")
    return (file, name) if colon and file.endswith(".py") else (target, "")


def is_network(target: str) -> bool:
    """Whether a text names a Python file, or a network in one: `model.py`, `model.py:net`."""
    return divided(target)[0].endswith(".py")


def name_of(target: str) -> str:
    """The name of a model: that of its file."""
    return frontend.called(Path(divided(target)[0]))


def network(target: str) -> NetworkFile:
    """The network that such a text names; the file is executed.

    Raises `ModelError`, also where Nengo is not installed; see `spikec.nengo.files.read_network`.
    """
    try:
        from spikec.nengo.files import read_network
    except ImportError as error:
        raise model_error(
            f"{target} is a Nengo network, and {error.name or 'Nengo'} is not installed",
            "pip install 'nengo>=4.1' 'cloudpickle>=3.1,<3.2'",
        ) from error
    return read_network(*divided(target))


def load(
    target: str,
    given: Mapping[str, Any],
    precision: str | None = None,
    cache: bool = True,
    jobs: int | None = None,
    solved: bool = True,
) -> Model:
    """The model that a text names: a file in the language, or a network in a Python file.

    `given` are the settings of `spikec.language.settings`.  `precision`: float32, or what a network is built
    in, where it is None.  `cache`, `jobs`, `solved`: see `spikec.nengo.compiling.compilable`.
    Raises `ModelError` with all mistakes found.
    """
    if not is_network(target):
        _refuse_modules(target)
        return Model(frontend.load(target, **given), precision or "float32")
    _refuse(target, given)
    found = settings({name: value for name, value in given.items() if name in ("seed", "dt")})
    _check(found.seed, found.dt)
    file = network(target)
    from spikec.nengo.compiling import compilable

    made = compilable(file, found.seed, found.dt, precision, cache, jobs, solved)
    ensembles = set(file.network.all_ensembles)  # SPA holds some networks twice
    size = (sum(ensemble.n_neurons for ensemble in ensembles), len(ensembles))
    return Model(made.graph, made.precision, made.python, made.calls, made.notes, size, made.reasons)


def translated(
    target: str,
    output: Path | None = None,
    seed: int | None = None,
    dt: float | None = None,
    precision: str | None = None,
    overwrite: bool = False,
) -> Translated:
    """Write a network to `output`, by default a `.spk` file of its file's name; see `spikec.nengo.translate`.

    Raises `ModelError` with all mistakes found, and then writes nothing.
    """
    if not is_network(target):
        raise model_error(f"{target} is no Python file with a network", "name one, for example model.py:net")
    _check(seed, dt)
    file = network(target)
    from spikec.nengo.compiling import precise
    from spikec.nengo.writing.translate import translate

    with precise(precision):
        return translate(
            file.network,
            output or Path(f"{file.model}.spk"),
            file=file,
            dt=dt,
            seed=seed,
            overwrite=overwrite,
        )


def contents(model: Model) -> dict[str, Any]:
    """What is in a model, as data."""
    from spikec.projections import Cells

    graph = model.graph
    ensembles = [op.size for _, op in (*graph.nodes(Ensemble), *graph.nodes(Cells))]
    neurons, count = model.size or (sum(ensembles), len(ensembles))
    made = {
        "model": graph.name,
        "neurons": neurons,
        "ensembles": count,
        "probes": len(list(graph.nodes(Probe))),
        "dt_s": graph.dt,
        "compile_bytes": round(graph.memory),
        "warnings": [warning.as_data() for warning in graph.warnings],
    }
    if not model.size:
        return made
    return made | {"python": [list(call) for call in model.calls], "because": model.reasons}


def _check(seed: int | None, dt: float | None) -> None:
    """Raises `ModelError` where Nengo could not take these."""
    if dt is not None and not (math.isfinite(dt) and dt > 0):
        raise model_error(f"a step of {dt:g} s is not possible", "give a time above 0, such as --dt 1ms")
    if seed is not None and not 0 <= seed <= LAST_SEED:
        raise model_error(f"{seed} is not a seed of Nengo", f"give a number from 0 to {LAST_SEED}")


def _refuse_modules(target: str) -> None:
    """Raises `ModelError` where a text names a network in a module, or a package, as Python calls it."""
    place, colon, name = target.rpartition(":")
    if not colon or Path(target).exists():
        return
    module = Path(place) if "/" in place else Path(*place.split("."))
    for file in (module / "__init__.py", module.with_suffix(".py")):
        if file.is_file():
            raise model_error(f"{place} is not a Python file", f"name the file: {file}:{name}")


def _refuse(target: str, given: Mapping[str, Any]) -> None:
    """Raises `ModelError` where there are settings that a network does not have."""
    mistakes = [
        Diagnostic(f"{option} is for models in the language, and {target} is Python", hint=hint)
        for name, (option, hint) in ONLY_LANGUAGE.items()
        if given.get(name)
    ]
    if mistakes:
        raise ModelError(mistakes)
