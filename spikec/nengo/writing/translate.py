"""`translate`: a Nengo network as a model of the language that compiles to the same results, byte for byte.

Nengo's builder makes the parameters, as for `Simulator`; the text says what is computed, files beside it hold
the arrays.  Before anything is written, the text is read back, and what both compile to is compared.
"""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import nengo
import numpy as np
from nengo.rc import rc

from spikec import frontend
from spikec.errors import Diagnostic, ModelError, model_error
from spikec.frontend import collector_paused
from spikec.language.format import format_text
from spikec.nef.blas import one_thread
from spikec.nengo.compiling import built, seeded
from spikec.nengo.convert import convert
from spikec.nengo.files import NetworkFile, running
from spikec.nengo.files import text as file_text
from spikec.nengo.naming import TAKEN, Labels
from spikec.nengo.writing import groups, links, objects, probes, rules, words
from spikec.nengo.writing.replacing import refuse_existing, replace
from spikec.nengo.writing.same import difference
from spikec.nengo.writing.scene import PYTHON, Files, Scene
from spikec.sessions import prepared


@dataclass(frozen=True)
class Translated:
    """A model that was written.  probes: the names of the network's probes in it, in Nengo's order.
    `neurons`, `ensembles`, `connections`: how many there are.  precision: what compiles it to the same.
    """

    path: Path
    arrays: tuple[Path, ...]
    probes: tuple[str, ...]
    neurons: int
    ensembles: int
    connections: int
    precision: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """All of it as JSON."""
        made = asdict(self) | {"path": str(self.path), "arrays": [str(path) for path in self.arrays]}
        return json.dumps(made)

    def to_text(self) -> str:
        """What was written, and what comes next."""
        where = (
            f"; {_counted(len(self.arrays), 'array')} in {self.path.with_suffix('')}" if self.arrays else ""
        )
        lines = [f"note: {note}" for note in self.notes]
        lines += [
            f"{self.path}: {self.neurons:,} neurons in {_counted(self.ensembles, 'ensemble')}, "
            f"{_counted(self.connections, 'connection')}, {_counted(len(self.probes), 'probe')}{where}",
            "Checked: it compiles to the operators and constants of the network.",
            f"Next:    spikec compile {shlex.quote(str(self.path))}"
            + " --precision float64" * (self.precision == "float64"),
        ]
        return "\n".join(lines)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def translate(
    network: nengo.Network,
    path: Path | str,
    *,
    file: NetworkFile | None = None,
    names: Mapping[str, Any] | None = None,
    dt: float | None = None,
    seed: int | None = None,
    overwrite: bool = False,
) -> Translated:
    """Write a network to the file `path` (`.spk`), its arrays to a folder of the same name beside it.

    `file`: the Python file that made it, whose names the text takes; without it, `names`: what the program
    calls the objects, such as `vars()`.  Else labels and attributes are taken.  `dt`: 1 ms where it is None.
    `seed` replaces that of the network (0 where neither is given); that of the simulator, for processes
    without one, is the next number, as in Nengo.  What it gives is what `Simulator` gives in the precision
    that `nengo.rc` says, and `spikec compile` for the Python file.  `overwrite`: replace the file, and the
    arrays that it names.  Raises `ModelError` with all that the language cannot say, and where something is
    in the way; nothing is written then.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    if int(rc.get("precision", "bits")) == 16:
        raise model_error(
            "nengo.rc asks for 16 bits; models of the language have numbers of 32 or 64",
            "set precision bits to 32 or 64 in nengo.rc",
        )
    called = (file.name,) if file else ("the network", "give seed=... to nengo.Network or to translate")
    seed, notes = seeded(network, seed, *called)
    with _user_code(file):
        scene = _scene(network, path.stem, _names(file, names), dt, seed)
        text, recorded = _text(scene, path.stem, f"{file.path.name}:{file.name}" if file else "", seed)
    _refuse_hosts(scene)
    if scene.mistakes:
        raise ModelError(scene.mistakes, scene.sources)
    formatted = format_text(text, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as made:
        _write(Path(made), path, formatted, scene)
        _check(Path(made) / path.name, scene, recorded)
        replace(Path(made), path)
    folder = path.parent / path.stem
    return Translated(
        path,
        tuple(folder / f"{name}.npy" for name in scene.files.arrays),
        tuple(name for _, name in recorded),
        sum(obj.n_neurons for obj in set(network.all_ensembles)),
        len(set(network.all_ensembles)),
        len(set(network.all_connections)),
        f"float{rc.get('precision', 'bits')}",
        tuple(notes),
    )


def _names(file: NetworkFile | None, names: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return names or {} if file is None else vars(file.module)


@contextmanager
def _user_code(file: NetworkFile | None) -> Iterator[None]:
    """What code of the user's file raises becomes a `ModelError` with its place."""
    if file is None:
        yield
        return
    with running(file.path, file_text(file.path), f"{file.name} cannot be built"):
        yield


# ---------------------------------------------------------------------------------------------- making


