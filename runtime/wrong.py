"""What was not a number, or out of range, in the words of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spike_runtime import statemap
from spike_runtime.manifest import Manifest, ManifestError
from spike_runtime.ops.cells import COLUMNS as CELLS
from spike_runtime.ops.neurons import ATOM, COLUMNS


def named(
    manifest: Manifest, folder: Path, partition: int, constants: Mapping[str, NDArray[Any]], detail: int
) -> tuple[str, tuple[str, ...]]:
    """What the detail of the status `NOT_FINITE` means: the row of a partial sum, or -1 - the place in
    `values` of what goes into neurons; and what leads there, where the plan says it.
    """
    if detail < 0:
        found = _populations(manifest, folder, partition, constants, -1 - detail)
        what = f"what ensemble '{found}' represents" if found else "what an ensemble represents"
        return what, _leading(manifest, found)
    plan = manifest.plan.get("sums", {}).get(str(partition), [])
    planned = (n for n, start, size in plan if start <= detail < start + size)
    name = next(planned, "") or _entry(manifest, folder, partition, "sums", detail) or f"sum {detail}"
    return f"the decoded value {name}", ()


def _leading(manifest: Manifest, population: str) -> tuple[str, ...]:
    """The inputs and populations that lead to one; inputs first, for what neurons send is finite."""
    picture = manifest.plan.get("graph", {"nodes": [], "edges": []})
    boxes = [(kind, name) for name, kind, *_ in picture["nodes"]]
    target = ("ensemble", population)
    found = {boxes[source] for source, to, _ in picture["edges"] if boxes[to] == target}
    return tuple(name for _, name in sorted(found - {target}, key=lambda box: (box[0] != "input", box)))


def _populations(
    manifest: Manifest, folder: Path, partition: int, constants: Mapping[str, NDArray[Any]], place: int
) -> str:
    """The first population into which a signal goes, "" where its neurons have no state to be named by."""
    names = (
        _entry(manifest, folder, partition, f"{group}_neurons", neuron).rpartition(".")[0]
        for group, neuron in _neurons(constants, place)
    )
    return next(filter(None, names), "")


def _neurons(constants: Mapping[str, NDArray[Any]], place: int) -> Iterator[tuple[str, int]]:
    """Group and first neuron of the atoms into which the signal at a place goes."""
    for name, atoms in constants.items():
        if name.endswith("_atoms"):
            of = COLUMNS if atoms.shape[1] == ATOM else CELLS
            table = dict(zip(of, atoms.T, strict=True))
            currents = table["current"]
            places = np.where(currents >= 0, currents, table["x"]) if "x" in table else currents
            for k in np.flatnonzero(places == place):
                yield name.removesuffix("_atoms"), int(table["neuron"][k])


def _entry(manifest: Manifest, folder: Path, partition: int, array: str, number: int) -> str:
    """What a number of the state is called, "" where nothing says so."""
    try:
        places = statemap.load(manifest, folder)
    except ManifestError:  # as on another host, which has only what its partitions need
        return ""
    share = places.shares[partition]
    runs = (*share.runs.get(array, ()), *share.membranes.get(array, ()))
    found = (first for first, *_, here, count in runs if here <= number < here + count)
    return next((places.entries[k].name for k in found), "")
