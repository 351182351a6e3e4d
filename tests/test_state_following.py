"""States of a closed loop, whose functions no longer read what they were compiled with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from converted import nengo
from runs import refused

import spikec
from spikec.nengo import Simulator

assert nengo.rc.get("decoder_cache", "enabled") == "False"
MODEL = """
from types import SimpleNamespace

import nengo
import numpy as np

world = SimpleNamespace(gain=1.0, bias=0.2)
with nengo.Network(seed=1) as net:
    a, b = nengo.Ensemble(100, 1), nengo.Ensemble(100, 1)
    given = nengo.Node(lambda t: world.gain * np.sin(9 * t), size_out=1)
    constant = nengo.Node(lambda t: world.bias, size_out=1)
    turned = nengo.Node(lambda t, x: world.gain * x, size_in=1, size_out=1)
    for source, target in ((given, a), (constant, a), (a, turned), (turned, b)):
        nengo.Connection(source, target)
    shown = nengo.Probe(b, synapse=0.01)
"""


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference_host: Path) -> spikec.Compiled:
    assert reference_host.is_dir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    return spikec.compile("model.py:net", 1, tmp_path / "out", cache=False)


def simulator(**options: Any) -> tuple[Simulator, SimpleNamespace, Any]:
    """A simulator of the network, and what the loop around it changes."""
    names: dict[str, Any] = {"__name__": "model"}
    exec(MODEL, names)
    return Simulator(names["net"], names=names, progress_bar=False, **options), names["world"], names["shown"]


def changed(state: Path, **values: float) -> None:
    """Save a state after values have changed."""
    sim, world, _ = simulator()
    with sim:
        sim.run_steps(20)
        vars(world).update(values)
        sim.run_steps(20)
        sim.save_state(state)


def test_a_compiled_model_goes_on_with_its_own_values(compiled: spikec.Compiled, tmp_path: Path) -> None:
    changed(tmp_path / "state.npz", gain=0.5)
    run = compiled.run("30ms", tmp_path / "run", load_state=tmp_path / "state.npz")
    (note,) = run.about.notes
    assert note == (
        f"{tmp_path / 'state.npz'} was saved after values that functions read had changed; "
        "the model has those that it was compiled with"
    )
    sim, world, shown = simulator()
    with sim:
        sim.load_state(tmp_path / "state.npz")
        sim.run_steps(30)  # with the values of this network, which are those of the model
        assert sim.data[shown].tobytes() == run.probe("shown").values.tobytes()
        assert world.gain == 1.0


def test_what_a_compiled_model_has_in_advance_is_refused(compiled: spikec.Compiled, tmp_path: Path) -> None:
    changed(tmp_path / "state.npz", bias=0.4)
    said = refused(compiled, tmp_path, load_state=tmp_path / "state.npz")
    assert said.splitlines()[0] == (
        "state.npz was saved after values that functions read had changed, and this model has in advance "
        "what follows from them; load it with spikec.nengo.Simulator, or compile the model anew and begin at "
        "0 s"
    )
    assert "  filter constant->a.filter: not in the model" in said


@pytest.mark.parametrize("options", [{}, {"partitions": 2, "processes": True}])
def test_a_state_of_a_compiled_model_goes_on_in_a_loop(
    compiled: spikec.Compiled, tmp_path: Path, options: dict[str, Any]
) -> None:
    compiled.run("40ms", tmp_path / "run", save_state=tmp_path / "state.npz")
    results = []
    for loaded in (False, True):
        sim, world, shown = simulator(**options)
        with sim:
            sim.run_steps(7 if loaded else 40)
            if loaded:
                world.bias = 0.7  # it is followed already where the state has it folded
                sim.run_steps(3)
                world.bias = 0.2
                sim.load_state(tmp_path / "state.npz")
            sim.clear_probes()
            for gain in (0.5, 0.8, 0.1):
                world.gain = gain
                sim.run_steps(10)
            results.append(np.array(sim.data[shown]))
    assert np.abs(results[0]).max() > 0
    assert results[0].tobytes() == results[1].tobytes()