def _scene(network: nengo.Network, stem: str, names: Mapping[str, Any], dt: float | None, seed: int) -> Scene:
    own, network.seed = network.seed, seed
    try:
        model = built(network, stem, dt)
    finally:
        network.seed = own
    # As for a graph that is compiled, which records all probes itself.
    converted = convert(model, seed + 1, stem, {probe: f"probe.{k}" for k, probe in enumerate(model.probes)})
    scene = Scene(network, model, converted, Labels(network, names), Files(stem))
    rules.name_rules(scene)
    return scene


def _text(scene: Scene, stem: str, origin: str, seed: int) -> tuple[str, list[tuple[str, str]]]:
    """The statements, and the names of probes in the graph and in the text."""
    head = [f"# Translated from {origin or 'a Nengo network'}."]
    head.append(f"model {words_of(stem)}")
    if seed:  # of saved states, and of what is added to the text
        head.append(f"seed {seed}")
    if scene.model.dt != 0.001:
        head.append(f"dt {words.time(scene.model.dt)}")
    if any(map(links.is_neural, scene.network.all_ensembles)):
        head.append("defaults ensemble { normalize_encoders = false }")
    networks = _networks(scene.network)
    parts = ["\n".join(head), *_declared(scene, networks), *_connected(scene, networks)]
    recorded, statements = [], []
    for obj in dict.fromkeys(scene.network.all_probes):
        statement, before = probes.probe(scene, obj)
        statements.append(before + statement)
        if not scene.mistakes:
            recorded.append((scene.converted.probes[obj], scene.labels[obj]))
    if statements:
        parts.append("\n".join(statements))
    return "\n\n".join(parts) + "\n", recorded


def words_of(stem: str) -> str:
    """The name of a file as that of a model."""
    kept = "".join(c if c.isalnum() and c.isascii() else "_" for c in stem).strip("_")
    kept = kept if kept and not kept[0].isdigit() else f"model_{kept}"
    return f"{kept}_network" if kept in TAKEN else kept


def _networks(network: nengo.Network) -> dict[nengo.Network, str]:
    """A network and all its parts, each once, with comments that name these."""
    found = {network: ""}
    work = [(network, part) for part in network.networks]
    while work:
        outer, part = work.pop(0)
        if part not in found:
            name = " ".join((part.label or type(part).__name__).split())  # in one line
            found[part] = f"{found[outer]}, {name}" if found[outer] else f"# {name}"
            work[:0] = [(part, inner) for inner in part.networks]
    return found


def _under(heading: str, statements: Sequence[str]) -> str:
    return "\n".join([heading, *statements] if heading else statements)


def _declared(scene: Scene, networks: Mapping[nengo.Network, str]) -> Iterator[str]:
    """Nodes and ensembles of networks."""
    for network, heading in networks.items():
        made = [objects.node(scene, obj) for obj in dict.fromkeys(network.nodes)]
        own = dict.fromkeys(network.ensembles)
        for name, ensembles in scene.labels.arrays.items():
            if ensembles[0] in own:
                made += objects.ensembles(scene, name, ensembles)
                own = dict.fromkeys(obj for obj in own if obj not in ensembles)
        made += [objects.ensemble(scene, obj) for obj in own]
        if made:
            yield _under(heading, made)


def _connected(scene: Scene, networks: Mapping[nengo.Network, str]) -> Iterator[str]:
    """Connections, those of one network that follow each other together."""
    headings = {conn: heading for network, heading in networks.items() for conn in network.connections}
    for heading, said in groupby(groups.statements(scene), lambda pair: headings[pair[0]]):
        yield _under(heading, [text for _, text in said])


def _refuse_hosts(scene: Scene) -> None:
    """Whatever else runs in Python is refused."""
    sides = scene.converted.sides
    if scene.mistakes or not sides.host:
        return
    names = sorted({type(op).__name__ for op in sides.host})
    if all(isinstance(op, _plain()) for op in sides.host):
        scene.refuse(
            "the model has signals that depend on themselves within a step",
            "give one of the connections of that circle a synapse",
        )
    else:
        scene.refuse(f"the model has parts that run in Python: {', '.join(names)}", PYTHON)


def _plain() -> tuple[type, ...]:
    from nengo.builder.operator import Copy, DotInc, ElementwiseInc, Reset

    return (Copy, DotInc, ElementwiseInc, Reset)


# --------------------------------------------------------------------------------------------- writing


def _write(home: Path, path: Path, text: str, scene: Scene) -> None:
    (home / path.name).write_text(text, encoding="utf-8")
    if scene.files.arrays:
        (home / path.stem).mkdir()
    for name, array in scene.files.arrays.items():
        np.save(home / path.stem / f"{name}.npy", array)


def _check(path: Path, scene: Scene, recorded: list[tuple[str, str]]) -> None:
    """Raises `ModelError` where the text does not compile to what the network does."""
    try:
        graph = frontend.load(path, memory_limit=float("inf"))
    except ModelError as error:
        told = [Diagnostic(f"in the language, {d.message}", None, d.hint) for d in error.diagnostics]
        raise ModelError(told) from None
    with collector_paused(), one_thread():
        found = difference(prepared(scene.converted.graph), prepared(graph), recorded)
    if found:
        raise model_error(f"the text would not give the same results: {found}", "please report it")


__all__ = ["Translated", "translate"]
