"""What `spikec.nengo.translate` writes is as short as a person would write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import nengo
from translated import simulated, translated

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
