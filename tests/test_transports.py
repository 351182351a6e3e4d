"""The cut and the transport do not change the answer: real models and workers, on every transport."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from spike_runtime.engine import Engine
from spike_runtime.results import Run
from spike_runtime.wires import layout

import spikec

MODELS = Path(__file__).resolve().parent.parent / "models"
# Few neurons, so that many workers on few cores are done soon; still several atoms of some ensembles.
CASES = {
    "matrix_multiplication": {"neurons": 300},
    "delay_network": {"neurons": 400},
}
STEPS = 40


def same(one: Run, other: Run) -> None:
    """Every probe of both runs is equal to the byte."""
    assert one.names == other.names
    for name in one.names:
        a, b = one.dataset(name), other.dataset(name)
        xr.testing.assert_identical(a, b)
        for variable in a.variables:
            assert np.asarray(a[variable]).tobytes() == np.asarray(b[variable]).tobytes()


@pytest.mark.usefixtures("reference_host")
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", CASES)
def test_partitions_and_transports_give_the_same_bytes(tmp_path: Path, model: str, precision: str) -> None:
    path, parameters = MODELS / f"{model}.spk", CASES[model]
    runs = {}
    for partitions in (1, 5, 16):
        compiled = spikec.compile(
            path, partitions, tmp_path / f"n{partitions}", precision=precision, parameters=parameters
        )
        assert len(compiled.manifest.partitions) == partitions
        for transport in ("ring", "ipc", "tcp") if partitions > 1 else ("ring",):
            output = tmp_path / f"run-{partitions}-{transport}"
            runs[partitions, transport] = compiled.run(STEPS * 1e-3, output, transport)
    reference = runs[1, "ring"]
    assert all(reference.dataset(name).sizes["time"] == STEPS for name in reference.names)
    assert any(np.ptp(reference.probe(name).values) > 0 for name in reference.names)
    for run in runs.values():
        same(reference, run)


@pytest.mark.usefixtures("reference_host")
def test_lists_of_spikes_give_the_same_bytes(tmp_path: Path) -> None:
    runs = []
    for partitions, transports in ((1, ("ring",)), (3, ("ring", "ipc", "tcp"))):
        compiled = spikec.compile(
            MODELS / "brunel.spk", partitions, tmp_path / f"n{partitions}", parameters={"order": 300}
        )
        runs += [compiled.run(0.05, tmp_path / f"run-{partitions}-{t}", t) for t in transports]
    assert all(len(runs[0].probe(name).values) > 100 for name in runs[0].names)
    for run in runs[1:]:
        same(runs[0], run)


@pytest.mark.usefixtures("reference_host")
def test_partitions_of_one_structure_share_a_loop(tmp_path: Path) -> None:
    """In one process; what they work on is their own."""
    path = MODELS / "bench" / "small_ensembles.spk"
    made = spikec.compile(path, 4, tmp_path / "model", parameters={"count": 12, "neurons": 20})
    places = layout.segment_layout(made.manifest)
    segment = np.zeros(places.words, np.int64)
    engines = [Engine(made.manifest, tmp_path / "model", p, segment, places) for p in range(4)]
    by_input = {"outputs" in (tmp_path / "model" / f"partition_{p}.py").read_text(): p for p in range(4)}
    assert len(by_input) == 2  # one has the input, which is in its program
    loops, tables = {e.entry.loop for e in engines}, {e.entry.table for e in engines}
    assert 2 <= len(loops) < len(tables) == 4
