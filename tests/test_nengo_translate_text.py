"""What `spikec.nengo.translate` writes is as short as a person would write it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import nengo
from translated import simulated, translated

from spikec.nengo.writing.translate import translate

FUNCTIONS: dict[str, tuple[Callable[[Any], Any], int, str]] = {
    "squares": (lambda x: x**2, 8, "[x[i]^2 for i in 0..8]"),
    "inhibition": (lambda x: [-3 * x[0]] * 12, 1, "[-3 * x[0] for i in 0..12]"),
    "products with one": (lambda x: x * x[1], 6, "[x[i] * x[1] for i in 0..6]"),
    "few": (lambda x: x + 1, 3, "[x[0] + 1, x[1] + 1, x[2] + 1]"),
    "reversed": (lambda x: x[::-1] + 1, 5, "[x[4] + 1, x[3] + 1, x[2] + 1, x[1] + 1, x[0] + 1]"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_many_components_are_ranges(name: str, tmp_path: Path) -> None:
    function, dims, text = FUNCTIONS[name]
    size = len(np.asarray(function(np.zeros(dims))))
    with nengo.Network(seed=5) as net:
        a = nengo.Ensemble(30, dims, label="a")
        nengo.Connection(nengo.Node(np.full(dims, 0.4)), a)
        out = nengo.Node(size_in=size, label="out")
        nengo.Connection(a, out, function=function)
        nengo.Probe(out)
    path = tmp_path / "m.spk"
    found = translated(net, path, 20, "float64")
    assert f" via {text}" in " ".join(path.read_text().split()).replace("[ ", "[").replace(", ]", "]")
    for ours, theirs in zip(found, simulated(net, 20), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_an_array_of_a_hundred_is_a_dozen_lines(tmp_path: Path) -> None:
    """One statement for the ensembles, one for each of what connects them; another radius is written out."""
    with nengo.Network(seed=1) as net:
        stim = nengo.Node(lambda t: np.sin(t), label="stim")
        rows = nengo.networks.EnsembleArray(5, 100, label="rows")
        rows.add_output("squares", np.square)
        for ens in rows.ensembles:
            nengo.Connection(stim, ens)
        nengo.Connection(rows.output, rows.input, synapse=0.1)
        nengo.Probe(rows.squares, synapse=0.01)
        nengo.Probe(rows.ensembles[7].neurons, "voltage")
    path = tmp_path / "model.spk"
    text = translate(net, path).path.read_text()
    joined = re.sub(r"\n +", " ", text)
    assert len(text.splitlines()) < 40
    assert "array rows( 5, count=100, encoders=load(" in joined
    assert "for i in 0..100 { connect stim -> rows[i]" in joined
    assert "connect rows -> rows_squares via x[0] * x[0] solver no_solver(" in joined
    assert "probe rows[7] voltage as rows_7.voltage\n" in text
    rows.ensembles[3].radius = 2.0
    text = translate(net, path, overwrite=True).path.read_text()
    assert "array" not in text
    assert "ensemble rows[3](\n  5,\n  radius=2," in text
