"""Write a compiled model: programs, arrays and the manifest, all in place at once or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spike_runtime import manifest as mf

from spikec import graph as g
from spikec.expressions import to_text
from spikec.program import layout as la
from spikec.program.calls import Python, numbers
from spikec.program.cells import adjacency
from spikec.program.codegen import program
from spikec.program.schedule import Recorded
from spikec.program.state import state_map

HERE = "localhost"


def arrays(layout: la.Layout) -> tuple[dict[str, NDArray[Any] | la.Joined], dict[str, NDArray[Any]]]:
    """Constant arrays and state of a partition, by the names that its program uses."""
    constant: dict[str, NDArray[Any] | la.Joined] = {}
    state: dict[str, NDArray[Any]] = {"sums": la.zeros(layout.sums, np.int64)}
    for stage in layout.stages:
        constant.update({f"{stage.name}_{k}": v for k, v in stage.arrays.items()})
        state.update({f"{stage.name}_{k}": v for k, v in stage.state.items()})
        if isinstance(stage, la.NeuronGroup):
            constant.update({f"{stage.name}_{k}": v for k, v in stage.joined.items()})
        if isinstance(stage, la.Expressions) and stage.tables is not None:
            constant["tables"] = stage.tables
        if isinstance(stage, la.Projections):
            constant.update({f"{stage.name}_{k}": v for k, v in adjacency(stage).items()})
    if len(layout.carried):
        constant["carried"] = layout.carried
        state["carried"] = la.zeros(len(layout.carried), layout.dtype)
    if len(layout.late):
        constant["late"] = layout.late
        state["own"] = la.zeros((layout.window - 1, len(layout.late)), np.int64)
    if layout.spikes.any:
        constant["spikes_window"] = np.array([layout.spikes.window])
    for name, wires in (("send", layout.send), ("receive", layout.receive)):
        if wires:
            constant[f"{name}_rows"] = np.concatenate([wires[k] for k in sorted(wires)])
    return constant, state


def emit(
    graph: g.Graph,
    layouts: Sequence[la.Layout],
    recorded: Sequence[Recorded],
    plan: Callable[[], dict[str, Any]],
    costs: Sequence[mf.Cost],
    folder: Path,
    compiler: str,
    places: Sequence[str] | None = None,
    hosts: tuple[mf.Host, ...] = (),
    python: Python | None = None,
    keep: bool = True,
) -> mf.Manifest:
    """Write everything into `folder` (made new, replacing an older compilation) and return the manifest.

    `plan`: gives what the manifest keeps of the plan.  `places`: name of the host of every partition, one of
    `hosts`; all on this host where not given.  `python`: what the host calls run, where they are to run
    without this process.  `keep`: whether `graph` and `layouts` are needed afterwards; else atoms lose their
    numbers, most of what there is in memory, as soon as these are written.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        partitions = []
        for layout, cost, host in zip(layouts, costs, places or [HERE] * len(layouts), strict=True):
            partitions.append(_partition(graph, layout, len(layouts), cost, host, draft, python))
            if not keep:
                _release(graph, layout)
        state = _state_map(graph, layouts, draft)
        manifest = mf.Manifest(
            model=graph.name,
            seed=graph.seed,
            dt=graph.dt,
            precision=layouts[0].dtype,
            neurons=sum(p.neurons for p in partitions),
            partitions=tuple(partitions),
            wires=_wires(layouts),
            probes=_probes(graph, recorded),
            hosts=hosts,
            plan=plan(),
            compiler=compiler,
            calls=tuple(graph.op(name).call for name in numbers(graph)),
            state=state,
            parameters=dict(graph.parameters),
        )
        (draft / mf.NAME).write_text(mf.dump(manifest), encoding="utf-8")
        draft.chmod(0o755)
        _replace(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return manifest


def _replace(draft: Path, folder: Path) -> None:
    """Put `draft` where `folder` is, whatever other compilers put there meanwhile: the last one stays.

    What was there goes only when the new one is whole.
    """
    olds: list[Path] = []
    try:
        while True:
            try:
                os.replace(draft, folder)
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            olds.append(Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent)))
            with suppress(FileNotFoundError):  # another compiler was faster
                os.replace(folder, olds[-1] / folder.name)
    except BaseException:
        for old in reversed(olds):
            if not folder.exists() and (old / folder.name).exists():
                os.replace(old / folder.name, folder)
        raise
    finally:
        for old in olds:
            shutil.rmtree(old, ignore_errors=True)


def _partition(
    graph: g.Graph,
    layout: la.Layout,
    count: int,
    cost: mf.Cost,
    host: str,
    folder: Path,
    python: Python | None,
) -> mf.Partition:
    source = program(layout, graph.name, count)
    name = f"partition_{layout.partition}"
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    (folder / name).mkdir()
    constant, state = arrays(layout)
    files = [_array(folder, f"{name}/{k}.npy", k, v) for k, v in sorted(constant.items())]
    files += [_state(folder, f"{name}/{k}.npy", k, v) for k, v in sorted(state.items())]
    kinds: dict[str, int] = {}
    for stage in layout.stages:
        kinds[type(stage).__name__] = kinds.get(type(stage).__name__, 0) + stage.operators
    digest = hashlib.sha256(source.encode()).hexdigest()
    tables = [stage.arrays["calls"] for stage in layout.stages if isinstance(stage, la.HostCalls)]
    calls = sorted(int(number) for table in tables for number in table[:, 0])
    return mf.Partition(
        layout.partition,
        host,
        f"{name}.py",
        digest,
        tuple(files),
        layout.neuron_count,
        layout.atom_count,
        dict(sorted(kinds.items())),
        cost,
        _python(folder, f"{name}/calls.pickle", python, graph, calls) if python and calls else None,
    )


def _release(graph: g.Graph, layout: la.Layout) -> None:
    """Take the numbers of a partition's atoms out of the graph."""
    for stage in layout.stages:
        if isinstance(stage, la.NeuronGroup):
            stage.joined.clear()
            for path in stage.members:
                atom = graph.op(path)
                graph.replace(path, replace(atom, numbers=_none(atom.size)))


@lru_cache(maxsize=256)
def _none(size: int) -> NDArray[np.float64]:
    """The numbers of atoms that have lost theirs: one array for all that are so large."""
    return np.zeros((0, size))


def _python(folder: Path, file: str, python: Python, graph: g.Graph, calls: list[int]) -> mf.Python:
    """What these calls of a partition run."""
    names, data = list(numbers(graph)), python.pickle
    if len(calls) < len(names):
        data = python.of([graph.op(names[k]).call for k in calls])
    (folder / file).write_bytes(data)
    said = tuple(python.calls[k] for k in calls)
    whole = hashlib.sha256(python.pickle).hexdigest()
    return mf.Python(file, hashlib.sha256(data).hexdigest(), said, whole)


def _state_map(graph: g.Graph, layouts: Sequence[la.Layout], folder: Path) -> str:
    """Write where the state is; gives the SHA-256 of the file."""
    digest = hashlib.sha256()
    with (folder / mf.STATE).open("wb") as out:
        for piece in state_map(graph, layouts):
            out.write(piece.encode())
            digest.update(piece.encode())
    return digest.hexdigest()


def _array(folder: Path, file: str, name: str, value: NDArray[Any] | la.Joined) -> mf.ArrayFile:
    """Write one array as `numpy.save` does, with no copy of it in memory."""
    array = value if isinstance(value, la.Joined) else np.ascontiguousarray(value)
    header = io.BytesIO()
    about = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(header, about)
    digest = hashlib.sha256(header.getbuffer())
    with (folder / file).open("wb") as out:
        out.write(header.getbuffer())
        for block in array.blocks() if isinstance(array, la.Joined) else [array] * bool(array.size):
            out.write(block.data.cast("B"))
            digest.update(block.data.cast("B"))
    return mf.ArrayFile(name, file, array.dtype.name, array.shape, digest.hexdigest())


def _state(folder: Path, file: str, name: str, value: NDArray[Any]) -> mf.ArrayFile:
    """State that begins at 0 needs no file to say so."""
    if not value.any():
        return mf.ArrayFile(name, "", value.dtype.name, value.shape, "", state=True)
    return replace(_array(folder, file, name, value), state=True)


def _wires(layouts: Sequence[la.Layout]) -> tuple[mf.Wire, ...]:
    wires = []
    for layout in layouts:
        starts = sorted((row, name) for name, row in layout.sum_rows.items())
        firsts = np.array([row for row, _ in starts])
        for target, rows in sorted(layout.send.items()):
            owners, counts = np.unique(np.searchsorted(firsts, rows, side="right") - 1, return_counts=True)
            signals = tuple((starts[o][1], int(c)) for o, c in zip(owners, counts, strict=True))
            wires.append(mf.Wire(layout.partition, target, len(rows), signals, layout.window))
    for layout in layouts:
        for target, words in layout.spikes.send.items():
            window = layout.spikes.window
            wires.append(
                mf.Wire(layout.partition, target, words, (("spikes", words - 1),), window, listed=True)
            )
    return tuple(wires)


def _probes(graph: g.Graph, recorded: Sequence[Recorded]) -> tuple[mf.Probe, ...]:
    parts_of: dict[str, list[mf.ProbePart]] = {}
    for r in recorded:
        parts_of.setdefault(r.probe, []).append(mf.ProbePart(r.partition, r.slot, _ranges(r.columns)))
    probes = []
    for name, op in graph.nodes(g.Probe):
        parts = tuple(parts_of.get(name, ()))
        read = [graph.op(source) for source in graph.inputs(name)]
        kind = "value"
        if op.attribute == "spikes":
            kind = "events"
        elif isinstance(read[0], g.ExactSum):
            kind = "sum"
        exponents = _exponents(op, read) if kind == "sum" else ()
        ideal = tuple(to_text(e) for e in op.ideal or ())
        neurons = () if op.neurons is None else tuple(op.neurons.tolist())
        about = (op.attribute, op.size, op.every, op.unit, exponents, parts, ideal, op.shape, neurons)
        probes.append(mf.Probe(op.name, op.target, kind, *about))
    return tuple(probes)


def _ranges(columns: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    """Columns as ranges (start, stop) of consecutive ones."""
    if not len(columns):
        return ()
    breaks = np.flatnonzero(np.diff(columns) != 1) + 1
    return tuple((int(run[0]), int(run[-1]) + 1) for run in np.split(columns, breaks))


def _exponents(probe: g.Probe, read: list[g.ExactSum]) -> tuple[int, ...]:
    """Of every column, or one for all."""
    if not probe.picks:
        return (read[0].exponent,)
    exponents = np.zeros(probe.size, np.int64)
    for pick, total in zip(probe.picks, read, strict=True):
        exponents[pick.columns] = total.exponent
    return tuple(exponents.tolist())
